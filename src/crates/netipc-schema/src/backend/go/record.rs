//! What templates see of a record: its fields, and the statements that check and write it.

use std::fmt::Write as _;

use minijinja::{Value, context};

use super::rules::{Rules, Side};
use super::{fields, text};
use crate::backend::bodies::{Body, Role, is_visible, string};
use crate::backend::keys::KeyKind;
use crate::ir::{Element, Field, FieldId, FieldKind, Scalar, StringSpec};
use crate::name::Name;

/// Names that a check's own variables have.
const CHECK_LOCALS: [&str; 4] = ["err", "fixed", "record", "stringsEnd"];

pub(super) fn model(body: &Body<'_>, records: &[Body<'_>]) -> Value {
    let name = stem(body);
    let role = match body.role {
        Role::Message(None) => "message",
        Role::Message(Some(_)) => "listing",
        Role::Item => "item",
        Role::Key => "key",
    };
    let visible: Vec<_> = visible(body).map(|field| field_model(body, field)).collect();
    let strings: Vec<_> = body.strings().map(|field| field_model(body, field)).collect();
    let has_directory = body.directory().is_some();
    // Elements are views of their bytes whatever they hold; a message keeps its own if it reads them.
    let reads = !visible.is_empty() || body.has_tail();
    context! {
        name => name,
        local => spelled(body).go_local(),
        noun => body.noun.as_str(),
        role => role,
        size => body.size(),
        visible => visible,
        strings => strings,
        table => table(body),
        reads => reads,
        checks => checks(body),
        members => members(body),
        // A header's fields are put behind its directory; a record's come with all the rest.
        encode => if has_directory { header(body) } else { record(body) },
        can_fail => can_fail(body),
        directory => directory(body, records),
        key_kind => match (body.role, KeyKind::of_record(body)) {
            (Role::Key, KeyKind::Number(_)) => "number",
            (Role::Key, _) => "numbers",
            _ => "",
        },
        may_overlap => has_directory && !body.strictness.ascending_elements,
    }
}

fn spelled(body: &Body<'_>) -> Name {
    Name::new(&body.snake).expect("a record's name is one of the schema, or our own")
}

/// `Item`.
pub(super) fn stem(body: &Body<'_>) -> String {
    spelled(body).go_exported()
}

pub(super) fn visible<'s>(body: &Body<'s>) -> impl Iterator<Item = &'s Field> + use<'s> {
    body.record.fields.iter().filter(|field| is_visible(field))
}

/// A visible field.
pub(super) fn field_model(body: &Body<'_>, field: &Field) -> Value {
    let (blank, blank_is_zero) = fields::blank(body, field);
    let enumeration = fields::enumeration(body, field);
    let spec = string(field);
    context! {
        name => field.name.go_exported(),
        local => field.name.go_local(),
        snake => field.name.snake(),
        doc => fields::doc(field),
        at => field.offset,
        is_string => fields::is_string(field),
        owned_type => fields::owned_type(body, field),
        get => fields::get(body, field, "v.record"),
        get_raw => fields::get(body, field, "record"),
        get_header => body.directory().map(|directory| {
            fields::get(body, field, &format!("v.{}.Payload()", directory.name.go_local()))
        }),
        blank => blank,
        blank_is_zero => blank_is_zero,
        enumeration => enumeration.map(fields::enum_type),
        is_open => enumeration.is_some_and(|each| each.open),
        variants => enumeration.map(|each| {
            each.variants.iter().map(|variant| fields::variant(each, variant)).collect::<Vec<_>>()
        }),
        min => spec.map(|spec| spec.min),
        max => spec.and_then(|spec| spec.max),
    }
}

