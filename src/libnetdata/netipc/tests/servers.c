/* Managed servers and hosts: handlers that answer, fail, and outlive a stop; clients that are aborted, or
 * used by two threads at once. */
#define _GNU_SOURCE /* pthread_getattr_np */
#include "support.h"

#ifndef _WIN32
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#endif

#include <netipc/services.h>

static const char *run_dir;

/* What a handler does, by the number that it is asked for. */
enum { FAILS = 1000, FAILS_WITH_WORDS, ANSWERS_TWICE, ANSWERS_NOTHING, WAITS, FAILS_ODDLY };

/* The context of the handler. */
typedef struct context {
    gate_t began; /* a handler that waits has begun, and may go on */
    gate_t go_on;
} context_t;

static nipc_error_t increment(void *argument, const nipc_request_context_t *who,
                              const nipc_increment_request_view_t *request,
                              nipc_increment_response_builder_t *response)
{
    context_t *context = (context_t *)argument;
    CHECK(who->peer_pid == (uint32_t)getpid() && who->peer_uid == own_uid());
    CHECK(who->session_id >= 1);
    nipc_increment_response_t answer = {request->value + 1};
    switch (request->value) {
    case FAILS:
        return NIPC_ERR_SYSTEM;
    case FAILS_ODDLY:
        return -12345;
    case FAILS_WITH_WORDS:
        return nipc_token_from_session_uuid("none", NULL);
    case ANSWERS_NOTHING:
        return NIPC_OK;
    case ANSWERS_TWICE:
        CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_increment_response_builder_set(response, NULL));
        CHECK(strstr(nipc_last_error(), "response to be set, is NULL") != NULL);
        CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_increment_response_builder_set(NULL, &answer));
        CHECK(strstr(nipc_last_error(), "builder is NULL") != NULL);
        CHECK_OK(nipc_increment_response_builder_set(response, &answer));
        return nipc_increment_response_builder_set(response, &answer);
    case WAITS:
        open_gate(&context->began);
        pass_gate(&context->go_on);
        break;
    default:
        CHECK(!nipc_request_context_stop_requested(who));
    }
    return nipc_increment_response_builder_set(response, &answer);
}

#define CONTEXT_INIT {GATE_INIT, GATE_INIT}

static void connect_client(nipc_client_ctx_t *client)
{
    (void)nipc_client_close(client); /* made anew: no back-off is left of what it met before */
    CHECK_OK(nipc_client_init(client, run_dir, NIPC_INCREMENT_SERVICE, NULL));
    CHECK_OK(nipc_client_refresh(client, NULL));
    CHECK(nipc_client_ready(client));
}

static nipc_error_t ask(nipc_client_ctx_t *client, uint64_t value)
{
    nipc_increment_request_t request = {value};
    nipc_increment_response_view_t response;
    nipc_error_t error = nipc_increment_call(client, &request, &response);
    CHECK(error != NIPC_OK || response.value == value + 1);
    return error;
}

static void check_failure(nipc_managed_server_t *server, nipc_client_ctx_t *client, uint64_t value,
                          const char *words)
{
    connect_client(client);
    CHECK_ERROR(NIPC_ERR_STATUS, ask(client, value));
    nipc_server_status_t status;
    CHECK_OK(nipc_server_status(server, &status));
    CHECK(strstr(status.last_error, words) != NULL);
}

static void handlers_that_fail_cost_one_call(void)
{
    context_t context = CONTEXT_INIT;
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_increment_server_init(&server, run_dir, NULL, 2, increment, &context));
    nipc_managed_server_t second = NIPC_SERVER_INIT;
    if (names_are_exclusive()) {
        CHECK_ERROR(NIPC_ERR_ADDRESS_IN_USE,
                    nipc_increment_server_init(&second, run_dir, NULL, 2, increment, &context));
    }
    nipc_server_status_t status;
    CHECK_OK(nipc_server_status(&server, &status));
    CHECK(!status.running);
    CHECK_OK(nipc_server_start(&server));
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED, nipc_server_start(&server));

    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    check_failure(&server, &client, FAILS, "NIPC_ERR_SYSTEM");
    check_failure(&server, &client, FAILS_ODDLY, "-12345");
    check_failure(&server, &client, FAILS_WITH_WORDS, "token is NULL");
    connect_client(&client);
    CHECK_ERROR(NIPC_ERR_STATUS, ask(&client, ANSWERS_TWICE));
    connect_client(&client);
    CHECK_ERROR(NIPC_ERR_STATUS, ask(&client, ANSWERS_NOTHING));
    connect_client(&client);
    CHECK_OK(ask(&client, 1));
    CHECK_OK(nipc_server_status(&server, &status));
    CHECK(status.running && status.workers == 2);

    CHECK_OK(nipc_server_drain(&server));
    CHECK_OK(nipc_server_stop(&server));
    CHECK_OK(nipc_server_status(&server, &status));
    CHECK(!status.running && status.sessions == 0);
    /* Counted once the answer is out, so for sure only now. */
    CHECK(status.calls_ok == 1 && status.calls_internal_error == 5 && status.handshakes.sessions == 6);
    CHECK(ask(&client, 1) != NIPC_OK);
    CHECK_OK(nipc_server_destroy(&server));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_server_destroy(&server));
    CHECK_OK(nipc_client_close(&client));
}

