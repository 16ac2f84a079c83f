//! Clients: one object for all services, whose typed calls the services' own headers declare.

use std::any::{Any, TypeId};
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use netipc::client::{
    CallClient, ClientConfig, ClientState, ClientStatus, LookupClient, SnapshotClient,
};
use netipc::service::{Call, Lookup, Snapshot};
use netipc::{Abort, Endpoint, SysError};

use crate::boundary::{Caller, boundary, boundary_with};
use crate::config::nipc_client_config_t;
use crate::error::{nipc_error, nipc_error_t};
use crate::failure::Failure;
use crate::generated;
use crate::object::{Exclusive, object};
use crate::status::{nipc_client_state_t, nipc_client_status_t};

/// A client of one service. Zeroed (`= NIPC_CLIENT_INIT`) it is closed; nipc_client_init() makes it
/// live, nipc_client_close() closes it. May lie on the stack, may be moved, must not be copied.
///
/// One thread at a time: a second one gets NIPC_ERR_IN_USE. nipc_client_abort(), _abort_clear() and
/// _ready() are for any thread at any time, but for one after (or while) the client is closed.
#[repr(C)]
pub struct nipc_client_ctx_t {
    tag_: u64,
    inner_: *mut c_void,
}

object!(nipc_client_ctx_t, "client", b"NIPCclnt", ClientInner);

/// What a live client keeps.
pub(crate) struct ClientInner {
    abort: Abort,
    /// What the client itself says, as of its last use, for those who ask meanwhile.
    ready: AtomicBool,
    /// The type of the client: that of its service.
    kind: TypeId,
    client: Exclusive<Box<dyn AnyClient>>,
}

/// A service that nipc_client_init() knows by its name.
pub(crate) struct KnownService {
    pub(crate) name: &'static str,
    pub(crate) client: fn(Endpoint, ClientConfig) -> Box<dyn AnyClient>,
}

/// Makes a client of the service of this name: one of those that netipc/services.h lists. It does not
/// connect: nipc_client_refresh() does. A program that links libnetipc.a and uses few services is
/// smaller with their own functions, nipc_SERVICE_client_init().
///
/// `run_dir` and `service_name` are borrowed for the time of the call, and may be anything: a bad name
/// is found here. `config` may be NULL.
///
/// NIPC_ERR_INVALID_ARGUMENT for a name that is bad or unknown; NIPC_ERR_ALREADY_INITIALIZED for a live
/// client; NIPC_ERR_SYSTEM where there is no descriptor for its abort.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_client_init(
    client: *mut nipc_client_ctx_t,
    run_dir: *const c_char,
    service_name: *const c_char,
    config: *const nipc_client_config_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let name = caller.in_utf8(service_name, "service_name")?;
            let unknown = || unknown_service(name);
            let service = generated::SERVICES.iter().find(|service| service.name == name);
            let make = service.ok_or_else(unknown)?.client;
            caller.new_any_client(client, run_dir, service_name, config, make)
        })
    }
}

/// Connects when there is no session and it is time to try, waiting for at most 5 s or the call
/// timeout; with a session, looks once, without waiting, whether it is still there.
///
/// `changed` may be NULL; else it tells whether the state changed, or the session is another. That
/// there is no session is no error of this function: nipc_client_status() says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_client_refresh(
    client: *mut nipc_client_ctx_t,
    changed: *mut bool,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = if changed.is_null() { None } else { Some(caller.out(changed, "changed")?) };
            let has_changed = caller.with_any_client(client, |client| Ok(client.refresh()))?;
            if let Some(out) = out {
                out.write(has_changed);
            }
            Ok(())
        })
    }
}

/// Whether there is a session: a flag, nothing is looked at. Any thread. False for a client that is
/// closed or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_client_ready(client: *const nipc_client_ctx_t) -> bool {
    // SAFETY: as `boundary` says: what the header asks of callers.
    let ready = unsafe {
        // A hint that nothing hangs on.
        boundary_with(|caller| Ok(caller.object(client)?.ready.load(Ordering::Relaxed)))
    };
    ready.unwrap_or(false)
}

/// What the client is: one of enum nipc_client_state_kind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_client_state(
    client: *const nipc_client_ctx_t,
    state: *mut nipc_client_state_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(state, "state")?;
            let state = caller.with_any_client(client, |client| Ok(client.state()))?;
            out.write(nipc_client_state_t::from(crate::status::state(state)));
            Ok(())
        })
    }
}

/// Everything that a supporter needs. Takes some microseconds, and allocates for a moment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_client_status(
    client: *const nipc_client_ctx_t,
    status: *mut nipc_client_status_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(status, "status")?;
            let status = caller.with_any_client(client, |client| Ok(client.status()))?;
            out.write(nipc_client_status_t::new(&status));
            Ok(())
        })
    }
}

/// Ends a refresh or call that waits, within 50 ms, and refuses later ones with NIPC_ERR_ABORTED until
/// it is cleared. Any thread; not for signal handlers: it takes a lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_client_abort(client: *const nipc_client_ctx_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.object(client).map(|client| client.abort.trigger())) }
}

