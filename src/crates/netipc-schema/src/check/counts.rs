//! Counts, and what they count.

use super::record::Draft;
use crate::diagnostic::{Code, Report};
use crate::ir::{FieldId, Scalar};
use crate::suggest;
use crate::syntax::{self, FieldKind, Word};

/// The field that counts the entries of a table.
pub(super) fn of_table(draft: &Draft<'_>, name: &Word, report: &mut Report) -> Option<FieldId> {
    const TYPES: [Scalar; 2] = [Scalar::U16, Scalar::U32];
    only(draft, name, &TYPES, report)
}

/// The field that counts the elements of a directory (spec section 10.3 to 10.5).
pub(super) fn of_directory(draft: &Draft<'_>, name: &Word, report: &mut Report) -> Option<FieldId> {
    only(draft, name, &[Scalar::U32], report)
}

/// Reports counts of what the record does not have.
pub(super) fn no_others(draft: &Draft<'_>, counted: Option<&Word>, report: &mut Report) {
    for target in draft.syntax.fields.iter().filter_map(|field| field.count_of.as_ref()) {
        if counted.is_none_or(|counted| counted.value != target.value) {
            let message = format!("there is no table or directory `{}` here", target.value);
            let help = suggest::help(&target.value, counted.map(|counted| counted.value.as_str()));
            report.error(Code::CountTarget, target.span, message, help);
        }
    }
}

fn only(draft: &Draft<'_>, name: &Word, types: &[Scalar], report: &mut Report) -> Option<FieldId> {
    let counts = |field: &syntax::Field| {
        field.count_of.as_ref().is_some_and(|target| target.value == name.value)
    };
    let mut found = draft.syntax.fields.iter().enumerate().filter(|(_, field)| counts(field));
    let Some((index, field)) = found.next() else {
        // A count with a broken target was reported; it was probably meant for this.
        if draft.syntax.fields.iter().all(|field| field.count_of.is_none()) {
            let message = format!("nothing counts `{}`", name.value);
            let scalar = types[0].as_str();
            let help = format!("add a field before it, `{scalar} NAME count-of={}`", name.value);
            report.error(Code::Count, name.span, message, help);
        }
        return None;
    };
    for (_, second) in found {
        let message = format!("`{}` is counted twice", name.value);
        report.error(Code::Count, second.name.span, message, "keep one of the two");
        report.also(field.name.span, "the first");
    }
    let is_allowed = |scalar| types.contains(&scalar);
    if let FieldKind::Scalar(scalar) = field.kind
        && !is_allowed(scalar)
    {
        let names: Vec<&str> = types.iter().map(|scalar| scalar.as_str()).collect();
        let message = format!("`{}` cannot count `{}`", scalar.as_str(), name.value);
        let help = format!("its type may be {}", suggest::list(&names));
        report.error(Code::CountType, field.keyword.span, message, help);
    }
    Some(FieldId(index))
}
