//! What can go wrong, by operation.
//!
//! One enumeration an operation, so that a caller matches only on what can happen to it. Each
//! `Os` variant is what no other variant names: the system refused, and [`SysError`] says what.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The operating system refused an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operating system refused to {operation}: {}", self.io_error())]
pub struct SysError {
    operation: &'static str,
    code: i32,
}

impl SysError {
    pub(crate) const fn new(operation: &'static str, code: i32) -> Self {
        Self { operation, code }
    }

    /// What was tried, as the end of "refused to …".
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The system's error number (`errno`, or `GetLastError`).
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The same as the standard library's error.
    #[must_use]
    pub fn io_error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.code)
    }
}

/// Why waiting ended without the thing waited for: a part of the errors of all that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WaitError {
    /// The [`Abort`](crate::Abort) handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// Nothing came before the deadline.
    #[error("timed out")]
    TimedOut,
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// Why a packet was not sent. Nothing of it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The [`Abort`](crate::Abort) handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// The peer made no room before the deadline.
    #[error("timed out: the peer does not read")]
    TimedOut,
    /// The peer closed its end. A last answer may still be there to receive (spec section 6).
    #[error("the peer closed the connection")]
    PeerGone,
    /// An empty packet reads as a close at the other end: never sent.
    #[error("an empty packet cannot be sent")]
    Empty,
    /// Longer than the channel carries in one packet.
    #[error(
        "a packet of {len} bytes is longer than the {max} that the socket carries: lower the packet size"
    )]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes that fit: [`PacketChannel::max_packet_size`](crate::PacketChannel::max_packet_size).
        max: usize,
    },
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// Why no packet was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecvError {
    /// The [`Abort`](crate::Abort) handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// Nothing arrived before the deadline.
    #[error("timed out")]
    TimedOut,
    /// The peer closed its end (or sent an empty packet, which means the same), and every packet
    /// that it had sent has been received.
    #[error("the peer closed the connection")]
    Closed,
    /// The packet did not fit the buffer. It is consumed: its rest is lost.
    #[error("the peer sent a packet of {len} bytes where at most {max} may come")]
    TooLong {
        /// The packet's whole length, in bytes.
        len: usize,
        /// The buffer's length, in bytes.
        max: usize,
    },
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// Why a path cannot name an endpoint. The path is at fault, whatever is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// No file name in it.
    #[error("the endpoint's path names no file")]
    Empty,
    /// It holds a NUL byte.
    #[error("the endpoint's path holds a NUL byte")]
    Nul,
    /// Longer than a socket address holds.
    #[error(
        "the endpoint's path has {len} bytes and may have {max}: use a shorter run directory or service name"
    )]
    TooLong {
        /// Bytes given.
        len: usize,
        /// [`MAX_SOCKET_PATH_BYTES`](crate::MAX_SOCKET_PATH_BYTES).
        max: usize,
    },
}

/// What stands at a path where an endpoint was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    RegularFile,
    /// A directory.
    Directory,
    /// A symbolic link, wherever it leads.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A block or character device.
    Device,
    /// A live socket that is not a packet socket.
    OtherSocket,
    /// Something this library has no name for.
    Unknown,
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RegularFile => "a regular file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Device => "a device",
            Self::OtherSocket => "a socket of another type",
            Self::Unknown => "an unknown kind of file",
        })
    }
}

/// Why no connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// The path can name no endpoint.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Nothing is at the path: the provider is not there (yet).
    #[error("no endpoint at this path: the provider is not running")]
    NotFound,
    /// A socket is there and nobody listens on it: left by a dead server, or one about to listen.
    #[error("nobody listens on the endpoint: its provider is gone, or still starting")]
    Refused,
    /// Something else is at the path.
    #[error("{0} is at the endpoint's path: remove it, or use another run directory")]
    Foreign(EntryKind),
    /// This process may not connect: the socket's mode or a directory above it forbids it.
    #[error("permission denied: this user may not use the endpoint")]
    Denied,
    /// The server's backlog stayed full until the deadline.
    #[error("timed out: the provider accepts nobody (its backlog is full)")]
    TimedOut,
    /// The [`Abort`](crate::Abort) handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// Why an endpoint could not be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InspectError {
    /// The path can name no endpoint.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The operating system refused: nothing is known of the endpoint.
    #[error(transparent)]
    Os(SysError),
}

/// Why it is not known what stands where endpoints would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ListError {
    /// There are pipes that this system does not list: it was asked for one that is there for certain.
    #[error("this system does not tell which pipes there are")]
    Untold,
    /// The operating system refused to list.
    #[error(transparent)]
    Os(SysError),
}

/// Who or what keeps a name from being bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Holder {
    /// A server that answers, or did so at the last moment.
    #[error("a live server owns it")]
    LiveServer,
    /// A server that holds the endpoint's lock: it owns the endpoint, is starting, or is stopping.
    #[error("another server holds this lock")]
    LockHolder,
    /// Something that is not ours to remove.
    #[error("{0} is there and is left alone: remove it, or use another run directory")]
    Foreign(EntryKind),
    /// A socket that this user may not even connect to, or a lock of another user's, who could keep
    /// the service from starting at any time. That holds for root as well, who could open both.
    #[error("it belongs to another user")]
    AnotherUser,
    /// The name is taken and could not be looked at: it is kept.
    #[error("it could not be examined ({0})")]
    Unknown(SysError),
}

/// Why an endpoint could not be bound. Nothing of another's was removed, nothing of ours is left.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BindError {
    /// The path can name no endpoint.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Address in use: `path` is the entry in the way, which may be the lock.
    #[error("address in use: {}: {by}", path.display())]
    InUse {
        /// The entry that is in the way.
        path: PathBuf,
        /// What it is.
        by: Holder,
    },
    /// The run directory does not exist.
    #[error("the run directory does not exist: create it before the server starts")]
    NoDirectory,
    /// This user may not do this in the run directory.
    #[error("permission denied: this user may not {operation} in the run directory")]
    Denied {
        /// What was tried, as the end of "may not …".
        operation: &'static str,
    },
    /// Endpoints are published by hard links, which the run directory's file system has not.
    #[error(
        "the file system of {} has no hard links, by which endpoints are published: use a run \
         directory on another, such as tmpfs under /run",
        path.display()
    )]
    NoHardLinks {
        /// The endpoint that could not be published.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// Why no client was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AcceptError {
    /// The [`Abort`](crate::Abort) handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// Nobody came before the deadline.
    #[error("timed out")]
    TimedOut,
    /// No descriptor or memory for another client, who keeps waiting in the backlog: close
    /// something, and accept no more until then.
    #[error("no room for another client ({0}): close sessions, or raise the limit of open files")]
    Exhausted(SysError),
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// The variants that every waiting operation shares.
macro_rules! from_wait_error {
    ($($error:ident),+) => {$(
        impl From<WaitError> for $error {
            fn from(error: WaitError) -> Self {
                match error {
                    WaitError::Aborted => Self::Aborted,
                    WaitError::TimedOut => Self::TimedOut,
                    WaitError::Os(error) => Self::Os(error),
                }
            }
        }
    )+};
}
from_wait_error!(SendError, RecvError, AcceptError);
