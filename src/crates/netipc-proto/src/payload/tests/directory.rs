use std::vec;
use std::vec::Vec;

use bstr::BStr;
use proptest::prelude::*;

use super::{UNTOUCHED, words};
use crate::payload::{
    BareString, BuildError, DirectoryView, DirectoryWriter, check_bare_string, directory_len,
};
use crate::{DecodeError, Defect};

const HEADER: usize = 16;

/// A header of nothing, entries, and this much behind them.
fn payload(entries: &[(u32, u32)], packed_len: usize) -> Vec<u8> {
    let mut payload = vec![UNTOUCHED; HEADER];
    for (offset, length) in entries {
        payload.extend(words(&[*offset, *length]));
    }
    payload.resize(payload.len() + packed_len, UNTOUCHED);
    payload
}

fn decode(
    entries: &[(u32, u32)],
    packed_len: usize,
    ascending: bool,
) -> Result<usize, (Defect, usize)> {
    let payload = payload(entries, packed_len);
    DirectoryView::decode(&payload, HEADER, entries.len() as u32, ascending)
        .map(|view| view.len())
        .map_err(|error| (error.defect, error.offset))
}

/// The payload as the contract has it, with a header of zeros.
fn encoded(elements: &[Vec<u8>]) -> Vec<u8> {
    let (mut entries, mut packed) = (vec![0; HEADER], Vec::<u8>::new());
    for element in elements {
        packed.resize(packed.len().next_multiple_of(8), 0);
        entries.extend(words(&[packed.len() as u32, element.len() as u32]));
        packed.extend(element);
    }
    entries.extend(packed);
    entries
}

fn put(element: &[u8]) -> impl FnOnce(&mut [u8]) -> Result<usize, BuildError> {
    move |out| {
        let place = out.get_mut(..element.len()).ok_or(BuildError::NoSpace)?;
        place.copy_from_slice(element);
        Ok(element.len())
    }
}

fn write(
    out: &mut [u8],
    capacity: usize,
    elements: &[Vec<u8>],
) -> Result<(u32, usize), BuildError> {
    let mut writer = DirectoryWriter::new(out, HEADER, capacity)?;
    for element in elements {
        writer.push(put(element))?;
    }
    let (header, count, len) = writer.finish::<HEADER>("elements")?;
    header.fill(0);
    Ok((count, len))
}

fn elements(lengths: &[usize]) -> Vec<Vec<u8>> {
    lengths.iter().zip(1..).map(|(length, text)| vec![text; *length]).collect()
}

#[test]
fn elements_are_read_where_their_entries_say() {
    let payload = encoded(&[b"ab\0".to_vec(), b"\0".to_vec(), b"12345678\0".to_vec()]);
    let view = DirectoryView::decode(&payload, HEADER, 3, true).unwrap();
    let view = view.check_each(|element| check_bare_string(element, 0, 8)).unwrap();
    let texts: Vec<&BStr> = view.records::<BareString>().collect();
    assert_eq!(texts, ["ab", "", "12345678"]);
    assert!(view.records::<BareString>().rev().eq(texts.iter().copied().rev()));
    assert_eq!((view.len(), view.is_empty(), view.records::<BareString>().len()), (3, false, 3));
    for (index, text) in texts.iter().enumerate() {
        assert_eq!(view.get::<BareString>(index), Some(*text));
    }
    assert_eq!(view.get::<BareString>(3), None);
    assert_eq!(view.get::<BareString>(usize::MAX), None);
}

#[test]
fn none_is_a_directory_too() {
    assert_eq!(decode(&[], 0, true), Ok(0));
    assert_eq!(decode(&[], 5, true), Ok(0));
    let view = DirectoryView::decode(&[0; HEADER], HEADER, 0, true).unwrap();
    assert!(view.is_empty());
    assert_eq!(view.records::<BareString>().next(), None);
}

