//! `netipc demo`: providers and clients of this host, in one process but over real sockets, in a
//! run directory that is gone afterwards. It ends by itself.

mod show;

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use netipc::Endpoint;
use netipc::client::{ClientConfig, DEFAULT_LOOKUP_ITEMS};
use netipc::server::ServerConfig;
use netipc_host::{Generation, Host};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot};
use tempfile::TempDir;

use crate::ask::{call_failed, connected, prober};
use crate::failure::Failure;
use crate::measure::{Latencies, Until, measure};
use crate::options::{Transport, endpoint};
use crate::providers::{self, ServiceName};
use crate::serve::{Sources, unreadable};

/// Starts providers of this host's data and clients of them, shows what they answer and how fast,
/// and cleans up.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    sources: Sources,
}

/// How long each kind of call is measured. With three of them, over two transports, the demo takes
/// some 4 s.
const MEASURED: Duration = Duration::from_millis(600);
/// So that it ends soon even on a host that is as good as stuck.
const CALL_TIMEOUT_MS: u64 = 2_000;
/// Keys of a measured lookup.
const MEASURED_PIDS: usize = 100;

impl Demo {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let host = self.sources.host();
        let generation = host.current().map_err(|error| unreadable(&error))?;
        let run_dir = TempDir::with_prefix("netipc-demo-").map_err(|error| {
            Failure::Failed(format!("no temporary directory: {error}; set TMPDIR to another"))
        })?;
        let stage = Stage::new(run_dir.path());
        let config = ServerConfig {
            auth_token: stage.config.auth_token,
            supported_profiles: Transport::Shm.profiles(),
            ..ServerConfig::default()
        };
        let served = providers::bind(&ServiceName::ALL, run_dir.path(), &config, &host)?;
        let stopped = |error| Failure::Failed(format!("the services have ended: {error}"));
        let running = served.spawn().map_err(stopped)?;

        show::title(run_dir.path(), out)?;
        stage.agreed(out)?;
        stage.cgroups(&generation, out)?;
        stage.processes(&generation, out)?;
        for (transport, name) in TRANSPORTS {
            stage.over(transport).speed(&host, name, out)?;
        }

        running.stop().map_err(stopped)?;
        let left = run_dir.path().display().to_string();
        run_dir.close().map_err(|error| Failure::Failed(format!("{left} stays: {error}")))?;
        Ok(writeln!(out, "\nAll stopped; {left} is gone.")?)
    }
}

/// What is measured, for comparison; all else goes over the better one.
const TRANSPORTS: [(Transport, &str); 2] =
    [(Transport::Socket, "the socket"), (Transport::Shm, "shared memory")];

/// Where the clients find their providers.
struct Stage<'a> {
    run_dir: &'a Path,
    config: ClientConfig,
}

impl<'a> Stage<'a> {
    fn new(run_dir: &'a Path) -> Self {
        let config = ClientConfig {
            // Nobody else is to meet these providers: a number that others cannot guess.
            auth_token: RandomState::new().hash_one(run_dir),
            call_timeout_ms: CALL_TIMEOUT_MS,
            supported_profiles: Transport::Shm.profiles(),
            ..ClientConfig::default()
        };
        Self { run_dir, config }
    }

    /// The same over this transport.
    fn over(&self, transport: Transport) -> Self {
        let supported_profiles = transport.profiles();
        Self { run_dir: self.run_dir, config: ClientConfig { supported_profiles, ..self.config } }
    }

    fn endpoint(&self, service: &str) -> Result<Endpoint, Failure> {
        endpoint(self.run_dir, service)
    }

    /// What a session goes by.
    fn agreed(&self, out: &mut impl Write) -> Result<(), Failure> {
        let service = ServiceName::AppsLookup;
        let client = prober(service, &self.endpoint(service.as_str())?, self.config)?;
        show::agreed(service.as_str(), client.session().as_ref(), out)
    }

    /// The largest of a snapshot, each looked up by its path.
    fn cgroups(&self, generation: &Generation, out: &mut impl Write) -> Result<(), Failure> {
        let at = self.endpoint(cgroups_snapshot::SERVICE)?;
        let mut cache = cgroups_snapshot::Cache::new(at.clone(), self.config);
        cache.refresh().map_err(|error| call_failed(&at, &error))?;
        let snapshot = cache.load();
        let largest =
            show::largest(generation, |cgroup| snapshot.get(cgroup.hash, &cgroup.name).is_some());

        let at = self.endpoint(cgroups_lookup::SERVICE)?;
        let mut client = connected(cgroups_lookup::Client::new(at.clone(), self.config), &at)?;
        let paths: Vec<&[u8]> = largest.iter().map(|cgroup| &*cgroup.path).collect();
        let answer = client.lookup(&paths).map_err(|error| call_failed(&at, &error))?;
        show::cgroups(generation, snapshot.len(), &largest, &answer, out)
    }

    /// All processes of the host in one call.
    fn processes(&self, generation: &Generation, out: &mut impl Write) -> Result<(), Failure> {
        let at = self.endpoint(apps_lookup::SERVICE)?;
        let mut client = connected(apps_lookup::Client::new(at.clone(), self.config), &at)?;
        let pids = pids(generation, DEFAULT_LOOKUP_ITEMS as usize);
        let start = Instant::now();
        client.lookup(&pids).map_err(|error| call_failed(&at, &error))?;
        let took = start.elapsed();
        let sub_calls = client.status().counters.sub_calls;
        let answer = client.lookup(&pids).map_err(|error| call_failed(&at, &error))?;
        show::processes(&answer, sub_calls, took, out)
    }

    fn speed(&self, host: &Arc<Host>, over: &str, out: &mut impl Write) -> Result<(), Failure> {
        let mut rows = Vec::new();
        for (service, what) in [
            (ServiceName::Increment, "increment, one number"),
            (ServiceName::CgroupsSnapshot, "cgroups-snapshot, all of it"),
        ] {
            let mut prober = prober(service, &self.endpoint(service.as_str())?, self.config)?;
            let latencies = measure(Until::Elapsed(MEASURED), || prober.probe(), |_| ())?;
            rows.push((what.to_owned(), latencies));
        }
        let generation = host.current().map_err(|error| unreadable(&error))?;
        let pids = pids(&generation, MEASURED_PIDS);
        rows.push((format!("apps-lookup, {} pids", pids.len()), self.lookups(&pids)?));
        show::speed(&rows, over, out)
    }

    fn lookups(&self, pids: &[u32]) -> Result<Latencies, Failure> {
        let at = self.endpoint(apps_lookup::SERVICE)?;
        let mut client = connected(apps_lookup::Client::new(at.clone(), self.config), &at)?;
        let call = || {
            let answer = client.lookup(pids).map_err(|error| call_failed(&at, &error))?;
            if answer.items().map(|item| item.pid()).eq(pids.iter().copied()) {
                return Ok(());
            }
            Err(Failure::Failed("apps-lookup answers other pids than were asked".to_owned()))
        };
        measure(Until::Elapsed(MEASURED), call, |_| ())
    }
}

fn pids(generation: &Generation, most: usize) -> Vec<u32> {
    generation.processes().iter().take(most).map(|process| process.pid).collect()
}
