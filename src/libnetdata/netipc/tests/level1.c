/* Level 1: messages both ways, over each transport, and everything that can be done wrong with it. */
#include "support.h"

#include <sched.h>
#include <stdatomic.h>

#ifndef _WIN32
#include <fcntl.h>
#endif

#define SERVICE "level-one"
#define METHOD 0x0200
#define PAYLOAD_BYTES 100000u

static const char *run_dir;

static void check_terms(const nipc_session_t *session, uint32_t profile)
{
    nipc_terms_t terms;
    CHECK_OK(nipc_session_terms(session, &terms));
    CHECK(terms.profile == profile && terms.session_id >= 1);
    CHECK(terms.max_request_payload_bytes == PAYLOAD_BYTES);
    size_t limit = 0;
    CHECK_OK(nipc_session_in_flight_limit(session, &limit));
    CHECK(limit == (profile == NIPC_PROFILE_BASELINE ? SIZE_MAX : 1));
    nipc_peer_t peer;
    CHECK_OK(nipc_session_peer(session, &peer));
    CHECK(peer.pid == (uint32_t)getpid() && peer.uid == own_uid() && peer.gid == own_gid());
    int fd = -1;
#ifdef _WIN32
    CHECK_ERROR(NIPC_ERR_UNSUPPORTED, nipc_session_fd(session, &fd));
    CHECK(fd == -1);
#else
    CHECK_OK(nipc_session_fd(session, &fd));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
#endif
}

/* Answers one request with its payload, then waits until the client has left. */
static void *serve_one(void *argument)
{
    nipc_listener_t *listener = (nipc_listener_t *)argument;
    nipc_session_t session = NIPC_SESSION_INIT;
    nipc_message_view_t message;
    nipc_header_t header;
    CHECK_OK(nipc_listener_accept(listener, SOON_MS, &session));
    CHECK_OK(nipc_session_receive(&session, SOON_MS, &message));
    CHECK(message.header.kind == NIPC_KIND_REQUEST && message.header.code == METHOD);
    CHECK_OK(nipc_header_response(&message.header, message.header.payload_len, &header));
    CHECK_OK(nipc_session_send(&session, &header, message.payload, message.payload_len, SOON_MS));
    nipc_error_t error = nipc_session_receive(&session, SOON_MS, &message);
    CHECK(error == NIPC_ERR_CLOSED);
    CHECK_OK(nipc_session_close(&session));
    return NULL;
}

static void messages_go_both_ways(uint32_t profile)
{
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    nipc_listener_config_t config = NIPC_LISTENER_CONFIG_INIT;
    config.supported_profiles = NIPC_PROFILE_BASELINE | profile;
    config.max_request_payload_bytes = PAYLOAD_BYTES;
    config.response_payload_bytes = PAYLOAD_BYTES;
    config.auth_token = 7;
    CHECK_OK(nipc_listener_init(&listener, run_dir, SERVICE, &config));
    pthread_t server = start_thread(serve_one, &listener);

    nipc_proposal_t proposal = NIPC_PROPOSAL_INIT;
    proposal.supported_profiles = config.supported_profiles;
    proposal.max_request_payload_bytes = PAYLOAD_BYTES;
    nipc_session_t session = NIPC_SESSION_INIT;
    CHECK_ERROR(NIPC_ERR_STATUS, nipc_session_connect(&session, run_dir, SERVICE, &proposal, SOON_MS, NULL));
    proposal.auth_token = 7;
    CHECK_OK(nipc_session_connect(&session, run_dir, SERVICE, &proposal, SOON_MS, NULL));
    check_terms(&session, profile);

    static unsigned char payload[PAYLOAD_BYTES];
    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (unsigned char)(i * 7);
    }
    nipc_header_t header = nipc_header_request(METHOD, 42, PAYLOAD_BYTES);
    CHECK_OK(nipc_session_send(&session, &header, payload, sizeof payload, SOON_MS));
    nipc_message_view_t answer;
    CHECK_OK(nipc_session_receive(&session, SOON_MS, &answer));
    CHECK(answer.header.message_id == 42 && answer.header.status == NIPC_STATUS_OK);
    CHECK(answer.payload_len == sizeof payload && memcmp(answer.payload, payload, sizeof payload) == 0);
    int timeout_ms = 0;
    CHECK_OK(nipc_session_next_deadline_ms(&session, &timeout_ms));
    CHECK(timeout_ms == -1);

    /* Moved, it is what it was. */
    nipc_session_t moved = session;
    memset(&session, 0, sizeof session);
    bool gone = true;
    CHECK_OK(nipc_session_peer_gone(&moved, &gone));
    CHECK(!gone);
    CHECK_OK(nipc_session_close(&moved));
    pthread_join(server, NULL);
    CHECK_OK(nipc_listener_close(&listener));
}

