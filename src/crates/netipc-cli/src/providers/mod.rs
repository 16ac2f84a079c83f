//! Providers of this host's data: what `netipc-host` scans, in the words of each service.
//!
//! ```text
//!   Host ──current()──▶ Generation ──▶ cgroups   the snapshot and the lookup
//!    one scan, shared         │   └──▶ apps      processes, with their cgroup
//!    for a second             └─ its number is the generation of every response
//!   (nothing) ───────────────────────▶ calls     increment, string-reverse
//! ```
//!
//! A request is answered from one generation. Sub-requests of one lookup get the same one as long
//! as they come within a second of its scan; where they do not, clients see another number and
//! start again. Texts are bytes and pass as they are. What is **not** here: scanning, endpoints'
//! names, signals.

mod apps;
mod calls;
mod cgroups;

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use netipc::server::{self, ServerConfig};
use netipc::{BindError, Endpoint, EndpointState, ListenError};
use netipc_host::{CgroupTree, Generation, Host, MAX_CGROUPS, Omitted};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot, increment, string_reverse};

use crate::failure::Failure;
use crate::options;

/// The services that this command provides and asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum ServiceName {
    /// All control groups of this host.
    CgroupsSnapshot,
    /// Name, orchestrator and labels of control groups, by path.
    CgroupsLookup,
    /// Processes with their control group, by pid.
    AppsLookup,
    /// A number plus one.
    Increment,
    /// A string backwards.
    StringReverse,
}

impl ServiceName {
    pub(crate) const ALL: [Self; 5] = [
        Self::CgroupsSnapshot,
        Self::CgroupsLookup,
        Self::AppsLookup,
        Self::Increment,
        Self::StringReverse,
    ];

    /// As in the contract.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CgroupsSnapshot => cgroups_snapshot::SERVICE,
            Self::CgroupsLookup => cgroups_lookup::SERVICE,
            Self::AppsLookup => apps_lookup::SERVICE,
            Self::Increment => increment::SERVICE,
            Self::StringReverse => string_reverse::SERVICE,
        }
    }

    /// Whether it answers from a scan of the host.
    pub(crate) const fn is_of_host(self) -> bool {
        matches!(self, Self::CgroupsSnapshot | Self::CgroupsLookup | Self::AppsLookup)
    }
}

/// Takes the endpoints of all `services` and joins them to their providers; what was taken is given
/// back when one cannot be.
pub(crate) fn bind(
    services: &[ServiceName],
    run_dir: &Path,
    config: &ServerConfig,
    host: &Arc<Host>,
) -> Result<server::Host, Failure> {
    let mut served = server::Host::with_workers(config.worker_count);
    for service in services {
        let endpoint = options::endpoint(run_dir, service.as_str())?;
        served = add(*service, &endpoint, config.clone(), host, served)
            .map_err(|error| not_bound(&endpoint, &error))?;
    }
    Ok(served)
}

fn add(
    service: ServiceName,
    endpoint: &Endpoint,
    config: ServerConfig,
    host: &Arc<Host>,
    served: server::Host,
) -> Result<server::Host, ListenError> {
    let host = Arc::clone(host);
    Ok(match service {
        ServiceName::CgroupsSnapshot => cgroups_snapshot::Server::bind(endpoint, config)?
            .serve_on(served, move |_, response| {
                Ok(cgroups::snapshot(&*host.current()?, response)?)
            }),
        ServiceName::CgroupsLookup => cgroups_lookup::Server::bind(endpoint, config)?
            .serve_on(served, move |request, response| {
                Ok(cgroups::lookup(&*host.current()?, &request, response)?)
            }),
        ServiceName::AppsLookup => apps_lookup::Server::bind(endpoint, config)?
            .serve_on(served, move |request, response| {
                Ok(apps::lookup(&*host.current()?, &request, response)?)
            }),
        ServiceName::Increment => increment::Server::bind(endpoint, config)?
            .serve_on(served, |request, response| Ok(calls::increment(&request, response)?)),
        ServiceName::StringReverse => string_reverse::Server::bind(endpoint, config)?
            .serve_on(served, |request, response| Ok(calls::string_reverse(&request, response)?)),
    })
}

/// Why an endpoint could not be taken, with its holder's pid where a server answers.
fn not_bound(endpoint: &Endpoint, error: &ListenError) -> Failure {
    let (service, run_dir) = (endpoint.service(), endpoint.run_dir().display());
    let fix = match error {
        ListenError::Bind(BindError::NoDirectory) => format!(": mkdir -p {run_dir}"),
        ListenError::Bind(BindError::Denied { .. }) => {
            format!(": serve as the owner of {run_dir}, or name another --run-dir")
        }
        ListenError::Bind(BindError::InUse { .. }) => match endpoint.inspect() {
            Ok(EndpointState::Live { server: Some(server) }) => {
                let pid = server.pid.map_or_else(|| "out of sight".into(), |pid| pid.to_string());
                let uid = server.uid;
                format!(" (pid {pid}, uid {uid}): stop it, or name another --run-dir")
            }
            _ => ": name another --run-dir, or remove what is in the way".into(),
        },
        ListenError::Bind(
            BindError::Path(_) | BindError::NoHardLinks { .. } | BindError::Os(_),
        )
        | ListenError::Os(_) => String::new(),
    };
    Failure::Failed(format!("cannot serve {service}: {error}{fix}"))
}

/// What a user of this data should know of where it comes from: nothing, where all is as expected.
pub(crate) fn note(generation: &Generation) -> Option<String> {
    const THEN: &str = "the control groups here are those that processes name";
    match generation.tree() {
        CgroupTree::Absent { why } => Some(format!("{why}: {THEN}")),
        CgroupTree::Empty { root } => {
            Some(format!("the cgroup v2 tree at {} is empty: {THEN}", root.display()))
        }
        CgroupTree::Present { omitted, .. } if *omitted == Omitted::default() => None,
        CgroupTree::Present { root, omitted } => {
            let Omitted { too_deep, path_too_long, too_many, unreadable } = omitted;
            let root = root.display();
            Some(format!(
                "of the tree at {root} was left out: {unreadable} not readable, {too_many} beyond \
                 {MAX_CGROUPS}, {too_deep} too deep, {path_too_long} with too long a path"
            ))
        }
    }
}
