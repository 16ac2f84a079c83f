/* What the tests need of Windows, where a run directory is a number in names, and users have identifiers. */
#ifndef NIPC_TESTS_SUPPORT_WINDOWS_H
#define NIPC_TESTS_SUPPORT_WINDOWS_H

#include <windows.h>

/* A run directory of this process's own: it need not exist. */
static inline const char *make_run_dir(void)
{
    static char run_dir[64];
    snprintf(run_dir, sizeof run_dir, "netipc-c-%lu", (unsigned long)GetCurrentProcessId());
    return run_dir;
}

/* Nothing of it is left: names go with those who have them. */
static inline void remove_run_dir(const char *run_dir, const char *const *services)
{
    (void)run_dir;
    (void)services;
}

/* Of the environment, for what reads it later. */
static inline void set_variable(const char *name, const char *value)
{
    CHECK(SetEnvironmentVariableA(name, value));
}

/* Whether the system sees to it that a name has one server: Wine does not. */
static inline int names_are_exclusive(void)
{
    return GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == NULL;
}

/* The last part of the user's identifier. */
static inline uint32_t own_uid(void)
{
    HANDLE token;
    DWORD bytes;
    union {
        TOKEN_USER user;
        char room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } told;
    CHECK(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
    CHECK(GetTokenInformation(token, TokenUser, &told, sizeof told, &bytes));
    CHECK(CloseHandle(token));
    PSID sid = told.user.User.Sid;
    return (uint32_t)*GetSidSubAuthority(sid, (DWORD)*GetSidSubAuthorityCount(sid) - 1);
}

/* There is none. */
static inline uint32_t own_gid(void)
{
    return UINT32_MAX;
}

#endif
