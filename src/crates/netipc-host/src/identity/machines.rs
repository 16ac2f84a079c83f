//! Containers and machines told by a name: LXC, libvirt, Proxmox, systemd-nspawn.

use super::text::{between, unescape};
use super::{At, Kind, Label, Orchestrator, Owner, label};

pub(super) fn recognise(at: &At<'_>) -> Option<Owner> {
    lxc(at).or_else(|| machine_scope(at)).or_else(|| libvirt_folder(at)).or_else(|| proxmox(at))
}

/// `lxc.payload.NAME` and `lxc.monitor.NAME`, before LXC 4 `lxc/NAME`; also `lxc.payload/NAME`.
/// The words alone are common ones: they count at the top and inside containers.
fn lxc(at: &At<'_>) -> Option<Owner> {
    let component = at.component;
    let is_top = at.index == 1 || at.inside.is_some_and(|owner| owner.kind == Kind::Container);
    let below = |folder: &[u8]| (is_top && at.parent == folder).then_some(component);
    let payload = component
        .strip_prefix(b"lxc.payload.")
        .or_else(|| below(b"lxc"))
        .or_else(|| below(b"lxc.payload"));
    if let Some(name) = payload.filter(|name| !name.is_empty()) {
        return Some(named(Orchestrator::Lxc, label::CONTAINER_NAME, name));
    }
    let name = component.strip_prefix(b"lxc.monitor.").or_else(|| below(b"lxc.monitor"))?;
    let mut owner = named(Orchestrator::Lxc, label::CONTAINER_NAME, name);
    owner.name = [b"lxc.monitor.".as_slice(), name].concat();
    owner.labels.push(Label::new(label::ROLE, label::MONITOR));
    (!name.is_empty()).then_some(owner)
}

/// Machines that registered with systemd-machined, and nspawn's own services.
fn machine_scope(at: &At<'_>) -> Option<Owner> {
    if let Some(name) = between(at.component, b"systemd-nspawn@", b".service") {
        return Some(named(Orchestrator::Nspawn, label::MACHINE, &unescape(name)));
    }
    let name = unescape(between(at.component, b"machine-", b".scope")?);
    Some(libvirt(&name).unwrap_or_else(|| named(Orchestrator::Nspawn, label::MACHINE, &name)))
}

/// libvirt without systemd: `/machine/qemu-1-NAME.libvirt-qemu`.
fn libvirt_folder(at: &At<'_>) -> Option<Owner> {
    let component = at.component;
    let name = component
        .strip_suffix(b".libvirt-qemu")
        .or_else(|| component.strip_suffix(b".libvirt-lxc"))?;
    libvirt(name)
}

/// `qemu-NUMBER-NAME`, `lxc-NUMBER-NAME`.
fn libvirt(machine: &[u8]) -> Option<Owner> {
    let mut parts = machine.splitn(3, |b| *b == b'-');
    let (driver, number, name) = (parts.next()?, parts.next()?, parts.next()?);
    if number.is_empty() || !number.iter().all(u8::is_ascii_digit) || name.is_empty() {
        return None;
    }
    match driver {
        b"qemu" => Some(named(Orchestrator::Kvm, label::MACHINE, name)),
        b"lxc" => Some(named(Orchestrator::Lxc, label::CONTAINER_NAME, name)),
        _ => None,
    }
}

/// Proxmox: `/qemu.slice/100.scope`.
fn proxmox(at: &At<'_>) -> Option<Owner> {
    let id = at.component.strip_suffix(b".scope")?;
    let is_vm = at.parent == b"qemu.slice" && !id.is_empty() && id.iter().all(u8::is_ascii_digit);
    is_vm.then(|| named(Orchestrator::Kvm, label::MACHINE, id))
}

fn named(orchestrator: Orchestrator, key: &'static str, name: &[u8]) -> Owner {
    let labels = vec![Label::new(key, name)];
    Owner { kind: Kind::Container, orchestrator, name: name.to_vec(), labels }
}
