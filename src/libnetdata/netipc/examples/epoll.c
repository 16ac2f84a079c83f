/* Level 1 inside a loop of one's own: one thread serves any number of sessions by epoll and never waits for
 * one of them. A client, in a thread here, sends words and gets them back in capitals.
 *
 *   epoll_wait --> nipc_listener_try_accept --> session --> try_receive --> answer --> try_send
 *     ^                                                                               | no room:
 *     `--- readable: listener, sessions; writable: sessions with an unsent answer <---'
 *
 * Usage: epoll RUN_DIR. What it does not: tell a client why its session ends (nipc_session_drain), or look
 * into payloads. Linux.
 */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <netipc/netipc.h>

#define SERVICE "shouter"
#define METHOD 0x0200
#define MAX_SESSIONS 16
#define MAX_EVENTS 16
#define PAYLOAD_BYTES 300000u
#define CALL_TIMEOUT_MS 10000u

/* In epoll's data: a session's place, or one of these. */
#define LISTENER_TOKEN MAX_SESSIONS
#define STOP_TOKEN (MAX_SESSIONS + 1)

/* One client's session, on the server's side. */
typedef struct peer {
    nipc_session_t session;
    bool is_live;
    /* An answer that is not out yet. No request is read before it is. */
    bool has_unsent;
    nipc_header_t header;
    unsigned char payload[PAYLOAD_BYTES];
} peer_t;

typedef struct server {
    int epoll;
    nipc_listener_t listener;
    peer_t peers[MAX_SESSIONS];
} server_t;

static bool failed(const char *what, nipc_error_t error)
{
    if (error == NIPC_OK) {
        return false;
    }
    fprintf(stderr, "%s: %s: %s\n", what, nipc_error_name(error), nipc_last_error());
    return true;
}

static int watch(int epoll, int operation, int fd, uint32_t events, uint64_t token)
{
    struct epoll_event event = {.events = events, .data = {.u64 = token}};
    return epoll_ctl(epoll, operation, fd, &event);
}

static void end_session(server_t *server, peer_t *peer)
{
    (void)server; /* closing the descriptor takes it out of the epoll set */
    nipc_session_close(&peer->session);
    peer->is_live = false;
    peer->has_unsent = false;
}

/* Sends what there is room for. NIPC_ERR_WOULD_BLOCK: the rest when the session is writable. */
static nipc_error_t send_rest(peer_t *peer)
{
    nipc_error_t error = nipc_session_try_send(&peer->session, &peer->header, peer->payload,
                                               peer->header.payload_len);
    peer->has_unsent = error == NIPC_ERR_WOULD_BLOCK;
    return error;
}

/* Makes the answer to one request. */
static nipc_error_t answer(peer_t *peer, const nipc_message_view_t *request)
{
    if (request->header.code != METHOD) {
        return nipc_header_failure(&request->header, NIPC_STATUS_UNSUPPORTED, &peer->header);
    }
    for (size_t i = 0; i < request->payload_len; i++) {
        peer->payload[i] = (unsigned char)toupper(request->payload[i]);
    }
    return nipc_header_response(&request->header, request->header.payload_len, &peer->header);
}

/* Does what can be done now: the rest of an answer, then one request more. One, so that a client that asks
 * without end cannot hold the loop; the session stays readable. */
static nipc_error_t go_on(peer_t *peer)
{
    if (peer->has_unsent) {
        nipc_error_t error = send_rest(peer);
        if (error != NIPC_OK) {
            return error;
        }
    }
    nipc_message_view_t request;
    nipc_error_t error = nipc_session_try_receive(&peer->session, &request);
    if (error == NIPC_OK) {
        error = answer(peer, &request);
    }
    return error == NIPC_OK ? send_rest(peer) : error;
}

/* Whatever ends a session, its own fault or a client that left, costs that session alone. */
static void serve_session(server_t *server, size_t place)
{
    peer_t *peer = &server->peers[place];
    if (!peer->is_live) {
        return;
    }
    nipc_error_t error = go_on(peer);
    int fd = -1;
    if ((error != NIPC_OK && error != NIPC_ERR_WOULD_BLOCK) ||
        nipc_session_fd(&peer->session, &fd) != NIPC_OK ||
        watch(server->epoll, EPOLL_CTL_MOD, fd, peer->has_unsent ? EPOLLOUT : EPOLLIN, place) != 0) {
        end_session(server, peer);
    }
}

/* Takes in everybody who has completed the handshake. */
static nipc_error_t accept_all(server_t *server)
{
    for (;;) {
        size_t place = 0;
        while (place < MAX_SESSIONS && server->peers[place].is_live) {
            place++;
        }
        /* Beyond the limit a client is told to come later. */
        bool has_room = place < MAX_SESSIONS;
        nipc_session_t refused = NIPC_SESSION_INIT;
        peer_t *peer = has_room ? &server->peers[place] : NULL;
        nipc_error_t error =
            nipc_listener_try_accept(&server->listener, has_room, peer ? &peer->session : &refused);
        if (error == NIPC_ERR_WOULD_BLOCK) {
            return NIPC_OK;
        }
        if (error != NIPC_OK || peer == NULL) {
            return error;
        }
        int fd = -1;
        peer->is_live = true;
        if (nipc_session_fd(&peer->session, &fd) != NIPC_OK ||
            watch(server->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, place) != 0) {
            end_session(server, peer);
        }
    }
}

