//! Servers: a managed server of one service, and a host of several. One engine: a server is a host of
//! one.
//!
//! ```text
//!   init, add ──▶ Bound ── start, run ──▶ Running ── stop, drain ──▶ Running, over
//!                   └──── stop ──▶ Stopped: never started
//! ```

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netipc::server::{Host, RunningHost, ServerStatus};

use crate::boundary::{Caller, boundary};
use crate::config::nipc_server_config_t;
use crate::error::{nipc_error, nipc_error_t};
use crate::failure::Failure;
use crate::handler::{Bound, nipc_handler_t};
use crate::object::{Object, object};
use crate::status::nipc_server_status_t;

/// The most workers of a server or host: a count above it is a mistake, such as a negative number.
pub const NIPC_MAX_WORKERS: usize = 1024;

/// A server of one service, with threads of its own. Zeroed (`= NIPC_SERVER_INIT`) it is closed. May
/// lie on the stack, may be moved, must not be copied.
///
/// nipc_server_stop(), _drain() and _status() are for any thread, also while another is in
/// nipc_server_run(), but for one after (or while) the server is destroyed.
#[repr(C)]
pub struct nipc_managed_server_t {
    tag_: u64,
    inner_: *mut c_void,
}

/// Several services of one process, which share their workers. For the rest as nipc_managed_server_t.
#[repr(C)]
pub struct nipc_host_t {
    tag_: u64,
    inner_: *mut c_void,
}

object!(nipc_managed_server_t, "server", b"NIPCsrvr", Serving);
object!(nipc_host_t, "host", b"NIPChost", Serving);

/// Takes the endpoint of a service: from here on nobody else can, and clients that come wait until it
/// is started. One thread. Each service has such an init of its own, nipc_SERVICE_server_init().
///
/// `run_dir`, `service_name` and `config` are borrowed for the time of the call; `config` may be NULL.
/// `worker_count`: threads that run handlers, and the most that run at a time, at most NIPC_MAX_WORKERS;
/// 0 is one for each CPU, at most 8. `handler` comes from nipc_SERVICE_handler(); what its context points at must stay until
/// nipc_server_destroy() has answered NIPC_OK. Handlers run on the server's threads, several at once;
/// they must return, and throw or jump past nothing.
///
/// NIPC_ERR_INVALID_ARGUMENT for a bad name or handler, or too many workers; NIPC_ERR_ADDRESS_IN_USE where somebody serves
/// the endpoint, NIPC_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_server_init_typed(
    server: *mut nipc_managed_server_t,
    run_dir: *const c_char,
    service_name: *const c_char,
    config: *const nipc_server_config_t,
    worker_count: usize,
    handler: nipc_handler_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            caller.new_server(server, run_dir, service_name, config, worker_count, handler)
        })
    }
}

/// Serves from threads of the server's own, until it is stopped.
///
/// NIPC_ERR_ALREADY_INITIALIZED if it was started before, NIPC_ERR_ABORTED if it was stopped before;
/// NIPC_ERR_SYSTEM where threads cannot be had: the endpoint is given back then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_server_start(server: *mut nipc_managed_server_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.object(server)?.start().map(drop)) }
}

/// Serves until another thread stops or drains the server, then returns. If that was before, it
/// returns at once.
///
/// NIPC_ERR_ALREADY_INITIALIZED if it was started before, NIPC_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_server_run(server: *mut nipc_managed_server_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.shared(server)?.run()) }
}

/// Stops: gives the endpoint back, ends sessions, drops requests that no handler has begun, and waits
/// up to 2 s for handlers that run. Any thread, more than once; not from within a handler, where it
/// cannot succeed. Status and counts stay; no thread of the server's does.
///
/// NIPC_ERR_HANDLERS_RUNNING: nobody is served any more, but what handlers use must stay. Call again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_server_stop(server: *const nipc_managed_server_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.shared(server)?.stop()) }
}

/// Gives the endpoint back, reads nothing more, waits up to 5 s until every request that was read is
/// answered, then stops. Any thread.
///
/// As nipc_server_stop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_server_drain(server: *const nipc_managed_server_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.shared(server)?.drain()) }
}

