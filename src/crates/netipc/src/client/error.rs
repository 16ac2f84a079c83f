//! Why a call failed.

use netipc_proto::growth::GrowthEnd;
use netipc_proto::retry::ClientState;
use thiserror::Error;

use super::lookup::LookupError;
use crate::codec::{BuildError, DecodeError};
use crate::{Breach, ConnectError, Fault, SendError, Status, SysError, batch};

/// Why a call failed. Whether the session is still there, its client's status says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The client has no session, and only a refresh connects. Nothing was sent.
    #[error("the client is not ready ({}): refresh it; its status says why", .state.name())]
    NotReady {
        /// What it is instead.
        state: ClientState,
    },
    /// The request cannot be built: the caller's fault. Nothing was sent.
    #[error("the request cannot be built: {0}")]
    Build(BuildError),
    /// The batch cannot be built: the caller's fault. Nothing was sent.
    #[error("the batch cannot be built: {0}")]
    Batch(batch::BuildError),
    /// The request is above this client's own ceiling. Nothing was sent.
    #[error(
        "the request is above this client's ceiling of {ceiling} bytes: ask for less, or raise \
         max_request_payload_bytes"
    )]
    RequestTooLarge {
        /// The ceiling, in bytes of payload.
        ceiling: u32,
    },
    /// The server takes no request of that length. Nothing was sent.
    #[error("the server refuses requests of {needed} bytes: ask for less")]
    RequestRefused {
        /// Bytes of payload that the request has.
        needed: usize,
    },
    /// More items than a batch of this session may have. Nothing was sent.
    #[error("the batch has {given} items, and this session takes {agreed}: use several batches")]
    TooManyItems {
        /// Items given.
        given: usize,
        /// Items agreed.
        agreed: u32,
    },
    /// The service takes no batches. Nothing was sent.
    #[error("this service takes no batches (spec section 2)")]
    NotBatchable,
    /// The session does not send it. The session has ended.
    #[error("the request was not sent: {0}")]
    NotSent(SendError),
    /// The time of the whole call is up. The session has ended.
    #[error("timed out")]
    TimedOut,
    /// The client's abort handle is set. The session has ended if a request was on its way.
    #[error("aborted by this side")]
    Aborted,
    /// The server left before it answered, and again when the request was sent once more.
    #[error("the server closed the session before it answered")]
    PeerGone,
    /// The server closes its sessions before it answers them: it is full.
    #[error("the server is full: it closes sessions before it answers; refresh later")]
    Busy,
    /// The session was lost, or too small, and there is no other.
    #[error("the session had to be replaced, and was not: {0}")]
    Reconnect(ConnectError),
    /// The answer breaks the contract. The session has ended.
    #[error("the answer is malformed: {0}")]
    Malformed(DecodeError),
    /// The server wrote into the shared region what it may not. The session has ended.
    #[error("the server broke the shared region: {0}")]
    BrokenRegion(Breach),
    /// The answer is none to what was asked. The session has ended.
    #[error("the peer broke the contract: {0}")]
    Mismatch(Mismatch),
    /// The server began its answer, and did not go on. The session has ended.
    #[error("the server began its answer and sent no more of it in time")]
    BrokenOff,
    /// The server answered with a failure.
    #[error("the server answered: {0}")]
    Status(Status),
    /// The answer does not fit, and the limit does not grow. The session has ended.
    #[error(transparent)]
    LimitExceeded(GrowthEnd),
    /// The answer is above this client's ceiling, or there is no memory for it. The session has
    /// ended.
    #[error("{0}")]
    AnswerTooLarge(netipc_proto::chunk::ReceiveError),
    /// A lookup's answers do not fit together, or exceed its ceilings.
    #[error(transparent)]
    Lookup(LookupError),
    /// The operating system refused. The session has ended.
    #[error(transparent)]
    System(SysError),
}

/// How an answer is none to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// Its message id is not in flight.
    #[error("it answers message {answered}, in flight is {asked}")]
    MessageId {
        /// The id that was sent.
        asked: u64,
        /// The id that came.
        answered: u64,
    },
    /// It is that of another method.
    #[error("it answers method {answered}, asked was {asked}")]
    Method {
        /// The method that was asked.
        asked: u16,
        /// The method that came.
        answered: u16,
    },
    /// A batch is answered by a batch of as many items, and nothing else is (spec section 2).
    #[error("it has {answered} items, asked were {asked}")]
    Items {
        /// What was asked.
        asked: Items,
        /// What came.
        answered: Items,
    },
}

