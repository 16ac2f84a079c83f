/* What a process knows of itself on Linux, and in MSYS and Cygwin: its CPUs, its clocks, its memory. */
#ifndef _WIN32
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#define NS_PER_S UINT64_C(1000000000)
/* Longer than the line that is looked for. */
#define LINE_BYTES 256

void *lines_of_memory(size_t line_bytes, size_t bytes) {
    void *lines = aligned_alloc(line_bytes, bytes);
    if (!lines)
        fail("no memory");
    return lines;
}

void settle_process(const char *cpus) {
#ifdef __linux__
    if (prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) != 0)
        fail("cannot set the timer slack: %s", strerror(errno));
#endif
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

void fork_once(void) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        fail("fork: %s", strerror(errno));
    if (child == 0)
        exit(EXIT_SUCCESS);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
        fail("the child ended with %d", status);
}

void fork_living(const char *fifo) {
    /* Opened here, where the runner is sure to have it open for writing: its end is told of only then. */
    struct pollfd end = {.fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    if (end.fd < 0)
        fail("%s: %s", fifo, strerror(errno));
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        fail("fork: %s", strerror(errno));
    if (child == 0) {
        /* Who reads what this process says waits for its end, and not for its child's. */
        for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++)
            close(standard);
        while (poll(&end, 1, -1) < 0 && errno == EINTR)
            ;
        _exit(EXIT_SUCCESS);
    }
    close(end.fd);
}

#else
typedef int system_posix_is_not_empty;
#endif
