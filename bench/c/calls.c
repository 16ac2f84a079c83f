/* Clients of calls: one number or one string after the other, and numbers and strings in batches. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

/* Chains of two clients are this far apart, so that no two ask for one number. */
#define CHAIN_DISTANCE (UINT64_C(1) << 40)
/* How many strings a client sends in turn. */
#define STRINGS 4
/* The most items of a batch unless configured. */
#define DEFAULT_BATCH_ITEMS 1024
/* A string has at least its number. */
#define NUMBER_BYTES 8

uint64_t chain_start(size_t place) { return ((uint64_t)place + 1) * CHAIN_DISTANCE; }

uint64_t random_seed(size_t place) { return UINT64_C(0x9E3779B97F4A7C15) ^ ((uint64_t)place + 1); }

size_t random_up_to(uint64_t *state, size_t most) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (size_t)(*state % most) + 1;
}

nipc_client_config_t client_config(const struct options *o) {
    nipc_client_config_t config = {0};
    config.supported_profiles = o->supported;
    config.preferred_profiles = o->preferred;
    config.call_timeout_ms = PATIENCE_MS;
    if ((plays(o, "batch") || plays(o, "reverse-batch")) && o->items > DEFAULT_BATCH_ITEMS)
        config.max_request_batch_items = (uint32_t)o->items;
    return config;
}

void check_session(const struct options *options, const nipc_client_status_t *status) {
    if (!status->has_session)
        fail("no session: %s", status->reason);
    check_selected(options, status->terms.profile);
}

static nipc_client_ctx_t *last;

void refresh_last(void) {
    bool changed;
    if (last)
        must(nipc_client_refresh(last, &changed), "refresh");
}

void connected(const struct options *options, nipc_client_ctx_t *client) {
    last = client;
    nipc_client_status_t status;
    bool changed;
    must(nipc_client_refresh(client, &changed), "refresh");
    must(nipc_client_status(client, &status), "status");
    check_session(options, &status);
}

static void new_numbers(const struct options *o, nipc_client_ctx_t *client) {
    nipc_client_config_t config = client_config(o);
    must(nipc_increment_client_init(client, o->run_dir, o->service, &config), "a client of increment");
    connected(o, client);
}

static void new_strings(const struct options *o, nipc_client_ctx_t *client) {
    nipc_client_config_t config = client_config(o);
    must(nipc_string_reverse_client_init(client, o->run_dir, o->service, &config), "a client of string-reverse");
    connected(o, client);
}

/* One call answered, of one request and one item. */
static void one_more(struct caller *caller) {
    caller->answered.calls++;
    caller->answered.requests++;
    caller->answered.items++;
}

/* One batch answered. */
static void batch_more(struct caller *caller, size_t count) {
    caller->answered.calls++;
    caller->answered.requests += count;
    caller->answered.items += count;
}

/* Asks for the number after the last answer. */
struct ping {
    struct caller caller;
    nipc_client_ctx_t client;
    uint64_t value;
};

static uint64_t ping_turn(struct caller *caller) {
    struct ping *ping = (struct ping *)caller;
    nipc_increment_request_t request = {.value = ping->value++};
    nipc_increment_response_view_t answer;
    must(nipc_increment_call(&ping->client, &request, &answer), "increment");
    if (answer.value != ping->value)
        wrong("increment", ping->value, answer.value);
    one_more(caller);
    return 0;
}

struct caller *make_ping(const struct options *options, size_t place) {
    struct ping *ping = memory(1, sizeof *ping);
    ping->caller = (struct caller){.turn = ping_turn, .per_turn = 1};
    ping->value = chain_start(place);
    new_numbers(options, &ping->client);
    return &ping->caller;
}

uint64_t ping_agreed_bytes(const struct caller *caller) {
    nipc_client_status_t status;
    must(nipc_client_status(&((const struct ping *)caller)->client, &status), "status");
    return (uint64_t)status.terms.max_request_payload_bytes + status.terms.max_response_payload_bytes;
}

/* Asks for random numbers of numbers in one message each. */
struct batches {
    struct caller caller;
    nipc_client_ctx_t client;
    nipc_increment_request_t *requests;
    size_t most;
    uint64_t value, random;
};

static uint64_t batches_turn(struct caller *caller) {
    struct batches *b = (struct batches *)caller;
    /* The first, while warming up, is as long as any: what limits must grow to. */
    size_t count = caller->answered.calls == 0 ? b->most : random_up_to(&b->random, b->most);
    for (size_t i = 0; i < count; i++)
        b->requests[i].value = b->value + i;
    nipc_increment_batch_view_t answers;
    must(nipc_increment_batch(&b->client, b->requests, count, &answers), "a batch of increments");
    if (answers.count != count)
        wrong("how many items", count, answers.count);
    for (size_t i = 0; i < count; i++) {
        nipc_increment_response_view_t answer;
        must(nipc_increment_batch_view_get(&answers, i, &answer), "an item of a batch");
        if (answer.value != ++b->value)
            wrong("an item of a batch", b->value, answer.value);
    }
    batch_more(caller, count);
    return 0;
}

