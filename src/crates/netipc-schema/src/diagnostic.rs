//! What the compiler says of a schema that is wrong.
//!
//! ```text
//! syntax, check ──▶ Report (of one file) ──▶ Diagnostics (of all files) ──▶ render(), miette
//! ```
//!
//! Each diagnostic carries its source, points at bytes of it, and says in its help what to write
//! instead. What this module does **not** do: it knows no rule of the language; [`Code`] only lists
//! them, so that a test can demand a bad schema for each.

use std::fmt;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan};

/// Columns at which [`Diagnostics::render`] wraps.
const RENDER_WIDTH_COLUMNS: usize = 100;

/// Most mistakes of one file that are kept: so many have few causes.
const MAX_MISTAKES: usize = 100;

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident => $text:literal,)*) => {
        /// The kinds of mistake that the compiler knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$meta])* $variant,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As shown: `netipc::misaligned`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("netipc::", $text),)*
                }
            }
        }
    };
}

codes! {
    /// The text is not KDL.
    Syntax => "syntax",
    /// The file is larger, or holds more, than any schema should.
    Limit => "limit",
    /// A node that the language does not have, or not there.
    UnknownNode => "unknown-node",
    /// A property that the node does not take.
    UnknownProperty => "unknown-property",
    /// A property written twice.
    DuplicateProperty => "duplicate-property",
    /// A node that may stand once stands twice.
    DuplicateNode => "duplicate-node",
    /// A node that must be there is not.
    MissingNode => "missing-node",
    /// A property that must be there is not.
    MissingProperty => "missing-property",
    /// An argument too many, too few, or of the wrong type.
    Argument => "argument",
    /// A property's value has the wrong type.
    PropertyType => "property-type",
    /// A KDL type annotation, which the language has no use for.
    Annotation => "annotation",
    /// A block where none may stand, or a block with nothing in it.
    Block => "block",
    /// A field behind the table or directory.
    Order => "order",
    /// A text for the reader that some language's comments cannot hold, or none.
    Doc => "doc",

    /// A name that cannot be spelled in every target language.
    Name => "name",
    /// A name that a target language, or generated code, has taken.
    ReservedName => "reserved-name",
    /// Two things of one name, or of names with one spelling in some target language.
    DuplicateName => "duplicate-name",
    /// A service name that no endpoint may have.
    ServiceName => "service-name",
    /// Two services of one name.
    DuplicateService => "duplicate-service",
    /// A method code outside what a new service may take.
    Method => "method",
    /// Two services with one method code.
    DuplicateMethod => "duplicate-method",
    /// A shape that does not exist.
    Shape => "shape",
    /// `batch` on a service that is no call.
    Batch => "batch",

    /// A type that does not exist.
    UnknownType => "unknown-type",
    /// A number that does not fit its type or its limits.
    Range => "range",
    /// Properties that exclude each other.
    Conflict => "conflict",
    /// A field at an offset that is not a multiple of its size.
    Misaligned => "misaligned",
    /// A field that is not at the offset that `at` asserts.
    FixedPlace => "fixed-place",
    /// A header in front of a directory whose size is not a multiple of 8.
    HeaderSize => "header-size",
    /// A record without fields, or larger than any record should be.
    RecordSize => "record-size",
    /// `min` above `max`.
    MinMax => "min-max",
    /// `place` on a string that cannot stand there.
    StringPlace => "string-place",

    /// An enumeration that does not exist.
    UnknownEnum => "unknown-enum",
    /// An enumeration with a signed type, or of another type than its field.
    EnumType => "enum-type",
    /// Two variants with one value.
    DuplicateValue => "duplicate-value",
    /// A variant that does not exist.
    UnknownVariant => "unknown-variant",
    /// A closed enumeration that lacks its field's `blank` value.
    BlankVariant => "blank-variant",
    /// A role that does not exist, or that has no place there.
    Role => "role",

    /// `count-of` names what is not there.
    CountTarget => "count-target",
    /// A table or directory with no count, or with two.
    Count => "count",
    /// A count of the wrong type.
    CountType => "count-type",
    /// A header that holds more than its directory allows.
    Header => "header",
    /// A directory whose elements are not well formed.
    Element => "element",

    /// A rule, or an identity, that names an absent field.
    AbsentField => "absent-field",
    /// A rule about a field that it cannot hold for.
    RuleTarget => "rule-target",
    /// `when` on a field without an enumeration.
    WhenField => "when-field",
    /// A rule that can never be satisfied, or that never applies.
    Contradiction => "contradiction",

    /// An echo that stands or points where it cannot.
    Echo => "echo",
    /// A part of the key that no item repeats.
    NotEchoed => "not-echoed",
    /// No generation, two, or one that has no place there.
    Generation => "generation",
    /// A directory that the shape needs and lacks, or has and must not have.
    Directory => "directory",
    /// A lookup's status is missing, ambiguous, or lacks its roles.
    Status => "status",
    /// The smallest item of a lookup is not well defined.
    SmallestItem => "smallest-item",
    /// A snapshot's identity is missing, or stands where it cannot.
    Identity => "identity",
}

