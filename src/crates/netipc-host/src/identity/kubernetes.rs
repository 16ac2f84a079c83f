//! Kubernetes: `kubepods`, qualities of service, pods, and the containers of a pod.
//!
//! ```text
//!   systemd driver    kubepods.slice/kubepods-burstable.slice/
//!                       kubepods-burstable-podUID_WITH_UNDERSCORES.slice/cri-containerd-ID.scope
//!   cgroupfs driver   kubepods/burstable/podUID/ID
//!   mixed by mistake  …/kubepods-burstable-podUID.slice:cri-containerd:ID
//! ```
//! A guaranteed pod lies directly in `kubepods`.

use super::containers::maker_of;
use super::text::{container_id, is_hex, short_name};
use super::{At, Kind, Label, Orchestrator, Owner, label};

/// Hex digits of a pod's uid; that of a static pod is written without dashes.
const UID_DIGITS: usize = 32;
const UID_DASHES: usize = 4;

pub(super) fn recognise(at: &At<'_>) -> Option<Owner> {
    in_pod(at).or_else(|| mixed(at)).or_else(|| slice(at)).or_else(|| folder(at))
}

fn in_pod(at: &At<'_>) -> Option<Owner> {
    let pod = at.directly_in(Kind::Pod)?;
    if let Some((maker, id)) = maker_of(at.component) {
        return Some(container(pod, id, maker.runtime, maker.is_monitor));
    }
    Some(container(pod, container_id(at.component)?, None, false))
}

fn mixed(at: &At<'_>) -> Option<Owner> {
    let mut parts = at.component.splitn(3, |b| *b == b':');
    let pod = parts.next()?.strip_suffix(b".slice").and_then(parse_slice)?;
    let runtime = match parts.next()? {
        b"cri-containerd" => Some("containerd"),
        b"crio" => Some("cri-o"),
        _ => None,
    };
    Some(container(&pod.owner()?, container_id(parts.next()?)?, runtime, false))
}

fn slice(at: &At<'_>) -> Option<Owner> {
    parse_slice(at.component.strip_suffix(b".slice")?)?.owner()
}

fn folder(at: &At<'_>) -> Option<Owner> {
    if at.component == b"kubepods" {
        return Parsed { qos: None, uid: None }.owner();
    }
    let group = at.directly_in(Kind::PodGroup)?;
    if let Some(qos) = QOS_CLASSES.into_iter().find(|qos| qos.as_bytes() == at.component) {
        return Parsed { qos: Some(qos), uid: None }.owner();
    }
    let qos = QOS_CLASSES
        .into_iter()
        .find(|qos| group.label(label::QOS_CLASS).is_some_and(|l| *l.value == *qos.as_bytes()));
    let uid = pod_uid(at.component.strip_prefix(b"pod")?)?;
    Parsed { qos, uid: Some(uid) }.owner()
}

/// The classes that have a cgroup of their own.
const QOS_CLASSES: [&str; 2] = ["burstable", "besteffort"];
const GUARANTEED: &str = "guaranteed";

/// A group of pods, or with a uid one pod.
struct Parsed {
    qos: Option<&'static str>,
    uid: Option<Vec<u8>>,
}

impl Parsed {
    fn owner(self) -> Option<Owner> {
        let (kind, name, labels) = match (self.uid, self.qos) {
            (Some(uid), qos) => {
                let qos = Label::new(label::QOS_CLASS, qos.unwrap_or(GUARANTEED));
                let name = [b"pod-".as_slice(), &uid].concat();
                (Kind::Pod, name, vec![Label::new(label::POD_UID, uid), qos])
            }
            (None, Some(qos)) => {
                let name = format!("kubepods-{qos}").into_bytes();
                (Kind::PodGroup, name, vec![Label::new(label::QOS_CLASS, qos)])
            }
            (None, None) => (Kind::PodGroup, b"kubepods".to_vec(), Vec::new()),
        };
        Some(Owner { kind, orchestrator: Orchestrator::K8s, name, labels })
    }
}

/// `kubepods`, `kubepods-burstable`, `kubepods-podUID`, `kubepods-burstable-podUID`; clusters in a
/// container (kind) put `kubelet-` before it.
fn parse_slice(name: &[u8]) -> Option<Parsed> {
    let name = name.strip_prefix(b"kubelet-").unwrap_or(name);
    let rest = name.strip_prefix(b"kubepods")?;
    let after_qos = QOS_CLASSES
        .into_iter()
        .find_map(|qos| Some((qos, rest.strip_prefix(b"-")?.strip_prefix(qos.as_bytes())?)));
    let (qos, rest) = after_qos.map_or((None, rest), |(qos, rest)| (Some(qos), rest));
    if rest.is_empty() {
        return Some(Parsed { qos, uid: None });
    }
    Some(Parsed { qos, uid: Some(pod_uid(rest.strip_prefix(b"-pod")?)?) })
}

/// Slices write the dashes of a uid as `_`, for a dash separates slices.
fn pod_uid(text: &[u8]) -> Option<Vec<u8>> {
    let uid: Vec<u8> = text.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect();
    let dashes = uid.iter().filter(|b| **b == b'-').count();
    let digits = uid.iter().filter(|b| is_hex(**b)).count();
    let is_uid = digits == UID_DIGITS && digits + dashes == uid.len();
    (is_uid && (dashes == 0 || dashes == UID_DASHES)).then_some(uid)
}

fn container(pod: &Owner, id: &[u8], runtime: Option<&str>, is_monitor: bool) -> Owner {
    let mut labels = pod.labels.clone();
    labels.push(Label::new(label::CONTAINER_ID, id));
    labels.extend(runtime.map(|runtime| Label::new(label::RUNTIME, runtime)));
    if is_monitor {
        labels.push(Label::new(label::ROLE, label::MONITOR));
    }
    let word = if is_monitor { "k8s-monitor" } else { "k8s" };
    Owner {
        kind: Kind::Container,
        orchestrator: Orchestrator::K8s,
        name: short_name(word, id),
        labels,
    }
}
