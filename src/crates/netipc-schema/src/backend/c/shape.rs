//! What lookups and snapshots have beside their records: keys, answers, identities.

use minijinja::{Value, context};

use super::record::{field_model, model, visible};
use super::{fields, record};
use crate::backend::bodies::{Body, Role, string};
use crate::backend::keys::KeyKind;
use crate::backend::roles::{answers, echo, is_blank, settable, statuses};
use crate::ir::{BareString, Echo, Field, FieldKind, Service, Shape};

/// A lookup's keys and answers; nothing for other shapes.
pub(super) fn lookup(service: &Service, records: &[Body<'_>]) -> Option<Value> {
    let Shape::Lookup(roles) = service.shape else { return None };
    let item = records.iter().find(|body| matches!(body.role, Role::Item))?;
    let key = records.iter().find(|body| matches!(body.role, Role::Key));
    let kind = KeyKind::of_service(service, records)?;
    let statuses = statuses(item, roles);
    let variant = |index: usize| fields::variant(service, statuses, &statuses.variants[index]);
    let answers: Vec<_> = answers(item, roles)
        .into_iter()
        .map(|index| {
            let variant = &statuses.variants[index];
            context! {
                name => variant.name.snake(),
                text => variant.name.kebab(),
                doc => fields::sentence(&variant.doc),
                blank => is_blank(item, roles, index),
            }
        })
        .collect();
    let settable: Vec<_> =
        settable(item, roles).into_iter().map(|field| field_model(item, field)).collect();
    Some(context! {
        answers => answers,
        settable => settable,
        status => item.record.field(roles.status).name.snake(),
        retry => variant(roles.retry.0),
        oversized => variant(roles.oversized.0),
        echoed => echoed(item, key),
        ..keys(kind, key)
    })
}

/// How keys are passed.
fn keys(kind: KeyKind<'_>, key: Option<&Body<'_>>) -> Value {
    match (kind, key) {
        (KeyKind::Text(text), _) => context! {
            kind => "text",
            key_type => "nipc_str_t",
            key_parameter => "nipc_str_t key",
            key_limits => limits(text),
        },
        (KeyKind::Number(field), Some(key)) => {
            let ty = fields::c_type(key, field);
            let model = field_model(key, field);
            context! {
                kind => if fields::enumeration(key, field).is_some() { "value" } else { "number" },
                key_parameter => format!("{ty} key"),
                key_type => ty,
                key_limits => "",
                field => model,
            }
        }
        (_, key) => {
            let ty = key
                .map(|key| format!("{}_{}_t", fields::prefix(key.service), key.snake))
                .unwrap_or_default();
            context! {
                kind => "record",
                key_parameter => format!("const {ty} *key"),
                key_type => ty,
                key_limits => "",
            }
        }
    }
}

fn limits(text: &BareString) -> String {
    match (text.min, text.max) {
        (0, None) => String::new(),
        (0, Some(max)) => format!("at most {max} bytes"),
        (min, None) => format!("at least {min} of its bytes"),
        (min, Some(max)) => format!("from {min} to {max} bytes"),
    }
}

/// The expression of Rust that is the key which an item repeats.
fn echoed(item: &Body<'_>, key: Option<&Body<'_>>) -> String {
    let parts = item.record.fields.iter().filter_map(|field| Some((field, echo(field)?)));
    let write = |field: &Field| record::write_expression(item, field);
    let numbers: Vec<_> = parts
        .clone()
        .filter_map(|(field, echo)| match echo {
            Echo::Key => None,
            Echo::KeyField(id) => Some((key?.record.field(id).name.snake(), write(field))),
        })
        .collect();
    match key {
        Some(key) if matches!(KeyKind::of_record(key), KeyKind::Numbers) => {
            let numbers: Vec<_> =
                numbers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("service::{} {{ {} }}", key.stem, numbers.join(", "))
        }
        _ => parts.map(|(field, _)| write(field)).next().unwrap_or_default(),
    }
}

/// What tells a snapshot's items apart; nothing for other shapes.
pub(super) fn identity(service: &Service, records: &[Body<'_>]) -> Vec<Value> {
    let item = records.iter().find(|body| matches!(body.role, Role::Item));
    let Some(item) = item.filter(|_| service.shape == Shape::Snapshot) else { return Vec::new() };
    item.record.identity.iter().map(|id| field_model(item, item.record.field(*id))).collect()
}

/// Whether headers can find an item by themselves: what is hashed is numbers alone, where the first part of an
/// identity is a number. The values of an enumeration are hashed as their numbers.
pub(super) fn is_found_here(service: &Service, records: &[Body<'_>]) -> bool {
    let item = records.iter().find(|body| matches!(body.role, Role::Item));
    let Some(item) = item.filter(|_| service.shape == Shape::Snapshot) else { return false };
    let first = item.record.identity.first().map(|id| item.record.field(*id));
    first.is_some_and(|first| fields::scalar(first).is_some())
}

/// The response's generation alone, as a record with nothing else.
pub(super) fn generation(records: &[Body<'_>]) -> Option<Value> {
    let response = records.iter().find(|body| body.stem == "Response")?;
    let generation = visible(response).find(|field| field.kind == FieldKind::Generation)?;
    debug_assert!(string(generation).is_none(), "a generation is a number");
    Some(context! {
        fields => [field_model(response, generation)],
        table => Value::from(()),
        name => generation.name.snake(),
        ..model(response)
    })
}
