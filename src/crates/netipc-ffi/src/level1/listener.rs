//! The server's side of an endpoint: clients come in, sessions come out.

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use netipc::{Abort, Listener, ListenerConfig, Profiles, SpinLimit, descriptor_number};

use super::session::nipc_session_t;
use super::wait::{deadline, poll_timeout_ms};
use crate::boundary::{Caller, boundary};
use crate::config::nipc_access_policy_t;
use crate::error::{nipc_error, nipc_error_t};
use crate::failure::Failure;
use crate::object::{Exclusive, object};

/// An endpoint that is served by a program's own loop. Zeroed (`= NIPC_LISTENER_INIT`) it is closed.
/// May lie on the stack, may be moved, must not be copied.
///
/// One thread at a time: a second one gets NIPC_ERR_IN_USE. nipc_listener_abort() and _abort_clear()
/// are for any thread, but for one after (or while) the listener is closed.
#[repr(C)]
pub struct nipc_listener_t {
    tag_: u64,
    inner_: *mut c_void,
}

object!(nipc_listener_t, "listener", b"NIPClstn", ListenerInner);

/// What a live listener keeps.
pub(crate) struct ListenerInner {
    abort: Abort,
    listener: Exclusive<Listener>,
}

/// How an endpoint is served. Zero, and NULL for all of it, means the defaults that are named.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_listener_config_t {
    /// NIPC_PROFILE_… bits that sessions may use. Default: the baseline alone.
    pub supported_profiles: u32,
    /// Those of them that the server would rather use.
    pub preferred_profiles: u32,
    /// The longest request payload granted, in bytes. Default: 1,024.
    pub max_request_payload_bytes: u32,
    /// The longest response payload that sessions get, in bytes. Default: 1,024.
    pub response_payload_bytes: u32,
    /// What clients must know.
    pub auth_token: u64,
    /// The longest packet, in bytes. Default, and at most: what the socket carries.
    pub packet_size_bytes: u32,
    /// Clients that may wait to be accepted. Default: the system's choice.
    pub backlog: u16,
    /// How long a client may take for its first message, in milliseconds. Default: 5,000.
    pub handshake_timeout_ms: u32,
    /// Clients that may be in their handshake at one time; beyond it the oldest gives way. Default:
    /// 512.
    pub max_pending_handshakes: u32,
    /// Bytes of shared memory that all sessions may have together; beyond it they get the baseline.
    /// Default: 64 MiB.
    pub max_region_bytes: u64,
    /// Who may connect.
    pub access: nipc_access_policy_t,
}

/// Takes the endpoint and listens on it. A socket whose server died is replaced, a live server's
/// never. Arguments are borrowed for the time of the call; `config` may be NULL.
///
/// NIPC_ERR_INVALID_ARGUMENT for a bad name, NIPC_ERR_ADDRESS_IN_USE, NIPC_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_listener_init(
    listener: *mut nipc_listener_t,
    run_dir: *const c_char,
    service_name: *const c_char,
    config: *const nipc_listener_config_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let place = caller.vacant(listener)?;
            let endpoint = caller.endpoint(run_dir, service_name)?;
            let config = caller.listener_config(config)?;
            let (abort, listener) = (Abort::new()?, Listener::bind(&endpoint, &config)?);
            place.fill(ListenerInner { abort, listener: Exclusive::new(listener) });
            Ok(())
        })
    }
}

/// The listener's descriptor: readable when nipc_listener_try_accept() has something to do. It stays
/// the listener's, until it is closed: wait for it, and do nothing else with it.
///
/// NIPC_ERR_UNSUPPORTED on Windows, where a pipe tells nobody that it is ready: use nipc_listener_accept().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_listener_fd(
    listener: *const nipc_listener_t,
    fd: *mut c_int,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(fd, "fd")?;
            let listener = caller.object(listener)?.listener.lock()?;
            out.write(descriptor_number(&*listener).ok_or_else(no_descriptor)?);
            Ok(())
        })
    }
}

