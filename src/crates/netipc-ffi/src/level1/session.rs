//! A session: whole messages between two peers that have agreed on terms.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use netipc::{
    Abort, CHUNK_GAP_TIMEOUT, Deadline, Drain, Drained, Header, Inbox, Limits, Outgoing, Profiles,
    Proposal, Session, SpinLimit, descriptor_number,
};

use super::abort::nipc_abort_t;
use super::listener::{no_descriptor, nothing_now};
use super::message::{nipc_header_t, nipc_message_view_t};
use super::wait::{deadline, poll_timeout_ms};
use crate::boundary::{Caller, boundary};
use crate::error::{nipc_error, nipc_error_t};
use crate::failure::Failure;
use crate::object::{Exclusive, Vacant, object};
use crate::status::{self, nipc_peer_t, nipc_terms_t};

/// A session with a peer. Zeroed (`= NIPC_SESSION_INIT`) it is closed; nipc_session_connect() and a
/// listener's accept make it live. May lie on the stack, may be moved while no thread is in a call with it, must
/// not be copied.
///
/// Threads: any number may send at once, messages leave whole; one may receive beside them, a second
/// one gets NIPC_ERR_IN_USE, and so it is for nipc_session_try_send() and for draining. Everything else is for any
/// thread. While one is in a call, no other closes the session: it is told NIPC_ERR_IN_USE.
#[repr(C)]
pub struct nipc_session_t {
    tag_: u64,
    inner_: *mut c_void,
}

object!(nipc_session_t, "session", b"NIPCsssn", SessionInner);

/// What a live session keeps.
pub(crate) struct SessionInner {
    abort: Abort,
    session: Session,
    inbox: Exclusive<Inbox>,
    unsent: Exclusive<Option<Unsent>>,
    /// Whether there is one, for those who would send another message beside it.
    is_unsent: AtomicBool,
    drain: Exclusive<Option<Drain>>,
}

/// A message of [`nipc_session_try_send`] that is not out yet.
struct Unsent {
    header: Header,
    outgoing: Outgoing,
}

/// What a client proposes. Zero, and NULL for all of it, means the defaults that are named.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_proposal_t {
    /// NIPC_PROFILE_… bits that may be used; the baseline always is.
    pub supported_profiles: u32,
    /// Those of them that this client would rather use.
    pub preferred_profiles: u32,
    /// The longest request, in bytes of payload: granted as it is, or refused. Default: 1,024.
    pub max_request_payload_bytes: u32,
    /// The most items of a batch. Default: 1.
    pub max_request_batch_items: u32,
    /// A hint of the longest answer: servers go by their own. Default: 1,024.
    pub max_response_payload_bytes: u32,
    /// A hint of the most items of a batch's answer. Default: 1.
    pub max_response_batch_items: u32,
    /// The longest answer that this client holds, in bytes, whatever is agreed; a longer one ends the
    /// session. Default: none but the agreed limit.
    pub response_ceiling_bytes: u32,
    /// The longest packet, in bytes. Default, and at most: what the socket carries.
    pub packet_size_bytes: u32,
    /// What both ends know.
    pub auth_token: u64,
}

/// Connects to the server of an endpoint and agrees on terms with it. Arguments are borrowed for the
/// time of the call; `proposal` may be NULL; `timeout_ms` may be NIPC_WAIT_FOREVER. `abort`, which may be
/// NULL, ends the call from another thread; the session has an abort of its own afterwards.
///
/// NIPC_ERR_INVALID_ARGUMENT for a bad name; NIPC_ERR_CLOSED where nobody serves the endpoint,
/// NIPC_ERR_STATUS where the server refuses, NIPC_ERR_LOST where it leaves, NIPC_ERR_VIOLATION,
/// NIPC_ERR_TIMED_OUT, NIPC_ERR_ABORTED, NIPC_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_connect(
    session: *mut nipc_session_t,
    run_dir: *const c_char,
    service_name: *const c_char,
    proposal: *const nipc_proposal_t,
    timeout_ms: u32,
    abort: *const nipc_abort_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let place = caller.vacant(session)?;
            let endpoint = caller.endpoint(run_dir, service_name)?;
            let proposal = caller.proposal(proposal)?;
            let own = Abort::new()?;
            let given = if abort.is_null() { None } else { Some(caller.shared(abort)?) };
            let ends = given.as_deref().unwrap_or(&own);
            let session = Session::connect(&endpoint, &proposal, deadline(timeout_ms), ends)?;
            place.fill(SessionInner::new(session, own));
            Ok(())
        })
    }
}

