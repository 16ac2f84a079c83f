//! The records of a service with what generating them needs to know at hand, in any language.

use crate::ir::{
    Directory, Element, Enum, EnumId, Field, FieldKind, Record, Service, Strictness, StringSpec,
    Table,
};

/// One record of a service: a message's header or a directory's element.
pub(super) struct Body<'s> {
    pub(super) service: &'s Service,
    pub(super) record: &'s Record,
    /// `Request`, `Response`, `Item`, `Key`.
    pub(super) stem: String,
    /// The same in functions: `request`, `response`, `item`, `key`.
    pub(super) snake: String,
    /// For docs: `the response`, `an item`.
    pub(super) noun: String,
    pub(super) role: Role<'s>,
    pub(super) strictness: Strictness,
}

/// Where a record stands.
#[derive(Clone, Copy)]
pub(super) enum Role<'s> {
    /// A message's own record, with what follows it.
    Message(Option<&'s Directory>),
    /// An element of the response's directory.
    Item,
    /// An element of the request's directory: numbers alone.
    Key,
}

/// The records of a service: request, its key, response, its item.
pub(super) fn of(service: &Service) -> Vec<Body<'_>> {
    let mut bodies = Vec::new();
    for (message, stem, role) in
        [(&service.request, "Request", Role::Key), (&service.response, "Response", Role::Item)]
    {
        let body = |record, stem: String, snake: String, noun: String, role| Body {
            service,
            record,
            stem,
            snake,
            noun,
            role,
            strictness: service.shape.strictness(),
        };
        if let Some(Directory { name, element: Element::Record(record), .. }) = &message.directory {
            let one = name.singular();
            let noun = format!("one of the {}", name.snake().replace('_', " "));
            bodies.push(body(record, one.pascal(), one.snake(), noun, role));
        }
        let snake = stem.to_ascii_lowercase();
        let noun = format!("the {snake}");
        let role = Role::Message(message.directory.as_ref());
        bodies.push(body(&message.header, stem.to_owned(), snake, noun, role));
    }
    bodies
}

impl<'s> Body<'s> {
    /// Bytes of the fixed part.
    pub(super) const fn size(&self) -> usize {
        self.record.size as usize
    }

    pub(super) fn directory(&self) -> Option<&'s Directory> {
        match self.role {
            Role::Message(directory) => directory,
            Role::Item | Role::Key => None,
        }
    }

    pub(super) fn table(&self) -> Option<&'s Table> {
        self.record.table.as_ref()
    }

    /// Whether something lies behind the fixed part of the record itself: strings, or a table.
    pub(super) fn has_tail(&self) -> bool {
        self.strings().next().is_some() || self.table().is_some()
    }

    pub(super) fn enumeration(&self, id: EnumId) -> &'s Enum {
        &self.service.enums[id.0]
    }

    /// The string fields, in wire order.
    pub(super) fn strings(&self) -> impl Iterator<Item = &'s Field> + use<'s> {
        self.record.fields.iter().filter(|field| string(field).is_some())
    }
}

/// The limits of a string field; `None` for anything else.
pub(super) fn string(field: &Field) -> Option<&StringSpec> {
    match &field.kind {
        FieldKind::String(spec) => Some(spec),
        _ => None,
    }
}

/// Whether callers see the field: numbers, strings and the generation, but not constants and counts.
pub(super) fn is_visible(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Value { .. } | FieldKind::Generation | FieldKind::String(_))
}
