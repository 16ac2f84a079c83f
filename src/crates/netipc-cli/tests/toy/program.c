/* Values of the toy schemas come back through C: keys of several numbers and of enumerations, numbers of every
 * type, tables, statuses with contents of their own, numbers that a schema does not know. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <netipc/services.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%d: not so: %s (%s)\n", __LINE__, #condition, nipc_last_error()); \
            exit(1); \
        } \
    } while (0)

static char request[4096], response[4096];
static size_t request_len, response_len;

static void sensors(void)
{
    nipc_sensor_place_t place = NIPC_SENSOR_PLACE_INIT, read;
    CHECK(place.axis == NIPC_SENSOR_AXIS_HORIZONTAL);
    place.x = INT64_MIN;
    place.y = -2;
    place.axis = NIPC_SENSOR_AXIS_VERTICAL;
    nipc_sensor_request_builder_t keys;
    CHECK(nipc_sensor_request_builder_init(&keys, request, sizeof(request), 1) == NIPC_OK);
    CHECK(nipc_sensor_request_builder_push(&keys, &place) == NIPC_OK);
    CHECK(nipc_sensor_request_builder_push(&keys, &place) == NIPC_OK);
    place.axis = 9;
    CHECK(nipc_sensor_request_builder_push(&keys, &place) == NIPC_ERR_BUILD);
    place.axis = NIPC_SENSOR_AXIS_VERTICAL;
    CHECK(nipc_sensor_request_builder_finish(&keys, &request_len) == NIPC_OK);

    nipc_sensor_request_view_t asked;
    CHECK(nipc_sensor_request_decode(request, request_len, &asked) == NIPC_OK && asked.count == 2);
    CHECK(nipc_sensor_request_view_key(&asked, 1, &read) == NIPC_OK);
    CHECK(read.x == place.x && read.y == place.y && read.axis == place.axis);

    nipc_sensor_response_builder_t builder;
    nipc_sensor_last_reading_t reading = NIPC_SENSOR_LAST_READING_INIT;
    CHECK(reading.value == INT32_MIN);
    reading.x = place.x;
    reading.y = place.y;
    reading.axis = place.axis;
    reading.taken_at = 77;
    CHECK(nipc_sensor_response_builder_init(&builder, &asked, response, sizeof(response), true) == NIPC_OK);
    CHECK(nipc_sensor_response_builder_epoch(&builder, 5) == NIPC_OK);
    CHECK(nipc_sensor_response_builder_stale(&builder, &reading) == NIPC_OK);
    CHECK(nipc_sensor_response_builder_unknown(&builder, &place) == NIPC_OK);
    CHECK(nipc_sensor_response_builder_finish(&builder, &response_len) == NIPC_OK);
    nipc_sensor_response_view_t answer;
    nipc_sensor_last_reading_view_t item;
    CHECK(nipc_sensor_response_decode(response, response_len, &answer) == NIPC_OK);
    CHECK(answer.epoch == 5 && answer.count == 2);
    CHECK(nipc_sensor_response_view_item(&answer, 0, &item) == NIPC_OK);
    CHECK(item.status == NIPC_SENSOR_STATUS_STALE && item.taken_at == 77 && item.value == INT32_MIN);
    CHECK(item.x == place.x && item.y == place.y && item.axis == place.axis);
}

static void badges(void)
{
    nipc_badge_request_builder_t keys;
    CHECK(nipc_badge_request_builder_init(&keys, request, sizeof(request), 1) == NIPC_OK);
    CHECK(nipc_badge_request_builder_push(&keys, NIPC_BADGE_RANK_GUEST) == NIPC_OK);
    CHECK(nipc_badge_request_builder_push(&keys, 999) == NIPC_OK); /* open */
    CHECK(nipc_badge_request_builder_finish(&keys, &request_len) == NIPC_OK);
    nipc_badge_request_view_t asked;
    nipc_badge_rank_t level;
    CHECK(nipc_badge_request_decode(request, request_len, &asked) == NIPC_OK);
    CHECK(nipc_badge_request_view_key(&asked, 1, &level) == NIPC_OK && level == 999);

    nipc_label_t line = {nipc_str("name"), nipc_str("")};
    nipc_badge_badge_t badge = NIPC_BADGE_BADGE_INIT;
    badge.level = NIPC_BADGE_RANK_GUEST;
    badge.lines = &line;
    badge.line_count = 1;
    nipc_badge_response_builder_t builder;
    CHECK(nipc_badge_response_builder_init(&builder, &asked, response, sizeof(response), true) == NIPC_OK);
    CHECK(nipc_badge_response_builder_known(&builder, &badge) == NIPC_OK);
    badge.level = 999;
    badge.line_count = 0;
    CHECK(nipc_badge_response_builder_known(&builder, &badge) == NIPC_OK);
    CHECK(nipc_badge_response_builder_finish(&builder, &response_len) == NIPC_OK);
    nipc_badge_response_view_t answer;
    nipc_badge_badge_view_t item;
    CHECK(nipc_badge_response_decode(response, response_len, &answer) == NIPC_OK);
    CHECK(nipc_badge_response_view_item(&answer, 0, &item) == NIPC_OK && item.lines.count == 1);
    nipc_label_t read;
    CHECK(nipc_labels_view_get(&item.lines, 0, &read) == NIPC_OK && strcmp(read.key.ptr, "name") == 0);
}

