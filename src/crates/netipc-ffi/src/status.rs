//! What clients and servers tell of themselves, as plain structs.

use std::ffi::c_char;
use std::time::Duration;

use netipc::client::{ClientState, ClientStatus, NextTry, SessionStatus};
use netipc::server::ServerStatus;
use netipc::{Limits, PeerIdentity, Terms};

use crate::text::{NIPC_TEXT_BYTES, cut_text};

/// One of enum nipc_client_state_kind.
pub type nipc_client_state_t = i32;

/// What a client is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum nipc_client_state_kind {
    /// No session: never tried, or refused for a passing reason.
    NIPC_CLIENT_DISCONNECTED = 0,
    /// A connection or handshake is under way.
    NIPC_CLIENT_CONNECTING = 1,
    /// A session is there.
    NIPC_CLIENT_READY = 2,
    /// Nobody serves this endpoint.
    NIPC_CLIENT_NOT_FOUND = 3,
    /// The server does not admit this user or token.
    NIPC_CLIENT_AUTH_FAILED = 4,
    /// The peers have no version, profile or method in common.
    NIPC_CLIENT_INCOMPATIBLE = 5,
    /// A session was there and ended by death, violation, timeout or abort.
    NIPC_CLIENT_BROKEN = 6,
}

/// The name of a client's state, e.g. "not found"; "unknown" for any other number. The text is static.
#[unsafe(no_mangle)]
pub extern "C" fn nipc_client_state_name(client_state: nipc_client_state_t) -> *const c_char {
    let known = STATES.iter().find(|(_, known, _)| *known as nipc_client_state_t == client_state);
    known.map_or(c"unknown", |(_, _, name)| *name).as_ptr()
}

const STATES: [(ClientState, nipc_client_state_kind, &std::ffi::CStr); 7] = [
    (ClientState::Disconnected, nipc_client_state_kind::NIPC_CLIENT_DISCONNECTED, c"disconnected"),
    (ClientState::Connecting, nipc_client_state_kind::NIPC_CLIENT_CONNECTING, c"connecting"),
    (ClientState::Ready, nipc_client_state_kind::NIPC_CLIENT_READY, c"ready"),
    (ClientState::NotFound, nipc_client_state_kind::NIPC_CLIENT_NOT_FOUND, c"not found"),
    (
        ClientState::AuthFailed,
        nipc_client_state_kind::NIPC_CLIENT_AUTH_FAILED,
        c"authentication failed",
    ),
    (ClientState::Incompatible, nipc_client_state_kind::NIPC_CLIENT_INCOMPATIBLE, c"incompatible"),
    (ClientState::Broken, nipc_client_state_kind::NIPC_CLIENT_BROKEN, c"broken"),
];

/// A state, as C knows it.
pub(crate) fn state(state: ClientState) -> nipc_client_state_t {
    let known = STATES.iter().find(|(known, _, _)| *known == state);
    known.map_or(nipc_client_state_kind::NIPC_CLIENT_DISCONNECTED, |(_, state, _)| *state) as i32
}

/// In nipc_client_status_t.next_try: what the next refresh does without a session.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum nipc_next_try {
    /// It connects at once.
    NIPC_TRY_AT_ONCE = 0,
    /// The server is full: it connects once retry_in_ms have passed.
    NIPC_TRY_BUSY = 1,
    /// The server will hardly change its mind: it connects once retry_in_ms have passed, rarely.
    NIPC_TRY_RARELY = 2,
}

/// The process at the other end of a session, as the kernel vouches for it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct nipc_peer_t {
    /// Its process id; 0 when it lives in a pid namespace that is not visible from here.
    pub pid: u32,
    /// Its effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
}

/// What the peers of a session have agreed on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct nipc_terms_t {
    /// The session's profile: one NIPC_PROFILE_… bit.
    pub profile: u32,
    /// The longest request, in bytes of payload.
    pub max_request_payload_bytes: u32,
    /// The most items of a batch.
    pub max_request_batch_items: u32,
    /// The longest answer, in bytes of payload.
    pub max_response_payload_bytes: u32,
    /// The most items of a batch's answer.
    pub max_response_batch_items: u32,
    /// The longest packet, in bytes, headers included.
    pub packet_size_bytes: u32,
    /// What the server could have used: NIPC_PROFILE_… bits.
    pub server_supported_profiles: u32,
    /// The server's number for the session: 1, 2, … for its lifetime.
    pub session_id: u64,
}

/// What a client is, why, and what it has done so far.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_client_status_t {
    /// What it is: one of enum nipc_client_state_kind.
    pub state: nipc_client_state_t,
    /// What the next refresh does: one of enum nipc_next_try.
    pub next_try: i32,
    /// How long a refresh still refrains from connecting, in milliseconds.
    pub retry_in_ms: u64,
    /// Why it has no session, or what its last failed call met. "" when nothing went wrong.
    pub reason: [c_char; NIPC_TEXT_BYTES],
    /// Whether there is a session: what follows is of it, and zero without one.
    pub has_session: bool,
    /// What was agreed.
    pub terms: nipc_terms_t,
    /// The server's process and user.
    pub peer: nipc_peer_t,
    /// Why the profile is no better one.
    pub profile_reason: [c_char; NIPC_TEXT_BYTES],
    /// What was counted since the client was made.
    pub counters: nipc_client_counters_t,
}

