/* Runs the golden vectors of every service: good ones decode to their fields and encode to the same bytes
 * again, bad ones are refused.
 *
 *   vectors FOLDER     the folder of vectors, if the environment does not name another: NETIPC_VECTORS,
 *                      absolute, or relative to the working folder
 */
#include "vectors.h"

/* The services of the contract; those above are this project's own, which a folder from elsewhere need
 * not have. */
#define FIRST_EXTENSION_METHOD 0x0100

#define MAX_PATH_BYTES 4096
/* Longer than any vector. */
#define MAX_PAYLOAD_BYTES (1u << 20)

/* The vector that is being run, for the words of a failure. */
static const char *running;

static void say_what_was_running(void)
{
    if (running != NULL) {
        fprintf(stderr, "vectors: in %s\n", running);
    }
}

/* ------------------------------------------------------------------- memory until a vector is done */

struct block {
    struct block *next;
    max_align_t start[];
};

static struct block *blocks;

void *scratch(size_t count, size_t size)
{
    struct block *block = calloc(1, sizeof(*block) + count * size);
    CHECK(block != NULL);
    block->next = blocks;
    blocks = block;
    return block->start;
}

static void forget_scratch(void)
{
    while (blocks != NULL) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

/* -------------------------------------------------------------------------------- reading vectors */

uint64_t json_number_of(const json_t *value)
{
    if (json_is_integer(value)) {
        return (uint64_t)json_integer_value(value);
    }
    const char *digits = json_string_value(value);
    CHECK(digits != NULL);
    char *end = NULL;
    uint64_t number = strtoull(digits, &end, 10);
    CHECK(end != digits && *end == '\0');
    return number;
}

uint64_t json_number(const json_t *object, const char *name)
{
    return json_number_of(json_object_get(object, name));
}

nipc_str_t json_text_of(const json_t *value)
{
    CHECK(json_is_string(value));
    nipc_str_t text = { json_string_value(value), json_string_length(value) };
    return text;
}

nipc_str_t json_text(const json_t *object, const char *name)
{
    return json_text_of(json_object_get(object, name));
}

static unsigned digit(char letter)
{
    static const char DIGITS[] = "0123456789abcdef";
    const char *at = strchr(DIGITS, letter);
    CHECK(letter != '\0' && at != NULL);
    return (unsigned)(at - DIGITS);
}

nipc_str_t json_bytes(const json_t *object, const char *name)
{
    nipc_str_t hex = json_text(object, name);
    CHECK(hex.len % 2 == 0);
    char *bytes = scratch(hex.len / 2 + 1, 1);
    for (size_t index = 0; index < hex.len / 2; index++) {
        bytes[index] = (char)(digit(hex.ptr[2 * index]) << 4 | digit(hex.ptr[2 * index + 1]));
    }
    nipc_str_t text = { bytes, hex.len / 2 };
    return text;
}

const json_t *json_list(const json_t *object, const char *name)
{
    const json_t *list = json_object_get(object, name);
    CHECK(json_is_array(list));
    return list;
}

nipc_label_t *json_labels(const json_t *object, const char *name, size_t *count)
{
    const json_t *list = json_list(object, name);
    nipc_label_t *labels = scratch(json_array_size(list), sizeof(*labels));
    for (size_t index = 0; index < json_array_size(list); index++) {
        const json_t *pair = json_array_get(list, index);
        CHECK(json_array_size(pair) == 2);
        labels[index].key = json_text_of(json_array_get(pair, 0));
        labels[index].value = json_text_of(json_array_get(pair, 1));
    }
    *count = json_array_size(list);
    return labels;
}

void check_labels(const nipc_labels_view_t *is, const nipc_label_t *wanted, size_t count)
{
    nipc_label_t label;
    CHECK_NUMBER(count, is->count);
    for (size_t index = 0; index < count; index++) {
        CHECK_OK(nipc_labels_view_get(is, index, &label));
        CHECK_TEXT(wanted[index].key, label.key);
        CHECK_TEXT(wanted[index].value, label.value);
    }
    CHECK_ERROR(NIPC_ERR_OUT_OF_RANGE, nipc_labels_view_get(is, count, &label));
}

/* -------------------------------------------------------------------------------- running vectors */

static void run_valid(const struct vector_message *message, const json_t *vector, nipc_str_t payload)
{
    static char encoded[MAX_PAYLOAD_BYTES];
    const json_t *fields = json_object_get(vector, "fields");
    CHECK(json_is_object(fields));
    CHECK_OK(message->read(payload.ptr, payload.len, fields));

    size_t len = 0;
    CHECK_OK(message->write(fields, encoded, sizeof(encoded), &len));
    CHECK_OK(message->read(encoded, len, fields));
    if (!json_is_false(json_object_get(vector, "canonical"))) {
        CHECK(len == payload.len && memcmp(encoded, payload.ptr, len) == 0);
    }
    /* No prefix of it is the message: neither reading nor writing goes past what it is given. */
    for (size_t cut = 0; cut < payload.len; cut++) {
        char *exact = malloc(cut > 0 ? cut : 1);
        CHECK(exact != NULL);
        memcpy(exact, payload.ptr, cut);
        nipc_error_t error = message->read(exact, cut, NULL);
        free(exact);
        CHECK(error == NIPC_OK || error == NIPC_ERR_MALFORMED);
    }
}

static size_t run_direction(const char *folder, const char *name, const char *direction,
                            const struct vector_message *message)
{
    char path[MAX_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s%s.json", folder, name, direction);
    json_error_t error;
    json_t *vectors = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (vectors == NULL) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        exit(EXIT_FAILURE);
    }
    CHECK(json_array_size(vectors) > 0);
    for (size_t index = 0; index < json_array_size(vectors); index++) {
        const json_t *vector = json_array_get(vectors, index);
        char words[MAX_PATH_BYTES];
        snprintf(words, sizeof(words), "%s%s, %s", name, direction,
                 json_string_value(json_object_get(vector, "name")));
        running = words;
        nipc_str_t payload = json_bytes(vector, "hex");
        if (json_is_true(json_object_get(vector, "valid"))) {
            run_valid(message, vector, payload);
        } else {
            CHECK_ERROR(NIPC_ERR_MALFORMED, message->read(payload.ptr, payload.len, NULL));
        }
        forget_scratch();
    }
    size_t count = json_array_size(vectors);
    json_decref(vectors);
    running = NULL;
    return count;
}

static int exists(const char *folder, const char *name)
{
    char path[MAX_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s.json", folder, name);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: vectors FOLDER\n", stderr);
        return 2;
    }
    CHECK(atexit(say_what_was_running) == 0);
    const char *own = argv[1], *named = getenv("NETIPC_VECTORS");
    size_t count = 0;
    for (const struct vector_codec *const *codec = all_vectors; *codec != NULL; codec++) {
        const char *name = (*codec)->name;
        const char *folder = named != NULL && (*codec)->method < FIRST_EXTENSION_METHOD ? named : own;
        /* Where requests and responses look alike, one file has both. */
        int both = exists(folder, name);
        count += run_direction(folder, name, both ? "" : "_request", &(*codec)->request);
        count += run_direction(folder, name, both ? "" : "_response", &(*codec)->response);
    }
    printf("%zu golden vectors agree\n", count);
    return 0;
}
