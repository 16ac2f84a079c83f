/* The server's end: serves a scenario, and tells its runner what was handled. */
#include "driver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Sessions beside those of the clients that were announced: one that leaves may still be counted when the next
 * one comes. */
#define SPARE_SESSIONS 8
#define CACHE_LINE 64

/*
 * How many requests were handled: each thread that runs handlers counts on a cache line of its own, for what
 * they share would cost more than a short handler does.
 */
struct shard {
    _Alignas(CACHE_LINE) _Atomic uint64_t count;
    struct shard *next;
};

static struct shard *shards;
static pthread_mutex_t shards_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct shard *own;

static struct shard *new_shard(void) {
    struct shard *shard = lines_of_memory(CACHE_LINE, sizeof *shard);
    atomic_init(&shard->count, 0);
    pthread_mutex_lock(&shards_lock);
    shard->next = shards;
    shards = shard;
    pthread_mutex_unlock(&shards_lock);
    return shard;
}

bool count_request(const struct options *options) {
    if (!own)
        own = new_shard();
    /* Only this thread writes it. */
    uint64_t count = atomic_load_explicit(&own->count, memory_order_relaxed) + 1;
    atomic_store_explicit(&own->count, count, memory_order_relaxed);
    return count > options->wrong_after;
}

static uint64_t handled(void) {
    uint64_t sum = 0;
    pthread_mutex_lock(&shards_lock);
    for (struct shard *shard = shards; shard; shard = shard->next)
        sum += atomic_load_explicit(&shard->count, memory_order_relaxed);
    pthread_mutex_unlock(&shards_lock);
    return sum;
}

uint64_t answer_generation(const struct options *options) {
    return count_request(options) ? options->generation + 1 : options->generation;
}

/* What a service has, for its handlers. */
struct provider {
    const struct options *options;
    const struct group *groups;
    const struct thing *things;
    /* The next generation of a snapshot that changes. */
    _Atomic uint64_t next;
};

static nipc_error_t increment(void *context, const nipc_request_context_t *who,
                              const nipc_increment_request_view_t *request,
                              nipc_increment_response_builder_t *response) {
    (void)who;
    const struct provider *provider = context;
    nipc_increment_response_t answer = {.value = request->value + (count_request(provider->options) ? 2 : 1)};
    return nipc_increment_response_builder_set(response, &answer);
}

/* A string, backwards, in memory of this thread. */
static _Thread_local struct {
    char *bytes;
    size_t room;
} reversed;

static nipc_error_t reverse(void *context, const nipc_request_context_t *who,
                            const nipc_string_reverse_request_view_t *request,
                            nipc_string_reverse_response_builder_t *response) {
    (void)who;
    const struct provider *provider = context;
    nipc_str_t text = request->bytes;
    if (reversed.room < text.len) {
        free(reversed.bytes);
        reversed.bytes = memory(text.len, 1);
        reversed.room = text.len;
    }
    for (size_t i = 0; i < text.len; i++)
        reversed.bytes[i] = text.ptr[text.len - 1 - i];
    /* Where it is to be wrong, it is not reversed. */
    bool is_wrong = count_request(provider->options);
    nipc_string_reverse_response_t answer = {.bytes = {is_wrong ? text.ptr : reversed.bytes, text.len}};
    return nipc_string_reverse_response_builder_set(response, &answer);
}

static nipc_error_t snapshot(void *context, const nipc_request_context_t *who,
                             nipc_cgroups_snapshot_response_builder_t *response) {
    (void)who;
    struct provider *provider = context;
    const struct options *o = provider->options;
    uint64_t generation;
    if (plays(o, "snapshot-changing"))
        generation = count_request(o) ? 0 : atomic_fetch_add_explicit(&provider->next, 1, memory_order_relaxed);
    else
        generation = answer_generation(o);
    nipc_error_t error = nipc_cgroups_snapshot_response_builder_generation(response, generation);
    if (error == NIPC_OK)
        error = nipc_cgroups_snapshot_response_builder_systemd_enabled(response, 1);
    for (size_t i = 0; error == NIPC_OK && i < o->items; i++) {
        const struct group *group = &provider->groups[i];
        nipc_cgroups_snapshot_item_t item = NIPC_CGROUPS_SNAPSHOT_ITEM_INIT;
        item.hash = group->hash;
        item.options = group->options;
        item.enabled = group->enabled;
        item.name = group->name;
        item.path = group->path;
        error = nipc_cgroups_snapshot_response_builder_item(response, &item);
    }
    return error;
}

static nipc_error_t cgroups(void *context, const nipc_request_context_t *who,
                            const nipc_cgroups_lookup_request_view_t *request,
                            nipc_cgroups_lookup_response_builder_t *response) {
    (void)who;
    const struct provider *p = context;
    nipc_error_t error =
        nipc_cgroups_lookup_response_builder_generation(response, answer_generation(p->options));
    return error == NIPC_OK ? answer_cgroups(p->options, p->things, request, response) : error;
}