static void what_may_not_be_sent_is_refused(void)
{
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    CHECK_OK(nipc_listener_init(&listener, run_dir, SERVICE, NULL));
    nipc_listener_t second = NIPC_LISTENER_INIT;
    if (names_are_exclusive()) {
        CHECK_ERROR(NIPC_ERR_ADDRESS_IN_USE, nipc_listener_init(&second, run_dir, SERVICE, NULL));
        CHECK(strstr(nipc_last_error(), "in use") != NULL);
    }

    nipc_session_t server = NIPC_SESSION_INIT, client = NIPC_SESSION_INIT;
    CHECK_ERROR(NIPC_ERR_WOULD_BLOCK, nipc_listener_try_accept(&listener, true, &server));
    CHECK_ERROR(NIPC_ERR_TIMED_OUT, nipc_listener_accept(&listener, 0, &server));
    int timeout_ms = 0;
    CHECK_OK(nipc_listener_next_deadline_ms(&listener, &timeout_ms));
    CHECK(timeout_ms == -1);
    CHECK_ERROR(NIPC_ERR_TIMED_OUT, nipc_session_connect(&client, run_dir, SERVICE, NULL, 1, NULL));
#ifndef _WIN32 /* where a run directory is a number in names */
    nipc_listener_t elsewhere = NIPC_LISTENER_INIT;
    CHECK_ERROR(NIPC_ERR_SYSTEM, nipc_listener_init(&elsewhere, "/nowhere/at/all", SERVICE, NULL));
#endif
    CHECK_ERROR(NIPC_ERR_CLOSED, nipc_session_connect(&client, run_dir, "nobody", NULL, SOON_MS, NULL));
    CHECK_OK(nipc_listener_close(&listener));
}

static void *connect_client(void *argument)
{
    nipc_session_t *session = (nipc_session_t *)argument;
    CHECK_OK(nipc_session_connect(session, run_dir, SERVICE, NULL, SOON_MS, NULL));
    return NULL;
}

