//! Handles, names and error numbers.
#![allow(unsafe_code)]

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::{GetLastError, HANDLE, INVALID_HANDLE_VALUE};

use crate::SysError;

/// The number of the last error of this thread.
pub(super) fn last_error() -> u32 {
    // SAFETY: reads a number of this thread.
    unsafe { GetLastError() }
}

/// Names the operation that an error number belongs to.
pub(super) fn refused(operation: &'static str) -> impl Fn(u32) -> SysError + Copy {
    move |code| SysError::new(operation, code.cast_signed())
}

/// Takes a handle that a call has just returned; the thread's last error where it returned none.
///
/// # Safety
/// `handle` is none, or open and nobody else's.
pub(super) unsafe fn owned(handle: HANDLE) -> Result<OwnedHandle, u32> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(last_error());
    }
    // SAFETY: open, and this function's caller gives it away.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

pub(super) fn raw(handle: &OwnedHandle) -> HANDLE {
    handle.as_raw_handle()
}

/// A name as the system takes it: UTF-16 with a NUL behind it. `None` when it holds one itself.
pub(super) fn wide(name: &str) -> Option<Vec<u16>> {
    (!name.contains('\0')).then(|| name.encode_utf16().chain([0]).collect())
}

/// The same for the name of an endpoint.
pub(super) fn wide_path(path: &Path) -> Option<Vec<u16>> {
    wide(path.to_str()?)
}
