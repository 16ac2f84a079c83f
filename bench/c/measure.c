/*
 * How calls are timed: one loop as fast as it goes, one paced by resting. At a high rate only every so manieth
 * call is timed; its latency is that of one call in any case.
 */
#include "driver.h"

#define NS_PER_S 1e9
/* Latencies are kept in parts of a nanosecond: calls in process take a few. */
#define TICKS_PER_NS 1000
/* More calls than these are not timed each. */
#define TIMED_PER_SECOND 100000.0
/* However fast calls are, one in so many is timed, and the loop's end is looked at then. */
#define MOST_CALLS_PER_TIMING 64
/* Bits of a latency that are kept: off by one in a thousand at most. */
#define BITS 10
#define BUCKETS ((64 - BITS + 1) << BITS)

struct latencies {
    uint64_t counts[BUCKETS];
    uint64_t timed;
    uint64_t most;
};

struct latencies *make_latencies(void) { return memory(1, sizeof(struct latencies)); }

static unsigned bit_length(uint64_t value) { return value ? 64u - (unsigned)__builtin_clzll(value) : 0; }

/* Linear below 2^BITS, and so many buckets for each power of two above. */
static uint64_t bucket_of(uint64_t ticks) {
    unsigned length = bit_length(ticks);
    if (length <= BITS)
        return ticks;
    unsigned power = length - BITS;
    return ((uint64_t)power << (BITS - 1)) + (ticks >> power);
}

static uint64_t value_of(uint64_t bucket) {
    if (bucket < (UINT64_C(1) << BITS))
        return bucket;
    uint64_t power = (bucket >> (BITS - 1)) - 1;
    return (bucket - (power << (BITS - 1))) << power;
}

void record(struct latencies *latencies, uint64_t took_ns, uint32_t calls) {
    uint64_t ticks = took_ns * TICKS_PER_NS / calls;
    latencies->counts[bucket_of(ticks)]++;
    latencies->timed++;
    if (ticks > latencies->most)
        latencies->most = ticks;
}

void add_latencies(struct latencies *to, const struct latencies *from) {
    for (size_t i = 0; i < BUCKETS; i++)
        to->counts[i] += from->counts[i];
    to->timed += from->timed;
    if (from->most > to->most)
        to->most = from->most;
}

double percentile_ns(const struct latencies *latencies, double percentile) {
    uint64_t left = (uint64_t)((double)latencies->timed * percentile / 100);
    for (uint64_t bucket = 0; bucket < BUCKETS; bucket++) {
        if (latencies->counts[bucket] > left) {
            uint64_t value = value_of(bucket);
            return (double)(value < latencies->most ? value : latencies->most) / TICKS_PER_NS;
        }
        left -= latencies->counts[bucket];
    }
    return most_ns(latencies);
}

double most_ns(const struct latencies *latencies) { return (double)latencies->most / TICKS_PER_NS; }

uint64_t timed(const struct latencies *latencies) { return latencies->timed; }

uint64_t turns_per_timing(uint64_t turns, uint64_t took_ns) {
    double seconds = (double)took_ns / NS_PER_S;
    double each = seconds > 0 ? (double)turns / seconds / TIMED_PER_SECOND : 1;
    return each < 1 ? 1 : each > MOST_CALLS_PER_TIMING ? MOST_CALLS_PER_TIMING : (uint64_t)each;
}

static void as_fast_as_it_goes(struct caller *caller, const struct pace *pace, struct latencies *latencies) {
    uint64_t start = monotonic_ns(), long_ns = (uint64_t)(pace->seconds * NS_PER_S);
    for (uint64_t now = start; now - start < long_ns;) {
        uint64_t before = now;
        if (pace->turns_per_timing > 1) {
            for (uint64_t i = 1; i < pace->turns_per_timing; i++)
                caller->turn(caller);
            before = monotonic_ns();
        }
        uint64_t own = caller->turn(caller);
        now = monotonic_ns();
        record(latencies, own ? own : now - before, caller->per_turn);
    }
}

/* Calls at fixed times, whatever the calls take: late ones follow at once. */
static void paced(struct caller *caller, const struct pace *pace, struct latencies *latencies) {
    double interval_ns = NS_PER_S / pace->rate;
    double first_ns = interval_ns * (double)pace->place / (double)pace->places;
    uint64_t start = monotonic_ns(), end = start + (uint64_t)(pace->seconds * NS_PER_S);
    for (uint64_t count = 0;; count++) {
        uint64_t at = start + (uint64_t)(first_ns + interval_ns * (double)count);
        if (at >= end)
            break;
        uint64_t now = monotonic_ns();
        if (now >= end && count > 0)
            return; /* Cannot keep up: the throughput shows it. */
        if (now < at)
            rest_until(at);
        uint64_t before = monotonic_ns(), own = caller->turn(caller);
        record(latencies, own ? own : monotonic_ns() - before, caller->per_turn);
    }
    rest_until(end);
}

uint64_t run_calls(struct caller *caller, const struct pace *pace, struct latencies *latencies) {
    uint64_t start = monotonic_ns();
    if (pace->rate > 0)
        paced(caller, pace, latencies);
    else
        as_fast_as_it_goes(caller, pace, latencies);
    if (caller->settle)
        caller->settle(caller);
    return monotonic_ns() - start;
}
