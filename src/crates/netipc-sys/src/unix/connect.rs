//! From a path to a connected channel.

use std::path::Path;
use std::time::Duration;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

use super::endpoint::{entry_kind, socket_address};
use super::{Abort, PacketChannel, refused};
use crate::{ConnectError, Deadline, EntryKind};

/// How long one attempt sleeps in the kernel when the server's backlog is full. No descriptor
/// becomes ready when a place gets free, so the sleep is inside `connect`, where a free place
/// wakes it and an abort does not: this is how late an abort is noticed.
const BACKLOG_SLICE: Duration = Duration::from_millis(25);

/// Connects to the endpoint at `path`.
///
/// A server with room accepts at once, in the kernel, whether or not it is looking. When its
/// backlog is full this waits until the deadline, in slices of 25 ms at most; a deadline that has
/// passed makes it one attempt that does not wait.
///
/// A symbolic link at `path` is followed, as `connect` does: whoever could place it could place a
/// socket of his own. Check [`PacketChannel::peer`].
///
/// # Errors
/// Each variant of [`ConnectError`]; the first attempt already tells all but
/// [`TimedOut`](ConnectError::TimedOut) and [`Aborted`](ConnectError::Aborted).
pub fn connect(
    path: &Path,
    deadline: Deadline,
    abort: &Abort,
) -> Result<PacketChannel, ConnectError> {
    let address = socket_address(path)?;
    if abort.is_set() {
        return Err(ConnectError::Aborted);
    }
    let os = |errno| ConnectError::Os(refused("connect")(errno));
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(os)?;
    let mut outcome = rustix::net::connect(&socket, &address);
    if matches!(outcome, Err(Errno::AGAIN | Errno::INTR)) {
        ioctl_fionbio(&socket, false).map_err(os)?;
        while matches!(outcome, Err(Errno::AGAIN | Errno::INTR)) {
            if abort.is_set() {
                return Err(ConnectError::Aborted);
            }
            let slice = deadline.remaining().unwrap_or(BACKLOG_SLICE).min(BACKLOG_SLICE);
            if slice.is_zero() {
                return Err(ConnectError::TimedOut);
            }
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(slice))
                .map_err(os)?;
            outcome = rustix::net::connect(&socket, &address);
        }
        ioctl_fionbio(&socket, true).map_err(os)?;
    }
    match outcome {
        Ok(()) => Ok(PacketChannel::new(socket)),
        Err(errno) => Err(connect_error(path, errno)),
    }
}

/// What the system's answer means. It refuses connections to what is no socket at all, too.
fn connect_error(path: &Path, errno: Errno) -> ConnectError {
    match errno {
        Errno::NOENT => ConnectError::NotFound,
        Errno::CONNREFUSED => match entry_kind(path) {
            Ok(Some(Err(kind))) if kind != EntryKind::Symlink => ConnectError::Foreign(kind),
            _ => ConnectError::Refused,
        },
        Errno::PROTOTYPE => ConnectError::Foreign(EntryKind::OtherSocket),
        Errno::ACCESS | Errno::PERM => ConnectError::Denied,
        errno => ConnectError::Os(refused("connect")(errno)),
    }
}
