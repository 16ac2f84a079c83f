//! How limits grow: of responses on both sides, of requests on the client's (spec section 11).
//!
//! A session keeps its limits for life, so every growth is a reconnect. Reconnecting, and the time
//! that it may take, are the caller's.

use thiserror::Error;

use crate::header::Limits;
use crate::negotiate::DEFAULT_PAYLOAD_BYTES;

/// Where limits of typed services start when the ceiling is not lower, in bytes of payload.
pub const STARTING_PAYLOAD_BYTES: u32 = 65_536;
/// Batch items that typed clients propose.
pub const PROPOSED_BATCH_ITEMS: u32 = 1024;
/// What a typed client proposes for requests once its usual proposal was refused, in bytes.
pub const FALLBACK_REQUEST_BYTES: u32 = DEFAULT_PAYLOAD_BYTES;
/// Ceiling of requests, in bytes, unless configured.
pub const DEFAULT_REQUEST_CEILING_BYTES: u32 = 1 << 20;
/// Ceiling of responses of calls and lookups, in bytes, unless configured.
pub const DEFAULT_RESPONSE_CEILING_BYTES: u32 = 1 << 20;
/// Ceiling of responses of snapshots, in bytes, unless configured.
pub const DEFAULT_SNAPSHOT_CEILING_BYTES: u32 = 16 << 20;
/// How often one logical call may grow.
pub const MAX_GROWTHS_PER_CALL: u32 = 8;
/// How often one logical call may grow without the agreed limit having grown since the last time.
pub const MAX_GROWTHS_IN_VAIN: u32 = 2;

/// Where a limit starts that may grow up to `ceiling`, in bytes.
#[must_use]
pub const fn starting_limit(ceiling: u32) -> u32 {
    if ceiling < STARTING_PAYLOAD_BYTES { ceiling } else { STARTING_PAYLOAD_BYTES }
}

/// Twice `limit`, up to `ceiling`, in bytes.
#[must_use]
pub const fn doubled(limit: u32, ceiling: u32) -> u32 {
    let twice = limit.saturating_mul(2);
    if twice < ceiling { twice } else { ceiling }
}

/// The response limit that a server gives to later sessions, after it answered LIMIT_EXCEEDED on a
/// session with `session_limit`. It goes by the session that was too small, so that many sessions
/// that fail at the same limit double it once.
#[must_use]
pub const fn server_limit_after(current: u32, session_limit: u32, ceiling: u32) -> u32 {
    let grown = doubled(session_limit, ceiling);
    if grown > current { grown } else { current }
}

/// A client's hint of the responses that it would like. It outlives calls: a later call goes on
/// from where the last one came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHint {
    bytes: u32,
    ceiling: u32,
}

impl ResponseHint {
    /// The hint of a client that holds at most `ceiling` bytes of response payload.
    #[must_use]
    pub const fn new(ceiling: u32) -> Self {
        Self { bytes: starting_limit(ceiling), ceiling }
    }

    /// What to propose, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.bytes
    }

    /// The client's own ceiling, in bytes.
    #[must_use]
    pub const fn ceiling(&self) -> u32 {
        self.ceiling
    }
}

/// What growth one logical call has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallGrowth {
    growths: u32,
    in_vain: u32,
    largest_agreed: u32,
}

/// Why a call does not grow any more. The call fails with the answer's LIMIT_EXCEEDED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GrowthEnd {
    /// The answer is above this client's own ceiling.
    #[error("the answer is above this client's ceiling of {ceiling} bytes: raise it")]
    Ceiling {
        /// The ceiling, in bytes.
        ceiling: u32,
    },
    /// The server does not grow its limit.
    #[error("the answer does not fit, and the server stays at {agreed} bytes")]
    InVain {
        /// The agreed limit, in bytes.
        agreed: u32,
    },
    /// Enough for one call. A later one goes on from here.
    #[error("the answer does not fit after {MAX_GROWTHS_PER_CALL} reconnects with larger limits")]
    Often,
}

