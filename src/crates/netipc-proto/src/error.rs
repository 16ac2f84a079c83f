//! Why bytes from a peer are refused.

use thiserror::Error;

/// The peer broke the contract: what is wrong, and at which byte.
///
/// `offset` counts from the start of the buffer that was given to the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the peer broke the contract: {defect} (at byte {offset})")]
pub struct DecodeError {
    /// What is wrong.
    pub defect: Defect,
    /// Where, in bytes from the start of the buffer.
    pub offset: usize,
}

impl DecodeError {
    /// A defect at a byte offset.
    #[cold]
    #[must_use]
    pub const fn new(defect: Defect, offset: usize) -> Self {
        Self { defect, offset }
    }

    /// The same error as seen from a buffer that starts `base` bytes earlier.
    #[cold]
    #[must_use]
    pub const fn shifted(self, base: usize) -> Self {
        Self { defect: self.defect, offset: self.offset.saturating_add(base) }
    }
}

/// What a decoder can find wrong (spec section 10.7, and sections 1 to 4 for the envelope).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Defect {
    /// Fewer bytes than the fixed part, the directory or the declared length needs.
    #[error("truncated")]
    Truncated,
    /// More bytes than declared, or an item that goes on after its last NUL.
    #[error("bytes after the end")]
    Trailing,
    /// Not the magic number of this structure.
    #[error("wrong magic")]
    Magic,
    /// A version of the envelope that this side does not speak.
    #[error("unknown version")]
    Version,
    /// `header_len` is not that of this version.
    #[error("wrong header length")]
    HeaderLen,
    /// Not a message kind, or not one that is allowed here.
    #[error("unexpected message kind")]
    Kind,
    /// A flag that is not defined, or not allowed here.
    #[error("unexpected flags")]
    Flags,
    /// A method code or control opcode that is not allowed here.
    #[error("unexpected code")]
    Code,
    /// A transport status where none may be.
    #[error("unexpected transport status")]
    Status,
    /// A layout version, or a field with a fixed value, that is not what the layout says.
    #[error("unknown layout")]
    Layout,
    /// A reserved field that is not zero.
    #[error("a reserved field is not zero")]
    Reserved,
    /// A count whose directory or table does not fit, or a count that is not allowed here.
    #[error("impossible count")]
    Count,
    /// A length that is not what it must be here.
    #[error("wrong length")]
    Length,
    /// An offset that is not a multiple of 8.
    #[error("unaligned offset")]
    Alignment,
    /// An offset or length that leads out of its area, or into the fixed part of its record.
    #[error("out of bounds")]
    Bounds,
    /// Items of a directory that overlap or do not ascend.
    #[error("items out of order")]
    Order,
    /// Two strings that share bytes.
    #[error("overlapping strings")]
    Overlap,
    /// A string that does not end in NUL.
    #[error("string without its NUL")]
    MissingNul,
    /// A NUL inside a string of a lookup.
    #[error("NUL inside a string")]
    InnerNul,
    /// A string that is shorter than its minimum or longer than its maximum.
    #[error("string length outside its limits")]
    StringLength,
    /// A key that may not be empty.
    #[error("empty key")]
    EmptyKey,
    /// A value that a closed enumeration does not have.
    #[error("unknown value of a closed enumeration")]
    Enum,
    /// A field that contradicts the status of its item.
    #[error("a field contradicts its item's status")]
    Rule,
    /// Padding that must be zero and is not.
    #[error("padding is not zero")]
    Padding,
    /// A zero limit where none may be zero.
    #[error("a limit is zero")]
    ZeroLimit,
    /// A message above the limit agreed for its direction.
    #[error("above the agreed limit")]
    Limit,
    /// A chunk that does not continue the message that is being received.
    #[error("chunk out of sequence")]
    ChunkSequence,
}
