//! How an endpoint is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use netipc_proto::growth::server_limit_after;
use netipc_sys::SpinLimit;

use crate::Profiles;

/// How long a client may take for its HELLO unless configured.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Clients that may be in their handshake at one time unless configured.
pub const DEFAULT_MAX_PENDING_HANDSHAKES: usize = 512;

/// Bytes of shared memory that all sessions of a listener may have together unless configured.
pub const DEFAULT_MAX_REGION_BYTES: u64 = 64 << 20;

/// Who may use an endpoint, beside those who know its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPolicy {
    /// Permission bits of the socket, exactly, whatever the umask. Default: 0600.
    pub mode: u32,
    /// Group of the socket, by id; `None` leaves what the system gives.
    pub group: Option<u32>,
    /// The users that are admitted, by uid. `None`: this process's own and root.
    pub uids: Option<Vec<u32>>,
}

impl Default for AccessPolicy {
    fn default() -> Self {
        Self { mode: netipc_sys::DEFAULT_MODE, group: None, uids: None }
    }
}

/// How an endpoint is served. Zero means the named default everywhere.
#[derive(Clone, derive_more::Debug, Default, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Who may use it.
    pub access: AccessPolicy,
    /// Profiles that may be used; zero is the baseline alone.
    pub supported_profiles: Profiles,
    /// Those of them that this server would rather use.
    pub preferred_profiles: Profiles,
    /// The longest request payload granted, in bytes. Zero: 1024.
    pub max_request_payload_bytes: u32,
    /// The limit of response payloads that sessions get at first, in bytes. Zero: 1024.
    pub response_payload_bytes: u32,
    /// What both ends know.
    #[debug("(secret)")]
    pub auth_token: u64,
    /// The longest packet, in bytes; zero is what the socket carries, and never more than that.
    pub packet_size: u32,
    /// Clients that may wait to be accepted. Zero: 512.
    pub backlog: u16,
    /// How long a client may take for its HELLO. Zero: [`DEFAULT_HANDSHAKE_TIMEOUT`].
    pub handshake_timeout: Duration,
    /// Clients that may be in their handshake at one time; beyond it the oldest gives way. Zero:
    /// [`DEFAULT_MAX_PENDING_HANDSHAKES`].
    pub max_pending_handshakes: usize,
    /// Bytes of shared memory that all sessions may have together; beyond it they get the baseline.
    /// Zero: [`DEFAULT_MAX_REGION_BYTES`].
    pub max_region_bytes: u64,
    /// How long a wait for a message may look for it before it sleeps, at most. Zero is never, here:
    /// the default is [`DEFAULT_SPIN_LIMIT`](crate::DEFAULT_SPIN_LIMIT).
    pub spin_limit: SpinLimit,
}

impl ListenerConfig {
    pub(super) const fn handshake_timeout(&self) -> Duration {
        if self.handshake_timeout.is_zero() {
            DEFAULT_HANDSHAKE_TIMEOUT
        } else {
            self.handshake_timeout
        }
    }

    pub(super) const fn max_region_bytes(&self) -> u64 {
        if self.max_region_bytes == 0 { DEFAULT_MAX_REGION_BYTES } else { self.max_region_bytes }
    }

    pub(super) const fn max_pending(&self) -> usize {
        if self.max_pending_handshakes == 0 {
            DEFAULT_MAX_PENDING_HANDSHAKES
        } else {
            self.max_pending_handshakes
        }
    }
}

/// The limit of responses that later sessions get, shared with those who grow it. Clones are the
/// same limit.
#[derive(Clone, Debug)]
pub struct ResponseLimit(Arc<AtomicU32>);

impl ResponseLimit {
    pub(super) fn new(bytes: u32) -> Self {
        Self(Arc::new(AtomicU32::new(bytes)))
    }

    /// In bytes of payload.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// After LIMIT_EXCEEDED was answered on a session with `session_limit`, doubles it for later
    /// sessions, up to `ceiling` (spec section 11). Many sessions that fail at one limit double it
    /// once. All in bytes of payload.
    pub fn grow(&self, session_limit: u32, ceiling: u32) {
        let grown = |current| Some(server_limit_after(current, session_limit, ceiling));
        let _previous = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
    }
}
