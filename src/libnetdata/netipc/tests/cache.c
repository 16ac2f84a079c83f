/* The cache of a snapshot in C: what guards hold stays as it is, over refreshes, failures and the end of the
 * cache; any thread reads while one refreshes. */
#include "values.h"

#include <stdatomic.h>

#include <netipc/cgroups_snapshot.h>

#define GROUPS 200u
#define REFRESHES 300u
#define READERS 2

static const char *run_dir;
static const char *const SERVICES[] = {NIPC_CGROUPS_SNAPSHOT_SERVICE, NULL};

/* The provider's state: every group's `options` are the generation. */
static _Atomic uint32_t generation = 1;
static atomic_bool handler_fails;
/* So many groups share a hash: with two, some are found in the second place; where all have one, a table by that
 * would be one long list. */
static uint32_t groups_a_hash = 1;

static nipc_error_t provide(void *context, const nipc_request_context_t *who,
                            nipc_cgroups_snapshot_response_builder_t *response)
{
    (void)context;
    (void)who;
    if (atomic_load(&handler_fails)) {
        return NIPC_ERR_SYSTEM;
    }
    uint32_t now = atomic_load(&generation);
    CHECK_OK(nipc_cgroups_snapshot_response_builder_generation(response, now));
    for (uint32_t group = 0; group < GROUPS; group++) {
        char name[32];
        snprintf(name, sizeof(name), "group-%u", group);
        nipc_cgroups_snapshot_item_t item = NIPC_CGROUPS_SNAPSHOT_ITEM_INIT;
        item.hash = group / groups_a_hash;
        item.options = now;
        item.name = nipc_str(name);
        item.path = nipc_str("/some/where");
        /* What the limit cannot take is asked for again, with a larger one. */
        nipc_error_t error = nipc_cgroups_snapshot_response_builder_item(response, &item);
        if (error != NIPC_OK) {
            return error;
        }
    }
    return NIPC_OK;
}

/* All that a guard holds is of one generation. */
static void check_guard(const nipc_cgroups_cache_guard_t *guard, uint64_t wanted)
{
    nipc_cgroups_snapshot_item_view_t item;
    CHECK_NUMBER(wanted, nipc_cgroups_cache_generation(guard));
    CHECK_NUMBER(GROUPS, nipc_cgroups_cache_count(guard));
    for (uint32_t group = 0; group < GROUPS; group++) {
        char name[32];
        snprintf(name, sizeof(name), "group-%u", group);
        CHECK_OK(nipc_cgroups_cache_get(guard, group / groups_a_hash, nipc_str(name), &item));
        CHECK_NUMBER(wanted, item.options);
        CHECK_TEXT(nipc_str(name), item.name);
        CHECK_OK(nipc_cgroups_cache_item(guard, group, &item));
        CHECK_NUMBER(group / groups_a_hash, item.hash);
        CHECK_TEXT(nipc_str(name), item.name);
    }
    CHECK_ERROR(NIPC_ERR_NOT_FOUND, nipc_cgroups_cache_get(guard, 0, nipc_str("group-x"), &item));
    CHECK_ERROR(NIPC_ERR_NOT_FOUND, nipc_cgroups_cache_get(guard, 0, nipc_str(""), &item));
    CHECK_ERROR(NIPC_ERR_NOT_FOUND, nipc_cgroups_cache_get(guard, UINT32_MAX, nipc_str("group-1"), &item));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_cgroups_cache_get(guard, 0, nipc_str("group-0"), NULL));
    CHECK_ERROR(NIPC_ERR_NOT_FOUND, nipc_cgroups_cache_get(guard, 0, nipc_str("group-x"), &item));
    CHECK(strstr(nipc_last_error(), "fault") == NULL); /* that there is no such item is nobody's */
    CHECK_ERROR(NIPC_ERR_OUT_OF_RANGE, nipc_cgroups_cache_item(guard, GROUPS, &item));
}

