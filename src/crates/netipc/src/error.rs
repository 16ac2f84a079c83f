//! What can go wrong, and who is at fault.
//!
//! One enumeration an operation, as in netipc-sys, so that a caller matches only on what can happen
//! to it. Each says in words what to do, and [`Fault`] sorts all of them.

use netipc_proto::chunk::ReceiveError as Refused;
use netipc_proto::negotiate::Refusal;
use netipc_proto::retry::Met;
use netipc_proto::{DecodeError, Defect, Status};
use netipc_sys::{AttachError, BindError, Breach, SysError};
use thiserror::Error;

use crate::{Header, Limits};

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The peer broke the contract.
    PeerBroke,
    /// The peer keeps its contract, and it is not ours: another version, another profile.
    PeerIncompatible,
    /// The caller of this library asked for what cannot be, or configured it so.
    Caller,
    /// The operating system refused.
    System,
    /// Nobody: time ran out, this side aborted, the peer is not there, left, or is full.
    Nobody,
}

/// Why there is no session with a server.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// No connection to the endpoint.
    #[error(transparent)]
    Endpoint(#[from] netipc_sys::ConnectError),
    /// The server refused, or answered what it may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server closed the connection in place of answering HELLO: a refusal of unknown reason.
    #[error("the server closed the connection without an answer to HELLO")]
    Closed,
    /// The server granted shared memory, and its region cannot be attached to. Another connection that
    /// offers the baseline alone may do: whoever calls decides (a Level 2 client does just that).
    #[error("shared memory was granted, and cannot be used: {0}")]
    Region(#[from] AttachError),
    /// The server granted shared memory, and its region was gone when it closed the session: the
    /// server is full, or has just died.
    #[error("the server closed the session before its shared memory was there")]
    RegionVanished,
    /// The server accepted, and did not answer HELLO before the deadline.
    #[error("timed out: the server does not answer HELLO")]
    TimedOut,
    /// The abort handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// The operating system refused.
    #[error(transparent)]
    Os(#[from] SysError),
}

impl ConnectError {
    /// What the handshake met, for [`netipc_proto::retry::Retry`]. `None` when this side aborted:
    /// nothing was learnt of the server.
    #[must_use]
    pub fn met(&self) -> Option<Met> {
        match self {
            Self::Endpoint(netipc_sys::ConnectError::NotFound) => Some(Met::NoEndpoint),
            Self::Endpoint(netipc_sys::ConnectError::Aborted) | Self::Aborted => None,
            Self::Endpoint(_) | Self::Os(_) => Some(Met::Unreachable),
            Self::Refused(refusal) => Some(refusal.into()),
            Self::Region(_) => Some(Met::BadAnswer),
            Self::RegionVanished => Some(Met::RegionVanished),
            Self::Closed | Self::TimedOut => Some(Met::NoAnswer),
        }
    }

    /// Who is at fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        use netipc_sys::ConnectError as Sys;
        match self {
            Self::Endpoint(Sys::Path(_) | Sys::Foreign(_)) => Fault::Caller,
            Self::Endpoint(Sys::Denied | Sys::Os(_)) | Self::Os(_) => Fault::System,
            Self::Endpoint(Sys::NotFound | Sys::Refused | Sys::TimedOut | Sys::Aborted) => {
                Fault::Nobody
            }
            Self::Refused(Refusal::Rejected(status)) => rejection_fault(*status),
            Self::Refused(Refusal::Malformed(_) | Refusal::Contradiction(_)) | Self::Region(_) => {
                Fault::PeerBroke
            }
            Self::Closed | Self::RegionVanished | Self::TimedOut | Self::Aborted => Fault::Nobody,
        }
    }
}

/// Whose fault a refusal of the handshake is.
fn rejection_fault(status: Status) -> Fault {
    match status {
        Status::AUTH_FAILED | Status::LIMIT_EXCEEDED => Fault::Caller,
        Status::UNSUPPORTED | Status::INCOMPATIBLE => Fault::PeerIncompatible,
        _ => Fault::Nobody,
    }
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// Longer than what was agreed for this direction; nothing was sent.
    #[error(
        "the message has {payload_len} bytes and {item_count} items, agreed were {} and {}",
        .limits.payload_bytes, .limits.batch_items
    )]
    AboveLimit {
        /// Bytes of its payload.
        payload_len: u32,
        /// Its items.
        item_count: u32,
        /// What was agreed.
        limits: Limits,
    },
    /// The header is not one that this side may send, or does not agree with the payload; nothing
    /// was sent.
    #[error("the message may not be sent so: {0}")]
    Malformed(Defect),
    /// The deadline passed. The session has ended if a part of the message was out.
    #[error("timed out: the peer does not read")]
    TimedOut,
    /// The abort handle is set. The session has ended if a part of the message was out.
    #[error("aborted by this side")]
    Aborted,
    /// The peer closed its end, or this side ended the session ([`Session::shutdown`](crate::Session::shutdown)).
    /// Receive until [`ReceiveError::Closed`] before judging: an answer may be queued (spec section 6).
    #[error("the peer closed the session")]
    PeerGone,
    /// The socket does not carry packets of the agreed size any more.
    #[error("the socket carries packets of {max} bytes, and {len} were agreed")]
    PacketTooLong {
        /// Bytes of the packet.
        len: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// On shared memory, a request and its answer take turns: a client that has sent receives before
    /// it sends again, a server sends one answer a request (spec section 7). Nothing was sent.
    #[error("a message is in flight already, all that shared memory carries: receive one first")]
    OutOfTurn,
    /// The peer cut the region's file off: the session has ended.
    #[error("the peer broke the region: {0}")]
    BrokenRegion(Breach),
    /// An earlier message went out in part: the peer waits for its rest, nothing else can be sent.
    #[error("an earlier message was sent in part only: this session has ended")]
    Ended,
    /// The operating system refused.
    #[error(transparent)]
    Os(#[from] SysError),
}

impl SendError {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::AboveLimit { .. } | Self::Malformed(_) | Self::OutOfTurn | Self::Ended => {
                Fault::Caller
            }
            Self::TimedOut | Self::Aborted | Self::PeerGone => Fault::Nobody,
            Self::BrokenRegion(_) => Fault::PeerBroke,
            Self::PacketTooLong { .. } | Self::Os(_) => Fault::System,
        }
    }
}

