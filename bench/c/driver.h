/*
 * The C driver of the benchmark and of the interop matrix: plays a server or a client of one scenario, says
 * what it counted, and fails at the first answer that is wrong. bench/README.md says what each scenario
 * sends, and what drivers and their runners say to each other.
 *
 *   main ── arguments ─▶ server            one service, its handlers
 *                    └─▶ client ─▶ caller  turns of one scenario: calls, snapshots, lookups, pipelines
 *                          └─▶ measure     how turns are timed
 *
 * It is a user of netipc like any other: public names, default configuration but for the transport.
 */
#ifndef NETIPC_BENCH_DRIVER_H
#define NETIPC_BENCH_DRIVER_H

#include <netipc/services.h>

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What both ends must be told, and what one of them is. */
struct options {
    const char *scenario;
    size_t items;
    size_t bytes;
    const char *mix;
    const char *transport;
    const char *run_dir;
    const char *service;
    const char *cpus;
    uint32_t supported;
    uint32_t preferred;
    uint32_t packet_bytes;
    uint64_t generation;
    size_t clients;
    /* A server's. */
    size_t workers;
    uint64_t wrong_after;
    const char *after; /* A word to wait for before anything else. */
    /* A client's. */
    double rate; /* Calls a second of all clients together; 0 is as fast as it goes. */
    double seconds;
    double warmup_seconds;
    uint64_t turns;
    /* One that endures: how long a call may take, and the pause between two. */
    uint64_t timeout_ms, rest_us;
};

/** Whether the scenario is the one of that name. */
bool plays(const struct options *options, const char *scenario);

/* process.c: how a process ends where something is wrong, and what it says to its runner. */

/** What printf() understands here: on Windows by mingw's own, which the drivers use. */
#ifdef __MINGW32__
#define PRINTF_LIKE __attribute__((format(gnu_printf, 1, 2)))
#else
#define PRINTF_LIKE __attribute__((format(printf, 1, 2)))
#endif

/** Says why and ends the process: the first thing that is wrong ends a driver. */
_Noreturn void fail(const char *format, ...) PRINTF_LIKE;
/** From now on, until it is called with NULL, must() goes there where a call failed because nobody served. */
void losing(jmp_buf *where);
/** Ends the process, or goes where losing() says: a call of the library failed. */
_Noreturn void cannot(nipc_error_t error, const char *what);
/** Goes on where a call of the library succeeded, alone: here, so that compilers see what was written. */
static inline void must(nipc_error_t error, const char *what) {
    if (error != NIPC_OK)
        cannot(error, what);
}
/** Ends the process: another number was answered than must be. */
_Noreturn void wrong(const char *what, uint64_t expected, uint64_t answered);
/** Memory that is never given back before the end, zeroed. */
void *memory(size_t count, size_t bytes);
/** One line to the runner. */
void say(const char *format, ...) PRINTF_LIKE;
/** The next words of the runner, without their line end; NULL when it wants no more. */
const char *hear(void);

/* system_posix.c, system_windows.c: what a process knows of itself. */

/** Memory that is never given back, in cache lines of its own: `bytes` are whole lines. */
void *lines_of_memory(size_t line_bytes, size_t bytes);
/** Keeps to the CPUs that were asked for, and wakes up when asked to. */
void settle_process(const char *cpus);
uint64_t cpu_ns(void);
uint64_t monotonic_ns(void);
void rest_until(uint64_t at_ns);
uint64_t rss_kib(void);
/** A child that ends at once, as programs do that start others, and ends as such children do. */
void fork_once(void);
/** The word before the pipe of such a child as is meant below. */
#define FORK_LIVING "fork "
/** A child that goes on as a copy of this process, and does nothing, until nobody has this pipe open for writing. */
void fork_living(const char *fifo);

/* contents.c: what providers know and clients expect. */

/** An item of a snapshot. */
struct group {
    uint32_t hash, options, enabled;
    nipc_str_t name, path;
};

/** Something that can be looked up. */
struct thing {
    nipc_str_t path, name, comm, ip;
    uint32_t pid;
    bool known;
};

/** How long one answer may take: on a machine that is busy for as long, only what hangs takes longer. */
#define PATIENCE_MS 300000

#define LABELS 2

struct group *make_groups(size_t count);
struct thing *make_things(const struct options *options);
/** Labels of the known items of a lookup, and how many there are. */
extern const nipc_label_t LABEL[LABELS];
/** Where all known addresses are. */
extern const nipc_str_t COUNTRY;
size_t label_count(const struct options *options);
/** The thing that a key asks for; NULL where there is none. */
const struct thing *of_path(const struct thing *things, size_t count, nipc_str_t path);
const struct thing *of_pid(const struct thing *things, size_t count, uint32_t pid);
const struct thing *of_ip(const struct thing *things, size_t count, nipc_str_t ip);
bool same(nipc_str_t given, nipc_str_t expected);

/* measure.c: how calls are timed. */

/** What a client's calls came to so far. */
struct answered {
    uint64_t calls, requests, items;
};