#[test]
fn a_directory_that_does_not_fit_is_refused_at_its_start() {
    let payload = payload(&[(0, 0); 4], 0);
    for count in [5, 6, u32::MAX / 8, u32::MAX / 8 + 1, u32::MAX] {
        let refused = DirectoryView::decode(&payload, HEADER, count, true);
        assert_eq!(refused.unwrap_err(), DecodeError::new(Defect::Count, HEADER), "{count}");
    }
    for len in 0..payload.len() {
        let refused = DirectoryView::decode(&payload[..len], HEADER, 4, true);
        assert_eq!(refused.unwrap_err(), DecodeError::new(Defect::Count, HEADER), "{len}");
    }
    assert!(DirectoryView::decode(&payload, usize::MAX, 1, true).is_err());
}

#[test]
fn unaligned_elements_are_refused_at_their_entries() {
    for offset in (1..8).chain([9, u32::MAX]) {
        assert_eq!(decode(&[(0, 1), (offset, 1)], 64, false), Err((Defect::Alignment, 24)));
    }
}

#[test]
fn elements_outside_the_packed_area_are_refused_at_their_entries() {
    for (offset, length) in [
        (0, 65),
        (64, 1),
        (72, 0),
        (56, 9),
        (8, u32::MAX),
        (u32::MAX - 7, 0),
        (u32::MAX - 7, 8),
        (u32::MAX - 7, u32::MAX),
    ] {
        let entries = [(0, 1), (offset, length)];
        for ascending in [false, true] {
            let refused = decode(&entries, 64, ascending);
            assert_eq!(refused, Err((Defect::Bounds, 24)), "{offset} {length}");
        }
    }
    for (offset, length) in [(0, 64), (64, 0), (56, 8)] {
        assert_eq!(decode(&[(offset, length)], 64, true), Ok(1), "{offset} {length}");
    }
}

#[test]
fn elements_ascend_and_stay_apart_where_the_shape_says_so() {
    for entries in
        [[(8, 8), (0, 8)], [(0, 16), (8, 8)], [(0, 8), (0, 8)], [(0, 9), (8, 1)], [(16, 0), (8, 0)]]
    {
        assert_eq!(decode(&entries, 64, true), Err((Defect::Order, 24)), "{entries:?}");
        assert_eq!(decode(&entries, 64, false), Ok(2), "{entries:?}");
    }
    // Gaps are nobody's harm, and empty elements may stand at one place.
    for entries in [[(0, 8), (8, 8)], [(8, 1), (48, 16)], [(8, 0), (8, 0)]] {
        assert_eq!(decode(&entries, 64, true), Ok(2), "{entries:?}");
    }
}

#[test]
fn an_error_inside_an_element_is_placed_in_the_payload() {
    let payload = encoded(&[b"a\0".to_vec(), b"bc\0de\0".to_vec()]);
    let view = DirectoryView::decode(&payload, HEADER, 2, true).unwrap();
    let refused = view.check_each(|element| check_bare_string(element, 1, 9)).unwrap_err();
    assert_eq!(refused, DecodeError::new(Defect::InnerNul, HEADER + 2 * 8 + 8 + 2));
    assert_eq!(payload[refused.offset - 2..][..3], *b"bc\0");
}

#[test]
fn any_capacity_gives_the_same_payload() {
    let all = elements(&[5, 8, 0, 1, 16, 7, 9, 3, 3, 40, 0, 2, 8]);
    for count in 0..=all.len() {
        let expected = encoded(&all[..count]);
        let lengths = all[..count].iter().map(Vec::len);
        assert_eq!(directory_len(HEADER, lengths), expected.len());
        for capacity in 0..=all.len() + 8 {
            let mut out = vec![UNTOUCHED; 1024];
            let written = write(&mut out, capacity, &all[..count]);
            assert_eq!(written, Ok((count as u32, expected.len())), "{count} of {capacity}");
            assert_eq!(out[..expected.len()], expected, "{count} of {capacity}");
        }
    }
}

/// However few elements were expected, they fit whenever the payload does, and no sooner.
#[test]
fn what_fits_is_written_whatever_was_expected() {
    fit_exactly(&elements(&[5, 8, 1, 16, 7, 9, 0, 3, 3]));
    fit_exactly(&elements(&[0, 0, 0]));
}

