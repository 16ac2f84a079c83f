//! What each field is, by itself: numbers fit, properties agree.

use miette::SourceSpan;

use super::names::{self, Naming};
use super::text;
use crate::diagnostic::{Code, Report};
use crate::ir::{Enum, EnumId, Field, FieldKind, Scalar, StringSpec};
use crate::syntax::{self, Integer, Word};
use crate::{Name, suggest};

/// The longest string that a limit may speak of, in bytes: all the response that one logical call
/// may get (spec section 11).
const MAX_STRING_BYTES: u32 = 64 * 1024 * 1024;

/// A field without its offset; `None` for what it is where it could not be told.
pub(super) struct Checked {
    pub(super) field: Field,
    pub(super) poisoned: bool,
}

/// Checks a field alone.
pub(super) fn check(syntax: &syntax::Field, enums: &Enums<'_>, report: &mut Report) -> Checked {
    let is_nameless = syntax.name.value.is_empty();
    let kind = match &syntax.kind {
        syntax::FieldKind::Unknown => None,
        syntax::FieldKind::Reserved(bytes) => {
            bytes.as_ref().and_then(|bytes| reserved(bytes, report))
        }
        syntax::FieldKind::String => string(syntax, report),
        syntax::FieldKind::Scalar(scalar) => number_field(syntax, *scalar, enums, report),
    };
    let name = match &syntax.kind {
        syntax::FieldKind::Reserved(_) => Name::new("reserved"),
        _ if is_nameless => None,
        _ => Some(names::check(&syntax.name, Naming::Part, report)),
    };
    let poisoned = kind.is_none();
    // Bytes of a broken field still count, so that the offsets behind it are right.
    let kind = kind.unwrap_or(match &syntax.kind {
        syntax::FieldKind::Scalar(scalar) => FieldKind::Count { scalar: *scalar },
        syntax::FieldKind::String => FieldKind::Generation,
        _ => FieldKind::Reserved { bytes: 0 },
    });
    let name = name.unwrap_or_else(names::unnamed);
    let doc = text::doc(syntax.doc.as_ref(), report);
    Checked { field: Field { name, doc, offset: 0, kind }, poisoned }
}

/// The enumerations of the service, as written and as checked.
pub(super) struct Enums<'a> {
    pub(super) syntax: &'a [syntax::Enum],
    pub(super) checked: &'a [Enum],
}

impl Enums<'_> {
    fn find(&self, word: &Word, report: &mut Report) -> Option<(EnumId, &Enum)> {
        let index = self.syntax.iter().position(|each| each.name.value == word.value);
        if index.is_none() {
            let message = format!("there is no enumeration `{}`", word.value);
            let names = self.syntax.iter().map(|each| each.name.value.as_str());
            report.error(Code::UnknownEnum, word.span, message, suggest::help(&word.value, names));
        }
        index.map(|index| (EnumId(index), &self.checked[index]))
    }
}