static void the_rules_of_sessions(void)
{
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    CHECK_OK(nipc_listener_init(&listener, run_dir, SERVICE, NULL));
    nipc_session_t server = NIPC_SESSION_INIT, client = NIPC_SESSION_INIT;
    pthread_t connecting = start_thread(connect_client, &client);
    CHECK_OK(nipc_listener_accept(&listener, SOON_MS, &server));
    pthread_join(connecting, NULL);
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED, nipc_listener_accept(&listener, 0, &server));
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED, nipc_session_connect(&client, run_dir, SERVICE, NULL, 1, NULL));

    char payload[2000] = {0};
    nipc_message_view_t message;
    nipc_header_t header = nipc_header_request(METHOD, 1, sizeof payload);
    CHECK_ERROR(NIPC_ERR_LIMIT, nipc_session_send(&client, &header, payload, sizeof payload, 0));
    CHECK_ERROR(NIPC_ERR_LIMIT, nipc_session_try_send(&client, &header, payload, sizeof payload));
    header.payload_len = 10;
    CHECK_ERROR(NIPC_ERR_CALLER, nipc_session_send(&client, &header, payload, 11, 0));
    header.kind = NIPC_KIND_RESPONSE;
    CHECK_ERROR(NIPC_ERR_CALLER, nipc_session_send(&client, &header, payload, 10, 0));
    header.kind = 9;
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_session_send(&client, &header, payload, 10, 0));
    CHECK_ERROR(NIPC_ERR_WOULD_BLOCK, nipc_session_try_receive(&client, &message));
    CHECK_ERROR(NIPC_ERR_TIMED_OUT, nipc_session_receive(&client, 0, &message));

    /* Answers fill the socket, until there is no room; one that waits has to go first. */
    header = nipc_header_request(METHOD, 1, 1000);
    CHECK_OK(nipc_session_send(&client, &header, payload, 1000, SOON_MS));
    CHECK_OK(nipc_session_receive(&server, SOON_MS, &message));
    nipc_header_t answer;
    CHECK_OK(nipc_header_response(&message.header, 1000, &answer));
    nipc_error_t error;
    size_t sent = 0;
    while ((error = nipc_session_try_send(&server, &answer, payload, 1000)) == NIPC_OK) {
        sent++;
    }
    CHECK(error == NIPC_ERR_WOULD_BLOCK && sent > 0);
    nipc_header_t other = answer;
    other.message_id = 2;
    CHECK_ERROR(NIPC_ERR_CALLER, nipc_session_try_send(&server, &other, payload, 1000));
    CHECK_ERROR(NIPC_ERR_CALLER, nipc_session_send(&server, &other, payload, 1000, 0));
    CHECK_OK(nipc_session_receive(&client, SOON_MS, &message));
    while ((error = nipc_session_try_send(&server, &answer, payload, 1000)) == NIPC_ERR_WOULD_BLOCK) {
        CHECK_OK(nipc_session_receive(&client, SOON_MS, &message));
        sent--;
    }
    CHECK(error == NIPC_OK);
    CHECK_ERROR(NIPC_ERR_TIMED_OUT, nipc_session_send(&server, &other, payload, 1000, 0)); /* its turn, but no room */

    CHECK_OK(nipc_header_failure(&message.header, NIPC_STATUS_UNSUPPORTED, &other));
    CHECK(other.status == NIPC_STATUS_UNSUPPORTED && other.payload_len == 0);
    CHECK_OK(nipc_session_close(&client));
    bool gone = false;
    CHECK_OK(nipc_session_peer_gone(&server, &gone));
    CHECK(gone);
    CHECK_ERROR(NIPC_ERR_CLOSED, nipc_session_receive(&server, SOON_MS, &message));
    CHECK_OK(nipc_session_close(&server));
    CHECK_OK(nipc_listener_close(&listener));
}

static void *accept_until_aborted(void *argument)
{
    nipc_session_t session = NIPC_SESSION_INIT;
    nipc_error_t error;
    do { /* the other thread may be in a call for a moment */
        error = nipc_listener_accept((nipc_listener_t *)argument, NIPC_WAIT_FOREVER, &session);
    } while (error == NIPC_ERR_IN_USE);
    CHECK(error == NIPC_ERR_ABORTED);
    return NULL;
}

static void a_second_thread_is_told_and_an_abort_ends_a_wait(void)
{
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    CHECK_OK(nipc_listener_init(&listener, run_dir, SERVICE, NULL));
    pthread_t accepting = start_thread(accept_until_aborted, &listener);
    nipc_session_t session = NIPC_SESSION_INIT;
    nipc_error_t error;
    while ((error = nipc_listener_try_accept(&listener, true, &session)) != NIPC_ERR_IN_USE) {
        CHECK(error == NIPC_ERR_WOULD_BLOCK);
        sched_yield();
    }
    CHECK_ERROR(NIPC_ERR_IN_USE, nipc_listener_close(&listener));
    CHECK_OK(nipc_listener_abort(&listener));
    pthread_join(accepting, NULL);
    CHECK_ERROR(NIPC_ERR_ABORTED, nipc_listener_accept(&listener, SOON_MS, &session));
    CHECK_OK(nipc_listener_abort_clear(&listener));
    CHECK_ERROR(NIPC_ERR_TIMED_OUT, nipc_listener_accept(&listener, 0, &session));
    CHECK_OK(nipc_listener_close(&listener));
}