static void valves(void)
{
    nipc_label_t tag = {nipc_str("k"), nipc_str("v")};
    nipc_valve_request_t turn = NIPC_VALVE_REQUEST_INIT;
    CHECK(turn.limit == INT64_MIN && turn.serial == UINT64_MAX && turn.turn == -1 && turn.colour == 7);
    turn.mode = NIPC_VALVE_MODE_AJAR;
    turn.colour = NIPC_VALVE_COLOUR_BLUE;
    turn.label = nipc_str("label");
    turn.note = nipc_str("abc");
    turn.tags = &tag;
    turn.tag_count = 1;
    CHECK(nipc_valve_request_encode(&turn, request, sizeof(request), &request_len) == NIPC_OK);
    nipc_valve_request_view_t read;
    CHECK(nipc_valve_request_decode(request, request_len, &read) == NIPC_OK);
    CHECK(read.limit == INT64_MIN && read.serial == UINT64_MAX && read.turn == -1);
    CHECK(read.colour == 0xFFFFFFFF && read.label.len == 5 && read.tags.count == 1);
    CHECK(strcmp(nipc_valve_colour_name(NIPC_VALVE_COLOUR_BLUE), "blue") == 0);
    CHECK(nipc_valve_request_encode(&turn, request, 8, &request_len) == NIPC_ERR_NO_SPACE);
    turn.mode = 77;
    CHECK(nipc_valve_request_encode(&turn, request, sizeof(request), &request_len) == NIPC_ERR_BUILD);

    nipc_valve_response_t done = NIPC_VALVE_RESPONSE_INIT;
    nipc_valve_response_view_t answer;
    done.tags = &tag;
    done.tag_count = 1;
    CHECK(nipc_valve_response_encode(&done, response, sizeof(response), &response_len) == NIPC_OK);
    CHECK(nipc_valve_response_decode(response, response_len, &answer) == NIPC_OK && answer.tags.count == 1);
}

static void shelves(void)
{
    nipc_label_t mark = {nipc_str("k"), nipc_str("v")};
    nipc_shelf_things_kept_t thing = NIPC_SHELF_THINGS_KEPT_INIT;
    CHECK(thing.kind == NIPC_SHELF_KIND_BOOK && thing.state == NIPC_SHELF_STATE_MIXED);
    thing.id = -1;
    thing.title = nipc_str("title");
    thing.marks = &mark;
    thing.mark_count = 1;
    nipc_shelf_response_builder_t builder;
    CHECK(nipc_shelf_response_builder_init(&builder, response, sizeof(response), 1) == NIPC_OK);
    CHECK(nipc_shelf_response_builder_state(&builder, 9) == NIPC_ERR_BUILD);
    CHECK(nipc_shelf_response_builder_state(&builder, NIPC_SHELF_STATE_SORTED) == NIPC_OK);
    CHECK(nipc_shelf_response_builder_tidied_by(&builder, 3) == NIPC_OK);
    CHECK(nipc_shelf_response_builder_item(&builder, &thing) == NIPC_OK);
    CHECK(nipc_shelf_response_builder_finish(&builder, &response_len) == NIPC_OK);
    nipc_shelf_response_view_t answer;
    nipc_shelf_things_kept_view_t item;
    CHECK(nipc_shelf_response_decode(response, response_len, &answer) == NIPC_OK);
    CHECK(answer.tidied_by == 3 && answer.offset == -5 && answer.count == 1);
    CHECK(nipc_shelf_response_view_item(&answer, 0, &item) == NIPC_OK && item.id == -1 && item.marks.count == 1);
    nipc_shelf_cache_guard_t none = {0};
    CHECK(nipc_shelf_cache_get(&none, -1, NIPC_SHELF_KIND_BOOK, NIPC_SHELF_STATE_MIXED, nipc_str("title"), &item) ==
          NIPC_ERR_NOT_INITIALIZED);
}

