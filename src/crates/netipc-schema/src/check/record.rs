//! A record being checked: its fields in their places, and what its names refer to.

use super::fields::{self, Enums};
use super::{counts, go, layout, names, rules, text};
use crate::diagnostic::{Code, Report};
use crate::ir::{Field, FieldId, FieldKind, Record, StringSpec, Table};
use crate::suggest;
use crate::syntax::{self, Word};

/// A record and the text it comes from: `record.fields[i]` is `syntax.fields[i]`.
pub(super) struct Draft<'a> {
    pub(super) record: Record,
    pub(super) syntax: &'a syntax::Record,
    /// Fields that something was already reported of.
    poisoned: Vec<bool>,
}

/// What a name in a record refers to.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Field(FieldId),
    Table,
}

/// Checks a record, but for what its shape and its place in the message ask of it.
pub(super) fn check<'a>(
    syntax: &'a syntax::Record,
    enums: &Enums<'_>,
    report: &mut Report,
) -> Draft<'a> {
    let checked = syntax.fields.iter().map(|field| fields::check(field, enums, report));
    let (mut fields, mut poisoned) = (Vec::new(), Vec::new());
    for each in checked {
        fields.push(each.field);
        poisoned.push(each.poisoned);
    }
    distinct_names(syntax, report);
    go::setters(syntax, report);
    let is_empty = syntax.fields.is_empty() && syntax.bare_strings.is_empty();
    if is_empty
        && syntax.directories.is_empty()
        && !(syntax.rules.is_empty() && syntax.tables.is_empty())
    {
        let help = "add one, for instance `u16 layout_version const=1`";
        report.error(Code::RecordSize, syntax.keyword.span, "the record has no fields", help);
    }
    let size = layout::assign(syntax, &mut fields, report);
    let record = Record { size, fields, table: None, rules: Vec::new(), identity: Vec::new() };
    let mut draft = Draft { record, syntax, poisoned };
    draft.record.table = table(&draft, report);
    string_places(&draft, report);
    draft.record.rules = rules::check(&draft, enums, report);
    draft
}

impl Draft<'_> {
    /// Whether a field's kind is not to be relied on.
    pub(super) fn is_poisoned(&self, id: FieldId) -> bool {
        self.poisoned[id.0]
    }

    /// The fields, as checked and as written, without those that were reported.
    pub(super) fn sound(&self) -> impl Iterator<Item = (FieldId, &Field, &syntax::Field)> {
        let pairs = self.record.ids().zip(&self.syntax.fields);
        pairs
            .map(|((id, field), syntax)| (id, field, syntax))
            .filter(|(id, ..)| !self.is_poisoned(*id))
    }

    /// What a rule or an identity names; reports what is not there.
    pub(super) fn find(&self, word: &Word, report: &mut Report) -> Option<Found> {
        let named = |field: &syntax::Field| {
            field.name.value == word.value && !matches!(field.kind, syntax::FieldKind::Reserved(_))
        };
        if let Some(index) = self.syntax.fields.iter().position(named) {
            return Some(Found::Field(FieldId(index)));
        }
        if self.syntax.tables.iter().any(|table| table.name.value == word.value) {
            return Some(Found::Table);
        }
        if word.value == "reserved" {
            let help = "remove it: reserved bytes are zero, always";
            report.error(Code::RuleTarget, word.span, "`reserved` bytes need no rule", help);
            return None;
        }
        let message = format!("the record has no field `{}`", word.value);
        let fields = self.record.fields.iter().zip(&self.syntax.fields);
        let fields = fields.filter(|(field, _)| {
            matches!(field.kind, FieldKind::Value { .. } | FieldKind::String(_))
        });
        let names = fields.map(|(_, syntax)| &syntax.name);
        let names = names.chain(self.syntax.tables.iter().map(|table| &table.name));
        let help = suggest::help(&word.value, names.map(|name| name.value.as_str()));
        report.error(Code::AbsentField, word.span, message, help);
        None
    }
}

/// Fields, table, directory and string share one room in every target language.
fn distinct_names(syntax: &syntax::Record, report: &mut Report) {
    let fields = syntax.fields.iter().filter(|field| {
        !matches!(field.kind, syntax::FieldKind::Reserved(_)) && !field.name.value.is_empty()
    });
    let words = fields.map(|field| &field.name);
    let words = words.chain(syntax.tables.iter().map(|table| &table.name));
    let words = words.chain(syntax.directories.iter().map(|directory| &directory.name));
    let words = words.chain(syntax.bare_strings.iter().map(|string| &string.name));
    names::distinct(words, report);
}

fn table(draft: &Draft<'_>, report: &mut Report) -> Option<Table> {
    if let [first, second, ..] = draft.syntax.tables.as_slice() {
        let help = "keep one: a record ends with its table";
        report.error(Code::DuplicateNode, second.name.span, "a record has one table", help);
        report.also(first.name.span, "the first");
    }
    let syntax = draft.syntax.tables.first();
    if draft.syntax.directories.is_empty() {
        counts::no_others(draft, syntax.map(|table| &table.name), report);
    }
    let syntax = syntax?;
    let count = counts::of_table(draft, &syntax.name, report)?;
    let name = names::check(&syntax.name, names::Naming::Part, report);
    Some(Table { name, doc: text::doc(syntax.doc.as_ref(), report), count })
}

/// Encoders lay strings out without gaps, so that only the first can be told where it stands.
fn string_places(draft: &Draft<'_>, report: &mut Report) {
    let mut strings = draft.sound().filter_map(|(_, field, syntax)| match &field.kind {
        FieldKind::String(StringSpec { place, .. }) => Some((*place, syntax)),
        _ => None,
    });
    let size = draft.record.size;
    if let Some((Some(place), syntax)) = strings.next()
        && place != size
        && let Some(written) = &syntax.place
    {
        let message =
            format!("the first string stands behind the fixed part, at {size}, not at {place}");
        report.error(Code::StringPlace, written.span, message, format!("write `place={size}`"));
    }
    for (_, syntax) in strings {
        if let Some(written) = &syntax.place {
            let message = "only the first string of a record has a fixed place";
            report.error(Code::StringPlace, written.span, message, "remove `place`");
        }
    }
}