/// What a message has: the items of a batch, or one without a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// No batch.
    One,
    /// A batch.
    Batch(u32),
}

impl std::fmt::Display for Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One => f.write_str("one unbatched"),
            Self::Batch(count) => write!(f, "{count} batched"),
        }
    }
}

/// The kinds of failure that a status counts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallErrorKind {
    /// The client was not ready.
    NotReady,
    /// The caller asked for what cannot be.
    Caller,
    /// Time was up.
    TimedOut,
    /// This side aborted.
    Aborted,
    /// The server left, and could not be reached again, or was full.
    Lost,
    /// The server broke the contract.
    Violation,
    /// The server answered with a failure.
    Status,
    /// A request or an answer is above a limit that does not grow.
    Limit,
    /// The operating system refused.
    System,
}

impl CallError {
    /// Which kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> CallErrorKind {
        match self {
            Self::NotReady { .. } => CallErrorKind::NotReady,
            Self::Build(_) | Self::Batch(_) | Self::TooManyItems { .. } | Self::NotBatchable => {
                CallErrorKind::Caller
            }
            Self::TimedOut => CallErrorKind::TimedOut,
            Self::Aborted => CallErrorKind::Aborted,
            Self::PeerGone | Self::Busy | Self::Reconnect(_) => CallErrorKind::Lost,
            Self::Malformed(_) | Self::BrokenRegion(_) | Self::Mismatch(_) | Self::BrokenOff => {
                CallErrorKind::Violation
            }
            Self::Lookup(error) if error.is_violation() => CallErrorKind::Violation,
            Self::Lookup(LookupError::TooManyKeys { .. }) => CallErrorKind::Caller,
            Self::Lookup(LookupError::GenerationChanged) => CallErrorKind::Lost,
            Self::Status(_) => CallErrorKind::Status,
            Self::RequestTooLarge { .. }
            | Self::RequestRefused { .. }
            | Self::LimitExceeded(_)
            | Self::AnswerTooLarge(_)
            | Self::Lookup(_) => CallErrorKind::Limit,
            Self::System(_) | Self::NotSent(_) => CallErrorKind::System,
        }
    }

    /// Who is at fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Reconnect(error) => error.fault(),
            Self::Status(Status::UNSUPPORTED) => Fault::PeerIncompatible,
            // The peer says that this side's request does not decode.
            Self::Status(Status::BAD_ENVELOPE) => Fault::Caller,
            _ => match self.kind() {
                CallErrorKind::NotReady | CallErrorKind::Caller | CallErrorKind::Limit => {
                    Fault::Caller
                }
                CallErrorKind::TimedOut | CallErrorKind::Aborted | CallErrorKind::Lost => {
                    Fault::Nobody
                }
                CallErrorKind::Violation | CallErrorKind::Status => Fault::PeerBroke,
                CallErrorKind::System => Fault::System,
            },
        }
    }
}

impl From<LookupError> for CallError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Malformed(error) => Self::Malformed(error),
            error => Self::Lookup(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Defect;

    #[test]
    fn errors_say_who_is_at_fault() {
        let malformed = DecodeError::new(Defect::Truncated, 3);
        let rows = [
            (CallError::NotReady { state: ClientState::NotFound }, Fault::Caller),
            (CallError::RequestTooLarge { ceiling: 1 }, Fault::Caller),
            (CallError::Status(Status::BAD_ENVELOPE), Fault::Caller),
            (LookupError::TooManyKeys { given: 2, ceiling: 1 }.into(), Fault::Caller),
            (CallError::TimedOut, Fault::Nobody),
            (CallError::Busy, Fault::Nobody),
            (LookupError::GenerationChanged.into(), Fault::Nobody),
            (CallError::Reconnect(ConnectError::Closed), Fault::Nobody),
            (CallError::Status(Status::UNSUPPORTED), Fault::PeerIncompatible),
            (CallError::Status(Status::INTERNAL_ERROR), Fault::PeerBroke),
            (LookupError::Malformed(malformed).into(), Fault::PeerBroke),
            (LookupError::FirstAskedAgain.into(), Fault::PeerBroke),
        ];
        for (error, fault) in rows {
            assert_eq!(error.fault(), fault, "{error}");
        }
        assert!(CallError::Malformed(malformed).to_string().contains("at byte 3"));
    }
}
