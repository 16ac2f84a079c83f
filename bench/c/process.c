/* What a process knows of itself: its CPUs, its clocks, its memory; and what it says to its runner. */
#include "driver.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
/* Longer than any word of a runner. */
#define LINE_BYTES 256

_Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("netipc-bench-driver-c: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    /* Not exit(): other threads still use what it would take down. */
    fflush(stderr);
    _Exit(EXIT_FAILURE);
}

static jmp_buf *lost;

void losing(jmp_buf *where) { lost = where; }

void must(nipc_error_t error, const char *what) {
    if (lost && (error == NIPC_ERR_NOT_READY || error == NIPC_ERR_LOST))
        longjmp(*lost, 1);
    if (error != NIPC_OK)
        fail("%s: %s: %s", what, nipc_error_name(error), nipc_last_error());
}

_Noreturn void wrong(const char *what, uint64_t expected, uint64_t answered) {
    fail("wrong answer to %s: %llu instead of %llu", what, (unsigned long long)answered, (unsigned long long)expected);
}

void *memory(size_t count, size_t bytes) {
    /* At least one byte, for a request of nothing may answer NULL. */
    void *place = calloc(count > 0 ? count : 1, bytes);
    if (!place)
        fail("no memory");
    return place;
}

void settle_process(const char *cpus) {
    if (prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) != 0)
        fail("cannot set the timer slack: %s", strerror(errno));
    if (!*cpus)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const char *at = cpus; *at;) {
        char *end;
        unsigned long cpu = strtoul(at, &end, 10);
        if (end == at || cpu >= CPU_SETSIZE || (*end && *end != ','))
            fail("there is no CPU %s", at);
        CPU_SET(cpu, &set);
        at = *end ? end + 1 : end;
    }
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fail("cannot keep to CPUs %s: %s", cpus, strerror(errno));
}

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t cpu_ns(void) { return now_ns(CLOCK_PROCESS_CPUTIME_ID); }

uint64_t monotonic_ns(void) { return now_ns(CLOCK_MONOTONIC); }

void rest_until(uint64_t at_ns) {
    struct timespec at = {.tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

uint64_t rss_kib(void) {
    FILE *status = fopen("/proc/self/status", "re");
    unsigned long long kib = 0;
    char line[LINE_BYTES];
    while (status && fgets(line, sizeof line, status) && sscanf(line, "VmRSS: %llu", &kib) != 1)
        ;
    if (status)
        fclose(status);
    return kib;
}

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (vprintf(format, arguments) < 0 || putchar('\n') == EOF || fflush(stdout) == EOF)
        fail("the runner does not listen: %s", strerror(errno));
    va_end(arguments);
}

const char *hear(void) {
    static char line[LINE_BYTES];
    if (!fgets(line, sizeof line, stdin))
        return NULL;
    line[strcspn(line, "\r\n")] = 0;
    return line;
}