/** A client that is called again and again, and verifies every answer. */
struct caller {
    /** One turn. Answers how long its call took where that is not the time of the turn itself, or 0. */
    uint64_t (*turn)(struct caller *caller);
    /** Takes the answers that are still to come; may be NULL. */
    void (*settle)(struct caller *caller);
    /** Answers have this generation from now on; may be NULL. */
    void (*expect_generation)(struct caller *caller, uint64_t generation);
    /** Nobody serves: sees that this is told, and that what is known by then is kept; may be NULL. */
    void (*expect_nobody)(struct caller *caller);
    /** Calls that one turn makes. */
    uint32_t per_turn;
    struct answered answered;
};

struct latencies;
struct latencies *make_latencies(void);
void record(struct latencies *latencies, uint64_t took_ns, uint32_t calls);
void add_latencies(struct latencies *to, const struct latencies *from);
double percentile_ns(const struct latencies *latencies, double percentile);
double most_ns(const struct latencies *latencies);
uint64_t timed(const struct latencies *latencies);

/** How a client's loop is to go: rate is its own, place which of several clients it is. */
struct pace {
    double rate;
    size_t place, places;
    double seconds;
    uint64_t turns_per_timing;
};

/** Calls for so long, and takes all answers. Answers how long that took, in nanoseconds. */
uint64_t run_calls(struct caller *caller, const struct pace *pace, struct latencies *latencies);
/** One turn in how many to time, from what a warm-up came to. */
uint64_t turns_per_timing(uint64_t turns, uint64_t took_ns);

/* server.c */

void serve(const struct options *options);
/** Counts a request. Answers whether its answer is to be wrong. */
bool count_request(const struct options *options);
/** The generation of an answer, which is another one where it is to be wrong. */
uint64_t answer_generation(const struct options *options);

/* client.c */

/** Measures. */
void call(const struct options *options);
/** Makes so many turns whenever it is told to. */
void check(const struct options *options);

/* endure.c */

/** Calls on and on whatever happens, and tells what came of it when asked. */
void endure(const struct options *options);

/* callers: each makes a client with a session, or ends the process. */

struct caller *make_ping(const struct options *options, size_t place);
uint64_t ping_agreed_bytes(const struct caller *ping);
struct caller *make_batches(const struct options *options, size_t place);
struct caller *make_reverses(const struct options *options);
struct caller *make_reverse_batches(const struct options *options, size_t place);
struct caller *make_refreshes(const struct options *options);
struct caller *make_fetches(const struct options *options);
struct caller *make_cache_reads(const struct options *options, bool load_each);
struct caller *make_cgroups_lookups(const struct options *options);
struct caller *make_apps_lookups(const struct options *options);
struct caller *make_asn_lookups(const struct options *options);
struct caller *make_cgroups_codec(const struct options *options);
struct caller *make_apps_codec(const struct options *options);
struct caller *make_level1_ping(const struct options *options, size_t place);
/** A pipeline of the scenario's service. */
struct caller *make_pipeline(const struct options *options, size_t place);

/* What callers share. */

/** A chain's first number: chains of two clients are so far apart that no two ask for one number. */
uint64_t chain_start(size_t place);
/** One of 1 to `most`, by Marsaglia's xorshift: the same numbers in each run. */
size_t random_up_to(uint64_t *state, size_t most);
uint64_t random_seed(size_t place);
nipc_client_config_t client_config(const struct options *options);
/** A client's session is there, and has the transport that was asked for. */
void check_session(const struct options *options, const nipc_client_status_t *status);
void connected(const struct options *options, nipc_client_ctx_t *client);
/** Has the last client that was made connect anew where its server has left: who checks has one client, and what has
    a cache does so with every turn. */
void refresh_last(void);
void check_selected(const struct options *options, uint32_t profile);

/* Level 1. */

#define BATCH_BYTES 65536
#define BATCH_ITEMS 1024
void connect_by_hand(const struct options *options, nipc_session_t *session);
void serve_by_hand(const struct options *options);

/* Handlers, and what a payload's content must be. */

nipc_error_t answer_cgroups(const struct options *options, const struct thing *things,
                            const nipc_cgroups_lookup_request_view_t *request,
                            nipc_cgroups_lookup_response_builder_t *response);
nipc_error_t answer_apps(const struct options *options, const struct thing *things,
                         const nipc_apps_lookup_request_view_t *request,
                         nipc_apps_lookup_response_builder_t *response);
nipc_error_t answer_asns(const struct thing *things, size_t count,
                         const nipc_ip_to_asn_request_view_t *request,
                         nipc_ip_to_asn_response_builder_t *response);
bool right_cgroup(const nipc_cgroups_lookup_item_view_t *item, const struct thing *thing, size_t labels);
bool right_app(const nipc_apps_lookup_item_view_t *item, const struct thing *thing, size_t labels);
bool right_asn(const nipc_ip_to_asn_item_view_t *item, const struct thing *thing);
bool right_group(const nipc_cgroups_snapshot_item_view_t *item, const struct group *group);
/** All of a snapshot. */
void check_snapshot(const nipc_cgroups_snapshot_response_view_t *view, const struct group *groups, size_t count,
                    uint64_t generation);

#endif
