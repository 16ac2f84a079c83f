//! The lookup services, as scenarios use them: what a thing is asked by, how a provider answers, what
//! an answer must be.

use netipc::codec::{BuildError, Labels, LookupItem};
use netipc::service::{AsKey, Lookup, LookupItemView};
use netipc_services::{apps_lookup, cgroups_lookup, ip_to_asn};

use super::contents::{COUNTRY, Thing, index_of_ip, index_of_path, index_of_pid, labels};
use crate::work::Mix;

/// A lookup service that has contents for the benchmark.
pub(super) trait Looked: Lookup {
    /// What callers ask by.
    type Key: AsKey<<Self::Item as LookupItem>::Key> + Send;

    fn key(thing: &Thing) -> Self::Key;

    /// Answers every key, as a provider with a table does.
    fn answer(
        request: &Self::Request<'_>,
        response: &mut Self::ResponseBuilder<'_>,
        things: &[Thing],
        mix: Mix,
        generation: u64,
    ) -> Result<(), BuildError>;

    /// Whether an item is what is known of the thing, all of it.
    fn is_right(item: &LookupItemView<'_, Self>, thing: &Thing, mix: Mix) -> bool
    where
        Self: Sized;
}

impl Looked for cgroups_lookup::Service {
    type Key = String;

    fn key(thing: &Thing) -> String {
        thing.path.clone()
    }

    fn answer(
        request: &Self::Request<'_>,
        response: &mut Self::ResponseBuilder<'_>,
        things: &[Thing],
        mix: Mix,
        generation: u64,
    ) -> Result<(), BuildError> {
        let labels = labels(mix);
        response.generation(generation);
        for path in request.keys() {
            let Some(thing) = index_of_path(path).and_then(|index| things.get(index)) else {
                response.unknown_permanent(path)?;
                continue;
            };
            let item = response.known(path).orchestrator(cgroups_lookup::Orchestrator::DOCKER);
            item.name(&thing.name).labels(labels.iter().copied()).finish()?;
            if response.is_full() {
                break;
            }
        }
        Ok(())
    }

    fn is_right(item: &LookupItemView<'_, Self>, thing: &Thing, mix: Mix) -> bool {
        use cgroups_lookup::{Orchestrator, Status};
        if *item.path() != *thing.path.as_bytes() {
            return false;
        }
        if !thing.is_known {
            return item.status() == Status::UnknownPermanent;
        }
        item.status() == Status::Known
            && item.orchestrator() == Orchestrator::DOCKER
            && *item.name() == *thing.name.as_bytes()
            && has_labels(item.labels(), mix)
    }
}

impl Looked for apps_lookup::Service {
    type Key = u32;

    fn key(thing: &Thing) -> u32 {
        thing.pid
    }

    fn answer(
        request: &Self::Request<'_>,
        response: &mut Self::ResponseBuilder<'_>,
        things: &[Thing],
        mix: Mix,
        generation: u64,
    ) -> Result<(), BuildError> {
        let labels = labels(mix);
        response.generation(generation);
        for pid in request.keys() {
            let Some(thing) = index_of_pid(pid).and_then(|index| things.get(index)) else {
                response.unknown(pid)?;
                continue;
            };
            response
                .known(pid)
                .orchestrator(apps_lookup::Orchestrator::DOCKER)
                .ppid(1)
                .uid(pid)
                .starttime(pid.into())
                .comm(&thing.comm)
                .cgroup_path(&thing.path)
                .cgroup_name(&thing.name)
                .labels(labels.iter().copied())
                .finish()?;
            if response.is_full() {
                break;
            }
        }
        Ok(())
    }

    fn is_right(item: &LookupItemView<'_, Self>, thing: &Thing, mix: Mix) -> bool {
        use apps_lookup::{CgroupStatus, Orchestrator, Status};
        if item.pid() != thing.pid {
            return false;
        }
        if !thing.is_known {
            return item.status() == Status::Unknown;
        }
        item.status() == Status::Known
            && item.cgroup_status() == CgroupStatus::Known
            && item.orchestrator() == Orchestrator::DOCKER
            && (item.ppid(), item.uid(), item.starttime()) == (1, thing.pid, thing.pid.into())
            && *item.comm() == *thing.comm.as_bytes()
            && *item.cgroup_path() == *thing.path.as_bytes()
            && *item.cgroup_name() == *thing.name.as_bytes()
            && has_labels(item.labels(), mix)
    }
}

/// The number of a known address's system is the pid of the thing, its name the thing's.
impl Looked for ip_to_asn::Service {
    type Key = String;

    fn key(thing: &Thing) -> String {
        thing.ip.clone()
    }

    fn answer(
        request: &Self::Request<'_>,
        response: &mut Self::ResponseBuilder<'_>,
        things: &[Thing],
        _: Mix,
        generation: u64,
    ) -> Result<(), BuildError> {
        response.generation(generation);
        for ip in request.keys() {
            let Some(thing) = index_of_ip(ip).and_then(|index| things.get(index)) else {
                response.unknown(ip)?;
                continue;
            };
            response.known(ip).asn(thing.pid).as_name(&thing.name).country(COUNTRY).finish()?;
            if response.is_full() {
                break;
            }
        }
        Ok(())
    }

    fn is_right(item: &LookupItemView<'_, Self>, thing: &Thing, _: Mix) -> bool {
        use ip_to_asn::Status;
        if *item.ip() != *thing.ip.as_bytes() {
            return false;
        }
        if !thing.is_known {
            return item.status() == Status::Unknown && item.asn() == 0;
        }
        item.status() == Status::Known
            && item.asn() == thing.pid
            && *item.as_name() == *thing.name.as_bytes()
            && *item.country() == *COUNTRY.as_bytes()
    }
}

fn has_labels(mut given: Labels<'_>, mix: Mix) -> bool {
    labels(mix).iter().all(|(key, value)| {
        given
            .next()
            .is_some_and(|label| *label.key == *key.as_bytes() && *label.value == *value.as_bytes())
    }) && given.next().is_none()
}
