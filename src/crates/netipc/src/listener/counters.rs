//! What became of those who came: one count a connection, once it is decided.

use std::sync::atomic::{AtomicU64, Ordering};

use netipc_proto::negotiate::Rejection;

/// Counts of a listener, to be read from any thread.
#[derive(Debug, Default)]
pub struct HandshakeCounters {
    connections: AtomicU64,
    sessions: AtomicU64,
    busy: AtomicU64,
    auth_failed: AtomicU64,
    incompatible: AtomicU64,
    limit_exceeded: AtomicU64,
    malformed: AtomicU64,
    timed_out: AtomicU64,
    left: AtomicU64,
    displaced: AtomicU64,
    exhausted: AtomicU64,
}

/// What [`HandshakeCounters`] say at one moment. Each connection is in `connections`, and in one of
/// the others once it is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeCounts {
    /// Connections accepted.
    pub connections: u64,
    /// Handshakes that became sessions.
    pub sessions: u64,
    /// Clients that were told BUSY: no session, or no descriptor, was free.
    pub busy: u64,
    /// Clients of a user that is not admitted, or with another token.
    pub auth_failed: u64,
    /// Clients without a profile, version or packet size in common.
    pub incompatible: u64,
    /// Clients that asked for longer requests than are granted.
    pub limit_exceeded: u64,
    /// Clients whose HELLO broke the contract.
    pub malformed: u64,
    /// Clients that said nothing in time.
    pub timed_out: u64,
    /// Clients that left, or whose connection failed, before they were answered.
    pub left: u64,
    /// Clients that said nothing and gave way to newer ones: too many were pending.
    pub displaced: u64,
    /// Times that nobody could be accepted, for want of descriptors or memory.
    pub exhausted: u64,
}

/// How a connection ended that did not become a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Session,
    Rejected(Rejection),
    TimedOut,
    Left,
    Displaced,
}

impl HandshakeCounters {
    /// The counts now; each by itself is exact, together they may be of slightly different moments.
    #[must_use]
    pub fn counts(&self) -> HandshakeCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HandshakeCounts {
            connections: read(&self.connections),
            sessions: read(&self.sessions),
            busy: read(&self.busy),
            auth_failed: read(&self.auth_failed),
            incompatible: read(&self.incompatible),
            limit_exceeded: read(&self.limit_exceeded),
            malformed: read(&self.malformed),
            timed_out: read(&self.timed_out),
            left: read(&self.left),
            displaced: read(&self.displaced),
            exhausted: read(&self.exhausted),
        }
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn exhausted(&self) {
        self.exhausted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn decided(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Session => &self.sessions,
            Outcome::TimedOut => &self.timed_out,
            Outcome::Left => &self.left,
            Outcome::Displaced => &self.displaced,
            Outcome::Rejected(rejection) => match rejection {
                Rejection::Malformed(_) => &self.malformed,
                Rejection::OtherVersion(_)
                | Rejection::NoCommonProfile { .. }
                | Rejection::PacketSize { .. } => &self.incompatible,
                Rejection::NotAdmitted | Rejection::WrongToken => &self.auth_failed,
                Rejection::RequestLimit { .. } => &self.limit_exceeded,
                Rejection::NoRegion | Rejection::SessionsTaken => &self.busy,
            },
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
