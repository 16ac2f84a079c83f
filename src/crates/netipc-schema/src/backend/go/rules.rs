//! The rules of a record, where they are checked and where they are kept.

use std::fmt::Write as _;

use super::fields;
use crate::backend::bodies::Body;
use crate::ir::{FieldId, FieldKind, Rule, Target};

/// Who asks whether the rules hold, and how the record's parts are called there.
pub(super) struct Rules<'b, 's> {
    pub(super) body: &'b Body<'s>,
    pub(super) side: Side<'b>,
}

#[derive(Clone, Copy)]
pub(super) enum Side<'b> {
    /// A decoder, which has read the fields into variables of these names.
    Decoder(&'b dyn Fn(FieldId) -> String, &'b str),
    /// A builder, which has them in `f`; `true` where it answers a length beside the error.
    Builder(bool),
}

impl Rules<'_, '_> {
    /// Statements, indented once.
    pub(super) fn statements(&self) -> String {
        self.all(&self.body.record.rules, 1)
    }

    fn all(&self, rules: &[Rule], depth: usize) -> String {
        let mut text = String::new();
        for rule in rules {
            match rule {
                Rule::When { field, variant, is, then } => {
                    let inner = self.all(then, depth + 1);
                    let Some(condition) = self.condition(*field, variant.0, *is) else { continue };
                    if !inner.is_empty() {
                        let indent = "\t".repeat(depth);
                        let _ = writeln!(text, "{indent}if {condition} {{\n{inner}{indent}}}");
                    }
                }
                Rule::Blank(targets) => self.requirements(targets, true, depth, &mut text),
                Rule::Filled(targets) => self.requirements(targets, false, depth, &mut text),
            }
        }
        text
    }

    /// `status != StatusKnown`.
    fn condition(&self, id: FieldId, variant: usize, is: bool) -> Option<String> {
        let field = self.body.record.field(id);
        let enumeration = fields::enumeration(self.body, field)?;
        let variant = fields::variant(enumeration, &enumeration.variants[variant]);
        let operator = if is { "==" } else { "!=" };
        Some(format!("{} {operator} {variant}", self.value(id)))
    }

    fn value(&self, id: FieldId) -> String {
        match self.side {
            Side::Decoder(local, _) => local(id),
            Side::Builder(_) => format!("f.{}", self.body.record.field(id).name.go_local()),
        }
    }

    fn requirements(&self, targets: &[Target], blank: bool, depth: usize, text: &mut String) {
        for target in targets {
            let Some((breach, at, name)) = self.breach(*target, blank) else { continue };
            let refusal = match self.side {
                Side::Decoder(..) => format!("payload.Reject(protocol.DefectRule, {at})"),
                Side::Builder(true) => format!("0, payload.Forbid(\"{name}\", payload.FaultRule)"),
                Side::Builder(false) => format!("payload.Forbid(\"{name}\", payload.FaultRule)"),
            };
            let indent = "\t".repeat(depth);
            let _ =
                writeln!(text, "{indent}if {breach} {{\n{indent}\treturn {refusal}\n{indent}}}");
        }
    }

    /// What a breach looks like, and the target's place and name.
    fn breach(&self, target: Target, blank: bool) -> Option<(String, u32, String)> {
        let operator = if blank { "!=" } else { "==" };
        match target {
            Target::Field(id) => {
                let field = self.body.record.field(id);
                let value = self.value(id);
                let breach = match (&field.kind, self.side) {
                    (FieldKind::String(_), Side::Decoder(..)) => {
                        format!("{value}.Length {operator} 0")
                    }
                    (FieldKind::String(_), Side::Builder(_)) => {
                        format!("{value}.Len() {operator} 0")
                    }
                    _ => format!("{value} != {}", fields::blank(self.body, field).0),
                };
                Some((breach, field.offset, field.name.snake()))
            }
            Target::Table => {
                let table = self.body.table()?;
                let value = match self.side {
                    Side::Decoder(_, table) => table.to_owned(),
                    Side::Builder(_) => format!("len(f.{})", table.name.go_local()),
                };
                let at = self.body.record.field(table.count).offset;
                Some((format!("{value} {operator} 0"), at, table.name.snake()))
            }
        }
    }
}
