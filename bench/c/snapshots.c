/* Clients and caches of snapshots. Each answer is compared with what contents.c says, all of it. */
#include "driver.h"

#include <stdlib.h>

/* Items of a cache that are found before the clock is looked at. */
#define FINDS_PER_TURN 4096

bool right_group(const nipc_cgroups_snapshot_item_view_t *item, const struct group *group) {
    return item->hash == group->hash && item->options == group->options && item->enabled == group->enabled &&
           same(item->name, group->name) && same(item->path, group->path);
}

static void check_generation(uint64_t expected, uint64_t answered) {
    if (answered != expected)
        wrong("the generation", expected, answered);
}

static void check_count(size_t expected, size_t answered) {
    if (answered != expected)
        wrong("how many items", expected, answered);
}

static _Noreturn void other_item(size_t index) {
    fail("wrong answer: item of the snapshot %zu is another than it must be", index);
}

void check_snapshot(const nipc_cgroups_snapshot_response_view_t *view, const struct group *groups, size_t count,
                    uint64_t generation) {
    check_generation(generation, view->generation);
    if (view->systemd_enabled != 1)
        wrong("whether there is systemd", 1, view->systemd_enabled);
    check_count(count, view->count);
    for (size_t i = 0; i < count; i++) {
        nipc_cgroups_snapshot_item_view_t item;
        must(nipc_cgroups_snapshot_response_view_item(view, i, &item), "an item of a snapshot");
        if (!right_group(&item, &groups[i]))
            other_item(i);
    }
}

/* Fetches a snapshot, and reads all of it in place. */
struct fetches {
    struct caller caller;
    nipc_client_ctx_t client;
    const struct group *groups;
    size_t count;
    uint64_t generation;
};

static uint64_t fetches_turn(struct caller *caller) {
    struct fetches *f = (struct fetches *)caller;
    nipc_cgroups_snapshot_response_view_t answer;
    must(nipc_cgroups_snapshot_call(&f->client, &answer), "a snapshot");
    check_snapshot(&answer, f->groups, f->count, f->generation);
    caller->answered.calls++;
    caller->answered.requests++;
    caller->answered.items += f->count;
    return 0;
}

static void fetches_expect(struct caller *caller, uint64_t generation) {
    ((struct fetches *)caller)->generation = generation;
}

struct caller *make_fetches(const struct options *o) {
    struct fetches *f = memory(1, sizeof *f);
    f->caller = (struct caller){.turn = fetches_turn, .expect_generation = fetches_expect, .per_turn = 1};
    f->groups = make_groups(o->items);
    f->count = o->items;
    f->generation = o->generation;
    nipc_client_config_t config = client_config(o);
    must(nipc_cgroups_snapshot_client_init(&f->client, o->run_dir, o->service, &config), "a client of snapshots");
    connected(o, &f->client);
    return &f->caller;
}

/* Refreshes a cache and reads all of it; or finds every item of a filled one, over and over. */
struct caches {
    struct caller caller;
    nipc_cgroups_cache_t cache;
    const struct group *groups;
    size_t count;
    /* The generation that the next answer has at least, and by how much it grows with each. */
    uint64_t generation, step;
    size_t next;
    bool load_each;
};

static void lock(const struct caches *c, nipc_cgroups_cache_guard_t *guard) {
    must(nipc_cgroups_cache_read_lock(&c->cache, guard), "a guard of the cache");
}

static void unlock(nipc_cgroups_cache_guard_t *guard) {
    must(nipc_cgroups_cache_read_unlock(guard), "letting go of a guard");
}

/* That the cache holds all items. Answers its generation. */
static uint64_t check_cache(const struct caches *c) {
    nipc_cgroups_cache_guard_t guard = {0};
    lock(c, &guard);
    check_count(c->count, nipc_cgroups_cache_count(&guard));
    for (size_t i = 0; i < c->count; i++) {
        nipc_cgroups_snapshot_item_view_t item;
        must(nipc_cgroups_cache_item(&guard, i, &item), "an item of the cache");
        if (!right_group(&item, &c->groups[i]))
            other_item(i);
    }
    uint64_t generation = nipc_cgroups_cache_generation(&guard);
    unlock(&guard);
    return generation;
}

static uint64_t refreshes_turn(struct caller *caller) {
    struct caches *c = (struct caches *)caller;
    must(nipc_cgroups_cache_refresh(&c->cache), "a refresh");
    uint64_t generation = check_cache(c);
    /* Where it changes, those of other clients lie between two of this one's. */
    if (generation < c->generation || (c->step == 0 && generation != c->generation))
        wrong("the generation", c->generation, generation);
    c->generation = generation + c->step;
    caller->answered.calls++;
    caller->answered.requests++;
    caller->answered.items += c->count;
    return 0;
}

static void refreshes_expect(struct caller *caller, uint64_t generation) {
    ((struct caches *)caller)->generation = generation;
}

static void refreshes_expect_nobody(struct caller *caller) {
    struct caches *c = (struct caches *)caller;
    if (nipc_cgroups_cache_refresh(&c->cache) == NIPC_OK)
        fail("a refresh that nobody answered came out well");
    check_generation(c->generation, check_cache(c));
}

static uint64_t reads_turn(struct caller *caller) {
    struct caches *c = (struct caches *)caller;
    nipc_cgroups_cache_guard_t guard = {0};
    lock(c, &guard);
    for (size_t i = 0; i < FINDS_PER_TURN; i++) {
        if (c->load_each) {
            unlock(&guard);
            lock(c, &guard);
        }
        /* What was found has this hash and name, or it would not have been found; that it is the item of this
         * index, its own options say. */
        const struct group *group = &c->groups[c->next];
        nipc_cgroups_snapshot_item_view_t item;
        if (nipc_cgroups_cache_get(&guard, group->hash, group->name, &item) != NIPC_OK ||
            item.options != group->options)
            fail("wrong answer: item of the cache %zu is another than it must be", c->next);
        if (++c->next == c->count)
            c->next = 0;
    }
    unlock(&guard);
    caller->answered.calls += FINDS_PER_TURN;
    caller->answered.items += FINDS_PER_TURN;
    return 0;
}

static struct caches *filled(const struct options *o) {
    struct caches *c = memory(1, sizeof *c);
    c->groups = make_groups(o->items);
    c->count = o->items;
    nipc_client_config_t config = client_config(o);
    nipc_cache_status_t status;
    must(nipc_cgroups_cache_init(&c->cache, o->run_dir, o->service, &config), "a cache");
    must(nipc_cgroups_cache_refresh(&c->cache), "a refresh");
    must(nipc_cgroups_cache_status(&c->cache, &status), "status");
    check_session(o, &status.client);
    check_generation(o->generation, check_cache(c));
    return c;
}

struct caller *make_refreshes(const struct options *o) {
    struct caches *c = filled(o);
    c->step = plays(o, "snapshot-changing");
    c->generation = o->generation + c->step;
    c->caller = (struct caller){
        .turn = refreshes_turn,
        .expect_generation = refreshes_expect,
        .expect_nobody = refreshes_expect_nobody,
        .per_turn = 1,
        /* The refresh that filled it is a call. */
        .answered = {1, 1, o->items},
    };
    return &c->caller;
}

struct caller *make_cache_reads(const struct options *o, bool load_each) {
    struct caches *c = filled(o);
    if (c->count == 0)
        fail("a cache without items has nothing to find");
    c->load_each = load_each;
    c->caller = (struct caller){.turn = reads_turn, .per_turn = FINDS_PER_TURN};
    return &c->caller;
}
