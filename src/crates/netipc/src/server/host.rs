//! Several services of one process over the same workers, and the threads of all servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use netipc_proto::growth::{DEFAULT_RESPONSE_CEILING_BYTES, starting_limit};
use netipc_sys::{Abort, SysError};

use super::config::{DRAIN_TIMEOUT, STOP_TIMEOUT, ServerConfig, worker_count};
use super::dispatch::Dispatch;
use super::engine::{Engine, Phase};
use super::event_loop::EventLoop;
use super::served::{Service, sessions};
use super::status::{Counters, ServerStatus};
use super::threads::Threads;
use super::worker;
use crate::{Endpoint, HandshakeCounters, ListenError, Listener, ListenerConfig};

/// Why a server does not run, or has not stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The operating system refused.
    #[error(transparent)]
    Os(#[from] SysError),
    /// No thread could be started.
    #[error("the operating system refused to start a thread: {0}")]
    Thread(std::io::Error),
    /// Handlers have not returned in time. The server serves nobody any more; what these handlers
    /// use stays until they return.
    #[error("{threads} threads still run handlers after the time to stop was over")]
    HandlersRunning {
        /// Threads that have not ended.
        threads: usize,
    },
}

/// An endpoint that is taken and not served yet. Clients that come wait until it is.
#[derive(Debug)]
pub struct Server {
    name: String,
    listener: Listener,
    config: ServerConfig,
}

impl Server {
    /// Takes an endpoint: from here on, nobody else can.
    ///
    /// # Errors
    /// Each variant of [`ListenError`].
    pub fn bind(endpoint: &Endpoint, config: ServerConfig) -> Result<Self, ListenError> {
        let ceiling = config.response_ceiling(DEFAULT_RESPONSE_CEILING_BYTES);
        let listener_config = ListenerConfig {
            access: config.access.clone(),
            supported_profiles: config.supported_profiles,
            preferred_profiles: config.preferred_profiles,
            max_request_payload_bytes: config.request_bytes(),
            response_payload_bytes: starting_limit(ceiling),
            auth_token: config.auth_token,
            ..ListenerConfig::default()
        };
        let listener = Listener::bind(endpoint, &listener_config)?;
        Ok(Self { name: endpoint.service().to_owned(), listener, config })
    }

    /// Serves from threads of its own: one for everything but handlers, and
    /// [`worker_count`](ServerConfig::worker_count) for those.
    ///
    /// # Errors
    /// [`ServerError::Os`] or [`ServerError::Thread`]; nothing runs then.
    pub fn spawn(self, dispatch: impl Dispatch) -> Result<RunningServer, ServerError> {
        let host = Host::with_workers(self.config.workers());
        Ok(RunningServer(host.serve(self, dispatch).spawn()?))
    }

    /// Serves on this thread, beside the workers, until `stop` is triggered.
    ///
    /// # Errors
    /// Each variant of [`ServerError`].
    pub fn run(self, dispatch: impl Dispatch, stop: &Abort) -> Result<(), ServerError> {
        Host::with_workers(self.config.workers()).serve(self, dispatch).run(stop)
    }
}

/// Servers that share their workers. The set is fixed once they run.
#[derive(Debug)]
pub struct Host {
    workers: usize,
    listeners: Vec<Listener>,
    services: Vec<Service>,
}

impl Host {
    /// A host of nothing yet, with so many workers for all its services; zero is one for each CPU,
    /// at most [`DEFAULT_MAX_WORKERS`](super::DEFAULT_MAX_WORKERS).
    #[must_use]
    pub fn with_workers(workers: usize) -> Self {
        Self { workers: worker_count(workers), listeners: Vec::new(), services: Vec::new() }
    }

    /// Adds a service.
    #[must_use]
    pub fn serve(mut self, server: Server, dispatch: impl Dispatch) -> Self {
        let Server { name, listener, config } = server;
        self.services.push(Service {
            name,
            max_sessions: config.sessions(),
            max_in_flight: config.in_flight(),
            response_limit: listener.response_limit().clone(),
            response_ceiling: config.response_ceiling(dispatch.response_ceiling_bytes()),
            counters: Counters::default(),
            dispatch: Box::new(dispatch),
        });
        self.listeners.push(listener);
        self
    }

    /// Serves from threads of its own.
    ///
    /// # Errors
    /// As [`Server::spawn`].
    pub fn spawn(self) -> Result<RunningHost, ServerError> {
        let (running, event_loop) = self.start()?;
        let engine = Arc::clone(&running.engine);
        // Should there be no thread, dropping `running` ends the workers.
        Threads::start(&running.engine, "netipc-loop".to_owned(), move || {
            engine.threads.ended_with(event_loop.run(None));
        })?;
        Ok(running)
    }

    /// Serves on this thread, beside the workers, until `stop` is triggered.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub fn run(self, stop: &Abort) -> Result<(), ServerError> {
        let (running, event_loop) = self.start()?;
        event_loop.run(Some(stop))?;
        running.stop()?;
        // For what ended it, if that was a worker.
        running.wait()
    }

    /// Starts the workers.
    fn start(self) -> Result<(RunningHost, EventLoop), ServerError> {
        let handshakes = self.listeners.iter().map(|l| Arc::clone(l.counters())).collect();
        let engine = Arc::new(Engine::new(self.services, self.workers)?);
        let event_loop = EventLoop::new(Arc::clone(&engine), self.listeners)?;
        let running = RunningHost { engine, handshakes };
        for index in 0..running.engine.worker_count() {
            let engine = Arc::clone(&running.engine);
            Threads::start(&running.engine, format!("netipc-work-{index}"), move || {
                if let Some(place) = engine.places.get(index) {
                    worker::run(&engine, place);
                }
            })?;
        }
        Ok((running, event_loop))
    }
}