static void *ask_to_wait(void *argument)
{
    nipc_error_t error = ask((nipc_client_ctx_t *)argument, WAITS);
    return (void *)(intptr_t)error;
}

static void a_handler_that_stays_keeps_the_server(void)
{
    context_t context = CONTEXT_INIT;
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_increment_server_init(&server, run_dir, NULL, 1, increment, &context));
    CHECK_OK(nipc_server_start(&server));
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    connect_client(&client);
    pthread_t asking = start_thread(ask_to_wait, &client);
    pass_gate(&context.began);

    /* A second thread in one client is told so; nothing else happens. */
    CHECK_ERROR(NIPC_ERR_IN_USE, ask(&client, 1));
    CHECK_ERROR(NIPC_ERR_IN_USE, nipc_client_refresh(&client, NULL));
    CHECK_ERROR(NIPC_ERR_IN_USE, nipc_client_close(&client));
    CHECK(nipc_client_ready(&client));

    /* The handler stays, so the server does. */
    CHECK_ERROR(NIPC_ERR_HANDLERS_RUNNING, nipc_server_destroy(&server));
    nipc_server_status_t status;
    CHECK_OK(nipc_server_status(&server, &status));
    CHECK(!status.running);

    CHECK_OK(nipc_client_abort(&client)); /* the server may have ended the session: then it is lost */
    void *outcome = NULL;
    pthread_join(asking, &outcome);
    nipc_error_t error = (nipc_error_t)(intptr_t)outcome;
    CHECK(error == NIPC_ERR_ABORTED || error == NIPC_ERR_LOST);

    open_gate(&context.go_on);
    CHECK_OK(nipc_server_destroy(&server));
    CHECK_OK(nipc_client_close(&client));
}

static void an_abort_ends_a_call(void)
{
    context_t context = CONTEXT_INIT;
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_increment_server_init(&server, run_dir, NULL, 1, increment, &context));
    CHECK_OK(nipc_server_start(&server));
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    connect_client(&client);
    pthread_t asking = start_thread(ask_to_wait, &client);
    pass_gate(&context.began);
    CHECK_OK(nipc_client_abort(&client));
    void *outcome = NULL;
    pthread_join(asking, &outcome);
    CHECK((nipc_error_t)(intptr_t)outcome == NIPC_ERR_ABORTED);
    open_gate(&context.go_on);

    CHECK(!nipc_client_ready(&client));
    CHECK_OK(nipc_client_refresh(&client, NULL));
    CHECK(!nipc_client_ready(&client)); /* it stays set */
    CHECK_OK(nipc_client_abort_clear(&client));
    connect_client(&client);
    CHECK_OK(ask(&client, 1));
    CHECK_OK(nipc_client_close(&client));
    CHECK_OK(nipc_server_destroy(&server));
}

static void *run_server(void *argument)
{
    CHECK_OK(nipc_server_run((nipc_managed_server_t *)argument));
    return NULL;
}