/// The number's bits, widened to 64 with its sign, if it fits the type.
pub(super) fn number(integer: &Integer, scalar: Scalar, report: &mut Report) -> Option<u64> {
    let (least, greatest) = match scalar {
        Scalar::U8 => (0, i128::from(u8::MAX)),
        Scalar::U16 => (0, i128::from(u16::MAX)),
        Scalar::U32 => (0, i128::from(u32::MAX)),
        Scalar::U64 => (0, i128::from(u64::MAX)),
        Scalar::I32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        Scalar::I64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let what = format!("`{}`", scalar.as_str());
    let value = within(integer, least, greatest, &what, report)?;
    u64::try_from(value).ok().or_else(|| i64::try_from(value).ok().map(i64::cast_unsigned))
}

fn within(
    integer: &Integer,
    least: i128,
    greatest: i128,
    what: &str,
    report: &mut Report,
) -> Option<i128> {
    if (least..=greatest).contains(&integer.value) {
        return Some(integer.value);
    }
    let message = format!("{} does not fit {what}", integer.value);
    let help = format!("write a number from {least} to {greatest}");
    report.error(Code::Range, integer.span, message, help);
    None
}

fn reserved(bytes: &Integer, report: &mut Report) -> Option<FieldKind> {
    let greatest = i128::from(super::layout::MAX_RECORD_BYTES);
    let bytes = within(bytes, 1, greatest, "the bytes of a `reserved`", report)?;
    Some(FieldKind::Reserved { bytes: u32::try_from(bytes).ok()? })
}

fn string(syntax: &syntax::Field, report: &mut Report) -> Option<FieldKind> {
    let (min, max) = limits(syntax.min.as_ref(), syntax.max.as_ref(), report)?;
    let place = match &syntax.place {
        Some(place) => Some(u32::try_from(number(place, Scalar::U32, report)?).ok()?),
        None => None,
    };
    Some(FieldKind::String(StringSpec { min, max, place, echo: None }))
}

/// The least and the greatest length of a string.
pub(super) fn limits(
    min: Option<&Integer>,
    max: Option<&Integer>,
    report: &mut Report,
) -> Option<(u32, Option<u32>)> {
    let what = "the length of a string";
    let mut length = |integer: &Integer, least: i128| {
        let value = within(integer, least, i128::from(MAX_STRING_BYTES), what, report)?;
        u32::try_from(value).ok()
    };
    let least = min.map_or(Some(0), |min| length(min, 0));
    let greatest = max.map(|max| length(max, 1).map(|value| (value, max.span)));
    match (least?, greatest) {
        (least, None) => Some((least, None)),
        (_, Some(None)) => None,
        (least, Some(Some((greatest, span)))) if least > greatest => {
            let message = format!("no string has at least {least} and at most {greatest} bytes");
            report.error(Code::MinMax, span, message, format!("write `max={least}` or more"));
            None
        }
        (least, Some(Some((greatest, _)))) => Some((least, Some(greatest))),
    }
}

fn number_field(
    syntax: &syntax::Field,
    scalar: Scalar,
    enums: &Enums<'_>,
    report: &mut Report,
) -> Option<FieldKind> {
    if !agree(syntax, report) {
        return None;
    }
    if let Some(value) = &syntax.constant {
        return Some(FieldKind::Const { scalar, value: number(value, scalar, report)? });
    }
    if syntax.count_of.is_some() {
        return Some(FieldKind::Count { scalar });
    }
    if let Some(role) = &syntax.role {
        return generation(role, syntax, scalar, report);
    }
    let enumeration = match &syntax.enumeration {
        Some(word) => Some(typed(word, scalar, enums, report)?),
        None => None,
    };
    let blank = match &syntax.blank {
        Some(blank) => number(blank, scalar, report)?,
        None => 0,
    };
    if let Some((_, checked)) = enumeration
        && syntax.echo.is_none()
    {
        has_blank(syntax, checked, blank, report)?;
    }
    let enumeration = enumeration.map(|(id, _)| id);
    Some(FieldKind::Value { scalar, enumeration, blank, echo: None })
}

/// Whether the properties of a number may stand together.
fn agree(syntax: &syntax::Field, report: &mut Report) -> bool {
    let present: Vec<(&str, SourceSpan)> = [
        ("const", syntax.constant.as_ref().map(|each| each.span)),
        ("count-of", syntax.count_of.as_ref().map(|each| each.span)),
        ("role", syntax.role.as_ref().map(|each| each.span)),
        ("enum", syntax.enumeration.as_ref().map(|each| each.span)),
        ("blank", syntax.blank.as_ref().map(|each| each.span)),
        ("echo", syntax.echo.as_ref().map(|each| each.span)),
    ]
    .into_iter()
    .filter_map(|(name, span)| span.map(|span| (name, span)))
    .collect();
    let stands_alone = |name| matches!(name, "const" | "count-of" | "role");
    let mut fine = true;
    for (index, (first, first_span)) in present.iter().enumerate() {
        for (second, span) in &present[index + 1..] {
            let excluded = stands_alone(*first) || (*first, *second) == ("blank", "echo");
            if excluded {
                let message = format!("`{first}` and `{second}` exclude each other");
                let help = match (*first, *second) {
                    ("blank", "echo") => "remove `blank`: an echo repeats its key whatever happens",
                    ("const", _) => "remove one: a constant never takes another value",
                    ("count-of", _) => "remove one: a count follows from what it counts",
                    _ => "remove one: the generation is the provider's number, and nothing else",
                };
                report.error(Code::Conflict, *span, message, help);
                report.also(*first_span, "excludes it");
                fine = false;
            }
        }
    }
    fine
}

fn generation(
    role: &Word,
    syntax: &syntax::Field,
    scalar: Scalar,
    report: &mut Report,
) -> Option<FieldKind> {
    if role.value != "generation" {
        let message = format!("a field has no role `{}`", role.value);
        report.error(Code::Role, role.span, message, suggest::help(&role.value, ["generation"]));
        return None;
    }
    if scalar != Scalar::U64 {
        let message = format!("the generation is `u64`, not `{}`", scalar.as_str());
        let help = format!("write `u64 {} role=generation`", syntax.name.value);
        report.error(Code::Generation, syntax.keyword.span, message, help);
        return None;
    }
    Some(FieldKind::Generation)
}

fn typed<'e>(
    word: &Word,
    scalar: Scalar,
    enums: &'e Enums<'_>,
    report: &mut Report,
) -> Option<(EnumId, &'e Enum)> {
    let (id, checked) = enums.find(word, report)?;
    let written = enums.syntax[id.0].scalar.as_ref();
    let is_known = written.is_some_and(|word| word.value == checked.scalar.as_str());
    if checked.scalar != scalar && is_known {
        let (own, its) = (scalar.as_str(), checked.scalar.as_str());
        let message = format!("`{}` has values of `{its}`, this field is `{own}`", word.value);
        let help =
            format!("write `{its}` in front of the field, or `type={own}` behind the enumeration");
        report.error(Code::EnumType, word.span, message, help);
        return None;
    }
    Some((id, checked))
}

/// A closed enumeration's field is blank with one of its values.
fn has_blank(
    syntax: &syntax::Field,
    checked: &Enum,
    blank: u64,
    report: &mut Report,
) -> Option<()> {
    if checked.open || checked.variants.iter().any(|variant| variant.value == blank) {
        return Some(());
    }
    let span = syntax.blank.as_ref().map_or(syntax.name.span, |blank| blank.span);
    let message =
        format!("blank, the field would be {blank}, which is no value of `{}`", checked.name);
    let values: Vec<String> = checked
        .variants
        .iter()
        .map(|variant| format!("{} {}", variant.name, variant.value))
        .collect();
    let help = format!("write `blank=` and one of its values: {}", suggest::list(&values));
    report.error(Code::BlankVariant, span, message, help);
    None
}
