//! What a server may be told, and what zero means.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use netipc_proto::growth::DEFAULT_REQUEST_CEILING_BYTES;
use netipc_proto::negotiate::or_default;
use netipc_proto::profile::Profiles;

use crate::listener::AccessPolicy;

/// [`ServerConfig::worker_count`] when zero: one for each CPU, at most this many.
pub const DEFAULT_MAX_WORKERS: usize = 8;
/// [`ServerConfig::max_sessions`] when zero.
pub const DEFAULT_MAX_SESSIONS: u32 = 64;
/// [`ServerConfig::max_in_flight_per_session`] when zero.
pub const DEFAULT_MAX_IN_FLIGHT: u32 = 16;
/// How long a client may take to make room for one answer before its session ends.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long stopping waits for handlers that run.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long draining waits for answers.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Configuration of a managed server. Zero means the default that is named.
#[derive(Clone, derive_more::Debug, Default)]
pub struct ServerConfig {
    /// Profiles that sessions may use; empty: the baseline alone (spec section 4).
    pub supported_profiles: Profiles,
    /// Those that the server would rather use.
    pub preferred_profiles: Profiles,
    /// The longest request payload that is granted, in bytes; default 1 MiB.
    pub max_request_payload_bytes: u32,
    /// The longest response payload, in bytes: a ceiling, up to which the limit of later sessions
    /// grows (spec sections 4 and 11). Default: the service's,
    /// [`Dispatch::response_ceiling_bytes`](super::Dispatch::response_ceiling_bytes).
    pub max_response_payload_bytes: u32,
    /// What clients must know.
    #[debug("(secret)")]
    pub auth_token: u64,
    /// Threads that run handlers, and the most handlers that run at a time; default: one for each CPU,
    /// at most [`DEFAULT_MAX_WORKERS`]. Sessions over shared memory have a thread each beside them.
    /// Servers of a [`Host`](super::Host) share its workers, and this is not looked at.
    pub worker_count: usize,
    /// Sessions at a time; default [`DEFAULT_MAX_SESSIONS`]. Clients above it are told BUSY.
    pub max_sessions: u32,
    /// Requests of one session that are worked on at a time; default [`DEFAULT_MAX_IN_FLIGHT`].
    /// More of them stay unread until there is room.
    pub max_in_flight_per_session: u32,
    /// Who may connect: mode and group of the endpoint, and uids of peers. By default this
    /// process's user and root.
    pub access: AccessPolicy,
}

impl ServerConfig {
    pub(super) fn workers(&self) -> usize {
        worker_count(self.worker_count)
    }

    pub(super) const fn sessions(&self) -> u32 {
        or_default(self.max_sessions, DEFAULT_MAX_SESSIONS)
    }

    pub(super) const fn in_flight(&self) -> u32 {
        or_default(self.max_in_flight_per_session, DEFAULT_MAX_IN_FLIGHT)
    }

    pub(super) const fn request_bytes(&self) -> u32 {
        or_default(self.max_request_payload_bytes, DEFAULT_REQUEST_CEILING_BYTES)
    }

    pub(super) const fn response_ceiling(&self, of_service: u32) -> u32 {
        or_default(self.max_response_payload_bytes, of_service)
    }
}

/// Zero means one for each CPU, at most [`DEFAULT_MAX_WORKERS`].
pub(super) fn worker_count(configured: usize) -> usize {
    if configured != 0 {
        return configured;
    }
    available_parallelism().map_or(1, NonZeroUsize::get).min(DEFAULT_MAX_WORKERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_the_named_default_and_anything_else_is_itself() {
        let zero = ServerConfig::default();
        assert!((1..=DEFAULT_MAX_WORKERS).contains(&zero.workers()));
        assert_eq!(zero.sessions(), 64);
        assert_eq!(zero.in_flight(), 16);
        assert_eq!(zero.request_bytes(), 1 << 20);
        assert_eq!(zero.response_ceiling(16 << 20), 16 << 20);
        let set = ServerConfig {
            worker_count: 100,
            max_sessions: 1,
            max_in_flight_per_session: 2,
            max_request_payload_bytes: 3,
            max_response_payload_bytes: 4,
            ..ServerConfig::default()
        };
        assert_eq!(set.workers(), 100);
        assert_eq!((set.sessions(), set.in_flight(), set.request_bytes()), (1, 2, 3));
        assert_eq!(set.response_ceiling(16 << 20), 4);
    }
}
