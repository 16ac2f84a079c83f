//! What each shape asks of its messages.

use super::fields::Enums;
use super::lookup;
use super::message::{DirectoryDraft, ElementDraft, MessageDraft};
use super::record::{Draft, Found};
use crate::diagnostic::{Code, Report};
use crate::ir::{FieldId, FieldKind, Shape, VariantId};
use crate::suggest;
use crate::syntax::{self, Word};

const SHAPES: [&str; 3] = ["call", "lookup", "snapshot"];

/// The service's shape, with what its engine needs.
pub(super) fn check(
    syntax: &syntax::Service,
    enums: &Enums<'_>,
    request: &MessageDraft<'_>,
    response: &mut MessageDraft<'_>,
    report: &mut Report,
) -> Shape {
    let batch = syntax.batch.as_ref();
    let call = Shape::Call { batch: batch.is_some_and(|batch| batch.value) };
    let Some(word) = &syntax.shape else { return call };
    if let Some(batch) = batch
        && word.value != "call"
        && SHAPES.contains(&word.value.as_str())
    {
        let message = format!("a {} does not travel in batches", word.value);
        report.error(Code::Batch, batch.span, message, "remove `batch`: it is for calls");
    }
    no_generations(&request.header, report);
    for element in [&request.directory, &response.directory].into_iter().flatten() {
        if let ElementDraft::Record(draft) = &element.element {
            no_generations(draft, report);
        }
    }
    match word.value.as_str() {
        "call" => {
            no_directory(request, "a call", report);
            no_directory(response, "a call", report);
            no_generations(&response.header, report);
            no_lookup(enums, request, response, report);
            call
        }
        "lookup" => lookup::check(enums, request, response, report).map_or(call, Shape::Lookup),
        "snapshot" => {
            snapshot(request, response, report);
            no_lookup(enums, request, response, report);
            Shape::Snapshot
        }
        other => {
            let message = format!("there is no shape `{other}`");
            report.error(Code::Shape, word.span, message, suggest::help(other, SHAPES));
            call
        }
    }
}

/// Everything that the provider knows.
fn snapshot(request: &MessageDraft<'_>, response: &mut MessageDraft<'_>, report: &mut Report) {
    no_directory(request, "a snapshot's request", report);
    only_fixed(&request.header, "a snapshot's request", report);
    one_generation(&response.header, report);
    let header = &response.header.syntax.keyword;
    let Some(directory) = needed(response.directory.as_mut(), header, "a snapshot", report) else {
        return;
    };
    let keyword = directory.syntax.element.keyword.span;
    let ElementDraft::Record(item) = &mut directory.element else {
        let help = "write fields into it, and `identity FIELD …` behind them";
        report.error(Code::Element, keyword, "a snapshot's items must be records", help);
        return;
    };
    item.record.identity = identity(item, report);
}

fn identity(item: &Draft<'_>, report: &mut Report) -> Vec<FieldId> {
    let Some(first) = item.syntax.identities.first() else {
        let help = "add `identity FIELD …`: the fields by which a cache finds an item";
        report.error(Code::Identity, item.syntax.keyword.span, "the items have no identity", help);
        return Vec::new();
    };
    for second in &item.syntax.identities[1..] {
        report.error(Code::Identity, second.keyword, "`identity` is there twice", "join the two");
        report.also(first.keyword, "the first");
    }
    let mut identity = Vec::new();
    for word in &first.fields {
        let id = match item.find(word, report) {
            Some(Found::Field(id)) if item.is_poisoned(id) => continue,
            Some(Found::Field(id)) => Some(id),
            Some(Found::Table) => None,
            None => continue,
        };
        let can_identify = |id: &FieldId| {
            matches!(item.record.field(*id).kind, FieldKind::Value { .. } | FieldKind::String(_))
        };
        match id.filter(can_identify) {
            None => {
                let message = format!("`{}` cannot tell items apart", word.value);
                let help = "name values and strings: what differs from item to item";
                report.error(Code::Identity, word.span, message, help);
            }
            Some(id) if identity.contains(&id) => {
                let message = format!("`{}` is named twice", word.value);
                report.error(Code::Identity, word.span, message, "keep one of the two");
            }
            Some(id) => identity.push(id),
        }
    }
    identity
}

