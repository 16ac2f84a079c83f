//! The checked model of a service: all that a backend ever sees.
//!
//! Whoever holds a [`Service`] may rely on it: names are unique and free of every target language's
//! keywords, fields are aligned and lie in wire order, references point to what exists, values fit
//! their types, and the roles that the shape needs are filled. The checks are in `check`;
//! this page only says what there is.

use crate::name::Name;

/// One service: one schema file.
#[derive(Clone, Debug)]
pub struct Service {
    /// `cgroups-lookup`: the endpoint's name, and the stem of everything that is generated.
    pub name: Name,
    /// The method code on the wire (spec section 1).
    pub method: u16,
    /// How the service behaves.
    pub shape: Shape,
    /// What the service knows, for its reader.
    pub doc: String,
    /// Enumerations, in the order written.
    pub enums: Vec<Enum>,
    /// What the client sends.
    pub request: Message,
    /// What the server answers.
    pub response: Message,
}

/// The behaviour that a service has in common with others (design: three shapes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One typed request, one typed response.
    Call {
        /// Whether requests may travel in batches (spec section 2).
        batch: bool,
    },
    /// Many keys in, one item per key out, in order.
    Lookup(LookupRoles),
    /// Everything that the provider knows.
    Snapshot,
}

/// The parts of a lookup's item that its engine works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupRoles {
    /// The item's field that carries the status, and its (closed) enumeration.
    pub status: FieldId,
    /// The variant that means "did not fit: ask again" (`role=retry`).
    pub retry: VariantId,
    /// The variant that means "will never fit" (`role=oversized`).
    pub oversized: VariantId,
}

/// An enumeration of wire values.
#[derive(Clone, Debug)]
pub struct Enum {
    /// `Orchestrator`.
    pub name: Name,
    /// For its reader; may be empty.
    pub doc: String,
    /// The scalar type on the wire; unsigned.
    pub scalar: Scalar,
    /// Open: values without a variant are passed on. Closed: they are rejected.
    pub open: bool,
    /// In the order written; values are distinct.
    pub variants: Vec<Variant>,
}

/// One value of an enumeration.
#[derive(Clone, Debug)]
pub struct Variant {
    /// `unknown-retry-later`.
    pub name: Name,
    /// For its reader; may be empty.
    pub doc: String,
    /// The value on the wire.
    pub value: u64,
}

/// One direction's payload: a fixed record, and for lookups and snapshots a directory of elements
/// behind it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The record at the start of the payload. Where there is a directory it holds no strings and
    /// no table, and its size is a multiple of 8.
    pub header: Record,
    /// The elements behind it.
    pub directory: Option<Directory>,
}

/// `count` entries of `u32 offset, u32 length`, then the elements (spec section 10.3 to 10.5).
#[derive(Clone, Debug)]
pub struct Directory {
    /// `items`, `keys`.
    pub name: Name,
    /// For its reader; may be empty.
    pub doc: String,
    /// The header's field that counts the elements; a `u32`.
    pub count: FieldId,
    /// What an entry points at.
    pub element: Element,
}

/// What a directory holds.
#[derive(Clone, Debug)]
pub enum Element {
    /// A string alone: its bytes and one NUL, which the entry's length counts.
    BareString(BareString),
    /// A record.
    Record(Record),
}

/// A string that is a directory's element by itself.
#[derive(Clone, Debug)]
pub struct BareString {
    /// `path`.
    pub name: Name,
    /// For its reader; may be empty.
    pub doc: String,
    /// The least length, in bytes without the NUL.
    pub min: u32,
    /// The greatest length, in bytes without the NUL.
    pub max: Option<u32>,
}

/// A fixed part, then the strings it refers to, then its label table if it has one.
#[derive(Clone, Debug)]
pub struct Record {
    /// Bytes of the fixed part: the sum of its fields, no padding added.
    pub size: u32,
    /// In wire order, without gaps.
    pub fields: Vec<Field>,
    /// The table behind the strings (spec section 10.6).
    pub table: Option<Table>,
    /// What must hold between the fields, beyond what each field says of itself.
    pub rules: Vec<Rule>,
    /// The fields that identify an item of a snapshot's cache; empty elsewhere.
    pub identity: Vec<FieldId>,
}

/// One field of a record's fixed part.
#[derive(Clone, Debug)]
pub struct Field {
    /// `layout_version`. Reserved fields are all named `reserved`.
    pub name: Name,
    /// For its reader; may be empty.
    pub doc: String,
    /// Bytes from the start of the record; a multiple of the field's alignment.
    pub offset: u32,
    /// What it is.
    pub kind: FieldKind,
}