/// The session's descriptor: readable when there is something to receive, the peer's close included.
/// On shared memory messages do not travel by it: it becomes readable only when the peer has left. It
/// stays the session's, until it is closed: wait for it, and do nothing else with it.
///
/// NIPC_ERR_UNSUPPORTED on Windows, where a pipe tells nobody that it is ready: use the calls that wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_fd(
    session: *const nipc_session_t,
    fd: *mut c_int,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(fd, "fd")?;
            let inner = caller.using(session)?;
            out.write(descriptor_number(&inner.session).ok_or_else(no_descriptor)?);
            Ok(())
        })
    }
}

/// Sends one message, whole, and waits for room. `payload` is borrowed for the time of the call and may
/// be NULL where `payload_len` is 0; the header says the same length. A client sends requests, a server
/// responses, within what was agreed. Any number of threads at once.
///
/// NIPC_ERR_CALLER, too, while a message of nipc_session_try_send() is not out yet: that one goes first.
/// NIPC_ERR_LIMIT and NIPC_ERR_CALLER: nothing was sent, the message may not be. NIPC_ERR_TIMED_OUT and
/// NIPC_ERR_ABORTED: the session has ended if a part was out, and says so at its next use.
/// NIPC_ERR_CLOSED: the peer left; receive before judging. NIPC_ERR_VIOLATION, NIPC_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_send(
    session: *const nipc_session_t,
    header: *const nipc_header_t,
    payload: *const c_void,
    payload_len: usize,
    timeout_ms: u32,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let inner = caller.using(session)?;
            // Of the thread that began it, or one that it told: nothing else hangs on it.
            if inner.is_unsent.load(Ordering::Relaxed) {
                return Err(another_message());
            }
            let header = caller.in_ref(header, "header")?.header()?;
            let payload = caller.in_bytes(payload, payload_len, "payload")?;
            Ok(inner.session.send(&header, payload, deadline(timeout_ms), &inner.abort)?)
        })
    }
}

/// Sends what there is room for now, without waiting: for loops. NIPC_ERR_WOULD_BLOCK where the message
/// is not out yet: wait until the descriptor is writable, and call again with the same header and
/// payload, until NIPC_OK. One thread at a time, and none in nipc_session_send() meanwhile.
///
/// NIPC_ERR_CALLER for another message before this one is out. For the rest as nipc_session_send(); after
/// any error but NIPC_ERR_WOULD_BLOCK, NIPC_ERR_LIMIT and NIPC_ERR_CALLER close the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_try_send(
    session: *const nipc_session_t,
    header: *const nipc_header_t,
    payload: *const c_void,
    payload_len: usize,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let inner = caller.using(session)?;
            let header = caller.in_ref(header, "header")?.header()?;
            inner.try_send(&header, caller.in_bytes(payload, payload_len, "payload")?)
        })
    }
}

/// Receives one message, which is borrowed from the session until its next receive or its close.
/// `timeout_ms` may be NIPC_WAIT_FOREVER. One thread at a time.
///
/// NIPC_ERR_TIMED_OUT and NIPC_ERR_ABORTED: receiving may go on. NIPC_ERR_CLOSED: the peer left, and
/// everything that it sent before was received. NIPC_ERR_VIOLATION, NIPC_ERR_LIMIT: close the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_receive(
    session: *mut nipc_session_t,
    timeout_ms: u32,
    message: *mut nipc_message_view_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let (inner, out) = (caller.using(session)?, caller.out(message, "message")?);
            let mut inbox = inner.inbox.lock()?;
            let until = deadline(timeout_ms);
            let message = inner.session.receive(&mut inbox, until, &inner.abort)?;
            out.write(nipc_message_view_t::new(&message));
            Ok(())
        })
    }
}

