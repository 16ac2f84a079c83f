use crate::payload::{
    BuildError, UNLIMITED, align8, check, check_end, check_length, count_of, fixed_part, get_i64,
    get_u16, known, put_i64, put_u16, require,
};
use crate::{DecodeError, Defect};

#[test]
fn lengths_are_rounded_up_to_eight() {
    for (n, rounded) in [(0, 0), (1, 8), (7, 8), (8, 8), (9, 16), (65_535, 65_536)] {
        assert_eq!(align8(n), rounded, "{n}");
    }
}

/// Near the end of the numbers there is no multiple above, and the one below must do: what it is
/// compared with is never that long.
#[test]
fn rounding_up_never_wraps() {
    let greatest = usize::MAX - 7;
    assert_eq!(align8(greatest - 1), greatest);
    for n in greatest..=usize::MAX {
        assert_eq!(align8(n), greatest, "{n}");
    }
}

#[test]
fn a_fixed_part_is_there_or_the_record_is_truncated_at_its_end() {
    let record = [1, 2, 3, 4, 5];
    assert_eq!(fixed_part::<0>(&record), Ok(&[]));
    assert_eq!(fixed_part::<4>(&record), Ok(&[1, 2, 3, 4]));
    assert_eq!(fixed_part::<5>(&record), Ok(&record));
    for len in 0..6 {
        let cut = &record[..len.min(5)];
        assert_eq!(fixed_part::<6>(cut), Err(DecodeError::new(Defect::Truncated, cut.len())));
    }
}

#[test]
fn checks_pass_what_holds_and_place_what_does_not() {
    assert_eq!(check(true, Defect::Rule, 4), Ok(()));
    assert_eq!(check(false, Defect::Rule, 4), Err(DecodeError::new(Defect::Rule, 4)));
    assert_eq!(known(Some('a'), 2), Ok('a'));
    assert_eq!(known(None::<char>, 2), Err(DecodeError::new(Defect::Enum, 2)));
    assert_eq!(check_end(&[0; 3], 3), Ok(()));
    for end in [2, 4] {
        assert_eq!(check_end(&[0; 3], end), Err(DecodeError::new(Defect::Trailing, end)));
    }
}

#[test]
fn builders_refuse_what_the_schema_forbids_by_the_name_of_the_field() {
    assert_eq!(require(true, "comm"), Ok(()));
    assert_eq!(require(false, "comm"), Err(BuildError::Rule { field: "comm" }));

    let wrong = |length| Err(BuildError::Length { field: "comm", length, min: 1, max: 3 });
    for (text, checked) in [("", wrong(0)), ("a", Ok(())), ("abc", Ok(())), ("abcd", wrong(4))] {
        assert_eq!(check_length("comm", text.as_bytes(), 1, 3), checked, "{text}");
    }
    assert_eq!(check_length("comm", b"", 0, UNLIMITED), Ok(()));

    assert_eq!(count_of::<u16>(65_535, "labels"), Ok(65_535));
    assert_eq!(count_of::<u16>(65_536, "labels"), Err(BuildError::Count { field: "labels" }));
    assert_eq!(count_of::<u8>(0, "labels"), Ok(0));
}

#[test]
fn numbers_are_read_where_they_were_put_and_nothing_else_is_changed() {
    let mut fixed = [0xEE; 12];
    put_u16::<1, _>(&mut fixed, 0x1234);
    put_i64::<4, _>(&mut fixed, -2);
    assert_eq!((get_u16::<1, _>(&fixed), get_i64::<4, _>(&fixed)), (0x1234, -2));
    assert_eq!(fixed[1..3], 0x1234_u16.to_ne_bytes());
    assert_eq!((fixed[0], fixed[3]), (0xEE, 0xEE));
}
