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

/* Both sides of the ABI agree on the layout: the library asserts the same. */
#ifdef __cplusplus
#define NIPC_STATIC_ASSERT(condition, words) static_assert(condition, words)
#define NIPC_ALIGNOF(type) alignof(type)
#else
#define NIPC_STATIC_ASSERT(condition, words) _Static_assert(condition, words)
#define NIPC_ALIGNOF(type) _Alignof(type)
#endif
