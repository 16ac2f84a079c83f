//! The strings that a record's fixed part refers to: checking them, and reading them afterwards.

use bstr::BStr;

use crate::{DecodeError, Defect};

/// A string field as it stands in the fixed part: where it points, and how long it may be.
#[derive(Clone, Copy, Debug)]
pub struct StringSpan {
    /// Where the field itself stands, for errors; bytes from the start of the record.
    pub field_at: usize,
    /// Where the string starts; bytes from the start of the record.
    pub offset: u32,
    /// Its length in bytes, without its NUL.
    pub length: u32,
}

impl StringSpan {
    /// The bytes of the string in `record`, its NUL excluded and checked.
    #[inline]
    fn find(self, record: &[u8], fixed_len: usize) -> Result<(usize, usize), DecodeError> {
        let start = self.offset as usize;
        let end = start.checked_add(self.length as usize);
        let nul = end.and_then(|end| record.get(end));
        match (end, nul) {
            (Some(end), Some(0)) if start >= fixed_len => Ok((start, end)),
            (_, Some(_)) if start >= fixed_len => Err(self.defect(Defect::MissingNul)),
            _ => Err(self.defect(Defect::Bounds)),
        }
    }

    /// Rejects a string shorter than `min` or longer than `max` bytes, its NUL not counted.
    ///
    /// # Errors
    /// [`Defect::StringLength`].
    #[inline(always)]
    pub const fn check_length(self, min: usize, max: usize) -> Result<(), DecodeError> {
        let length = self.length as usize;
        if length < min || length > max { Err(self.defect(Defect::StringLength)) } else { Ok(()) }
    }

    #[cold]
    const fn defect(self, defect: Defect) -> DecodeError {
        DecodeError::new(defect, self.field_at)
    }
}

/// Checks a record's strings: inside the record, behind the fixed part, ended by NUL, sharing no
/// byte, and, where `no_inner_nul`, free of NULs (spec section 10.7). Answers where the last one
/// ends, its NUL included, in bytes from the start of the record.
///
/// Strings as encoders write them (in field order, without gaps) cost one pass over their bytes.
///
/// # Errors
/// The first defect, at the place of the field that has it.
#[inline]
pub fn check_strings<const K: usize>(
    record: &[u8],
    fixed_len: usize,
    spans: [StringSpan; K],
    no_inner_nul: bool,
) -> Result<usize, DecodeError> {
    let mut packed_end = fixed_len;
    let mut packed = true;
    for span in spans {
        let (start, end) = span.find(record, fixed_len)?;
        packed &= start == packed_end;
        packed_end = end + 1;
    }
    if !packed {
        return check_scattered(record, fixed_len, spans, no_inner_nul);
    }
    if no_inner_nul && count_nuls(&record[fixed_len..packed_end]) != K {
        return Err(inner_nul(record, fixed_len, &spans));
    }
    Ok(packed_end)
}

/// [`check_strings`] for strings that do not lie as encoders lay them: rare, but valid.
#[cold]
fn check_scattered<const K: usize>(
    record: &[u8],
    fixed_len: usize,
    spans: [StringSpan; K],
    no_inner_nul: bool,
) -> Result<usize, DecodeError> {
    let mut last_end = fixed_len;
    for (index, span) in spans.iter().enumerate() {
        let (start, end) = span.find(record, fixed_len)?;
        for other in &spans[..index] {
            let (other_start, other_end) = other.find(record, fixed_len)?;
            if start <= other_end && other_start <= end {
                return Err(span.defect(Defect::Overlap));
            }
        }
        last_end = last_end.max(end + 1);
    }
    if no_inner_nul && has_inner_nul(record, fixed_len, &spans) {
        return Err(inner_nul(record, fixed_len, &spans));
    }
    Ok(last_end)
}

fn has_inner_nul(record: &[u8], fixed_len: usize, spans: &[StringSpan]) -> bool {
    let holds_nul = |span: &StringSpan| {
        span.find(record, fixed_len)
            .is_ok_and(|(start, end)| memchr::memchr(0, &record[start..end]).is_some())
    };
    spans.iter().any(holds_nul)
}

