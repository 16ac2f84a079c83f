//! A request or a response: a header, and perhaps a directory.

use super::fields::{self, Enums};
use super::names::{self, Naming};
use super::record::{self, Draft};
use super::{counts, text};
use crate::Name;
use crate::diagnostic::{Code, Report};
use crate::ir::{BareString, Directory, Element, FieldId, FieldKind, Message};
use crate::syntax;

/// A message and the text it comes from.
pub(super) struct MessageDraft<'a> {
    pub(super) header: Draft<'a>,
    pub(super) directory: Option<DirectoryDraft<'a>>,
}

pub(super) struct DirectoryDraft<'a> {
    pub(super) syntax: &'a syntax::Directory,
    pub(super) element: ElementDraft<'a>,
    name: Name,
    doc: String,
    count: FieldId,
}

pub(super) enum ElementDraft<'a> {
    BareString(BareString, &'a syntax::BareString),
    Record(Draft<'a>),
}

/// Checks a message, but for what its shape asks of it.
pub(super) fn check<'a>(
    syntax: &'a syntax::Record,
    enums: &Enums<'_>,
    report: &mut Report,
) -> MessageDraft<'a> {
    let header = record::check(syntax, enums, report);
    if let [first, second, ..] = syntax.directories.as_slice() {
        let help = "keep one: a message ends with its directory";
        report.error(Code::DuplicateNode, second.name.span, "a message has one directory", help);
        report.also(first.name.span, "the first");
    }
    let directory = syntax.directories.first().map(|directory| {
        counts::no_others(&header, Some(&directory.name), report);
        plain_header(&header, report);
        let count = counts::of_directory(&header, &directory.name, report);
        DirectoryDraft {
            syntax: directory,
            element: element(&directory.element, enums, report),
            name: names::check(&directory.name, Naming::Part, report),
            doc: text::doc(directory.doc.as_ref(), report),
            count: count.unwrap_or(FieldId(0)),
        }
    });
    MessageDraft { header, directory }
}

impl MessageDraft<'_> {
    /// What a backend gets to see.
    pub(super) fn finish(self) -> Message {
        let directory = self.directory.map(|draft| Directory {
            name: draft.name,
            doc: draft.doc,
            count: draft.count,
            element: match draft.element {
                ElementDraft::BareString(string, _) => Element::BareString(string),
                ElementDraft::Record(draft) => Element::Record(draft.record),
            },
        });
        Message { header: self.header.record, directory }
    }
}

/// The directory begins where the header ends, so that nothing may lie between.
fn plain_header(header: &Draft<'_>, report: &mut Report) {
    let strings = header.sound().filter(|(_, field, _)| matches!(field.kind, FieldKind::String(_)));
    let words = strings.map(|(_, _, syntax)| &syntax.name);
    for word in words.chain(header.syntax.tables.iter().map(|table| &table.name)) {
        let message = format!("`{}` has no room in front of a directory", word.value);
        let help =
            "strings and tables belong into the elements, or into a message without directory";
        report.error(Code::Header, word.span, message, help);
    }
}

fn element<'a>(
    syntax: &'a syntax::Record,
    enums: &Enums<'_>,
    report: &mut Report,
) -> ElementDraft<'a> {
    let draft = record::check(syntax, enums, report);
    let Some(string) = syntax.bare_strings.first() else { return ElementDraft::Record(draft) };
    let is_alone = syntax.bare_strings.len() == 1
        && syntax.fields.is_empty()
        && syntax.tables.is_empty()
        && syntax.identities.is_empty()
        && syntax.rules.is_empty();
    if !is_alone {
        let help = "remove what is beside it, or write `string` for a field of a record";
        report.error(
            Code::Element,
            string.name.span,
            "a bare string is an element by itself",
            help,
        );
    }
    let (min, max) =
        fields::limits(string.min.as_ref(), string.max.as_ref(), report).unwrap_or_default();
    let checked = BareString {
        name: names::check(&string.name, Naming::Part, report),
        doc: text::doc(string.doc.as_ref(), report),
        min,
        max,
    };
    ElementDraft::BareString(checked, string)
}
