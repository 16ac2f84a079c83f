/* What a process knows of itself on Windows: its CPUs, its clocks, its memory. */
#ifdef _WIN32
#include "driver.h"

#include <malloc.h>
#include <stdlib.h>

#define PSAPI_VERSION 2
#include <windows.h>

#include <psapi.h>

#define NS_PER_S UINT64_C(1000000000)
/* The system counts the times of a process, and sleeps, in these. */
#define NS_PER_TICK 100u
#define BYTES_PER_KIB 1024u

void *lines_of_memory(size_t line_bytes, size_t bytes) {
    void *lines = _aligned_malloc(bytes, line_bytes);
    if (!lines)
        fail("no memory");
    return lines;
}

void settle_process(const char *cpus) {
    if (!*cpus)
        return;
    DWORD_PTR mask = 0;
    for (const char *at = cpus; *at;) {
        char *end;
        unsigned long cpu = strtoul(at, &end, 10);
        if (end == at || cpu >= sizeof mask * 8 || (*end && *end != ','))
            fail("there is no CPU %s", at);
        mask |= (DWORD_PTR)1 << cpu;
        at = *end ? end + 1 : end;
    }
    if (!SetProcessAffinityMask(GetCurrentProcess(), mask))
        fail("cannot keep to CPUs %s: error %lu", cpus, GetLastError());
}

static uint64_t in_ns(FILETIME time) {
    return (((uint64_t)time.dwHighDateTime << 32) | time.dwLowDateTime) * NS_PER_TICK;
}

uint64_t cpu_ns(void) {
    FILETIME created, ended, kernel, user;
    if (!GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user))
        return 0;
    return in_ns(kernel) + in_ns(user);
}

uint64_t monotonic_ns(void) {
    LARGE_INTEGER frequency, now;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    uint64_t per_second = (uint64_t)frequency.QuadPart, count = (uint64_t)now.QuadPart;
    return count / per_second * NS_PER_S + count % per_second * NS_PER_S / per_second;
}

void rest_until(uint64_t at_ns) {
    HANDLE timer = CreateWaitableTimerW(NULL, TRUE, NULL);
    if (!timer)
        fail("no timer: error %lu", GetLastError());
    for (uint64_t now = monotonic_ns(); now < at_ns; now = monotonic_ns()) {
        /* Negative: from now on. Rounded up, so that it is not done again for less than a tick. */
        LARGE_INTEGER due = {.QuadPart = -(LONGLONG)((at_ns - now + NS_PER_TICK - 1) / NS_PER_TICK)};
        if (!SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE) ||
            WaitForSingleObject(timer, INFINITE) != WAIT_OBJECT_0)
            fail("a timer does not work: error %lu", GetLastError());
    }
    CloseHandle(timer);
}

uint64_t rss_kib(void) {
    PROCESS_MEMORY_COUNTERS counters;
    if (!GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters))
        return 0;
    return counters.WorkingSetSize / BYTES_PER_KIB;
}

void fork_once(void) {
    fail("nothing forks on Windows");
}

void fork_living(const char *fifo) {
    fail("nothing forks on Windows: %s", fifo);
}

#else
typedef int system_windows_is_not_empty;
#endif
