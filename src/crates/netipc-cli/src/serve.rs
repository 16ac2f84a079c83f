//! `netipc serve`: providers of this host's data, until a signal ends them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use clap::Args;
use netipc::server::{RunningHost, ServerConfig, ServerError};
use netipc_host::{Host, HostConfig};

use crate::failure::Failure;
use crate::options::{Meeting, Transport};
use crate::providers::{self, ServiceName};

/// Prints one line a service once all of them are served: `SERVICE ready at SOCKET`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// What to serve.
    #[arg(value_enum, value_name = "SERVICE", required_unless_present = "all")]
    services: Vec<ServiceName>,
    /// Serve every service.
    #[arg(long, conflicts_with = "services")]
    all: bool,
    #[command(flatten)]
    meeting: Meeting,
    /// How messages may move, if the client asks for it.
    #[arg(long, value_enum, default_value = "shm")]
    transport: Transport,
    #[command(flatten)]
    sources: Sources,
}

/// What the data comes from.
#[derive(Debug, Args)]
pub(crate) struct Sources {
    /// A cgroup v2 tree to scan in place of the one that is mounted.
    #[arg(long, value_name = "DIR")]
    cgroup_root: Option<PathBuf>,
    /// A proc file system to scan in place of the host's.
    #[arg(long, value_name = "DIR", default_value = "/proc")]
    proc_root: PathBuf,
}

impl Sources {
    pub(crate) fn host(&self) -> Arc<Host> {
        let config =
            HostConfig { proc_root: self.proc_root.clone(), cgroup_root: self.cgroup_root.clone() };
        Arc::new(Host::new(config))
    }
}

impl Serve {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let mut services = if self.all { ServiceName::ALL.to_vec() } else { self.services };
        services.sort_unstable();
        services.dedup();
        // From here on a signal is remembered: none can come between the sockets and the wait.
        let signals = Signals::new()?;
        let host = self.sources.host();
        if services.iter().any(|service| service.is_of_host()) {
            // What can be wrong with the sources is told now, and not to the first client.
            let generation = host.current().map_err(|error| unreadable(&error))?;
            if let Some(note) = providers::note(&generation) {
                anstream::eprintln!("netipc: {note}");
            }
        }

        let config = ServerConfig {
            auth_token: self.meeting.token()?,
            supported_profiles: self.transport.profiles(),
            ..ServerConfig::default()
        };
        let served = providers::bind(&services, self.meeting.run_dir(), &config, &host)?;
        let running = served.spawn().map_err(|error| ended(&error))?;
        for service in &services {
            let endpoint = self.meeting.endpoint(service.as_str())?;
            writeln!(out, "{} ready at {endpoint}", service.as_str())?;
        }
        out.flush()?;
        until_signalled(&running, &signals).map_err(|error| ended(&error))
    }
}

/// Why a server that waits for a signal is woken.
enum Woken {
    Signalled,
    Ended,
}

/// Signals that end the process, remembered: SIGINT, SIGTERM and SIGHUP, or what a console says in their
/// place.
struct Signals {
    wake: Sender<Woken>,
    woken: Receiver<Woken>,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let (wake, woken) = channel();
        let signalled = wake.clone();
        // Nobody waits any more: the services have ended.
        ctrlc::set_handler(move || drop(signalled.send(Woken::Signalled))).map_err(|error| {
            Failure::Failed(format!("cannot wait for signals: {error}; close descriptors"))
        })?;
        Ok(Self { wake, woken })
    }
}

/// Drains the services once a signal comes; returns once they have ended, for whatever reason.
fn until_signalled(running: &RunningHost, signals: &Signals) -> Result<(), ServerError> {
    let wake = signals.wake.clone();
    thread::scope(|scope| {
        let ending = scope.spawn(move || {
            let ended = running.wait();
            // Who waits is below, until it has heard of a signal or of this.
            drop(wake.send(Woken::Ended));
            ended
        });
        let drained = match signals.woken.recv() {
            Ok(Woken::Signalled) => running.drain(),
            Ok(Woken::Ended) | Err(_) => Ok(()),
        };
        // A panic there has been shown already, and nothing is lost by it: the services have ended.
        ending.join().unwrap_or(Ok(())).and(drained)
    })
}

/// What a scan that failed says.
pub(crate) fn unreadable(error: &io::Error) -> Failure {
    Failure::Failed(format!("{error}; mount proc there, or name another --proc-root"))
}

fn ended(error: &ServerError) -> Failure {
    Failure::Failed(format!("the services have ended: {error}"))
}
