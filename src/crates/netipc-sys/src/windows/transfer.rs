//! One overlapped operation that a thread waits for.
//!
//! The system writes into the operation's record, and reads or fills its buffer, until the operation has
//! ended. So nothing here returns before it has: one that is not wanted any more is cancelled, and the
//! cancelling waited for, which takes no peer's doing.
#![allow(unsafe_code)]

use std::cell::OnceCell;
use std::sync::{PoisonError, RwLock};

use std::os::windows::io::OwnedHandle;
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_HANDLE, ERROR_IO_PENDING, ERROR_MORE_DATA, ERROR_OPERATION_ABORTED, HANDLE,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};

use super::Abort;
use super::handle::{last_error, raw};
use super::kernel_event::{KernelEvent, wait_any};
use crate::{Deadline, SysError, WaitError};

/// A handle that may be closed while others use it: `None` from then on.
pub(super) type File = RwLock<Option<OwnedHandle>>;

/// How an operation ended that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// Zero for success.
    pub(super) error: u32,
    pub(super) bytes: usize,
}

impl Done {
    /// What the record of an operation that has ended says.
    pub(super) fn of(record: *const OVERLAPPED) -> Self {
        let mut bytes = 0;
        // SAFETY: the record is of an operation that has ended, as this function's callers see to, so
        // that nobody writes to it; without waiting, only it is looked at, and no handle.
        let done = unsafe { GetOverlappedResult(std::ptr::null_mut(), record, &raw mut bytes, 0) };
        let error = if done == 0 { last_error() } else { 0 };
        Self { error, bytes: bytes as usize }
    }
}

/// How a call that starts an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Started {
    /// It has ended, and the record says how.
    Done,
    Pending,
    /// It was not started.
    Refused(u32),
}

impl Started {
    /// `succeeded` is what the call returned; the thread's last error belongs to it.
    pub(super) fn of(succeeded: i32) -> Self {
        if succeeded != 0 {
            return Self::Done;
        }
        match last_error() {
            ERROR_IO_PENDING => Self::Pending,
            // A message's first part was read.
            ERROR_MORE_DATA => Self::Done,
            error => Self::Refused(error),
        }
    }
}

thread_local! {
    /// Set when this thread's operation has ended: it has one at a time.
    static ENDED: OnceCell<KernelEvent> = const { OnceCell::new() };
}

/// Starts an operation by `start`, and waits for its end, the deadline or the abort.
///
/// An operation that has ended comes before either of these; a passed deadline makes it a look.
pub(super) fn transfer(
    file: &File,
    deadline: Deadline,
    abort: Option<&Abort>,
    start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> Started,
) -> Result<Done, WaitError> {
    ENDED.with(|ended| {
        let event = match ended.get() {
            Some(event) => event,
            None => {
                let event = KernelEvent::new().map_err(WaitError::Os)?;
                ended.get_or_init(|| event)
            }
        };
        let mut record = OVERLAPPED { hEvent: event.raw(), ..OVERLAPPED::default() };
        let record = &raw mut record;
        match start_on(file, |handle| start(handle, record)) {
            Started::Done => Ok(Done::of(record)),
            Started::Refused(error) => Ok(Done { error, bytes: 0 }),
            Started::Pending => wait_for(file, record, event, deadline, abort),
        }
    })
}

/// Calls `start` while the handle stays open.
pub(super) fn start_on(file: &File, start: impl FnOnce(HANDLE) -> Started) -> Started {
    let file = file.read().unwrap_or_else(PoisonError::into_inner);
    match &*file {
        Some(handle) => start(raw(handle)),
        None => Started::Refused(ERROR_INVALID_HANDLE),
    }
}

fn wait_for(
    file: &File,
    record: *mut OVERLAPPED,
    event: &KernelEvent,
    deadline: Deadline,
    abort: Option<&Abort>,
) -> Result<Done, WaitError> {
    let both;
    let alone = [event.raw()];
    let (handles, own): (&[HANDLE], usize) = match abort {
        Some(abort) => {
            both = [abort.raw(), event.raw()];
            (&both, 1)
        }
        None => (&alone, 0),
    };
    let given_up = match wait_any(handles, deadline) {
        Ok(Some(index)) if index == own => return Ok(Done::of(record)),
        Ok(Some(_)) => WaitError::Aborted,
        Ok(None) => WaitError::TimedOut,
        Err(error) => WaitError::Os(error),
    };
    cancel(file, record);
    let done = until_ended(record, event)?;
    // It may have ended before it was cancelled.
    if done.error == ERROR_OPERATION_ABORTED { Err(given_up) } else { Ok(done) }
}

/// Asks the system to end an operation. Nothing is left to end where the handle was closed.
pub(super) fn cancel(file: &File, record: *const OVERLAPPED) {
    let file = file.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*file {
        // SAFETY: the handle is open while it is locked; the record only names the operation.
        let _unless_ended = unsafe { CancelIoEx(raw(handle), record) };
    }
}

fn until_ended(record: *mut OVERLAPPED, event: &KernelEvent) -> Result<Done, WaitError> {
    match wait_any(&[event.raw()], Deadline::never()) {
        Ok(_) => Ok(Done::of(record)),
        // The record must not go while the system may write to it, and there is no way to know.
        Err(error) => unwaitable(error),
    }
}

#[cold]
fn unwaitable(error: SysError) -> ! {
    eprintln!("netipc: the system does not let this process wait for its own event: {error}");
    std::process::abort()
}
