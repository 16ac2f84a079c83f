//! When a client tries to connect again, and what state it shows meanwhile (spec section 11).
//!
//! ```text
//!   what was met ──▶ Retry::met ──▶ ClientState, and from when on a refresh tries again
//! ```
//!
//! Time and randomness are arguments: milliseconds of any clock that does not go back, and any
//! number that others cannot guess. Nobody waits here, and nothing connects by itself: a refresh,
//! or the recovery of a call, asks [`Retry::may_try`].

use crate::negotiate::Refusal;
use crate::status::Status;

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// No session: never tried, or refused for a passing reason.
    Disconnected,
    /// A connection or handshake is under way.
    Connecting,
    /// A session is there.
    Ready,
    /// Nobody serves this endpoint.
    NotFound,
    /// The server does not admit this user or token.
    AuthFailed,
    /// The peers have no version, profile or method in common.
    Incompatible,
    /// A session was there and ended by death, violation, timeout or abort.
    Broken,
}

impl ClientState {
    /// What to call it in status and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::NotFound => "not found",
            Self::AuthFailed => "authentication failed",
            Self::Incompatible => "incompatible",
            Self::Broken => "broken",
        }
    }
}

/// What an attempt to connect met, or how a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Met {
    /// No endpoint at the name.
    NoEndpoint,
    /// An endpoint that nobody serves, or that cannot be connected to now.
    Unreachable,
    /// A close, or silence until the deadline, in place of HELLO_ACK.
    NoAnswer,
    /// A HELLO_ACK that breaks the contract.
    BadAnswer,
    /// A refusal with this status.
    Rejected(Status),
    /// The region of the session was gone before it was attached, and the socket closed.
    RegionVanished,
    /// The peer left before the first answer of its session.
    ClosedEarly,
    /// A READY session ended in any other way.
    SessionLost,
}

impl From<&Refusal> for Met {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Rejected(status) => Self::Rejected(*status),
            Refusal::Malformed(_) | Refusal::Contradiction(_) => Self::BadAnswer,
        }
    }
}

/// When the next refresh tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NextTry {
    /// Whenever it is called.
    AtOnce,
    /// The server is full: after [`Backoff::BUSY`].
    Busy,
    /// The cause will hardly pass: after [`Backoff::RARELY`].
    Rarely,
}

/// A delay that doubles with every attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay, in milliseconds.
    pub first_ms: u64,
    /// The longest delay before jitter, in milliseconds.
    pub cap_ms: u64,
    /// How far a delay may be off in either direction, in percent.
    pub jitter_percent: u64,
}

impl Backoff {
    /// For servers that are full: 100 ms doubling to 5 s, ± 25 %.
    pub const BUSY: Self = Self { first_ms: 100, cap_ms: 5_000, jitter_percent: 25 };
    /// For causes that hardly pass: 10 s doubling to 5 min.
    pub const RARELY: Self = Self { first_ms: 10_000, cap_ms: 300_000, jitter_percent: 0 };

    /// The delay after `earlier` attempts of the same kind, in milliseconds.
    #[must_use]
    pub const fn delay_ms(&self, earlier: u32, random: u64) -> u64 {
        let doublings = if earlier < MAX_DOUBLINGS { earlier } else { MAX_DOUBLINGS };
        let doubled = self.first_ms.saturating_mul(1 << doublings);
        let delay = if doubled < self.cap_ms { doubled } else { self.cap_ms };
        let jitter = delay * self.jitter_percent / 100;
        delay - jitter + random % (2 * jitter + 1)
    }
}

/// The retries of one client, over all its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    busy: u32,
    rarely: u32,
    closed_early: u32,
    retry_at_ms: Option<u64>,
}

/// What a client shows after [`Retry::met`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its state.
    pub state: ClientState,
    /// When the next refresh tries; `Busy` is the reason to show.
    pub next_try: NextTry,
    /// From when on, in the caller's milliseconds; `None` for at once.
    pub retry_at_ms: Option<u64>,
}

