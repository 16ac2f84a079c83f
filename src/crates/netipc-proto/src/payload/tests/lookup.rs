use std::vec;
use std::vec::Vec;

use bstr::BStr;

use super::UNTOUCHED;
use crate::payload::{
    BareString, BuildError, DirectoryView, DirectoryWriter, LookupItem, LookupWriter, Overflow,
    ResponseBudget, SnapshotWriter, align8, write_bare_string,
};

const HEADER: usize = 16;
const KEYS: [&str; 3] = ["one", "two", "three"];

/// An item is a byte that says what it is, and the key again: `r` and `o` are the overflows.
struct Item;

impl LookupItem for Item {
    type Key = BareString;

    fn smallest_len(key: &&BStr) -> usize {
        1 + key.len()
    }

    fn write_smallest(
        key: &&BStr,
        overflow: Overflow,
        out: &mut [u8],
    ) -> Result<usize, BuildError> {
        let kind = match overflow {
            Overflow::Retry => b'r',
            Overflow::Oversized => b'o',
        };
        put(&[&[kind][..], &key[..]].concat())(out)
    }

    fn echoes(asked: &&BStr, given: &&BStr) -> bool {
        asked == given
    }
}

fn put(item: &[u8]) -> impl FnOnce(&mut [u8]) -> Result<usize, BuildError> {
    move |out| {
        let place = out.get_mut(..item.len()).ok_or(BuildError::NoSpace)?;
        place.copy_from_slice(item);
        Ok(item.len())
    }
}

/// The request's payload.
fn request(keys: &[&str]) -> Vec<u8> {
    let mut out = vec![0; 512];
    let mut writer = DirectoryWriter::new(&mut out, HEADER, keys.len()).unwrap();
    for key in keys {
        writer.push(|out| write_bare_string(out, key.as_bytes(), "key")).unwrap();
    }
    let (_, _, len) = writer.finish::<HEADER>("keys").unwrap();
    out.truncate(len);
    out
}

