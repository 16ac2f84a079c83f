/* What zeroed objects and configurations are initialised with, in C and in C++. */
#ifdef __cplusplus
#define NIPC_ZEROED {}
#else
#define NIPC_ZEROED {0}
#endif
#define NIPC_CLIENT_INIT NIPC_ZEROED
#define NIPC_SERVER_INIT NIPC_ZEROED
#define NIPC_HOST_INIT NIPC_ZEROED
#define NIPC_LISTENER_INIT NIPC_ZEROED
#define NIPC_SESSION_INIT NIPC_ZEROED
#define NIPC_ABORT_INIT NIPC_ZEROED
#define NIPC_CACHE_INIT NIPC_ZEROED
#define NIPC_CLIENT_CONFIG_INIT NIPC_ZEROED
#define NIPC_SERVER_CONFIG_INIT NIPC_ZEROED
#define NIPC_LISTENER_CONFIG_INIT NIPC_ZEROED
#define NIPC_PROPOSAL_INIT NIPC_ZEROED

/* A string from one that ends in NUL, which stays the caller's. NULL is the empty string. */
static inline nipc_str_t nipc_str(const char *c_string)
{
    nipc_str_t text;
    text.ptr = c_string;
    text.len = 0;
    while (c_string != NULL && c_string[text.len] != '\0') {
        text.len++;
    }
    return text;
}

/* What follows reads views where they lie, without a call: the bytes were checked, all of them, before there
 * was a view. All but nipc_labels_view_get() is the library's, for the inline functions of services. */
#ifdef __GNUC__
#define NIPC_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#else
#define NIPC_UNLIKELY(condition) (condition)
#endif

/* What is answered where there is nothing to read. Its number stands here, so that compilers see that it is none
 * of success. */
static inline nipc_error_t nipc_read_no_view(bool has_view, bool has_place)
{
    nipc_refuse_view(has_view, has_place);
    return has_view && has_place ? NIPC_ERR_NOT_INITIALIZED : NIPC_ERR_INVALID_ARGUMENT;
}

static inline nipc_error_t nipc_read_past(size_t index, size_t count)
{
    nipc_refuse_index(index, count);
    return NIPC_ERR_OUT_OF_RANGE;
}

/* Numbers in host byte order, wherever they lie. */
#define NIPC_READ_NUMBER(name, type)                         \
    static inline type nipc_read_##name(const unsigned char *at) \
    {                                                        \
        type number;                                         \
        memcpy(&number, at, sizeof number);                  \
        return number;                                       \
    }
NIPC_READ_NUMBER(u8, uint8_t)
NIPC_READ_NUMBER(u16, uint16_t)
NIPC_READ_NUMBER(u32, uint32_t)
NIPC_READ_NUMBER(u64, uint64_t)
NIPC_READ_NUMBER(i32, int32_t)
NIPC_READ_NUMBER(i64, int64_t)
#undef NIPC_READ_NUMBER

/* The string whose place and length stand at byte `at` of a record. */
static inline nipc_str_t nipc_read_str(const unsigned char *record, size_t at)
{
    nipc_str_t text;
    text.ptr = (const char *)record + nipc_read_u32(record + at);
    text.len = nipc_read_u32(record + at + 4);
    return text;
}

/* Whether it is that one. */
static inline bool nipc_read_is(const unsigned char *record, size_t at, nipc_str_t text)
{
    const nipc_str_t read = nipc_read_str(record, at);
    return read.len == text.len && (text.len == 0 || memcmp(read.ptr, text.ptr, text.len) == 0);
}

/* Where it ends, its NUL included, if that is behind `end`. */
static inline size_t nipc_read_end(const unsigned char *record, size_t at, size_t end)
{
    const size_t ends = (size_t)nipc_read_u32(record + at) + nipc_read_u32(record + at + 4) + 1;
    return ends > end ? ends : end;
}

/* The labels of a record whose strings end at `end`: their table starts at the next multiple of 8. */
static inline nipc_labels_view_t nipc_read_labels(const unsigned char *record, size_t end, size_t count)
{
    nipc_labels_view_t labels;
    labels.count = count;
    labels.record_ = record;
    labels.table_ = record + ((end + 7) & ~(size_t)7);
    return labels;
}

/* Element `index` of a directory: two u32 for each, a place and a length. */
static inline const unsigned char *nipc_read_element(const nipc_elements_t *elements, size_t index)
{
    const unsigned char *entry = (const unsigned char *)elements->entries_ + index * 8;
    return (const unsigned char *)elements->base_ + nipc_read_u32(entry);
}

