/* The golden vectors where there is no library that reads JSON: the functions of jansson that the tests use,
 * over data that vectors-as-c has written. */
#ifndef NIPC_TESTS_WINDOWS_JANSSON_H
#define NIPC_TESTS_WINDOWS_JANSSON_H

#include <stddef.h>
#include <string.h>

typedef enum { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_INTEGER, JSON_BOOLEAN, JSON_NULL } json_kind_t;

typedef struct json {
    json_kind_t kind;
    const char *key; /* its name in an object; of a file, the file's */
    unsigned long long number;
    const char *bytes;
    size_t length; /* of bytes, or how many children */
    const struct json *children;
} json_t;

typedef struct {
    int line;
    char text[64];
} json_error_t;

/* The only way in which they are read. */
#define JSON_ALLOW_NUL 1u

extern const json_t json_files[];
extern const size_t json_file_count;

static inline int json_is_kind(const json_t *json, json_kind_t kind)
{
    return json != NULL && json->kind == kind;
}

static inline int json_is_object(const json_t *json) { return json_is_kind(json, JSON_OBJECT); }
static inline int json_is_array(const json_t *json) { return json_is_kind(json, JSON_ARRAY); }
static inline int json_is_string(const json_t *json) { return json_is_kind(json, JSON_STRING); }
static inline int json_is_integer(const json_t *json) { return json_is_kind(json, JSON_INTEGER); }

static inline int json_is_true(const json_t *json)
{
    return json_is_kind(json, JSON_BOOLEAN) && json->number != 0;
}

static inline int json_is_false(const json_t *json)
{
    return json_is_kind(json, JSON_BOOLEAN) && json->number == 0;
}

static inline long long json_integer_value(const json_t *json)
{
    return json_is_integer(json) ? (long long)json->number : 0;
}

static inline const char *json_string_value(const json_t *json)
{
    return json_is_string(json) ? json->bytes : NULL;
}

static inline size_t json_string_length(const json_t *json)
{
    return json_is_string(json) ? json->length : 0;
}

static inline size_t json_array_size(const json_t *json)
{
    return json_is_array(json) ? json->length : 0;
}

static inline const json_t *json_array_get(const json_t *json, size_t index)
{
    return index < json_array_size(json) ? &json->children[index] : NULL;
}

static inline const json_t *json_named(const json_t *first, size_t count, const char *name)
{
    for (size_t index = 0; index < count; index++) {
        if (strcmp(first[index].key, name) == 0) {
            return &first[index];
        }
    }
    return NULL;
}

static inline const json_t *json_object_get(const json_t *json, const char *name)
{
    return json_is_object(json) ? json_named(json->children, json->length, name) : NULL;
}

/* A file of that name, in whichever folder. */
static inline json_t *json_load_file(const char *path, unsigned flags, json_error_t *error)
{
    const char *slash = strrchr(path, '/');
    const json_t *file = json_named(json_files, json_file_count, slash != NULL ? slash + 1 : path);
    (void)flags;
    *error = (json_error_t){0, "there was no such file when the test was built"};
    return (json_t *)(size_t)file;
}

static inline void json_decref(json_t *json) { (void)json; }

#endif