/// The error for the first of `spans` that holds a NUL; one of them does.
#[cold]
fn inner_nul(record: &[u8], fixed_len: usize, spans: &[StringSpan]) -> DecodeError {
    let guilty = spans.iter().find(|span| has_inner_nul(record, fixed_len, &[**span]));
    DecodeError::new(Defect::InnerNul, guilty.map_or(fixed_len, |span| span.field_at))
}

/// Checks an element that is a string by itself: at least one byte and its NUL, which `element`
/// includes, and no other NUL (spec section 10.4).
///
/// # Errors
/// [`Defect::EmptyKey`], [`Defect::MissingNul`], [`Defect::InnerNul`], [`Defect::StringLength`].
#[inline]
pub fn check_bare_string(element: &[u8], min: usize, max: usize) -> Result<(), DecodeError> {
    let Some((nul, text)) = element.split_last() else {
        return Err(DecodeError::new(Defect::EmptyKey, 0));
    };
    if text.len() < min {
        let defect = if text.is_empty() { Defect::EmptyKey } else { Defect::StringLength };
        return Err(DecodeError::new(defect, 0));
    }
    if text.len() > max {
        return Err(DecodeError::new(Defect::StringLength, 0));
    }
    if *nul != 0 {
        return Err(DecodeError::new(Defect::MissingNul, text.len()));
    }
    if count_nuls(element) != 1 {
        let at = memchr::memchr(0, text).unwrap_or(text.len());
        return Err(DecodeError::new(Defect::InnerNul, at));
    }
    Ok(())
}

/// A string of a record that was checked. A place outside the record, which checking excludes,
/// reads as empty, so that this cannot fail.
#[inline(always)]
#[must_use]
pub fn string_at(record: &[u8], offset: u32, length: u32) -> &BStr {
    let start = offset as usize;
    BStr::new(record.get(start..start.saturating_add(length as usize)).unwrap_or_default())
}

/// Where the last of a checked record's strings ends, its NUL included: `spans` are their offsets
/// and lengths.
#[inline(always)]
#[must_use]
pub fn strings_end<const K: usize>(fixed_len: usize, spans: [(u32, u32); K]) -> usize {
    let ends = spans.map(|(offset, length)| {
        (offset as usize).saturating_add(length as usize).saturating_add(1)
    });
    ends.into_iter().fold(fixed_len, usize::max)
}

/// How many NULs there are: a word at a time, by counting the bytes that are none in as many lanes.
#[inline(always)]
pub(super) fn count_nuls(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<WORD>();
    let mut lanes = filled_lanes(last_word(bytes, tail));
    let mut filled = 0;
    for group in words.chunks(WORDS_A_LANE_CAN_COUNT) {
        for word in group {
            lanes += filled_lanes(u64::from_le_bytes(*word));
        }
        filled += sum_lanes(lanes);
        lanes = 0;
    }
    bytes.len() - filled - sum_lanes(lanes)
}

const WORD: usize = size_of::<u64>();
/// Lanes have 8 bits; one is for the tail.
const WORDS_A_LANE_CAN_COUNT: usize = u8::MAX as usize - 1;

/// The bytes of `tail`, which `bytes` end with, in a word with zeros.
#[inline(always)]
fn last_word(bytes: &[u8], tail: &[u8]) -> u64 {
    match bytes.last_chunk() {
        // What stands before the tail is shifted out.
        Some(word) => {
            u64::from_le_bytes(*word).unbounded_shr(u8::BITS * (WORD - tail.len()) as u32)
        }
        None => tail.iter().fold(0, |word, byte| word << u8::BITS | u64::from(*byte)),
    }
}

/// 1 in each lane of 8 bits that is not zero.
#[inline(always)]
const fn filled_lanes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const LOW_BITS: u64 = ONES * 0x7f;
    // No lane carries into the next: 0x7f and 0x7f are 0xfe.
    let high_bits = ((word & LOW_BITS) + LOW_BITS) | word;
    (high_bits >> 7) & ONES
}

/// The sum of eight lanes of 8 bits.
#[inline(always)]
const fn sum_lanes(lanes: u64) -> usize {
    const ONES: u64 = u64::MAX / 0xffff;
    const LOW_BYTES: u64 = ONES * 0xff;
    let pairs = (lanes & LOW_BYTES) + ((lanes >> 8) & LOW_BYTES);
    // The highest 16 bits are the sum of all: 8 times 255 at most.
    (pairs.wrapping_mul(ONES) >> 48) as usize
}
