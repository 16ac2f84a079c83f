use std::vec;
use std::vec::Vec;

use bstr::BStr;

use super::span;
use crate::payload::strings::count_nuls;
use crate::payload::{
    StringSpan, UNLIMITED, check_bare_string, check_strings, string_at, strings_end,
};
use crate::{DecodeError, Defect};

/// Bytes of the fixed part of the records here.
const FIXED: usize = 4;

fn error<T>(defect: Defect, offset: usize) -> Result<T, DecodeError> {
    Err(DecodeError::new(defect, offset))
}

/// A record whose fixed part is never looked at.
fn record(tail: &[u8]) -> Vec<u8> {
    [&[0xEE; FIXED][..], tail].concat()
}

#[test]
fn a_single_nul_is_counted_wherever_it_stands() {
    for len in 0..600 {
        let mut bytes = vec![0xFF; len];
        assert_eq!(count_nuls(&bytes), 0, "{len}");
        for place in 0..len {
            bytes[place] = 0;
            assert_eq!(count_nuls(&bytes), 1, "{place} of {len}");
            bytes[place] = 1 + (place % 255) as u8;
        }
    }
}

/// A lane counts in a byte: more of them than it holds must not wrap.
#[test]
fn nuls_are_counted_however_many_there_are() {
    for len in (0..600).chain(16 * 253..16 * 257).chain([16 * 508, 16 * 509 + 1, 100_000]) {
        assert_eq!(count_nuls(&vec![0; len]), len);
    }
}

#[test]
fn no_strings_end_where_the_fixed_part_does() {
    for no_inner_nul in [false, true] {
        assert_eq!(check_strings(&record(b""), FIXED, [], no_inner_nul), Ok(FIXED));
        assert_eq!(check_strings(&record(b"\0ab\0"), FIXED, [], no_inner_nul), Ok(FIXED));
    }
    assert_eq!(strings_end(FIXED, []), FIXED);
}

#[test]
fn strings_as_encoders_lay_them_are_accepted() {
    let record = record(b"ab\0\0cde\0behind");
    let spans = [span(0, 4, 2), span(1, 7, 0), span(2, 8, 3)];
    for no_inner_nul in [false, true] {
        assert_eq!(check_strings(&record, FIXED, spans, no_inner_nul), Ok(12));
        assert_eq!(check_strings(&record, FIXED, [spans[0]], no_inner_nul), Ok(7));
    }
    assert_eq!(string_at(&record, 8, 3), "cde");
}

/// In another order, and with gaps between them: rare, but the contract does not forbid it.
#[test]
fn scattered_strings_are_accepted() {
    let record = record(b"..cd\0.\0\0ab\0");
    let spans = [span(0, 12, 2), span(1, 6, 2), span(2, 11, 0)];
    for no_inner_nul in [false, true] {
        assert_eq!(check_strings(&record, FIXED, spans, no_inner_nul), Ok(15));
    }
    assert_eq!(strings_end(FIXED, [(12, 2), (6, 2), (11, 0)]), 15);
}

#[test]
fn strings_outside_their_place_are_refused() {
    let record = record(b"ab\0");
    let len = record.len();
    for (offset, length) in [
        (3, 3),
        (0, 0),
        (len, 0),
        (len + 1, 0),
        (4, 3),
        (4, u32::MAX as usize),
        (u32::MAX as usize, 0),
        (u32::MAX as usize, u32::MAX as usize),
    ] {
        let checked = check_strings(&record, FIXED, [span(7, offset, length)], false);
        assert_eq!(checked, error(Defect::Bounds, 7), "{offset} {length}");
    }
    // With its NUL as the last byte of the fixed part: inside it all the same.
    let nul_in_fixed = [1, 1, 1, 0, b'a', 0];
    let checked = check_strings(&nul_in_fixed, FIXED, [span(7, 3, 0)], false);
    assert_eq!(checked, error(Defect::Bounds, 7));
}

#[test]
fn strings_without_their_nul_are_refused() {
    for length in [0, 1, 3] {
        let checked = check_strings(&record(b"ab\0c"), FIXED, [span(7, 4, length)], false);
        assert_eq!(checked, error(Defect::MissingNul, 7), "{length}");
    }
}

#[test]
fn strings_that_share_a_byte_are_refused() {
    let record = record(b"ab\0cd\0\0");
    for (first, second) in [
        ((4, 2), (4, 2)),
        ((4, 2), (5, 1)),
        ((5, 1), (4, 2)),
        // A string and an empty one in its NUL, both ways, and two empty ones in one NUL.
        ((4, 2), (6, 0)),
        ((6, 0), (4, 2)),
        ((10, 0), (10, 0)),
        ((4, 5), (7, 2)),
    ] {
        let spans = [span(0, first.0, first.1), span(1, second.0, second.1)];
        let checked = check_strings(&record, FIXED, spans, false);
        assert_eq!(checked, error(Defect::Overlap, 1), "{first:?} {second:?}");
    }
    let third = [span(0, 10, 0), span(1, 4, 2), span(2, 10, 0)];
    assert_eq!(check_strings(&record, FIXED, third, false), error(Defect::Overlap, 2));
}