/* Waits for a session that nobody accepts. */
static void *connect_until_aborted(void *argument)
{
    nipc_session_t session = NIPC_SESSION_INIT;
    CHECK_ERROR(NIPC_ERR_ABORTED, nipc_session_connect(&session, run_dir, SERVICE, NULL, NIPC_WAIT_FOREVER,
                                                       (const nipc_abort_t *)argument));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_session_close(&session));
    return NULL;
}

static void an_abort_ends_a_connect(void)
{
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    nipc_abort_t abort = NIPC_ABORT_INIT;
    nipc_session_t session = NIPC_SESSION_INIT;
    CHECK_OK(nipc_listener_init(&listener, run_dir, SERVICE, NULL));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_session_connect(&session, run_dir, SERVICE, NULL, 0, &abort));
    CHECK_OK(nipc_abort_init(&abort));
    CHECK_ERROR(NIPC_ERR_ALREADY_INITIALIZED, nipc_abort_init(&abort));
    pthread_t connecting = start_thread(connect_until_aborted, &abort);
    CHECK_OK(nipc_abort_trigger(&abort));
    pthread_join(connecting, NULL);
    CHECK_ERROR(NIPC_ERR_ABORTED, nipc_session_connect(&session, run_dir, SERVICE, NULL, SOON_MS, &abort));
    CHECK_OK(nipc_abort_clear(&abort));
    CHECK_ERROR(NIPC_ERR_TIMED_OUT, nipc_session_connect(&session, run_dir, SERVICE, NULL, 1, &abort));
    CHECK_OK(nipc_abort_close(&abort));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_abort_close(&abort));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_abort_trigger(NULL));
    CHECK_OK(nipc_listener_close(&listener));
}

static void *receive_until_shut_down(void *argument)
{
    nipc_message_view_t message;
    CHECK_ERROR(NIPC_ERR_CLOSED,
                nipc_session_receive((nipc_session_t *)argument, NIPC_WAIT_FOREVER, &message));
    return NULL;
}

/* One side drains without waiting until the other has shut down, for whom a receive ends then. */
static void sessions_are_shut_down_and_drained_without_waiting(void)
{
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    nipc_session_t server = NIPC_SESSION_INIT, client = NIPC_SESSION_INIT;
    CHECK_OK(nipc_listener_init(&listener, run_dir, SERVICE, NULL));
    pthread_t connecting = start_thread(connect_client, &client);
    CHECK_OK(nipc_listener_accept(&listener, SOON_MS, &server));
    pthread_join(connecting, NULL);

    nipc_header_t header = nipc_header_request(METHOD, 1, 0);
    CHECK_OK(nipc_session_send(&client, &header, NULL, 0, SOON_MS));
    CHECK_ERROR(NIPC_ERR_WOULD_BLOCK, nipc_session_try_drain(&server)); /* the request is dropped, the client there */
    pthread_t receiving = start_thread(receive_until_shut_down, &client);
    CHECK_OK(nipc_session_shutdown(&client));
    pthread_join(receiving, NULL);
    CHECK_OK(nipc_session_try_drain(&server));
    CHECK_ERROR(NIPC_ERR_INVALID_ARGUMENT, nipc_session_shutdown(NULL));
    CHECK_OK(nipc_session_close(&server));
    CHECK_ERROR(NIPC_ERR_NOT_INITIALIZED, nipc_session_try_drain(&server));
    CHECK_OK(nipc_session_close(&client));
    CHECK_OK(nipc_listener_close(&listener));
}

#define LONG_BYTES (1u << 20) /* more than any socket holds, and than one look takes of such packets */
#define PACKET_BYTES 4096u
#define CLOSING_ROUNDS 20 /* of threads that meet as they happen to */

static void *connect_for_long_over(nipc_session_t *session, uint32_t profile)
{
    nipc_proposal_t proposal = NIPC_PROPOSAL_INIT;
    proposal.supported_profiles = NIPC_PROFILE_BASELINE | profile;
    proposal.max_request_payload_bytes = LONG_BYTES;
    CHECK_OK(nipc_session_connect(session, run_dir, SERVICE, &proposal, SOON_MS, NULL));
    return NULL;
}

