//! What templates see of a record: its fields as C has them, and how the glue takes each across.

use minijinja::{Value, context};

use super::fields;
use super::layout::{self, Member};
use crate::backend::bodies::{Body, Role, is_visible, string};
use crate::backend::keys::KeyKind;
use crate::backend::roles::echo;
use crate::ir::{Field, Scalar};

/// Words that a view of a payload with a directory takes beside its own fields, a mark among them.
const LISTING_WORDS: usize = 8;

pub(super) fn model(body: &Body<'_>) -> Value {
    let role = match body.role {
        Role::Message(None) => "message",
        Role::Message(Some(_)) => "listing",
        Role::Item => "item",
        Role::Key => "key",
    };
    let fields: Vec<_> = visible(body).map(|field| field_model(body, field)).collect();
    let (prefix, macros) = (fields::prefix(body.service), fields::macro_prefix(body.service));
    context! {
        role => role,
        stem => body.snake.as_str(),
        rust => body.stem.as_str(),
        noun => body.noun.as_str(),
        c => format!("{prefix}_{}", body.snake),
        init => format!("{macros}_{}_INIT", body.snake.to_ascii_uppercase()),
        fields => fields,
        table => table(body),
        directory => directory(body),
        is_empty => members(body, Side::Written).is_empty(),
        is_number_key => matches!((body.role, KeyKind::of_record(body)), (Role::Key, KeyKind::Number(_))),
        borrows => body.has_tail() || body.directory().is_some(),
        view_words => LISTING_WORDS,
        is_marked => is_marked(body),
        is_plain => is_plain(body),
        fixed_bytes => body.size(),
        texts_at => body.strings().map(|field| field.offset).collect::<Vec<_>>(),
        written_bytes => layout::size(&members(body, Side::Written)),
        view_bytes => layout::size(&members(body, Side::Read)),
    }
}

pub(super) fn visible<'s>(body: &Body<'s>) -> impl Iterator<Item = &'s Field> + use<'s> {
    body.record.fields.iter().filter(|field| is_visible(field))
}

/// A visible field.
pub(super) fn field_model(body: &Body<'_>, field: &Field) -> Value {
    let name = field.name.snake();
    let enumeration = fields::enumeration(body, field);
    let scalar = fields::scalar(field);
    let rust_enum = enumeration.map(|each| each.name.pascal());
    let is_closed = enumeration.is_some_and(|each| !each.open);
    let first = enumeration.filter(|each| !each.open).and_then(|each| each.variants.first());
    // The value of a view, as C has it.
    let read = match (scalar, enumeration) {
        (None, _) => format!("nipc_str_t::new(view.{name}())"),
        (Some(_), Some(_)) => format!("view.{name}().to_wire()"),
        (Some(_), None) => format!("view.{name}()"),
    };
    context! {
        name => name.as_str(),
        c_type => fields::c_type(body, field),
        rust_type => scalar.map_or("nipc_str_t", |scalar| scalar.as_str()),
        doc => fields::doc(field),
        is_string => string(field).is_some(),
        is_closed => is_closed,
        is_echo => echo(field).is_some(),
        rust_enum => rust_enum,
        first => first.map(|variant| variant.name.pascal()),
        blank => fields::blank(body, field),
        read => read,
        at => read_in_place(field),
        at_found => read_in_place(field).replace("record", "record_"),
        offset => field.offset,
        hashed => hashed(field),
        write => write_expression(body, field),
        own => own_expression(body, field),
        copy => copy_expression(body, field),
        set => write_expression(body, field).replace("from.", ""),
        identity => match string(field) {
            Some(_) => format!("BStr::new(caller.in_str({name}, \"{name}\")?)"),
            None => write_expression(body, field).replace("from.", ""),
        },
    }
}

/// The expression of Rust that is what builders take, of a C struct `from`. It fails by `?`.
pub(super) fn write_expression(body: &Body<'_>, field: &Field) -> String {
    let name = field.name.snake();
    match fields::enumeration(body, field) {
        Some(each) if each.open => {
            format!("service::{}::from_wire(from.{name})", each.name.pascal())
        }
        Some(each) => format!(
            "record::known(service::{}::from_wire(from.{name}), \"{name}\", from.{name})?",
            each.name.pascal()
        ),
        None if string(field).is_some() => format!("caller.in_str(from.{name}, \"{name}\")?"),
        None => format!("from.{name}"),
    }
}

