use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{UNTOUCHED, span, words};
use crate::payload::labels::ENTRY_LEN;
use crate::payload::{
    BuildError, NO_LABELS, RecordWriter, check_labels, check_strings, labels_at, string_at,
    write_bare_string,
};

/// Two string fields, and 3 bytes that are nobody's, so that strings start unaligned.
const FIXED: usize = 19;

/// An iterator that does not keep its promise of a length.
struct Liar {
    says: usize,
    has: usize,
}

impl Iterator for Liar {
    type Item = (&'static str, &'static str);

    fn next(&mut self) -> Option<Self::Item> {
        self.has = self.has.checked_sub(1)?;
        Some(("key", "value"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.says, Some(self.says))
    }
}

impl ExactSizeIterator for Liar {}

fn write<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    out: &mut [u8],
    strings: [&[u8]; 2],
    labels: impl ExactSizeIterator<Item = (K, V)>,
) -> Result<usize, BuildError> {
    let (fixed, mut rest) = RecordWriter::<FIXED>::new(out)?;
    fixed[16..].fill(0xEE);
    rest.string::<0>(fixed, strings[0])?;
    rest.string::<8>(fixed, strings[1])?;
    rest.refuse_inner_nuls([("first", strings[0]), ("second", strings[1])])?;
    rest.labels("labels", labels)?;
    Ok(rest.finish())
}

fn write_labels<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    labels: impl ExactSizeIterator<Item = (K, V)>,
) -> Result<usize, BuildError> {
    write(&mut [UNTOUCHED; 256], [b"a", b"b"], labels)
}

/// By hand: strings end at 25, zeros to 32, a table of two entries, strings from 64 on.
fn two_strings_and_two_labels() -> Vec<u8> {
    let mut record = words(&[19, 2, 22, 2]);
    record.extend(*b"\xEE\xEE\xEEab\0cd\0\0\0\0\0\0\0\0");
    record.extend(words(&[64, 1, 66, 2, 69, 3, 73, 0]));
    record.extend(*b"k\0vw\0key\0\0");
    record
}

#[test]
fn a_record_is_written_whole_or_not_at_all() {
    let expected = two_strings_and_two_labels();
    let mut exactly = 0;
    for room in 0..expected.len() + 10 {
        let mut out = vec![UNTOUCHED; room];
        let written = write(&mut out, [b"ab", b"cd"], [("k", "vw"), ("key", "")].into_iter());
        if room < expected.len() {
            assert_eq!(written, Err(BuildError::NoSpace), "{room}");
            continue;
        }
        assert_eq!(written, Ok(expected.len()), "{room}");
        assert_eq!(out[..expected.len()], expected);
        assert!(out[expected.len()..].iter().all(|byte| *byte == UNTOUCHED));
        exactly += 1;
    }
    assert_eq!(exactly, 10);
}

/// Around every boundary between the ways of copying.
#[test]
fn text_of_any_length_is_copied_exactly() {
    for len in 0..=100 {
        let text: Vec<u8> = (1..=len).collect();
        let len = text.len();
        let mut out = vec![UNTOUCHED; FIXED + len + 2];
        let (fixed, mut rest) = RecordWriter::<FIXED>::new(&mut out).unwrap();
        rest.string::<8>(fixed, &text).unwrap();
        assert_eq!(rest.refuse_inner_nuls([("text", &text[..])]), Ok(()));
        assert_eq!(rest.finish(), FIXED + len + 1);
        assert_eq!(out[8..16], words(&[FIXED as u32, len as u32]));
        assert_eq!(out[FIXED..FIXED + len], text);
        assert_eq!(out[FIXED + len..], [0, UNTOUCHED]);
        assert_eq!((&out[..8], &out[16..FIXED]), (&[UNTOUCHED; 8][..], &[UNTOUCHED; 3][..]));
    }
}