/// Answers `keys` within `budget` bytes as `answer` does.
fn respond(
    keys: &[&str],
    budget: usize,
    at_ceiling: bool,
    answer: impl FnOnce(&mut LookupWriter<'_, Item>),
) -> Result<Vec<Vec<u8>>, BuildError> {
    let request = request(keys);
    let keys = DirectoryView::decode(&request, HEADER, keys.len() as u32, true).unwrap().records();
    let mut out = vec![UNTOUCHED; budget];
    let budget = ResponseBudget { out: &mut out, at_ceiling };
    let mut writer = LookupWriter::<Item>::new(keys, budget, HEADER)?;
    answer(&mut writer);
    let (_, count, len) = writer.finish::<HEADER>()?;
    let mut items = Vec::new();
    let view = DirectoryView::decode(&out[..len], HEADER, count, true).unwrap();
    for index in 0..view.len() {
        // A bare string leaves its last byte out, which here is no NUL.
        let place = &out[HEADER + 8 * index..][..8];
        let word =
            |at| u32::from_ne_bytes([place[at], place[at + 1], place[at + 2], place[at + 3]]);
        let start = HEADER + 8 * view.len() + word(0) as usize;
        items.push(out[start..][..word(4) as usize].to_vec());
    }
    Ok(items)
}

fn push(writer: &mut LookupWriter<'_, Item>, key: &str, item: &[u8]) -> Result<(), BuildError> {
    writer.push(&BStr::new(key), put(item))
}

/// Bytes of a response with items of these lengths.
fn response_len(lengths: &[usize]) -> usize {
    let packed = lengths.iter().fold(0, |end, length| align8(end) + length);
    HEADER + 8 * lengths.len() + packed
}

#[test]
fn items_that_fit_are_answered() {
    let items = respond(&KEYS, response_len(&[9, 9, 9]), false, |writer| {
        for (key, item) in KEYS.iter().zip([&[b'1'; 9], &[b'2'; 9], &[b'3'; 9]]) {
            push(writer, key, item).unwrap();
            assert!(!writer.is_full());
        }
    });
    assert_eq!(items.unwrap(), [[b'1'; 9], [b'2'; 9], [b'3'; 9]]);
    assert_eq!(respond(&[], HEADER, false, |_| ()), Ok(Vec::new()));
    assert_eq!(respond(&[], HEADER - 1, false, |_| ()), Err(BuildError::LimitExceeded));
}

/// The byte that the second item lacks makes it and the third "ask again"; finishing answers keys
/// that a handler left because of that.
#[test]
fn from_the_item_on_that_does_not_fit_all_are_asked_again() {
    let enough = response_len(&[9, 9, 6]);
    for (budget, second) in [(enough, &[b'2'; 9][..]), (enough - 1, b"rtwo")] {
        let items = respond(&KEYS, budget, false, |writer| {
            push(writer, "one", &[b'1'; 9]).unwrap();
            push(writer, "two", &[b'2'; 9]).unwrap();
            assert_eq!(writer.is_full(), second == b"rtwo");
            if !writer.is_full() {
                push(writer, "three", &[b'3'; 99]).unwrap();
            }
        });
        assert_eq!(items.unwrap(), [&[b'1'; 9][..], second, b"rthree"]);
    }
    // Once full, even an item that would fit is asked again: order is all that clients have.
    let items = respond(&KEYS, enough - 1, false, |writer| {
        push(writer, "one", &[b'1'; 9]).unwrap();
        push(writer, "two", &[b'2'; 9]).unwrap();
        push(writer, "three", b"3").unwrap();
    });
    assert_eq!(items.unwrap(), [&[b'1'; 9][..], b"rtwo", b"rthree"]);
}

#[test]
fn a_first_item_that_does_not_fit_is_oversized_and_the_others_go_on() {
    for at_ceiling in [false, true] {
        let items = respond(&KEYS, response_len(&[8, 8, 8]), at_ceiling, |writer| {
            push(writer, "one", &[b'1'; 99]).unwrap();
            assert!(!writer.is_full());
            push(writer, "two", b"2").unwrap();
            push(writer, "three", b"3").unwrap();
        });
        assert_eq!(items.unwrap(), [&b"oone"[..], b"2", b"3"]);
    }
}

#[test]
fn a_single_item_that_does_not_fit_asks_for_growth_below_the_ceiling() {
    let answer = |at_ceiling| {
        respond(&["key"], response_len(&[4]), at_ceiling, |writer| {
            let pushed = push(writer, "key", &[b'1'; 5]);
            assert_eq!(pushed.is_ok(), at_ceiling);
        })
    };
    assert_eq!(answer(true).unwrap(), [b"okey"]);
    assert_eq!(answer(false), Err(BuildError::LimitExceeded));
}

#[test]
fn no_room_for_the_smallest_answers_is_said_at_once() {
    let least = response_len(&[4, 4, 6]);
    for budget in 0..least {
        let refused = respond(&KEYS, budget, true, |_| panic!("nothing to answer into"));
        assert_eq!(refused, Err(BuildError::LimitExceeded), "{budget}");
    }
    let items = respond(&KEYS, least, true, |writer| push(writer, "one", b"12345").unwrap());
    assert_eq!(items, Err(BuildError::TooFewItems { missing: 2 }));
    let items = respond(&KEYS, least, true, |writer| {
        push(writer, "one", b"1").unwrap();
        push(writer, "two", &[b'2'; 9]).unwrap();
    });
    assert_eq!(items.unwrap(), [&b"1"[..], b"rtwo", b"rthree"]);
}

/// Whatever follows it, the first error is what finishing tells.
#[test]
fn the_first_error_stays() {
    let enough = response_len(&[9, 9, 9]);
    let other = BuildError::Rule { field: "name" };

    let answered = respond(&KEYS, enough, true, |writer| {
        push(writer, "one", b"1").unwrap();
        assert_eq!(push(writer, "three", b"3"), Err(BuildError::Echo));
        assert_eq!(writer.push(&BStr::new("three"), |_| Err(other)), Err(other));
    });
    assert_eq!(answered, Err(BuildError::Echo));

    let answered = respond(&KEYS, enough, true, |writer| {
        assert_eq!(writer.push(&BStr::new("one"), |_| Err(other)), Err(other));
        push(writer, "two", b"2").unwrap();
        push(writer, "three", b"3").unwrap();
        assert_eq!(push(writer, "three", b"3"), Err(BuildError::TooManyItems));
    });
    assert_eq!(answered, Err(other));
}

#[test]
fn each_key_is_answered_once() {
    let enough = response_len(&[9, 9, 9]);
    for count in 0..3 {
        let answered = respond(&KEYS, enough, true, |writer| {
            for key in &KEYS[..count] {
                push(writer, key, b"x").unwrap();
            }
        });
        assert_eq!(answered, Err(BuildError::TooFewItems { missing: 3 - count }));
    }
    let answered = respond(&KEYS, enough, true, |writer| {
        for key in KEYS {
            push(writer, key, b"x").unwrap();
        }
        assert_eq!(push(writer, "three", b"x"), Err(BuildError::TooManyItems));
    });
    assert_eq!(answered, Err(BuildError::TooManyItems));
}

/// A snapshot that lacks an item must not pass for a complete one.
#[test]
fn a_snapshot_remembers_its_first_error() {
    let mut out = [UNTOUCHED; 64];
    let mut writer = SnapshotWriter::new(&mut out, HEADER, 0).unwrap();
    writer.push(put(b"one")).unwrap();
    assert_eq!(writer.push(put(&[0; 99])), Err(BuildError::NoSpace));
    assert_eq!(writer.push(|_| Err(BuildError::Echo)), Err(BuildError::Echo));
    writer.push(put(b"two")).unwrap();
    assert_eq!(writer.finish::<HEADER>("items").err(), Some(BuildError::NoSpace));

    let mut writer = SnapshotWriter::new(&mut out, HEADER, 1).unwrap();
    writer.push(put(b"one")).unwrap();
    writer.push(put(b"two")).unwrap();
    let (_, count, len) = writer.finish::<HEADER>("items").unwrap();
    assert_eq!((count, len), (2, response_len(&[3, 3])));
    assert_eq!(out[HEADER + 16..len], *b"one\0\0\0\0\0two");

    assert_eq!(SnapshotWriter::new(&mut out, HEADER, 7).err(), Some(BuildError::NoSpace));
}
