//! `service` and `enum`.

use kdl::{KdlDocument, KdlNode};

use super::reader::{Reader, keyword, unknown_node};
use super::{Enum, Record, Service, Variant, Word, record};
use crate::diagnostic::{Code, Report};

const SERVICE: &str = "service NAME method=NUMBER shape=SHAPE { … }";
const PARTS: [&str; 4] = ["doc", "enum", "request", "response"];

/// The service of a document.
pub(super) fn read(document: &KdlDocument, report: &mut Report) -> Option<Service> {
    let mut services: Vec<&KdlNode> = Vec::new();
    for node in document.nodes() {
        match node.name().value() {
            "service" => services.push(node),
            _ => unknown_node(node, "the file", &["service"], report),
        }
    }
    let Some((first, more)) = services.split_first() else {
        if report.is_empty() {
            let help = format!("write `{SERVICE}`");
            report.error(Code::MissingNode, (0, 0).into(), "the file holds no service", help);
        }
        return None;
    };
    for node in more {
        let span = keyword(node).span;
        report.error(Code::DuplicateNode, span, "a file holds one service", "give it its own file");
        report.also(keyword(first).span, "the first");
    }
    service(first, report)
}

fn service(node: &KdlNode, report: &mut Report) -> Option<Service> {
    let mut reader = Reader::new(node, report);
    let keyword = reader.keyword();
    let name = reader.word(SERVICE);
    let method = reader.integer_property("method");
    let shape = reader.word_property("shape");
    let batch = reader.flag_property("batch");
    reader.demand("method", "add `method=0x0100` or above: the code of its requests on the wire");
    reader.demand("shape", "add `shape=call`, `shape=lookup` or `shape=snapshot`");
    let nodes = reader.block(SERVICE);
    reader.finish();

    let mut docs: Vec<Word> = Vec::new();
    let mut enums = Vec::new();
    let mut messages: [Vec<Record>; 2] = [Vec::new(), Vec::new()];
    for child in nodes {
        match child.name().value() {
            "doc" => docs.extend(doc(child, report)),
            "enum" => enums.extend(enumeration(child, report)),
            "request" => messages[0].push(record::message(child, report)),
            "response" => messages[1].push(record::message(child, report)),
            _ => unknown_node(child, "`service`", &PARTS, report),
        }
    }
    let [requests, responses] = messages;
    if let [first, second, ..] = docs.as_slice() {
        report.error(Code::DuplicateNode, second.span, "`doc` is there twice", "join the two");
        report.also(first.span, "the first");
    }
    let request = only("request", requests, &keyword, report);
    let response = only("response", responses, &keyword, report);
    let doc = docs.into_iter().next();
    Some(Service {
        name: name?,
        method,
        shape,
        batch,
        doc,
        enums,
        request: request?,
        response: response?,
    })
}

fn only(
    part: &str,
    mut records: Vec<Record>,
    parent: &Word,
    report: &mut Report,
) -> Option<Record> {
    if let [first, second, ..] = records.as_slice() {
        let message = format!("`{part}` is there twice");
        report.error(Code::DuplicateNode, second.keyword.span, message, "join the two");
        report.also(first.keyword.span, "the first");
    }
    if records.is_empty() {
        let message = format!("the service has no `{part}`");
        let help = format!("add `{part} {{ … }}`");
        report.error(Code::MissingNode, parent.span, message, help);
        return None;
    }
    Some(records.swap_remove(0))
}

fn doc(node: &KdlNode, report: &mut Report) -> Option<Word> {
    let mut reader = Reader::new(node, report);
    let text = reader.word("doc \"What the service knows.\"");
    reader.finish();
    text
}

fn enumeration(node: &KdlNode, report: &mut Report) -> Option<Enum> {
    const USAGE: &str = "enum NAME type=u16 { known 0; unknown 1; }";
    let mut reader = Reader::new(node, report);
    let name = reader.word(USAGE);
    let scalar = reader.word_property("type");
    reader.demand("type", "add `type=u16`: the type of its values on the wire");
    let open = reader.flag_property("open");
    let doc = reader.text_property("doc");
    let nodes = reader.block(USAGE);
    reader.finish();
    let variants = nodes.iter().map(|node| variant(node, report)).collect();
    Some(Enum { name: name?, scalar, open, doc, variants })
}

fn variant(node: &KdlNode, report: &mut Report) -> Variant {
    let mut reader = Reader::new(node, report);
    let name = reader.keyword();
    let value = reader.integer(&format!("{} NUMBER", name.value));
    let role = reader.word_property("role");
    let doc = reader.text_property("doc");
    reader.finish();
    Variant { name, value, role, doc }
}