static void *connect_for_long(void *argument)
{
    return connect_for_long_over((nipc_session_t *)argument, NIPC_PROFILE_BASELINE);
}

static void *connect_for_long_shm(void *argument)
{
    return connect_for_long_over((nipc_session_t *)argument, NIPC_PROFILE_SHM_HYBRID);
}

static void *send_long(void *argument)
{
    static char payload[LONG_BYTES];
    nipc_header_t header = nipc_header_request(METHOD, 1, LONG_BYTES);
    CHECK_OK(nipc_session_send((nipc_session_t *)argument, &header, payload, sizeof payload, NIPC_WAIT_FOREVER));
    return NULL;
}

static void *drain(void *argument)
{
    nipc_error_t error;
    do { /* the other thread may be in a call for a moment */
        error = nipc_session_drain((nipc_session_t *)argument, NIPC_WAIT_FOREVER);
    } while (error == NIPC_ERR_IN_USE);
    CHECK(error == NIPC_OK);
    return NULL;
}

/* What a thread still uses stays, whatever it waits for. */
static void a_session_that_sends_or_drains_is_not_closed(void)
{
    nipc_listener_t listener = NIPC_LISTENER_INIT;
    nipc_listener_config_t config = NIPC_LISTENER_CONFIG_INIT;
    config.max_request_payload_bytes = LONG_BYTES;
    config.packet_size_bytes = PACKET_BYTES;
    CHECK_OK(nipc_listener_init(&listener, run_dir, SERVICE, &config));
    nipc_session_t server = NIPC_SESSION_INIT, client = NIPC_SESSION_INIT;
    pthread_t connecting = start_thread(connect_for_long, &client);
    CHECK_OK(nipc_listener_accept(&listener, SOON_MS, &server));
    pthread_join(connecting, NULL);

    nipc_message_view_t message;
    int timeout_ms = -1;
    pthread_t sending = start_thread(send_long, &client);
    while (timeout_ms == -1) { /* until the message has begun: most of it cannot be out yet */
        CHECK_ERROR(NIPC_ERR_WOULD_BLOCK, nipc_session_try_receive(&server, &message));
        CHECK_OK(nipc_session_next_deadline_ms(&server, &timeout_ms));
        sched_yield();
    }
    CHECK_ERROR(NIPC_ERR_IN_USE, nipc_session_close(&client));
    CHECK_OK(nipc_session_receive(&server, SOON_MS, &message));
    CHECK(message.payload_len == LONG_BYTES);
    pthread_join(sending, NULL);

    nipc_error_t error;
    pthread_t draining = start_thread(drain, &server);
    while ((error = nipc_session_try_drain(&server)) != NIPC_ERR_IN_USE) {
        CHECK(error == NIPC_ERR_WOULD_BLOCK);
        sched_yield();
    }
    CHECK_ERROR(NIPC_ERR_IN_USE, nipc_session_close(&server));
    CHECK_OK(nipc_session_close(&client));
    pthread_join(draining, NULL);
    CHECK_OK(nipc_session_close(&server));
    CHECK_OK(nipc_listener_close(&listener));
}

/* A connected session whose client sends long messages, over `profile`. */
static void connect_long(nipc_listener_t *listener, uint32_t profile, nipc_session_t *server, nipc_session_t *client)
{
    nipc_listener_config_t config = NIPC_LISTENER_CONFIG_INIT;
    config.supported_profiles = NIPC_PROFILE_BASELINE | profile;
    config.max_request_payload_bytes = LONG_BYTES;
    CHECK_OK(nipc_listener_init(listener, run_dir, SERVICE, &config));
    pthread_t connecting = start_thread(profile == NIPC_PROFILE_BASELINE ? connect_for_long : connect_for_long_shm, client);
    CHECK_OK(nipc_listener_accept(listener, SOON_MS, server));
    pthread_join(connecting, NULL);
}

