//! What a lookup's engine needs: keys, items that repeat them, and a status with its two roles.

use super::fields::Enums;
use super::message::{DirectoryDraft, ElementDraft, MessageDraft};
use super::record::Draft;
use super::{names, overflow, shapes};
use crate::diagnostic::{Code, Report};
use crate::ir::{Echo, EnumId, FieldId, FieldKind, LookupRoles, VariantId};
use crate::suggest;
use crate::syntax::Word;

const RETRY: &str = "retry";
const OVERSIZED: &str = "oversized";

/// Variants of a status: the two roles, and one for a key that was answered.
const LEAST_VARIANTS: usize = 3;

/// The roles of a lookup, or at least one mistake in the report.
pub(super) fn check(
    enums: &Enums<'_>,
    request: &MessageDraft<'_>,
    response: &mut MessageDraft<'_>,
    report: &mut Report,
) -> Option<LookupRoles> {
    for header in [&request.header, &response.header] {
        let whose = format!("the header of a lookup's {}", header.syntax.keyword.value);
        shapes::only_fixed(header, &whose, report);
        shapes::no_echoes(header, report);
    }
    shapes::one_generation(&response.header, report);
    let asked = &request.header.syntax.keyword;
    let keys = shapes::needed(request.directory.as_ref(), asked, "a lookup", report);
    let answered = &response.header.syntax.keyword;
    let items = shapes::needed(response.directory.as_mut(), answered, "a lookup", report);
    if let Some(keys) = keys {
        key(keys, report);
    }
    let items = items?;
    let ElementDraft::Record(item) = &mut items.element else {
        let span = items.syntax.element.keyword.span;
        let help = "write fields into it: a status, the key's echo, and what is known of it";
        report.error(Code::Element, span, "a lookup's items must be records", help);
        return None;
    };
    shapes::no_identity(item, report);
    if let Some(keys) = keys {
        echoes(&keys.element, item, report);
    }
    let roles = status(enums, item, report)?;
    answers(enums, item, roles.status, &response.header, report);
    overflow::check(item, enums.checked, roles, report);
    Some(roles)
}

/// A key is a string, or a record that is all numbers.
fn key(keys: &DirectoryDraft<'_>, report: &mut Report) {
    let ElementDraft::Record(key) = &keys.element else { return };
    shapes::no_echoes(key, report);
    shapes::no_identity(key, report);
    let help = "write `bare-string NAME` alone for a string, or numbers and reserved bytes";
    let strings = key.sound().filter(|(_, field, _)| matches!(field.kind, FieldKind::String(_)));
    let words = strings.map(|(_, _, syntax)| &syntax.name);
    for word in words.chain(key.syntax.tables.iter().map(|table| &table.name)) {
        let message = format!("`{}` has no room in a key that is a record", word.value);
        report.error(Code::Element, word.span, message, help);
    }
    let mut fields = key.record.fields.iter();
    let has_value = fields.any(|field| matches!(field.kind, FieldKind::Value { .. }));
    if !has_value && key.sound().count() == key.record.fields.len() && !key.record.fields.is_empty()
    {
        let message = "the key holds nothing that could differ from key to key";
        report.error(Code::Element, key.syntax.keyword.span, message, help);
    }
}