impl Retry {
    /// Records what was met at `now_ms`, and decides.
    pub fn met(&mut self, met: Met, now_ms: u64, random: u64) -> Verdict {
        self.closed_early = match met {
            Met::ClosedEarly => self.closed_early.saturating_add(1),
            _ => 0,
        };
        let (state, next_try) = classify(met, self.closed_early);
        let delay_ms = match next_try {
            NextTry::AtOnce => None,
            NextTry::Busy => Some(Backoff::BUSY.delay_ms(count(&mut self.busy), random)),
            NextTry::Rarely => Some(Backoff::RARELY.delay_ms(count(&mut self.rarely), random)),
        };
        self.retry_at_ms = delay_ms.map(|delay_ms| now_ms.saturating_add(delay_ms));
        Verdict { state, next_try, retry_at_ms: self.retry_at_ms }
    }

    /// A session gave its first answer: all is well, delays start over. (A handshake alone proves
    /// nothing: a full server in the field accepts and then closes.)
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// Whether a refresh at `now_ms` may connect.
    #[must_use]
    pub fn may_try(&self, now_ms: u64) -> bool {
        self.retry_at_ms.is_none_or(|at_ms| now_ms >= at_ms)
    }

    /// From when on a refresh tries, in the caller's milliseconds; `None` for at once.
    #[must_use]
    pub const fn retry_at_ms(&self) -> Option<u64> {
        self.retry_at_ms
    }
}

/// The state after what was met, and when the next refresh tries. `closed_early` counts sessions
/// in a row that closed before their first answer, this one included: a second means that the
/// server is full.
#[must_use]
pub const fn classify(met: Met, closed_early: u32) -> (ClientState, NextTry) {
    match met {
        Met::NoEndpoint => (ClientState::NotFound, NextTry::AtOnce),
        Met::Rejected(Status::BUSY) | Met::RegionVanished => {
            (ClientState::Disconnected, NextTry::Busy)
        }
        Met::Rejected(Status::AUTH_FAILED) => (ClientState::AuthFailed, NextTry::Rarely),
        Met::Rejected(Status::UNSUPPORTED | Status::INCOMPATIBLE) => {
            (ClientState::Incompatible, NextTry::Rarely)
        }
        Met::Unreachable | Met::NoAnswer | Met::BadAnswer | Met::Rejected(_) => {
            (ClientState::Disconnected, NextTry::AtOnce)
        }
        Met::ClosedEarly if closed_early >= EARLY_CLOSES_OF_A_FULL_SERVER => {
            (ClientState::Disconnected, NextTry::Busy)
        }
        Met::ClosedEarly | Met::SessionLost => (ClientState::Broken, NextTry::AtOnce),
    }
}

/// How many there were before, and one more from now on.
fn count(attempts: &mut u32) -> u32 {
    let earlier = *attempts;
    *attempts = earlier.saturating_add(1);
    earlier
}

