//! Many requests in flight on one session, their answers taken in any order (spec section 1).

use netipc_proto::inflight::{InFlight, InsertError};
use netipc_sys::{Abort, Deadline};

use super::{Inbox, Session};
use crate::{Header, Message, ReceiveError, SubmitError};

/// A client's session with requests in flight. Each carries a `T`, which comes back with its
/// answer. The caller chooses the message ids.
///
/// Mind the room: a server that waits until its answers are read reads no more requests. So a
/// caller that submits more than the sockets hold must receive in between, or in its deadline's
/// time be told that the peer does not read.
#[derive(Debug)]
pub struct Pipeline<T> {
    session: Session,
    inbox: Inbox,
    in_flight: InFlight<T>,
}

impl<T> Pipeline<T> {
    /// At most `capacity` requests in flight: at least 1, and no more than
    /// [`Session::in_flight_limit`].
    #[must_use]
    pub fn new(session: Session, capacity: usize) -> Self {
        let in_flight = InFlight::new(capacity.min(session.in_flight_limit()));
        let inbox = session.inbox();
        Self { session, inbox, in_flight }
    }

    /// The session underneath. Messages sent on it directly are none of the pipeline's.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Requests in flight.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sends a request, and keeps `value` until its answer comes.
    ///
    /// # Errors
    /// Each variant of [`SubmitError`]: the request is not in flight then, and `value` is dropped.
    pub fn submit(
        &mut self,
        request: &Header,
        payload: &[u8],
        value: T,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<(), SubmitError> {
        let message_id = request.message_id;
        self.in_flight.insert(message_id, value).map_err(|error| match error {
            InsertError::Full(_) => SubmitError::Full { in_flight: self.in_flight.len() },
            InsertError::Duplicate(_) => SubmitError::Duplicate { message_id },
        })?;
        self.session.send(request, payload, deadline, abort).map_err(|error| {
            self.in_flight.take(message_id);
            error.into()
        })
    }

    /// The next answer, whichever it is; its payload lies here until the next call.
    ///
    /// # Errors
    /// Each variant of [`ReceiveError`]. An answer to nothing in flight ends the session.
    pub fn receive(
        &mut self,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<(T, Message<'_>), ReceiveError> {
        let message_id = self.session.receive(&mut self.inbox, deadline, abort)?.header.message_id;
        let Some(value) = self.in_flight.take(message_id) else {
            return Err(self.inbox.end(ReceiveError::UnknownId { message_id }));
        };
        let message = self.inbox.message().ok_or(ReceiveError::Ended)?;
        Ok((value, message))
    }

    /// Takes all that is in flight, in no order: when the session has ended, nobody answers it. Where
    /// `each` panics the rest is dropped, and nothing is in flight all the same.
    pub fn abandon(&mut self, each: impl FnMut(u64, T)) {
        self.in_flight.drain(each);
    }
}
