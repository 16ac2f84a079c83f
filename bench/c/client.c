/*
 * The client's end: as many clients as asked, each in a thread, measured between "go" and the last answer; or
 * one, which makes its turns whenever it is told to.
 */
#include "driver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

static struct caller *make_caller(const struct options *o, size_t place) {
    if (plays(o, "ping-level1"))
        return make_level1_ping(o, place);
    if (plays(o, "ping-level2"))
        return make_ping(o, place);
    if (plays(o, "batch"))
        return make_batches(o, place);
    if (plays(o, "reverse"))
        return make_reverses(o);
    if (plays(o, "reverse-batch"))
        return make_reverse_batches(o, place);
    if (strncmp(o->scenario, "pipeline", strlen("pipeline")) == 0)
        return make_pipeline(o, place);
    if (plays(o, "snapshot") || plays(o, "snapshot-changing"))
        return make_refreshes(o);
    if (plays(o, "fetch"))
        return make_fetches(o);
    if (plays(o, "cache") || plays(o, "cache-load"))
        return make_cache_reads(o, plays(o, "cache-load"));
    if (plays(o, "cgroups-lookup"))
        return make_cgroups_lookups(o);
    if (plays(o, "apps-lookup"))
        return make_apps_lookups(o);
    if (plays(o, "asn-lookup"))
        return make_asn_lookups(o);
    if (plays(o, "codec-cgroups-lookup"))
        return make_cgroups_codec(o);
    if (plays(o, "codec-apps-lookup"))
        return make_apps_codec(o);
    fail("this driver does not play %s", o->scenario);
}

/* One client, in its thread. */
struct share {
    const struct options *options;
    size_t place;
    /* All are warm, and then all begin: two meetings. */
    pthread_barrier_t *meeting;
    struct caller *caller;
    struct answered answered;
    struct latencies *latencies;
    uint64_t took_ns;
};

/* Held by the client that makes its session: a handshake may take 5 s, and all at once would share them. */
static pthread_mutex_t coming = PTHREAD_MUTEX_INITIALIZER;

static void *one(void *argument) {
    struct share *share = argument;
    const struct options *o = share->options;
    pthread_mutex_lock(&coming);
    struct caller *caller = share->caller = make_caller(o, share->place);
    pthread_mutex_unlock(&coming);
    struct pace pace = {o->rate / (double)o->clients, share->place, o->clients, o->warmup_seconds, 1};
    uint64_t before_warming = caller->answered.calls;
    uint64_t took_ns = run_calls(caller, &pace, make_latencies());
    uint64_t turns = (caller->answered.calls - before_warming) / caller->per_turn;
    pace.turns_per_timing = turns_per_timing(turns, took_ns);
    pace.seconds = o->seconds;
    share->latencies = make_latencies();
    pthread_barrier_wait(share->meeting);
    pthread_barrier_wait(share->meeting);
    struct answered before = caller->answered;
    share->took_ns = run_calls(caller, &pace, share->latencies);
    share->answered.calls = caller->answered.calls - before.calls;
    share->answered.requests = caller->answered.requests - before.requests;
    share->answered.items = caller->answered.items - before.items;
    return NULL;
}

static void wait_for_go(void) {
    say("{\"event\":\"ready\"}");
    const char *word = hear();
    if (!word || strcmp(word, "go") != 0)
        fail("the runner left");
}

/* Says what was measured, and stays until the runner has looked at what it wants to. */
static void finish(const struct share *s, uint64_t used_ns, uint64_t agreed_bytes) {
    const struct latencies *l = s->latencies;
    say("{\"event\":\"measured\",\"calls\":%llu,\"requests\":%llu,\"items\":%llu,\"seconds\":%.9f,\"p50_ns\":%.3f,"
        "\"p95_ns\":%.3f,\"p99_ns\":%.3f,\"p999_ns\":%.3f,\"max_ns\":%.3f,\"timed\":%llu,\"cpu_ns\":%llu,"
        "\"rss_kib\":%llu,\"agreed_bytes\":%llu}",
        (unsigned long long)s->answered.calls, (unsigned long long)s->answered.requests,
        (unsigned long long)s->answered.items, (double)s->took_ns / 1e9, percentile_ns(l, 50), percentile_ns(l, 95),
        percentile_ns(l, 99), percentile_ns(l, 99.9), most_ns(l), (unsigned long long)timed(l),
        (unsigned long long)used_ns, (unsigned long long)rss_kib(), (unsigned long long)agreed_bytes);
    hear();
}