/* The soonest of what the listener and unfinished messages wait for, as epoll_wait takes it. */
static int next_timeout_ms(server_t *server)
{
    int soonest = -1;
    nipc_listener_next_deadline_ms(&server->listener, &soonest);
    for (size_t place = 0; place < MAX_SESSIONS; place++) {
        int timeout = -1;
        if (server->peers[place].is_live &&
            nipc_session_next_deadline_ms(&server->peers[place].session, &timeout) == NIPC_OK &&
            timeout >= 0 && (soonest < 0 || timeout < soonest)) {
            soonest = timeout;
        }
    }
    return soonest;
}

static int serve(server_t *server, int stop)
{
    int fd = -1;
    if (failed("listener", nipc_listener_fd(&server->listener, &fd)) ||
        watch(server->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, LISTENER_TOKEN) != 0 ||
        watch(server->epoll, EPOLL_CTL_ADD, stop, EPOLLIN, STOP_TOKEN) != 0) {
        return EXIT_FAILURE;
    }
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int timeout_ms = next_timeout_ms(server);
        int count = epoll_wait(server->epoll, events, MAX_EVENTS, timeout_ms);
        if (count < 0 && errno != EINTR) {
            return EXIT_FAILURE;
        }
        for (int i = 0; i < count; i++) {
            uint64_t token = events[i].data.u64;
            if (token == STOP_TOKEN) {
                return EXIT_SUCCESS;
            }
            if (token < MAX_SESSIONS) {
                serve_session(server, (size_t)token);
            }
        }
        if (count == 0) {
            /* Something is overdue: a message that a client has begun and not gone on with. */
            for (size_t place = 0; place < MAX_SESSIONS; place++) {
                serve_session(server, place);
            }
        }
        if (failed("accept", accept_all(server))) {
            return EXIT_FAILURE;
        }
    }
}

/* What the client's thread is given. */
typedef struct asked {
    const char *run_dir;
    int stop;
    int outcome;
} asked_t;

/* One word out, one back in capitals. */
static bool shout(nipc_session_t *session, uint64_t id, const char *word, size_t length)
{
    nipc_header_t header = nipc_header_request(METHOD, id, (uint32_t)length);
    nipc_message_view_t answer_view;
    if (failed("send", nipc_session_send(session, &header, word, length, CALL_TIMEOUT_MS)) ||
        failed("receive", nipc_session_receive(session, CALL_TIMEOUT_MS, &answer_view))) {
        return false;
    }
    bool is_right = answer_view.header.message_id == id && answer_view.payload_len == length;
    for (size_t i = 0; is_right && i < length; i++) {
        is_right = answer_view.payload[i] == (unsigned char)toupper((unsigned char)word[i]);
    }
    if (is_right && length < 80) {
        printf("%.*s\n", (int)length, (const char *)answer_view.payload);
    }
    return is_right;
}

static void *ask(void *argument)
{
    asked_t *asked = (asked_t *)argument;
    nipc_session_t session = NIPC_SESSION_INIT;
    nipc_proposal_t proposal = NIPC_PROPOSAL_INIT;
    proposal.max_request_payload_bytes = PAYLOAD_BYTES;
    static char longest[PAYLOAD_BYTES];
    memset(longest, 'x', sizeof longest);
    bool is_good =
        !failed("connect", nipc_session_connect(&session, asked->run_dir, SERVICE, &proposal,
                                                CALL_TIMEOUT_MS, NULL)) &&
        shout(&session, 1, "hello", 5) && shout(&session, 2, "epoll", 5) &&
        /* Longer than a packet, and than what the socket has room for. */
        shout(&session, 3, longest, sizeof longest);
    nipc_session_close(&session);
    asked->outcome = is_good ? EXIT_SUCCESS : EXIT_FAILURE;
    eventfd_write(asked->stop, 1);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s RUN_DIR\n", argv[0]);
        return 2;
    }
    static server_t server;
    nipc_listener_config_t config = NIPC_LISTENER_CONFIG_INIT;
    config.max_request_payload_bytes = PAYLOAD_BYTES;
    config.response_payload_bytes = PAYLOAD_BYTES;
    if (failed("listen", nipc_listener_init(&server.listener, argv[1], SERVICE, &config))) {
        return EXIT_FAILURE;
    }
    asked_t asked = {argv[1], eventfd(0, EFD_CLOEXEC), EXIT_FAILURE};
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    pthread_t client;
    if (asked.stop < 0 || server.epoll < 0 || pthread_create(&client, NULL, ask, &asked) != 0) {
        perror("epoll");
        return EXIT_FAILURE;
    }
    int outcome = serve(&server, asked.stop);
    pthread_join(client, NULL);
    for (size_t place = 0; place < MAX_SESSIONS; place++) {
        nipc_session_close(&server.peers[place].session); /* harmless on those that are closed */
    }
    nipc_listener_close(&server.listener);
    close(server.epoll);
    close(asked.stop);
    return outcome == EXIT_SUCCESS ? asked.outcome : outcome;
}