/// A message's directory, which its shape needs; `keyword` is the message's.
pub(super) fn needed<D>(
    directory: Option<D>,
    keyword: &Word,
    whose: &str,
    report: &mut Report,
) -> Option<D> {
    if directory.is_none() {
        let message = format!("{whose} needs a directory in its {}", keyword.value);
        let help = "add `u32 NAME_count count-of=NAMES` and `directory NAMES { … }`";
        report.error(Code::Directory, keyword.span, message, help);
    }
    directory
}

fn no_directory(message: &MessageDraft<'_>, whose: &str, report: &mut Report) {
    if let Some(directory) = &message.directory {
        let text = format!("{whose} cannot have a directory");
        let help = "write fields, strings or a table; many keys are `shape=lookup`, many items \
                    `shape=snapshot`";
        report.error(Code::Directory, directory.syntax.element.keyword.span, text, help);
    }
}

/// Reports fields that carry something, where engines have nobody to take it from or give it to.
pub(super) fn only_fixed(header: &Draft<'_>, whose: &str, report: &mut Report) {
    const HELP: &str = "only constants, counts, the generation and reserved bytes may stand there";
    // In front of a directory, strings and tables were reported already.
    let is_alone = header.syntax.directories.is_empty();
    for (_, field, syntax) in header.sound() {
        let is_string = matches!(field.kind, FieldKind::String(_));
        if matches!(field.kind, FieldKind::Value { .. }) || (is_string && is_alone) {
            let message = format!("{whose} has no room for `{}`", field.name);
            report.error(Code::Header, syntax.name.span, message, HELP);
        }
    }
    if is_alone && let Some(table) = header.syntax.tables.first() {
        let message = format!("{whose} has no room for `{}`", table.name.value);
        report.error(Code::Header, table.name.span, message, HELP);
    }
}

pub(super) fn one_generation(header: &Draft<'_>, report: &mut Report) {
    let mut found = header.syntax.fields.iter().filter(|field| field.role.is_some());
    let Some(first) = found.next() else {
        let help = "add `u64 generation role=generation`";
        let span = header.syntax.keyword.span;
        report.error(Code::Generation, span, "the response has no generation", help);
        return;
    };
    for second in found {
        let message = "the response has two generations";
        report.error(Code::Generation, second.name.span, message, "keep one of the two");
        report.also(first.name.span, "the first");
    }
}

fn no_generations(record: &Draft<'_>, report: &mut Report) {
    for (_, field, syntax) in record.sound() {
        if let (FieldKind::Generation, Some(role)) = (&field.kind, &syntax.role) {
            let message = "there is no generation here";
            let help =
                "remove the role: it belongs to the header of a lookup's or snapshot's response";
            report.error(Code::Generation, role.span, message, help);
        }
    }
}

/// Reports what only a lookup has.
fn no_lookup(
    enums: &Enums<'_>,
    request: &MessageDraft<'_>,
    response: &MessageDraft<'_>,
    report: &mut Report,
) {
    for message in [request, response] {
        no_echoes(&message.header, report);
        if let Some(DirectoryDraft { element: ElementDraft::Record(draft), .. }) =
            &message.directory
        {
            no_echoes(draft, report);
        }
    }
    for (_, _, word) in roles(enums) {
        let help = "remove it: only a lookup's items overflow";
        report.error(Code::Role, word.span, format!("`{}` has no place here", word.value), help);
    }
}

/// Reports echoes where there is no key.
pub(super) fn no_echoes(record: &Draft<'_>, report: &mut Report) {
    for echo in record.syntax.fields.iter().filter_map(|field| field.echo.as_ref()) {
        let help = "remove `echo`: only the items of a lookup's response repeat keys";
        report.error(Code::Echo, echo.span, "there is no key to repeat here", help);
    }
}

/// Reports an identity where there is no cache.
pub(super) fn no_identity(record: &Draft<'_>, report: &mut Report) {
    for identity in &record.syntax.identities {
        let help = "remove it: only a snapshot's items have one";
        report.error(Code::Identity, identity.keyword, "there is no identity here", help);
    }
}

/// All variants that carry a role: enumeration, variant, and the role as written.
pub(super) fn roles<'a>(enums: &Enums<'a>) -> Vec<(usize, VariantId, &'a Word)> {
    let mut roles = Vec::new();
    for (index, each) in enums.syntax.iter().enumerate() {
        for (variant, syntax) in each.variants.iter().enumerate() {
            roles.extend(syntax.role.as_ref().map(|role| (index, VariantId(variant), role)));
        }
    }
    roles
}