static void run_returns_once_another_thread_stops_it(void)
{
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_server_init_typed(&server, run_dir, NIPC_INCREMENT_SERVICE, NULL, 1,
                                    nipc_increment_handler(increment, NULL)));
    pthread_t running = start_thread(run_server, &server);
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    connect_client(&client); /* waits until it is served */
    CHECK_OK(ask(&client, 7));
    CHECK_OK(nipc_server_stop(&server));
    pthread_join(running, NULL);
    CHECK_OK(nipc_server_destroy(&server));

    /* Stopped before it was started: the name is free again, run returns at once, start says so. */
    CHECK_OK(nipc_increment_server_init(&server, run_dir, NULL, 1, increment, NULL));
    CHECK_OK(nipc_server_stop(&server));
    CHECK_OK(nipc_server_run(&server));
    CHECK_ERROR(NIPC_ERR_ABORTED, nipc_server_start(&server));
    nipc_managed_server_t other = NIPC_SERVER_INIT;
    CHECK_OK(nipc_increment_server_init(&other, run_dir, NULL, 1, increment, NULL));
    CHECK_OK(nipc_server_destroy(&other));
    CHECK_OK(nipc_server_destroy(&server));
    CHECK_OK(nipc_client_close(&client));
}

#define HANDLER_STACK_BYTES (2u << 20) /* as the header says */

#ifdef _WIN32

static size_t own_stack_bytes(void)
{
    ULONG_PTR low = 0, high = 0;
    GetCurrentThreadStackLimits(&low, &high);
    return (size_t)(high - low);
}

/* There are none to keep from handlers. */
static void check_own_signals(void)
{
}

static void start_without_signals(nipc_managed_server_t *server)
{
    CHECK_OK(nipc_server_start(server));
}

#else

static size_t own_stack_bytes(void)
{
    pthread_attr_t attributes;
    size_t bytes = 0;
    CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
    CHECK(pthread_attr_getstacksize(&attributes, &bytes) == 0);
    CHECK(pthread_attr_destroy(&attributes) == 0);
    return bytes;
}

static void check_own_signals(void)
{
    sigset_t blocked;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
    CHECK(sigismember(&blocked, SIGTERM) && !sigismember(&blocked, SIGBUS));
}

/* As programs do that wait for signals. */
static void start_without_signals(nipc_managed_server_t *server)
{
    sigset_t all, before;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK_OK(nipc_server_start(server));
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

#endif

static nipc_error_t tell_of_thread(void *context, const nipc_request_context_t *who,
                                      const nipc_increment_request_view_t *request,
                                      nipc_increment_response_builder_t *response)
{
    (void)context, (void)who, (void)request;
    size_t bytes = own_stack_bytes();
    check_own_signals();
    nipc_increment_response_t answer = {bytes};
    return nipc_increment_response_builder_set(response, &answer);
}

static void handlers_have_the_threads_that_are_promised(void)
{
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_increment_server_init(&server, run_dir, NULL, 1, tell_of_thread, NULL));
    start_without_signals(&server);
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    connect_client(&client);
    nipc_increment_request_t request = NIPC_INCREMENT_REQUEST_INIT;
    nipc_increment_response_view_t response;
    CHECK_OK(nipc_increment_call(&client, &request, &response));
    CHECK(response.value >= HANDLER_STACK_BYTES);
    CHECK_OK(nipc_client_close(&client));
    CHECK_OK(nipc_server_destroy(&server));
}

#define LONG_ANSWER_BYTES 100000u /* more than the response limit that sessions start with */

/* How often the handler below was asked for its long answer. */
static int long_answers;

/* Its response is refused before it is right: nothing was set by then. */
static nipc_error_t reverse_at_the_second_try(void *context, const nipc_request_context_t *who,
                                              const nipc_string_reverse_request_view_t *request,
                                              nipc_string_reverse_response_builder_t *response)
{
    static char zeros[LONG_ANSWER_BYTES];
    (void)context, (void)who;
    nipc_string_reverse_response_t answer = {{NULL, 1}};
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_string_reverse_response_builder_set(response, &answer));
    CHECK(strstr(nipc_last_error(), "bytes is NULL") != NULL);
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_string_reverse_response_builder_set(response, NULL));
    if (request->bytes.len > 0) {
        char text[2];
        CHECK(request->bytes.len == sizeof text);
        memcpy(text, request->bytes.ptr, sizeof text);
        answer.bytes = (nipc_str_t){text, sizeof text};
        CHECK_OK(nipc_string_reverse_response_builder_set(response, &answer));
        memset(text, 0, sizeof text); /* it was copied */
        CHECK_ERROR(NIPC_ERR_CALLER, nipc_string_reverse_response_builder_set(response, &answer));
        CHECK(strstr(nipc_last_error(), "set already") != NULL);
        return NIPC_OK;
    }
    /* What does not fit is the client's to know, whatever the handler makes of it. */
    long_answers++;
    answer.bytes = (nipc_str_t){zeros, sizeof zeros};
    if (nipc_string_reverse_response_builder_set(response, &answer) != NIPC_OK) {
        answer.bytes.len = 1;
        CHECK_ERROR(NIPC_ERR_NO_SPACE, nipc_string_reverse_response_builder_set(response, &answer));
        CHECK(strstr(nipc_last_error(), "does not fit") != NULL);
    }
    return NIPC_OK;
}

