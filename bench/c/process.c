/* How a process ends where something is wrong, and what it says to its runner. */
#include "driver.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

_Noreturn void cannot(nipc_error_t error, const char *what) {
    if (lost && (error == NIPC_ERR_NOT_READY || error == NIPC_ERR_LOST))
        longjmp(*lost, 1);
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
