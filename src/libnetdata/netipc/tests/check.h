/* Checks for tests: the first one that fails says where, and ends the process. */
#ifndef NETIPC_TESTS_CHECK_H_
#define NETIPC_TESTS_CHECK_H_

#include <netipc/netipc.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is being tested, for the words of a failure. */
extern const char *check_case;

#define FAIL(...) \
    do { \
        fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, check_case); \
        fprintf(stderr, __VA_ARGS__); \
        fputc('\n', stderr); \
        abort(); \
    } while (0)

#define CHECK(condition) \
    do { \
        if (!(condition)) FAIL("not so: %s", #condition); \
    } while (0)

/* The error that a function answers. */
#define CHECK_IS(call, wanted) \
    do { \
        nipc_error_t is_ = (call); \
        if (is_ != (nipc_error_t)(wanted)) \
            FAIL("%s: %s (%s), wanted %s", #call, nipc_error_name(is_), \
                 is_ == NIPC_OK ? "" : nipc_last_error(), nipc_error_name((nipc_error_t)(wanted))); \
    } while (0)

#define CHECK_OK(call) CHECK_IS(call, NIPC_OK)

#define CHECK_NUMBER(is, wanted) \
    do { \
        uint64_t is_ = (uint64_t)(is), wanted_ = (uint64_t)(wanted); \
        if (is_ != wanted_) FAIL("%s is %" PRIu64 ", wanted %" PRIu64, #is, is_, wanted_); \
    } while (0)

/* A string of a view: the wanted bytes, and a NUL behind them. */
#define CHECK_TEXT(is, wanted) \
    do { \
        nipc_str_t is_ = (is), wanted_ = (wanted); \
        if (is_.len != wanted_.len || (is_.len > 0 && memcmp(is_.ptr, wanted_.ptr, is_.len) != 0)) \
            FAIL("%s is \"%.*s\", wanted \"%.*s\"", #is, (int)is_.len, is_.ptr, (int)wanted_.len, wanted_.ptr); \
        if (is_.ptr[is_.len] != '\0') FAIL("%s does not end in NUL", #is); \
    } while (0)

#endif
