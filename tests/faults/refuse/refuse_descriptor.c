/*
 * Runs a program, notes every call by which it makes a descriptor, and has one of them fail with EMFILE:
 *
 *     refuse_descriptor LOG CALL PATH NTH PROGRAM ARGUMENT…
 *
 * The NTH call named CALL of the whole process that names a PATH like this one (a pattern of file names; "-" where
 * the call names none) fails, as if there were no descriptors; with an NTH of 0 none does. Each call is a line of
 * LOG, "CALL PATH" or "CALL PATH REFUSED", written before the call is made. The program keeps this process' id, and
 * has nothing of the watcher's.
 *
 * Calls are counted over all threads, which strace cannot do: in Go the thread that makes a call is any.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Headers before Linux 5.19 do not have it; whether the system does, it says itself. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define NO_PATH (-1)
#define PATH_BYTES 4096
#define LINE_BYTES (PATH_BYTES + 64)

/* A call that makes a descriptor, and which of its arguments is a path. */
struct making {
    const char *name;
    long number;
    int path;
};

static const struct making all_making[] = {
#ifdef SYS_open
    {"open", SYS_open, 0},
#endif
#ifdef SYS_creat
    {"creat", SYS_creat, 0},
#endif
#ifdef SYS_eventfd
    {"eventfd", SYS_eventfd, NO_PATH},
#endif
#ifdef SYS_epoll_create
    {"epoll_create", SYS_epoll_create, NO_PATH},
#endif
#ifdef SYS_dup2
    {"dup2", SYS_dup2, NO_PATH},
#endif
#ifdef SYS_pipe
    {"pipe", SYS_pipe, NO_PATH},
#endif
    {"openat", SYS_openat, 1},
    {"openat2", SYS_openat2, 1},
    {"socket", SYS_socket, NO_PATH},
    {"socketpair", SYS_socketpair, NO_PATH},
    {"accept", SYS_accept, NO_PATH},
    {"accept4", SYS_accept4, NO_PATH},
    {"eventfd2", SYS_eventfd2, NO_PATH},
    {"epoll_create1", SYS_epoll_create1, NO_PATH},
    {"dup", SYS_dup, NO_PATH},
    {"dup3", SYS_dup3, NO_PATH},
    {"pipe2", SYS_pipe2, NO_PATH},
    {"pidfd_open", SYS_pidfd_open, NO_PATH},
    {"pidfd_getfd", SYS_pidfd_getfd, NO_PATH},
    {"memfd_create", SYS_memfd_create, NO_PATH},
    {"timerfd_create", SYS_timerfd_create, NO_PATH},
    {"signalfd4", SYS_signalfd4, NO_PATH},
    {"inotify_init1", SYS_inotify_init1, NO_PATH},
    {"userfaultfd", SYS_userfaultfd, NO_PATH},
    {"io_uring_setup", SYS_io_uring_setup, NO_PATH},
    {"fcntl", SYS_fcntl, NO_PATH}, /* those that copy one alone */
};
#define MAKING (sizeof all_making / sizeof *all_making)

_Noreturn static void fail(const char *what) {
    fprintf(stderr, "refuse_descriptor: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* From now on this thread's calls of those kinds wait for whoever has the descriptor that is returned. */
static int watch_own_calls(void) {
    static const __u32 number = offsetof(struct seccomp_data, nr);
    /* The low half of the second argument. */
    static const __u32 command =
        offsetof(struct seccomp_data, args[1]) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? sizeof(__u32) : 0);
    struct sock_filter filter[2 * MAKING + 8];
    unsigned short at = 0;
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number);
    for (size_t i = 0; i < MAKING; i++) {
        if (all_making[i].number == SYS_fcntl)
            continue;
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)all_making[i].number, 0, 1);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 4);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, command);
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_DUPFD, 1, 0);
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_DUPFD_CLOEXEC, 0, 1);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = at, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        fail("no new privileges");
    /* A signal, as Go sends its threads, must not have a call made twice that is counted once (Linux 5.19). */
    int watcher = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                               SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
    if (watcher < 0)
        fail("a filter of system calls (Linux 5.19 or later)");
    return watcher;
}

static void send_descriptor(int channel, int descriptor) {
    char byte = 0, space[CMSG_SPACE(sizeof descriptor)] = {0};
    struct iovec text = {&byte, 1};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof descriptor), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    if (sendmsg(channel, &message, MSG_NOSIGNAL) < 0)
        fail("handing on the filter");
}