static void guards_outlast_refreshes_and_the_cache(void)
{
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_cgroups_cache_t cache = {0, NULL};
    nipc_cgroups_cache_guard_t empty, first, second;
    memset(&empty, 0, sizeof(empty));
    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));

    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_cgroups_cache_read_lock(&cache, &first));
    CHECK_OK(nipc_cgroups_cache_init(&cache, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, NULL));
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED,
                nipc_cgroups_cache_init(&cache, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, NULL));
    CHECK_ERROR(NIPC_ERR_NOT_READY, nipc_cgroups_cache_refresh(&cache));
    CHECK(!nipc_cgroups_cache_ready(&cache));
    CHECK_OK(nipc_cgroups_cache_read_lock(&cache, &empty));
    CHECK_NUMBER(0, nipc_cgroups_cache_count(&empty));

    CHECK_OK(nipc_cgroups_snapshot_server_init(&server, run_dir, NULL, 1, provide, NULL));
    CHECK_OK(nipc_server_start(&server));
    CHECK_OK(nipc_cgroups_cache_refresh(&cache));
    CHECK(nipc_cgroups_cache_ready(&cache));
    CHECK_OK(nipc_cgroups_cache_read_lock(&cache, &first));
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED, nipc_cgroups_cache_read_lock(&cache, &first));
    atomic_store(&generation, 2);
    CHECK_OK(nipc_cgroups_cache_refresh(&cache));
    CHECK_OK(nipc_cgroups_cache_read_lock(&cache, &second));
    check_guard(&first, 1);
    check_guard(&second, 2);
    CHECK_NUMBER(0, nipc_cgroups_cache_count(&empty));
    CHECK_OK(nipc_cgroups_cache_read_unlock(&empty));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_cgroups_cache_read_unlock(&empty));
    CHECK_NUMBER(0, nipc_cgroups_cache_count(&empty));
    CHECK_NUMBER(0, nipc_cgroups_cache_generation(&empty));
    nipc_cgroups_snapshot_item_view_t item;
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_cgroups_cache_get(&empty, 0, nipc_str("group-0"), &item));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_cgroups_cache_item(&empty, 0, &item));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_cgroups_cache_item(NULL, 0, &item));

    /* A failed refresh keeps what there is. */
    atomic_store(&handler_fails, true);
    CHECK_ERROR(NIPC_ERR_STATUS, nipc_cgroups_cache_refresh(&cache));
    atomic_store(&handler_fails, false);
    nipc_cache_status_t status;
    CHECK_OK(nipc_cgroups_cache_status(&cache, &status));
    CHECK(status.filled && status.last_error[0] != '\0');
    CHECK_NUMBER(2, status.generation);
    CHECK_NUMBER(2, status.refreshes);
    CHECK_NUMBER(2, status.failures);
    CHECK_NUMBER(GROUPS, status.items);

    CHECK_OK(nipc_cgroups_cache_refresh(&cache));
    CHECK_OK(nipc_cgroups_cache_abort(&cache));
    CHECK_ERROR(NIPC_ERR_ABORTED, nipc_cgroups_cache_refresh(&cache));
    CHECK_OK(nipc_cgroups_cache_abort_clear(&cache));

    CHECK_OK(nipc_cgroups_cache_close(&cache));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_cgroups_cache_close(&cache));
    CHECK_OK(nipc_server_destroy(&server));
    nipc_cgroups_cache_guard_t moved = first;
    memset(&first, 0, sizeof(first));
    check_guard(&moved, 1);
    check_guard(&second, 2);
    CHECK_OK(nipc_cgroups_cache_read_unlock(&moved));
    CHECK_OK(nipc_cgroups_cache_read_unlock(&second));
}

static atomic_bool readers_stop;

static void *read_on(void *argument)
{
    const nipc_cgroups_cache_t *cache = (const nipc_cgroups_cache_t *)argument;
    uint64_t last = 0;
    while (!atomic_load(&readers_stop)) {
        nipc_cgroups_cache_guard_t guard;
        memset(&guard, 0, sizeof(guard));
        CHECK_OK(nipc_cgroups_cache_read_lock(cache, &guard));
        uint64_t now = nipc_cgroups_cache_generation(&guard);
        CHECK(now >= last);
        last = now;
        check_guard(&guard, now);
        CHECK_OK(nipc_cgroups_cache_read_unlock(&guard));
    }
    return NULL;
}

static void many_read_while_one_refreshes(void)
{
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_cgroups_cache_t cache = {0, NULL};
    pthread_t readers[READERS];
    CHECK_OK(nipc_cgroups_snapshot_server_init(&server, run_dir, NULL, 1, provide, NULL));
    CHECK_OK(nipc_server_start(&server));
    CHECK_OK(nipc_cgroups_cache_init(&cache, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, NULL));
    CHECK_OK(nipc_cgroups_cache_refresh(&cache));
    for (size_t index = 0; index < READERS; index++) {
        readers[index] = start_thread(read_on, &cache);
    }
    for (size_t index = 0; index < REFRESHES; index++) {
        atomic_fetch_add(&generation, 1);
        CHECK_OK(nipc_cgroups_cache_refresh(&cache));
    }
    atomic_store(&readers_stop, true);
    for (size_t index = 0; index < READERS; index++) {
        CHECK(pthread_join(readers[index], NULL) == 0);
    }
    CHECK_OK(nipc_cgroups_cache_close(&cache));
    CHECK_OK(nipc_server_destroy(&server));
}

int main(void)
{
    run_dir = make_run_dir();
    guards_outlast_refreshes_and_the_cache();
    /* The library finds what the header cannot: hashes that are no good. */
    for (groups_a_hash = 2; groups_a_hash <= GROUPS; groups_a_hash *= GROUPS / 2) {
        atomic_store(&generation, 1);
        guards_outlast_refreshes_and_the_cache();
    }
    groups_a_hash = 1;
    many_read_while_one_refreshes();
    remove_run_dir(run_dir, SERVICES);
    puts("caches keep what guards hold");
    return 0;
}