/// Waits for the next session, and goes on with all handshakes meanwhile: for servers without a loop
/// of their own. `timeout_ms` may be NIPC_WAIT_FOREVER. `session` is zeroed or closed, and live
/// afterwards: the caller closes it.
///
/// NIPC_ERR_TIMED_OUT, NIPC_ERR_ABORTED, NIPC_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_listener_accept(
    listener: *mut nipc_listener_t,
    timeout_ms: u32,
    session: *mut nipc_session_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let place = caller.vacant(session)?;
            let inner = caller.object(listener)?;
            let session = inner.listener.lock()?.accept(deadline(timeout_ms), &inner.abort)?;
            nipc_session_t::fill(place, session)
        })
    }
}

/// Goes on with every handshake that can go on, until one becomes a session. Never waits. To be called
/// when the descriptor is readable and at nipc_listener_next_deadline_ms(); after a session, once
/// more, for there may be another.
///
/// `has_room`: whether one session more may be made; otherwise a client that comes is told to come
/// later. `session` as in nipc_listener_accept().
///
/// NIPC_ERR_WOULD_BLOCK where there is no session now, NIPC_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_listener_try_accept(
    listener: *mut nipc_listener_t,
    has_room: bool,
    session: *mut nipc_session_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let place = caller.vacant(session)?;
            let inner = caller.object(listener)?;
            match inner.listener.lock()?.try_accept(|| has_room)? {
                Some(session) => nipc_session_t::fill(place, session),
                None => Err(nothing_now("no client has completed its handshake")),
            }
        })
    }
}

/// When nipc_listener_try_accept() is to be called even if nothing is readable: milliseconds from now,
/// as `poll` and `epoll_wait` take them. -1: never, which is so while nobody is in a handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_listener_next_deadline_ms(
    listener: *const nipc_listener_t,
    timeout_ms: *mut c_int,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(timeout_ms, "timeout_ms")?;
            let next_deadline = caller.object(listener)?.listener.lock()?.next_deadline();
            out.write(poll_timeout_ms(next_deadline));
            Ok(())
        })
    }
}

/// Ends an accept that waits, and refuses later ones until it is cleared. Any thread; not for signal
/// handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_listener_abort(listener: *const nipc_listener_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.object(listener).map(|listener| listener.abort.trigger())) }
}

/// Lets the listener accept again. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_listener_abort_clear(
    listener: *const nipc_listener_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.object(listener).map(|listener| listener.abort.clear())) }
}

/// Gives the endpoint back and closes what is in its handshake; sessions live on.
///
/// NIPC_ERR_NOT_INITIALIZED for one that is closed or zeroed, which is harmless; NIPC_ERR_IN_USE, with
/// the listener unchanged, while another thread is in a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_listener_close(listener: *mut nipc_listener_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.close_if(listener, |inner| inner.listener.lock()).map(drop)) }
}

/// What a loop could wait for, there is none of here.
#[cold]
pub(super) fn no_descriptor() -> Failure {
    let words =
        "there is nothing on this system that a loop could wait for: use the calls that wait";
    Failure::new(nipc_error::NIPC_ERR_UNSUPPORTED, words)
}

/// Nothing went wrong, and nothing is there.
#[cold]
pub(super) fn nothing_now(words: &'static str) -> Failure {
    let fault = Some(netipc::Fault::Nobody);
    Failure::of(nipc_error::NIPC_ERR_WOULD_BLOCK, words.into(), fault)
}

impl Caller<'_> {
    fn listener_config(
        self,
        config: *const nipc_listener_config_t,
    ) -> Result<ListenerConfig, Failure> {
        // The library's default, for looking is what makes answers come soon.
        let spin_limit = SpinLimit::default();
        let Some(config) = self.in_option(config, "config")? else {
            return Ok(ListenerConfig { spin_limit, ..ListenerConfig::default() });
        };
        Ok(ListenerConfig {
            access: self.access_policy(&config.access)?,
            supported_profiles: Profiles(config.supported_profiles),
            preferred_profiles: Profiles(config.preferred_profiles),
            max_request_payload_bytes: config.max_request_payload_bytes,
            response_payload_bytes: config.response_payload_bytes,
            auth_token: config.auth_token,
            packet_size: config.packet_size_bytes,
            backlog: config.backlog,
            handshake_timeout: Duration::from_millis(config.handshake_timeout_ms.into()),
            max_pending_handshakes: config.max_pending_handshakes as usize,
            max_region_bytes: config.max_region_bytes,
            spin_limit,
        })
    }
}
