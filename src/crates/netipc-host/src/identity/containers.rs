//! Containers told by their id: docker, podman, and the runtimes of Kubernetes outside of a pod.

use super::text::{between, container_id, prefixed_id, short_name};
use super::{At, Kind, Label, Orchestrator, Owner, label};

/// What the text before a container's id says.
pub(super) struct Maker {
    prefix: &'static [u8],
    orchestrator: Orchestrator,
    /// Word before the short id in the name.
    word: &'static str,
    /// The runtime as a pod's label has it.
    pub(super) runtime: Option<&'static str>,
    pub(super) is_monitor: bool,
}

/// As the runtimes write it with either cgroup driver (`docker-ID.scope`, `libpod-ID`).
const MAKERS: [Maker; 6] = [
    maker(b"docker", Orchestrator::Docker, "docker", Some("docker"), false),
    maker(b"libpod", Orchestrator::Podman, "podman", None, false),
    maker(b"libpod-conmon", Orchestrator::Podman, "podman-monitor", None, true),
    maker(b"cri-containerd", Orchestrator::K8s, "k8s", Some("containerd"), false),
    maker(b"crio", Orchestrator::K8s, "k8s", Some("cri-o"), false),
    maker(b"crio-conmon", Orchestrator::K8s, "k8s-monitor", Some("cri-o"), true),
];

const fn maker(
    prefix: &'static [u8],
    orchestrator: Orchestrator,
    word: &'static str,
    runtime: Option<&'static str>,
    is_monitor: bool,
) -> Maker {
    Maker { prefix, orchestrator, word, runtime, is_monitor }
}

pub(super) fn recognise(at: &At<'_>) -> Option<Owner> {
    podman_pod(at).or_else(|| by_prefix(at)).or_else(|| by_parent(at))
}

pub(super) fn maker_of(component: &[u8]) -> Option<(&'static Maker, &[u8])> {
    let (prefix, id) = prefixed_id(component)?;
    Some((MAKERS.iter().find(|maker| maker.prefix == prefix)?, id))
}

fn by_prefix(at: &At<'_>) -> Option<Owner> {
    let (maker, id) = maker_of(at.component)?;
    let mut labels = vec![Label::new(label::CONTAINER_ID, id)];
    if maker.orchestrator == Orchestrator::K8s {
        labels.extend(maker.runtime.map(|runtime| Label::new(label::RUNTIME, runtime)));
    }
    if maker.is_monitor {
        labels.push(Label::new(label::ROLE, label::MONITOR));
    }
    let pod = at.directly_in(Kind::Container).and_then(|pod| pod.label(label::POD_ID));
    labels.extend(pod.cloned());
    Some(Owner {
        kind: Kind::Container,
        orchestrator: maker.orchestrator,
        name: short_name(maker.word, id),
        labels,
    })
}

/// `/docker/ID`: docker's own driver.
fn by_parent(at: &At<'_>) -> Option<Owner> {
    let id = container_id(at.component).filter(|_| at.parent == b"docker")?;
    Some(Owner {
        kind: Kind::Container,
        orchestrator: Orchestrator::Docker,
        name: short_name("docker", id),
        labels: vec![Label::new(label::CONTAINER_ID, id)],
    })
}

/// `machine-libpod_pod_ID.slice`, of a user `user-libpod_pod_ID.slice`.
fn podman_pod(at: &At<'_>) -> Option<Owner> {
    let id = between(at.component, b"machine-libpod_pod_", b".slice")
        .or_else(|| between(at.component, b"user-libpod_pod_", b".slice"))
        .and_then(container_id)?;
    Some(Owner {
        kind: Kind::Container,
        orchestrator: Orchestrator::Podman,
        name: short_name("podman-pod", id),
        labels: vec![Label::new(label::POD_ID, id)],
    })
}
