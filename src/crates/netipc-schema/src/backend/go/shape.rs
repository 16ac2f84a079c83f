//! What templates see of a shape's parts: the keys and answers of a lookup, the identity of a snapshot.

use minijinja::{Value, context};

use super::record::{field_model, stem, visible};
use super::{fields, text};
use crate::backend::bodies::{Body, Role};
use crate::backend::keys::KeyKind;
use crate::backend::roles::{answers, echo, is_blank, settable, statuses};
use crate::ir::{Echo, Field, FieldKind, LookupRoles, Service, Shape};

/// A lookup's keys and roles; nothing for other shapes.
pub(super) fn lookup(service: &Service, records: &[Body<'_>]) -> Option<Value> {
    let Shape::Lookup(roles) = service.shape else { return None };
    let item = records.iter().find(|body| matches!(body.role, Role::Item))?;
    let key = records.iter().find(|body| matches!(body.role, Role::Key));
    let kind = KeyKind::of_service(service, records)?;
    let statuses = statuses(item, roles);
    let status = item.record.field(roles.status);
    let variant = |index: usize| fields::variant(statuses, &statuses.variants[index]);
    let (kind_name, key_type, view_type) = match (kind, key) {
        (KeyKind::Text(_), _) => ("text", "string".to_owned(), "payload.StringView".to_owned()),
        (KeyKind::Number(field), Some(key)) => {
            let ty = fields::owned_type(key, field);
            ("number", ty.clone(), ty)
        }
        (_, key) => {
            let ty = key.map(stem).unwrap_or_default();
            ("numbers", ty.clone(), ty)
        }
    };
    let nuls = item.strings().count();
    let key_size = key.map_or(0, Body::size);
    Some(context! {
        kind => kind_name,
        key_type => key_type,
        view_type => view_type,
        key_size => key_size,
        echoes => echoes(item, key),
        beginnings => beginnings(item, key, roles),
        status => field_model(item, status),
        retry => variant(roles.retry.0),
        oversized => variant(roles.oversized.0),
        smallest => item.size() + nuls,
        answers => answer_models(item, roles),
        settable => settable(item, roles).into_iter().map(|field| field_model(item, field)).collect::<Vec<_>>(),
        generation => generation(service),
    })
}

/// The name of the response's generation.
fn generation(service: &Service) -> String {
    let mut fields = service.response.header.fields.iter();
    let field = fields.find(|field| field.kind == FieldKind::Generation);
    field.map(|field| field.name.go_exported()).unwrap_or_default()
}

/// The item's fields that repeat the key, and what of the key each repeats.
fn echoes(item: &Body<'_>, key: Option<&Body<'_>>) -> Vec<Value> {
    let echoes = item.record.fields.iter().filter_map(|field| Some((field, echo(field)?)));
    let model = |(field, echo)| {
        let part = match echo {
            Echo::Key => None,
            Echo::KeyField(id) => key.map(|key| field_model(key, key.record.field(id))),
        };
        context! { field => field_model(item, field), part => part }
    };
    echoes.map(model).collect()
}

/// Statements that make `f` the fields of a blank item with a status that answers a key. Each field is
/// set once: what is set to zero first is set twice.
fn beginnings(item: &Body<'_>, key: Option<&Body<'_>>, roles: LookupRoles) -> Vec<String> {
    let statement = |field: &Field| match echo(field) {
        _ if std::ptr::eq(field, item.record.field(roles.status)) => " = status".to_owned(),
        Some(Echo::Key) => ".Set(text, raw)".to_owned(),
        Some(Echo::KeyField(id)) => match key.map(|key| (key, KeyKind::of_record(key))) {
            Some((key, KeyKind::Numbers)) => {
                format!(" = key.{}", key.record.field(id).name.go_exported())
            }
            _ => " = key".to_owned(),
        },
        None if fields::is_string(field) => ".Set(\"\", nil)".to_owned(),
        None => format!(" = {}", fields::blank(item, field).0),
    };
    let fields =
        visible(item).map(|field| format!("f.{}{}", field.name.go_local(), statement(field)));
    let table = item.table().map(|table| format!("f.{} = nil", table.name.go_local()));
    fields.chain(table).collect()
}

/// One for each status that a handler may answer.
fn answer_models(item: &Body<'_>, roles: LookupRoles) -> Vec<Value> {
    let statuses = statuses(item, roles);
    let model = |index: usize| {
        let variant = &statuses.variants[index];
        context! {
            method => variant.name.go_exported(),
            variant => fields::variant(statuses, variant),
            text => variant.name.kebab(),
            doc => text::sentence(&variant.doc),
            blank => is_blank(item, roles, index),
        }
    };
    answers(item, roles).into_iter().map(model).collect()
}

/// What tells a snapshot's items apart; nothing for other shapes.
pub(super) fn identity(service: &Service, records: &[Body<'_>]) -> Option<Value> {
    let Shape::Snapshot = service.shape else { return None };
    let item = records.iter().find(|body| matches!(body.role, Role::Item))?;
    let fields: Vec<_> =
        item.record.identity.iter().map(|id| field_model(item, item.record.field(*id))).collect();
    Some(context! { fields => fields, generation => generation(service) })
}