fn table(body: &Body<'_>) -> Option<Value> {
    let table = body.table()?;
    let count = body.record.field(table.count);
    let scalar = fields::scalar(count).unwrap_or(Scalar::U16);
    let said = text::sentence(&table.doc);
    let name = table.name.go_exported();
    let doc = match said.is_empty() {
        true => format!("{name} is the table `{}`, in order: keys and values.", table.name.snake()),
        false => format!(
            "{name} is the table `{}`, in order: keys and values. {said}",
            table.name.snake()
        ),
    };
    let count = fields::get_number(scalar, "v.record", count.offset);
    Some(context! {
        name => name,
        local => table.name.go_local(),
        snake => table.name.snake(),
        doc => doc,
        count => count,
    })
}

/// The fields that builders keep, one a line, their types in a column.
fn members(body: &Body<'_>) -> Vec<String> {
    let fields = visible(body).map(|field| {
        let ty = match string(field) {
            Some(_) => "payload.Text".to_owned(),
            None => fields::owned_type(body, field),
        };
        (field.name.go_local(), ty)
    });
    let table = body.table().map(|table| (table.name.go_local(), "[]payload.Label".to_owned()));
    let members: Vec<_> = fields.chain(table).collect();
    let width = members.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    members.into_iter().map(|(name, ty)| format!("{name:width$} {ty}")).collect()
}

fn directory(body: &Body<'_>, records: &[Body<'_>]) -> Option<Value> {
    let directory = body.directory()?;
    let one = directory.name.singular();
    let name = directory.name.go_exported();
    let said = text::sentence(&directory.doc);
    let (kind, element) = match &directory.element {
        Element::BareString(_) => ("string", "payload.StringView".to_owned()),
        Element::Record(_) if body.stem == "Response" => {
            ("item", format!("{}View", one.go_exported()))
        }
        Element::Record(_) => match records.iter().find(|each| matches!(each.role, Role::Key)) {
            Some(key) => match KeyKind::of_record(key) {
                KeyKind::Number(field) => ("number", fields::owned_type(key, field)),
                _ => ("numbers", stem(key)),
            },
            None => ("item", format!("{}View", one.go_exported())),
        },
    };
    let (min, max) = match &directory.element {
        Element::BareString(text) => fields::limits(text.min, text.max),
        Element::Record(_) => fields::limits(0, None),
    };
    let text = match &directory.element {
        Element::BareString(text) => text.name.snake(),
        Element::Record(_) => String::new(),
    };
    Some(context! {
        name => name,
        local => directory.name.go_local(),
        snake => directory.name.snake(),
        words => directory.name.snake().replace('_', " "),
        one => one.go_exported(),
        doc => said,
        kind => kind,
        element => element,
        min => min,
        max => max,
        text => text,
        ascending => body.strictness.ascending_elements.to_string(),
        count => fields::get_number(Scalar::U32, "record", body.record.field(directory.count).offset),
    })
}

/// Names for the variables of a check, none of them taken.
struct Locals(Vec<String>);

impl Locals {
    fn of(body: &Body<'_>) -> Self {
        let mut names: Vec<String> = Vec::new();
        let table = body.table().map(|table| &table.name);
        let fields = body.record.fields.iter().map(|field| &field.name);
        for name in fields.chain(table) {
            let mut local = name.go_local();
            while CHECK_LOCALS.contains(&local.as_str())
                || text::is_package(&local)
                || (names.contains(&local) && name.as_str() != "reserved")
            {
                local.push_str("Value");
            }
            names.push(local);
        }
        Self(names)
    }

    fn field(&self, id: FieldId) -> String {
        self.0[id.0].clone()
    }

    fn table(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }
}

