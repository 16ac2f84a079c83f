//! What views list, as the headers read it: where elements lie, and what to say where there is none.
//!
//! ```text
//!   view { count, elements_ { base_, entries_ }, mark }
//!                               │      └─ u32 offset, u32 length, for each
//!                               └─ what offsets count from
//! ```
//!
//! The bytes were checked, all of them, before there was a view: so the inline functions of the headers read
//! fields where they lie, without a call. What they refuse is told by the functions of this module, which
//! are called for nothing else.

use std::ffi::c_void;

use netipc::Fault;

use crate::boundary::boundary;
use crate::error::nipc_error;
use crate::failure::Failure;

/// Where the elements that a view lists lie: the library's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_elements_t {
    /// What offsets count from.
    base_: *const c_void,
    /// An offset and a length for each.
    entries_: *const c_void,
}

impl nipc_elements_t {
    /// What a view of `base` lists, by `entries`. Both are borrowed: C keeps to the lifetimes.
    #[inline(always)]
    pub(crate) const fn new<E>((entries, base): (&[E], &[u8])) -> Self {
        Self { base_: base.as_ptr().cast(), entries_: entries.as_ptr().cast() }
    }
}

/// The library's, for the inline functions of the headers: puts into words that a view or builder, or the place to
/// read into, or what is to be set, is NULL; or else that the view or builder was never filled in.
#[unsafe(no_mangle)]
#[cold]
pub extern "C" fn nipc_refuse_view(has_view: bool, has_place: bool) {
    tell(match (has_view, has_place) {
        (false, _) => Failure::argument("the view or builder is NULL"),
        (_, false) => {
            Failure::argument("the place to read into, or the response to be set, is NULL")
        }
        _ => Failure::not_filled(),
    });
}

/// The library's, for the inline functions of the headers: puts into words that an index is past the last of
/// `count`.
#[unsafe(no_mangle)]
#[cold]
pub extern "C" fn nipc_refuse_index(index: usize, count: usize) {
    tell(Failure::out_of_range(index, count));
}

/// The library's, for the inline functions of the headers: puts into words that a cache holds no item of an
/// identity.
#[unsafe(no_mangle)]
pub extern "C" fn nipc_refuse_identity() {
    tell(not_found());
}

/// The library's, for the inline functions of the headers: puts into words that a response was set already.
#[unsafe(no_mangle)]
#[cold]
pub extern "C" fn nipc_refuse_again() {
    tell(set_already());
}

/// A second response of one handler.
#[cold]
#[inline(never)]
pub(crate) fn set_already() -> Failure {
    Failure::new(nipc_error::NIPC_ERR_CALLER, "the response was set already: once is enough")
}

/// The number is the header's to answer: so compilers see that it is none of success.
fn tell(failure: Failure) {
    // SAFETY: nothing that a caller has passed is looked at.
    let _number = unsafe { boundary(|_| Err(failure)) };
}

/// An item that a cache does not hold.
#[cold]
#[inline(never)]
pub(crate) fn not_found() -> Failure {
    let words = "the cache holds no item of that identity";
    Failure::of(nipc_error::NIPC_ERR_NOT_FOUND, words.into(), Some(Fault::Nobody))
}
