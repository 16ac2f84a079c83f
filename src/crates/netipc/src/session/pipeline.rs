//! Many requests in flight on one session.
use super::Session;
use crate::{Header, Message, ReceiveError, SubmitError};
use netipc_sys::{Abort, Deadline};

/// A client's session with many requests in flight; each carries a `T` until its answer comes.
#[derive(Debug)]
pub struct Pipeline<T>(std::marker::PhantomData<T>);

impl<T> Pipeline<T> {
    /// At most `capacity` requests in flight (fewer where the transport has fewer).
    #[must_use]
    pub fn new(_session: Session, _capacity: usize) -> Self {
        todo!()
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        todo!()
    }

    /// Requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        todo!()
    }

    /// Sends a request. `value` comes back with its answer.
    pub fn submit(
        &mut self,
        _request: &Header,
        _payload: &[u8],
        _value: T,
        _deadline: Deadline,
        _abort: &Abort,
    ) -> Result<(), SubmitError> {
        todo!()
    }

    /// The next answer, whichever it is. One that answers nothing in flight ends the session.
    pub fn receive(
        &mut self,
        _deadline: Deadline,
        _abort: &Abort,
    ) -> Result<(T, Message<'_>), ReceiveError> {
        todo!()
    }
}
