//! How a client is configured, and what becomes of the zeros.

use std::time::Duration;

use netipc_proto::growth::{
    DEFAULT_REQUEST_CEILING_BYTES, DEFAULT_RESPONSE_CEILING_BYTES, DEFAULT_SNAPSHOT_CEILING_BYTES,
    PROPOSED_BATCH_ITEMS,
};
use netipc_proto::negotiate::or_default;

use super::lookup::LookupCeilings;
use crate::Profiles;

/// How long a logical call may take, its reconnects included, unless configured.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long connecting, with its handshake, may take.
pub const CONNECT_TIMEOUT: Duration = crate::DEFAULT_HANDSHAKE_TIMEOUT;
/// Keys of one lookup, unless configured.
pub const DEFAULT_LOOKUP_ITEMS: u32 = 65_536;
/// Sub-requests of one lookup, unless configured.
pub const DEFAULT_LOOKUP_SUB_CALLS: u32 = 4_096;
/// Response payload of one lookup, in bytes, unless configured.
pub const DEFAULT_LOOKUP_RESPONSE_BYTES: u64 = 64 << 20;

/// What a client is made with. Zero means the default, everywhere.
#[derive(Clone, Copy, derive_more::Debug, Default, PartialEq, Eq)]
pub struct ClientConfig {
    /// Profiles that may be used; by default the baseline alone (spec section 4).
    pub supported_profiles: Profiles,
    /// Those of them that are used rather than others.
    pub preferred_profiles: Profiles,
    /// The longest request that this client may send, in bytes of payload; by default 1 MiB.
    /// Sessions start lower, and grow for a request that needs it (spec section 11).
    pub max_request_payload_bytes: u32,
    /// The most items of a batch; by default 1,024.
    pub max_request_batch_items: u32,
    /// The longest answer that this client holds, in bytes of payload; by default 1 MiB for calls
    /// and lookups, 16 MiB for snapshots.
    pub max_response_payload_bytes: u32,
    /// A hint of the most items of a batch's answer; by default that of requests. Servers answer
    /// as many as were asked.
    pub max_response_batch_items: u32,
    /// What both ends know (spec section 4); servers compare it, zero included.
    #[debug("(secret)")]
    pub auth_token: u64,
    /// How long a logical call may take, its reconnects included, in milliseconds; by default 30 s.
    pub call_timeout_ms: u64,
    /// The most keys of one lookup; by default 65,536.
    pub max_lookup_items: u32,
    /// The most sub-requests that one lookup is split into; by default 4,096.
    pub max_lookup_sub_calls: u32,
    /// The most response payload of one lookup, in bytes; by default 64 MiB.
    pub max_lookup_response_bytes: u64,
}

/// What the engine must know of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceInfo {
    /// Its name, for messages.
    pub name: &'static str,
    /// Its method code.
    pub method: u16,
    /// Whether requests may go in batches (spec section 2).
    pub batchable: bool,
    /// The longest answer, in bytes of payload, unless configured.
    pub response_ceiling_bytes: u32,
}

impl ServiceInfo {
    /// A service of the shapes `call` and `lookup`.
    #[must_use]
    pub const fn new(name: &'static str, method: u16, batchable: bool) -> Self {
        Self { name, method, batchable, response_ceiling_bytes: DEFAULT_RESPONSE_CEILING_BYTES }
    }

    /// A service of the shape `snapshot`.
    #[must_use]
    pub const fn snapshot(name: &'static str, method: u16) -> Self {
        let response_ceiling_bytes = DEFAULT_SNAPSHOT_CEILING_BYTES;
        Self { name, method, batchable: false, response_ceiling_bytes }
    }
}

impl ClientConfig {
    pub(super) const fn request_ceiling_bytes(&self) -> u32 {
        or_default(self.max_request_payload_bytes, DEFAULT_REQUEST_CEILING_BYTES)
    }

    pub(super) const fn batch_items(&self) -> u32 {
        or_default(self.max_request_batch_items, PROPOSED_BATCH_ITEMS)
    }

    pub(super) const fn response_batch_items(&self) -> u32 {
        or_default(self.max_response_batch_items, self.batch_items())
    }

    pub(super) const fn response_ceiling_bytes(&self, service: &ServiceInfo) -> u32 {
        or_default(self.max_response_payload_bytes, service.response_ceiling_bytes)
    }

    pub(super) const fn call_timeout(&self) -> Duration {
        match self.call_timeout_ms {
            0 => DEFAULT_CALL_TIMEOUT,
            timeout_ms => Duration::from_millis(timeout_ms),
        }
    }

    pub(super) const fn lookup_ceilings(&self) -> LookupCeilings {
        LookupCeilings {
            items: or_default(self.max_lookup_items, DEFAULT_LOOKUP_ITEMS),
            sub_calls: or_default(self.max_lookup_sub_calls, DEFAULT_LOOKUP_SUB_CALLS),
            response_bytes: match self.max_lookup_response_bytes {
                0 => DEFAULT_LOOKUP_RESPONSE_BYTES,
                bytes => bytes,
            },
        }
    }
}
