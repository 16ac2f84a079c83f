//! The keys of a lookup: a string alone, a number alone, or several numbers.

use super::bodies::{Body, Role, is_visible};
use crate::ir::{BareString, Element, Field, Service};

#[derive(Clone, Copy)]
pub(super) enum KeyKind<'s> {
    Text(&'s BareString),
    Number(&'s Field),
    Numbers,
}

impl<'s> KeyKind<'s> {
    /// The kind of the keys that `service` asks with; `None` if it is no lookup.
    pub(super) fn of_service(service: &'s Service, bodies: &[Body<'s>]) -> Option<Self> {
        match &service.request.directory.as_ref()?.element {
            Element::BareString(text) => Some(Self::Text(text)),
            Element::Record(_) => {
                bodies.iter().find(|body| matches!(body.role, Role::Key)).map(Self::of_record)
            }
        }
    }

    pub(super) fn of_record(body: &Body<'s>) -> Self {
        let mut fields = body.record.fields.iter().filter(|field| is_visible(field));
        match (fields.next(), fields.next()) {
            (Some(only), None) => Self::Number(only),
            _ => Self::Numbers,
        }
    }
}
