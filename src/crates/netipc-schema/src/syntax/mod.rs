//! The schema's text as a tree of typed nodes, each with its place in the text.
//!
//! ```text
//! text ──kdl──▶ document ──reader──▶ Service { enums, request, response }
//! ```
//!
//! Here is refused what the language has no words for: nodes and properties that do not exist,
//! values of the wrong type, parts that are missing. What this module does **not** do: it does not
//! know what a name refers to, nor whether a number fits; that is [`crate::check`].

mod document;
mod reader;
mod record;
mod service;

use miette::SourceSpan;

pub(crate) use document::parse;

use crate::ir::Scalar;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: SourceSpan,
}

/// A word or a text.
pub(crate) type Word = Spanned<String>;

/// A number, of whatever size was written.
pub(crate) type Integer = Spanned<i128>;

/// `service NAME method=N shape=SHAPE { … }`.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: Word,
    pub(crate) method: Option<Integer>,
    pub(crate) shape: Option<Word>,
    pub(crate) batch: Option<Spanned<bool>>,
    pub(crate) doc: Option<Word>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) request: Record,
    pub(crate) response: Record,
}

/// `enum NAME type=TYPE { … }`.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: Word,
    pub(crate) scalar: Option<Word>,
    pub(crate) open: Option<Spanned<bool>>,
    pub(crate) doc: Option<Word>,
    pub(crate) variants: Vec<Variant>,
}

/// `NAME VALUE`, in an enumeration.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) name: Word,
    pub(crate) value: Option<Integer>,
    pub(crate) role: Option<Word>,
    pub(crate) doc: Option<Word>,
}

/// What stands between the braces of `request`, `response` and `directory`.
#[derive(Debug)]
pub(crate) struct Record {
    /// The word before the braces: `request`, `directory`.
    pub(crate) keyword: Word,
    pub(crate) fields: Vec<Field>,
    pub(crate) tables: Vec<Table>,
    pub(crate) directories: Vec<Directory>,
    pub(crate) bare_strings: Vec<BareString>,
    pub(crate) identities: Vec<Identity>,
    pub(crate) rules: Vec<Rule>,
}

/// `TYPE NAME …`, `string NAME …`, `reserved N`.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) kind: FieldKind,
    /// The word in front: `u32`.
    pub(crate) keyword: Word,
    pub(crate) name: Word,
    pub(crate) doc: Option<Word>,
    pub(crate) at: Option<Integer>,
    pub(crate) constant: Option<Integer>,
    pub(crate) enumeration: Option<Word>,
    pub(crate) blank: Option<Integer>,
    pub(crate) echo: Option<Word>,
    pub(crate) count_of: Option<Word>,
    pub(crate) role: Option<Word>,
    pub(crate) min: Option<Integer>,
    pub(crate) max: Option<Integer>,
    pub(crate) place: Option<Integer>,
}

/// What the word in front of a field says.
#[derive(Clone, Debug)]
pub(crate) enum FieldKind {
    Scalar(Scalar),
    String,
    Reserved(Option<Integer>),
    /// Already reported; its size is not known.
    Unknown,
}

/// `table NAME`.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: Word,
    pub(crate) doc: Option<Word>,
}

/// `directory NAME { … }`.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) name: Word,
    pub(crate) doc: Option<Word>,
    pub(crate) element: Record,
}

/// `bare-string NAME …`.
#[derive(Debug)]
pub(crate) struct BareString {
    pub(crate) name: Word,
    pub(crate) doc: Option<Word>,
    pub(crate) min: Option<Integer>,
    pub(crate) max: Option<Integer>,
}

/// `identity FIELD…`.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) keyword: SourceSpan,
    pub(crate) fields: Vec<Word>,
}

/// A rule of a record.
#[derive(Debug)]
pub(crate) enum Rule {
    /// `when FIELD is=VARIANT { … }`, or `not=`.
    When { field: Word, is: bool, variant: Word, then: Vec<Self> },
    /// `blank TARGET…`.
    Blank(Vec<Word>),
    /// `filled TARGET…`.
    Filled(Vec<Word>),
}
