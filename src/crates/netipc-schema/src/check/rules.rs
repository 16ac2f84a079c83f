//! Rules: what they name, and whether they can hold together.

use super::fields::Enums;
use super::record::{Draft, Found};
use crate::diagnostic::{Code, Report};
use crate::ir::{Enum, FieldId, FieldKind, Rule, Target, VariantId};
use crate::suggest;
use crate::syntax::{self, Word};

/// The record's rules; those that are mistaken are reported and left out.
pub(super) fn check(draft: &Draft<'_>, enums: &Enums<'_>, report: &mut Report) -> Vec<Rule> {
    let mut checker = Checker {
        draft,
        enums: enums.checked,
        report,
        conditions: Vec::new(),
        unsure: false,
        statements: Vec::new(),
    };
    let rules = checker.rules(&draft.syntax.rules);
    checker.contradictions();
    rules
}

/// `when FIELD is=VARIANT`, or `not=`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Condition {
    field: FieldId,
    variant: VariantId,
    is: bool,
}

impl Condition {
    /// Whether the other holds wherever this does.
    fn implies(self, other: Self) -> bool {
        self == other
            || (self.field == other.field && self.is && !other.is && self.variant != other.variant)
    }

    /// Whether the two never hold together.
    fn excludes(self, other: Self) -> bool {
        self.implies(Self { is: !other.is, ..other })
            || (self.field == other.field && self.is && other.is && self.variant != other.variant)
    }
}

/// `blank` or `filled` of one target, and where it holds.
struct Statement<'a> {
    conditions: Vec<Condition>,
    target: Target,
    filled: bool,
    word: &'a Word,
}

struct Checker<'c, 'a> {
    draft: &'c Draft<'a>,
    enums: &'c [Enum],
    report: &'c mut Report,
    /// Those around the rule at hand.
    conditions: Vec<Condition>,
    /// Whether one of those around it was mistaken, so that nothing follows from the others.
    unsure: bool,
    statements: Vec<Statement<'a>>,
}

impl<'a> Checker<'_, 'a> {
    fn rules(&mut self, rules: &'a [syntax::Rule]) -> Vec<Rule> {
        rules.iter().filter_map(|rule| self.rule(rule)).collect()
    }

    fn rule(&mut self, rule: &'a syntax::Rule) -> Option<Rule> {
        match rule {
            syntax::Rule::When { field, is, variant, then } => {
                let Some(condition) = self.condition(field, *is, variant) else {
                    let outer = std::mem::replace(&mut self.unsure, true);
                    self.rules(then);
                    self.unsure = outer;
                    return None;
                };
                self.conditions.push(condition);
                let then = self.rules(then);
                self.conditions.pop();
                let Condition { field, variant, is } = condition;
                Some(Rule::When { field, variant, is, then })
            }
            syntax::Rule::Blank(words) => Some(Rule::Blank(self.targets(words, false))),
            syntax::Rule::Filled(words) => Some(Rule::Filled(self.targets(words, true))),
        }
    }

    fn condition(&mut self, field: &Word, is: bool, variant: &Word) -> Option<Condition> {
        let Found::Field(id) = self.draft.find(field, self.report)? else {
            let help = "`when` looks at numbers with `enum=NAME`";
            self.report.error(Code::WhenField, field.span, "a table has no value", help);
            return None;
        };
        if self.draft.is_poisoned(id) {
            return None;
        }
        let FieldKind::Value { enumeration: Some(enumeration), .. } =
            self.draft.record.field(id).kind
        else {
            let message = format!("`{}` has no enumeration", field.value);
            let help = "`when` looks at numbers with `enum=NAME`";
            self.report.error(Code::WhenField, field.span, message, help);
            return None;
        };
        let variants = &self.enums[enumeration.0].variants;
        let named = |each: &crate::ir::Variant| each.name.as_str() == variant.value;
        let Some(index) = variants.iter().position(named) else {
            let message =
                format!("`{}` has no variant `{}`", self.enums[enumeration.0].name, variant.value);
            let help =
                suggest::help(&variant.value, variants.iter().map(|each| each.name.as_str()));
            self.report.error(Code::UnknownVariant, variant.span, message, help);
            return None;
        };
        let condition = Condition { field: id, variant: VariantId(index), is };
        if self.conditions.iter().any(|outer| outer.excludes(condition)) {
            let message = "this never holds, for what the `when` around it says";
            let help = "remove it, or move it out of the other";
            self.report.error(Code::Contradiction, variant.span, message, help);
            return None;
        }
        Some(condition)
    }

    fn targets(&mut self, words: &'a [Word], filled: bool) -> Vec<Target> {
        words.iter().filter_map(|word| self.target(word, filled)).collect()
    }

    fn target(&mut self, word: &'a Word, filled: bool) -> Option<Target> {
        let target = match self.draft.find(word, self.report)? {
            Found::Table => Target::Table,
            Found::Field(id) if self.draft.is_poisoned(id) => return None,
            Found::Field(id) => {
                self.suits(id, word, filled)?;
                Target::Field(id)
            }
        };
        if self.unsure {
            return None;
        }
        let conditions = self.conditions.clone();
        self.statements.push(Statement { conditions, target, filled, word });
        Some(target)
    }

    /// Whether a field may be blank, or filled.
    fn suits(&mut self, id: FieldId, word: &Word, filled: bool) -> Option<()> {
        let name = &word.value;
        let syntax = &self.draft.syntax.fields[id.0];
        let reason = match &self.draft.record.field(id).kind {
            FieldKind::Const { .. } => Some("is a constant"),
            FieldKind::Count { .. } => Some("is a count, which follows from what it counts"),
            FieldKind::Generation => Some("is the generation, which has no blank value"),
            FieldKind::Reserved { .. } => Some("is reserved"),
            FieldKind::Value { .. } if filled => Some("is a number, which is never empty"),
            _ if !filled && syntax.echo.is_some() => {
                Some("is an echo, which repeats its key always")
            }
            FieldKind::String(string) if !filled && string.min > 0 => {
                Some("is never empty, says its `min`")
            }
            _ if self.conditions.iter().any(|condition| condition.field == id) => {
                Some("is what the `when` around the rule looks at")
            }
            _ => None,
        };
        let Some(reason) = reason else { return Some(()) };
        let message = format!("`{name}` {reason}");
        let help = match filled {
            true => "remove it: `filled` is for strings and tables that may be empty elsewhere",
            false => {
                "remove it: `blank` is for values, and for strings and tables that may be empty"
            }
        };
        self.report.error(Code::RuleTarget, word.span, message, help);
        None
    }

    /// Reports a target that is blank and filled wherever one of the two holds.
    fn contradictions(&mut self) {
        let covers = |outer: &Statement<'_>, inner: &Statement<'_>| {
            outer
                .conditions
                .iter()
                .all(|outer| inner.conditions.iter().any(|each| each.implies(*outer)))
        };
        for (index, later) in self.statements.iter().enumerate() {
            let clashes = |earlier: &&Statement<'_>| {
                earlier.target == later.target
                    && earlier.filled != later.filled
                    && (covers(earlier, later) || covers(later, earlier))
            };
            if let Some(earlier) = self.statements[..index].iter().find(clashes) {
                let message = format!("`{}` would be blank and filled at once", later.word.value);
                self.report.error(
                    Code::Contradiction,
                    later.word.span,
                    message,
                    "remove one of the two",
                );
                self.report.also(earlier.word.span, "the other");
            }
        }
    }
}
