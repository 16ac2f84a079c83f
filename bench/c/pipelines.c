/* Clients that keep several requests in flight on a session, at Level 1: the same for every service. */
#include "driver.h"

#include <string.h>

/* Requests that a pipeline has in flight. */
#define DEPTH 16
#define NUMBER_BYTES sizeof(uint64_t)
/* An entry of a batch's directory: offset and length (spec section 2). */
#define ENTRY_BYTES 8

struct pipeline;

/* A request in flight: its number, how much it asks for, and when it was sent. */
struct asked {
    uint64_t message_id; /* 0: nothing is in flight here. */
    uint64_t first;
    size_t count;
    uint64_t at_ns;
};

/* What a service is asked: requests that all differ, and what their answers must be. */
struct questions {
    const char *scenario;
    uint16_t method;
    /* Writes the next request to p->payload, and answers its length. */
    size_t (*ask)(struct pipeline *p, struct asked *about);
    /* Compares an answer with what it must be, and counts. */
    void (*check)(struct pipeline *p, const struct asked *about, const nipc_message_view_t *message);
};

struct pipeline {
    struct caller caller;
    const struct options *options;
    const struct questions *questions;
    nipc_session_t session;
    struct asked in_flight[DEPTH];
    size_t flying;
    uint64_t submitted;
    unsigned char *payload;
    size_t room;
    /* Of numbers: the next, and how many in a batch at most. */
    uint64_t value, random;
    size_t most;
    /* Of others: how many were asked, and what must be answered. */
    uint64_t count;
    const struct group *groups;
    const struct thing *things;
    unsigned char *text;
};

static void answered(struct pipeline *p, uint64_t requests, uint64_t items) {
    p->caller.answered.calls++;
    p->caller.answered.requests += requests;
    p->caller.answered.items += items;
}

static void submit(struct pipeline *p) {
    struct asked *slot = p->in_flight;
    while (slot->message_id != 0)
        slot++;
    slot->at_ns = monotonic_ns();
    size_t len = p->questions->ask(p, slot);
    slot->message_id = ++p->submitted;
    nipc_header_t header = nipc_header_request(p->questions->method, slot->message_id, (uint32_t)len);
    if (plays(p->options, "pipeline-batch")) {
        header.flags = NIPC_FLAG_BATCH;
        header.item_count = (uint32_t)slot->count;
    }
    must(nipc_session_send(&p->session, &header, p->payload, len, NIPC_WAIT_FOREVER), "sending");
    p->flying++;
}

static uint64_t take(struct pipeline *p) {
    nipc_message_view_t message;
    must(nipc_session_receive(&p->session, NIPC_WAIT_FOREVER, &message), "receiving");
    struct asked *slot = p->in_flight;
    while (slot < p->in_flight + DEPTH && slot->message_id != message.header.message_id)
        slot++;
    if (message.header.message_id == 0 || slot == p->in_flight + DEPTH)
        fail("an answer to nothing in flight: %llu", (unsigned long long)message.header.message_id);
    uint64_t latency_ns = monotonic_ns() - slot->at_ns;
    if (message.header.status != 0)
        fail("a failing answer: status %u", message.header.status);
    p->questions->check(p, slot, &message);
    slot->message_id = 0;
    p->flying--;
    return latency_ns;
}

static uint64_t turn(struct caller *caller) {
    struct pipeline *p = (struct pipeline *)caller;
    while (p->flying < DEPTH)
        submit(p);
    return take(p);
}

static void settle(struct caller *caller) {
    struct pipeline *p = (struct pipeline *)caller;
    while (p->flying > 0)
        take(p);
}

/* Numbers, one or several in a request. */

static void encode_number(uint64_t value, unsigned char *out) {
    nipc_increment_request_t request = {.value = value};
    size_t len;
    must(nipc_increment_request_encode(&request, out, NUMBER_BYTES, &len), "a request");
}

static void check_number(const void *payload, size_t len, uint64_t expected) {
    nipc_increment_response_view_t view;
    must(nipc_increment_response_decode(payload, len, &view), "an answer");
    if (view.value != expected)
        wrong("increment", expected, view.value);
}

static size_t ask_number(struct pipeline *p, struct asked *about) {
    about->first = p->value++;
    about->count = 1;
    encode_number(about->first, p->payload);
    return NUMBER_BYTES;
}

static void check_one(struct pipeline *p, const struct asked *about, const nipc_message_view_t *message) {
    check_number(message->payload, message->payload_len, about->first + 1);
    answered(p, 1, 1);
}