impl CallGrowth {
    /// Decides after LIMIT_EXCEEDED to a request that was within the request limit, on a session
    /// that agreed on responses of `agreed` bytes. `Ok` means: the hint has doubled; reconnect and
    /// send the request again.
    ///
    /// # Errors
    /// The call fails, for the reason given.
    pub fn limit_exceeded(
        &mut self,
        hint: &mut ResponseHint,
        agreed: u32,
    ) -> Result<(), GrowthEnd> {
        if agreed >= hint.ceiling {
            return Err(GrowthEnd::Ceiling { ceiling: hint.ceiling });
        }
        if self.growths == MAX_GROWTHS_PER_CALL {
            return Err(GrowthEnd::Often);
        }
        if agreed > self.largest_agreed {
            self.largest_agreed = agreed;
            self.in_vain = 0;
        }
        if self.in_vain == MAX_GROWTHS_IN_VAIN {
            return Err(GrowthEnd::InVain { agreed });
        }
        // In vain until a later session shows that it was not.
        self.in_vain += 1;
        self.growths += 1;
        hint.bytes = doubled(hint.bytes, hint.ceiling);
        Ok(())
    }

    /// Reconnects of this call for growth, for its status.
    #[must_use]
    pub const fn growths(&self) -> u32 {
        self.growths
    }
}

/// What a client proposes for its requests to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestProposals {
    ceiling: u32,
    batch_items: u32,
    /// What is proposed when nothing special is needed: the last that was accepted.
    usual: u32,
    /// What one request needs, and no session has had yet.
    larger: Option<u32>,
}

/// One request is longer than this client may send: the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the request has {needed} bytes, above this client's ceiling of {ceiling}")]
pub struct AboveRequestCeiling {
    /// What the request needs, in bytes.
    pub needed: u32,
    /// The ceiling, in bytes.
    pub ceiling: u32,
}

/// What to do after a server refused a proposal with LIMIT_EXCEEDED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRefusal {
    /// Connect again at once: the proposal is smaller now.
    ProposeAgain,
    /// The request that needed more than usual fails as too large. Later connections propose what
    /// was accepted before.
    RequestTooLarge,
    /// The server takes not even the smallest proposal.
    GiveUp,
}

impl RequestProposals {
    /// What to propose to a server that nothing is known of. Neither argument is zero; `ceiling`
    /// is in bytes ([`DEFAULT_REQUEST_CEILING_BYTES`]), `batch_items` usually
    /// [`PROPOSED_BATCH_ITEMS`].
    #[must_use]
    pub const fn new(ceiling: u32, batch_items: u32) -> Self {
        Self { ceiling, batch_items, usual: starting_limit(ceiling), larger: None }
    }

