//! What the path of a cgroup tells by itself: who made it, what to call it, its labels.
//!
//! ```text
//!   /system.slice/docker-<64 hex>.scope/init
//!    slice        container: the owner  below it
//! ```
//!
//! The path is read from the root down. Its *owner* is the innermost container, virtual machine or
//! pod on it; on paths without one, the systemd unit. A cgroup below its owner is named
//! `OWNER/REST` and has the owner's orchestrator and labels; a path that nobody is known to own is
//! its own name. A pure function of the bytes: it reads nothing, and asks no container runtime.

mod containers;
mod kubernetes;
mod machines;
mod systemd;
mod text;

/// Bytes of a cgroup's name.
pub const MAX_NAME_BYTES: usize = 255;

/// Who made a cgroup; the numbers are those of spec section 10.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Orchestrator {
    /// Nothing on the path is known.
    Unknown = 0,
    /// systemd, of the host or of a user: services, scopes, slices.
    Systemd = 1,
    /// Docker.
    Docker = 2,
    /// Kubernetes, whatever its container runtime.
    K8s = 3,
    /// A virtual machine of QEMU/KVM, made by libvirt or Proxmox.
    Kvm = 4,
    /// LXC, by itself or through libvirt.
    Lxc = 5,
    /// Podman.
    Podman = 6,
    /// systemd-nspawn, or another machine registered with systemd-machined.
    Nspawn = 7,
}

/// The keys of labels.
pub mod label {
    /// systemd unit, decoded: `nginx.service`.
    pub const UNIT: &str = "unit";
    /// systemd slice that the unit is in: `system.slice`.
    pub const SLICE: &str = "slice";
    /// Unit of a user's own systemd: `pipewire.service`.
    pub const USER_UNIT: &str = "user_unit";
    /// Uid of the user whose slice it is, in decimal.
    pub const USER_UID: &str = "user_uid";
    /// Container id in full: 64 hex digits.
    pub const CONTAINER_ID: &str = "container_id";
    /// Name of an LXC container.
    pub const CONTAINER_NAME: &str = "container_name";
    /// What runs the containers of a Kubernetes pod: `containerd`, `cri-o`, `docker`.
    pub const RUNTIME: &str = "runtime";
    /// Uid of a Kubernetes pod, with dashes.
    pub const POD_UID: &str = "pod_uid";
    /// Quality of service of a Kubernetes pod: `guaranteed`, `burstable`, `besteffort`.
    pub const QOS_CLASS: &str = "qos_class";
    /// Id of a Podman pod: 64 hex digits.
    pub const POD_ID: &str = "pod_id";
    /// Name of a virtual or nspawn machine.
    pub const MACHINE: &str = "machine";
    /// [`MONITOR`] for the process that watches a container from outside.
    pub const ROLE: &str = "role";
    /// The value of [`ROLE`].
    pub const MONITOR: &str = "monitor";
}

/// A key of [`label`] and its value, which is never empty and holds no NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// One of [`label`].
    pub key: &'static str,
    /// Any bytes but NUL.
    pub value: Box<[u8]>,
}

impl Label {
    fn new(key: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self { key, value: value.as_ref().into() }
    }
}

/// What [`identify`] finds.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) orchestrator: Orchestrator,
    /// 1 to [`MAX_NAME_BYTES`] bytes for every path but the root's.
    pub(crate) name: Vec<u8>,
    pub(crate) labels: Vec<Label>,
}

/// Reads the path of a cgroup, as /proc/PID/cgroup shows it.
pub(crate) fn identify(path: &[u8]) -> Identity {
    let mut owner: Option<Owner> = None;
    let mut parent: &[u8] = b"";
    let mut below = Below::default();
    for (index, component) in path.split(|b| *b == b'/').filter(|c| !c.is_empty()).enumerate() {
        let at =
            At { index, parent, component, inside: owner.as_ref(), is_direct: below.is_none() };
        let found = kubernetes::recognise(&at)
            .or_else(|| containers::recognise(&at))
            .or_else(|| machines::recognise(&at))
            .or_else(|| systemd::recognise(&at));
        match found {
            Some(found) => (owner, below) = (Some(found), Below::default()),
            None => below.add(component),
        }
        parent = component;
    }
    match owner {
        Some(owner) => owned(owner, &below),
        None => Identity {
            orchestrator: Orchestrator::Unknown,
            name: path_name(path),
            labels: Vec::new(),
        },
    }
}

/// The path without its first `/`, where that is not longer than a name may be.
fn path_name(path: &[u8]) -> Vec<u8> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    fitting(relative).or_else(|| fitting(last(relative))).unwrap_or_else(|| cut(relative))
}

fn owned(owner: Owner, below: &Below<'_>) -> Identity {
    let Owner { kind, orchestrator, name, mut labels } = owner;
    if kind == Kind::Unit && name.starts_with(b"user@") {
        labels.extend(below.unit().map(|unit| Label::new(label::USER_UNIT, unit)));
    }
    let name = if below.is_none() { name } else { [name, below.path.clone()].concat() };
    let name = fitting(&name).or_else(|| fitting(last(&name))).unwrap_or_else(|| cut(&name));
    Identity { orchestrator, name, labels }
}

/// The innermost owner found so far.
struct Owner {
    kind: Kind,
    orchestrator: Orchestrator,
    name: Vec<u8>,
    labels: Vec<Label>,
}

impl Owner {
    fn label(&self, key: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.key == key)
    }
}

/// What may follow below an owner depends on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A systemd slice: units and slices follow.
    Slice,
    /// A systemd unit that is no slice.
    Unit,
    /// `kubepods`, or one quality of service in it: pods follow.
    PodGroup,
    /// A pod of Kubernetes: its containers follow.
    Pod,
    /// A container or a machine.
    Container,
}

/// One component of the path, in its surroundings.
struct At<'p> {
    /// 0 for the component right below the root.
    index: usize,
    /// The component before; empty at index 0.
    parent: &'p [u8],
    component: &'p [u8],
    /// The owner found so far.
    inside: Option<&'p Owner>,
    /// Whether the parent is that owner itself (or, without an owner, the root).
    is_direct: bool,
}

impl At<'_> {
    /// The owner, when it is of this kind and the parent of the component.
    fn directly_in(&self, kind: Kind) -> Option<&Owner> {
        self.inside.filter(|owner| self.is_direct && owner.kind == kind)
    }
}

/// What lies below the owner: `/init/x`.
#[derive(Default)]
struct Below<'p> {
    path: Vec<u8>,
    components: Vec<&'p [u8]>,
}

impl<'p> Below<'p> {
    fn is_none(&self) -> bool {
        self.components.is_empty()
    }

    fn add(&mut self, component: &'p [u8]) {
        self.path.push(b'/');
        self.path.extend_from_slice(component);
        self.components.push(component);
    }

    /// The innermost systemd unit that is no slice.
    fn unit(&self) -> Option<Vec<u8>> {
        let units = self.components.iter().rev().filter_map(|c| systemd::unit_name(c));
        units.into_iter().find(|unit| !unit.ends_with(b".slice"))
    }
}

fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

fn fitting(name: &[u8]) -> Option<Vec<u8>> {
    (1..=MAX_NAME_BYTES).contains(&name.len()).then(|| name.to_vec())
}

/// Only a name that no file system could hold comes here.
fn cut(name: &[u8]) -> Vec<u8> {
    name.iter().copied().take(MAX_NAME_BYTES).collect()
}

#[cfg(test)]
mod tests;