static size_t ask_batch(struct pipeline *p, struct asked *about) {
    about->count = random_up_to(&p->random, p->most);
    about->first = p->value;
    p->value += about->count;
    unsigned char *items = p->payload + about->count * ENTRY_BYTES;
    for (size_t i = 0; i < about->count; i++) {
        uint32_t entry[2] = {(uint32_t)(i * NUMBER_BYTES), NUMBER_BYTES};
        memcpy(p->payload + i * ENTRY_BYTES, entry, sizeof entry);
        encode_number(about->first + i, items + i * NUMBER_BYTES);
    }
    return about->count * (ENTRY_BYTES + NUMBER_BYTES);
}

static void check_batch(struct pipeline *p, const struct asked *about, const nipc_message_view_t *message) {
    size_t directory = about->count * ENTRY_BYTES;
    if (message->header.item_count != about->count || message->payload_len < directory)
        wrong("how many items", about->count, message->header.item_count);
    size_t area = message->payload_len - directory;
    for (size_t i = 0; i < about->count; i++) {
        uint32_t entry[2];
        memcpy(entry, message->payload + i * ENTRY_BYTES, sizeof entry);
        if (entry[0] > area || entry[1] > area - entry[0])
            fail("item %zu of a batch lies outside it", i);
        check_number(message->payload + directory + entry[0], entry[1], about->first + i + 1);
    }
    answered(p, about->count, about->count);
}

/* Strings, each with its number. */

/* A number, again and again, and its end cut by that number: no two are alike. */
static size_t make_text(struct pipeline *p, uint64_t number) {
    size_t len = p->options->bytes - (size_t)(number % DEPTH);
    for (size_t at = 0; at < len; at++)
        p->text[at] = (unsigned char)(number >> 8 * (NUMBER_BYTES - 1 - at % NUMBER_BYTES));
    return len;
}

static size_t ask_text(struct pipeline *p, struct asked *about) {
    about->first = p->count++;
    size_t len;
    nipc_string_reverse_request_t request = {.bytes = {(const char *)p->text, make_text(p, about->first)}};
    must(nipc_string_reverse_request_encode(&request, p->payload, p->room, &len), "a request");
    return len;
}

static void check_text(struct pipeline *p, const struct asked *about, const nipc_message_view_t *message) {
    nipc_string_reverse_response_view_t view;
    must(nipc_string_reverse_response_decode(message->payload, message->payload_len, &view), "an answer");
    size_t len = make_text(p, about->first);
    bool right = view.bytes.len == len;
    for (size_t i = 0; right && i < len; i++)
        right = (unsigned char)view.bytes.ptr[i] == p->text[len - 1 - i];
    if (!right)
        fail("wrong answer to string %llu", (unsigned long long)about->first);
    answered(p, 1, 1);
}

/* Snapshots: the same question again and again. */

static size_t ask_snapshot(struct pipeline *p, struct asked *about) {
    size_t len;
    about->count = p->options->items;
    must(nipc_cgroups_snapshot_request_encode(p->payload, p->room, &len), "a request");
    return len;
}

static void check_groups(struct pipeline *p, const struct asked *about, const nipc_message_view_t *message) {
    nipc_cgroups_snapshot_response_view_t view;
    must(nipc_cgroups_snapshot_response_decode(message->payload, message->payload_len, &view), "an answer");
    check_snapshot(&view, p->groups, about->count, p->options->generation);
    answered(p, 1, about->count);
}

/* Lookups of the first key, of the first two, and so on, and of one again after all. */

static size_t next_count(struct pipeline *p, struct asked *about) {
    about->count = (size_t)(p->count++ % p->options->items) + 1;
    return about->count;
}

static void check_head(const struct pipeline *p, const struct asked *about, uint64_t generation, size_t count) {
    if (generation != p->options->generation)
        wrong("the generation", p->options->generation, generation);
    if (count != about->count)
        wrong("how many keys", about->count, count);
}

static void check_item(bool right, size_t index) {
    if (!right)
        fail("wrong answer: item of the lookup %zu is another than it must be", index);
}

static size_t ask_cgroups(struct pipeline *p, struct asked *about) {
    nipc_cgroups_lookup_request_builder_t builder = {0};
    size_t len, count = next_count(p, about);
    must(nipc_cgroups_lookup_request_builder_init(&builder, p->payload, p->room, count), "a builder");
    for (size_t i = 0; i < count; i++)
        must(nipc_cgroups_lookup_request_builder_push(&builder, p->things[i].path), "a key");
    must(nipc_cgroups_lookup_request_builder_finish(&builder, &len), "a request");
    return len;
}

