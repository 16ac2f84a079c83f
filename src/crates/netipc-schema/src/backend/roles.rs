//! What the roles and rules of a lookup say of its items.

use super::bodies::{Body, is_visible, string};
use crate::ir::{Echo, Enum, Field, FieldKind, LookupRoles, Rule, Target};

/// The enumeration of the item's status.
pub(super) fn statuses<'s>(item: &Body<'s>, roles: LookupRoles) -> &'s Enum {
    match item.record.field(roles.status).kind {
        FieldKind::Value { enumeration: Some(id), .. } => item.enumeration(id),
        _ => unreachable!("the model's lookup roles name a field with an enumeration"),
    }
}

/// The indexes of the statuses that a handler may answer: all but the overflow ones.
pub(super) fn answers(item: &Body<'_>, roles: LookupRoles) -> Vec<usize> {
    let all = 0..statuses(item, roles).variants.len();
    all.filter(|index| *index != roles.retry.0 && *index != roles.oversized.0).collect()
}

/// The fields that a handler may set: not the status, not what repeats the key.
pub(super) fn settable<'s>(item: &Body<'s>, roles: LookupRoles) -> Vec<&'s Field> {
    let status = item.record.field(roles.status);
    let fields = item.record.fields.iter().filter(|field| is_visible(field));
    fields.filter(|field| !std::ptr::eq(*field, status) && echo(field).is_none()).collect()
}

/// What the field repeats of the key.
pub(super) fn echo(field: &Field) -> Option<Echo> {
    match &field.kind {
        FieldKind::Value { echo, .. } => *echo,
        _ => string(field).and_then(|spec| spec.echo),
    }
}

/// Whether the rules leave an item of that status nothing to say.
pub(super) fn is_blank(item: &Body<'_>, roles: LookupRoles, status: usize) -> bool {
    let mut blank = Vec::new();
    collect_blank(&item.record.rules, roles, status, &mut blank);
    let is_target = |field: &Field| {
        blank.iter().any(|target| match target {
            Target::Field(id) => std::ptr::eq(item.record.field(*id), field),
            Target::Table => false,
        })
    };
    let table_is_blank = item.record.table.is_none() || blank.contains(&Target::Table);
    table_is_blank && settable(item, roles).into_iter().all(is_target)
}

/// The targets that must be blank whenever the item has that status.
fn collect_blank(rules: &[Rule], roles: LookupRoles, status: usize, blank: &mut Vec<Target>) {
    for rule in rules {
        match rule {
            Rule::When { field, variant, is, then } => {
                if *field == roles.status && (variant.0 == status) == *is {
                    collect_blank(then, roles, status, blank);
                }
            }
            Rule::Blank(targets) => blank.extend(targets),
            Rule::Filled(_) => {}
        }
    }
}