static nipc_error_t apps(void *context, const nipc_request_context_t *who,
                         const nipc_apps_lookup_request_view_t *request,
                         nipc_apps_lookup_response_builder_t *response) {
    (void)who;
    const struct provider *p = context;
    nipc_error_t error = nipc_apps_lookup_response_builder_generation(response, answer_generation(p->options));
    return error == NIPC_OK ? answer_apps(p->options, p->things, request, response) : error;
}

static nipc_error_t asns(void *context, const nipc_request_context_t *who,
                         const nipc_ip_to_asn_request_view_t *request, nipc_ip_to_asn_response_builder_t *response) {
    (void)who;
    const struct provider *p = context;
    nipc_error_t error = nipc_ip_to_asn_response_builder_generation(response, answer_generation(p->options));
    return error == NIPC_OK ? answer_asns(p->things, p->options->items, request, response) : error;
}

static bool is_one_of(const struct options *o, const char *const *scenarios) {
    while (*scenarios && !plays(o, *scenarios))
        scenarios++;
    return *scenarios != NULL;
}

static nipc_handler_t handler(struct provider *provider) {
    static const char *const REVERSES[] = {"reverse", "reverse-batch", "pipeline-reverse", NULL};
    static const char *const SNAPSHOTS[] = {"snapshot", "snapshot-changing", "fetch", "cache", "cache-load",
                                            "pipeline-snapshot", NULL};
    static const char *const CGROUPS[] = {"cgroups-lookup", "pipeline-cgroups-lookup", NULL};
    static const char *const APPS[] = {"apps-lookup", "pipeline-apps-lookup", NULL};
    static const char *const ASNS[] = {"asn-lookup", "pipeline-asn-lookup", NULL};
    const struct options *o = provider->options;
    if (is_one_of(o, REVERSES))
        return nipc_string_reverse_handler(reverse, provider);
    if (is_one_of(o, SNAPSHOTS)) {
        provider->groups = make_groups(o->items);
        return nipc_cgroups_snapshot_handler(snapshot, provider);
    }
    provider->things = make_things(o);
    if (is_one_of(o, CGROUPS))
        return nipc_cgroups_lookup_handler(cgroups, provider);
    if (is_one_of(o, APPS))
        return nipc_apps_lookup_handler(apps, provider);
    if (is_one_of(o, ASNS))
        return nipc_ip_to_asn_handler(asns, provider);
    return nipc_increment_handler(increment, provider);
}

static void say_counts(const nipc_managed_server_t *server) {
    nipc_server_status_t s;
    must(nipc_server_status(server, &s), "the status");
    const nipc_handshake_counts_t *h = &s.handshakes;
    unsigned long long refused =
        h->busy + h->auth_failed + h->incompatible + h->limit_exceeded + h->malformed + h->timed_out + h->displaced;
    unsigned long long declined =
        s.calls_unsupported + s.calls_bad_envelope + s.calls_limit_exceeded + s.calls_internal_error;
    unsigned long long ended =
        s.ended_answered + s.ended_violated + s.ended_chunk_gap + s.ended_not_read + s.ended_failed;
    say("{\"event\":\"counts\",\"refused_handshakes\":%llu,\"auth_failed\":%llu,\"declined_requests\":%llu,"
        "\"ended_sessions\":%llu}",
        refused, (unsigned long long)h->auth_failed, declined, ended);
}

/* Level 1 has no server, and counts nothing. */
static void answer_runner(const nipc_managed_server_t *server) {
    say("{\"event\":\"ready\"}");
    for (const char *word = hear(); word; word = hear()) {
        if (strcmp(word, "mark") == 0)
            say("{\"event\":\"mark\",\"handled\":%llu,\"cpu_ns\":%llu}", (unsigned long long)handled(),
                (unsigned long long)cpu_ns());
        else if (server && strcmp(word, "counts") == 0)
            say_counts(server);
        else if (strncmp(word, FORK_LIVING, strlen(FORK_LIVING)) == 0) {
            fork_living(word + strlen(FORK_LIVING));
            say("{\"event\":\"ready\"}");
        } else if (strcmp(word, "memory") == 0)
            say("{\"event\":\"memory\",\"rss_kib\":%llu}", (unsigned long long)rss_kib());
        else
            fail("unknown word: %s", word);
    }
}

static void wait_for(const char *expected) {
    const char *word = hear();
    if (!word || strcmp(word, expected) != 0)
        fail("the runner left");
}

void serve(const struct options *o) {
    if (*o->after)
        wait_for(o->after);
    if (plays(o, "ping-level1")) {
        serve_by_hand(o);
        answer_runner(NULL);
        /* Its threads end with the process, as their sessions do. */
        return;
    }
    struct provider provider = {.options = o};
    atomic_init(&provider.next, o->generation);
    nipc_server_config_t config = {0};
    config.supported_profiles = o->supported;
    config.preferred_profiles = o->preferred;
    config.max_sessions = (uint32_t)o->clients + SPARE_SESSIONS;
    nipc_managed_server_t server = {0};
    must(nipc_server_init_typed(&server, o->run_dir, o->service, &config, o->workers, handler(&provider)), "a server");
    must(nipc_server_start(&server), "starting");
    answer_runner(&server);
    must(nipc_server_destroy(&server), "stopping");
}
