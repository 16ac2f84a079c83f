//! netipc: processes on one host ask each other for what they know.
//!
//! ```text
//!   Level 3   cache::Cache      a snapshot kept here, read without waiting
//!                  |
//!   Level 2   client::…         typed calls, lookups, snapshots over sessions that come and go
//!                  |
//!   Level 1   Endpoint ── Session::connect ──▶ Session ◀── Listener::accept
//!               a name                         messages    handshakes, off the acceptor
//! ```
//!
//! Level 1 moves whole messages between two peers that have agreed on terms, whatever the transport
//! underneath. What it does **not** do: it starts no thread, retries nothing, chooses no message
//! ids, decodes no payload.
#![forbid(unsafe_code)]

pub mod cache;
pub mod client;
pub mod events;
pub mod server;
pub mod service;

mod endpoint;
mod error;
mod listener;
mod panics;
mod place;
mod session;

/// What generated codecs are built from.
pub mod codec {
    pub use netipc_proto::payload::*;
    pub use netipc_proto::{DecodeError, Defect};
}

/// Several items in one message (spec section 2): to build such a payload, and to read one.
pub mod batch {
    pub use netipc_proto::batch::{Batch, BatchBuilder, BuildError, batch_len};
}

/// The convention by which the processes of one agent share a token (spec section 4).
pub mod token {
    pub use netipc_proto::token::{NotAUuid, parse_uuid, token_from_session_uuid};
}

pub use endpoint::{Endpoint, EndpointState};
pub use error::{
    AcceptError, ConnectError, Fault, ListenError, ReceiveError, SendError, SubmitError,
};
pub use listener::{
    AccessPolicy, DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_MAX_PENDING_HANDSHAKES,
    DEFAULT_MAX_REGION_BYTES, HandshakeCounters, HandshakeCounts, Listener, ListenerConfig,
    ResponseLimit,
};
pub use netipc_proto::chunk::PacketSize;
pub use netipc_proto::header::{Header, Kind, Limits};
pub use netipc_proto::names::NameError;
pub use netipc_proto::negotiate::Terms;
pub use netipc_proto::profile::{Profile, Profiles};
pub use netipc_proto::retry::{Met, Retry};
pub use netipc_proto::{Message, Status};
pub use netipc_sys::{
    Abort, AttachError, BindError, Breach, DEFAULT_SPIN_LIMIT, Deadline, EntryKind, ListError,
    PeerIdentity, RegionDefect, SpinLimit, SysError, descriptor_number, path_of_bytes,
};
pub use session::{
    CHUNK_GAP_TIMEOUT, Drain, Drained, Inbox, MAX_DRAIN_BYTES, Outgoing, PacketBuffer, Pipeline,
    Proposal, Session,
};

use netipc_proto::profile::Platform;

/// The profiles that this platform has.
const PLATFORM: Platform = match netipc_sys::FAMILY {
    netipc_sys::Family::Linux => Platform::POSIX,
    netipc_sys::Family::Unix => Platform::POSIX_BASELINE,
    netipc_sys::Family::Windows => Platform::WINDOWS,
};
