//! Handlers: how a typed function of C's gets into a server that knows no service.
//!
//! ```text
//!   nipc_SERVICE_handler(fn, context) ──▶ nipc_handler_t { service_, function_, context_ }
//!                                                              │
//!   nipc_server_init_typed, nipc_host_add ── service_.bind(endpoint, config, Callback)
//!                                                              │
//!                                    the service's typed server, which calls function_ with its types
//! ```

use std::ffi::c_void;
use std::fmt;

use netipc::codec::BuildError;
use netipc::server::{Context, HandlerError, Host, ServerConfig};
use netipc::{Endpoint, ListenError};

use crate::boundary::{Caller, boundary_with, forget_last_error, words_of};
use crate::error::{nipc_error, nipc_error_name, nipc_error_t};
use crate::failure::Failure;
use crate::status;

/// A service, as a handler carries it: opaque.
pub struct nipc_service {
    /// Takes the endpoint for the service, to be served by a function of C's.
    pub(crate) bind: fn(&Endpoint, ServerConfig, Callback) -> Result<Bound, ListenError>,
}

/// An endpoint that is taken: adds its service to a host, once.
pub(crate) type Bound = Box<dyn FnOnce(Host) -> Host + Send>;

/// A function of any type. Called by its own type alone.
pub type nipc_function_t = Option<unsafe extern "C" fn()>;

/// A service's handler with its context, for servers and hosts: made by nipc_SERVICE_handler().
/// Plain data: may be copied. Zeroed it is none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nipc_handler_t {
    service_: *const nipc_service,
    function_: nipc_function_t,
    context_: *mut c_void,
}

/// What a handler is told beside its request. Valid until it returns.
#[repr(C)]
pub struct nipc_request_context_t {
    /// The process that asks; 0 when it lives in a pid namespace that is not visible from here.
    pub peer_pid: u32,
    /// Its effective user id.
    pub peer_uid: u32,
    /// Its effective group id.
    pub peer_gid: u32,
    /// The session that the request came on: 1, 2, … for the server's lifetime.
    pub session_id: u64,
    inner_: *const c_void,
}

/// Whether the server is being stopped: a long handler looks now and then, and returns early. Not set
/// while the server merely drains. Within a handler alone; false for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_request_context_stop_requested(
    who: *const nipc_request_context_t,
) -> bool {
    // SAFETY: as `boundary` says: what the header asks of callers.
    let stopping = unsafe {
        boundary_with(|caller| {
            let inner = caller.in_ref(who, "who")?.inner_.cast::<Context<'_>>();
            Ok(caller.in_ref(inner, "who")?.stop_requested())
        })
    };
    stopping.unwrap_or(false)
}

impl nipc_request_context_t {
    /// For the time of one handler's run.
    pub(crate) fn new(context: &Context<'_>) -> Self {
        let peer = status::peer(&context.peer());
        Self {
            peer_pid: peer.pid,
            peer_uid: peer.uid,
            peer_gid: peer.gid,
            session_id: context.session_id(),
            inner_: std::ptr::from_ref(context).cast(),
        }
    }
}

impl nipc_handler_t {
    /// What the glue's `nipc_SERVICE_handler` answers. `function` is the typed function, its type
    /// forgotten: that of the handlers of `service`.
    pub(crate) const fn new(
        service: &'static nipc_service,
        function: nipc_function_t,
        context: *mut c_void,
    ) -> Self {
        Self { service_: service, function_: function, context_: context }
    }

    /// Takes the endpoint for this handler.
    pub(crate) fn bind(
        self,
        caller: Caller<'_>,
        endpoint: &Endpoint,
        config: ServerConfig,
    ) -> Result<Bound, Failure> {
        let service = caller.in_ref(self.service_, "handler")?;
        let missing = || Failure::argument("the function of the handler is NULL");
        let function = self.function_.ok_or_else(missing)?;
        Ok((service.bind)(endpoint, config, Callback { function, context: self.context_ })?)
    }
}

/// A function of C's, and the context that it is called with.
#[derive(Clone, Copy)]
pub(crate) struct Callback {
    function: unsafe extern "C" fn(),
    context: *mut c_void,
}

// SAFETY: the header says that handlers run on threads of the server's, with the context that was
// given: its owner answers for that. Nothing here looks at what the context points at.
unsafe impl Send for Callback {}
// SAFETY: as above; and that they run at once.
unsafe impl Sync for Callback {}

impl Callback {
    /// The function by its own type, `unsafe extern "C" fn(…) -> nipc_error_t`.
    ///
    /// # Safety
    /// `F` is the function pointer's type that it had before [`nipc_handler_t::new`].
    pub(crate) unsafe fn function<F: Copy>(&self) -> F {
        const { assert!(size_of::<F>() == size_of::<unsafe extern "C" fn()>()) };
        // SAFETY: both are function pointers of one size, and it is an `F`, as the caller promises.
        unsafe { std::mem::transmute_copy::<unsafe extern "C" fn(), F>(&self.function) }
    }

    /// What the function takes first.
    pub(crate) const fn context(&self) -> *mut c_void {
        self.context
    }
}

/// Runs a handler of C's, and makes of what it answers what a server takes: a full builder is told
/// the client as LIMIT_EXCEEDED, all else as INTERNAL_ERROR, with words in the server's status.
pub(crate) fn run_handler(run: impl FnOnce() -> nipc_error_t) -> Result<(), HandlerError> {
    forget_last_error();
    match run() {
        0 => Ok(()),
        error if error == nipc_error::NIPC_ERR_NO_SPACE.code() => Err(BuildError::NoSpace.into()),
        error => Err(Refusal(error).into()),
    }
}

/// What a handler of C's answered that is not `NIPC_OK`.
#[derive(Debug)]
struct Refusal(nipc_error_t);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the function answers static texts that end in NUL.
        let name = unsafe { std::ffi::CStr::from_ptr(nipc_error_name(self.0)) };
        write!(f, "the handler returned {} ({})", name.to_string_lossy(), self.0)?;
        match words_of(self.0) {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