/// Lets the item's echoes point at the key; reports those that cannot, and what none repeats.
fn echoes(key: &ElementDraft<'_>, item: &mut Draft<'_>, report: &mut Report) {
    let mut repeated = Vec::new();
    let mut all_resolved = true;
    for (index, syntax) in item.syntax.fields.iter().enumerate() {
        let Some(word) = &syntax.echo else { continue };
        let id = FieldId(index);
        let sound = !item.is_poisoned(id);
        match sound.then(|| resolve(key, &item.record.fields[index].kind, word, report)).flatten() {
            Some(found) => {
                // The smallest item has room for each part of the key once.
                if repeated.contains(&found) {
                    let message = format!("the key's `{}` is repeated already", word.value);
                    let help = "keep one of the two: an item names its key once";
                    report.error(Code::Echo, word.span, message, help);
                }
                repeated.push(found);
                match &mut item.record.fields[index].kind {
                    FieldKind::Value { echo, .. } => *echo = Some(found),
                    FieldKind::String(string) => string.echo = Some(found),
                    _ => {}
                }
            }
            None => all_resolved = false,
        }
    }
    if !all_resolved {
        return;
    }
    let parts: Vec<(Echo, &Word)> = match key {
        ElementDraft::BareString(_, syntax) => vec![(Echo::Key, &syntax.name)],
        ElementDraft::Record(key) => {
            values(key).map(|(id, word)| (Echo::KeyField(id), word)).collect()
        }
    };
    for (_, word) in parts.iter().filter(|(part, _)| !repeated.contains(part)) {
        let message = format!("no field of the items repeats the key's `{}`", word.value);
        let help = format!("add `echo={}` to a field of the response's items", word.value);
        report.error(Code::NotEchoed, word.span, message, help);
    }
}

/// What of a key can be repeated.
fn values<'d>(key: &'d Draft<'_>) -> impl Iterator<Item = (FieldId, &'d Word)> {
    let values = key.sound().filter(|(_, field, _)| matches!(field.kind, FieldKind::Value { .. }));
    values.map(|(id, _, syntax)| (id, &syntax.name))
}

/// What an echo repeats.
fn resolve(
    key: &ElementDraft<'_>,
    kind: &FieldKind,
    word: &Word,
    report: &mut Report,
) -> Option<Echo> {
    let (echo, fits, wanted) = match key {
        ElementDraft::BareString(bare, syntax) => {
            let limits = format!("string NAME min={} echo={}", bare.min, syntax.name.value);
            let fits = match kind {
                FieldKind::String(string) => {
                    let holds_longest =
                        string.max.is_none_or(|max| bare.max.is_some_and(|longest| longest <= max));
                    string.min <= bare.min && holds_longest
                }
                _ => false,
            };
            let found = syntax.name.value == word.value;
            (found.then_some(Echo::Key), fits, limits)
        }
        ElementDraft::Record(key) => {
            let found = values(key).find(|(_, name)| name.value == word.value);
            let type_of = |kind: &FieldKind| match kind {
                FieldKind::Value { scalar, enumeration, .. } => Some((*scalar, *enumeration)),
                _ => None,
            };
            let asked = found.and_then(|(id, _)| type_of(&key.record.field(id).kind));
            let scalar = asked.map_or("u32", |(scalar, _)| scalar.as_str());
            let limits = format!("{scalar} NAME echo={}", word.value);
            (found.map(|(id, _)| Echo::KeyField(id)), type_of(kind) == asked, limits)
        }
    };
    if echo.is_none() {
        let message = format!("the key has no part `{}` that could be repeated", word.value);
        let names: Vec<&str> = match key {
            ElementDraft::BareString(_, syntax) => vec![&syntax.name.value],
            ElementDraft::Record(key) => values(key).map(|(_, name)| name.value.as_str()).collect(),
        };
        report.error(Code::Echo, word.span, message, suggest::help(&word.value, names));
        return None;
    }
    if !fits {
        let message = format!("this field cannot hold every `{}` that may be asked", word.value);
        let help = format!("an echo has its key's type, enumeration and limits: write `{wanted}`");
        report.error(Code::Echo, word.span, message, help);
        return None;
    }
    echo
}

