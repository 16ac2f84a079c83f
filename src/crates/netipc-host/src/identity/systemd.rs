//! systemd units: slices from the root down, and one unit in the innermost slice.

use super::text::unescape;
use super::{At, Kind, Label, Orchestrator, Owner, label};

/// Kinds of units that have cgroups.
const UNIT_SUFFIXES: [&[u8]; 6] =
    [b".service", b".scope", b".slice", b".socket", b".mount", b".swap"];

pub(super) fn recognise(at: &At<'_>) -> Option<Owner> {
    let slice = at.directly_in(Kind::Slice);
    if at.index > 0 && slice.is_none() {
        return None;
    }
    let name = unit_name(at.component)?;
    let mut labels = vec![Label::new(label::UNIT, &name)];
    if let Some(slice) = slice {
        labels.push(Label::new(label::SLICE, &slice.name));
    }
    let uid = user_uid(&name).map(|uid| Label::new(label::USER_UID, uid));
    labels.extend(uid.or_else(|| slice?.label(label::USER_UID).cloned()));
    let kind = if name.ends_with(b".slice") { Kind::Slice } else { Kind::Unit };
    Some(Owner { kind, orchestrator: Orchestrator::Systemd, name, labels })
}

/// The unit that a directory stands for, decoded: `dev-disk\x2d1.mount` is `dev-disk-1.mount`.
/// A leading `_` is systemd's too: it keeps units apart from the kernel's own file names.
pub(super) fn unit_name(component: &[u8]) -> Option<Vec<u8>> {
    let name = component.strip_prefix(b"_").unwrap_or(component);
    UNIT_SUFFIXES
        .iter()
        .any(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
        .then(|| unescape(name).into_owned())
}

/// `user-1000.slice` and `user@1000.service` tell whose they are.
fn user_uid(unit: &[u8]) -> Option<&[u8]> {
    let slice = unit.strip_prefix(b"user-").and_then(|rest| rest.strip_suffix(b".slice"));
    let service = || unit.strip_prefix(b"user@").and_then(|rest| rest.strip_suffix(b".service"));
    slice.or_else(service).filter(|uid| !uid.is_empty() && uid.iter().all(u8::is_ascii_digit))
}
