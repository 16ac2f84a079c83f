//! From text to KDL nodes: the only place that calls the KDL parser, and the limits that keep hostile
//! text from hurting it.

use std::thread;

use kdl::{KdlDiagnostic, KdlDocument, KdlError};
use miette::SourceSpan;

use super::{Service, service};
use crate::diagnostic::{Code, Report};

/// The largest schema file, in bytes; the largest so far has 3,500.
const MAX_SOURCE_BYTES: usize = 32 * 1024;

/// Most `{` of a file, wherever they stand: the parser recurses into each that is nested.
const MAX_BLOCKS: usize = 256;

/// Most `/*` of a file, wherever they stand: the parser recurses into these as well.
const MAX_BLOCK_COMMENTS: usize = 256;

/// Most `#"` of a file, wherever they stand: for each the parser may look through all that follows.
const MAX_RAW_STRINGS: usize = 16;

/// Stack that the parser takes for a byte that makes no sense to it, and for a block, at most and
/// without optimization.
const STACK_FOR_A_BYTE_BYTES: usize = 4 * 1024;
const STACK_FOR_A_BLOCK_BYTES: usize = 64 * 1024;

/// What the parser's recursion may use, in bytes. It is reserved, and used only by hostile text.
const PARSER_STACK_BYTES: usize =
    MAX_SOURCE_BYTES * STACK_FOR_A_BYTE_BYTES + MAX_BLOCKS * STACK_FOR_A_BLOCK_BYTES;

/// Most mistakes of KDL's syntax that are shown: what follows the first few is their echo.
const MAX_SYNTAX_ERRORS: usize = 8;

/// The help where the parser has none.
const SYNTAX_HELP: &str = "a schema is KDL 2: nodes like `u32 pid doc=\"The process id.\"`, blocks in \
                           braces, `#true` and `#false`";

/// The tree of a schema, or at least one mistake in the report.
pub(crate) fn parse(source: &str, report: &mut Report) -> Option<Service> {
    if !within_limits(source, report) {
        return None;
    }
    match parse_kdl(source) {
        Ok(Ok(document)) => service::read(&document, report),
        Ok(Err(error)) => {
            syntax_errors(&error, report);
            None
        }
        Err(cause) => {
            let help = "simplify the file; the mistake is near what changed last";
            report.error(Code::Syntax, whole(source), format!("the KDL parser {cause}"), help);
            None
        }
    }
}

/// Parses on a thread whose stack bears whatever text the limits admit.
fn parse_kdl(source: &str) -> Result<Result<KdlDocument, KdlError>, &'static str> {
    thread::scope(|scope| {
        let parser = thread::Builder::new()
            .stack_size(PARSER_STACK_BYTES)
            .spawn_scoped(scope, || KdlDocument::parse(source))
            .map_err(|_| "was refused a thread by the operating system")?;
        parser.join().map_err(|_| "could not cope with this text")
    })
}

fn within_limits(source: &str, report: &mut Report) -> bool {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the file has {} bytes, more than {MAX_SOURCE_BYTES}", source.len());
        report.error(Code::Limit, (0, 0).into(), message, "a schema holds one service");
        return false;
    }
    let mut fine = true;
    for (token, limit) in [("{", MAX_BLOCKS), ("/*", MAX_BLOCK_COMMENTS), ("#\"", MAX_RAW_STRINGS)]
    {
        if let Some((offset, _)) = source.match_indices(token).nth(limit) {
            let message = format!("more than {limit} `{token}` in one file");
            let help =
                format!("a schema holds one service; `{token}` in texts and comments count too");
            report.error(Code::Limit, (offset, token.len()).into(), message, help);
            fine = false;
        }
    }
    // The parser's time is exponential in nested `/-{`.
    if let Some(offset) = source.find("/-") {
        let help = "comment with `//`; in a text, put a space between the two";
        report.error(Code::Limit, (offset, 2).into(), "`/-` has no place in a schema", help);
        fine = false;
    }
    fine
}

/// The parser's own mistakes. Its spans are bytes, nodes' and errors' alike: it documents characters,
/// but counts in the `&str` it is given (`kdl` 6.7; the tests hold it to that).
fn syntax_errors(error: &KdlError, report: &mut Report) {
    let mut mistakes: Vec<&KdlDiagnostic> = error.diagnostics.iter().collect();
    mistakes.dedup_by_key(|mistake| mistake.span);
    // What spans lines is a block that did not end for the mistakes inside it.
    let is_inside_a_line = |mistake: &&KdlDiagnostic| {
        let end = mistake.span.offset() + mistake.span.len();
        !error.input.get(mistake.span.offset()..end).is_some_and(|text| text.contains('\n'))
    };
    if mistakes.iter().any(is_inside_a_line) {
        mistakes.retain(is_inside_a_line);
    }
    for mistake in mistakes.into_iter().take(MAX_SYNTAX_ERRORS) {
        let message = mistake.message.as_deref().unwrap_or("this is not KDL");
        let help = mistake.help.as_deref().unwrap_or(SYNTAX_HELP);
        report.error(Code::Syntax, mistake.span, message, help);
    }
    if report.is_empty() {
        report.error(Code::Syntax, whole(&error.input), "this is not KDL", SYNTAX_HELP);
    }
}

fn whole(source: &str) -> SourceSpan {
    (0, source.len()).into()
}

#[cfg(test)]
mod tests {
    use kdl::{KdlDocument, KdlNode};

    /// Multi-byte text on earlier lines, and before each span on its own line.
    const SOURCE: &str = "//  é€😀\n\"ü😀\" \"ß€\" name=\"é😀\" {\n  \"é\" 1 \"😀\" last=0x10\n}\n";

    fn spans(node: &KdlNode, found: &mut Vec<String>) {
        let entries = node.entries().iter().map(kdl::KdlEntry::span);
        for span in [node.name().span()].into_iter().chain(entries) {
            found.push(SOURCE[span.offset()..span.offset() + span.len()].to_owned());
        }
        for child in node.iter_children() {
            spans(child, found);
        }
    }

    #[test]
    fn the_spans_of_nodes_are_bytes() {
        let document = KdlDocument::parse(SOURCE).unwrap();
        let mut found = Vec::new();
        document.nodes().iter().for_each(|node| spans(node, &mut found));
        let expected = ["\"ü😀\"", "\"ß€\"", "name=\"é😀\"", "\"é\"", "1", "\"😀\"", "last=0x10"];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_spans_of_errors_are_bytes() {
        let source = "// é€😀\na \"é😀\" true\n";
        let error = KdlDocument::parse(source).unwrap_err();
        let span = error.diagnostics[0].span;
        assert_eq!(&source[span.offset()..span.offset() + span.len()], "true");
    }
}