#[test]
fn a_nul_is_found_wherever_it_stands() {
    for len in 1..=100 {
        let mut text = vec![0xFF; len];
        for place in 0..len {
            text[place] = 0;
            let guilty = |field| Err(BuildError::InnerNul { field });
            let mut out = [UNTOUCHED; 512];
            assert_eq!(write(&mut out, [&text, b"b"], NO_LABELS), guilty("first"));
            assert_eq!(write(&mut out, [b"a", &text], NO_LABELS), guilty("second"));
            assert_eq!(write_bare_string(&mut out, &text, "key"), guilty("key"));
            assert_eq!(write_labels([(&text, "v")].into_iter()), guilty("labels"));
            assert_eq!(write_labels([("k", &text)].into_iter()), guilty("labels"));
            text[place] = 0x80;
        }
    }
}

/// Where the shape allows NULs, nobody asks, and they travel.
#[test]
fn a_nul_travels_where_nobody_refuses_it() {
    let mut out = [UNTOUCHED; 32];
    let (fixed, mut rest) = RecordWriter::<8>::new(&mut out).unwrap();
    rest.string::<0>(fixed, b"a\0b").unwrap();
    assert_eq!(rest.finish(), 12);
    assert_eq!(out[8..13], *b"a\0b\0\xAA");
}

#[test]
fn labels_without_a_key_are_refused() {
    for labels in [[("", "v"), ("k", "v")], [("k", "v"), ("", "v")]] {
        let refused = write_labels(labels.into_iter());
        let max = u32::MAX as usize;
        assert_eq!(refused, Err(BuildError::Length { field: "labels", length: 0, min: 1, max }));
    }
}

#[test]
fn labels_that_lie_about_their_number_are_refused() {
    let lied = Err(BuildError::Count { field: "labels" });
    for (says, has) in [(2, 1), (1, 2), (3, 0), (1, 0)] {
        assert_eq!(write_labels(Liar { says, has }), lied, "{says} {has}");
    }
    // Who says none is taken by its word: the count field, which is written from it, agrees.
    assert_eq!(write_labels(Liar { says: 0, has: 2 }), write_labels(NO_LABELS));
    // Who says more than there is room for is told so before anything is written.
    for says in [100, usize::MAX / ENTRY_LEN, usize::MAX] {
        assert_eq!(write_labels(Liar { says, has: 1 }), Err(BuildError::NoSpace), "{says}");
    }
}

#[test]
fn a_bare_string_is_text_and_its_nul() {
    for room in 0..6 {
        let mut out = [UNTOUCHED; 6];
        let written = write_bare_string(&mut out[..room], b"abc", "key");
        if room < 4 {
            assert_eq!(written, Err(BuildError::NoSpace), "{room}");
            assert_eq!(out, [UNTOUCHED; 6]);
        } else {
            assert_eq!(written, Ok(4));
            assert_eq!(out, *b"abc\0\xAA\xAA");
        }
    }
}

proptest! {
    /// What is written is what a decoder accepts and reads.
    #[test]
    fn what_is_written_is_checked_and_read(
        strings in [".{0,40}", ".{0,40}"],
        labels in prop::collection::vec((".{1,40}", ".{0,40}"), 0..6),
    ) {
        let strings = strings.map(|string| string.replace('\0', "~"));
        let labels: Vec<_> = labels
            .iter()
            .map(|(key, value)| (key.replace('\0', "~"), value.replace('\0', "~")))
            .collect();
        let mut out = vec![UNTOUCHED; 8192];
        let texts = [strings[0].as_bytes(), strings[1].as_bytes()];
        let pairs = labels.iter().map(|(key, value)| (key, value));
        let len = write(&mut out, texts, pairs).unwrap();
        let record = &out[..len];

        let second_at = FIXED + texts[0].len() + 1;
        let spans = [span(0, FIXED, texts[0].len()), span(8, second_at, texts[1].len())];
        let end = check_strings(record, FIXED, spans, true);
        prop_assert_eq!(end, Ok(second_at + texts[1].len() + 1));
        let end = end.unwrap();
        prop_assert_eq!(check_labels(record, end, labels.len(), 0), Ok(()));
        for (span, text) in spans.iter().zip(texts) {
            prop_assert_eq!(string_at(record, span.offset, span.length), text);
        }
        let read = labels_at(record, end, labels.len()).map(|label| (label.key, label.value));
        prop_assert!(read.eq(labels.iter().map(|(k, v)| (k.as_bytes().into(), v.as_bytes().into()))));
    }
}
