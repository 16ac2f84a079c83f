//! What can go wrong with shared memory, by operation.

use thiserror::Error;

use crate::{EntryKind, SysError};

/// The longest messages of a session, their headers included, in bytes: what a region must have room
/// for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionSizes {
    /// From the client to the server.
    pub request_bytes: usize,
    /// From the server to the client.
    pub response_bytes: usize,
}

/// Why a server has no region. Nothing of it is left, and nothing of another's was removed but what a
/// dead server had left at that very name.
///
/// But for [`Taken`](Self::Taken), the session goes over the baseline instead (spec section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
    /// A live region, or what is no region and not ours to remove, stands at the name: take the next
    /// session id.
    #[error("the region's name is taken")]
    Taken,
    /// The messages are longer than any region's header can say.
    #[error("the agreed limits are more than a region can hold")]
    TooLarge,
    /// The disk, a quota or the limit of a file's size leaves no room.
    #[error("no room for the region ({0})")]
    NoRoom(SysError),
    /// The file system cannot reserve room, or cannot be mapped.
    #[error("the run directory's file system has no shared memory ({0})")]
    Unsupported(SysError),
    /// No descriptors or memory left.
    #[error("no descriptors or memory for the region ({0})")]
    Exhausted(SysError),
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// What is wrong with what stands at a region's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegionDefect {
    /// Nothing is there.
    #[error("there is no region")]
    Missing,
    /// The file ends before what it should hold.
    #[error("the region has {file_bytes} bytes and needs {needed}")]
    Short {
        /// Bytes of the file.
        file_bytes: u64,
        /// Bytes that the header, or its areas, need.
        needed: u64,
    },
    /// No regular file.
    #[error("{0} is at the region's name")]
    Foreign(EntryKind),
    /// Another user's than the session's peer.
    #[error("the region belongs to user {found} and the peer is user {expected}")]
    Owner {
        /// The file's user id.
        found: u32,
        /// The peer's.
        expected: u32,
    },
    /// No region, or one of another byte order.
    #[error("the region's magic is {found:#010x}")]
    Magic {
        /// As read.
        found: u32,
    },
    /// Of another version.
    #[error("the region's version is {found}")]
    Version {
        /// As read.
        found: u16,
    },
    /// A header of another length.
    #[error("the region's header has {found} bytes")]
    HeaderLen {
        /// As read.
        found: u16,
    },
    /// Of another profile than was agreed.
    #[error("the region is of profile {found:#04x} where {expected:#04x} was agreed")]
    Profile {
        /// As read.
        found: u32,
        /// The session's.
        expected: u32,
    },
    /// An area that is not aligned, or lies in the header.
    #[error("an area of the region is at byte {found}")]
    Offset {
        /// As read.
        found: u32,
    },
    /// An area that is not whole lines, or too small for what was agreed.
    #[error("an area of the region has {found} bytes")]
    Capacity {
        /// As read.
        found: u32,
    },
    /// The two areas share bytes.
    #[error("the areas of the region overlap")]
    Overlap,
}

/// Why a client could not use the server's region. It closes the session and connects again, offering
/// the baseline only (spec section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AttachError {
    /// It is missing or short, and stayed so for a while, or until the socket was closed. Together
    /// with a closed socket: the server had no room for the session (spec section 11).
    #[error("the region is not ready: {0}")]
    NotReady(RegionDefect),
    /// What is there is not what the contract says.
    #[error("the region cannot be used: {0}")]
    Invalid(RegionDefect),
    /// This user may not open it.
    #[error("permission denied: this user may not open the region")]
    Denied,
    /// No descriptors or memory left.
    #[error("no descriptors or memory for the region ({0})")]
    Exhausted(SysError),
    /// The [`Abort`](crate::Abort) handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// It was not ready before the deadline.
    #[error("timed out: the region is not ready")]
    TimedOut,
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// Why a message was not sent, or none received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegionError {
    /// The [`Abort`](crate::Abort) handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// Nothing came before the deadline.
    #[error("timed out")]
    TimedOut,
    /// The peer closed the session's socket, and all that it had published was received.
    #[error("the peer closed the connection")]
    PeerGone,
    /// This side ended the channel ([`RegionHandle::end`](crate::RegionHandle::end)).
    #[error("ended by this side")]
    Ended,
    /// The peer broke the contract of shared memory: the session is at its end.
    #[error("the peer broke the region: {0}")]
    Broken(Breach),
    /// An empty message, which would read as a violation at the other end: never sent.
    #[error("an empty message cannot be sent")]
    Empty,
    /// Sending: longer than the area; nothing was sent. Receiving: longer than the limit or the
    /// buffer; the message counts as received, and the buffer holds its front (its header, for a
    /// server that answers LIMIT_EXCEEDED).
    #[error("a message of {len} bytes where at most {max} have room")]
    TooLong {
        /// The message's whole length, in bytes.
        len: usize,
        /// What had room, in bytes.
        max: usize,
    },
    /// Another thread does the same on this channel at this moment.
    #[error("another thread uses this direction of the channel")]
    Busy,
    /// The operating system refused.
    #[error(transparent)]
    Os(SysError),
}

/// How a peer broke the contract of shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Breach {
    /// A sequence number that is neither the last seen nor the next.
    #[error("sequence number {found} after {seen}")]
    Sequence {
        /// The last that was right.
        seen: u64,
        /// As read.
        found: u64,
    },
    /// A message of no bytes, or of more than the area has.
    #[error("a message of {len} bytes in an area of {capacity}")]
    Length {
        /// As read.
        len: u32,
        /// The area's, in bytes.
        capacity: usize,
    },
    /// The region's file was cut off: what it held is gone.
    #[error("the region's file was cut off")]
    CutOff,
}