/// What the server is doing. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_server_status(
    server: *const nipc_managed_server_t,
    status: *mut nipc_server_status_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(status, "status")?;
            out.write(caller.object(server)?.status(0)?);
            Ok(())
        })
    }
}

/// Stops the server, and frees it: the object is as zeroed. No other thread may be about to use it.
///
/// NIPC_ERR_NOT_INITIALIZED for one that is destroyed or zeroed, which is harmless;
/// NIPC_ERR_HANDLERS_RUNNING: the object stays, and what handlers use must stay: call again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_server_destroy(server: *mut nipc_managed_server_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.destroy(server)) }
}

/// Makes a host of nothing yet. `worker_count` as in nipc_server_init_typed(), for all its services.
///
/// NIPC_ERR_ALREADY_INITIALIZED for a live host, NIPC_ERR_INVALID_ARGUMENT for too many workers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_host_init(
    host: *mut nipc_host_t,
    worker_count: usize,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            caller.vacant(host)?.fill(Serving::new(checked(worker_count)?, Vec::new()));
            Ok(())
        })
    }
}

/// Takes the endpoint of a service, to be served by the host: before it is started. Arguments and
/// errors as those of nipc_server_init_typed(); a service that failed is not added.
///
/// NIPC_ERR_ALREADY_INITIALIZED once the host was started, NIPC_ERR_ABORTED once it was stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_host_add(
    host: *mut nipc_host_t,
    run_dir: *const c_char,
    service_name: *const c_char,
    config: *const nipc_server_config_t,
    handler: nipc_handler_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let host = caller.object(host)?;
            host.add(|| caller.bind(run_dir, service_name, config, handler))
        })
    }
}

/// As nipc_server_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_host_start(host: *mut nipc_host_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.object(host)?.start().map(drop)) }
}

/// As nipc_server_run().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_host_run(host: *mut nipc_host_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.shared(host)?.run()) }
}

/// As nipc_server_stop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_host_stop(host: *const nipc_host_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.shared(host)?.stop()) }
}

/// As nipc_server_drain().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_host_drain(host: *const nipc_host_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.shared(host)?.drain()) }
}

/// What service `index` is doing, counted in the order in which they were added. Any thread.
///
/// NIPC_ERR_OUT_OF_RANGE past the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_host_status(
    host: *const nipc_host_t,
    index: usize,
    status: *mut nipc_server_status_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let out = caller.out(status, "status")?;
            out.write(caller.object(host)?.status(index)?);
            Ok(())
        })
    }
}

/// As nipc_server_destroy().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_host_destroy(host: *mut nipc_host_t) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe { boundary(|caller| caller.destroy(host)) }
}

impl Caller<'_> {
    /// Makes a server object live: for the init functions of services.
    pub(crate) fn new_server(
        self,
        server: *mut nipc_managed_server_t,
        run_dir: *const c_char,
        service_name: *const c_char,
        config: *const nipc_server_config_t,
        worker_count: usize,
        handler: nipc_handler_t,
    ) -> Result<(), Failure> {
        let place = self.vacant(server)?;
        let worker_count = checked(worker_count)?;
        let bound = self.bind(run_dir, service_name, config, handler)?;
        place.fill(Serving::new(worker_count, vec![bound]));
        Ok(())
    }

    fn bind(
        self,
        run_dir: *const c_char,
        service_name: *const c_char,
        config: *const nipc_server_config_t,
        handler: nipc_handler_t,
    ) -> Result<Bound, Failure> {
        let endpoint = self.endpoint(run_dir, service_name)?;
        handler.bind(self, &endpoint, self.server_config(config)?)
    }

    /// Stops what serves, and closes the object unless handlers still run.
    fn destroy<O: Object<Inner = Serving>>(self, object: *mut O) -> Result<(), Failure> {
        self.shared(object)?.stop()?;
        self.close(object).map(drop)
    }
}

