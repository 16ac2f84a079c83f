//! What the headers give a program.

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;

use netipc_ffi::error::{nipc_error, nipc_last_error};
use netipc_ffi::text::nipc_str_t;

pub(crate) const OK: i32 = nipc_error::NIPC_OK.code();
pub(crate) const INVALID: i32 = nipc_error::NIPC_ERR_INVALID_ARGUMENT.code();
pub(crate) const NOT_INITIALIZED: i32 = nipc_error::NIPC_ERR_NOT_INITIALIZED.code();
pub(crate) const ALREADY: i32 = nipc_error::NIPC_ERR_ALREADY_INITIALIZED.code();
pub(crate) const NOT_FOUND: i32 = nipc_error::NIPC_ERR_NOT_FOUND.code();
pub(crate) const MALFORMED: i32 = nipc_error::NIPC_ERR_MALFORMED.code();
pub(crate) const NO_SPACE: i32 = nipc_error::NIPC_ERR_NO_SPACE.code();

/// As `= {0}`.
///
/// # Safety
/// Zeros are a `T`.
pub(crate) const unsafe fn zeroed<T>() -> T {
    // SAFETY: as the caller says.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Words that are the library's: what it leaves of them unwritten is copied with the others, and nothing else.
pub(crate) type Words<const N: usize> = [MaybeUninit<u64>; N];

pub(crate) const fn blank_words<const N: usize>() -> Words<N> {
    [MaybeUninit::zeroed(); N]
}

/// Whether there is a mark in the first word, as the inline functions look.
pub(crate) fn is_filled<const N: usize>(words: &Words<N>) -> bool {
    // SAFETY: zeroed before its first use, and written by the library first of all.
    unsafe { words[0].assume_init() != 0 }
}

/// An object of two words. The library changes them by pointers that are const as well, so what is passed is where one
/// is, as C has it, and no reference of Rust's.
#[repr(C)]
pub(crate) struct Object {
    pub(crate) tag: u64,
    pub(crate) inner: *mut c_void,
}

impl Object {
    pub(crate) const CLOSED: Self = Self { tag: 0, inner: std::ptr::null_mut() };
}

/// `nipc_elements_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Elements {
    base: *const u8,
    entries: *const u8,
}

impl Elements {
    /// `nipc_read_element`.
    pub(crate) fn get(&self, index: usize) -> *const u8 {
        self.base.wrapping_add(u32_at(self.entries, index * 8) as usize)
    }
}

/// `nipc_read_u32`, from where a view says that its bytes lie.
pub(crate) fn u32_at(record: *const u8, at: usize) -> u32 {
    // SAFETY: the library has checked what its views point at, and these tests keep it as long as they read.
    unsafe { record.wrapping_add(at).cast::<u32>().read_unaligned() }
}

/// `nipc_read_u16`.
pub(crate) fn u16_at(record: *const u8, at: usize) -> u16 {
    // SAFETY: as in `u32_at`.
    unsafe { record.wrapping_add(at).cast::<u16>().read_unaligned() }
}

/// `nipc_read_str`: with the NUL that follows, which every view has.
pub(crate) fn str_at(record: *const u8, at: usize) -> String {
    let start = record.wrapping_add(u32_at(record, at) as usize);
    let len = u32_at(record, at + 4) as usize;
    // SAFETY: as in `u32_at`.
    let bytes = unsafe { std::slice::from_raw_parts(start, len + 1) };
    assert_eq!(bytes[len], 0);
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

/// A string as it is passed.
pub(crate) const fn text(text: &str) -> nipc_str_t {
    nipc_str_t { ptr: text.as_ptr().cast(), len: text.len() }
}

/// `nipc_last_error`.
pub(crate) fn why() -> String {
    // SAFETY: a text of the library's that ends in NUL, and no call fails before it is copied.
    unsafe { CStr::from_ptr(nipc_last_error()) }.to_string_lossy().into_owned()
}

/// One call of a function of C's.
macro_rules! c {
    ($call:expr) => {{
        // SAFETY: what these tests pass is NULL, or theirs and valid for the call, as the headers ask; what is refused
        // is not looked at.
        unsafe { $call }
    }};
}
pub(crate) use c;
