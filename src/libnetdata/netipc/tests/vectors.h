/* The golden vectors: what a service's file tells the runner, and what the runner reads for it. */
#ifndef NIPC_TESTS_VECTORS_H
#define NIPC_TESTS_VECTORS_H

#include "values.h"

#include <jansson.h>

/* One direction of a service. */
struct vector_message {
    /* Decodes a payload; compares it with its fields, if `json` is not NULL. */
    nipc_error_t (*read)(const void *payload, size_t len, const json_t *json);
    /* Encodes fields. */
    nipc_error_t (*write)(const json_t *json, void *out, size_t capacity, size_t *len);
};

struct vector_codec {
    const char *name;
    unsigned method;
    struct vector_message request;
    struct vector_message response;
};

/* Every service, NULL behind the last. */
extern const struct vector_codec *const all_vectors[];

/* Memory until the vector is done; zeroed. */
void *scratch(size_t count, size_t size);

/* Numbers above 2^53 are strings in vectors. Strings are borrowed from the JSON; those that are bytes,
 * written in hexadecimal, are scratch. A vector that is not as its README says fails the test. */
uint64_t json_number(const json_t *object, const char *name);
uint64_t json_number_of(const json_t *value);
nipc_str_t json_text(const json_t *object, const char *name);
nipc_str_t json_text_of(const json_t *value);
nipc_str_t json_bytes(const json_t *object, const char *name);
const json_t *json_list(const json_t *object, const char *name);
nipc_label_t *json_labels(const json_t *object, const char *name, size_t *count);

void check_labels(const nipc_labels_view_t *is, const nipc_label_t *wanted, size_t count);

#endif