#define MOST 20 /* things are numbered from -MOST to MOST */

static nipc_error_t show_things(void *context, const nipc_request_context_t *who,
                                nipc_shelf_response_builder_t *things)
{
    nipc_error_t error = nipc_shelf_response_builder_generation(things, 1);
    (void)context, (void)who;
    for (int id = -MOST; id <= MOST && error == NIPC_OK; id++) {
        nipc_shelf_things_kept_t thing = NIPC_SHELF_THINGS_KEPT_INIT;
        thing.id = id;
        thing.kind = 7;
        thing.state = id % 2 == 0 ? NIPC_SHELF_STATE_SORTED : NIPC_SHELF_STATE_MIXED;
        thing.title = nipc_str("title");
        error = nipc_shelf_response_builder_item(things, &thing);
    }
    return error;
}

/* A cache finds things by numbers, signed ones and those of both kinds of enumerations, and by a string. */
static void shelves_are_searched(void)
{
    char run_dir[] = "/tmp/netipc-toy-XXXXXX";
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_shelf_cache_t cache = NIPC_CACHE_INIT;
    nipc_shelf_cache_guard_t guard = {0};
    nipc_shelf_things_kept_view_t thing;
    const nipc_str_t title = nipc_str("title");
    CHECK(mkdtemp(run_dir) != NULL);
    CHECK(nipc_shelf_server_init(&server, run_dir, NULL, 1, show_things, NULL) == NIPC_OK);
    CHECK(nipc_server_start(&server) == NIPC_OK);
    CHECK(nipc_shelf_cache_init(&cache, run_dir, NIPC_SHELF_SERVICE, NULL) == NIPC_OK);
    CHECK(nipc_shelf_cache_refresh(&cache) == NIPC_OK);
    CHECK(nipc_shelf_cache_read_lock(&cache, &guard) == NIPC_OK);
    CHECK(nipc_shelf_cache_count(&guard) == 2 * MOST + 1);
    for (int id = -MOST; id <= MOST; id++) {
        nipc_shelf_state_t state = id % 2 == 0 ? NIPC_SHELF_STATE_SORTED : NIPC_SHELF_STATE_MIXED;
        nipc_shelf_state_t other = id % 2 == 0 ? NIPC_SHELF_STATE_MIXED : NIPC_SHELF_STATE_SORTED;
        CHECK(nipc_shelf_cache_get(&guard, id, 7, state, title, &thing) == NIPC_OK && thing.id == id);
        CHECK(nipc_shelf_cache_get(&guard, id, 7, other, title, &thing) == NIPC_ERR_NOT_FOUND);
        CHECK(nipc_shelf_cache_get(&guard, id, 8, state, title, &thing) == NIPC_ERR_NOT_FOUND);
        CHECK(nipc_shelf_cache_get(&guard, id, 7, state, nipc_str("tit"), &thing) == NIPC_ERR_NOT_FOUND);
    }
    CHECK(nipc_shelf_cache_read_unlock(&guard) == NIPC_OK);
    CHECK(nipc_shelf_cache_close(&cache) == NIPC_OK);
    CHECK(nipc_server_destroy(&server) == NIPC_OK);
    char lock[64];
    snprintf(lock, sizeof(lock), "%s/%s.lock", run_dir, NIPC_SHELF_SERVICE);
    CHECK(unlink(lock) == 0 && rmdir(run_dir) == 0);
}

int main(void)
{
    sensors();
    badges();
    valves();
    shelves();
    shelves_are_searched();
    puts("all toys came back");
    return 0;
}
