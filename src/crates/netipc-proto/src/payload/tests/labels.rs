use std::vec;
use std::vec::Vec;

use super::words;
use crate::payload::labels::ENTRY_LEN;
use crate::payload::{align8, check_labels, labels_at, labels_len};
use crate::{DecodeError, Defect};

/// Where the count field would stand.
const COUNT_AT: usize = 24;
const STRINGS_END: usize = 44;
const TABLE_AT: usize = 48;
const PAIRS: [(&str, &str); 3] = [("image", "nginx"), ("empty", ""), ("k", "v")];

fn error(defect: Defect, offset: usize) -> Result<(), DecodeError> {
    Err(DecodeError::new(defect, offset))
}

/// A record with labels as the contract has them, by itself (spec section 10.6).
fn labelled(strings_end: usize, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut record = vec![0xEE; strings_end];
    if pairs.is_empty() {
        return record;
    }
    record.resize(strings_end.next_multiple_of(8), 0);
    let mut at = record.len() + ENTRY_LEN * pairs.len();
    let mut text = Vec::new();
    for string in pairs.iter().flat_map(|(key, value)| [key, value]) {
        record.extend(words(&[at as u32, string.len() as u32]));
        text.extend([string.as_bytes(), &[0]].concat());
        at += string.len() + 1;
    }
    record.extend(text);
    record
}

/// The canonical record with one number of its table replaced: entry, word of the entry.
fn with_word(entry: usize, word: usize, number: impl Fn(u32) -> u32) -> Vec<u8> {
    let mut record = labelled(STRINGS_END, &PAIRS);
    let bytes = &mut record[TABLE_AT + ENTRY_LEN * entry + 4 * word..][..4];
    let old = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    bytes.copy_from_slice(&number(old).to_ne_bytes());
    record
}

fn check(record: &[u8]) -> Result<(), DecodeError> {
    check_labels(record, STRINGS_END, PAIRS.len(), COUNT_AT)
}

#[test]
fn labels_behind_strings_of_any_length_are_read_in_order() {
    for strings_end in 28..60 {
        for count in 0..=PAIRS.len() {
            let record = labelled(strings_end, &PAIRS[..count]);
            assert_eq!(check_labels(&record, strings_end, count, COUNT_AT), Ok(()));
            assert_eq!(
                labels_len(strings_end, PAIRS[..count].iter().copied()),
                record.len() - strings_end
            );

            let labels = labels_at(&record, strings_end, count);
            assert_eq!(labels.len(), count);
            for (index, (label, (key, value))) in labels.clone().zip(PAIRS).enumerate() {
                assert_eq!((label.key, label.value), (key.into(), value.into()));
                assert_eq!(labels.clone().skip(index).len(), count - index);
            }
            assert_eq!(labels.count(), count);
        }
    }
}

#[test]
fn a_value_is_found_by_its_key_and_the_first_wins() {
    let pairs = [("a", "1"), ("b", ""), ("a", "2")];
    let record = labelled(STRINGS_END, &pairs);
    let mut labels = labels_at(&record, STRINGS_END, pairs.len());
    assert_eq!(labels.value_of("a"), Some("1".into()));
    assert_eq!(labels.value_of(b"b"), Some("".into()));
    assert_eq!(labels.value_of("c"), None);
    assert_eq!(labels.value_of(""), None);
    assert!(labels.next().is_some());
    assert_eq!(labels.value_of("a"), Some("2".into()), "of those that are left");
}

#[test]
fn a_record_without_labels_ends_with_its_strings() {
    let record = [0; STRINGS_END + 4];
    let check = |len: usize| check_labels(&record[..len], STRINGS_END, 0, COUNT_AT);
    assert_eq!(check(STRINGS_END), Ok(()));
    for len in STRINGS_END + 1..record.len() {
        assert_eq!(check(len), error(Defect::Trailing, STRINGS_END));
    }
}

#[test]
fn every_byte_of_the_padding_is_zero() {
    for strings_end in TABLE_AT - 7..TABLE_AT {
        for place in strings_end..TABLE_AT {
            let mut record = labelled(strings_end, &PAIRS);
            record[place] = 1;
            let checked = check_labels(&record, strings_end, PAIRS.len(), COUNT_AT);
            assert_eq!(checked, error(Defect::Padding, strings_end));
        }
    }
}

#[test]
fn a_table_that_does_not_fit_is_refused_at_its_count() {
    let record = labelled(STRINGS_END, &PAIRS);
    let most = (record.len() - TABLE_AT) / ENTRY_LEN;
    for count in [most + 1, 65_535, usize::MAX / ENTRY_LEN, usize::MAX / ENTRY_LEN + 1, usize::MAX]
    {
        let checked = check_labels(&record, STRINGS_END, count, COUNT_AT);
        assert_eq!(checked, error(Defect::Bounds, COUNT_AT), "{count}");
    }
    for len in STRINGS_END..TABLE_AT + ENTRY_LEN * PAIRS.len() {
        assert_eq!(check(&record[..len]), error(Defect::Bounds, COUNT_AT), "{len}");
    }
    // The end of the strings comes from the same peer.
    let checked = check_labels(&record, usize::MAX, 1, COUNT_AT);
    assert_eq!(checked, error(Defect::Bounds, COUNT_AT));
}

