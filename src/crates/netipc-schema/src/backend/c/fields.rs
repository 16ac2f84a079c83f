//! How a name, a type and a number are spelled in C, and in the Rust of the glue.

use crate::backend::bodies::{Body, string};
use crate::ir::{Enum, Field, FieldKind, Scalar, Service, Variant};

/// The greatest value that an enumerator of C11 may have: it is an `int`.
const MAX_ENUMERATOR: u64 = i32::MAX as u64;

/// `nipc_apps_lookup`: what everything of a service begins with.
pub(super) fn prefix(service: &Service) -> String {
    format!("nipc_{}", service.name.snake())
}

/// `NIPC_APPS_LOOKUP`: the same for macros and constants.
pub(super) fn macro_prefix(service: &Service) -> String {
    format!("NIPC_{}", service.name.screaming())
}

/// `nipc_cgroups`: what the cache of a snapshot begins with. The service `cgroups-snapshot` fills the
/// cache `cgroups`.
pub(super) fn cache_prefix(service: &Service) -> String {
    let name = service.name.snake();
    format!("nipc_{}", name.strip_suffix("_snapshot").unwrap_or(&name))
}

/// `uint16_t`.
pub(super) const fn scalar_type(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::U8 => "uint8_t",
        Scalar::U16 => "uint16_t",
        Scalar::U32 => "uint32_t",
        Scalar::U64 => "uint64_t",
        Scalar::I32 => "int32_t",
        Scalar::I64 => "int64_t",
    }
}

/// `nipc_apps_lookup_status_t`.
pub(super) fn enum_type(service: &Service, enumeration: &Enum) -> String {
    format!("{}_{}_t", prefix(service), enumeration.name.snake())
}

/// `NIPC_APPS_LOOKUP_STATUS_KNOWN`.
pub(super) fn variant(service: &Service, enumeration: &Enum, variant: &Variant) -> String {
    let (enumeration, variant) = (enumeration.name.screaming(), variant.name.screaming());
    format!("{}_{enumeration}_{variant}", macro_prefix(service))
}

/// Whether the values of an enumeration are enumerators of C11; else they are macros.
pub(super) fn are_enumerators(enumeration: &Enum) -> bool {
    enumeration.variants.iter().all(|variant| variant.value <= MAX_ENUMERATOR)
}

/// The field's enumeration.
pub(super) fn enumeration<'s>(body: &Body<'s>, field: &Field) -> Option<&'s Enum> {
    match &field.kind {
        FieldKind::Value { enumeration: Some(id), .. } => Some(body.enumeration(*id)),
        _ => None,
    }
}

/// The type of a visible number; `None` for a string.
pub(super) const fn scalar(field: &Field) -> Option<Scalar> {
    match &field.kind {
        FieldKind::Value { scalar, .. } => Some(*scalar),
        FieldKind::Generation => Some(Scalar::U64),
        _ => None,
    }
}

/// The type of a visible field in C.
pub(super) fn c_type(body: &Body<'_>, field: &Field) -> String {
    match (enumeration(body, field), scalar(field)) {
        (Some(enumeration), _) => enum_type(body.service, enumeration),
        (None, Some(scalar)) => scalar_type(scalar).to_owned(),
        (None, None) => "nipc_str_t".to_owned(),
    }
}

/// A literal of C, of a type that holds it.
pub(super) fn number(scalar: Scalar, value: u64) -> String {
    match scalar {
        Scalar::U8 | Scalar::U16 => value.to_string(),
        Scalar::U32 => format!("UINT32_C({value})"),
        Scalar::U64 => format!("UINT64_C({value})"),
        // The least number has no literal: its digits alone are more than the type holds.
        Scalar::I32 if value.cast_signed() == i64::from(i32::MIN) => "INT32_MIN".to_owned(),
        Scalar::I64 if value.cast_signed() == i64::MIN => "INT64_MIN".to_owned(),
        Scalar::I32 => value.cast_signed().to_string(),
        Scalar::I64 => format!("INT64_C({})", value.cast_signed()),
    }
}

/// What the field holds when a rule says `blank`.
pub(super) fn blank(body: &Body<'_>, field: &Field) -> String {
    let FieldKind::Value { scalar, blank, .. } = &field.kind else {
        return if string(field).is_some() { "{ 0, 0 }".to_owned() } else { "0".to_owned() };
    };
    let named = enumeration(body, field).and_then(|each| {
        let variant = each.variants.iter().find(|variant| variant.value == *blank)?;
        Some(self::variant(body.service, each, variant))
    });
    match named {
        Some(name) => name,
        None if *blank == 0 => "0".to_owned(),
        None => number(*scalar, *blank),
    }
}

/// What documentation says of a visible field.
pub(super) fn doc(field: &Field) -> String {
    let said = match field.kind {
        FieldKind::Generation => {
            "The number of the provider's state: answers that share it agree with each other."
                .to_owned()
        }
        _ if field.doc.is_empty() => format!("`{}`.", field.name.snake()),
        _ => sentence(&field.doc),
    };
    let Some(spec) = string(field) else { return said };
    match (spec.min, spec.max) {
        (0, None) => said,
        (0, Some(max)) => format!("{said} At most {max} bytes."),
        (min, None) => format!("{said} At least {min} {}.", bytes(min)),
        (min, Some(max)) => format!("{said} From {min} to {max} bytes."),
    }
}

fn bytes(count: u32) -> &'static str {
    if count == 1 { "byte" } else { "bytes" }
}

/// The text as a sentence: it ends in a period.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}