/// What a field is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A number that the two sides exchange.
    Value {
        /// Its type.
        scalar: Scalar,
        /// The enumeration it takes its values from.
        enumeration: Option<EnumId>,
        /// What it holds when a rule says `blank`; a negative number as its 64 bits (`as i64`).
        blank: u64,
        /// The key's field that it repeats (lookup items).
        echo: Option<Echo>,
    },
    /// A number that never changes: another value is rejected.
    Const {
        /// Its type.
        scalar: Scalar,
        /// Its value; a negative number as its 64 bits (`as i64`).
        value: u64,
    },
    /// The number of entries of the record's table or of the message's directory.
    Count {
        /// Its type: `u16` or `u32` for a table, `u32` for a directory.
        scalar: Scalar,
    },
    /// The number of the provider's state, which all answers of one logical call share; a `u64`.
    Generation,
    /// Zero bytes.
    Reserved {
        /// How many.
        bytes: u32,
    },
    /// `u32 offset, u32 length` of a string behind the fixed part.
    String(StringSpec),
}

/// The limits of a string field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringSpec {
    /// The least length, in bytes without the NUL.
    pub min: u32,
    /// The greatest length, in bytes without the NUL.
    pub max: Option<u32>,
    /// The only offset at which the string may stand (`place=8`).
    pub place: Option<u32>,
    /// The key's field that it repeats (lookup items).
    pub echo: Option<Echo>,
}

/// What a lookup item's field repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// The key, which is a bare string.
    Key,
    /// A field of the key, which is a record.
    KeyField(FieldId),
}

/// Pairs of strings behind a record's last string (spec section 10.6). Keys are at least one byte
/// long; values may be empty.
#[derive(Clone, Debug)]
pub struct Table {
    /// `labels`.
    pub name: Name,
    /// For its reader; may be empty.
    pub doc: String,
    /// The record's field that counts the entries.
    pub count: FieldId,
}

/// A rule of a record.
#[derive(Clone, Debug)]
pub enum Rule {
    /// The rules inside hold while the field has, or has not, that value.
    When {
        /// A field with an enumeration.
        field: FieldId,
        /// The value it is compared with.
        variant: VariantId,
        /// `is=` or `not=`.
        is: bool,
        /// What holds then.
        then: Vec<Rule>,
    },
    /// Scalars hold their `blank` value, strings are empty, the table has no entries.
    Blank(Vec<Target>),
    /// Strings and tables are not empty.
    Filled(Vec<Target>),
}

/// What a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A value or a string.
    Field(FieldId),
    /// The record's table.
    Table,
}

/// The types of numbers on the wire, in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scalar {
    U8,
    U16,
    U32,
    U64,
    I32,
    I64,
}

impl Scalar {
    /// All of them, for diagnostics.
    pub const ALL: [Self; 6] = [Self::U8, Self::U16, Self::U32, Self::U64, Self::I32, Self::I64];

    /// Bytes on the wire, and the alignment.
    #[must_use]
    pub const fn size(self) -> u32 {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 | Self::I32 => 4,
            Self::U64 | Self::I64 => 8,
        }
    }

    /// As written in a schema and in the docs; Rust's names too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I32 => "i32",
            Self::I64 => "i64",
        }
    }

    /// Whether negative numbers have no place in it.
    #[must_use]
    pub const fn is_unsigned(self) -> bool {
        matches!(self, Self::U8 | Self::U16 | Self::U32 | Self::U64)
    }
}

/// Index into [`Record::fields`] of the record at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldId(pub usize);

/// Index into [`Service::enums`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnumId(pub usize);

/// Index into [`Enum::variants`] of the enumeration at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VariantId(pub usize);

/// What decoders are strict about, beyond what every record must satisfy (spec section 10.7). A
/// function of the shape alone, so that all backends and the docs say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strictness {
    /// Elements of a directory ascend and do not overlap.
    pub ascending_elements: bool,
    /// A record ends at its last NUL.
    pub exact_end: bool,
    /// Strings hold no NUL.
    pub no_inner_nul: bool,
}

impl Shape {
    /// What this shape's decoders are strict about.
    #[must_use]
    pub const fn strictness(self) -> Strictness {
        let lookup = matches!(self, Self::Lookup(_));
        Strictness { ascending_elements: lookup, exact_end: lookup, no_inner_nul: lookup }
    }

    /// As written in a schema.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call { .. } => "call",
            Self::Lookup(_) => "lookup",
            Self::Snapshot => "snapshot",
        }
    }
}

impl Record {
    /// The field with that id.
    #[must_use]
    pub fn field(&self, id: FieldId) -> &Field {
        &self.fields[id.0]
    }

    /// Fields with their ids.
    pub fn ids(&self) -> impl Iterator<Item = (FieldId, &Field)> {
        self.fields.iter().enumerate().map(|(index, field)| (FieldId(index), field))
    }
}

impl FieldKind {
    /// Bytes in the fixed part.
    #[must_use]
    pub const fn size(&self) -> u32 {
        match self {
            Self::Value { scalar, .. } | Self::Const { scalar, .. } | Self::Count { scalar } => {
                scalar.size()
            }
            Self::Generation => 8,
            Self::Reserved { bytes } => *bytes,
            Self::String(_) => 8,
        }
    }
}
