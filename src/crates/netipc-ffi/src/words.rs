//! Values of Rust in the words of a C struct: what views and builders, which callers allocate, keep of
//! the library's.
//!
//! They hold nothing that must be dropped, so a caller may forget them at any time, and copy those
//! that are `Clone`. A mark in the first word tells one that was filled in from one that is zeroed.

use std::mem::{MaybeUninit, needs_drop};

use crate::failure::Failure;

/// `uint64_t opaque_[N]`: a value of at most `N - 1` words.
pub(crate) type Words<const N: usize> = [MaybeUninit<u64>; N];

#[repr(C)]
struct Kept<T> {
    mark: u64,
    value: T,
}

/// The words that keep `value`, under its type's mark.
#[inline(always)]
pub(crate) fn keep<T, const N: usize>(mark: u64, value: T) -> Words<N> {
    const {
        assert!(size_of::<Kept<T>>() <= size_of::<Words<N>>());
        assert!(align_of::<Kept<T>>() <= align_of::<Words<N>>());
        assert!(!needs_drop::<T>());
    }
    let mut words = [MaybeUninit::uninit(); N];
    let place = words.as_mut_ptr().cast::<Kept<T>>();
    // SAFETY: `place` is valid for writes of a `Kept<T>`, which fits the words in size and alignment,
    // as was asserted.
    unsafe { place.write(Kept { mark, value }) };
    words
}

/// The value that the words keep.
///
/// # Errors
/// `NIPC_ERR_NOT_INITIALIZED` where they keep none.
///
/// # Safety
/// The words are initialised at their first; with this mark in it they were made by [`keep`] for this very
/// `T`, and what it borrows is valid still.
#[inline(always)]
pub(crate) unsafe fn kept<T, const N: usize>(mark: u64, words: &Words<N>) -> Result<&T, Failure> {
    let place = words.as_ptr().cast::<Kept<T>>();
    // SAFETY: either way, the first word is initialised.
    if unsafe { (*place).mark } != mark {
        return Err(Failure::not_filled());
    }
    // SAFETY: with the mark, `keep` made them, so a `T` is there; it lives as long as the words.
    Ok(unsafe { &(*place).value })
}

/// Whether the words keep a value.
///
/// # Safety
/// The first word is initialised.
#[inline(always)]
pub(crate) unsafe fn is_kept<const N: usize>(mark: u64, words: &Words<N>) -> bool {
    const { assert!(N > 0) };
    let place = words.as_ptr().cast::<u64>();
    // SAFETY: there is a first word, as was asserted, and either way it is initialised.
    unsafe { *place == mark }
}

/// [`kept`], to be changed.
///
/// # Errors
/// As [`kept`].
///
/// # Safety
/// As [`kept`].
#[inline(always)]
pub(crate) unsafe fn kept_mut<T, const N: usize>(
    mark: u64,
    words: &mut Words<N>,
) -> Result<&mut T, Failure> {
    let place = words.as_mut_ptr().cast::<Kept<T>>();
    // SAFETY: either way, the first word is initialised.
    if unsafe { (*place).mark } != mark {
        return Err(Failure::not_filled());
    }
    // SAFETY: with the mark, `keep` made them, so a `T` is there; it is borrowed as the words are.
    Ok(unsafe { &mut (*place).value })
}

/// Takes the value out: the words keep none afterwards, for the mark is gone.
///
/// # Errors
/// As [`kept`].
///
/// # Safety
/// As [`kept`].
#[inline(always)]
pub(crate) unsafe fn take<T, const N: usize>(
    mark: u64,
    words: &mut Words<N>,
) -> Result<T, Failure> {
    // SAFETY: the caller of this function promises the same.
    let value = std::ptr::from_mut(unsafe { kept_mut::<T, N>(mark, words) }?);
    // SAFETY: a `T` is there, as was just seen, and nobody reads it again: the mark goes.
    let value = unsafe { value.read() };
    words[0] = MaybeUninit::zeroed();
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::nipc_error;

    const MARK: u64 = u64::from_be_bytes(*b"NIPCtest");

    #[test]
    fn words_keep_a_value_until_it_is_taken() {
        let text = String::from("kept");
        let mut words: Words<4> = keep::<&str, 4>(MARK, &text);
        // SAFETY: made for this type, and `text` lives.
        assert_eq!(unsafe { kept::<&str, 4>(MARK, &words) }.ok(), Some(&"kept"));
        // SAFETY: as before.
        *unsafe { kept_mut::<&str, 4>(MARK, &mut words) }.expect("kept") = "changed";
        // SAFETY: as before.
        assert_eq!(unsafe { take::<&str, 4>(MARK, &mut words) }.ok(), Some("changed"));
        // SAFETY: zeroed now.
        let again = unsafe { take::<&str, 4>(MARK, &mut words) }.expect_err("taken");
        assert_eq!(again.told().error, nipc_error::NIPC_ERR_NOT_INITIALIZED);
    }

    #[test]
    fn zeroed_words_and_those_of_another_type_keep_nothing() {
        let other: Words<4> = keep::<u8, 4>(!MARK, 7);
        // SAFETY: what is there is not of this type, but has not its mark either.
        assert!(unsafe { kept::<&str, 4>(MARK, &other) }.is_err());
        let words: Words<4> = [MaybeUninit::zeroed(); 4];
        // SAFETY: zeroed.
        assert!(unsafe { kept::<&str, 4>(MARK, &words) }.is_err());
    }
}
