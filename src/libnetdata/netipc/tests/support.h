/* What the tests of the C library share: a check that says where it failed, a run directory, a thread, a gate. */
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

/* Of the system: make_run_dir(), remove_run_dir(), own_uid(), own_gid(). */
#ifdef _WIN32
#include "support_windows.h"
#else
#include "support_posix.h"
#endif

static inline pthread_t start_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

/* What one thread opens and another one waits for, as often as it was opened. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    unsigned times;
} gate_t;

#define GATE_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static inline void open_gate(gate_t *gate)
{
    CHECK(pthread_mutex_lock(&gate->lock) == 0);
    gate->times++;
    CHECK(pthread_cond_signal(&gate->opened) == 0);
    CHECK(pthread_mutex_unlock(&gate->lock) == 0);
}

static inline void pass_gate(gate_t *gate)
{
    CHECK(pthread_mutex_lock(&gate->lock) == 0);
    while (gate->times == 0) {
        CHECK(pthread_cond_wait(&gate->opened, &gate->lock) == 0);
    }
    gate->times--;
    CHECK(pthread_mutex_unlock(&gate->lock) == 0);
}

#endif
