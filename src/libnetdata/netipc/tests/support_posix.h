/* What the tests need of a system with files and users. */
#ifndef NIPC_TESTS_SUPPORT_POSIX_H
#define NIPC_TESTS_SUPPORT_POSIX_H

/* An empty run directory of this process's own: in memory, as run directories are, where that is. On a disk to which
 * somebody writes gigabytes, who touches a region waits for seconds, and so does who stops a server. */
static inline const char *make_run_dir(void)
{
    static char in_memory[] = "/dev/shm/netipc-c-XXXXXX", on_disk[] = "/tmp/netipc-c-XXXXXX";
    if (mkdtemp(in_memory) != NULL) {
        return in_memory;
    }
    CHECK(mkdtemp(on_disk) != NULL);
    return on_disk;
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