/* The same of one that is a string by itself: its length counts its NUL. */
static inline nipc_str_t nipc_read_key(const nipc_elements_t *elements, size_t index)
{
    const unsigned char *entry = (const unsigned char *)elements->entries_ + index * 8;
    nipc_str_t key;
    key.ptr = (const char *)elements->base_ + nipc_read_u32(entry);
    key.len = (size_t)nipc_read_u32(entry + 4) - 1;
    return key;
}

/* Item `index` of an answer that was put together: two size_t for each, a place and a length. */
static inline const unsigned char *nipc_read_place(const nipc_elements_t *elements, size_t index)
{
    size_t place;
    memcpy(&place, (const unsigned char *)elements->entries_ + index * 2 * sizeof place, sizeof place);
    return (const unsigned char *)elements->base_ + place;
}

/* Reads label `index` of an item: its strings are borrowed from what the item was read from. Takes as
 * long for the last as for the first.
 *
 * NIPC_ERR_OUT_OF_RANGE past the last, NIPC_ERR_NOT_INITIALIZED if the view was never filled in. */
static inline nipc_error_t nipc_labels_view_get(const nipc_labels_view_t *labels, size_t index,
                                                nipc_label_t *label)
{
    const unsigned char *record, *entry;
    if (NIPC_UNLIKELY(labels == NULL || label == NULL || labels->record_ == NULL)) {
        return nipc_read_no_view(labels != NULL, label != NULL);
    }
    if (NIPC_UNLIKELY(index >= labels->count)) {
        return nipc_read_past(index, labels->count);
    }
    record = (const unsigned char *)labels->record_;
    entry = (const unsigned char *)labels->table_ + index * 16;
    label->key.ptr = (const char *)record + nipc_read_u32(entry);
    label->key.len = nipc_read_u32(entry + 4);
    label->value.ptr = (const char *)record + nipc_read_u32(entry + 8);
    label->value.len = nipc_read_u32(entry + 12);
    return NIPC_OK;
}

/* Mixes a number of an identity into the hash by which a cache finds it. */
static inline uint64_t nipc_cache_mix(uint64_t hash, uint64_t number)
{
    return (((hash << 32) | (hash >> 32)) ^ number) * UINT64_C(0x9e3779b185ebca87);
}

/* Where a search in a cache is. */
typedef struct nipc_cache_search {
    size_t at;
    uint32_t tag, left;
} nipc_cache_search_t;

static inline nipc_cache_search_t nipc_cache_begin(const nipc_cache_table_t *table, uint64_t hash)
{
    nipc_cache_search_t search;
    search.at = (size_t)(hash >> table->shift_);
    search.tag = (uint32_t)hash;
    search.left = table->farthest_ + 1;
    return search;
}

/* The next item that may be the one that is searched; NULL when there is none. */
static inline const unsigned char *nipc_cache_next(const nipc_cache_table_t *table, nipc_cache_search_t *search)
{
    while (search->left > 0) {
        const unsigned char *slot = (const unsigned char *)table->slots_ + search->at * 12;
        const uint32_t start = nipc_read_u32(slot + 4);
        if (start == UINT32_MAX) {
            return NULL;
        }
        search->left--;
        search->at = (search->at + 1) & table->mask_;
        if (nipc_read_u32(slot) == search->tag) {
            return (const unsigned char *)table->elements_.base_ + start;
        }
    }
    return NULL;
}

/* Both sides of the ABI agree on the layout: the library asserts the same. The numbers are those of hosts
 * with 64 bits. */
#define NIPC_HOST_HAS_64_BITS (sizeof(void *) == 8)
#ifdef __cplusplus
#define NIPC_ASSERT_BYTES(type, bytes) static_assert(!NIPC_HOST_HAS_64_BITS || sizeof(type) == (bytes), #type)
#define NIPC_ASSERT_ALIGNMENT(type, bytes) static_assert(!NIPC_HOST_HAS_64_BITS || alignof(type) == (bytes), #type)
#else
#define NIPC_ASSERT_BYTES(type, bytes) _Static_assert(!NIPC_HOST_HAS_64_BITS || sizeof(type) == (bytes), #type)
#define NIPC_ASSERT_ALIGNMENT(type, bytes) _Static_assert(!NIPC_HOST_HAS_64_BITS || _Alignof(type) == (bytes), #type)
#endif
