//! Events of the kernel, and waiting for several things at once.
#![allow(unsafe_code)]

use std::os::windows::io::OwnedHandle;
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects,
};

use super::handle::{last_error, owned, raw, refused};
use crate::{Deadline, SysError};

/// The most things that one wait here is for.
const MAX_WAITED: usize = 4;

/// An event: set or not.
#[derive(Debug)]
pub(super) struct KernelEvent(OwnedHandle);

impl KernelEvent {
    /// One without a name, not set. It stays set until it is reset.
    pub(super) fn new() -> Result<Self, SysError> {
        const MANUAL: i32 = 1;
        // SAFETY: no pointer is given; what is returned is nobody else's.
        let event = unsafe { CreateEventW(std::ptr::null(), MANUAL, 0, std::ptr::null()) };
        // SAFETY: just made, or none.
        unsafe { owned(event) }.map(Self).map_err(refused("create an event"))
    }

    pub(super) const fn from_handle(handle: OwnedHandle) -> Self {
        Self(handle)
    }

    pub(super) fn raw(&self) -> HANDLE {
        raw(&self.0)
    }

    /// Its only failure would be a handle that is none.
    pub(super) fn set(&self) {
        // SAFETY: the handle is open as long as `self` is.
        let _set = unsafe { SetEvent(self.raw()) };
    }

    pub(super) fn reset(&self) {
        // SAFETY: as for `set`.
        let _reset = unsafe { ResetEvent(self.raw()) };
    }
}

/// Waits for the first of `handles` that is set, the earlier ones first: which; `None` at the deadline.
///
/// The handles stay open while this waits: the caller has borrowed their owners.
pub(super) fn wait_any(handles: &[HANDLE], deadline: Deadline) -> Result<Option<usize>, SysError> {
    debug_assert!(handles.len() <= MAX_WAITED);
    let count = handles.len() as u32;
    loop {
        // SAFETY: `handles` is as long as `count` says, and they are open, as this function demands.
        let woken =
            unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, milliseconds(deadline)) };
        match woken {
            WAIT_TIMEOUT if deadline.has_passed() => return Ok(None),
            // The system counts milliseconds and may be early by a part of one.
            WAIT_TIMEOUT => {}
            WAIT_FAILED => return Err(refused("wait")(last_error())),
            index => return Ok(Some(index.wrapping_sub(WAIT_OBJECT_0) as usize)),
        }
    }
}

/// What is left of a deadline, as the system counts it, rounded up.
fn milliseconds(deadline: Deadline) -> u32 {
    let Some(left) = deadline.remaining() else { return INFINITE };
    let rounded = left.saturating_add(Duration::from_millis(1) - Duration::from_nanos(1));
    u32::try_from(rounded.as_millis()).unwrap_or(INFINITE - 1).min(INFINITE - 1)
}
