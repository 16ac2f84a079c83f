//! What stands in the braces of `request`, `response`, `directory` and `when`.

use kdl::KdlNode;

use super::reader::{Reader, unknown_node};
use super::{
    BareString, Directory, Field, FieldKind, Identity, Record, Rule, Spanned, Table, Word,
};
use crate::diagnostic::{Code, Report};
use crate::ir::Scalar;
use crate::suggest;

const RULES: [&str; 3] = ["when", "blank", "filled"];

/// The deepest nesting of `when`.
const MAX_CONDITIONS: usize = 8;

/// `request { … }` and `response { … }`.
pub(super) fn message(node: &KdlNode, report: &mut Report) -> Record {
    let mut reader = Reader::new(node, report);
    let keyword = reader.keyword();
    let nodes = reader.block(&format!("{} {{ u32 value }}", keyword.value));
    reader.finish();
    record(keyword, nodes, Inside::Message, report)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Message,
    Element,
}

impl Inside {
    /// The nodes that may stand there, beside the types of numbers.
    fn nodes(self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = match self {
            Self::Message => &["directory"],
            Self::Element => &["bare-string", "identity"],
        };
        ["string", "reserved", "table"].iter().chain(own).chain(&RULES).copied()
    }
}

fn record(keyword: Word, nodes: &[KdlNode], inside: Inside, report: &mut Report) -> Record {
    let mut record = Record {
        keyword,
        fields: Vec::new(),
        tables: Vec::new(),
        directories: Vec::new(),
        bare_strings: Vec::new(),
        identities: Vec::new(),
        rules: Vec::new(),
    };
    for node in nodes {
        match (node.name().value(), inside) {
            ("directory", Inside::Message) => record.directories.extend(directory(node, report)),
            ("bare-string", Inside::Element) => {
                record.bare_strings.extend(bare_string(node, report));
            }
            ("identity", Inside::Element) => record.identities.push(identity(node, report)),
            ("table", _) => record.tables.extend(table(node, report)),
            (word, _) if RULES.contains(&word) => record.rules.extend(rule(node, 0, report)),
            (word @ ("directory" | "bare-string" | "identity" | "enum"), _) => {
                let parent = format!("`{}`", record.keyword.value);
                let known: Vec<_> = inside.nodes().filter(|known| *known != word).collect();
                unknown_node(node, &parent, &known, report);
            }
            _ => {
                let field = field(node, inside, report);
                in_front(&record, &field, report);
                record.fields.push(field);
            }
        }
    }
    record
}

/// The order of the text is the order of the bytes.
fn in_front(record: &Record, field: &Field, report: &mut Report) {
    let behind = record.tables.iter().map(|table| ("table", &table.name));
    let behind =
        behind.chain(record.directories.iter().map(|each| ("directory", &each.name))).next();
    if let Some((what, name)) = behind {
        let message = format!("a field stands behind the {what} `{}`", name.value);
        let help = format!("move it in front of the {what}: the text has the order of the bytes");
        report.error(Code::Order, field.keyword.span, message, help);
        report.also(name.span, &format!("the {what}"));
    }
}

fn field(node: &KdlNode, inside: Inside, report: &mut Report) -> Field {
    let word = node.name().value();
    let kind = match word {
        "string" => FieldKind::String,
        "reserved" => FieldKind::Reserved(None),
        _ => match Scalar::ALL.into_iter().find(|scalar| scalar.as_str() == word) {
            Some(scalar) => FieldKind::Scalar(scalar),
            None => return unknown_type(node, inside, report),
        },
    };
    let mut reader = Reader::new(node, report);
    let keyword = reader.keyword();
    let nameless = Spanned { value: String::new(), span: keyword.span };
    let mut field = blank_field(kind, keyword, nameless);
    if let FieldKind::Reserved(_) = field.kind {
        field.kind = FieldKind::Reserved(reader.integer("reserved BYTES"));
        field.name.value = "reserved".to_owned();
        field.at = reader.integer_property("at");
        reader.finish();
        return field;
    }
    if let Some(name) = reader.word(&format!("{} NAME", field.keyword.value)) {
        field.name = name;
    }
    match field.kind {
        FieldKind::String => {
            field.min = reader.integer_property("min");
            field.max = reader.integer_property("max");
            field.place = reader.integer_property("place");
        }
        _ => {
            field.constant = reader.integer_property("const");
            field.enumeration = reader.word_property("enum");
            field.blank = reader.integer_property("blank");
            field.count_of = reader.word_property("count-of");
            field.role = reader.word_property("role");
        }
    }
    field.echo = reader.word_property("echo");
    field.at = reader.integer_property("at");
    field.doc = reader.text_property("doc");
    reader.finish();
    field
}