#[test]
fn a_nul_inside_is_refused_where_the_shape_says_so() {
    let packed = record(b"ab\0cd\0ef\0");
    let packed_spans = [span(0, 4, 2), span(1, 7, 2), span(2, 10, 2)];
    // The same strings in another order, with NULs in a gap, which belong to none of them.
    let scattered = record(b"ef\0\0\0cd\0ab\0");
    let scattered_spans = [span(0, 12, 2), span(1, 9, 2), span(2, 4, 2)];
    for (record, spans) in [(packed, packed_spans), (scattered, scattered_spans)] {
        let end = record.len();
        assert_eq!(check_strings(&record, FIXED, spans, true), Ok(end));
        for (guilty, at) in spans.iter().enumerate() {
            for place in 0..2 {
                let mut record = record.clone();
                record[at.offset as usize + place] = 0;
                assert_eq!(check_strings(&record, FIXED, spans, false), Ok(end));
                let checked = check_strings(&record, FIXED, spans, true);
                assert_eq!(checked, error(Defect::InnerNul, guilty));
            }
        }
    }
}

/// What the contract says, in the plainest words: each where it may be, then no two that share a
/// byte, then no NUL inside.
fn plainly(record: &[u8], spans: &[StringSpan], no_inner_nul: bool) -> Result<usize, DecodeError> {
    let bytes = |span: &StringSpan| span.offset as usize..(span.offset + span.length + 1) as usize;
    for span in spans {
        let bytes = bytes(span);
        if bytes.start < FIXED || bytes.end > record.len() {
            return error(Defect::Bounds, span.field_at);
        }
        if record[bytes.end - 1] != 0 {
            return error(Defect::MissingNul, span.field_at);
        }
    }
    for (index, span) in spans.iter().enumerate() {
        let shared = |other| bytes(span).any(|byte| bytes(other).contains(&byte));
        if spans[..index].iter().any(shared) {
            return error(Defect::Overlap, span.field_at);
        }
    }
    for span in spans {
        if no_inner_nul && record[bytes(span)].iter().filter(|byte| **byte == 0).count() != 1 {
            return error(Defect::InnerNul, span.field_at);
        }
    }
    Ok(spans.iter().map(|span| bytes(span).end).max().unwrap_or(FIXED))
}

/// Every record of up to five bytes, and every two strings in and around it.
#[test]
fn two_strings_are_judged_as_the_contract_says_wherever_they_are() {
    const TAIL: usize = 5;
    let places: Vec<(usize, usize)> = (FIXED - 1..=FIXED + TAIL)
        .flat_map(|offset| (0..=TAIL).map(move |length| (offset, length)))
        .collect();
    let mut accepted = 0;
    for bits in 0..1 << TAIL {
        let tail: Vec<u8> = (0..TAIL).map(|bit| b'a' * (bits >> bit & 1) as u8).collect();
        let record = record(&tail);
        for (first, second) in places.iter().flat_map(|a| places.iter().map(move |b| (a, b))) {
            let spans = [span(0, first.0, first.1), span(1, second.0, second.1)];
            for no_inner_nul in [false, true] {
                let checked = check_strings(&record, FIXED, spans, no_inner_nul);
                let plain = plainly(&record, &spans, no_inner_nul);
                assert_eq!(checked, plain, "{tail:?} {first:?} {second:?} {no_inner_nul}");
                if let Ok(end) = checked {
                    accepted += 1;
                    let places = spans.map(|span| (span.offset, span.length));
                    assert_eq!(strings_end(FIXED, places), end);
                }
            }
        }
    }
    assert!(accepted > 500, "{accepted}");
}

#[test]
fn lengths_are_held_to_their_limits() {
    for (length, checked) in [
        (0, error(Defect::StringLength, 7)),
        (1, Ok(())),
        (15, Ok(())),
        (16, error(Defect::StringLength, 7)),
        (u32::MAX as usize, error(Defect::StringLength, 7)),
    ] {
        assert_eq!(span(7, 0, length).check_length(1, 15), checked, "{length}");
    }
    assert_eq!(span(7, 0, u32::MAX as usize).check_length(0, UNLIMITED), Ok(()));
}

#[test]
fn bare_strings_are_text_and_one_nul() {
    assert_eq!(check_bare_string(b"a\0", 1, UNLIMITED), Ok(()));
    assert_eq!(check_bare_string(b"\0", 0, UNLIMITED), Ok(()));
    assert_eq!(check_bare_string(b"abc\0", 3, 3), Ok(()));
    assert_eq!(check_bare_string(b"", 0, UNLIMITED), error(Defect::EmptyKey, 0));
    assert_eq!(check_bare_string(b"\0", 1, UNLIMITED), error(Defect::EmptyKey, 0));
    assert_eq!(check_bare_string(b"a\0", 2, UNLIMITED), error(Defect::StringLength, 0));
    assert_eq!(check_bare_string(b"abc\0", 1, 2), error(Defect::StringLength, 0));
    assert_eq!(check_bare_string(b"abc", 1, UNLIMITED), error(Defect::MissingNul, 2));
    for len in 1..50 {
        let mut element = [&vec![b'a'; len][..], b"\0"].concat();
        assert_eq!(check_bare_string(&element, 1, UNLIMITED), Ok(()));
        for place in 0..len {
            element[place] = 0;
            let checked = check_bare_string(&element, 1, UNLIMITED);
            assert_eq!(checked, error(Defect::InnerNul, place));
            element[place] = b'a';
        }
    }
}

/// Checking excludes such places; reading them must be harmless all the same.
#[test]
fn reading_outside_a_record_gives_nothing() {
    for (offset, length) in [(0, 4), (3, 1), (4, 0), (u32::MAX, 0), (1, u32::MAX)] {
        assert_eq!(string_at(b"abc", offset, length), BStr::new(b""), "{offset} {length}");
    }
    assert!(strings_end(FIXED, [(u32::MAX, u32::MAX)]) > u32::MAX as usize);
}