/* What is refused of a request is said where it was refused, and the client has nothing to do with it. */
static void check_refused_requests(nipc_client_ctx_t *client)
{
    nipc_string_reverse_request_t requests[] = {{{"a", 1}}, {{NULL, 3}}};
    nipc_string_reverse_response_view_t response;
    nipc_string_reverse_batch_view_t answers;
    nipc_client_status_t status;
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_string_reverse_call(client, &requests[1], &response));
    CHECK(strstr(nipc_last_error(), "bytes is NULL") != NULL);
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_string_reverse_batch(client, requests, 2, &answers));
    CHECK(strstr(nipc_last_error(), "bytes is NULL") != NULL);
    CHECK_OK(nipc_client_status(client, &status));
    CHECK(strcmp(status.reason, "") == 0);
    CHECK(status.has_session && status.counters.calls == 0 && status.counters.errors_caller == 0);
}

static void a_response_that_was_refused_may_be_set_again(void)
{
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    CHECK_OK(nipc_string_reverse_server_init(&server, run_dir, NULL, 1, reverse_at_the_second_try, NULL));
    CHECK_OK(nipc_server_start(&server));
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    CHECK_OK(nipc_client_init(&client, run_dir, NIPC_STRING_REVERSE_SERVICE, NULL));
    CHECK_OK(nipc_client_refresh(&client, NULL));
    check_refused_requests(&client);

    nipc_string_reverse_request_t request = {{"ab", 2}};
    nipc_string_reverse_response_view_t response;
    CHECK_OK(nipc_string_reverse_call(&client, &request, &response));
    CHECK(response.bytes.len == 2 && memcmp(response.bytes.ptr, "ab", 2) == 0);
    request.bytes.len = 0;
    CHECK_OK(nipc_string_reverse_call(&client, &request, &response));
    CHECK(response.bytes.len == LONG_ANSWER_BYTES && long_answers == 2);
    CHECK_OK(nipc_client_close(&client));
    CHECK_OK(nipc_server_destroy(&server));
}

static nipc_error_t reverse_nothing(void *context, const nipc_request_context_t *who,
                                    const nipc_string_reverse_request_view_t *request,
                                    nipc_string_reverse_response_builder_t *response)
{
    (void)context, (void)who, (void)request;
    nipc_string_reverse_response_t answer = NIPC_STRING_REVERSE_RESPONSE_INIT;
    return nipc_string_reverse_response_builder_set(response, &answer);
}

static void a_host_serves_several(void)
{
    nipc_host_t host = NIPC_HOST_INIT;
    nipc_server_status_t status;
    CHECK_OK(nipc_host_init(&host, 2));
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED, nipc_host_init(&host, 2));
    CHECK_ERROR(NIPC_ERR_OUT_OF_RANGE, nipc_host_status(&host, 0, &status));
    CHECK_OK(nipc_host_add(&host, run_dir, NIPC_INCREMENT_SERVICE, NULL,
                           nipc_increment_handler(increment, NULL)));
    if (names_are_exclusive()) {
        CHECK_ERROR(NIPC_ERR_ADDRESS_IN_USE, nipc_host_add(&host, run_dir, NIPC_INCREMENT_SERVICE, NULL,
                                                           nipc_increment_handler(increment, NULL)));
    }
    CHECK_OK(nipc_host_add(&host, run_dir, NIPC_STRING_REVERSE_SERVICE, NULL,
                           nipc_string_reverse_handler(reverse_nothing, NULL)));
    CHECK_OK(nipc_host_start(&host));
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED,
                nipc_host_add(&host, run_dir, "third", NULL, nipc_increment_handler(increment, NULL)));

    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    connect_client(&client);
    CHECK_OK(ask(&client, 7));
    CHECK_OK(nipc_client_close(&client));
    CHECK_OK(nipc_client_init(&client, run_dir, NIPC_STRING_REVERSE_SERVICE, NULL));
    CHECK_OK(nipc_client_refresh(&client, NULL));
    CHECK(nipc_client_ready(&client));
    nipc_string_reverse_request_t request = NIPC_STRING_REVERSE_REQUEST_INIT;
    nipc_string_reverse_response_view_t response;
    CHECK_OK(nipc_string_reverse_call(&client, &request, &response));
    CHECK_OK(nipc_string_reverse_call(&client, &request, &response));
    CHECK_OK(nipc_client_close(&client));

    CHECK_OK(nipc_host_status(&host, 0, &status));
    CHECK(status.running);
    CHECK_ERROR(NIPC_ERR_OUT_OF_RANGE, nipc_host_status(&host, 2, &status));
    CHECK_OK(nipc_host_drain(&host));
    CHECK_OK(nipc_host_status(&host, 0, &status));
    CHECK(!status.running && status.calls_ok == 1);
    CHECK_OK(nipc_host_status(&host, 1, &status));
    CHECK(status.calls_ok == 2 && status.handshakes.sessions == 1);
    CHECK_OK(nipc_host_destroy(&host));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_host_destroy(&host));
}

