/*
 * A client that calls on and on, whatever becomes of its server, while its runner does harm:
 * tests/faults/README.md. A failed call is counted, and never ends it; an answer that is wrong is counted, too,
 * and a peer that broke the contract, each by itself, for the runner to judge.
 */
#include "driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A string has at least its number. */
#define NUMBER_BYTES 8
/* The pause after a refresh that gave no session: who serves may be about to. */
#define NO_SESSION_PAUSE_NS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* What the caller has come to, and what it was told. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t right, wrong, broken, failed, refused, longest_ns;
    /* Calls begun, the last that returned, and the last that was answered rightly. */
    uint64_t begun, returned, last_right;
    /* It is to pause; it does; it is to close its session. */
    bool holds, held, closes;
    bool shared;
    char reason[NIPC_TEXT_BYTES];
} board = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static nipc_client_ctx_t client;

static void wait_for_change(void) { pthread_cond_wait(&board.changed, &board.lock); }

static void give_reason(const char *text) { snprintf(board.reason, sizeof board.reason, "%s", text); }

static void took(uint64_t start_ns) {
    uint64_t took_ns = monotonic_ns() - start_ns;
    if (took_ns > board.longest_ns)
        board.longest_ns = took_ns;
}

/* A string for each number, of a length and content of its own. */
static nipc_str_t text_of(char *room, size_t bytes, uint64_t number) {
    size_t len = NUMBER_BYTES + (size_t)(number % (bytes - NUMBER_BYTES + 1));
    for (size_t i = 0; i < len; i++)
        room[i] = (char)(uint8_t)(number * 31 + i);
    for (size_t i = 0; i < NUMBER_BYTES; i++)
        room[i] = (char)(uint8_t)(number >> (8 * (NUMBER_BYTES - 1 - i)));
    return (nipc_str_t){.ptr = room, .len = len};
}

static bool is_reversed(nipc_str_t answer, nipc_str_t text) {
    if (answer.len != text.len)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (answer.ptr[i] != text.ptr[text.len - 1 - i])
            return false;
    return true;
}

/* No session: why, once the lock is had. */
static void refused(uint64_t number, uint64_t start_ns) {
    nipc_client_status_t status;
    must(nipc_client_status(&client, &status), "status");
    pthread_mutex_lock(&board.lock);
    took(start_ns);
    board.returned = number;
    board.refused++;
    give_reason(status.reason);
    pthread_cond_broadcast(&board.changed);
    pthread_mutex_unlock(&board.lock);
}

/* One call, on a session that is made for it where there is none. Answers whether there was one. */
static bool attempt(char *room, size_t bytes, uint64_t number) {
    uint64_t start_ns = monotonic_ns();
    bool changed;
    if (!nipc_client_ready(&client)) {
        /* What keeps it from trying is told as what keeps it from a session. */
        nipc_error_t error = nipc_client_refresh(&client, &changed);
        if (error != NIPC_OK && error != NIPC_ERR_ABORTED && error != NIPC_ERR_SYSTEM)
            must(error, "refresh");
    }
    if (!nipc_client_ready(&client)) {
        refused(number, start_ns);
        return false;
    }
    nipc_string_reverse_request_t request = {.bytes = text_of(room, bytes, number)};
    nipc_string_reverse_response_view_t answer;
    start_ns = monotonic_ns();
    nipc_error_t error = nipc_string_reverse_call(&client, &request, &answer);
    bool is_right = error == NIPC_OK && is_reversed(answer.bytes, request.bytes);
    nipc_client_status_t status;
    uint64_t end_ns = monotonic_ns() - start_ns;
    must(nipc_client_status(&client, &status), "status");
    pthread_mutex_lock(&board.lock);
    if (end_ns > board.longest_ns)
        board.longest_ns = end_ns;
    board.returned = number;
    if (status.has_session)
        board.shared = status.terms.profile != 1;
    switch (error) {
    case NIPC_OK:
        if (is_right) {
            board.right++;
            board.last_right = number;
        } else {
            board.wrong++;
            give_reason("a wrong answer");
        }
        break;
    case NIPC_ERR_TIMED_OUT:
    case NIPC_ERR_ABORTED:
    case NIPC_ERR_LOST:
    case NIPC_ERR_STATUS:
    case NIPC_ERR_SYSTEM:
    case NIPC_ERR_LIMIT:
    case NIPC_ERR_NOT_READY:
        board.failed++;
        give_reason(nipc_last_error());
        break;
    case NIPC_ERR_VIOLATION:
        board.broken++;
        give_reason(nipc_last_error());
        break;
    default:
        /* No call may end so. */
        board.wrong++;
        give_reason(nipc_last_error());
    }
    pthread_cond_broadcast(&board.changed);
    pthread_mutex_unlock(&board.lock);
    return true;
}

