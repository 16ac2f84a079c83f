//! What becomes of one logical call (spec section 11): when its request is sent again, and what a
//! status means to it. Its growth is [`crate::growth`]'s, the splitting of lookups is not here.

use crate::status::Status;

/// How the session under a call ended before the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The peer left, or the connection broke.
    PeerGone,
    /// The answer, or anything else that came, breaks the contract.
    Violation,
    /// The call's time is up.
    Timeout,
    /// The caller aborted the call.
    Abort,
}

/// At least once: a request is sent again once per logical call, when its session was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resend {
    used: bool,
}

impl Resend {
    /// Whether to reconnect and send the request again, after a READY session was lost before the
    /// answer came. Anything but a peer that left is final for the call, and is reported as what
    /// it is.
    pub fn after(&mut self, loss: Loss) -> bool {
        let again = loss == Loss::PeerGone && !self.used;
        self.used |= again;
        again
    }
}

/// What a call does with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerAction {
    /// Decode the payload.
    Take,
    /// Ask [`crate::growth::CallGrowth`]; when it says no, fail and close the session.
    Grow,
    /// Fail with the status; the session goes on.
    FailAndKeep,
    /// Fail with the status and close the session. It is not sent again.
    FailAndClose,
}

/// What a call does with an answer of this status.
#[must_use]
pub const fn on_answer(status: Status) -> AnswerAction {
    match status {
        Status::OK => AnswerAction::Take,
        Status::LIMIT_EXCEEDED => AnswerAction::Grow,
        _ if status.keeps_session() => AnswerAction::FailAndKeep,
        _ => AnswerAction::FailAndClose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_again_once_and_only_for_a_lost_peer() {
        for loss in [Loss::Violation, Loss::Timeout, Loss::Abort] {
            let mut resend = Resend::default();
            assert!(!resend.after(loss), "{loss:?}");
            assert!(resend.after(Loss::PeerGone));
            assert!(!resend.after(Loss::PeerGone));
        }
    }

    #[test]
    fn every_status_has_its_action() {
        assert_eq!(on_answer(Status::OK), AnswerAction::Take);
        assert_eq!(on_answer(Status::LIMIT_EXCEEDED), AnswerAction::Grow);
        assert_eq!(on_answer(Status::UNSUPPORTED), AnswerAction::FailAndKeep);
        for status in [Status::BAD_ENVELOPE, Status::INTERNAL_ERROR, Status::BUSY, Status(999)] {
            assert_eq!(on_answer(status), AnswerAction::FailAndClose, "{status}");
        }
    }
}
