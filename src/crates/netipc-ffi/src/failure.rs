//! Why a call fails: a number for C, and words.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use netipc::client::{CallError, CallErrorKind};
use netipc::codec::{BuildError, DecodeError};
use netipc::server::ServerError;
use netipc::token::NotAUuid;
use netipc::{
    AcceptError, BindError, ConnectError, Fault, ListenError, NameError, ReceiveError, SendError,
    SysError,
};

use crate::error::nipc_error;

/// What an exported function's body ends with when it fails. By `?`, from any error of netipc.
///
/// In a cell, which hides that not all bits are a failure: a `Result` would else tell success by bits
/// that no failure has, and the optimiser cannot see that what another function returns has none of
/// them. Each check of an argument would go on into the way of success after having failed, which
/// would pay for that in registers.
pub(crate) struct Failure(Cell<Told>);

/// What a failure is told as.
pub(crate) struct Told {
    pub(crate) error: nipc_error,
    pub(crate) words: Cow<'static, str>,
    pub(crate) fault: Option<Fault>,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").finish_non_exhaustive()
    }
}

impl Failure {
    /// The caller's fault.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(error: nipc_error, words: impl Into<Cow<'static, str>>) -> Self {
        Self::of(error, words.into(), None)
    }

    /// [`Failure::new`] with `NIPC_ERR_INVALID_ARGUMENT`.
    #[cold]
    #[inline(never)]
    pub(crate) fn argument(words: impl Into<Cow<'static, str>>) -> Self {
        Self::new(nipc_error::NIPC_ERR_INVALID_ARGUMENT, words)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn out_of_range(index: usize, count: usize) -> Self {
        let words = format!("index {index} is past the last: there are {count}");
        Self::new(nipc_error::NIPC_ERR_OUT_OF_RANGE, words)
    }

    /// A view or builder that keeps nothing, or another kind of thing.
    #[cold]
    #[inline(never)]
    pub(crate) fn not_filled() -> Self {
        Self::new(
            nipc_error::NIPC_ERR_NOT_INITIALIZED,
            "the view or builder was never filled in, is finished, or is one of another kind",
        )
    }

    #[cold]
    #[inline(never)]
    fn said(error: nipc_error, words: &dyn fmt::Display, fault: Fault) -> Self {
        Self::of(error, words.to_string().into(), Some(fault))
    }

    /// One whose words and fault are known.
    pub(crate) const fn of(
        error: nipc_error,
        words: Cow<'static, str>,
        fault: Option<Fault>,
    ) -> Self {
        Self(Cell::new(Told { error, words, fault }))
    }

    /// What to tell of it.
    pub(crate) fn told(self) -> Told {
        self.0.into_inner()
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let code = match &error {
            CallError::Build(BuildError::NoSpace | BuildError::LimitExceeded) => {
                nipc_error::NIPC_ERR_LIMIT
            }
            CallError::Build(_) => nipc_error::NIPC_ERR_BUILD,
            error => of_kind(error.kind()),
        };
        Self::said(code, &error, error.fault())
    }
}

const fn of_kind(kind: CallErrorKind) -> nipc_error {
    match kind {
        CallErrorKind::NotReady => nipc_error::NIPC_ERR_NOT_READY,
        CallErrorKind::Caller => nipc_error::NIPC_ERR_CALLER,
        CallErrorKind::TimedOut => nipc_error::NIPC_ERR_TIMED_OUT,
        CallErrorKind::Aborted => nipc_error::NIPC_ERR_ABORTED,
        CallErrorKind::Lost => nipc_error::NIPC_ERR_LOST,
        CallErrorKind::Violation => nipc_error::NIPC_ERR_VIOLATION,
        CallErrorKind::Status => nipc_error::NIPC_ERR_STATUS,
        CallErrorKind::Limit => nipc_error::NIPC_ERR_LIMIT,
        CallErrorKind::System => nipc_error::NIPC_ERR_SYSTEM,
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::said(nipc_error::NIPC_ERR_MALFORMED, &error, Fault::PeerBroke)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let code = match error {
            BuildError::NoSpace | BuildError::LimitExceeded => nipc_error::NIPC_ERR_NO_SPACE,
            _ => nipc_error::NIPC_ERR_BUILD,
        };
        Self::said(code, &error, Fault::Caller)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::said(nipc_error::NIPC_ERR_INVALID_ARGUMENT, &error, Fault::Caller)
    }
}

impl From<NotAUuid> for Failure {
    fn from(error: NotAUuid) -> Self {
        Self::said(nipc_error::NIPC_ERR_INVALID_ARGUMENT, &error, Fault::Caller)
    }
}

impl From<SysError> for Failure {
    fn from(error: SysError) -> Self {
        Self::said(nipc_error::NIPC_ERR_SYSTEM, &error, Fault::System)
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        let code = match &error {
            ListenError::Bind(BindError::InUse { .. }) => nipc_error::NIPC_ERR_ADDRESS_IN_USE,
            ListenError::Bind(BindError::Path(_)) => nipc_error::NIPC_ERR_INVALID_ARGUMENT,
            ListenError::Bind(_) | ListenError::Os(_) => nipc_error::NIPC_ERR_SYSTEM,
        };
        Self::said(code, &error, error.fault())
    }
}