/// Sessions in a row that close before their first answer, when the server has no more to give.
const EARLY_CLOSES_OF_A_FULL_SERVER: u32 = 2;
/// More doublings than any cap needs, fewer than a shift allows.
const MAX_DOUBLINGS: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        use ClientState::{AuthFailed, Broken, Disconnected, Incompatible, NotFound};
        let rows = [
            (Met::NoEndpoint, NotFound, NextTry::AtOnce),
            (Met::Unreachable, Disconnected, NextTry::AtOnce),
            (Met::NoAnswer, Disconnected, NextTry::AtOnce),
            (Met::BadAnswer, Disconnected, NextTry::AtOnce),
            (Met::Rejected(Status::BAD_ENVELOPE), Disconnected, NextTry::AtOnce),
            (Met::Rejected(Status::INTERNAL_ERROR), Disconnected, NextTry::AtOnce),
            (Met::Rejected(Status::LIMIT_EXCEEDED), Disconnected, NextTry::AtOnce),
            (Met::Rejected(Status(0x0200)), Disconnected, NextTry::AtOnce),
            (Met::Rejected(Status::BUSY), Disconnected, NextTry::Busy),
            (Met::RegionVanished, Disconnected, NextTry::Busy),
            (Met::Rejected(Status::AUTH_FAILED), AuthFailed, NextTry::Rarely),
            (Met::Rejected(Status::UNSUPPORTED), Incompatible, NextTry::Rarely),
            (Met::Rejected(Status::INCOMPATIBLE), Incompatible, NextTry::Rarely),
            (Met::SessionLost, Broken, NextTry::AtOnce),
        ];
        for (met, state, next_try) in rows {
            let verdict = Retry::default().met(met, 1000, 0);
            assert_eq!((verdict.state, verdict.next_try), (state, next_try), "{met:?}");
            assert_eq!(verdict.retry_at_ms.is_none(), next_try == NextTry::AtOnce);
        }
    }

    #[test]
    fn busy_doubles_from_100_ms_to_5_s_within_a_quarter() {
        let cases = [(0, 100), (1, 200), (5, 3200), (6, 5000), (40, 5000), (u32::MAX, 5000)];
        for (earlier, middle) in cases {
            let (low, high) = (middle * 3 / 4, middle * 5 / 4);
            assert_eq!(Backoff::BUSY.delay_ms(earlier, 0), low);
            assert_eq!(Backoff::BUSY.delay_ms(earlier, high - low), high);
            assert_eq!(Backoff::BUSY.delay_ms(earlier, high - low + 1), low);
            assert!((low..=high).contains(&Backoff::BUSY.delay_ms(earlier, u64::MAX)));
        }
    }

    #[test]
    fn rarely_doubles_from_10_s_to_5_min() {
        let delays = [0, 1, 4, 5, 100].map(|earlier| Backoff::RARELY.delay_ms(earlier, 77));
        assert_eq!(delays, [10_000, 20_000, 160_000, 300_000, 300_000]);
    }

    #[test]
    fn a_busy_server_is_left_alone_until_its_time() {
        let mut retry = Retry::default();
        assert!(retry.may_try(0));
        let busy = Met::Rejected(Status::BUSY);
        assert_eq!(retry.met(busy, 1000, 25).retry_at_ms, Some(1100));
        assert!(!retry.may_try(1099));
        assert!(retry.may_try(1100));
        assert_eq!(retry.met(busy, 1100, 50).retry_at_ms, Some(1300));
        // A refusal of another kind in between does not start the delays over; an answer does.
        assert_eq!(retry.met(Met::NoEndpoint, 1300, 0).retry_at_ms, None);
        assert_eq!(retry.met(busy, 1300, 100).retry_at_ms, Some(1700));
        retry.answered();
        assert!(retry.may_try(1301));
        assert_eq!(retry.met(busy, 2000, 25).retry_at_ms, Some(2100));
    }

    #[test]
    fn the_second_early_close_in_a_row_means_full() {
        let mut retry = Retry::default();
        assert_eq!(retry.met(Met::ClosedEarly, 0, 25).state, ClientState::Broken);
        let verdict = retry.met(Met::ClosedEarly, 0, 25);
        assert_eq!((verdict.state, verdict.next_try), (ClientState::Disconnected, NextTry::Busy));
        assert_eq!(verdict.retry_at_ms, Some(100));
        // Still full at the next attempt: the delay doubles.
        assert_eq!(retry.met(Met::ClosedEarly, 100, 50).retry_at_ms, Some(300));
        // Anything else in between breaks the row.
        retry.met(Met::NoEndpoint, 300, 0);
        assert_eq!(retry.met(Met::ClosedEarly, 300, 0).state, ClientState::Broken);
        retry.answered();
        assert_eq!(retry.met(Met::ClosedEarly, 400, 0).state, ClientState::Broken);
    }

    #[test]
    fn the_end_of_the_clock_does_not_wrap() {
        let mut retry = Retry::default();
        let verdict = retry.met(Met::Rejected(Status::BUSY), u64::MAX, 0);
        assert_eq!(verdict.retry_at_ms, Some(u64::MAX));
    }
}