#[test]
fn another_count_is_refused() {
    let record = labelled(STRINGS_END, &PAIRS);
    for count in [1, 2, 4] {
        assert!(check_labels(&record, STRINGS_END, count, COUNT_AT).is_err(), "{count}");
    }
}

#[test]
fn strings_lie_in_order_without_gap_or_overlap() {
    let entry_at = |entry| TABLE_AT + ENTRY_LEN * entry;
    let end = labelled(STRINGS_END, &PAIRS).len() as u32;
    // Word 0 is a key's offset, word 2 a value's.
    for (entry, word) in [(0, 0), (0, 2), (1, 0), (1, 2), (2, 2)] {
        for (number, defect) in [
            (1, Defect::Trailing),
            (u32::MAX, Defect::Overlap),
            (end, Defect::Bounds),
            (u32::MAX / 2, Defect::Bounds),
        ] {
            let record = with_word(entry, word, |old| old.wrapping_add(number));
            assert_eq!(check(&record), error(defect, entry_at(entry)), "{entry} {word} {number}");
        }
    }
    // The table itself, and the fixed part, are no place for a string.
    for offset in [0, 28, TABLE_AT as u32] {
        assert_eq!(check(&with_word(0, 0, |_| offset)), error(Defect::Overlap, entry_at(0)));
    }
}

#[test]
fn lengths_lead_to_the_nul_and_no_further() {
    let entry_at = |entry| TABLE_AT + ENTRY_LEN * entry;
    for (entry, word) in [(0, 1), (0, 3), (2, 3)] {
        let shorter = with_word(entry, word, |length| length - 1);
        assert_eq!(check(&shorter), error(Defect::MissingNul, entry_at(entry)));
        let too_long = with_word(entry, word, |_| u32::MAX);
        assert_eq!(check(&too_long), error(Defect::Bounds, entry_at(entry)));
    }
    let to_the_end = with_word(2, 3, |length| length + 1);
    assert_eq!(check(&to_the_end), error(Defect::Bounds, entry_at(2)));
    assert_eq!(check(&with_word(1, 1, |_| 0)), error(Defect::EmptyKey, entry_at(1)));
}

#[test]
fn a_record_ends_with_its_last_label() {
    let mut record = labelled(STRINGS_END, &PAIRS);
    let end = record.len();
    record.push(0);
    assert_eq!(check(&record), error(Defect::Trailing, end));
    for len in TABLE_AT + ENTRY_LEN * PAIRS.len()..end {
        assert!(check(&record[..len]).is_err(), "{len}");
    }
}

/// The table holds no byte that may be another one, and the text none that may be zero.
#[test]
fn any_byte_of_the_table_and_any_nul_in_the_text_counts() {
    let canonical = labelled(STRINGS_END, &PAIRS);
    let text_at = TABLE_AT + ENTRY_LEN * PAIRS.len();
    for place in STRINGS_END..canonical.len() {
        for bit in 0..8 {
            let mut record = canonical.clone();
            record[place] ^= 1 << bit;
            let is_text = place >= text_at && canonical[place] != 0;
            assert_eq!(check(&record).is_ok(), is_text, "{place} {bit}");
        }
        if place >= text_at && canonical[place] != 0 {
            let mut record = canonical.clone();
            record[place] = 0;
            assert_eq!(check(&record), error(Defect::InnerNul, text_at), "{place}");
        }
    }
}

#[test]
fn a_table_elsewhere_is_refused() {
    // All of it 8 bytes further on, with offsets that are right there.
    let further = labelled(STRINGS_END + 8, &PAIRS);
    assert!(check_labels(&further, STRINGS_END + 8, PAIRS.len(), COUNT_AT).is_ok());
    assert!(check(&further).is_err());
    // Where the strings end, unaligned.
    let mut unaligned = labelled(STRINGS_END - 4, &PAIRS);
    unaligned.splice(0..0, [0xEE; 4]);
    assert!(check(&unaligned).is_err());
}

/// As many as the count field can say: each string is looked at once, for the expected offset of
/// each follows from the one before.
#[test]
fn as_many_labels_as_can_be_counted() {
    let pairs = vec![("key", "value"); usize::from(u16::MAX)];
    let record = labelled(STRINGS_END, &pairs);
    assert_eq!(check_labels(&record, STRINGS_END, pairs.len(), COUNT_AT), Ok(()));
    let text_at = align8(STRINGS_END) + ENTRY_LEN * pairs.len();
    let labels = labels_at(&record, STRINGS_END, pairs.len());
    let read: usize = labels.map(|label| label.key.len() + label.value.len() + 2).sum();
    assert_eq!(read, record.len() - text_at);

    let mut last_is_guilty = record;
    let last = last_is_guilty.len() - 2;
    last_is_guilty[last] = 0;
    let checked = check_labels(&last_is_guilty, STRINGS_END, pairs.len(), COUNT_AT);
    assert_eq!(checked, error(Defect::InnerNul, text_at));
}

/// Checking excludes such tables; reading them must be harmless all the same.
#[test]
fn reading_a_table_that_does_not_fit_gives_no_labels() {
    let record = labelled(STRINGS_END, &PAIRS);
    for (strings_end, count) in [
        (STRINGS_END, 65_535),
        (STRINGS_END, usize::MAX / ENTRY_LEN + 2),
        (usize::MAX, 1),
        (0, usize::MAX),
    ] {
        assert_eq!(labels_at(&record, strings_end, count).count(), 0);
    }
}
