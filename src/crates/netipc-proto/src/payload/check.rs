//! What generated checks and builders say over and over.

use super::BuildError;
use crate::{DecodeError, Defect};

/// The greatest length of a string whose schema sets no limit: what its length field can say.
pub const UNLIMITED: usize = u32::MAX as usize;

/// The fixed part of a record.
///
/// # Errors
/// [`Defect::Truncated`].
#[inline(always)]
pub fn fixed_part<const N: usize>(record: &[u8]) -> Result<&[u8; N], DecodeError> {
    match record.first_chunk() {
        Some(fixed) => Ok(fixed),
        None => Err(DecodeError::new(Defect::Truncated, record.len())),
    }
}

/// Rejects a record, for its field at byte `at`, unless what the contract demands of it holds.
///
/// # Errors
/// `defect`.
#[inline(always)]
pub const fn check(holds: bool, defect: Defect, at: usize) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError::new(defect, at)) }
}

/// The value of a closed enumeration.
///
/// # Errors
/// [`Defect::Enum`] if the number has none.
#[inline(always)]
pub fn known<T>(value: Option<T>, at: usize) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::new(Defect::Enum, at))
}

/// Rejects a record that does not end at `end`.
///
/// # Errors
/// [`Defect::Trailing`].
#[inline(always)]
pub const fn check_end(record: &[u8], end: usize) -> Result<(), DecodeError> {
    check(record.len() == end, Defect::Trailing, end)
}

/// Refuses to build a record unless what a rule of the schema demands of `field` holds.
///
/// # Errors
/// [`BuildError::Rule`].
#[inline(always)]
pub const fn require(holds: bool, field: &'static str) -> Result<(), BuildError> {
    if holds { Ok(()) } else { Err(BuildError::Rule { field }) }
}

/// A string's length within its limits, in bytes without its NUL.
///
/// # Errors
/// [`BuildError::Length`].
#[inline(always)]
pub const fn check_length(
    field: &'static str,
    text: &[u8],
    min: usize,
    max: usize,
) -> Result<(), BuildError> {
    let length = text.len();
    if length < min || length > max {
        return Err(BuildError::Length { field, length, min, max });
    }
    Ok(())
}

/// The number of entries of `field` as its count field has it.
///
/// # Errors
/// [`BuildError::Count`].
#[inline(always)]
pub fn count_of<T: TryFrom<usize>>(entries: usize, field: &'static str) -> Result<T, BuildError> {
    T::try_from(entries).map_err(|_| BuildError::Count { field })
}
