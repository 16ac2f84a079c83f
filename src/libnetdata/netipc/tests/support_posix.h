/* What the tests need of a system with files and users. */
#ifndef NIPC_TESTS_SUPPORT_POSIX_H
#define NIPC_TESTS_SUPPORT_POSIX_H

/* An empty run directory of this process's own. */
static inline const char *make_run_dir(void)
{
    static char run_dir[] = "/tmp/netipc-c-XXXXXX";
    CHECK(mkdtemp(run_dir) != NULL);
    return run_dir;
}

/* Removes it, with the lock files that servers leave. */
static inline void remove_run_dir(const char *run_dir, const char *const *services)
{
    for (; *services != NULL; services++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s.lock", run_dir, *services);
        unlink(path);
    }
    CHECK(rmdir(run_dir) == 0); /* nothing else is left */
}

/* Of the environment, for what reads it later. */
static inline void set_variable(const char *name, const char *value)
{
    CHECK(setenv(name, value, 1) == 0);
}

/* Whether the system sees to it that a name has one server. */
static inline int names_are_exclusive(void)
{
    return 1;
}

static inline uint32_t own_uid(void)
{
    return (uint32_t)geteuid();
}

static inline uint32_t own_gid(void)
{
    return (uint32_t)getegid();
}

#endif
