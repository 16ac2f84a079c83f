//! How a field is read, written and spelled in Go.

use crate::backend::bodies::{Body, string};
use crate::ir::{Enum, Field, FieldKind, Scalar, Variant};

/// The type of a number.
pub(super) const fn scalar_type(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::U8 => "uint8",
        Scalar::U16 => "uint16",
        Scalar::U32 => "uint32",
        Scalar::U64 => "uint64",
        Scalar::I32 => "int32",
        Scalar::I64 => "int64",
    }
}

/// `Status`.
pub(super) fn enum_type(enumeration: &Enum) -> String {
    enumeration.name.go_exported()
}

/// `StatusKnown`.
pub(super) fn variant(enumeration: &Enum, variant: &Variant) -> String {
    enum_type(enumeration) + &variant.name.go_exported()
}

/// The field's enumeration.
pub(super) fn enumeration<'s>(body: &Body<'s>, field: &Field) -> Option<&'s Enum> {
    match &field.kind {
        FieldKind::Value { enumeration: Some(id), .. } => Some(body.enumeration(*id)),
        _ => None,
    }
}

/// The number's type on the wire; `None` for what is no number.
pub(super) const fn scalar(field: &Field) -> Option<Scalar> {
    match &field.kind {
        FieldKind::Value { scalar, .. }
        | FieldKind::Const { scalar, .. }
        | FieldKind::Count { scalar } => Some(*scalar),
        FieldKind::Generation => Some(Scalar::U64),
        FieldKind::Reserved { .. } | FieldKind::String(_) => None,
    }
}

/// The type of a visible field in owned types.
pub(super) fn owned_type(body: &Body<'_>, field: &Field) -> String {
    match (enumeration(body, field), scalar(field)) {
        (Some(enumeration), _) => enum_type(enumeration),
        (None, Some(scalar)) => scalar_type(scalar).to_owned(),
        (None, None) => "string".to_owned(),
    }
}

/// An expression for the number at `at` of the bytes `from`, of the number's own type.
pub(super) fn get_number(scalar: Scalar, from: &str, at: u32) -> String {
    let end = at + scalar.size();
    match scalar {
        Scalar::U8 => format!("{from}[{at}]"),
        Scalar::U16 => format!("binary.NativeEndian.Uint16({from}[{at}:{end}])"),
        Scalar::U32 => format!("binary.NativeEndian.Uint32({from}[{at}:{end}])"),
        Scalar::U64 => format!("binary.NativeEndian.Uint64({from}[{at}:{end}])"),
        Scalar::I32 => format!("int32(binary.NativeEndian.Uint32({from}[{at}:{end}]))"),
        Scalar::I64 => format!("int64(binary.NativeEndian.Uint64({from}[{at}:{end}]))"),
    }
}

/// An expression for a visible number, of the type that callers see.
pub(super) fn get(body: &Body<'_>, field: &Field, from: &str) -> String {
    let Some(scalar) = scalar(field) else {
        return format!("payload.StringAt({from}, {})", field.offset);
    };
    let number = get_number(scalar, from, field.offset);
    match enumeration(body, field) {
        Some(enumeration) => format!("{}({number})", enum_type(enumeration)),
        None => number,
    }
}

/// A statement that writes the number `value`, an expression of a type other than the wire's if
/// `convert`, to the field's place in `fixed`.
pub(super) fn put(field: &Field, scalar: Scalar, value: &str, convert: bool) -> String {
    let (at, end) = (field.offset, field.offset + scalar.size());
    let (method, wire) = match scalar {
        Scalar::U8 => {
            let value = if convert { format!("uint8({value})") } else { value.to_owned() };
            return format!("fixed[{at}] = {value}");
        }
        Scalar::U16 => ("PutUint16", "uint16"),
        Scalar::U32 | Scalar::I32 => ("PutUint32", "uint32"),
        Scalar::U64 | Scalar::I64 => ("PutUint64", "uint64"),
    };
    let value = match convert || !scalar.is_unsigned() {
        true => format!("{wire}({value})"),
        false => value.to_owned(),
    };
    format!("binary.NativeEndian.{method}(fixed[{at}:{end}], {value})")
}

/// A literal of a scalar. Negative values are kept in two's complement by the model.
pub(super) fn number(scalar: Scalar, value: u64) -> String {
    match scalar.is_unsigned() {
        true => value.to_string(),
        false => value.cast_signed().to_string(),
    }
}

/// A constant that is put on the wire: of the wire's unsigned type.
pub(super) fn wire_number(scalar: Scalar, value: u64) -> String {
    match scalar {
        Scalar::I32 => (value as u32).to_string(),
        _ => value.to_string(),
    }
}

/// What the field holds when a rule says `blank`, and whether Go's zero value is that.
pub(super) fn blank(body: &Body<'_>, field: &Field) -> (String, bool) {
    let FieldKind::Value { scalar, blank, .. } = &field.kind else {
        return ("0".to_owned(), true);
    };
    let text = match enumeration(body, field) {
        Some(enumeration) => {
            let named = enumeration.variants.iter().find(|variant| variant.value == *blank);
            named.map_or_else(|| number(*scalar, *blank), |each| variant(enumeration, each))
        }
        None => number(*scalar, *blank),
    };
    (text, *blank == 0)
}

/// `min` and `max` of a string, as the building blocks take them.
pub(super) fn limits(min: u32, max: Option<u32>) -> (String, String) {
    let max = max.map_or_else(|| "payload.Unlimited".to_owned(), |max| max.to_string());
    (min.to_string(), max)
}

/// What documentation says of a visible field.
pub(super) fn doc(field: &Field) -> String {
    let name = field.name.go_exported();
    let said = super::text::sentence(&field.doc);
    match field.kind {
        FieldKind::Generation => format!(
            "{name} is the number of the provider's state: answers that share it agree with each other."
        ),
        _ if said.is_empty() => format!("{name} is the field `{}`.", field.name.snake()),
        _ => format!("{name} is the field `{}`. {said}", field.name.snake()),
    }
}

/// Whether the field is a string.
pub(super) fn is_string(field: &Field) -> bool {
    string(field).is_some()
}
