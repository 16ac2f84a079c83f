/* What the tests of the C library share: a check that says where it failed, a run directory, a thread. */
#ifndef NIPC_TESTS_SUPPORT_H
#define NIPC_TESTS_SUPPORT_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netipc/netipc.h>

/* For waits that end long before. */
#define SOON_MS 10000u

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s (last error: %s)\n", __FILE__, __LINE__, #condition,          \
                    nipc_last_error());                                                                      \
            exit(EXIT_FAILURE);                                                                              \
        }                                                                                                    \
    } while (0)

#define CHECK_ERROR(expected, call)                                                                          \
    do {                                                                                                     \
        nipc_error_t met_ = (call);                                                                          \
        if (met_ != (expected)) {                                                                            \
            fprintf(stderr, "%s:%d: %s: %s in place of %s: %s\n", __FILE__, __LINE__, #call,                 \
                    nipc_error_name(met_), nipc_error_name(expected), nipc_last_error());                    \
            exit(EXIT_FAILURE);                                                                              \
        }                                                                                                    \
    } while (0)

#define CHECK_OK(call) CHECK_ERROR(NIPC_OK, call)

/* An empty run directory of this process's own. */
static inline const char *make_run_dir(void)
{
    static char run_dir[] = "/tmp/netipc-c-XXXXXX";
    CHECK(mkdtemp(run_dir) != NULL);
    return run_dir;
}

/* Removes it, with the lock files that servers leave. */
static inline void remove_run_dir(const char *run_dir, const char *const *services)
{
    for (; *services != NULL; services++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s.lock", run_dir, *services);
        unlink(path);
    }
    CHECK(rmdir(run_dir) == 0); /* nothing else is left */
}

static inline pthread_t start_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

#endif