/// Services that run. Dropping it stops them.
#[derive(Debug)]
pub struct RunningHost {
    engine: Arc<Engine>,
    handshakes: Vec<Arc<HandshakeCounters>>,
}

impl RunningHost {
    /// Stops: gives the endpoints back, ends sessions, drops requests that no handler has begun, and batches that
    /// are not through, and waits up to 2 s for handlers that run, whose answers are still sent if there is room.
    /// Once it has succeeded no thread of the services is left.
    /// May be called from any thread, more than once; from within a handler it cannot succeed.
    ///
    /// # Errors
    /// [`ServerError::HandlersRunning`].
    pub fn stop(&self) -> Result<(), ServerError> {
        self.stop_within(STOP_TIMEOUT)
    }

    /// [`stop`](Self::stop) with another time to wait.
    ///
    /// # Errors
    /// [`ServerError::HandlersRunning`].
    pub fn stop_within(&self, timeout: Duration) -> Result<(), ServerError> {
        self.engine.enter(Phase::Stopping);
        match self.engine.threads.wait(Some(timeout)) {
            0 => {
                self.engine.end_all();
                Ok(())
            }
            threads => Err(ServerError::HandlersRunning { threads }),
        }
    }

    /// Gives the endpoints back, reads nothing more, and waits up to 5 s until every request that
    /// was read is answered. Then [`stop`](Self::stop)s, whatever is left, and whoever else still drains.
    ///
    /// # Errors
    /// [`ServerError::HandlersRunning`].
    pub fn drain(&self) -> Result<(), ServerError> {
        self.drain_within(DRAIN_TIMEOUT)
    }

    /// [`drain`](Self::drain) with another time to wait for answers.
    ///
    /// # Errors
    /// [`ServerError::HandlersRunning`].
    pub fn drain_within(&self, timeout: Duration) -> Result<(), ServerError> {
        self.engine.enter(Phase::Draining);
        let _left = self.engine.threads.wait(Some(timeout));
        self.stop()
    }

    /// Waits until another thread has stopped or drained the services.
    ///
    /// # Errors
    /// [`ServerError::Os`] when they ended because the system refused to wait for clients.
    pub fn wait(&self) -> Result<(), ServerError> {
        self.engine.threads.wait(None);
        self.engine.threads.failure().map_or(Ok(()), |error| Err(error.into()))
    }

    /// What each service is doing, by name, in the order in which they were added.
    #[must_use]
    pub fn status(&self) -> Vec<(String, ServerStatus)> {
        let both = self.engine.services.iter().zip(&self.handshakes);
        both.map(|(service, handshakes)| (service.name.clone(), self.of(service, handshakes)))
            .collect()
    }

    fn of(&self, service: &Arc<Service>, handshakes: &HandshakeCounters) -> ServerStatus {
        let counters = &service.counters;
        let totals = self.engine.totals(service);
        ServerStatus {
            sessions: sessions(service),
            shared_memory_sessions: counters.in_regions.load(Ordering::Relaxed),
            max_sessions: service.max_sessions,
            in_flight: totals.in_flight,
            workers: self.engine.worker_count(),
            response_limit_bytes: service.response_limit.get(),
            response_ceiling_bytes: service.response_ceiling,
            handshakes: handshakes.counts(),
            calls: counters.calls(totals.ok),
            ended: counters.ends(),
            request_bytes: totals.request_bytes,
            response_bytes: totals.response_bytes,
            last_error: counters.last_error.get(),
        }
    }
}

impl Drop for RunningHost {
    fn drop(&mut self) {
        // Whoever wants to hear of handlers that still run stops it before.
        let _handlers_running = self.stop();
    }
}

/// A server that runs. Dropping it stops it. See [`RunningHost`] for what each method does.
#[derive(Debug)]
pub struct RunningServer(RunningHost);

impl RunningServer {
    /// As [`RunningHost::stop`].
    ///
    /// # Errors
    /// [`ServerError::HandlersRunning`].
    pub fn stop(&self) -> Result<(), ServerError> {
        self.0.stop()
    }

    /// As [`RunningHost::stop_within`].
    ///
    /// # Errors
    /// [`ServerError::HandlersRunning`].
    pub fn stop_within(&self, timeout: Duration) -> Result<(), ServerError> {
        self.0.stop_within(timeout)
    }

    /// As [`RunningHost::drain`].
    ///
    /// # Errors
    /// [`ServerError::HandlersRunning`].
    pub fn drain(&self) -> Result<(), ServerError> {
        self.0.drain()
    }

    /// As [`RunningHost::drain_within`].
    ///
    /// # Errors
    /// [`ServerError::HandlersRunning`].
    pub fn drain_within(&self, timeout: Duration) -> Result<(), ServerError> {
        self.0.drain_within(timeout)
    }

    /// As [`RunningHost::wait`].
    ///
    /// # Errors
    /// [`ServerError::Os`].
    pub fn wait(&self) -> Result<(), ServerError> {
        self.0.wait()
    }

    /// What the server is doing.
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        self.0.status().into_iter().next().map(|(_name, status)| status).unwrap_or_default()
    }
}
