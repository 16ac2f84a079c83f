/* Once buffers have grown, calls, batches, lookups and reads of a cache allocate nothing: neither in the
 * client nor in the server, which are one process here. The program has a malloc of its own, which counts.
 * Not for sanitizers, which have theirs. */
#include "support.h"

#include <errno.h>
#include <stdatomic.h>

#include <netipc/services.h>

#define WARM_UP_ROUNDS 200u
#define ROUNDS 2000u
/* Allocations of the server's event loop are at least so many rounds apart. */
#define MIN_ROUNDS_AN_ALLOCATION 100u
#define KEYS 32u
#define GROUPS 100u

/* What the C library's own malloc is called there. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static _Atomic size_t allocations;

void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    *memory = __libc_memalign(alignment, size);
    return *memory == NULL ? ENOMEM : 0;
}

void free(void *memory)
{
    __libc_free(memory);
}

/* ------------------------------------------------------------------------------------------- handlers */

static nipc_error_t increment(void *context, const nipc_request_context_t *who,
                              const nipc_increment_request_view_t *request,
                              nipc_increment_response_builder_t *response)
{
    (void)context;
    (void)who;
    nipc_increment_response_t answer = {request->value + 1};
    return nipc_increment_response_builder_set(response, &answer);
}

static nipc_error_t cgroups(void *context, const nipc_request_context_t *who,
                            const nipc_cgroups_lookup_request_view_t *request,
                            nipc_cgroups_lookup_response_builder_t *response)
{
    (void)context;
    (void)who;
    nipc_label_t label = {nipc_str("image"), nipc_str("nginx")};
    nipc_cgroups_lookup_item_t item = NIPC_CGROUPS_LOOKUP_ITEM_INIT;
    item.name = nipc_str("named");
    item.labels = &label;
    item.label_count = 1;
    nipc_error_t error = NIPC_OK;
    for (size_t index = 0; index < request->count && error == NIPC_OK; index++) {
        CHECK_OK(nipc_cgroups_lookup_request_view_key(request, index, &item.path));
        error = nipc_cgroups_lookup_response_builder_known(response, &item);
    }
    return error;
}

static nipc_error_t snapshot(void *context, const nipc_request_context_t *who,
                             nipc_cgroups_snapshot_response_builder_t *response)
{
    (void)context;
    (void)who;
    nipc_cgroups_snapshot_item_t item = NIPC_CGROUPS_SNAPSHOT_ITEM_INIT;
    item.name = nipc_str("group");
    item.path = nipc_str("/some/where");
    nipc_error_t error = NIPC_OK;
    for (item.hash = 0; item.hash < GROUPS && error == NIPC_OK; item.hash++) {
        error = nipc_cgroups_snapshot_response_builder_item(response, &item);
    }
    return error;
}

/* -------------------------------------------------------------------------------------------- a round */

typedef struct consumer {
    nipc_client_ctx_t increments;
    nipc_client_ctx_t lookups;
    nipc_client_ctx_t snapshots;
    nipc_cgroups_cache_t cache;
} consumer_t;

static void round_of(consumer_t *consumer)
{
    nipc_increment_request_t requests[KEYS];
    nipc_str_t paths[KEYS];
    for (size_t index = 0; index < KEYS; index++) {
        requests[index].value = index;
        paths[index] = nipc_str("/a/path/of/some/length");
    }
    nipc_increment_response_view_t answer;
    CHECK_OK(nipc_increment_call(&consumer->increments, requests, &answer));
    nipc_increment_batch_view_t answers;
    CHECK_OK(nipc_increment_batch(&consumer->increments, requests, KEYS, &answers));
    CHECK_OK(nipc_increment_batch_view_get(&answers, KEYS - 1, &answer));
    CHECK(answer.value == KEYS);

    nipc_cgroups_lookup_answer_view_t looked_up;
    nipc_cgroups_lookup_item_view_t item;
    nipc_label_t label;
    CHECK_OK(nipc_cgroups_lookup_call(&consumer->lookups, paths, KEYS, &looked_up));
    for (size_t index = 0; index < KEYS; index++) {
        CHECK_OK(nipc_cgroups_lookup_answer_view_item(&looked_up, index, &item));
        CHECK_OK(nipc_labels_view_get(&item.labels, 0, &label));
    }

    nipc_cgroups_snapshot_response_view_t all;
    CHECK_OK(nipc_cgroups_snapshot_call(&consumer->snapshots, &all));
    CHECK(all.count == GROUPS);

    nipc_cgroups_snapshot_item_view_t group;
    nipc_cgroups_cache_guard_t guard;
    memset(&guard, 0, sizeof(guard));
    CHECK_OK(nipc_cgroups_cache_refresh(&consumer->cache)); /* the same again: nothing is kept anew */
    CHECK_OK(nipc_cgroups_cache_read_lock(&consumer->cache, &guard));
    CHECK_OK(nipc_cgroups_cache_get(&guard, 7, nipc_str("group"), &group));
    CHECK_OK(nipc_cgroups_cache_read_unlock(&guard));
}