/// One mistake in one file.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    code: Code,
    message: String,
    help: String,
    labels: Vec<LabeledSpan>,
    text: NamedSource<Arc<str>>,
}

impl Diagnostic {
    /// What kind of mistake it is.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        // Labels were cut to the text, at the bounds of its characters.
        let before = self.labels.first().and_then(|label| self.text.inner().get(..label.offset()));
        let before = before.unwrap_or_default();
        Place {
            file: self.text.name(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1,
        }
    }
}

/// Where a mistake stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'d> {
    /// The file's name, as it was given to the compiler.
    pub file: &'d str,
    /// The line, counted from 1.
    pub line: usize,
    /// The character of the line, counted from 1.
    pub column: usize,
}

impl miette::Diagnostic for Diagnostic {
    fn code(&self) -> Option<Box<dyn fmt::Display + '_>> {
        Some(Box::new(self.code.as_str()))
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// All mistakes of the files that were compiled; at least one.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{} in the schemas", Mistakes(list.len()))]
pub struct Diagnostics {
    #[related]
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Each mistake, file by file, in the order of the text; at most 100 of a file.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// All of them as text with the source around each, without colours.
    #[must_use]
    pub fn render(&self) -> String {
        self.themed(GraphicalTheme::unicode_nocolor())
    }

    /// The same for a terminal: with colours, as ANSI escape sequences.
    #[must_use]
    pub fn render_coloured(&self) -> String {
        self.themed(GraphicalTheme::unicode())
    }

    fn themed(&self, theme: GraphicalTheme) -> String {
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(RENDER_WIDTH_COLUMNS)
            .with_links(false);
        let mut text = String::new();
        for diagnostic in &self.list {
            // Writing into a string fails only if a source cannot be read at a label, and labels
            // are cut to their source.
            let _ = handler.render_report(&mut text, diagnostic);
            text.push('\n');
        }
        text
    }
}

struct Mistakes(usize);

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => formatter.write_str("1 mistake"),
            count => write!(formatter, "{count} mistakes"),
        }
    }
}

/// Collects what is wrong with one file.
pub(crate) struct Report {
    name: String,
    text: Arc<str>,
    list: Vec<Diagnostic>,
    /// Whether the last mistake was one too many.
    is_full: bool,
}

impl Report {
    pub(crate) fn new(file_name: &str, text: &str) -> Self {
        Self { name: file_name.to_owned(), text: text.into(), list: Vec::new(), is_full: false }
    }

    pub(crate) fn file_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a mistake; the help says what to write instead.
    pub(crate) fn error(
        &mut self,
        code: Code,
        span: SourceSpan,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.is_full = self.list.len() == MAX_MISTAKES;
        if self.is_full {
            return;
        }
        self.list.push(Diagnostic {
            code,
            message: message.into(),
            help: help.into(),
            labels: vec![LabeledSpan::new_primary_with_span(None, self.cut(span))],
            text: NamedSource::new(&self.name, Arc::clone(&self.text)),
        });
    }

    /// Adds to the last mistake another place that it speaks of.
    pub(crate) fn also(&mut self, span: SourceSpan, label: &str) {
        let span = self.cut(span);
        if let Some(last) = self.list.last_mut().filter(|_| !self.is_full) {
            last.labels.push(LabeledSpan::new_with_span(Some(label.to_owned()), span));
        }
    }

    /// The mistakes of several files as one error, or none.
    pub(crate) fn into_result(reports: Vec<Self>) -> Result<(), Diagnostics> {
        let in_order = |mut report: Self| {
            report.list.sort_by_key(|diagnostic| diagnostic.labels[0].offset());
            report.list
        };
        let list: Vec<_> = reports.into_iter().flat_map(in_order).collect();
        if list.is_empty() { Ok(()) } else { Err(Diagnostics { list }) }
    }

    /// A span that lies in the text, whatever the parser made of it.
    fn cut(&self, span: SourceSpan) -> SourceSpan {
        let start = self.text.floor_char_boundary(span.offset());
        let end = self.text.ceil_char_boundary(span.offset().saturating_add(span.len()));
        (start..end.max(start)).into()
    }
}