/// What a client has counted, none of which ever goes back.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct nipc_client_counters_t {
    /// Sessions made.
    pub connects: u64,
    /// Those of them made inside a call: after a loss, or for a larger limit.
    pub reconnects: u64,
    /// Attempts that gave no session.
    pub failed_connects: u64,
    /// Logical calls begun on a ready client.
    pub calls: u64,
    /// Requests sent once more because their session was lost.
    pub resends: u64,
    /// Requests sent once more for a larger response limit.
    pub growths: u64,
    /// Sessions made for a larger request.
    pub larger_requests: u64,
    /// Requests that lookups were split into.
    pub sub_calls: u64,
    /// Lookups started again because the provider's generation changed.
    pub restarted_lookups: u64,
    /// Bytes of messages sent, headers included.
    pub sent_bytes: u64,
    /// Bytes of messages received, headers included.
    pub received_bytes: u64,
    /// Failed calls: NIPC_ERR_NOT_READY.
    pub errors_not_ready: u64,
    /// Failed calls: NIPC_ERR_CALLER and NIPC_ERR_BUILD.
    pub errors_caller: u64,
    /// Failed calls: NIPC_ERR_TIMED_OUT.
    pub errors_timed_out: u64,
    /// Failed calls: NIPC_ERR_ABORTED.
    pub errors_aborted: u64,
    /// Failed calls: NIPC_ERR_LOST.
    pub errors_lost: u64,
    /// Failed calls: NIPC_ERR_VIOLATION.
    pub errors_violations: u64,
    /// Failed calls: NIPC_ERR_STATUS.
    pub errors_statuses: u64,
    /// Failed calls: NIPC_ERR_LIMIT.
    pub errors_limits: u64,
    /// Failed calls: NIPC_ERR_SYSTEM.
    pub errors_system: u64,
}

/// Connections to a server, by outcome.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct nipc_handshake_counts_t {
    /// Connections accepted.
    pub connections: u64,
    /// Handshakes that became sessions.
    pub sessions: u64,
    /// Clients that were told to come later: no session, or no descriptor, was free.
    pub busy: u64,
    /// Clients of a user that is not admitted, or with another token.
    pub auth_failed: u64,
    /// Clients without a profile, version or packet size in common.
    pub incompatible: u64,
    /// Clients that asked for longer requests than are granted.
    pub limit_exceeded: u64,
    /// Clients whose first message broke the contract.
    pub malformed: u64,
    /// Clients that said nothing in time.
    pub timed_out: u64,
    /// Clients that left before they were answered.
    pub left: u64,
    /// Clients that said nothing and gave way to newer ones.
    pub displaced: u64,
    /// Times that nobody could be accepted, for want of descriptors or memory.
    pub exhausted: u64,
}

/// A service of a server or host at one moment. Counts run from its start, and are zero before it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_server_status_t {
    /// Whether it was started and is not stopped.
    pub running: bool,
    /// Sessions now.
    pub sessions: u32,
    /// Those of them that use shared memory.
    pub shared_memory_sessions: u32,
    /// The most sessions that there may be at a time.
    pub max_sessions: u32,
    /// Requests being worked on now.
    pub in_flight: u64,
    /// The most handlers that run at a time.
    pub workers: u64,
    /// The response limit that the next session gets, in bytes.
    pub response_limit_bytes: u32,
    /// What it can grow to, in bytes.
    pub response_ceiling_bytes: u32,
    /// Connections by outcome.
    pub handshakes: nipc_handshake_counts_t,
    /// Requests answered.
    pub calls_ok: u64,
    /// Requests of another method.
    pub calls_unsupported: u64,
    /// Requests that did not decode.
    pub calls_bad_envelope: u64,
    /// Requests that were, or whose answer was, too long for the session.
    pub calls_limit_exceeded: u64,
    /// Requests whose handler failed.
    pub calls_internal_error: u64,
    /// Sessions that are over: the client left.
    pub ended_left: u64,
    /// Sessions that are over: a final answer was given.
    pub ended_answered: u64,
    /// Sessions that are over: the client broke the contract.
    pub ended_violated: u64,
    /// Sessions that are over: the client began a message and did not go on.
    pub ended_chunk_gap: u64,
    /// Sessions that are over: the client did not read its answers.
    pub ended_not_read: u64,
    /// Sessions that are over: the server stopped or drained.
    pub ended_stopped: u64,
    /// Sessions that are over: the operating system refused something that they needed.
    pub ended_failed: u64,
    /// Bytes of request payloads.
    pub request_bytes: u64,
    /// Bytes of response payloads.
    pub response_bytes: u64,
    /// Why a handler last failed. "" when none did.
    pub last_error: [c_char; NIPC_TEXT_BYTES],
}