fn checked(worker_count: usize) -> Result<usize, Failure> {
    if worker_count > NIPC_MAX_WORKERS {
        let words = format!("{worker_count} workers are more than {NIPC_MAX_WORKERS}");
        return Err(Failure::argument(words));
    }
    Ok(worker_count)
}

/// What a live server or host keeps.
pub(crate) struct Serving {
    worker_count: usize,
    /// Held for moments: never while anybody waits for handlers or clients.
    phase: Mutex<Phase>,
}

enum Phase {
    /// Endpoints are taken.
    Bound(Vec<Bound>),
    /// Started, and stopped afterwards, maybe.
    Running { host: Arc<RunningHost>, stopped: bool },
    /// Never started, and never will be; this many services.
    Stopped(usize),
}

impl Serving {
    fn new(worker_count: usize, bound: Vec<Bound>) -> Self {
        Self { worker_count, phase: Mutex::new(Phase::Bound(bound)) }
    }

    fn add(&self, bind: impl FnOnce() -> Result<Bound, Failure>) -> Result<(), Failure> {
        match &mut *self.phase() {
            Phase::Bound(bound) => bound.push(bind()?),
            Phase::Running { .. } => return Err(started()),
            Phase::Stopped(_) => return Err(stopped()),
        }
        Ok(())
    }

    fn start(&self) -> Result<Arc<RunningHost>, Failure> {
        let mut phase = self.phase();
        let bound = match &mut *phase {
            Phase::Bound(bound) => std::mem::take(bound),
            Phase::Running { .. } => return Err(started()),
            Phase::Stopped(_) => return Err(stopped()),
        };
        let count = bound.len();
        *phase = Phase::Stopped(count);
        let host = Host::with_workers(self.worker_count);
        let host = bound.into_iter().fold(host, |host, serve_on| serve_on(host));
        let host = Arc::new(host.spawn()?);
        *phase = Phase::Running { host: Arc::clone(&host), stopped: false };
        Ok(host)
    }

    fn run(&self) -> Result<(), Failure> {
        if matches!(*self.phase(), Phase::Stopped(_)) {
            return Ok(());
        }
        Ok(self.start()?.wait()?)
    }

    fn stop(&self) -> Result<(), Failure> {
        self.end(RunningHost::stop)
    }

    fn drain(&self) -> Result<(), Failure> {
        self.end(RunningHost::drain)
    }

    fn end(
        &self,
        end: impl FnOnce(&RunningHost) -> Result<(), netipc::server::ServerError>,
    ) -> Result<(), Failure> {
        let host = match &mut *self.phase() {
            phase @ Phase::Bound(_) => {
                let count = phase.len();
                // Gives the endpoints back.
                *phase = Phase::Stopped(count);
                return Ok(());
            }
            Phase::Stopped(_) => return Ok(()),
            Phase::Running { host, stopped } => {
                *stopped = true;
                Arc::clone(host)
            }
        };
        Ok(end(&host)?)
    }

    fn status(&self, index: usize) -> Result<nipc_server_status_t, Failure> {
        let phase = self.phase();
        let (status, is_running) = match &*phase {
            Phase::Running { host, stopped } => {
                (host.status().into_iter().nth(index).map(|(_name, status)| status), !stopped)
            }
            phase => ((index < phase.len()).then(ServerStatus::default), false),
        };
        let past = || Failure::out_of_range(index, phase.len());
        Ok(nipc_server_status_t::new(&status.ok_or_else(past)?, is_running))
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        // A panic under the lock was contained and told; what it left is a phase.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Phase {
    /// How many services there are.
    fn len(&self) -> usize {
        match self {
            Self::Bound(bound) => bound.len(),
            Self::Running { host, .. } => host.status().len(),
            Self::Stopped(count) => *count,
        }
    }
}

#[cold]
fn started() -> Failure {
    Failure::new(nipc_error::NIPC_ERR_ALREADY_INITIALIZED, "it was started already")
}

#[cold]
fn stopped() -> Failure {
    Failure::new(nipc_error::NIPC_ERR_ABORTED, "it was stopped before it was started")
}