fn fit_exactly(all: &[Vec<u8>]) {
    for count in 0..=all.len() {
        let expected = encoded(&all[..count]);
        for capacity in 0..=count {
            for room in 0..=expected.len() {
                let mut out = vec![UNTOUCHED; room];
                let written = write(&mut out, capacity, &all[..count]);
                if room == expected.len() {
                    assert_eq!(written, Ok((count as u32, room)), "{count} of {capacity}");
                    assert_eq!(out, expected, "{count} of {capacity}");
                } else {
                    assert_eq!(written, Err(BuildError::NoSpace), "{count} of {capacity}: {room}");
                }
            }
        }
    }
}

#[test]
fn room_for_what_is_expected_must_be_there() {
    for (capacity, room) in [(0, HEADER), (3, HEADER + 24)] {
        assert!(DirectoryWriter::new(&mut vec![0; room], HEADER, capacity).is_ok());
        let refused = DirectoryWriter::new(&mut vec![0; room - 1], HEADER, capacity).err();
        assert_eq!(refused, Some(BuildError::NoSpace));
    }
    for capacity in [usize::MAX / 8, usize::MAX / 8 + 1, usize::MAX] {
        let refused = DirectoryWriter::new(&mut [0; 64], HEADER, capacity).err();
        assert_eq!(refused, Some(BuildError::NoSpace), "{capacity}");
    }
}

#[test]
fn an_element_that_fails_leaves_the_others_and_the_next_takes_its_place() {
    let all = elements(&[3, 9]);
    for capacity in 0..=2 {
        let mut out = vec![UNTOUCHED; encoded(&all).len()];
        let mut writer = DirectoryWriter::new(&mut out, HEADER, capacity).unwrap();
        writer.push(put(&all[0])).unwrap();
        // One that does not fit, and one that writes all it can before it fails.
        assert_eq!(writer.push(put(&[7; 200])), Err(BuildError::NoSpace));
        let failed = writer.push(|out| {
            out.fill(7);
            Err(BuildError::Echo)
        });
        assert_eq!(failed, Err(BuildError::Echo));
        assert_eq!((writer.len(), writer.is_empty()), (1, false));
        writer.push(put(&all[1])).unwrap();
        assert_eq!(writer.push(put(&[7])), Err(BuildError::NoSpace));
        let (header, count, len) = writer.finish::<HEADER>("elements").unwrap();
        header.fill(0);
        assert_eq!((count, len), (2, out.len()));
        assert_eq!(out, encoded(&all), "{capacity}");
    }
}

/// An encoder that says it wrote more than it was given is not believed.
#[test]
fn no_element_is_longer_than_its_room() {
    let mut out = [0; HEADER + 8 + 4];
    let mut writer = DirectoryWriter::new(&mut out, HEADER, 1).unwrap();
    writer.push(|_| Ok(usize::MAX)).unwrap();
    assert_eq!(writer.finish::<HEADER>("elements").unwrap().2, HEADER + 8 + 4);
}

proptest! {
    /// What is written is what a decoder accepts, strictly, and reads.
    #[test]
    fn what_is_written_is_read(
        texts in prop::collection::vec("[a-z]{0,20}", 0..20),
        capacity in 0..30_usize,
    ) {
        let elements: Vec<Vec<u8>> = texts.iter().map(|t| [t.as_bytes(), &[0]].concat()).collect();
        let mut out = vec![UNTOUCHED; 2048];
        let (count, len) = write(&mut out, capacity, &elements).unwrap();
        let view = DirectoryView::decode(&out[..len], HEADER, count, true).unwrap();
        let view = view.check_each(|element| check_bare_string(element, 0, 20)).unwrap();
        prop_assert!(view.records::<BareString>().eq(texts.iter().map(BStr::new)));
    }

    /// No bytes make it panic, whatever count is claimed, and what is accepted can be read.
    #[test]
    fn any_bytes_decode_or_err(
        entries in prop::collection::vec((0..80_u32, 0..40_u32), 0..6),
        count in 0..8_u32,
        packed_len in 0..80_usize,
        ascending: bool,
    ) {
        let payload = payload(&entries, packed_len);
        if let Ok(view) = DirectoryView::decode(&payload, HEADER, count, ascending) {
            prop_assert_eq!(view.records::<BareString>().count(), count as usize);
        }
    }
}
