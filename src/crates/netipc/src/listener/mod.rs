//! The server's side of an endpoint: clients come in, sessions come out.

mod config;
mod counters;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use netipc_sys::{Abort, Deadline, SysError, WaitSet};

use crate::{AcceptError, Endpoint, ListenError, Session};

pub use config::{
    AccessPolicy, DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_MAX_PENDING_HANDSHAKES, ListenerConfig,
    ResponseLimit,
};
pub use counters::{HandshakeCounters, HandshakeCounts};

/// An endpoint that is served. Handshakes are driven by readiness, never wait for one another, and
/// end at their deadline.
///
/// As a wait object ([`AsFd`]) it is readable when [`Listener::try_accept`] has something to do.
#[derive(Debug)]
pub struct Listener {
    wait_set: WaitSet,
}

impl Listener {
    /// Takes the endpoint and listens on it.
    pub fn bind(_endpoint: &Endpoint, _config: &ListenerConfig) -> Result<Self, ListenError> {
        todo!()
    }

    /// Goes on with every handshake that can go on, and returns the first session that comes of it.
    /// Never waits. Call it when the listener is readable, and at [`Listener::next_deadline`]; call
    /// it again after a session, until `None`.
    ///
    /// `session_free` says whether one session more may be made: clients are told BUSY if not.
    pub fn try_accept(&mut self, _session_free: bool) -> Result<Option<Session>, SysError> {
        todo!()
    }

    /// When [`Listener::try_accept`] must be called even if nothing is readable.
    #[must_use]
    pub fn next_deadline(&self) -> Deadline {
        todo!()
    }

    /// Waits for the next session: drives all handshakes meanwhile.
    pub fn accept(&mut self, _deadline: Deadline, _abort: &Abort) -> Result<Session, AcceptError> {
        todo!()
    }

    /// The limit of responses that later sessions get; a handle for those who grow it.
    #[must_use]
    pub fn response_limit(&self) -> &ResponseLimit {
        todo!()
    }

    /// What became of all who came; a handle that may be read from any thread.
    #[must_use]
    pub fn counters(&self) -> &Arc<HandshakeCounters> {
        todo!()
    }
}

/// Readable when there is something to do.
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wait_set.as_fd()
    }
}
