//! What is said of an endpoint, the same on every platform: how it is to be, and what was found there.

use crate::EntryKind;
use crate::platform::PacketChannel;

/// The mode of an endpoint unless configured: its owner alone.
pub const DEFAULT_MODE: u32 = 0o600;
/// Clients that may wait to be accepted unless configured. Kernels cap it (`somaxconn`).
pub const DEFAULT_BACKLOG: u16 = 512;

/// How an endpoint is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// Its permission bits, exactly, whatever the umask; connecting needs write permission. Not for
    /// pipes, which admit the own user, SYSTEM and administrators.
    pub mode: u32,
    /// Its group, by id; `None` leaves what the system gives. Needs membership or privilege. Not for
    /// pipes.
    pub group: Option<u32>,
    /// Clients that may wait to be accepted.
    pub backlog: u16,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self { mode: DEFAULT_MODE, group: None, backlog: DEFAULT_BACKLOG }
    }
}

/// What [`inspect_endpoint`](crate::inspect_endpoint) found.
#[derive(Debug)]
pub enum EndpointState {
    /// Nothing is there.
    Absent,
    /// A server listens, and this is a connection to it. Dropping it is harmless.
    Live(PacketChannel),
    /// A server listens and has no room: its backlog is full.
    LiveBusy,
    /// A socket on which nobody listens: its server died. Not for pipes, whose names go with their
    /// servers.
    Stale,
    /// Not an endpoint.
    Foreign(EntryKind),
    /// One that this user may not connect to.
    Denied,
}
