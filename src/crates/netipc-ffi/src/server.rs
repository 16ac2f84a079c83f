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
/// cannot succeed. Status and counts stay; no thread of the server's does, so that it waits for
/// what programs have done at a thread's end (pthread_key_create()), too.
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
/// errors as those of nipc_server_init_typed(); a service that failed is not added. Beside what a server left that
/// died it takes some 150 ms: nobody else waits for that, and where the host is stopped meanwhile the
/// endpoint is given back.
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
            // Its own, as where one waits: a stop does not wait for it.
            let host = caller.shared(host)?;
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
    /// Held for moments: never while anybody waits for handlers, clients, or an endpoint.
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
        // Nothing is taken that cannot be added.
        self.phase().bound().map(drop)?;
        // Not under the lock, for beside a stale socket it takes a while. What was started or stopped meanwhile does
        // not get it: dropped, it is given back, and not under the lock either.
        let bound = bind()?;
        let mut phase = self.phase();
        match phase.bound() {
            Ok(others) => {
                others.push(bound);
                Ok(())
            }
            Err(failure) => {
                drop(phase);
                drop(bound);
                Err(failure)
            }
        }
    }

    fn start(&self) -> Result<Arc<RunningHost>, Failure> {
        self.start_from(&mut self.phase())
    }

    fn start_from(&self, phase: &mut Phase) -> Result<Arc<RunningHost>, Failure> {
        let bound = std::mem::take(phase.bound()?);
        let count = bound.len();
        *phase = Phase::Stopped(count);
        let host = Host::with_workers(self.worker_count);
        let host = bound.into_iter().fold(host, |host, serve_on| serve_on(host));
        let host = Arc::new(host.spawn()?);
        *phase = Phase::Running { host: Arc::clone(&host), stopped: false };
        Ok(host)
    }

    fn run(&self) -> Result<(), Failure> {
        // Looked at and started under one lock: a stop comes before both, or after.
        let mut phase = self.phase();
        if matches!(*phase, Phase::Stopped(_)) {
            return Ok(());
        }
        let host = self.start_from(&mut phase)?;
        drop(phase);
        Ok(host.wait()?)
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
    /// The endpoints that are taken, of what was neither started nor stopped.
    fn bound(&mut self) -> Result<&mut Vec<Bound>, Failure> {
        match self {
            Self::Bound(bound) => Ok(bound),
            Self::Running { .. } => Err(started()),
            Self::Stopped(_) => Err(stopped()),
        }
    }

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

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, mpsc};
    use std::time::Duration;

    use super::*;

    /// For what takes no time unless it waits for another.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// An endpoint that is taken for as long as `taken` has a second owner.
    fn bound(taken: &Arc<()>) -> Bound {
        let taken = Arc::clone(taken);
        Box::new(move |host| {
            drop(taken);
            host
        })
    }

    /// What another thread does while a host binds an endpoint, which takes its time beside a stale socket; and what
    /// becomes of that endpoint.
    fn meanwhile(
        what: impl FnOnce(&Serving) + Send + 'static,
    ) -> (Arc<Serving>, Result<(), nipc_error>, Arc<()>) {
        let (serving, taken) = (Arc::new(Serving::new(1, Vec::new())), Arc::new(()));
        serving.add(|| Ok(bound(&taken))).expect("the first is added");
        let added = serving.add(|| {
            let (done, is_done) = mpsc::channel();
            let others = Arc::clone(&serving);
            std::thread::spawn(move || {
                what(&others);
                done.send(()).expect("it is waited for");
            });
            is_done.recv_timeout(PATIENCE).expect("nobody waits for a bind");
            Ok(bound(&taken))
        });
        (serving, added.map_err(|failure| failure.told().error), taken)
    }

    #[test]
    fn a_host_that_takes_an_endpoint_keeps_nobody_waiting() {
        let (serving, added, taken) = meanwhile(|serving| {
            let past = serving.status(1).map(drop).map_err(|failure| failure.told().error);
            assert_eq!(past, Err(nipc_error::NIPC_ERR_OUT_OF_RANGE), "it is not there yet");
            serving.status(0).expect("the first is");
        });
        assert_eq!(added, Ok(()));
        serving.status(1).expect("now it is");
        assert_eq!(Arc::strong_count(&taken), 3);
        serving.stop().expect("nothing runs");
        assert_eq!(Arc::strong_count(&taken), 1, "both are given back");
    }

    #[test]
    fn an_endpoint_that_was_taken_as_its_host_was_stopped_or_started_is_given_back() {
        let (serving, added, taken) = meanwhile(|serving| serving.stop().expect("nothing runs"));
        assert_eq!(added, Err(nipc_error::NIPC_ERR_ABORTED));
        assert_eq!(Arc::strong_count(&taken), 1);
        assert!(serving.status(1).is_err(), "it was never the host's");

        let (serving, added, taken) = meanwhile(|serving| drop(serving.start()));
        assert_eq!(added, Err(nipc_error::NIPC_ERR_ALREADY_INITIALIZED));
        assert_eq!(Arc::strong_count(&taken), 1);
        serving.stop().expect("no handler runs");

        // Afterwards nothing is taken to begin with.
        let refused = serving.add(|| panic!("it is too late"));
        let refused = refused.map_err(|failure| failure.told().error);
        assert_eq!(refused, Err(nipc_error::NIPC_ERR_ALREADY_INITIALIZED));
    }

    #[test]
    fn a_stop_that_comes_as_it_is_run_ends_it_well() {
        const ROUNDS: usize = 2_000;
        for _ in 0..ROUNDS {
            let (serving, both) = (Serving::new(1, Vec::new()), Barrier::new(2));
            std::thread::scope(|scope| {
                let running = scope.spawn(|| {
                    both.wait();
                    serving.run().map_err(|failure| failure.told().words)
                });
                both.wait();
                serving.stop().expect("nothing keeps it");
                assert_eq!(running.join().expect("no panic"), Ok(()));
            });
        }
    }
}
