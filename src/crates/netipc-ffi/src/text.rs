//! Strings and labels, as C passes and reads them.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use netipc::codec::Labels;

use crate::boundary::{Caller, boundary};
use crate::error::nipc_error_t;
use crate::failure::Failure;
use crate::typed::Text;
use crate::words;

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

/// Words that a label table takes.
const LABEL_WORDS: usize = 5;

/// The labels of an item, borrowed from the view that it was read from.
#[repr(C)]
pub struct nipc_labels_view_t {
    /// How many there are.
    pub count: usize,
    /// The library's.
    opaque_: [MaybeUninit<u64>; 5],
}

/// Reads label `index` of an item: its strings are borrowed from what the item was read from. Takes as
/// long for the last as for the first.
///
/// NIPC_ERR_OUT_OF_RANGE past the last, NIPC_ERR_NOT_INITIALIZED if the view was never filled in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_labels_view_get(
    labels: *const nipc_labels_view_t,
    index: usize,
    label: *mut nipc_label_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let (labels, label) = (caller.in_ref(labels, "labels")?, caller.out(label, "label")?);
            label.write(labels.get(index)?);
            Ok(())
        })
    }
}

impl nipc_labels_view_t {
    /// A view for C. What it borrows is whatever `labels` borrows: C keeps to the lifetimes.
    #[inline(always)]
    pub(crate) fn new(labels: Labels<'_>) -> Self {
        Self { count: labels.len(), opaque_: words::keep(labels) }
    }

    #[inline(always)]
    fn get(&self, index: usize) -> Result<nipc_label_t, Failure> {
        // SAFETY: in the hands of C the words are zeroed or were made by `new`, and the caller keeps
        // to the lifetime of what they borrow.
        let labels = unsafe { words::kept::<Labels<'_>, LABEL_WORDS>(&self.opaque_) }?;
        match labels.clone().nth(index) {
            Some(label) => Ok(nipc_label_t {
                key: nipc_str_t::new(label.key),
                value: nipc_str_t::new(label.value),
            }),
            None => Err(Failure::out_of_range(index, labels.len())),
        }
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
