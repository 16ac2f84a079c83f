//! Where each field stands. Nothing is padded in silence: the author writes every byte.

use crate::diagnostic::{Code, Report};
use crate::ir::Field;
use crate::syntax;

/// The largest fixed part of a record, in bytes.
pub(super) const MAX_RECORD_BYTES: u32 = 64 * 1024;

/// What a header in front of a directory is a multiple of, in bytes (spec section 10).
const DIRECTORY_ALIGNMENT_BYTES: u32 = 8;

/// Bytes of a string's reference, and the alignment of its two halves.
const STRING_BYTES: u32 = 8;
const STRING_ALIGNMENT_BYTES: u32 = 4;

/// Gives the fields their offsets; returns the record's size in bytes.
///
/// After a mistake it goes on as if the mistake were mended, so that one missing `reserved` is not
/// reported for every field behind it.
pub(super) fn assign(syntax: &syntax::Record, fields: &mut [Field], report: &mut Report) -> u32 {
    // `None` behind a field of unknown size.
    let mut offset = Some(0);
    for (syntax, field) in syntax.fields.iter().zip(fields) {
        let size = size(syntax);
        if let (Some(running), Some((bytes, alignment))) = (offset, size) {
            field.offset = place(syntax, running, alignment, report);
            offset = Some(field.offset.saturating_add(bytes));
        } else {
            offset = None;
        }
    }
    let size = offset.unwrap_or_default();
    if size > MAX_RECORD_BYTES {
        let message = format!("the record takes {size} bytes, more than {MAX_RECORD_BYTES}");
        let help = "move what is large into strings, or into the elements of a directory";
        report.error(Code::RecordSize, syntax.keyword.span, message, help);
    }
    if offset.is_some()
        && !size.is_multiple_of(DIRECTORY_ALIGNMENT_BYTES)
        && let Some(directory) = syntax.directories.first()
    {
        let missing = DIRECTORY_ALIGNMENT_BYTES - size % DIRECTORY_ALIGNMENT_BYTES;
        let message =
            format!("the directory would stand at offset {size}, which is not a multiple of 8");
        let help = format!("add `reserved {missing}` before it");
        report.error(Code::HeaderSize, directory.element.keyword.span, message, help);
    }
    size
}

/// Bytes and alignment of a field, if they are known.
fn size(syntax: &syntax::Field) -> Option<(u32, u32)> {
    match &syntax.kind {
        syntax::FieldKind::Scalar(scalar) => Some((scalar.size(), scalar.size())),
        syntax::FieldKind::String => Some((STRING_BYTES, STRING_ALIGNMENT_BYTES)),
        syntax::FieldKind::Reserved(bytes) => {
            let bytes = u32::try_from(bytes.as_ref()?.value).ok();
            bytes.filter(|bytes| *bytes <= MAX_RECORD_BYTES).map(|bytes| (bytes, 1))
        }
        syntax::FieldKind::Unknown => None,
    }
}

/// The field's offset: the running one, unless that is a mistake.
fn place(syntax: &syntax::Field, running: u32, alignment: u32, report: &mut Report) -> u32 {
    let title = match syntax.kind {
        syntax::FieldKind::Reserved(_) => syntax.keyword.value.clone(),
        _ => format!("{} {}", syntax.keyword.value, syntax.name.value),
    };
    if let Some(at) = &syntax.at {
        return fixed(&title, at, running, alignment, report);
    }
    if running.is_multiple_of(alignment) {
        return running;
    }
    let missing = alignment - running % alignment;
    let message = format!(
        "`{title}` would stand at offset {running}, which is not a multiple of {alignment}"
    );
    let help = format!("add `reserved {missing}` before it");
    report.error(Code::Misaligned, syntax.name.span, message, help);
    running + missing
}

fn fixed(
    title: &str,
    at: &syntax::Integer,
    running: u32,
    alignment: u32,
    report: &mut Report,
) -> u32 {
    let asserted = u32::try_from(at.value).ok().filter(|asserted| *asserted <= MAX_RECORD_BYTES);
    let Some(asserted) = asserted else {
        let message = format!("{} is no offset in a record", at.value);
        report.error(Code::Range, at.span, message, format!("write `at={running}`"));
        return running.next_multiple_of(alignment);
    };
    if !asserted.is_multiple_of(alignment) {
        let message = format!("`{title}` cannot stand at offset {asserted}");
        let next = asserted.next_multiple_of(alignment);
        let help = format!("a multiple of {alignment} is needed: write `at={next}`");
        report.error(Code::Misaligned, at.span, message, help);
        return next.max(running.next_multiple_of(alignment));
    }
    if asserted > running {
        let gap = asserted - running;
        let message = format!("`{title}` would stand at offset {running}, not {asserted}: a gap");
        let help = format!("add `reserved {gap}` before it");
        report.error(Code::FixedPlace, at.span, message, help);
        return asserted;
    }
    if asserted < running {
        let over = running - asserted;
        let message =
            format!("`{title}` would stand at offset {running}, not {asserted}: an overlap");
        let help = format!(
            "the fields before it take {over} bytes too many: remove some, or write `at={running}`"
        );
        report.error(Code::FixedPlace, at.span, message, help);
    }
    running.next_multiple_of(alignment)
}