impl From<AcceptError> for Failure {
    fn from(error: AcceptError) -> Self {
        let (code, fault) = match error {
            AcceptError::TimedOut => (nipc_error::NIPC_ERR_TIMED_OUT, Fault::Nobody),
            AcceptError::Aborted => (nipc_error::NIPC_ERR_ABORTED, Fault::Nobody),
            AcceptError::Os(_) => (nipc_error::NIPC_ERR_SYSTEM, Fault::System),
        };
        Self::said(code, &error, fault)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        use netipc::Met;
        let code = match (error.met(), &error) {
            (None, _) => nipc_error::NIPC_ERR_ABORTED,
            (_, ConnectError::TimedOut) => nipc_error::NIPC_ERR_TIMED_OUT,
            (_, ConnectError::Refused(_)) if error.fault() == Fault::PeerBroke => {
                nipc_error::NIPC_ERR_VIOLATION
            }
            (_, ConnectError::Refused(_)) => nipc_error::NIPC_ERR_STATUS,
            (_, ConnectError::Region(_)) => nipc_error::NIPC_ERR_VIOLATION,
            (_, ConnectError::Closed | ConnectError::RegionVanished) => nipc_error::NIPC_ERR_LOST,
            (Some(Met::NoEndpoint), _) => nipc_error::NIPC_ERR_CLOSED,
            (_, _) if error.fault() == Fault::Nobody => nipc_error::NIPC_ERR_CLOSED,
            (_, _) if error.fault() == Fault::Caller => nipc_error::NIPC_ERR_INVALID_ARGUMENT,
            (_, _) => nipc_error::NIPC_ERR_SYSTEM,
        };
        Self::said(code, &error, error.fault())
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let code = match error {
            SendError::AboveLimit { .. } => nipc_error::NIPC_ERR_LIMIT,
            SendError::Malformed(_) | SendError::OutOfTurn | SendError::Ended => {
                nipc_error::NIPC_ERR_CALLER
            }
            SendError::TimedOut => nipc_error::NIPC_ERR_TIMED_OUT,
            SendError::Aborted => nipc_error::NIPC_ERR_ABORTED,
            SendError::PeerGone => nipc_error::NIPC_ERR_CLOSED,
            SendError::BrokenRegion(_) => nipc_error::NIPC_ERR_VIOLATION,
            SendError::PacketTooLong { .. } | SendError::Os(_) => nipc_error::NIPC_ERR_SYSTEM,
        };
        Self::said(code, &error, error.fault())
    }
}

impl From<ReceiveError> for Failure {
    fn from(error: ReceiveError) -> Self {
        let code = match error {
            ReceiveError::TimedOut => nipc_error::NIPC_ERR_TIMED_OUT,
            ReceiveError::Aborted => nipc_error::NIPC_ERR_ABORTED,
            ReceiveError::Closed => nipc_error::NIPC_ERR_CLOSED,
            ReceiveError::TooLarge(_) => nipc_error::NIPC_ERR_LIMIT,
            ReceiveError::Ended => nipc_error::NIPC_ERR_CALLER,
            ReceiveError::Os(_) => nipc_error::NIPC_ERR_SYSTEM,
            ReceiveError::BrokenOff
            | ReceiveError::ChunkGap
            | ReceiveError::AboveLimit { .. }
            | ReceiveError::Violation(_)
            | ReceiveError::BrokenRegion(_)
            | ReceiveError::UnknownId { .. } => nipc_error::NIPC_ERR_VIOLATION,
        };
        Self::said(code, &error, error.fault())
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let (code, fault) = match error {
            ServerError::Os(_) | ServerError::Thread(_) => {
                (nipc_error::NIPC_ERR_SYSTEM, Fault::System)
            }
            ServerError::HandlersRunning { .. } => {
                (nipc_error::NIPC_ERR_HANDLERS_RUNNING, Fault::Caller)
            }
        };
        Self::said(code, &error, fault)
    }
}

#[cfg(test)]
mod tests {
    use netipc::Status;
    use netipc::client::{CallErrorKind as Kind, ClientState};
    use netipc::codec::Defect;

    use super::*;

    #[test]
    fn every_error_has_its_number_and_says_who_is_at_fault() {
        let malformed = DecodeError::new(Defect::Truncated, 3);
        let rows: [(Failure, nipc_error, Fault); 9] = [
            (
                CallError::NotReady { state: ClientState::NotFound }.into(),
                nipc_error::NIPC_ERR_NOT_READY,
                Fault::Caller,
            ),
            (CallError::TimedOut.into(), nipc_error::NIPC_ERR_TIMED_OUT, Fault::Nobody),
            (
                CallError::Malformed(malformed).into(),
                nipc_error::NIPC_ERR_VIOLATION,
                Fault::PeerBroke,
            ),
            (
                CallError::Status(Status::INTERNAL_ERROR).into(),
                nipc_error::NIPC_ERR_STATUS,
                Fault::PeerBroke,
            ),
            (malformed.into(), nipc_error::NIPC_ERR_MALFORMED, Fault::PeerBroke),
            (BuildError::NoSpace.into(), nipc_error::NIPC_ERR_NO_SPACE, Fault::Caller),
            (BuildError::Echo.into(), nipc_error::NIPC_ERR_BUILD, Fault::Caller),
            (ReceiveError::Closed.into(), nipc_error::NIPC_ERR_CLOSED, Fault::Nobody),
            (ConnectError::Closed.into(), nipc_error::NIPC_ERR_LOST, Fault::Nobody),
        ];
        for (failure, error, fault) in rows {
            let told = failure.told();
            assert_eq!((told.error, told.fault), (error, Some(fault)), "{}", told.words);
        }
    }

    /// What a status counts apart, C tells apart.
    #[test]
    fn no_two_kinds_of_failed_calls_have_one_number() {
        let kinds = [
            Kind::NotReady,
            Kind::Caller,
            Kind::TimedOut,
            Kind::Aborted,
            Kind::Lost,
            Kind::Violation,
            Kind::Status,
            Kind::Limit,
            Kind::System,
        ];
        let mut numbers = kinds.map(|kind| of_kind(kind).code()).to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), kinds.len());
    }
}