impl nipc_client_status_t {
    pub(crate) fn new(status: &ClientStatus) -> Self {
        let session = status.session.as_ref();
        let profile_reason = session.map_or("", |session| &session.profile_reason);
        Self {
            state: state(status.state),
            next_try: match status.next_try {
                NextTry::AtOnce => nipc_next_try::NIPC_TRY_AT_ONCE,
                NextTry::Busy => nipc_next_try::NIPC_TRY_BUSY,
                NextTry::Rarely => nipc_next_try::NIPC_TRY_RARELY,
            } as i32,
            retry_in_ms: status.retry_in.map_or(0, millis_up),
            reason: cut_text(&[status.reason.as_deref().unwrap_or("")]),
            has_session: session.is_some(),
            terms: session.map(session_terms).unwrap_or_default(),
            peer: session.map(|session| peer(&session.peer)).unwrap_or_default(),
            profile_reason: cut_text(&[profile_reason]),
            counters: client_counters(status),
        }
    }
}

fn client_counters(status: &ClientStatus) -> nipc_client_counters_t {
    let (counters, errors) = (&status.counters, &status.counters.errors);
    nipc_client_counters_t {
        connects: counters.connects,
        reconnects: counters.reconnects,
        failed_connects: counters.failed_connects,
        calls: counters.calls,
        resends: counters.resends,
        growths: counters.growths,
        larger_requests: counters.larger_requests,
        sub_calls: counters.sub_calls,
        restarted_lookups: counters.restarted_lookups,
        sent_bytes: counters.sent_bytes,
        received_bytes: counters.received_bytes,
        errors_not_ready: errors.not_ready,
        errors_caller: errors.caller,
        errors_timed_out: errors.timed_out,
        errors_aborted: errors.aborted,
        errors_lost: errors.lost,
        errors_violations: errors.violations,
        errors_statuses: errors.statuses,
        errors_limits: errors.limits,
        errors_system: errors.system,
    }
}

fn session_terms(session: &SessionStatus) -> nipc_terms_t {
    terms(&session.terms, session.server_supported.0, session.id)
}

/// What was agreed, as C reads it.
pub(crate) fn terms(terms: &Terms, server_supported: u32, session_id: u64) -> nipc_terms_t {
    let Limits { payload_bytes, batch_items } = terms.request;
    nipc_terms_t {
        profile: terms.profile.bit(),
        max_request_payload_bytes: payload_bytes,
        max_request_batch_items: batch_items,
        max_response_payload_bytes: terms.response.payload_bytes,
        max_response_batch_items: terms.response.batch_items,
        packet_size_bytes: terms.packet_size.bytes(),
        server_supported_profiles: server_supported,
        session_id,
    }
}

/// Who is at the other end, as C reads it.
pub(crate) fn peer(peer: &PeerIdentity) -> nipc_peer_t {
    nipc_peer_t { pid: peer.pid.unwrap_or(0), uid: peer.uid, gid: peer.gid }
}

/// Milliseconds, none of which is over before the time is.
pub(crate) fn millis_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(NANOS_PER_MILLI)).unwrap_or(u64::MAX)
}

const NANOS_PER_MILLI: u128 = 1_000_000;

impl nipc_server_status_t {
    pub(crate) fn new(status: &ServerStatus, running: bool) -> Self {
        let ServerStatus { handshakes, calls, ended, .. } = status;
        Self {
            running,
            sessions: status.sessions,
            shared_memory_sessions: status.shared_memory_sessions,
            max_sessions: status.max_sessions,
            in_flight: status.in_flight,
            workers: status.workers as u64,
            response_limit_bytes: status.response_limit_bytes,
            response_ceiling_bytes: status.response_ceiling_bytes,
            handshakes: nipc_handshake_counts_t {
                connections: handshakes.connections,
                sessions: handshakes.sessions,
                busy: handshakes.busy,
                auth_failed: handshakes.auth_failed,
                incompatible: handshakes.incompatible,
                limit_exceeded: handshakes.limit_exceeded,
                malformed: handshakes.malformed,
                timed_out: handshakes.timed_out,
                left: handshakes.left,
                displaced: handshakes.displaced,
                exhausted: handshakes.exhausted,
            },
            calls_ok: calls.ok,
            calls_unsupported: calls.unsupported,
            calls_bad_envelope: calls.bad_envelope,
            calls_limit_exceeded: calls.limit_exceeded,
            calls_internal_error: calls.internal_error,
            ended_left: ended.left,
            ended_answered: ended.answered,
            ended_violated: ended.violated,
            ended_chunk_gap: ended.chunk_gap,
            ended_not_read: ended.not_read,
            ended_stopped: ended.stopped,
            ended_failed: ended.failed,
            request_bytes: status.request_bytes,
            response_bytes: status.response_bytes,
            last_error: cut_text(&[status.last_error.as_deref().unwrap_or("")]),
        }
    }
}
