//! Why a payload could not be built.

use thiserror::Error;

/// The caller, or the buffer that it gave, does not allow the payload to be built.
///
/// Nothing here is a peer's fault. `field` is the name in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The buffer is too small for what is being written. Lookup builders turn this into the
    /// overflow statuses by themselves (spec section 11).
    #[error("the payload does not fit its buffer: give a larger one, or ask for a larger limit")]
    NoSpace,
    /// Not even the answer that says "does not fit" fits, or a single key's item does not and the
    /// limit can still grow: answer LIMIT_EXCEEDED (spec section 11).
    #[error("the answer does not fit the session's limit: answer LIMIT_EXCEEDED")]
    LimitExceeded,
    /// A string holds a NUL, which this shape forbids (spec section 10.7).
    #[error("`{field}` holds a NUL: remove it, or cut the string there")]
    InnerNul {
        /// The field.
        field: &'static str,
    },
    /// A string is shorter or longer than the schema allows.
    #[error("`{field}` is {length} bytes long: it takes {min} to {max}")]
    Length {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The least length in bytes.
        min: usize,
        /// The greatest length in bytes.
        max: usize,
    },
    /// A field contradicts the status (or another field) that a rule of the schema names.
    #[error("`{field}` contradicts the status of its item: see the rules of the schema")]
    Rule {
        /// The field.
        field: &'static str,
    },
    /// More entries than a count field can say.
    #[error("`{field}` has too many entries for its count field")]
    Count {
        /// The table or directory.
        field: &'static str,
    },
    /// The item does not answer the key whose turn it is.
    #[error("the item does not repeat the key whose turn it is: answer in the order asked")]
    Echo,
    /// More items than keys were asked.
    #[error("more items than keys: answer each key once")]
    TooManyItems,
    /// Fewer items than keys were asked.
    #[error("{missing} keys were not answered: answer each key once")]
    TooFewItems {
        /// How many keys were left.
        missing: usize,
    },
}