/// Takes what is there now, without waiting: for loops. NIPC_ERR_WOULD_BLOCK where no message is whole
/// yet: the descriptor is readable when there is more. For the rest as nipc_session_receive(); but on shared
/// memory it looks at the memory alone: whether the peer is still there says nipc_session_peer_gone().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_try_receive(
    session: *mut nipc_session_t,
    message: *mut nipc_message_view_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let (inner, out) = (caller.using(session)?, caller.out(message, "message")?);
            let mut inbox = inner.inbox.lock()?;
            let message = inner.session.try_receive(&mut inbox)?;
            let nothing = || nothing_now("no message is there as a whole");
            out.write(nipc_message_view_t::new(&message.ok_or_else(nothing)?));
            Ok(())
        })
    }
}

/// When nipc_session_try_receive() is to be called even if nothing is readable: milliseconds from now,
/// as `poll` and `epoll_wait` take them. -1: never, which is so while no message has begun.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_next_deadline_ms(
    session: *const nipc_session_t,
    timeout_ms: *mut c_int,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(timeout_ms, "timeout_ms")?;
            let inner = caller.using(session)?;
            let began = inner.inbox.lock()?.partial_since();
            let next = began.map_or(Deadline::never(), |since| {
                Deadline::after(CHUNK_GAP_TIMEOUT.saturating_sub(since.elapsed()))
            });
            out.write(poll_timeout_ms(next));
            Ok(())
        })
    }
}

/// How many messages may be in flight in one direction: SIZE_MAX on sockets, where room alone limits
/// it, and 1 on shared memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_in_flight_limit(
    session: *const nipc_session_t,
    limit: *mut usize,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(limit, "limit")?;
            out.write(caller.using(session)?.session.in_flight_limit());
            Ok(())
        })
    }
}

/// What was agreed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_terms(
    session: *const nipc_session_t,
    terms: *mut nipc_terms_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let (out, inner) = (caller.out(terms, "terms")?, caller.using(session)?);
            let session = &inner.session;
            out.write(status::terms(session.terms(), session.server_supported().0, session.id()));
            Ok(())
        })
    }
}

/// Who is at the other end, as the kernel recorded it when the connection was made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_peer(
    session: *const nipc_session_t,
    peer: *mut nipc_peer_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(peer, "peer")?;
            out.write(status::peer(caller.using(session)?.session.peer()));
            Ok(())
        })
    }
}

/// One look, without waiting, whether the peer has left. What it sent before can still be received.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_peer_gone(
    session: *const nipc_session_t,
    gone: *mut bool,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(gone, "gone")?;
            out.write(caller.using(session)?.session.peer_gone()?);
            Ok(())
        })
    }
}

/// After a final answer: tells the peer that no more comes, and drops what it still sends until it
/// leaves, so that the answer is not overtaken by a reset. Close the session then, whatever came of it.
///
/// NIPC_ERR_TIMED_OUT where the peer stays, NIPC_ERR_LIMIT where it sends too much, NIPC_ERR_ABORTED,
/// NIPC_ERR_SYSTEM. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_drain(
    session: *mut nipc_session_t,
    timeout_ms: u32,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let inner = caller.using(session)?;
            let _alone = inner.drain.lock()?;
            drained(inner.session.drain(deadline(timeout_ms), &inner.abort)?)
        })
    }
}

/// nipc_session_drain() without waiting: for loops. NIPC_ERR_WOULD_BLOCK while the peer stays: wait until the
/// descriptor is readable, and call again, for as long as the loop has patience. One thread at a time.
///
/// NIPC_ERR_LIMIT where it sends too much, NIPC_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_try_drain(session: *const nipc_session_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.using(session)?.try_drain()) }
}

/// Ends the session for good: calls that wait return, later ones tell NIPC_ERR_CLOSED or NIPC_ERR_CALLER, and
/// the peer, which still gets what was sent, sees that this side left. Close it as any other. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_shutdown(session: *const nipc_session_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.using(session).map(|session| session.session.shutdown())) }
}

/// Ends calls that wait, and refuses later ones until it is cleared. Any thread; not for signal
/// handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_abort(session: *const nipc_session_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.using(session).map(|session| session.abort.trigger())) }
}

