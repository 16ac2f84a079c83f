//! What a server is given to answer with: one method, bytes in and bytes out.
//!
//! Typed handlers are adapted to [`Dispatch`] by generated code. Nothing here knows a payload.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use netipc_proto::Status;
use netipc_proto::growth::DEFAULT_RESPONSE_CEILING_BYTES;
use netipc_proto::payload::ResponseBudget;
use netipc_sys::PeerIdentity;

use super::served::Service;
use crate::events::Level;

/// Answers the requests of one endpoint. Called from several threads at once.
pub trait Dispatch: Send + Sync + 'static {
    /// The method code of the endpoint. Requests with another are answered UNSUPPORTED without
    /// asking (spec section 11).
    fn method(&self) -> u16;

    /// Whether requests may come in batches. Where not, a batch is BAD_ENVELOPE (spec section 10).
    fn batchable(&self) -> bool;

    /// The most bytes that a response may have where the configuration leaves it at zero (spec
    /// section 4): 1 MiB unless said otherwise.
    fn response_ceiling_bytes(&self) -> u32 {
        DEFAULT_RESPONSE_CEILING_BYTES
    }

    /// Answers one request, which is one item of a batch where the request came as one. The
    /// response is written from the start of `response.out`, which holds whatever was there
    /// before; answers its length in bytes.
    ///
    /// A panic in here is contained: the client gets INTERNAL_ERROR and the server goes on. That
    /// needs unwinding: with `panic = "abort"` a panic ends the process.
    ///
    /// # Errors
    /// What the client is told instead. The session ends after it (spec section 11).
    fn handle(
        &self,
        context: &Context<'_>,
        request: &[u8],
        response: ResponseBudget<'_>,
    ) -> Result<usize, Failure>;
}

/// Why a request has no answer (spec section 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request does not decode: the client is at fault.
    #[error("the request does not decode")]
    BadEnvelope,
    /// The answer does not fit the session. It wins over [`Failure::Internal`] where a handler
    /// failed because of it.
    #[error("the answer does not fit the session")]
    LimitExceeded,
    /// The handler failed.
    #[error("the handler failed")]
    Internal,
}

impl Failure {
    /// The status that says so to the client.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::BadEnvelope => Status::BAD_ENVELOPE,
            Self::LimitExceeded => Status::LIMIT_EXCEEDED,
            Self::Internal => Status::INTERNAL_ERROR,
        }
    }
}

/// What a handler is told beside the request. Valid until it returns.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    peer: PeerIdentity,
    session_id: u64,
    stopping: &'a AtomicBool,
    service: &'a Service,
}

impl<'a> Context<'a> {
    pub(super) const fn new(
        peer: PeerIdentity,
        session_id: u64,
        stopping: &'a AtomicBool,
        service: &'a Service,
    ) -> Self {
        Self { peer, session_id, stopping, service }
    }

    /// Leaves word of why a handler fails in the server's status and its events, for whoever looks
    /// there: the client is told no more than INTERNAL_ERROR.
    pub fn report(&self, error: &dyn fmt::Display) {
        self.service.counters.last_error.set(error);
        let detail = format_args!("{error}");
        self.service.tell(Level::Warn, "handler failed", self.session_id, detail);
    }

    /// The process that asks, as the kernel vouches for it.
    #[must_use]
    pub const fn peer(&self) -> PeerIdentity {
        self.peer
    }

    /// The session that the request came on: 1, 2, … for the server's lifetime.
    #[must_use]
    pub const fn session_id(&self) -> u64 {
        self.session_id
    }

    /// Whether the server is being stopped: a long handler looks now and then, and returns early.
    /// Never set while the server merely drains, which waits for handlers.
    #[must_use]
    pub fn stop_requested(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