/// Everything that a decoder rejects (spec section 10.7).
fn checks(body: &Body<'_>) -> String {
    let locals = Locals::of(body);
    let local = |id: FieldId| locals.field(id);
    let rules = Rules { body, side: Side::Decoder(&local, locals.table()) }.statements();
    let mut text = String::new();
    for (id, field) in body.record.ids() {
        text += &fixed_field(body, field, &locals.field(id), &rules);
    }
    for (id, field) in body.record.ids() {
        if let Some(spec) = string(field) {
            text += &span(field, spec, &locals.field(id));
        }
    }
    text += &tail(body, &locals, &rules);
    text += &rules;
    let size = body.size();
    let mut opening = String::new();
    if size > 0 {
        let _ = writeln!(
            opening,
            "\tif len(record) < {size} {{\n\t\treturn payload.Reject(protocol.DefectTruncated, len(record))\n\t}}"
        );
    }
    if text.contains("fixed[") {
        let _ = writeln!(opening, "\tfixed := (*[{size}]byte)(record)");
    }
    opening + &text
}

fn refuse_if(condition: &str, defect: &str, at: u32) -> String {
    format!("\tif {condition} {{\n\t\treturn payload.Reject(protocol.Defect{defect}, {at})\n\t}}\n")
}

/// The check of a number by itself, and a variable for it where a rule looks at it.
fn fixed_field(body: &Body<'_>, field: &Field, local: &str, rules: &str) -> String {
    let at = field.offset;
    match &field.kind {
        FieldKind::Const { scalar, value } => {
            let found = fields::get_number(*scalar, "fixed", at);
            refuse_if(&format!("{found} != {}", fields::number(*scalar, *value)), "Layout", at)
        }
        FieldKind::Reserved { bytes } => refuse_if(&is_not_zero(field, *bytes), "Reserved", at),
        FieldKind::Value { .. } => {
            let value = fields::get(body, field, "fixed");
            let closed = fields::enumeration(body, field).is_some_and(|each| !each.open);
            // A rule starts with its variable, or has it behind `if`.
            let is_ruled = rules.contains(&format!("if {local} "));
            let value_name = if is_ruled { local.to_owned() } else { value.clone() };
            let mut text = String::new();
            if is_ruled {
                let _ = writeln!(text, "\t{local} := {value}");
            }
            if closed {
                text += &refuse_if(&format!("!{value_name}.Valid()"), "Enum", at);
            }
            text
        }
        FieldKind::Count { .. } | FieldKind::Generation | FieldKind::String(_) => String::new(),
    }
}

/// Whether one of a reserved field's bytes is not zero.
fn is_not_zero(field: &Field, bytes: u32) -> String {
    let scalars = [Scalar::U8, Scalar::U16, Scalar::U32, Scalar::U64];
    match scalars.into_iter().find(|scalar| scalar.size() == bytes) {
        Some(scalar) => format!("{} != 0", fields::get_number(scalar, "fixed", field.offset)),
        None => format!("!payload.IsZero(fixed[{}:{}])", field.offset, field.offset + bytes),
    }
}

/// A string field's place and length.
fn span(field: &Field, spec: &StringSpec, local: &str) -> String {
    let at = field.offset;
    let mut text = format!("\t{local} := payload.SpanAt(record, {at})\n");
    if let Some(place) = spec.place {
        text += &refuse_if(&format!("{local}.Offset != {place}"), "Layout", at);
    }
    let breach = match (spec.min, spec.max) {
        (0, None) => return text,
        (min, None) => format!("{local}.Length < {min}"),
        (0, Some(max)) => format!("{local}.Length > {max}"),
        (min, Some(max)) => format!("{local}.Length < {min} || {local}.Length > {max}"),
    };
    text + &refuse_if(&breach, "StringLength", at)
}

