//! The handshake as pure functions (spec section 4).
//!
//! ```text
//!   client                                          server
//!   Hello ── Hello::message ────────────────▶ negotiate(bytes, &Policy, &Peer)
//!                                               │ Err(Rejection) ─▶ Rejection::message ─┐
//!                                               │ Ok(Agreed)                            │
//!                                               │   a region cannot be made:            │
//!                                               │   Agreed::without_shared_memory       │
//!   check_reply(&Hello, bytes) ◀── Agreed::message(session_id) ◀────────────────────────┘
//! ```
//!
//! Deadlines, sending and receiving, the making of regions and the counting of sessions are the
//! caller's. What a client does after a refusal is [`crate::retry`]'s.

mod client;
mod server;
#[cfg(test)]
mod tests;

use crate::chunk::PacketSize;
use crate::header::Limits;
use crate::profile::Profile;

pub use client::{Accepted, Refusal, ReplyDefect, check_reply};
pub use server::{Agreed, Peer, Policy, Rejection, negotiate};

/// Limit of a payload that a configuration leaves at zero, in bytes.
pub const DEFAULT_PAYLOAD_BYTES: u32 = 1024;
/// Limit of a batch that a configuration leaves at zero, in items.
pub const DEFAULT_BATCH_ITEMS: u32 = 1;

/// What both ends of a session go by for its whole life (spec section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How messages move.
    pub profile: Profile,
    /// Limits of requests.
    pub request: Limits,
    /// Limits of responses.
    pub response: Limits,
    /// The longest packet, in bytes, headers included.
    pub packet_size: PacketSize,
}

/// A configured value, where zero means the default (spec section 4).
#[must_use]
pub const fn or_default(configured: u32, default: u32) -> u32 {
    if configured == 0 { default } else { configured }
}

/// Configured limits, where zero means [`DEFAULT_PAYLOAD_BYTES`] and [`DEFAULT_BATCH_ITEMS`]. (The
/// default profiles are [`crate::profile::Platform::supported`]'s; the default packet size is what
/// the transport can carry.)
#[must_use]
pub const fn limits_or_default(configured: Limits) -> Limits {
    Limits {
        payload_bytes: or_default(configured.payload_bytes, DEFAULT_PAYLOAD_BYTES),
        batch_items: or_default(configured.batch_items, DEFAULT_BATCH_ITEMS),
    }
}
