//! What became of those who came.

use std::sync::atomic::AtomicU64;

/// Counts of handshakes, shared between threads.
#[derive(Debug, Default)]
pub struct HandshakeCounters {
    #[allow(dead_code)]
    accepted: AtomicU64,
}

/// What [`HandshakeCounters`] say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeCounts {
    /// Connections accepted.
    pub connections: u64,
    /// Handshakes that became sessions.
    pub sessions: u64,
    /// Clients that were told BUSY.
    pub busy: u64,
    /// Clients of another user or token.
    pub auth_failed: u64,
    /// Clients without a profile or version in common.
    pub incompatible: u64,
    /// Clients that asked for longer requests than are granted.
    pub limit_exceeded: u64,
    /// Clients whose HELLO broke the contract.
    pub malformed: u64,
    /// Clients that said nothing in time.
    pub timed_out: u64,
    /// Clients that left before they were answered.
    pub left: u64,
    /// Clients that gave way to newer ones.
    pub displaced: u64,
}

impl HandshakeCounters {
    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> HandshakeCounts {
        todo!()
    }
}