static int receive_descriptor(int channel) {
    int descriptor = -1;
    char byte, space[CMSG_SPACE(sizeof descriptor)];
    struct iovec text = {&byte, 1};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) <= 0 || !CMSG_FIRSTHDR(&message))
        _exit(EXIT_FAILURE);
    memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    return descriptor;
}

static const struct making *making_of(int number) {
    for (size_t i = 0; i < MAKING; i++)
        if (all_making[i].number == number)
            return &all_making[i];
    return NULL;
}

/* What the call names: read as the caller's memory is, a page at most at a time, for the next may not be there. */
static void path_of(const struct seccomp_notif *call, const struct making *making, char path[PATH_BYTES]) {
    strcpy(path, "-");
    if (making->path == NO_PATH)
        return;
    char *from = (char *)(uintptr_t)call->data.args[making->path];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), length = 0;
    while (length < PATH_BYTES - 1) {
        size_t rest = page - (uintptr_t)(from + length) % page;
        if (rest > PATH_BYTES - 1 - length)
            rest = PATH_BYTES - 1 - length;
        struct iovec here = {path + length, rest}, there = {from + length, rest};
        ssize_t count = process_vm_readv((pid_t)call->pid, &here, 1, &there, 1, 0);
        if (count <= 0)
            break;
        if (memchr(path + length, 0, (size_t)count))
            return;
        length += (size_t)count;
    }
    strcpy(path, "?");
}

/*
 * After a failure that says that the caller was killed meanwhile (ENOENT) or nothing (EINTR), one goes on. Any other
 * would stay: the watcher ends with it, and all calls that it would have answered fail with ENOSYS, rather than wait.
 */
static int go_on_or_end(void) {
    if (errno != ENOENT && errno != EINTR)
        _exit(EXIT_FAILURE);
    return errno;
}

/* Answers every call of the program, until there is nobody left who could make one. */
_Noreturn static void answer(int watcher, int log, const char *name, const char *named, unsigned long nth) {
    unsigned long count = 0;
    for (;;) {
        struct pollfd ready = {.fd = watcher, .events = POLLIN};
        if (poll(&ready, 1, -1) < 0 || !(ready.revents & POLLIN))
            _exit(EXIT_SUCCESS);
        struct seccomp_notif call = {0};
        if (ioctl(watcher, SECCOMP_IOCTL_NOTIF_RECV, &call)) {
            go_on_or_end();
            continue;
        }
        const struct making *making = making_of(call.data.nr);
        char path[PATH_BYTES], line[LINE_BYTES];
        path_of(&call, making, path);
        int is_wanted = strcmp(making->name, name) == 0 && fnmatch(named, path, 0) == 0;
        int is_refused = is_wanted && ++count == nth;
        int bytes = snprintf(line, sizeof line, "%s %s%s\n", making->name, path, is_refused ? " REFUSED" : "");
        if (write(log, line, (size_t)bytes) != bytes)
            _exit(EXIT_FAILURE);
        struct seccomp_notif_resp reply = {.id = call.id};
        if (is_refused)
            reply.error = -EMFILE;
        else
            reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        while (ioctl(watcher, SECCOMP_IOCTL_NOTIF_SEND, &reply) && go_on_or_end() != ENOENT)
            ;
    }
}

/* A watcher that is nobody's child: the program must not meet one that it does not know. */
static void start_watcher(int channel, int other, char **words) {
    int log = open(words[0], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        fail(words[0]);
    pid_t between = fork();
    if (between < 0)
        fail("fork");
    if (between > 0) {
        close(log);
        waitpid(between, NULL, 0);
        return;
    }
    if (fork() != 0)
        _exit(EXIT_SUCCESS);
    close(other);
    int watcher = receive_descriptor(channel);
    /* The program's ends of its pipes are the program's alone: who reads them waits for their end. */
    for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++)
        close(standard);
    close(channel);
    answer(watcher, log, words[1], words[2], strtoul(words[3], NULL, 10));
}

int main(int count, char **words) {
    if (count < 6) {
        fprintf(stderr, "refuse_descriptor LOG CALL PATH NTH PROGRAM ARGUMENT…\n");
        return EXIT_FAILURE;
    }
    int channel[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel))
        fail("a socket pair");
    start_watcher(channel[0], channel[1], words + 1);
    close(channel[0]);
    int watcher = watch_own_calls();
    send_descriptor(channel[1], watcher);
    close(watcher);
    close(channel[1]);
    execv(words[5], words + 5);
    fail(words[5]);
}
