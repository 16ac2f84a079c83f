/* Level 1: one session, its messages by hand, at both ends. */
#include "driver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

void connect_by_hand(const struct options *o, nipc_session_t *session) {
    nipc_proposal_t proposal = {0};
    nipc_terms_t terms;
    proposal.supported_profiles = o->supported;
    proposal.preferred_profiles = o->preferred;
    proposal.max_request_payload_bytes = proposal.max_response_payload_bytes = BATCH_BYTES;
    proposal.max_request_batch_items = proposal.max_response_batch_items = BATCH_ITEMS;
    proposal.packet_size_bytes = o->packet_bytes;
    must(nipc_session_connect(session, o->run_dir, o->service, &proposal, PATIENCE_MS, NULL), "a session");
    must(nipc_session_terms(session, &terms), "terms");
    check_selected(o, terms.profile);
}

/* Asks for the number after the last answer. */
struct ping {
    struct caller caller;
    nipc_session_t session;
    uint64_t value;
};

static uint64_t turn(struct caller *caller) {
    struct ping *ping = (struct ping *)caller;
    unsigned char payload[sizeof(uint64_t)];
    size_t len;
    nipc_increment_request_t request = {.value = ping->value++};
    must(nipc_increment_request_encode(&request, payload, sizeof payload, &len), "a request");
    nipc_header_t header = nipc_header_request(NIPC_INCREMENT_METHOD, caller->answered.calls + 1, (uint32_t)len);
    /* No deadline: reading a clock is none of what a message costs. The runner has patience. */
    must(nipc_session_send(&ping->session, &header, payload, len, NIPC_WAIT_FOREVER), "sending");
    nipc_message_view_t answer;
    must(nipc_session_receive(&ping->session, NIPC_WAIT_FOREVER, &answer), "receiving");
    if (answer.header.status != 0 || answer.header.message_id != header.message_id)
        wrong("request", header.message_id, answer.header.message_id);
    nipc_increment_response_view_t view;
    must(nipc_increment_response_decode(answer.payload, answer.payload_len, &view), "an answer");
    if (view.value != ping->value)
        wrong("increment", ping->value, view.value);
    caller->answered.calls++;
    caller->answered.requests++;
    caller->answered.items++;
    return 0;
}

struct caller *make_level1_ping(const struct options *options, size_t place) {
    struct ping *ping = memory(1, sizeof *ping);
    ping->caller = (struct caller){.turn = turn, .per_turn = 1};
    ping->value = chain_start(place);
    connect_by_hand(options, &ping->session);
    return &ping->caller;
}

/* A server's session, in a thread of its own: receives and sends. */
struct served {
    const struct options *options;
    nipc_session_t session;
};

static void *answer_all(void *argument) {
    struct served *served = argument;
    nipc_message_view_t request;
    nipc_error_t error;
    while ((error = nipc_session_receive(&served->session, NIPC_WAIT_FOREVER, &request)) == NIPC_OK) {
        nipc_increment_request_view_t view;
        unsigned char payload[sizeof(uint64_t)];
        size_t len;
        must(nipc_increment_request_decode(request.payload, request.payload_len, &view), "a request");
        nipc_increment_response_t answer = {.value = view.value + (count_request(served->options) ? 2 : 1)};
        must(nipc_increment_response_encode(&answer, payload, sizeof payload, &len), "an answer");
        nipc_header_t header;
        must(nipc_header_response(&request.header, (uint32_t)len, &header), "a header");
        error = nipc_session_send(&served->session, &header, payload, len, NIPC_WAIT_FOREVER);
        if (error != NIPC_OK)
            break;
    }
    if (error != NIPC_ERR_CLOSED)
        fail("a session failed: %s", nipc_last_error());
    must(nipc_session_close(&served->session), "closing");
    free(served);
    return NULL;
}

struct acceptor {
    const struct options *options;
    nipc_listener_t listener;
};

static void *accept_all(void *argument) {
    struct acceptor *acceptor = argument;
    for (;;) {
        struct served *served = memory(1, sizeof *served);
        served->options = acceptor->options;
        /* Ends with the process, as its sessions do. */
        must(nipc_listener_accept(&acceptor->listener, NIPC_WAIT_FOREVER, &served->session), "accepting");
        pthread_t thread;
        if (pthread_create(&thread, NULL, answer_all, served) != 0)
            fail("no thread for a session");
        pthread_detach(thread);
    }
    return NULL;
}

void serve_by_hand(const struct options *o) {
    struct acceptor *acceptor = memory(1, sizeof *acceptor);
    acceptor->options = o;
    nipc_listener_config_t config = {0};
    config.supported_profiles = o->supported;
    config.preferred_profiles = o->preferred;
    config.max_request_payload_bytes = config.response_payload_bytes = BATCH_BYTES;
    must(nipc_listener_init(&acceptor->listener, o->run_dir, o->service, &config), "a listener");
    pthread_t thread;
    if (pthread_create(&thread, NULL, accept_all, acceptor) != 0)
        fail("no thread for a listener");
    pthread_detach(thread);
}
