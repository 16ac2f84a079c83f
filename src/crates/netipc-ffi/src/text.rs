//! Strings and labels, as C passes and reads them.

use std::ffi::{c_char, c_void};

use netipc::codec::{BString, Labels};

use crate::boundary::Caller;
use crate::failure::Failure;
use crate::typed::Text;

/// Bytes of a text in a status, and of nipc_last_error(), its NUL included. Longer ones are cut.
pub const NIPC_TEXT_BYTES: usize = 256;

/// A string: bytes, and how many.
///
/// In views it is borrowed, and a NUL follows it, which `len` does not count: `ptr` is a C string
/// where it holds no NUL itself. As an input it need not end in NUL, and `ptr` may be NULL where `len`
/// is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_str_t {
    /// The first byte.
    pub ptr: *const c_char,
    /// Bytes, the NUL not counted.
    pub len: usize,
}

/// A label to be written: both strings are borrowed for the time of the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_label_t {
    /// At least one byte.
    pub key: nipc_str_t,
    /// May be empty.
    pub value: nipc_str_t,
}

/// The labels of an item, borrowed from the view that it was read from. Read each with
/// nipc_labels_view_get().
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_labels_view_t {
    /// How many there are.
    pub count: usize,
    /// The record that has them: NULL in a view that was never filled in.
    record_: *const c_void,
    /// Its table: four u32 for each, the place and length of key and value.
    table_: *const c_void,
}

impl nipc_labels_view_t {
    /// A view for C. What it borrows is whatever `labels` borrows: C keeps to the lifetimes.
    #[inline(always)]
    #[allow(dead_code, reason = "for calls that have labels")]
    pub(crate) fn new(labels: &Labels<'_>) -> Self {
        let (record, table) = labels.parts();
        Self { count: table.len(), record_: record.as_ptr().cast(), table_: table.as_ptr().cast() }
    }
}

impl<'c> Caller<'c> {
    /// The labels that a view has, for who copies them. `name` is the view's, for the words.
    #[allow(dead_code, reason = "for calls that have labels")]
    pub(crate) fn labels_of(
        self,
        labels: &nipc_labels_view_t,
        name: &'static str,
    ) -> Result<Vec<(BString, BString)>, Failure> {
        // As the wire has it: offset and length of the key, then of the value.
        let table = self.in_slice(labels.table_.cast::<[u8; 16]>(), labels.count, name)?;
        let text = |entry: &[u8; 16], at: usize| {
            let number = |at| entry.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
            let number = |at| u32::from_ne_bytes(number(at).unwrap_or_default()) as usize;
            let text = labels.record_.cast::<u8>().wrapping_add(number(at));
            self.in_slice(text, number(at + 4), name)
        };
        table.iter().map(|entry| Ok((text(entry, 0)?.into(), text(entry, 8)?.into()))).collect()
    }
}

impl nipc_str_t {
    /// A string for C. What it borrows is whatever `text` borrows: C keeps to the lifetimes.
    #[inline(always)]
    pub(crate) fn new(text: &[u8]) -> Self {
        Self { ptr: text.as_ptr().cast(), len: text.len() }
    }
}

impl<'c> Caller<'c> {
    /// A string that a caller has passed.
    #[inline(always)]
    pub(crate) fn in_str(self, text: nipc_str_t, name: &'static str) -> Result<&'c [u8], Failure> {
        self.in_bytes(text.ptr.cast(), text.len, name)
    }

    /// Labels that a caller has passed, to be given to a builder as they are.
    #[inline(always)]
    pub(crate) fn in_labels(
        self,
        labels: *const nipc_label_t,
        count: usize,
    ) -> Result<LabelsIn<'c>, Failure> {
        for label in self.in_slice(labels, count, "labels")? {
            self.in_str(label.key, "the key of a label")?;
            self.in_str(label.value, "the value of a label")?;
        }
        // Two `Text`s are a label, of which each was just looked at.
        Ok(LabelsIn(self.in_slice(labels.cast::<LabelIn<'c>>(), count, "labels")?.iter()))
    }
}

/// A label of the caller's that was looked at: a [`nipc_label_t`].
#[repr(C)]
struct LabelIn<'c> {
    key: Text<'c>,
    value: Text<'c>,
}

const _: () = assert!(size_of::<LabelIn<'_>>() == size_of::<nipc_label_t>());

/// Labels that a caller has passed, each of which was looked at before.
#[derive(Clone)]
pub(crate) struct LabelsIn<'c>(std::slice::Iter<'c, LabelIn<'c>>);

impl<'c> Iterator for LabelsIn<'c> {
    type Item = (&'c [u8], &'c [u8]);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|label| (label.key.as_ref(), label.value.as_ref()))
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for LabelsIn<'_> {}

/// A text in a C struct: what `pieces` say together, cut where it is too long, at a whole character,
/// and ending in NUL.
pub(crate) fn cut_text<const N: usize>(pieces: &[&str]) -> [c_char; N] {
    let mut text = [0; N];
    let mut room = text.iter_mut().take(N.saturating_sub(1));
    for piece in pieces {
        let fits = piece.floor_char_boundary(room.len());
        // A NUL inside would end the text for C.
        let bytes = piece.bytes().take(fits).map(|byte| if byte == 0 { b'?' } else { byte });
        // Bytes first: a pair that lacks its second would lose a place.
        for (byte, to) in bytes.zip(room.by_ref()) {
            *to = byte.cast_signed();
        }
        if fits < piece.len() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str]) -> String {
        let text: [c_char; 8] = cut_text(pieces);
        assert_eq!(text[7], 0);
        text.iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| byte.cast_unsigned() as char)
            .collect()
    }

    #[test]
    fn texts_are_cut_at_whole_characters_and_end_in_nul() {
        assert_eq!(cut(&[]), "");
        assert_eq!(cut(&["abc", "def"]), "abcdef");
        assert_eq!(cut(&["abc", "defg", "h"]), "abcdefg");
        assert_eq!(cut(&["abcdefgh", "i"]), "abcdefg");
        assert_eq!(cut(&["a\0b"]), "a?b");
        let umlaut: [c_char; 8] = cut_text(&["abcdefä", "x"]);
        assert_eq!(umlaut[6], 0, "half a character is none");
    }
}