/* Sessions that idle: makes them after "go", and keeps them until the runner has looked. */
static void idle(const struct options *o) {
    /* The first brings what a server has once, for any number of sessions. */
    struct caller *first = make_ping(o, 0);
    first->turn(first);
    wait_for_go();
    uint64_t start = monotonic_ns(), used_ns = cpu_ns();
    struct share share = {.latencies = make_latencies()};
    const struct caller *last = NULL;
    for (size_t i = 0; i < o->clients; i++) {
        uint64_t before = monotonic_ns();
        struct caller *ping = make_ping(o, i);
        ping->turn(ping);
        record(share.latencies, monotonic_ns() - before, 1);
        last = ping;
    }
    share.answered = (struct answered){o->clients, o->clients, o->clients};
    share.took_ns = monotonic_ns() - start;
    finish(&share, cpu_ns() - used_ns, last ? ping_agreed_bytes(last) : 0);
}

void call(const struct options *o) {
    if (plays(o, "idle")) {
        idle(o);
        return;
    }
    pthread_barrier_t meeting;
    pthread_barrier_init(&meeting, NULL, (unsigned)o->clients + 1);
    struct share *shares = memory(o->clients, sizeof *shares);
    pthread_t *threads = memory(o->clients, sizeof *threads);
    for (size_t i = 0; i < o->clients; i++) {
        shares[i] = (struct share){.options = o, .place = i, .meeting = &meeting};
        if (pthread_create(&threads[i], NULL, one, &shares[i]) != 0)
            fail("no thread for a client");
    }
    pthread_barrier_wait(&meeting);
    uint64_t agreed_bytes = plays(o, "ping-level2") ? ping_agreed_bytes(shares[0].caller) : 0;
    wait_for_go();
    uint64_t before_ns = cpu_ns();
    pthread_barrier_wait(&meeting);
    struct share all = {.latencies = make_latencies()};
    for (size_t i = 0; i < o->clients; i++) {
        pthread_join(threads[i], NULL);
        all.answered.calls += shares[i].answered.calls;
        all.answered.requests += shares[i].answered.requests;
        all.answered.items += shares[i].answered.items;
        add_latencies(all.latencies, shares[i].latencies);
        if (shares[i].took_ns > all.took_ns)
            all.took_ns = shares[i].took_ns;
    }
    finish(&all, cpu_ns() - before_ns, agreed_bytes);
}

/* Takes the answers that are still to come, and says what came since. */
static void say_checked(struct caller *caller, struct answered before, uint64_t lost) {
    if (caller->settle)
        caller->settle(caller);
    say("{\"event\":\"checked\",\"calls\":%llu,\"requests\":%llu,\"items\":%llu,\"lost\":%llu}",
        (unsigned long long)(caller->answered.calls - before.calls),
        (unsigned long long)(caller->answered.requests - before.requests),
        (unsigned long long)(caller->answered.items - before.items), (unsigned long long)lost);
}

static void check_once(struct caller *caller, uint64_t turns) {
    struct answered before = caller->answered;
    for (uint64_t i = 0; i < turns; i++)
        caller->turn(caller);
    say_checked(caller, before, 0);
}

/* Makes turns at fixed times, so many a second, whether or not somebody serves. */
static void check_through(struct caller *caller, double seconds, double rate) {
    const struct answered before = caller->answered;
    const uint64_t start = monotonic_ns();
    volatile uint64_t lost = 0;
    for (volatile uint64_t count = 0; count < (uint64_t)(seconds * rate); count++) {
        rest_until(start + (uint64_t)((double)count * NS_PER_S / rate));
        jmp_buf failed;
        losing(&failed);
        if (setjmp(failed) == 0) {
            caller->turn(caller);
            losing(NULL);
        } else {
            losing(NULL);
            lost++;
            refresh_last();
        }
    }
    say_checked(caller, before, lost);
}

void check(const struct options *o) {
    struct caller *caller = make_caller(o, 0);
    say("{\"event\":\"ready\"}");
    for (const char *words = hear(); words; words = hear()) {
        unsigned long long generation;
        double seconds, rate;
        if (strcmp(words, "away") == 0) {
            if (!caller->expect_nobody)
                fail("this scenario keeps nothing that it could have without its server");
            caller->expect_nobody(caller);
            say("{\"event\":\"away\"}");
        } else if (strcmp(words, "go") == 0) {
            check_once(caller, o->turns);
        } else if (sscanf(words, "through %lf %lf", &seconds, &rate) == 2) {
            check_through(caller, seconds, rate);
        } else if (sscanf(words, "go %llu", &generation) == 1) {
            if (caller->expect_generation)
                caller->expect_generation(caller, generation);
            check_once(caller, o->turns);
        } else {
            fail("unknown word: %s", words);
        }
    }
}
