//! The smallest item of a lookup.
//!
//! A server that runs out of room answers the rest of its keys with items that say just that (spec
//! section 11). So under both overflow statuses the rules must leave nothing open: every field is
//! blank but the status and the echoes. Here the rules are played through to see that they do.

use super::record::Draft;
use crate::diagnostic::{Code, Report};
use crate::ir::{Enum, FieldId, FieldKind, LookupRoles, Record, Rule, Target, VariantId};
use crate::suggest;

/// Reports what the rules leave open in an item that did not fit.
pub(super) fn check(item: &Draft<'_>, enums: &[Enum], roles: LookupRoles, report: &mut Report) {
    let record = &item.record;
    let overflows =
        [roles.retry, roles.oversized].map(|variant| play(record, enums, roles.status, variant));
    let FieldKind::Value { enumeration: Some(id), .. } = record.field(roles.status).kind else {
        return;
    };
    let status = &record.field(roles.status).name;
    if overflows.iter().any(|overflow| overflow.blank.contains(&Target::Field(roles.status))) {
        let span = item.syntax.fields[roles.status.0].name.span;
        let message = format!("a rule blanks `{status}` in an item that did not fit");
        let help =
            format!("remove `{status}` from that `blank`: it says that the item did not fit");
        report.error(Code::SmallestItem, span, message, help);
    }
    let variants =
        [roles.retry, roles.oversized].map(|variant| &enums[id.0].variants[variant.0].name);
    for (target, span, name) in targets(item, roles.status) {
        let open = |overflow: &Overflow| !overflow.blank.contains(&target);
        let filled = |overflow: &Overflow| overflow.filled.contains(&target);
        for (accuse, what) in
            [(&filled as &dyn Fn(&Overflow) -> bool, "must be filled"), (&open, "is not blank")]
        {
            let guilty: Vec<&str> = overflows
                .iter()
                .zip(variants)
                .filter(|(overflow, _)| accuse(overflow))
                .map(|(_, variant)| variant.as_str())
                .collect();
            if guilty.is_empty() {
                continue;
            }
            let message = format!("`{name}` {what} when `{status}` is {}", suggest::list(&guilty));
            let help = format!(
                "an item that did not fit holds its status and its key alone: name `{name}` in a \
                 `blank`, inside a `when {status} …` that holds for both roles, and in no `filled` there"
            );
            report.error(Code::SmallestItem, span, message, help);
            break;
        }
    }
}

/// What the rules say of an item with an overflow status.
struct Overflow {
    blank: Vec<Target>,
    filled: Vec<Target>,
}

/// Applies the rules until nothing new follows: a blank field has a known value, which may make
/// further conditions hold.
fn play(record: &Record, enums: &[Enum], status: FieldId, variant: VariantId) -> Overflow {
    let mut overflow = Overflow { blank: Vec::new(), filled: Vec::new() };
    loop {
        let before = (overflow.blank.len(), overflow.filled.len());
        let known = |field: FieldId| match record.field(field).kind {
            FieldKind::Value { enumeration: Some(id), blank, .. } => {
                let values = &enums.get(id.0)?.variants;
                match field == status {
                    true => values.get(variant.0).map(|variant| variant.value),
                    false => overflow.blank.contains(&Target::Field(field)).then_some(blank),
                }
            }
            _ => None,
        };
        let mut found = Overflow { blank: Vec::new(), filled: Vec::new() };
        apply(&record.rules, record, enums, &known, &mut found);
        if (found.blank.len(), found.filled.len()) == before {
            return overflow;
        }
        overflow = found;
    }
}

/// Collects what holds for what is known.
fn apply(
    rules: &[Rule],
    record: &Record,
    enums: &[Enum],
    known: &dyn Fn(FieldId) -> Option<u64>,
    found: &mut Overflow,
) {
    for rule in rules {
        match rule {
            Rule::Blank(targets) => found.blank.extend(targets),
            Rule::Filled(targets) => found.filled.extend(targets),
            Rule::When { field, variant, is, then } => {
                let FieldKind::Value { enumeration: Some(id), .. } = record.field(*field).kind
                else {
                    continue;
                };
                let value = enums[id.0].variants[variant.0].value;
                if known(*field).is_some_and(|known| (known == value) == *is) {
                    apply(then, record, enums, known, found);
                }
            }
        }
    }
}

/// All that an item holds beside its status and its key.
fn targets<'d>(
    item: &'d Draft<'_>,
    status: FieldId,
) -> impl Iterator<Item = (Target, miette::SourceSpan, &'d str)> {
    let fields = item.sound().filter(move |(id, field, syntax)| {
        let carries = matches!(field.kind, FieldKind::Value { .. } | FieldKind::String(_));
        carries && *id != status && syntax.echo.is_none()
    });
    let fields = fields.map(|(id, _, syntax)| (Target::Field(id), &syntax.name));
    let tables = item.syntax.tables.iter().take(1).map(|table| (Target::Table, &table.name));
    fields.chain(tables).map(|(target, word)| (target, word.span, word.value.as_str()))
}