/// The strings, the table, and where the record must end.
fn tail(body: &Body<'_>, locals: &Locals, rules: &str) -> String {
    let size = body.size();
    let spans: Vec<_> = body
        .record
        .ids()
        .filter(|(_, field)| string(field).is_some())
        .map(|(id, _)| locals.field(id))
        .collect();
    let exact = body.strictness.exact_end && !matches!(body.role, Role::Message(_));
    let (mut text, end) = match (spans.is_empty(), exact || body.table().is_some()) {
        (true, _) => (String::new(), size.to_string()),
        (false, needs_end) => {
            let nuls = body.strictness.no_inner_nul;
            let spans = spans.join(", ");
            let call = format!("payload.CheckStrings(record, {size}, {nuls}, {spans})");
            let refusal = "\tif err != nil {\n\t\treturn err\n\t}\n";
            match needs_end {
                true => {
                    (format!("\tstringsEnd, err := {call}\n{refusal}"), "stringsEnd".to_owned())
                }
                false => (
                    format!("\tif _, err := {call}; err != nil {{\n\t\treturn err\n\t}}\n"),
                    String::new(),
                ),
            }
        }
    };
    if let Some(table) = body.table() {
        let count = body.record.field(table.count);
        let scalar = fields::scalar(count).unwrap_or(Scalar::U16);
        let found = fields::get_number(scalar, "fixed", count.offset);
        let found = if scalar == Scalar::U32 { found } else { format!("uint32({found})") };
        let is_ruled = rules.contains(&format!("if {} ", locals.table()));
        let argument = match is_ruled {
            true => {
                let _ = writeln!(text, "\t{} := {found}", locals.table());
                locals.table().to_owned()
            }
            false => found,
        };
        let _ = writeln!(
            text,
            "\tif err := payload.CheckLabels(record, {end}, {argument}, {}); err != nil {{\n\t\treturn err\n\t}}",
            count.offset
        );
    } else if exact {
        let at = if end == "stringsEnd" { end.clone() } else { size.to_string() };
        let _ = writeln!(
            text,
            "\tif len(record) != {end} {{\n\t\treturn payload.Reject(protocol.DefectTrailing, {at})\n\t}}"
        );
    }
    text
}

/// Statements that write the fixed part of a header, `count` elements behind it, to `fixed`.
fn header(body: &Body<'_>) -> String {
    let rules = Rules { body, side: Side::Builder(false) }.statements();
    let values = check_values(body, false);
    let puts: String = body.record.fields.iter().map(|field| put_field(field, "count")).collect();
    let size = body.size();
    format!("{values}{rules}\tfixed := (*[{size}]byte)(header)\n{puts}")
}

/// Statements that write a whole record to `out`.
fn record(body: &Body<'_>) -> String {
    let size = body.size();
    let mut text = check_values(body, true);
    for field in body.strings() {
        text += &check_limits(field);
        if body.strictness.no_inner_nul {
            text += &refuse_inner_nul(field);
        }
    }
    if let Some(table) = body.table() {
        let scalar = fields::scalar(body.record.field(table.count)).unwrap_or(Scalar::U16);
        let (local, snake) = (table.name.go_local(), table.name.snake());
        let most = if scalar == Scalar::U16 { "65535" } else { "uint64(payload.Unlimited)" };
        let length = match scalar {
            Scalar::U16 => format!("len(f.{local})"),
            _ => format!("uint64(len(f.{local}))"),
        };
        let _ = writeln!(
            text,
            "\tif {length} > {most} {{\n\t\treturn 0, payload.Forbid(\"{snake}\", payload.FaultCount)\n\t}}"
        );
    }
    text += &Rules { body, side: Side::Builder(true) }.statements();
    let nuls = body.strings().count();
    let least = size + nuls;
    let lengths: String = body
        .strings()
        .map(|field| format!(" + uint64(f.{}.Len())", field.name.go_local()))
        .collect();
    let needed = match lengths.is_empty() {
        true => least.to_string(),
        false => {
            let _ = writeln!(text, "\tneeded := {least}{lengths}");
            "needed".to_owned()
        }
    };
    let _ = writeln!(
        text,
        "\tif !payload.Fits(out, {needed}) {{\n\t\treturn 0, payload.ErrNoSpace\n\t}}"
    );
    let count = body.table().map(|table| format!("len(f.{})", table.name.go_local()));
    let puts: String = body
        .record
        .fields
        .iter()
        .map(|field| put_field(field, count.as_deref().unwrap_or("0")))
        .collect();
    if puts.contains("fixed[") {
        let _ = writeln!(text, "\tfixed := (*[{size}]byte)(out)");
    }
    text + &puts + &put_tail(body)
}

