//! cgroups-snapshot and cgroups-lookup, of one generation (spec sections 10.3 and 10.4).

use netipc::codec::BuildError;
use netipc_host::{CgroupAnswer, Generation, Label, OPTIONS};
use netipc_services::{cgroups_lookup, cgroups_snapshot};

/// Everything that the generation has.
pub(super) fn snapshot(
    generation: &Generation,
    response: &mut cgroups_snapshot::ResponseBuilder<'_>,
) -> Result<(), BuildError> {
    response.generation(generation.number()).systemd_enabled(generation.is_systemd().into());
    for cgroup in generation.cgroups() {
        response
            .item()
            .hash(cgroup.hash)
            .options(OPTIONS)
            .enabled(cgroup.is_enabled.into())
            .name(&cgroup.name)
            .path(&cgroup.path)
            .finish()?;
    }
    Ok(())
}

/// One item a path. What does not fit, the builder answers "ask again", and "oversized" where it
/// fits no response.
pub(super) fn lookup(
    generation: &Generation,
    request: &cgroups_lookup::RequestView<'_>,
    response: &mut cgroups_lookup::ResponseBuilder<'_>,
) -> Result<(), BuildError> {
    response.generation(generation.number());
    for path in request.keys() {
        if response.is_full() {
            break;
        }
        match generation.cgroup(path) {
            CgroupAnswer::Known(cgroup) => response
                .known(path)
                .orchestrator(cgroups_lookup::Orchestrator(cgroup.orchestrator as u16))
                .name(&cgroup.name)
                .labels(cgroup.labels.iter().map(pair))
                .finish()?,
            CgroupAnswer::UnknownRetryLater => response.unknown_retry_later(path)?,
            CgroupAnswer::UnknownPermanent => response.unknown_permanent(path)?,
        }
    }
    Ok(())
}

/// A label as builders take it.
pub(super) fn pair(label: &Label) -> (&str, &[u8]) {
    (label.key, &label.value)
}
