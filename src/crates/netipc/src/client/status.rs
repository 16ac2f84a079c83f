//! What a client tells of itself: everything that a supporter needs.

use std::time::Duration;

use netipc_proto::retry::{ClientState, NextTry};

use super::error::{CallError, CallErrorKind};
use super::shared_memory::WhyNot;
use crate::{ConnectError, PeerIdentity, Profile, Profiles, Terms};

/// What a client is, why, and what it has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientStatus {
    /// What it is.
    pub state: ClientState,
    /// Why it has no session, or what its last failed call met. `None` when nothing went wrong
    /// since the session was made.
    pub reason: Option<String>,
    /// Whether the next refresh tries at once, later because the server is full, or rarely.
    pub next_try: NextTry,
    /// How long a refresh still refrains from connecting; `None` when it tries at once.
    pub retry_in: Option<Duration>,
    /// The session; `None` when there is none.
    pub session: Option<SessionStatus>,
    /// What was counted since the client was made.
    pub counters: ClientCounters,
}

/// What a session goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The server's number for it.
    pub id: u64,
    /// The agreed profile, limits and packet size.
    pub terms: Terms,
    /// Why the profile is no better one.
    pub profile_reason: String,
    /// What the server could have used.
    pub server_supported: Profiles,
    /// The server's process and user.
    pub peer: PeerIdentity,
}

/// What a client has counted, none of which ever goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounters {
    /// Sessions made.
    pub connects: u64,
    /// Those of them made inside a call: after a loss, or for a larger limit.
    pub reconnects: u64,
    /// Attempts that gave no session.
    pub failed_connects: u64,
    /// Logical calls begun on a ready client.
    pub calls: u64,
    /// Requests sent once more because their session was lost (spec section 11).
    pub resends: u64,
    /// Requests sent once more for a larger response limit.
    pub growths: u64,
    /// Sessions made for a larger request.
    pub larger_requests: u64,
    /// Sub-requests that lookups were split into.
    pub sub_calls: u64,
    /// Lookups started again because the provider's generation changed.
    pub restarted_lookups: u64,
    /// Bytes of messages sent, headers included, chunk headers not.
    pub sent_bytes: u64,
    /// Bytes of messages received, headers included, chunk headers not.
    pub received_bytes: u64,
    /// Failed calls, by kind.
    pub errors: ErrorCounters,
}

/// Failed calls, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounters {
    /// The client was not ready.
    pub not_ready: u64,
    /// The caller asked for what cannot be.
    pub caller: u64,
    /// Time was up.
    pub timed_out: u64,
    /// This side aborted.
    pub aborted: u64,
    /// The server left, and could not be reached again, or was full.
    pub lost: u64,
    /// The server broke the contract.
    pub violations: u64,
    /// The server answered with a failure.
    pub statuses: u64,
    /// A request or an answer was above a limit that does not grow.
    pub limits: u64,
    /// The operating system refused.
    pub system: u64,
}

impl ErrorCounters {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.not_ready
            + self.caller
            + self.timed_out
            + self.aborted
            + self.lost
            + self.violations
            + self.statuses
            + self.limits
            + self.system
    }

    pub(super) fn count(&mut self, kind: CallErrorKind) {
        let counter = match kind {
            CallErrorKind::NotReady => &mut self.not_ready,
            CallErrorKind::Caller => &mut self.caller,
            CallErrorKind::TimedOut => &mut self.timed_out,
            CallErrorKind::Aborted => &mut self.aborted,
            CallErrorKind::Lost => &mut self.lost,
            CallErrorKind::Violation => &mut self.violations,
            CallErrorKind::Status => &mut self.statuses,
            CallErrorKind::Limit => &mut self.limits,
            CallErrorKind::System => &mut self.system,
        };
        *counter += 1;
    }
}

/// What went wrong last; put into words only when somebody asks.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    Connect(ConnectError),
    Call(CallError),
    Left,
    Closed,
}

impl Reason {
    pub(super) fn in_words(&self, next_try: NextTry) -> String {
        let said = match self {
            Self::Connect(error) => error.to_string(),
            Self::Call(error) => error.to_string(),
            Self::Left => "the server closed the session".to_owned(),
            Self::Closed => "closed by this side".to_owned(),
        };
        match next_try {
            NextTry::Busy => format!("busy: {said}"),
            NextTry::AtOnce | NextTry::Rarely => said,
        }
    }
}

/// Why a session has the profile that it has, and no better one.
pub(super) fn profile_reason(
    selected: Profile,
    offered: Profiles,
    server: Profiles,
    not_shared: Option<WhyNot>,
) -> String {
    if let (Profile::BASELINE, Some(why)) = (selected, not_shared) {
        return why.to_string();
    }
    let offered = Profiles(offered.0 | Profiles::BASELINE.0);
    let better = |profiles: Profiles| profiles.highest().is_some_and(|p| p.bit() > selected.bit());
    match (better(offered), better(server)) {
        (false, false) => "neither peer offers a better one".to_owned(),
        (false, true) => format!("the server could use {server}, this client offers {offered}"),
        (true, false) => format!("this client offers {offered}, the server can use {server}"),
        (true, true) => format!(
            "this client offers {offered}, the server could use {server}: they share no better \
             one, one of them prefers this, or the server could not make a region"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttachError;

    #[test]
    fn a_profile_is_explained_by_who_lacks_a_better_one() {
        let (baseline, both) = (Profiles::BASELINE, Profiles(0x03));
        let why = |offered, server| profile_reason(Profile::BASELINE, offered, server, None);
        assert!(why(baseline, baseline).contains("neither"));
        assert!(why(Profiles::NONE, baseline).contains("neither"), "the default is the baseline");
        assert!(why(baseline, both).starts_with("the server could use 0x03"));
        assert!(why(both, baseline).starts_with("this client offers 0x03, the server can use"));
        assert!(why(both, both).contains("could not make a region"));
        assert!(profile_reason(Profile::SHM_HYBRID, both, both, None).contains("neither"));
        let failed = AttachError::Denied;
        for (not_shared, words) in [
            (WhyNot::Unusable(failed), failed.to_string()),
            (WhyNot::Fruitless, "ended before their first answer".to_owned()),
        ] {
            let reason = profile_reason(Profile::BASELINE, both, both, Some(not_shared));
            assert!(reason.ends_with(&words), "{reason}");
        }
    }
}
