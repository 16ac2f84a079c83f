//! Reads one KDL node: its arguments in order, its properties by name, its block; and reports all
//! that nobody asked for.

use kdl::{KdlEntry, KdlIdentifier, KdlNode, KdlValue};
use miette::SourceSpan;

use super::{Integer, Spanned, Word};
use crate::diagnostic::{Code, Report};
use crate::suggest;

/// One node. Ask for what it may hold, then call [`Reader::finish`].
pub(super) struct Reader<'n, 'r> {
    node: &'n KdlNode,
    report: &'r mut Report,
    arguments: Vec<&'n KdlEntry>,
    /// The properties that were asked for.
    properties: Vec<&'static str>,
    has_block: bool,
}

impl<'n, 'r> Reader<'n, 'r> {
    pub(super) fn new(node: &'n KdlNode, report: &'r mut Report) -> Self {
        let arguments: Vec<_> =
            node.entries().iter().filter(|entry| entry.name().is_none()).collect();
        let annotations = node.entries().iter().filter_map(KdlEntry::ty).chain(node.ty());
        for annotation in annotations {
            let message = format!("`({})` is a type annotation", annotation.value());
            let help = "remove it; types are the words in front of names: `u32 pid`";
            report.error(Code::Annotation, annotation.span(), message, help);
        }
        Self { node, report, arguments, properties: Vec::new(), has_block: false }
    }

    /// The node's first word.
    pub(super) fn keyword(&self) -> Word {
        keyword(self.node)
    }

    /// The next argument, a name or a text; `usage` shows the node as it should be.
    pub(super) fn word(&mut self, usage: &str) -> Option<Word> {
        let entry = self.argument(usage)?;
        match entry.value() {
            KdlValue::String(text) => Some(Spanned { value: text.clone(), span: entry.span() }),
            _ => self.wrong_argument(entry, "a word", usage),
        }
    }

    /// The next argument, a number.
    pub(super) fn integer(&mut self, usage: &str) -> Option<Integer> {
        let entry = self.argument(usage)?;
        match entry.value() {
            KdlValue::Integer(value) => Some(Spanned { value: *value, span: entry.span() }),
            _ => self.wrong_argument(entry, "an integer", usage),
        }
    }

    /// All further arguments, words; at least one.
    pub(super) fn words(&mut self, usage: &str) -> Vec<Word> {
        let mut words: Vec<Word> = self.word(usage).into_iter().collect();
        while !self.arguments.is_empty() {
            words.extend(self.word(usage));
        }
        words
    }

    pub(super) fn word_property(&mut self, name: &'static str) -> Option<Word> {
        self.property(name, "a word", |value| value.as_string().map(str::to_owned))
    }

    pub(super) fn text_property(&mut self, name: &'static str) -> Option<Word> {
        self.property(name, "a text in double quotes", |value| value.as_string().map(str::to_owned))
    }

    pub(super) fn integer_property(&mut self, name: &'static str) -> Option<Integer> {
        self.property(name, "an integer", KdlValue::as_integer)
    }

    pub(super) fn flag_property(&mut self, name: &'static str) -> Option<Spanned<bool>> {
        self.property(name, "`#true` or `#false`", KdlValue::as_bool)
    }

    /// Whether the property is written, whatever its value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.node.entry(name).is_some()
    }

    /// Reports a property that must be there and is not.
    pub(super) fn demand(&mut self, name: &str, help: &str) {
        if !self.has(name) {
            let keyword = self.keyword();
            let message = format!("`{}` lacks `{name}=`", keyword.value);
            self.report.error(Code::MissingProperty, keyword.span, message, help);
        }
    }

    /// The nodes in the block, which must hold at least one.
    pub(super) fn block(&mut self, usage: &str) -> &'n [KdlNode] {
        self.has_block = true;
        let nodes = self.node.children().map_or(&[][..], kdl::KdlDocument::nodes);
        if nodes.is_empty() {
            let message = format!("`{}` holds nothing", self.node.name().value());
            self.report.error(
                Code::Block,
                self.keyword().span,
                message,
                format!("write `{usage}`"),
            );
        }
        nodes
    }

    /// Reports what was not asked for, and gives the report back.
    pub(super) fn finish(self) -> &'r mut Report {
        let keyword = self.keyword();
        for entry in self.arguments {
            let message = format!("`{}` takes no such argument", keyword.value);
            let help = "remove it; options are properties: `name=value`";
            self.report.error(Code::Argument, entry.span(), message, help);
        }
        for name in self.node.entries().iter().filter_map(KdlEntry::name) {
            if !self.properties.contains(&name.value()) {
                let message = format!("`{}` takes no property `{}`", keyword.value, name.value());
                let help = suggest::help(name.value(), self.properties.iter().copied());
                self.report.error(Code::UnknownProperty, name.span(), message, help);
            }
        }
        if !self.has_block && self.node.children().is_some() {
            let message = format!("`{}` takes no block", keyword.value);
            self.report.error(Code::Block, keyword.span, message, "remove the braces behind it");
        }
        self.report
    }

    fn argument(&mut self, usage: &str) -> Option<&'n KdlEntry> {
        if self.arguments.is_empty() {
            let keyword = self.keyword();
            let message = format!("`{}` lacks an argument", keyword.value);
            self.report.error(Code::Argument, keyword.span, message, format!("write `{usage}`"));
            return None;
        }
        Some(self.arguments.remove(0))
    }

    fn wrong_argument<T>(&mut self, entry: &KdlEntry, expected: &str, usage: &str) -> Option<T> {
        let message = format!("`{}` takes {expected} here", self.node.name().value());
        self.report.error(Code::Argument, entry.span(), message, format!("write `{usage}`"));
        None
    }

    fn property<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        convert: impl Fn(&KdlValue) -> Option<T>,
    ) -> Option<Spanned<T>> {
        self.properties.push(name);
        let is_named = |entry: &&KdlEntry| entry.name().map(KdlIdentifier::value) == Some(name);
        let mut entries = self.node.entries().iter().filter(is_named);
        let entry = entries.next()?;
        for second in entries {
            let message = format!("`{name}` is written twice");
            self.report.error(
                Code::DuplicateProperty,
                second.span(),
                message,
                "keep one of the two",
            );
            self.report.also(entry.span(), "the first");
        }
        let span = value_span(entry);
        let value = convert(entry.value());
        if value.is_none() {
            let message = format!("`{name}` takes {expected}");
            let help = format!("write {expected} behind `{name}=`");
            self.report.error(Code::PropertyType, span, message, help);
        }
        value.map(|value| Spanned { value, span })
    }
}

/// A node's first word.
pub(super) fn keyword(node: &KdlNode) -> Word {
    Spanned { value: node.name().value().to_owned(), span: node.name().span() }
}

/// Reports a node that has no place where it stands.
pub(super) fn unknown_node(node: &KdlNode, inside: &str, known: &[&str], report: &mut Report) {
    let word = keyword(node);
    let message = format!("`{}` has no place in {inside}", word.value);
    let help = suggest::help(&word.value, known.iter().copied());
    report.error(Code::UnknownNode, word.span, message, help);
}

/// The value's part of `name=value`, which KDL's own span does not tell apart.
fn value_span(entry: &KdlEntry) -> SourceSpan {
    let whole = entry.span();
    let length = entry.format().map_or(whole.len(), |format| format.value_repr.len());
    let skipped = whole.len().saturating_sub(length);
    (whole.offset() + skipped, whole.len() - skipped).into()
}