/// The item's status field, and the variants of its two roles.
fn status(enums: &Enums<'_>, item: &Draft<'_>, report: &mut Report) -> Option<LookupRoles> {
    let roles = shapes::roles(enums);
    let is_role = |word: &Word| [RETRY, OVERSIZED].contains(&word.value.as_str());
    for (_, _, word) in roles.iter().filter(|(_, _, word)| !is_role(word)) {
        let message = format!("a variant has no role `{}`", word.value);
        report.error(
            Code::Role,
            word.span,
            message,
            suggest::help(&word.value, [RETRY, OVERSIZED]),
        );
    }
    let is_status = |id: EnumId| roles.iter().any(|(index, ..)| *index == id.0);
    let mut fields = item.sound().filter_map(|(id, field, syntax)| match field.kind {
        FieldKind::Value { enumeration: Some(each), .. } if is_status(each) => {
            Some((id, each, syntax))
        }
        _ => None,
    });
    let Some((field, id, syntax)) = fields.next() else {
        let span = roles.first().map_or(item.syntax.keyword.span, |(_, _, word)| word.span);
        let help = "add `u16 status enum=Status` to the items, and to the enumeration a variant with \
                    `role=retry` and one with `role=oversized`";
        report.error(
            Code::Status,
            span,
            "no field of the items can say that one did not fit",
            help,
        );
        return None;
    };
    for (_, _, second) in fields {
        let message = format!("`{}` could be the status as well", second.name.value);
        let help = "keep the roles to one enumeration, and that to one field of the items";
        report.error(Code::Status, second.name.span, message, help);
        report.also(syntax.name.span, "the first");
    }
    for (_, _, word) in roles.iter().filter(|(index, _, word)| *index != id.0 && is_role(word)) {
        let message = format!("`{}` has no place here", word.value);
        let help = format!(
            "remove it: the status is `{}`, of `{}`",
            syntax.name.value, enums.syntax[id.0].name.value
        );
        report.error(Code::Role, word.span, message, help);
    }
    if let Some(echo) = &syntax.echo {
        let help = "remove `echo`, or take the status from another enumeration";
        report.error(Code::Status, echo.span, "the status cannot repeat the key", help);
    }
    if let Some(open) = enums.syntax[id.0].open.as_ref().filter(|open| open.value) {
        let help = "remove `open`: who asks must know what each status means";
        report.error(Code::Status, open.span, "a lookup's status is a closed enumeration", help);
    }
    let retry = variant(enums, id, RETRY, report);
    let oversized = variant(enums, id, OVERSIZED, report);
    let syntax = &enums.syntax[id.0];
    if syntax.variants.len() < LEAST_VARIANTS && retry.is_some() && oversized.is_some() {
        let help = "add a variant without a role, `known 0`";
        report.error(Code::Status, syntax.name.span, "no status says that a key is known", help);
        return None;
    }
    Some(LookupRoles { status: field, retry: retry?, oversized: oversized? })
}

/// Each status without a role becomes a method of the response's builder, beside the one that sets
/// the generation.
fn answers(
    enums: &Enums<'_>,
    item: &Draft<'_>,
    status: FieldId,
    header: &Draft<'_>,
    report: &mut Report,
) {
    let FieldKind::Value { enumeration: Some(id), .. } = item.record.field(status).kind else {
        return;
    };
    let setters = header.record.fields.iter().filter(|field| field.kind == FieldKind::Generation);
    let taken: Vec<String> = setters.map(|field| field.name.snake()).collect();
    for variant in enums.syntax[id.0].variants.iter().filter(|variant| variant.role.is_none()) {
        names::answer(&variant.name, &taken, report);
    }
}

/// The one variant of an enumeration that carries the role.
fn variant(enums: &Enums<'_>, id: EnumId, role: &str, report: &mut Report) -> Option<VariantId> {
    let roles = shapes::roles(enums).into_iter();
    let mut found = roles.filter(|(index, _, word)| *index == id.0 && word.value == role);
    let Some((_, first, word)) = found.next() else {
        let name = &enums.syntax[id.0].name;
        let message = format!("no variant of `{}` has `role={role}`", name.value);
        let meaning = if role == RETRY { "ask again: it did not fit" } else { "it will never fit" };
        let help = format!("add the role to the variant that means \"{meaning}\"");
        report.error(Code::Status, name.span, message, help);
        return None;
    };
    for (_, _, second) in found {
        let message = format!("`role={role}` is there twice");
        report.error(Code::Status, second.span, message, "keep one of the two");
        report.also(word.span, "the first");
    }
    Some(first)
}