struct sender {
    nipc_session_t *session;
    atomic_bool begins;
};

/* Sends a message whole, or finds the session closed: never anything between. */
static void *send_or_find_it_closed(void *argument)
{
    static char payload[LONG_BYTES];
    struct sender *sender = (struct sender *)argument;
    nipc_header_t header = nipc_header_request(METHOD, 1, LONG_BYTES);
    atomic_store(&sender->begins, true);
    nipc_error_t error = nipc_session_send(sender->session, &header, payload, sizeof payload, SOON_MS);
    CHECK(error == NIPC_OK || error == NIPC_ERR_NOT_INITIALIZED);
    return NULL;
}

static pthread_t start_sender(struct sender *sender)
{
    pthread_t thread = start_thread(send_or_find_it_closed, sender);
    while (!atomic_load(&sender->begins)) {
        sched_yield();
    }
    return thread;
}

static void close_when_unused(nipc_session_t *session)
{
    nipc_error_t error;
    while ((error = nipc_session_close(session)) != NIPC_OK) {
        CHECK(error == NIPC_ERR_IN_USE);
        sched_yield();
    }
}

/* In shared memory nobody waits, and a thread writes for a while. */
static void a_region_is_not_closed_under_a_thread_that_writes(void)
{
    for (int round = 0; round < CLOSING_ROUNDS; round++) {
        nipc_listener_t listener = NIPC_LISTENER_INIT;
        nipc_session_t server = NIPC_SESSION_INIT, client = NIPC_SESSION_INIT;
        connect_long(&listener, NIPC_PROFILE_SHM_HYBRID, &server, &client);
        struct sender sender = {.session = &client};
        pthread_t sending = start_sender(&sender);
        close_when_unused(&client);
        pthread_join(sending, NULL);
        CHECK_OK(nipc_session_close(&server));
        CHECK_OK(nipc_listener_close(&listener));
    }
}

static void *receive_all(void *argument)
{
    nipc_message_view_t message;
    nipc_error_t error;
    while ((error = nipc_session_receive((nipc_session_t *)argument, SOON_MS, &message)) == NIPC_OK) {
        CHECK(message.payload_len == LONG_BYTES);
    }
    CHECK(error == NIPC_ERR_CLOSED);
    return NULL;
}

/* One thread sends, and another waits for its turn: between the two nobody has it. */
static void a_session_is_not_closed_between_two_that_send(void)
{
    for (int round = 0; round < CLOSING_ROUNDS; round++) {
        nipc_listener_t listener = NIPC_LISTENER_INIT;
        nipc_session_t server = NIPC_SESSION_INIT, client = NIPC_SESSION_INIT;
        connect_long(&listener, NIPC_PROFILE_BASELINE, &server, &client);
        struct sender first = {.session = &client}, second = {.session = &client};
        pthread_t senders[] = {start_sender(&first), start_sender(&second)};
        pthread_t receiving = start_thread(receive_all, &server);
        close_when_unused(&client);
        pthread_join(senders[0], NULL);
        pthread_join(senders[1], NULL);
        pthread_join(receiving, NULL);
        CHECK_OK(nipc_session_close(&server));
        CHECK_OK(nipc_listener_close(&listener));
    }
}

int main(void)
{
    run_dir = make_run_dir();
    messages_go_both_ways(NIPC_PROFILE_BASELINE);
    messages_go_both_ways(NIPC_PROFILE_SHM_HYBRID);
#ifdef _WIN32
    messages_go_both_ways(NIPC_PROFILE_SHM_BUSYWAIT);
#endif
    what_may_not_be_sent_is_refused();
    the_rules_of_sessions();
    a_second_thread_is_told_and_an_abort_ends_a_wait();
    an_abort_ends_a_connect();
    sessions_are_shut_down_and_drained_without_waiting();
    a_session_that_sends_or_drains_is_not_closed();
    a_region_is_not_closed_under_a_thread_that_writes();
    a_session_is_not_closed_between_two_that_send();
    remove_run_dir(run_dir, (const char *const[]){SERVICE, NULL});
    return EXIT_SUCCESS;
}