struct caller *make_batches(const struct options *options, size_t place) {
    struct batches *b = memory(1, sizeof *b);
    b->caller = (struct caller){.turn = batches_turn, .per_turn = 1};
    b->most = options->items;
    b->requests = memory(b->most, sizeof *b->requests);
    b->value = chain_start(place);
    b->random = random_seed(place);
    new_numbers(options, &b->client);
    return &b->caller;
}

/* Asks for strings backwards. Each carries the number of its call. */
struct reverses {
    struct caller caller;
    nipc_client_ctx_t client;
    size_t bytes;
    char *text[STRINGS], *backwards[STRINGS];
};

static uint64_t reverses_turn(struct caller *caller) {
    struct reverses *r = (struct reverses *)caller;
    uint64_t number = caller->answered.calls;
    char *text = r->text[number % STRINGS], *backwards = r->backwards[number % STRINGS];
    for (size_t i = 0; i < NUMBER_BYTES; i++) {
        char byte = (char)(number >> 8 * (NUMBER_BYTES - 1 - i));
        text[i] = byte;
        backwards[r->bytes - 1 - i] = byte;
    }
    nipc_string_reverse_request_t request = {.bytes = {text, r->bytes}};
    nipc_string_reverse_response_view_t answer;
    must(nipc_string_reverse_call(&r->client, &request, &answer), "string-reverse");
    if (!same(answer.bytes, (nipc_str_t){backwards, r->bytes}))
        fail("wrong answer to string %llu", (unsigned long long)number);
    one_more(caller);
    return 0;
}

struct caller *make_reverses(const struct options *options) {
    struct reverses *r = memory(1, sizeof *r);
    r->caller = (struct caller){.turn = reverses_turn, .per_turn = 1};
    r->bytes = options->bytes;
    if (r->bytes < NUMBER_BYTES)
        fail("a string has at least %d bytes", NUMBER_BYTES);
    for (size_t string = 0; string < STRINGS; string++) {
        r->text[string] = memory(r->bytes, 1);
        r->backwards[string] = memory(r->bytes, 1);
        for (size_t at = 0; at < r->bytes; at++)
            r->text[string][at] = r->backwards[string][r->bytes - 1 - at] = (char)(at * (string + 1) % 251);
    }
    new_strings(options, &r->client);
    return &r->caller;
}

/* Asks for random numbers of strings backwards in one message each. Each string says which it is. */
struct reverse_batches {
    struct caller caller;
    nipc_client_ctx_t client;
    nipc_string_reverse_request_t *requests;
    char *texts;
    size_t most, bytes;
    uint64_t random;
};

static char number_byte(uint64_t number, size_t at) {
    return (char)(number >> 8 * (NUMBER_BYTES - 1 - at % NUMBER_BYTES));
}

static uint64_t reverse_batches_turn(struct caller *caller) {
    struct reverse_batches *r = (struct reverse_batches *)caller;
    /* The first, while warming up, is as long as any: what limits must grow to. */
    size_t count = caller->answered.calls == 0 ? r->most : random_up_to(&r->random, r->most);
    uint64_t first = caller->answered.items;
    for (size_t i = 0; i < count; i++) {
        char *text = r->texts + i * r->bytes;
        for (size_t at = 0; at < r->bytes; at++)
            text[at] = number_byte(first + i, at);
        r->requests[i].bytes = (nipc_str_t){text, r->bytes};
    }
    nipc_string_reverse_batch_view_t answers;
    must(nipc_string_reverse_batch(&r->client, r->requests, count, &answers), "a batch of strings");
    if (answers.count != count)
        wrong("how many items", count, answers.count);
    for (size_t i = 0; i < count; i++) {
        nipc_string_reverse_response_view_t answer;
        must(nipc_string_reverse_batch_view_get(&answers, i, &answer), "an item of a batch");
        bool right = answer.bytes.len == r->bytes;
        for (size_t at = 0; right && at < r->bytes; at++)
            right = answer.bytes.ptr[r->bytes - 1 - at] == number_byte(first + i, at);
        if (!right)
            fail("wrong answer to string %llu", (unsigned long long)(first + i));
    }
    batch_more(caller, count);
    return 0;
}

struct caller *make_reverse_batches(const struct options *options, size_t place) {
    struct reverse_batches *r = memory(1, sizeof *r);
    r->caller = (struct caller){.turn = reverse_batches_turn, .per_turn = 1};
    r->most = options->items;
    r->bytes = options->bytes;
    r->requests = memory(r->most, sizeof *r->requests);
    r->texts = memory(r->most, r->bytes);
    r->random = random_seed(place);
    new_strings(options, &r->client);
    return &r->caller;
}