/// The same for owned types.
fn own_expression(body: &Body<'_>, field: &Field) -> String {
    let write = write_expression(body, field);
    if string(field).is_some() { format!("{write}.into()") } else { write }
}

/// The same, of a view whose strings are as good as those that callers pass.
fn copy_expression(body: &Body<'_>, field: &Field) -> String {
    own_expression(body, field).replace("from.", "view.")
}

/// The expression of C that is what a cache hashes of a number: its bits, and zeros above them.
fn hashed(field: &Field) -> String {
    let name = field.name.snake();
    match fields::scalar(field) {
        Some(Scalar::I32) => format!("(uint32_t){name}"),
        Some(Scalar::I64) => format!("(uint64_t){name}"),
        _ => name,
    }
}

/// The expression of C that is the field's value, of a record whose first byte `record` points at.
fn read_in_place(field: &Field) -> String {
    let at = field.offset;
    match fields::scalar(field) {
        Some(scalar) => format!("nipc_read_{}(record + {at})", scalar.as_str()),
        None => format!("nipc_read_str(record, {at})"),
    }
}

fn table(body: &Body<'_>) -> Option<Value> {
    let table = body.table()?;
    let count = body.record.field(table.count);
    Some(context! {
        name => table.name.snake(),
        counted_at => match count.kind.size() {
            2 => format!("nipc_read_u16(record + {})", count.offset),
            _ => format!("nipc_read_u32(record + {})", count.offset),
        },
        count => count_name(&table.name),
        doc => match table.doc.is_empty() {
            true => format!("The {}, in order: keys and values.", table.name.snake().replace('_', " ")),
            false => fields::sentence(&table.doc),
        },
    })
}

fn directory(body: &Body<'_>) -> Option<Value> {
    let directory = body.directory()?;
    Some(context! {
        name => directory.name.snake(),
        count => count_name(&directory.name),
        one => directory.name.singular().snake().replace('_', " "),
        many => directory.name.snake().replace('_', " "),
        doc => fields::sentence(&directory.doc),
    })
}

/// `label_count`: the member beside `labels`.
pub(super) fn count_name(many: &crate::name::Name) -> String {
    format!("{}_count", many.singular().snake())
}

/// The two structs of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// What callers fill in.
    Written,
    /// What they read.
    Read,
}

fn members(body: &Body<'_>, side: Side) -> Vec<Member> {
    let fields = visible(body).map(|field| match fields::scalar(field) {
        Some(scalar) => Member::Number(scalar.size() as usize),
        None => Member::Text,
    });
    let table = body.table().map(|_| match side {
        Side::Written => Member::List,
        Side::Read => Member::LabelsView,
    });
    let elements = match (body.role, side) {
        (Role::Message(Some(_)), Side::Written) => vec![Member::List],
        (Role::Message(Some(_)), Side::Read) => {
            vec![Member::Count, Member::Elements, Member::Words(LISTING_WORDS)]
        }
        (_, Side::Read) if is_marked(body) => vec![Member::Words(1)],
        _ => Vec::new(),
    };
    fields.chain(table).chain(elements).collect()
}

/// Whether nothing that callers fill in can be refused: numbers alone, of which any is right.
fn is_plain(body: &Body<'_>) -> bool {
    let is_open = |field| fields::enumeration(body, field).is_none_or(|each| each.open);
    !body.has_tail() && body.record.rules.is_empty() && visible(body).all(is_open)
}

/// Whether what is read says that it was read: the response of a call, which may be copied.
fn is_marked(body: &Body<'_>) -> bool {
    matches!(body.role, Role::Message(None))
        && std::ptr::eq(body.record, &raw const body.service.response.header)
}

/// Bytes of the builder of a response that is plain: a mark, whether it is set, and the response.
pub(super) fn plain_builder_bytes(records: &[Body<'_>]) -> usize {
    let response = records.iter().find(|body| body.stem == "Response");
    let bytes = response.map_or(0, |body| layout::size(&members(body, Side::Written)));
    2 * 8 + bytes.next_multiple_of(8)
}

/// Words that a builder of this message takes, its own fields among them.
pub(super) fn builder_words(body: &Body<'_>, base: usize) -> usize {
    base + layout::size(&members(body, Side::Written)) / 8
}