    /// The limits for the next HELLO.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let payload_bytes = self.larger.unwrap_or(self.usual);
        Limits { payload_bytes, batch_items: self.batch_items }
    }

    /// A server has accepted [`RequestProposals::limits`]: they are the usual ones from now on.
    pub fn accepted(&mut self) {
        self.usual = self.limits().payload_bytes;
        self.larger = None;
    }

    /// A server has refused [`RequestProposals::limits`] with LIMIT_EXCEEDED. That it refused the
    /// usual ones is remembered.
    pub fn refused(&mut self) -> AfterRefusal {
        if self.larger.take().is_some() {
            return AfterRefusal::RequestTooLarge;
        }
        if self.usual > FALLBACK_REQUEST_BYTES {
            self.usual = FALLBACK_REQUEST_BYTES;
            return AfterRefusal::ProposeAgain;
        }
        AfterRefusal::GiveUp
    }

    /// One request, or one key, needs more than the session has: reconnect once, and propose just
    /// that.
    ///
    /// # Errors
    /// The request is above the client's own ceiling, and fails without any connection.
    pub fn need(&mut self, needed: u32) -> Result<(), AboveRequestCeiling> {
        if needed > self.ceiling {
            return Err(AboveRequestCeiling { needed, ceiling: self.ceiling });
        }
        self.larger = Some(needed);
        Ok(())
    }

    /// The reconnect for a larger request met something else than an answer (no endpoint, a
    /// deadline): later connections propose what was accepted before.
    pub fn forget_need(&mut self) {
        self.larger = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_low_and_doubles_to_its_ceiling() {
        assert_eq!(starting_limit(1000), 1000);
        assert_eq!(starting_limit(1 << 20), 65_536);
        assert_eq!(doubled(65_536, 1 << 20), 131_072);
        assert_eq!(doubled(65_536, 100_000), 100_000);
        assert_eq!(doubled(u32::MAX, u32::MAX), u32::MAX);
        // Two sessions that fail at the same limit double it once.
        let once = server_limit_after(65_536, 65_536, 1 << 20);
        assert_eq!(server_limit_after(once, 65_536, 1 << 20), 131_072);
        // A lower session never shrinks it.
        assert_eq!(server_limit_after(1 << 19, 65_536, 1 << 20), 1 << 19);
    }

    #[test]
    fn a_call_grows_with_its_server_up_to_its_ceiling() {
        let ceiling = 1 << 20;
        let mut hint = ResponseHint::new(ceiling);
        let mut call = CallGrowth::default();
        let mut agreed = 65_536;
        while call.limit_exceeded(&mut hint, agreed).is_ok() {
            agreed = doubled(agreed, ceiling);
            assert_eq!(hint.bytes(), agreed);
        }
        assert_eq!((agreed, call.growths()), (ceiling, 4));
        let end = call.limit_exceeded(&mut hint, agreed);
        assert_eq!(end, Err(GrowthEnd::Ceiling { ceiling }));
    }

    #[test]
    fn a_server_that_shows_its_growth_one_connection_late_is_waited_for() {
        let mut hint = ResponseHint::new(1 << 20);
        let mut call = CallGrowth::default();
        let late = [65_536, 65_536, 131_072, 131_072, 262_144, 262_144];
        for agreed in late {
            assert_eq!(call.limit_exceeded(&mut hint, agreed), Ok(()), "{agreed}");
        }
    }

    #[test]
    fn a_server_that_does_not_grow_is_asked_twice() {
        let mut hint = ResponseHint::new(1 << 20);
        let mut call = CallGrowth::default();
        assert_eq!(call.limit_exceeded(&mut hint, 65_536), Ok(()));
        assert_eq!(call.limit_exceeded(&mut hint, 65_536), Ok(()));
        let end = Err(GrowthEnd::InVain { agreed: 65_536 });
        assert_eq!(call.limit_exceeded(&mut hint, 65_536), end);
        assert_eq!(call.growths(), 2);
    }

    #[test]
    fn one_call_grows_eight_times_and_the_next_goes_on() {
        let mut hint = ResponseHint::new(u32::MAX);
        let mut call = CallGrowth::default();
        let mut agreed = 1024;
        for _ in 0..8 {
            assert_eq!(call.limit_exceeded(&mut hint, agreed), Ok(()));
            agreed *= 2;
        }
        assert_eq!(call.limit_exceeded(&mut hint, agreed), Err(GrowthEnd::Often));
        assert_eq!(hint.bytes(), 65_536 << 8);
        assert_eq!(CallGrowth::default().limit_exceeded(&mut hint, agreed), Ok(()));
        assert_eq!(hint.bytes(), 65_536 << 9);
    }

    #[test]
    fn a_refused_proposal_falls_to_1024_at_once_and_is_remembered() {
        let mut proposals = RequestProposals::new(1 << 20, 1024);
        assert_eq!(proposals.limits(), Limits { payload_bytes: 65_536, batch_items: 1024 });
        assert_eq!(proposals.refused(), AfterRefusal::ProposeAgain);
        assert_eq!(proposals.limits(), Limits { payload_bytes: 1024, batch_items: 1024 });
        proposals.accepted();
        assert_eq!(proposals.limits().payload_bytes, 1024);
        assert_eq!(proposals.refused(), AfterRefusal::GiveUp);
        assert_eq!(proposals.limits().payload_bytes, 1024);
    }

    #[test]
    fn a_larger_request_proposes_just_that_and_goes_back_when_refused() {
        let mut proposals = RequestProposals::new(1 << 20, 1024);
        proposals.accepted();
        assert_eq!(proposals.need(200_000), Ok(()));
        assert_eq!(proposals.limits().payload_bytes, 200_000);
        assert_eq!(proposals.refused(), AfterRefusal::RequestTooLarge);
        assert_eq!(proposals.limits().payload_bytes, 65_536);

        assert_eq!(proposals.need(1 << 20), Ok(()));
        proposals.accepted();
        assert_eq!(proposals.limits().payload_bytes, 1 << 20);

        let error = AboveRequestCeiling { needed: (1 << 20) + 1, ceiling: 1 << 20 };
        assert_eq!(proposals.need((1 << 20) + 1), Err(error));
        assert_eq!(proposals.limits().payload_bytes, 1 << 20);
    }

    #[test]
    fn a_need_that_nobody_answered_is_forgotten() {
        let mut proposals = RequestProposals::new(1 << 20, 1024);
        assert_eq!(proposals.need(200_000), Ok(()));
        proposals.forget_need();
        assert_eq!(proposals.limits().payload_bytes, 65_536);
    }

    #[test]
    fn a_low_ceiling_is_never_exceeded() {
        let mut proposals = RequestProposals::new(500, 1);
        assert_eq!(proposals.limits().payload_bytes, 500);
        assert_eq!(proposals.refused(), AfterRefusal::GiveUp);
    }
}
