//! What a cache tells of itself.

use std::time::Duration;

use crate::client::ClientStatus;

/// What a cache holds, how old that is, and what its refreshes met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// Whether it was ever filled.
    pub filled: bool,
    /// The number of the provider's state that it holds; 0 before it was filled.
    pub generation: u64,
    /// Items that it holds.
    pub items: usize,
    /// Bytes of the payload that it holds.
    pub payload_bytes: usize,
    /// How long ago it was filled; `None` before.
    pub age: Option<Duration>,
    /// Refreshes that filled it.
    pub refreshes: u64,
    /// Refreshes that failed: what it held before was kept.
    pub failures: u64,
    /// Why the last refresh failed; `None` when it did not.
    pub last_error: Option<String>,
    /// Its client.
    pub client: ClientStatus,
}