/// The strings and the table, and the record's length.
fn put_tail(body: &Body<'_>) -> String {
    let size = body.size();
    let mut text = String::new();
    let mut end = size.to_string();
    for field in body.strings() {
        let operator = if end == "end" { "=" } else { ":=" };
        let _ = writeln!(
            text,
            "\tend {operator} payload.PutText(out, {}, {end}, &f.{})",
            field.offset,
            field.name.go_local()
        );
        end = "end".to_owned();
    }
    match body.table() {
        Some(table) => {
            let (local, snake) = (table.name.go_local(), table.name.snake());
            let _ =
                writeln!(text, "\treturn payload.PutLabels(out, {end}, f.{local}, \"{snake}\")");
        }
        None => {
            let _ = writeln!(text, "\treturn {end}, nil");
        }
    }
    text
}

/// Refuses numbers that a closed enumeration does not have: in Go anybody can make one.
fn check_values(body: &Body<'_>, with_length: bool) -> String {
    let closed = visible(body)
        .filter(|field| fields::enumeration(body, field).is_some_and(|each| !each.open));
    let length = if with_length { "0, " } else { "" };
    closed
        .map(|field| {
            let (local, snake) = (field.name.go_local(), field.name.snake());
            format!(
                "\tif !f.{local}.Valid() {{\n\t\treturn {length}payload.Forbid(\"{snake}\", payload.FaultValue)\n\t}}\n"
            )
        })
        .collect()
}

fn refuse_inner_nul(field: &Field) -> String {
    let (local, snake) = (field.name.go_local(), field.name.snake());
    format!(
        "\tif f.{local}.HoldsNUL() {{\n\t\treturn 0, payload.Forbid(\"{snake}\", payload.FaultInnerNul)\n\t}}\n"
    )
}

/// Whether the values of a header's fields can be refused.
fn can_fail(body: &Body<'_>) -> bool {
    let rules = Rules { body, side: Side::Builder(false) }.statements();
    !rules.is_empty() || !check_values(body, false).is_empty()
}

fn check_limits(field: &Field) -> String {
    match string(field) {
        Some(spec) if spec.min > 0 || spec.max.is_some() => {
            let (local, snake) = (field.name.go_local(), field.name.snake());
            let (min, max) = fields::limits(spec.min, spec.max);
            format!(
                "\tif !f.{local}.Within({min}, {max}) {{\n\t\treturn 0, payload.ForbidLength(\"{snake}\", f.{local}.Len(), {min}, {max})\n\t}}\n"
            )
        }
        _ => String::new(),
    }
}

/// Writes a field of the fixed part; strings are written with their text.
fn put_field(field: &Field, count: &str) -> String {
    let statement = match &field.kind {
        FieldKind::Value { scalar, enumeration, .. } => {
            let value = format!("f.{}", field.name.go_local());
            fields::put(field, *scalar, &value, enumeration.is_some())
        }
        FieldKind::Generation => {
            fields::put(field, Scalar::U64, &format!("f.{}", field.name.go_local()), false)
        }
        FieldKind::Const { scalar, value } => {
            let unsigned = match scalar {
                Scalar::I32 => Scalar::U32,
                Scalar::I64 => Scalar::U64,
                unsigned => *unsigned,
            };
            fields::put(field, unsigned, &fields::wire_number(*scalar, *value), false)
        }
        FieldKind::Count { scalar } => fields::put(field, *scalar, count, count != "count"),
        FieldKind::Reserved { bytes } => {
            format!("clear(fixed[{}:{}])", field.offset, field.offset + bytes)
        }
        FieldKind::String(_) => return String::new(),
    };
    format!("\t{statement}\n")
}
