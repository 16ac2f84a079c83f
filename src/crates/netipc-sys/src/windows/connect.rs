//! From a name to a connected channel.
#![allow(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_NAME, ERROR_INVALID_PARAMETER,
    ERROR_PATH_NOT_FOUND, ERROR_PIPE_BUSY, ERROR_SEM_TIMEOUT, GENERIC_READ, GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, SECURITY_IDENTIFICATION,
    SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::Pipes::{
    PIPE_READMODE_MESSAGE, SetNamedPipeHandleState, WaitNamedPipeW,
};

use super::handle::{last_error, owned, raw, refused, wide_path};
use super::peer::Side;
use super::pipe::Pipe;
use super::{Abort, PacketChannel};
use crate::{ConnectError, Deadline, EndpointState, EntryKind, InspectError, PathError};

/// The longest name of a pipe, in characters (spec section 5).
pub const MAX_SOCKET_PATH_BYTES: usize = 255;
/// What the name of every pipe begins with.
pub(super) const PIPES: &str = r"\\.\pipe\";

/// How long one attempt waits for an instance of the pipe when all are taken. Nothing but an instance
/// ends that wait, so this is how late an abort is noticed.
const BUSY_SLICE: Duration = Duration::from_millis(25);

/// Connects to the endpoint of the name `path`.
///
/// A server with room accepts at once, in the system, whether or not it is looking. When it has none this
/// waits until the deadline, in slices of 25 ms at most; a deadline that has passed makes it one attempt
/// that does not wait.
///
/// The server learns who this process is, and cannot act in its name.
///
/// # Errors
/// Each variant of [`ConnectError`]; the first attempt already tells all but
/// [`TimedOut`](ConnectError::TimedOut) and [`Aborted`](ConnectError::Aborted).
pub fn connect(
    path: &Path,
    deadline: Deadline,
    abort: &Abort,
) -> Result<PacketChannel, ConnectError> {
    let name = pipe_name(path)?;
    loop {
        if abort.is_set() {
            return Err(ConnectError::Aborted);
        }
        match open(&name) {
            Err(ERROR_PIPE_BUSY) => {}
            Err(error) => return Err(connect_error(error)),
            Ok(channel) => return Ok(channel),
        }
        let slice = deadline.remaining().unwrap_or(BUSY_SLICE).min(BUSY_SLICE);
        if slice.is_zero() {
            return Err(ConnectError::TimedOut);
        }
        let milliseconds = (slice.as_millis() as u32).max(1);
        // SAFETY: the name has a NUL at its end.
        let free = unsafe { WaitNamedPipeW(name.as_ptr(), milliseconds) };
        match if free == 0 { last_error() } else { 0 } {
            0 | ERROR_SEM_TIMEOUT => {}
            error => return Err(connect_error(error)),
        }
    }
}

/// Looks at what stands at the name `path`, and changes nothing. Does not wait.
///
/// # Errors
/// The name cannot be one of an endpoint, or the system refused to look: nothing is known then.
pub fn inspect_endpoint(path: &Path) -> Result<EndpointState, InspectError> {
    let name = pipe_name(path)?;
    match open(&name) {
        Ok(channel) => Ok(EndpointState::Live(channel)),
        Err(ERROR_PIPE_BUSY) => Ok(EndpointState::LiveBusy),
        Err(error) => match connect_error(error) {
            ConnectError::NotFound => Ok(EndpointState::Absent),
            ConnectError::Denied => Ok(EndpointState::Denied),
            ConnectError::Foreign(kind) => Ok(EndpointState::Foreign(kind)),
            _ => Err(InspectError::Os(refused("examine an endpoint")(error))),
        },
    }
}

/// One attempt.
fn open(name: &[u16]) -> Result<PacketChannel, u32> {
    let flags = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION;
    // SAFETY: the name has a NUL at its end; no other pointer is given; what is returned is nobody
    // else's.
    let handle = unsafe {
        CreateFileW(
            name.as_ptr(),
            GENERIC_READ | GENERIC_WRITE,
            0,
            std::ptr::null(),
            OPEN_EXISTING,
            flags,
            std::ptr::null_mut(),
        )
    };
    // SAFETY: just opened, or none.
    let handle = unsafe { owned(handle) }?;
    let mode = PIPE_READMODE_MESSAGE;
    // SAFETY: the handle is open; the mode is read from a local.
    let set = unsafe {
        SetNamedPipeHandleState(raw(&handle), &raw const mode, std::ptr::null(), std::ptr::null())
    };
    if set == 0 {
        return Err(last_error());
    }
    Ok(PacketChannel::new(Pipe::new(handle), Side::Client))
}

fn connect_error(error: u32) -> ConnectError {
    match error {
        ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => ConnectError::NotFound,
        ERROR_ACCESS_DENIED => ConnectError::Denied,
        // A pipe of bytes has no messages.
        ERROR_INVALID_PARAMETER | ERROR_INVALID_NAME => {
            ConnectError::Foreign(EntryKind::OtherSocket)
        }
        error => ConnectError::Os(refused("connect")(error)),
    }
}

/// The name of an endpoint as the system takes it, if `path` can be one.
pub(super) fn pipe_name(path: &Path) -> Result<Vec<u16>, PathError> {
    let Some(text) = path.to_str() else { return Err(PathError::Empty) };
    if text.contains('\0') {
        return Err(PathError::Nul);
    }
    if text.strip_prefix(PIPES).is_none_or(str::is_empty) {
        return Err(PathError::Empty);
    }
    if text.len() > MAX_SOCKET_PATH_BYTES {
        return Err(PathError::TooLong { len: text.len(), max: MAX_SOCKET_PATH_BYTES });
    }
    wide_path(path).ok_or(PathError::Nul)
}