/// Lets the client work again. Clear once the calls that were to end have returned. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_client_abort_clear(client: *const nipc_client_ctx_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.object(client).map(|client| client.abort.clear())) }
}

/// Ends the session and frees what the client holds: views of its answers end, and the object is as
/// zeroed. No other thread may be about to use it.
///
/// NIPC_ERR_NOT_INITIALIZED for one that is closed or zeroed, which is harmless; NIPC_ERR_IN_USE, with
/// the client unchanged, while another thread is in a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_client_close(client: *mut nipc_client_ctx_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.close_if(client, |inner| inner.client.lock()).map(drop)) }
}

#[cold]
fn unknown_service(name: &str) -> Failure {
    let mut words = format!("there is no service {name:?}; there are:");
    for service in generated::SERVICES {
        words.push(' ');
        words.push_str(service.name);
    }
    Failure::argument(words)
}

impl Caller<'_> {
    /// Makes a client object live: for the init functions of services. `make` is `C::new`.
    pub(crate) fn new_client<C: AnyClient>(
        self,
        client: *mut nipc_client_ctx_t,
        run_dir: *const c_char,
        service_name: *const c_char,
        config: *const nipc_client_config_t,
        make: impl FnOnce(Endpoint, ClientConfig) -> C,
    ) -> Result<(), Failure> {
        self.new_any_client(client, run_dir, service_name, config, |endpoint, config| {
            Box::new(make(endpoint, config))
        })
    }

    fn new_any_client(
        self,
        client: *mut nipc_client_ctx_t,
        run_dir: *const c_char,
        service_name: *const c_char,
        config: *const nipc_client_config_t,
        make: impl FnOnce(Endpoint, ClientConfig) -> Box<dyn AnyClient>,
    ) -> Result<(), Failure> {
        let place = self.vacant(client)?;
        let endpoint = self.endpoint(run_dir, service_name)?;
        let mut client = make(endpoint, self.client_config(config)?);
        let abort = client.abort_handle()?;
        let ready = AtomicBool::new(client.ready());
        let any: &dyn Any = &*client;
        let kind = any.type_id();
        place.fill(ClientInner { abort, ready, kind, client: Exclusive::new(client) });
        Ok(())
    }

    /// Uses a client as that of a service: `NIPC_ERR_WRONG_SERVICE` if it is another's.
    #[inline(always)]
    pub(crate) fn with_client<C: AnyClient, T>(
        self,
        client: *mut nipc_client_ctx_t,
        body: impl FnOnce(&mut C) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let inner = self.object(client)?;
        let mut client = inner.client.lock()?;
        // The same as a downcast, which would ask the client by a call.
        if inner.kind != TypeId::of::<C>() {
            return Err(wrong_service());
        }
        let client = std::ptr::from_mut(&mut **client).cast::<C>();
        // SAFETY: the client is a `C`, as was just seen, for `kind` was asked of it when it was made and
        // is never changed; this call has it for itself while it holds the lock.
        let client = unsafe { &mut *client };
        let outcome = body(client);
        inner.ready.store(AnyClient::ready(client), Ordering::Relaxed);
        outcome
    }

    /// Uses a client, whatever its service is.
    fn with_any_client<T>(
        self,
        client: *const nipc_client_ctx_t,
        body: impl FnOnce(&mut dyn AnyClient) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let inner = self.object(client)?;
        let mut client = inner.client.lock()?;
        let outcome = body(&mut **client);
        inner.ready.store(client.ready(), Ordering::Relaxed);
        outcome
    }
}

#[cold]
#[inline(never)]
fn wrong_service() -> Failure {
    let words = "the client is one of another service: each service has its own calls";
    Failure::new(nipc_error::NIPC_ERR_WRONG_SERVICE, words)
}

/// What all typed clients have: the object holds one, and typed calls take it back by its type.
pub(crate) trait AnyClient: Any + Send {
    fn refresh(&mut self) -> bool;
    fn ready(&self) -> bool;
    fn state(&self) -> ClientState;
    fn status(&self) -> ClientStatus;
    fn abort_handle(&mut self) -> Result<Abort, SysError>;
}

macro_rules! any_client {
    ($($client:ident: $shape:ident),+ $(,)?) => {
        $(impl<S: $shape> AnyClient for $client<S>
        where
            Self: Send,
        {
            fn refresh(&mut self) -> bool {
                $client::refresh(self)
            }

            fn ready(&self) -> bool {
                $client::ready(self)
            }

            fn state(&self) -> ClientState {
                $client::state(self)
            }

            fn status(&self) -> ClientStatus {
                $client::status(self)
            }

            fn abort_handle(&mut self) -> Result<Abort, SysError> {
                $client::abort_handle(self)
            }
        })+
    };
}

any_client!(CallClient: Call, LookupClient: Lookup, SnapshotClient: Snapshot);