static void check_cgroups(struct pipeline *p, const struct asked *about, const nipc_message_view_t *message) {
    nipc_cgroups_lookup_response_view_t view;
    must(nipc_cgroups_lookup_response_decode(message->payload, message->payload_len, &view), "an answer");
    check_head(p, about, view.generation, view.count);
    for (size_t i = 0; i < view.count; i++) {
        nipc_cgroups_lookup_item_view_t item;
        must(nipc_cgroups_lookup_response_view_item(&view, i, &item), "an item");
        check_item(right_cgroup(&item, &p->things[i], label_count(p->options)), i);
    }
    answered(p, 1, about->count);
}

static size_t ask_apps(struct pipeline *p, struct asked *about) {
    nipc_apps_lookup_request_builder_t builder = {0};
    size_t len, count = next_count(p, about);
    must(nipc_apps_lookup_request_builder_init(&builder, p->payload, p->room, count), "a builder");
    for (size_t i = 0; i < count; i++)
        must(nipc_apps_lookup_request_builder_push(&builder, p->things[i].pid), "a key");
    must(nipc_apps_lookup_request_builder_finish(&builder, &len), "a request");
    return len;
}

static void check_apps(struct pipeline *p, const struct asked *about, const nipc_message_view_t *message) {
    nipc_apps_lookup_response_view_t view;
    must(nipc_apps_lookup_response_decode(message->payload, message->payload_len, &view), "an answer");
    check_head(p, about, view.generation, view.count);
    for (size_t i = 0; i < view.count; i++) {
        nipc_apps_lookup_item_view_t item;
        must(nipc_apps_lookup_response_view_item(&view, i, &item), "an item");
        check_item(right_app(&item, &p->things[i], label_count(p->options)), i);
    }
    answered(p, 1, about->count);
}

static size_t ask_asns(struct pipeline *p, struct asked *about) {
    nipc_ip_to_asn_request_builder_t builder = {0};
    size_t len, count = next_count(p, about);
    must(nipc_ip_to_asn_request_builder_init(&builder, p->payload, p->room, count), "a builder");
    for (size_t i = 0; i < count; i++)
        must(nipc_ip_to_asn_request_builder_push(&builder, p->things[i].ip), "a key");
    must(nipc_ip_to_asn_request_builder_finish(&builder, &len), "a request");
    return len;
}

static void check_asns(struct pipeline *p, const struct asked *about, const nipc_message_view_t *message) {
    nipc_ip_to_asn_response_view_t view;
    must(nipc_ip_to_asn_response_decode(message->payload, message->payload_len, &view), "an answer");
    check_head(p, about, view.generation, view.count);
    for (size_t i = 0; i < view.count; i++) {
        nipc_ip_to_asn_item_view_t item;
        must(nipc_ip_to_asn_response_view_item(&view, i, &item), "an item");
        check_item(right_asn(&item, &p->things[i]), i);
    }
    answered(p, 1, about->count);
}

static const struct questions QUESTIONS[] = {
    {"pipeline", NIPC_INCREMENT_METHOD, ask_number, check_one},
    {"pipeline-batch", NIPC_INCREMENT_METHOD, ask_batch, check_batch},
    {"pipeline-reverse", NIPC_STRING_REVERSE_METHOD, ask_text, check_text},
    {"pipeline-snapshot", NIPC_CGROUPS_SNAPSHOT_METHOD, ask_snapshot, check_groups},
    {"pipeline-cgroups-lookup", NIPC_CGROUPS_LOOKUP_METHOD, ask_cgroups, check_cgroups},
    {"pipeline-apps-lookup", NIPC_APPS_LOOKUP_METHOD, ask_apps, check_apps},
    {"pipeline-asn-lookup", NIPC_IP_TO_ASN_METHOD, ask_asns, check_asns},
};

struct caller *make_pipeline(const struct options *o, size_t place) {
    struct pipeline *p = memory(1, sizeof *p);
    p->caller = (struct caller){.turn = turn, .settle = settle, .per_turn = 1};
    p->options = o;
    for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS; i++)
        if (plays(o, QUESTIONS[i].scenario))
            p->questions = &QUESTIONS[i];
    if (!p->questions)
        fail("this driver does not play %s", o->scenario);
    p->room = BATCH_BYTES;
    p->payload = memory(p->room, 1);
    p->value = chain_start(place);
    p->random = random_seed(place);
    p->most = o->items < BATCH_ITEMS ? o->items : BATCH_ITEMS;
    p->text = memory(o->bytes, 1);
    p->groups = make_groups(o->items);
    p->things = make_things(o);
    connect_by_hand(o, &p->session);
    return &p->caller;
}
