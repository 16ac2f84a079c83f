//! apps-lookup, of one generation (spec section 10.5).

use netipc::codec::BuildError;
use netipc_host::{Generation, Membership, Process};
use netipc_services::apps_lookup::{CgroupStatus, Orchestrator, RequestView, ResponseBuilder};

use super::cgroups::pair;

/// `uid` of a process whose owner is not known (spec section 10.5).
const UID_UNSET: u32 = u32::MAX;

/// One item a pid. What does not fit, the builder answers "ask again", and "oversized" where it
/// fits no response.
pub(super) fn lookup(
    generation: &Generation,
    request: &RequestView<'_>,
    response: &mut ResponseBuilder<'_>,
) -> Result<(), BuildError> {
    response.generation(generation.number());
    for pid in request.keys() {
        if response.is_full() {
            break;
        }
        match generation.process(pid) {
            Some(process) => known(process, response)?,
            None => response.unknown(pid)?,
        }
    }
    Ok(())
}

fn known(process: &Process, response: &mut ResponseBuilder<'_>) -> Result<(), BuildError> {
    let item = response
        .known(process.pid)
        .ppid(process.ppid)
        .uid(process.uid.unwrap_or(UID_UNSET))
        .starttime(process.starttime_ticks)
        .comm(process.comm.as_bytes());
    match &process.cgroup {
        Membership::Known(cgroup) => item
            .cgroup_status(CgroupStatus::Known)
            .orchestrator(Orchestrator(cgroup.orchestrator as u16))
            .cgroup_path(&cgroup.path)
            .cgroup_name(&cgroup.name)
            .labels(cgroup.labels.iter().map(pair))
            .finish(),
        Membership::UnknownRetryLater { path } => {
            item.cgroup_status(CgroupStatus::UnknownRetryLater).cgroup_path(path).finish()
        }
        Membership::UnknownPermanent { path } => {
            item.cgroup_status(CgroupStatus::UnknownPermanent).cgroup_path(path).finish()
        }
        Membership::HostRoot => item.cgroup_status(CgroupStatus::HostRoot).finish(),
    }
}
