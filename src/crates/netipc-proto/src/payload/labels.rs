//! Label tables: pairs of strings behind a record's last string (spec section 10.6).
//!
//! ```text
//! … last string NUL | zeros to a multiple of 8 | entry 0 | entry 1 | … | key 0 | value 0 | key 1 …
//! entry = u32 key_offset, u32 key_length, u32 value_offset, u32 value_length
//! ```

use bstr::BStr;

use super::strings::count_nuls;
use super::{align8, get_u32, string_at};
use crate::{DecodeError, Defect};

/// Bytes of a table's entry.
pub(super) const ENTRY_LEN: usize = 16;

/// One pair of a label table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// At least one byte.
    pub key: &'a BStr,
    /// May be empty.
    pub value: &'a BStr,
}

/// The labels of an item whose builder was given none.
pub type NoLabels = core::iter::Empty<(&'static [u8], &'static [u8])>;

/// See [`NoLabels`].
pub const NO_LABELS: NoLabels = core::iter::empty();

/// Checks a record's label table, which must be the canonical one: at the first multiple of 8
/// behind `strings_end`, its strings packed in order, the record ending with the last of them.
/// `count_at` is where the count field stands, for errors.
///
/// # Errors
/// The first defect, in bytes from the start of the record.
#[inline]
pub fn check_labels(
    record: &[u8],
    strings_end: usize,
    count: usize,
    count_at: usize,
) -> Result<(), DecodeError> {
    if count == 0 {
        return match record.len() == strings_end {
            true => Ok(()),
            false => Err(DecodeError::new(Defect::Trailing, strings_end)),
        };
    }
    let table_at = align8(strings_end);
    let table = count.checked_mul(ENTRY_LEN).and_then(|len| table_at.checked_add(len));
    let Some(table_end) = table.filter(|end| *end <= record.len()) else {
        return Err(DecodeError::new(Defect::Bounds, count_at));
    };
    if record[strings_end..table_at].iter().any(|byte| *byte != 0) {
        return Err(DecodeError::new(Defect::Padding, strings_end));
    }
    let mut end = table_end;
    let (entries, _) = record[table_at..table_end].as_chunks::<ENTRY_LEN>();
    for (index, entry) in entries.iter().enumerate() {
        let entry_at = table_at + index * ENTRY_LEN;
        let key_len = get_u32::<4, _>(entry);
        if key_len == 0 {
            return Err(DecodeError::new(Defect::EmptyKey, entry_at));
        }
        end = next_string(record, end, get_u32::<0, _>(entry), key_len, entry_at)?;
        let value_len = get_u32::<12, _>(entry);
        end = next_string(record, end, get_u32::<8, _>(entry), value_len, entry_at)?;
    }
    if end != record.len() {
        return Err(DecodeError::new(Defect::Trailing, end));
    }
    if count_nuls(&record[table_end..]) != 2 * count {
        return Err(DecodeError::new(Defect::InnerNul, table_end));
    }
    Ok(())
}

/// Where the string ends, its NUL included, that must start at `expected`.
#[inline(always)]
fn next_string(
    record: &[u8],
    expected: usize,
    offset: u32,
    length: u32,
    entry_at: usize,
) -> Result<usize, DecodeError> {
    let nul = expected.checked_add(length as usize);
    match nul.and_then(|nul| record.get(nul)) {
        _ if offset as usize != expected => Err(misplaced(record, expected, offset, entry_at)),
        Some(0) => Ok(expected + length as usize + 1),
        Some(_) => Err(DecodeError::new(Defect::MissingNul, entry_at)),
        None => Err(DecodeError::new(Defect::Bounds, entry_at)),
    }
}

/// What is wrong with a label's string that does not follow the last one.
#[cold]
fn misplaced(record: &[u8], expected: usize, offset: u32, entry_at: usize) -> DecodeError {
    let defect = match offset as usize {
        offset if offset >= record.len() => Defect::Bounds,
        offset if offset < expected => Defect::Overlap,
        _ => Defect::Trailing,
    };
    DecodeError::new(defect, entry_at)
}

/// The labels of a record that was checked: `strings_end` is where its last string ends, its NUL
/// included.
#[inline]
#[must_use]
pub fn labels_at(record: &[u8], strings_end: usize, count: usize) -> Labels<'_> {
    let table_at = align8(strings_end);
    let table_end = table_at.saturating_add(count.saturating_mul(ENTRY_LEN));
    let table = record.get(table_at..table_end).unwrap_or_default();
    Labels { record, entries: table.as_chunks().0.iter() }
}

/// The labels of a view, in order.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    record: &'a [u8],
    entries: core::slice::Iter<'a, [u8; ENTRY_LEN]>,
}

impl<'a> Labels<'a> {
    /// The record, and the entries of its table, as the bytes that they are: for who reads labels in
    /// another language. Both were checked.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> (&'a [u8], &'a [[u8; ENTRY_LEN]]) {
        (self.record, self.entries.as_slice())
    }

    /// The value of the first label with that key, of those that are left.
    #[must_use]
    pub fn value_of(&self, key: impl AsRef<[u8]>) -> Option<&'a BStr> {
        let key = key.as_ref();
        self.clone().find(|label| label.key == key).map(|label| label.value)
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = Label<'a>;

    #[inline]
    fn next(&mut self) -> Option<Label<'a>> {
        self.nth(0)
    }

    /// Looks at no label on the way.
    #[inline]
    fn nth(&mut self, index: usize) -> Option<Label<'a>> {
        let entry = self.entries.nth(index)?;
        Some(Label {
            key: string_at(self.record, get_u32::<0, _>(entry), get_u32::<4, _>(entry)),
            value: string_at(self.record, get_u32::<8, _>(entry), get_u32::<12, _>(entry)),
        })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for Labels<'_> {}

/// Bytes that labels add to a record whose strings end at `strings_end`.
pub fn labels_len<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    strings_end: usize,
    labels: impl IntoIterator<Item = (K, V)>,
) -> usize {
    let pair = |(key, value): (K, V)| ENTRY_LEN + key.as_ref().len() + value.as_ref().len() + 2;
    match labels.into_iter().map(pair).sum() {
        0 => 0,
        table => align8(strings_end) - strings_end + table,
    }
}