static void count(const char *run_dir, uint32_t profiles)
{
    nipc_server_config_t served = NIPC_SERVER_CONFIG_INIT;
    nipc_client_config_t asked = NIPC_CLIENT_CONFIG_INIT;
    served.supported_profiles = asked.supported_profiles = profiles;
    served.preferred_profiles = asked.preferred_profiles = profiles;

    nipc_host_t host = NIPC_HOST_INIT;
    CHECK_OK(nipc_host_init(&host, 1));
    CHECK_OK(nipc_host_add(&host, run_dir, NIPC_INCREMENT_SERVICE, &served, nipc_increment_handler(increment, NULL)));
    CHECK_OK(nipc_host_add(&host, run_dir, NIPC_CGROUPS_LOOKUP_SERVICE, &served,
                           nipc_cgroups_lookup_handler(cgroups, NULL)));
    CHECK_OK(nipc_host_add(&host, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, &served,
                           nipc_cgroups_snapshot_handler(snapshot, NULL)));
    CHECK_OK(nipc_host_start(&host));

    consumer_t consumer;
    memset(&consumer, 0, sizeof(consumer));
    CHECK_OK(nipc_client_init(&consumer.increments, run_dir, NIPC_INCREMENT_SERVICE, &asked));
    CHECK_OK(nipc_client_init(&consumer.lookups, run_dir, NIPC_CGROUPS_LOOKUP_SERVICE, &asked));
    CHECK_OK(nipc_client_init(&consumer.snapshots, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, &asked));
    CHECK_OK(nipc_cgroups_cache_init(&consumer.cache, run_dir, NIPC_CGROUPS_SNAPSHOT_SERVICE, &asked));
    CHECK_OK(nipc_client_refresh(&consumer.increments, NULL));
    CHECK_OK(nipc_client_refresh(&consumer.lookups, NULL));
    CHECK_OK(nipc_client_refresh(&consumer.snapshots, NULL));
    for (size_t rounds = 0; rounds < WARM_UP_ROUNDS; rounds++) {
        round_of(&consumer);
    }
    size_t before = atomic_load(&allocations);
    for (size_t rounds = 0; rounds < ROUNDS; rounds++) {
        round_of(&consumer);
    }
    size_t made = atomic_load(&allocations) - before;
    printf("%u rounds over profiles %#x: %zu allocations\n", ROUNDS, profiles, made);
    CHECK(before > 0); /* the library's are counted */
    /* On a busy machine a worker is set aside in the midst of a handler, and the event loop reads in its stead,
     * into memory of its own: that is never one a round. Over shared memory nobody reads for another. */
    CHECK(made <= (profiles == NIPC_PROFILE_BASELINE ? ROUNDS / MIN_ROUNDS_AN_ALLOCATION : 0));

    CHECK_OK(nipc_client_close(&consumer.increments));
    CHECK_OK(nipc_client_close(&consumer.lookups));
    CHECK_OK(nipc_client_close(&consumer.snapshots));
    CHECK_OK(nipc_cgroups_cache_close(&consumer.cache));
    CHECK_OK(nipc_host_destroy(&host));
}

int main(void)
{
    static const char *const SERVICES[] = {NIPC_INCREMENT_SERVICE, NIPC_CGROUPS_LOOKUP_SERVICE,
                                           NIPC_CGROUPS_SNAPSHOT_SERVICE, NULL};
    const char *run_dir = make_run_dir();
    count(run_dir, NIPC_PROFILE_BASELINE);
    count(run_dir, NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID);
    remove_run_dir(run_dir, SERVICES);
    return 0;
}