/// Lets the session work again. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_abort_clear(session: *const nipc_session_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.using(session).map(|session| session.abort.clear())) }
}

/// Closes the connection, and frees what the session holds: its last message ends. The peer still gets
/// what was sent. A thread that calls with the session later is told NIPC_ERR_NOT_INITIALIZED, while the struct
/// itself is there.
///
/// NIPC_ERR_NOT_INITIALIZED for one that is closed or zeroed, which is harmless; NIPC_ERR_IN_USE, with
/// the session unchanged, while another thread is in any call with it, be it for a moment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_session_close(session: *mut nipc_session_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.close(session).map(drop)) }
}

impl nipc_session_t {
    /// Makes an accepted session live.
    pub(super) fn fill(place: Vacant<'_, Self>, session: Session) -> Result<(), Failure> {
        place.fill(SessionInner::new(session, Abort::new()?));
        Ok(())
    }
}

impl SessionInner {
    fn new(session: Session, abort: Abort) -> Self {
        let inbox = Exclusive::new(session.inbox());
        let (unsent, drain) = (Exclusive::new(None), Exclusive::new(None));
        Self { abort, session, inbox, unsent, is_unsent: AtomicBool::new(false), drain }
    }

    fn try_drain(&self) -> Result<(), Failure> {
        let mut place = self.drain.lock()?;
        let drain = place.get_or_insert_with(|| Drain::begin(&self.session));
        match drain.advance(&self.session)? {
            Some(over) => drained(over),
            None => Err(nothing_now("the peer is still there")),
        }
    }

    fn try_send(&self, header: &Header, payload: &[u8]) -> Result<(), Failure> {
        let mut place = self.unsent.lock()?;
        let mut unsent = match place.take() {
            None => Unsent { header: *header, outgoing: self.session.outgoing(header, payload)? },
            Some(unsent) if unsent.header == *header && payload.len() == header_len(header) => {
                unsent
            }
            Some(unsent) => {
                *place = Some(unsent);
                return Err(another_message());
            }
        };
        self.is_unsent.store(false, Ordering::Relaxed);
        if self.session.try_send(&mut unsent.outgoing, payload)? {
            return Ok(());
        }
        *place = Some(unsent);
        self.is_unsent.store(true, Ordering::Relaxed);
        Err(nothing_now("the message is not out yet: there is no room"))
    }
}

const fn header_len(header: &Header) -> usize {
    header.payload_len as usize
}

#[cold]
fn another_message() -> Failure {
    let words = "an earlier message is not out yet: call again with that one first";
    Failure::new(nipc_error::NIPC_ERR_CALLER, words)
}

fn drained(drained: Drained) -> Result<(), Failure> {
    let (error, words) = match drained {
        Drained::PeerClosed => return Ok(()),
        Drained::TimedOut => (nipc_error::NIPC_ERR_TIMED_OUT, "timed out: the peer stays"),
        Drained::TooMuch => (nipc_error::NIPC_ERR_LIMIT, "the peer sends more than is dropped"),
        Drained::Aborted => (nipc_error::NIPC_ERR_ABORTED, "aborted by this side"),
    };
    Err(Failure::of(error, words.into(), Some(netipc::Fault::Nobody)))
}

impl Caller<'_> {
    fn proposal(self, proposal: *const nipc_proposal_t) -> Result<Proposal, Failure> {
        let Some(given) = self.in_option(proposal, "proposal")? else {
            return Ok(Proposal::default());
        };
        Ok(Proposal {
            supported_profiles: Profiles(given.supported_profiles),
            preferred_profiles: Profiles(given.preferred_profiles),
            request: Limits {
                payload_bytes: given.max_request_payload_bytes,
                batch_items: given.max_request_batch_items,
            },
            response_hint: Limits {
                payload_bytes: given.max_response_payload_bytes,
                batch_items: given.max_response_batch_items,
            },
            response_ceiling_bytes: given.response_ceiling_bytes,
            auth_token: given.auth_token,
            packet_size: given.packet_size_bytes,
            spin_limit: SpinLimit::default(),
        })
    }
}