/// Why no message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReceiveError {
    /// Nothing whole arrived before the deadline. What did arrive is kept in the inbox.
    #[error("timed out")]
    TimedOut,
    /// The abort handle is set. What did arrive is kept in the inbox.
    #[error("aborted by this side")]
    Aborted,
    /// The peer closed its end, and everything that it sent before was received; or this side ended the session.
    #[error("the peer closed the session")]
    Closed,
    /// The peer closed its end in the midst of a message.
    #[error("the peer closed the session in the midst of a message")]
    BrokenOff,
    /// The peer began a message and did not go on. The session must end.
    #[error("the peer began a message and sent no more of it in time")]
    ChunkGap,
    /// The message is above the agreed limit. The session must end; a server answers
    /// [`Status::LIMIT_EXCEEDED`] to this header first (spec section 1).
    #[error("{error}")]
    AboveLimit {
        /// The header of the message.
        header: Header,
        /// What is above the limit.
        error: DecodeError,
    },
    /// The peer broke the contract. The session must end.
    #[error(transparent)]
    Violation(#[from] DecodeError),
    /// The peer wrote into the shared region what it may not: its numbers contradict what was sent
    /// before. The session must end.
    #[error("the peer broke the shared region: {0}")]
    BrokenRegion(Breach),
    /// An answer to a request that is not in flight. The session must end (spec section 1).
    #[error("the peer answered request {message_id}, which is not in flight")]
    UnknownId {
        /// The id of the answer.
        message_id: u64,
    },
    /// The message is within what was agreed and above what this side is willing to hold, or can.
    /// The session must end.
    #[error(transparent)]
    TooLarge(Refused),
    /// An earlier error has ended the session.
    #[error("an earlier error has ended this session")]
    Ended,
    /// The operating system refused.
    #[error(transparent)]
    Os(#[from] SysError),
}

impl ReceiveError {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TimedOut | Self::Aborted | Self::Closed => Fault::Nobody,
            Self::BrokenOff
            | Self::ChunkGap
            | Self::AboveLimit { .. }
            | Self::Violation(_)
            | Self::BrokenRegion(_)
            | Self::UnknownId { .. } => Fault::PeerBroke,
            Self::TooLarge(Refused::OutOfMemory { .. }) | Self::Os(_) => Fault::System,
            Self::TooLarge(_) | Self::Ended => Fault::Caller,
        }
    }
}

/// Why a request was not submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// As many requests are in flight as may be: receive first. Nothing was sent.
    #[error("{in_flight} requests are in flight, all that may be: receive an answer first")]
    Full {
        /// Requests in flight.
        in_flight: usize,
    },
    /// A request with this id is in flight: the caller's fault. Nothing was sent.
    #[error("a request with id {message_id} is in flight already")]
    Duplicate {
        /// The id.
        message_id: u64,
    },
    /// It was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why nobody can be served at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListenError {
    /// The endpoint could not be taken.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The operating system refused.
    #[error(transparent)]
    Os(#[from] SysError),
}

impl ListenError {
    /// Who is at fault.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Bind(
                BindError::Path(_)
                | BindError::InUse { .. }
                | BindError::NoDirectory
                | BindError::NoHardLinks { .. },
            ) => Fault::Caller,
            Self::Bind(BindError::Denied { .. } | BindError::Os(_)) | Self::Os(_) => Fault::System,
        }
    }
}

/// Why no session was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AcceptError {
    /// Nobody completed a handshake before the deadline.
    #[error("timed out")]
    TimedOut,
    /// The abort handle is set.
    #[error("aborted by this side")]
    Aborted,
    /// The operating system refused.
    #[error(transparent)]
    Os(#[from] SysError),
}
