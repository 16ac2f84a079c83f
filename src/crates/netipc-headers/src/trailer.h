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
