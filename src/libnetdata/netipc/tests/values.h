/* Checks of what views hold. */
#ifndef NIPC_TESTS_VALUES_H
#define NIPC_TESTS_VALUES_H

#include "support.h"

#include <inttypes.h>

#define CHECK_NUMBER(expected, is)                                                                           \
    do {                                                                                                     \
        uint64_t is_ = (uint64_t)(is), expected_ = (uint64_t)(expected);                                     \
        if (is_ != expected_) {                                                                              \
            fprintf(stderr, "%s:%d: %s is %" PRIu64 " in place of %" PRIu64 "\n", __FILE__, __LINE__, #is,   \
                    is_, expected_);                                                                         \
            exit(EXIT_FAILURE);                                                                              \
        }                                                                                                    \
    } while (0)

/* A string of a view: those bytes, and a NUL behind them. */
#define CHECK_TEXT(expected, is)                                                                             \
    do {                                                                                                     \
        nipc_str_t is_ = (is), expected_ = (expected);                                                       \
        if (is_.len != expected_.len || (is_.len > 0 && memcmp(is_.ptr, expected_.ptr, is_.len) != 0) ||     \
            is_.ptr[is_.len] != '\0') {                                                                      \
            fprintf(stderr, "%s:%d: %s is \"%.*s\" in place of \"%.*s\"\n", __FILE__, __LINE__, #is,         \
                    (int)is_.len, is_.ptr, (int)expected_.len, expected_.ptr);                               \
            exit(EXIT_FAILURE);                                                                              \
        }                                                                                                    \
    } while (0)

#endif