/// Reported once, and kept so that what names it is not reported too.
fn unknown_type(node: &KdlNode, inside: Inside, report: &mut Report) -> Field {
    let keyword = super::reader::keyword(node);
    let types = Scalar::ALL.iter().map(|scalar| scalar.as_str());
    let message = format!("there is no type or node `{}`", keyword.value);
    let help = suggest::help(&keyword.value, types.chain(inside.nodes()));
    report.error(Code::UnknownType, keyword.span, message, help);
    let first = node.entries().iter().find(|entry| entry.name().is_none());
    let value = first.and_then(|entry| entry.value().as_string()).unwrap_or_default().to_owned();
    let name = Spanned { value, span: keyword.span };
    blank_field(FieldKind::Unknown, keyword, name)
}

fn blank_field(kind: FieldKind, keyword: Word, name: Word) -> Field {
    Field {
        kind,
        keyword,
        name,
        doc: None,
        at: None,
        constant: None,
        enumeration: None,
        blank: None,
        echo: None,
        count_of: None,
        role: None,
        min: None,
        max: None,
        place: None,
    }
}

fn table(node: &KdlNode, report: &mut Report) -> Option<Table> {
    let mut reader = Reader::new(node, report);
    let name = reader.word("table NAME");
    let doc = reader.text_property("doc");
    reader.finish();
    Some(Table { name: name?, doc })
}

fn directory(node: &KdlNode, report: &mut Report) -> Option<Directory> {
    const USAGE: &str = "directory NAME { u32 pid; reserved 4 }";
    let mut reader = Reader::new(node, report);
    let keyword = reader.keyword();
    let name = reader.word(USAGE);
    let doc = reader.text_property("doc");
    let nodes = reader.block(USAGE);
    reader.finish();
    let element = record(keyword, nodes, Inside::Element, report);
    Some(Directory { name: name?, doc, element })
}

fn bare_string(node: &KdlNode, report: &mut Report) -> Option<BareString> {
    let mut reader = Reader::new(node, report);
    let name = reader.word("bare-string NAME");
    let min = reader.integer_property("min");
    let max = reader.integer_property("max");
    let doc = reader.text_property("doc");
    reader.finish();
    Some(BareString { name: name?, doc, min, max })
}

fn identity(node: &KdlNode, report: &mut Report) -> Identity {
    let mut reader = Reader::new(node, report);
    let keyword = reader.keyword().span;
    let fields = reader.words("identity FIELD …");
    reader.finish();
    Identity { keyword, fields }
}

fn rule(node: &KdlNode, depth: usize, report: &mut Report) -> Option<Rule> {
    let mut reader = Reader::new(node, report);
    match node.name().value() {
        "when" => when(reader, depth),
        "blank" => {
            let targets = reader.words("blank FIELD …");
            reader.finish();
            Some(Rule::Blank(targets))
        }
        "filled" => {
            let targets = reader.words("filled FIELD …");
            reader.finish();
            Some(Rule::Filled(targets))
        }
        _ => {
            unknown_node(node, "`when`", &RULES, report);
            None
        }
    }
}

fn when(mut reader: Reader<'_, '_>, depth: usize) -> Option<Rule> {
    const USAGE: &str = "when FIELD not=VARIANT { blank FIELD }";
    let keyword = reader.keyword();
    let field = reader.word(USAGE);
    let is = reader.word_property("is");
    let not = reader.word_property("not");
    if !reader.has("not") {
        reader.demand("is", "write `when FIELD is=VARIANT`, or `not=VARIANT`");
    }
    let nodes = reader.block(USAGE);
    let report = reader.finish();
    if depth == MAX_CONDITIONS {
        let message = format!("more than {MAX_CONDITIONS} conditions inside each other");
        report.error(Code::Limit, keyword.span, message, "write flatter rules");
        return None;
    }
    let then = nodes.iter().filter_map(|node| rule(node, depth + 1, report)).collect();
    let (is, variant) = match (is, not) {
        (Some(variant), None) => (true, variant),
        (None, Some(variant)) => (false, variant),
        (None, None) => return None,
        (Some(_), Some(not)) => {
            let help = "keep one of the two; nest another `when` for a second condition";
            report.error(Code::Conflict, not.span, "`is` and `not` exclude each other", help);
            return None;
        }
    };
    Some(Rule::When { field: field?, is, variant, then })
}