static nipc_client_config_t endure_config(const struct options *o) {
    nipc_client_config_t config = client_config(o);
    config.call_timeout_ms = o->timeout_ms;
    return config;
}

static void *call_on(void *context) {
    const struct options *o = context;
    size_t bytes = o->bytes < NUMBER_BYTES ? NUMBER_BYTES : o->bytes;
    char *room = memory(bytes, 1);
    for (;;) {
        pthread_mutex_lock(&board.lock);
        if (board.closes) {
            nipc_client_config_t config = endure_config(o);
            must(nipc_client_close(&client), "close");
            must(nipc_string_reverse_client_init(&client, o->run_dir, o->service, &config), "a client");
            board.closes = false;
        }
        board.held = board.holds;
        pthread_cond_broadcast(&board.changed);
        while (board.holds && !board.closes)
            wait_for_change();
        if (board.closes) {
            pthread_mutex_unlock(&board.lock);
            continue;
        }
        board.held = false;
        pthread_cond_broadcast(&board.changed);
        uint64_t number = ++board.begun;
        pthread_mutex_unlock(&board.lock);
        uint64_t pause_ns = attempt(room, bytes, number) ? o->rest_us * NS_PER_US : NO_SESSION_PAUSE_NS;
        if (pause_ns > 0)
            rest_until(monotonic_ns() + pause_ns);
    }
    return NULL;
}

/* The reason, as JSON has strings. */
static const char *quoted(void) {
    static char text[2 * NIPC_TEXT_BYTES];
    size_t to = 0;
    for (const char *from = board.reason; *from; from++) {
        if (*from == '"' || *from == '\\')
            text[to++] = '\\';
        text[to++] = (unsigned char)*from < ' ' ? ' ' : *from;
    }
    text[to] = 0;
    return text;
}

/* Does what the runner says, and tells when it is done. */
static void obey(const char *word) {
    uint64_t start_ns = monotonic_ns();
    pthread_mutex_lock(&board.lock);
    uint64_t begun = board.begun, missed = board.failed + board.refused;
    if (strcmp(word, "next") == 0) {
        while (board.last_right <= begun)
            wait_for_change();
    } else if (strcmp(word, "miss") == 0) {
        while (board.failed + board.refused <= missed)
            wait_for_change();
    } else if (strcmp(word, "hold") == 0) {
        board.holds = true;
        pthread_cond_broadcast(&board.changed);
        while (!board.held)
            wait_for_change();
    } else if (strcmp(word, "go") == 0) {
        board.holds = false;
        pthread_cond_broadcast(&board.changed);
        while (board.held)
            wait_for_change();
    } else if (strcmp(word, "close") == 0) {
        board.closes = true;
        pthread_cond_broadcast(&board.changed);
        while (board.closes)
            wait_for_change();
    } else if (strcmp(word, "abort") == 0) {
        pthread_mutex_unlock(&board.lock);
        must(nipc_client_abort(&client), "abort");
        pthread_mutex_lock(&board.lock);
        while (board.returned < begun)
            wait_for_change();
        must(nipc_client_abort_clear(&client), "clear");
    } else if (strcmp(word, "fork") == 0) {
        pthread_mutex_unlock(&board.lock);
        fork_once();
        pthread_mutex_lock(&board.lock);
    } else if (strncmp(word, FORK_LIVING, strlen(FORK_LIVING)) == 0) {
        fork_living(word + strlen(FORK_LIVING));
    } else if (strcmp(word, "tell") != 0) {
        fail("unknown word: %s", word);
    }
    say("{\"event\":\"endured\",\"right\":%llu,\"wrong\":%llu,\"broken\":%llu,\"failed\":%llu,\"refused\":%llu,"
        "\"longest_ns\":%llu,\"took_ns\":%llu,\"shared\":%s,\"reason\":\"%s\"}",
        (unsigned long long)board.right, (unsigned long long)board.wrong, (unsigned long long)board.broken,
        (unsigned long long)board.failed, (unsigned long long)board.refused,
        (unsigned long long)board.longest_ns, (unsigned long long)(monotonic_ns() - start_ns),
        board.shared ? "true" : "false", quoted());
    board.longest_ns = 0;
    pthread_mutex_unlock(&board.lock);
}

void endure(const struct options *o) {
    nipc_client_config_t config = endure_config(o);
    must(nipc_string_reverse_client_init(&client, o->run_dir, o->service, &config), "a client of string-reverse");
    say("{\"event\":\"ready\"}");
    pthread_t thread;
    int error = pthread_create(&thread, NULL, call_on, (void *)(uintptr_t)o);
    if (error)
        fail("a thread: %s", strerror(error));
    for (const char *word = hear(); word; word = hear())
        obey(word);
    /* The caller ends with the process. */
    fflush(stdout);
    _Exit(EXIT_SUCCESS);
}