#ifndef _WIN32 /* where sockets have modes, and users numbers */
/* The client is refused for good, and the status says so. */
static void is_refused(const nipc_client_config_t *config)
{
    nipc_client_ctx_t client = NIPC_CLIENT_INIT;
    nipc_client_state_t state;
    CHECK_OK(nipc_client_init(&client, run_dir, NIPC_INCREMENT_SERVICE, config));
    CHECK_OK(nipc_client_refresh(&client, NULL));
    CHECK(!nipc_client_ready(&client));
    CHECK_OK(nipc_client_state(&client, &state));
    CHECK(state == NIPC_CLIENT_AUTH_FAILED);
    CHECK_OK(nipc_client_close(&client));
}

static void who_may_connect_is_as_the_server_says(void)
{
    const uint32_t others[] = {geteuid() + 1};
    nipc_server_config_t config = {0};
    nipc_client_config_t with_token = {0};
    nipc_managed_server_t server = NIPC_SERVER_INIT;
    nipc_server_status_t status;
    char path[256];
    struct stat socket;

    /* Another token, and the mode of the socket, whatever the umask. */
    config.auth_token = 1;
    config.access.mode = 0640;
    with_token.auth_token = 2;
    mode_t before = umask(0777);
    CHECK_OK(nipc_increment_server_init(&server, run_dir, &config, 1, increment, NULL));
    umask(before);
    CHECK_OK(nipc_server_start(&server));
    snprintf(path, sizeof path, "%s/%s.sock", run_dir, NIPC_INCREMENT_SERVICE);
    CHECK(stat(path, &socket) == 0 && (socket.st_mode & 07777) == 0640);
    is_refused(NULL);
    is_refused(&with_token);
    CHECK_OK(nipc_server_status(&server, &status));
    CHECK(status.handshakes.sessions == 0 && status.handshakes.auth_failed == 2);
    CHECK_OK(nipc_server_destroy(&server));

    /* Another user, whatever the token. */
    config = (nipc_server_config_t){0};
    config.access.uids = others;
    config.access.uid_count = 1;
    CHECK_OK(nipc_increment_server_init(&server, run_dir, &config, 1, increment, NULL));
    CHECK_OK(nipc_server_start(&server));
    is_refused(NULL);
    CHECK_OK(nipc_server_destroy(&server));
}

#endif

int main(void)
{
    /* What Rust's library would go by: the first server's threads show that it is not looked at. */
    set_variable("RUST_MIN_STACK", "131072");
    run_dir = make_run_dir();
    handlers_have_the_threads_that_are_promised();
    handlers_that_fail_cost_one_call();
    a_response_that_was_refused_may_be_set_again();
    a_handler_that_stays_keeps_the_server();
    an_abort_ends_a_call();
    run_returns_once_another_thread_stops_it();
    a_host_serves_several();
#ifndef _WIN32
    who_may_connect_is_as_the_server_says();
#endif
    remove_run_dir(run_dir, (const char *const[]){NIPC_INCREMENT_SERVICE, NIPC_STRING_REVERSE_SERVICE, NULL});
    return EXIT_SUCCESS;
}
