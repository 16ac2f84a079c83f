//! Building blocks of payloads, which generated codecs are composed of (spec section 10).
//!
//! ```text
//! payload = header | directory | packed elements          directory, lookup, snapshot
//! record  = fixed part | strings | padding | label table  fixed, strings, labels, record
//! ```
//!
//! Decoding checks everything once and yields views that cannot fail afterwards; building writes
//! straight into the caller's buffer and never beyond it. Neither allocates. What is **not** here:
//! any service; those are generated from schemas.

mod build_error;
mod check;
mod directory;
mod fixed;
mod labels;
mod lookup;
mod record;
mod snapshot;
mod strings;
#[cfg(test)]
mod tests;

pub use bstr::{BStr, BString, ByteSlice};

pub use build_error::BuildError;
pub use check::{UNLIMITED, check, check_end, check_length, count_of, fixed_part, known, require};
pub use directory::{
    BareString, DirectoryView, DirectoryWriter, Element, RawElement, Records, directory_len,
};
pub use fixed::{
    get_i32, get_i64, get_u8, get_u16, get_u32, get_u64, put_i32, put_i64, put_u8, put_u16,
    put_u32, put_u64,
};
pub use labels::{Label, Labels, NO_LABELS, NoLabels, check_labels, labels_at, labels_len};
pub use lookup::{LookupItem, LookupWriter, Overflow, ResponseBudget};
pub use record::{RecordWriter, write_bare_string};
pub use snapshot::SnapshotWriter;
pub use strings::{StringSpan, check_bare_string, check_strings, string_at, strings_end};

/// What the elements of directories and the label tables are aligned to, in bytes.
pub const ALIGNMENT: usize = 8;

/// Bytes of a directory entry: `u32 offset, u32 length`.
pub const DIRECTORY_ENTRY_LEN: usize = 8;

/// `n` rounded up to a multiple of [`ALIGNMENT`]. `n` is a length inside a buffer, and those are
/// far enough from overflow for the sum to be safe.
#[inline]
#[must_use]
pub const fn align8(n: usize) -> usize {
    n.saturating_add(ALIGNMENT - 1) & !(ALIGNMENT - 1)
}

/// Zeros the bytes from `from` to `to`, which are fewer than [`ALIGNMENT`], as far as there are any.
/// Those behind, up to the eighth, are zeroed too: the caller writes them next. That is one store,
/// where a length that is not known would be a call to `memset`.
#[inline(always)]
fn pad(bytes: &mut [u8], from: usize, to: usize) {
    let Some(rest) = bytes.get_mut(from..) else { return };
    match rest.first_chunk_mut() {
        Some(word) if to > from => *word = [0; ALIGNMENT],
        _ => rest.iter_mut().take(to.saturating_sub(from)).for_each(|byte| *byte = 0),
    }
}
