//! A client's way to its server: the session it has, or why it has none and when it tries again.
//!
//! ```text
//!   refresh ──▶ connect ──▶ proposals, hint ──▶ Session::connect ──▶ Ready
//!                  ▲                                   │ what was met
//!   call, recovery ┘            netipc_proto::retry ◀──┘
//! ```
//!
//! What is decided, netipc-proto decides; here it is put into effect. Requests and answers are the
//! [engine](super::engine)'s.

use std::time::Duration;

use netipc_proto::growth::{AfterRefusal, RequestProposals, ResponseHint};
use netipc_proto::negotiate::Refusal;
use netipc_proto::retry::{ClientState, Met, NextTry, Retry};

use super::config::{CONNECT_TIMEOUT, ClientConfig, ServiceInfo};
use super::environment::Environment;
use super::error::{CallError, Items};
use super::shared_memory::{SharedMemory, WhyNot};
use super::status::{ClientCounters, ClientStatus, Reason, SessionStatus, profile_reason};
use crate::codec::DecodeError;
use crate::events::{Event, Level, Side};
use crate::{
    Abort, ConnectError, Deadline, Endpoint, Header, Limits, Proposal, Session, Status, SysError,
};

/// A session, and what the client knows of it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) session: Session,
    /// The id of the last request; they count from 1.
    last_id: u64,
    /// Whether anything was answered on it.
    answered: bool,
    /// Why it was offered no shared memory, if it was not.
    not_shared: Option<WhyNot>,
}

/// Why there is no session after an attempt to get one.
#[derive(Debug)]
pub(super) enum NoSession {
    /// The server refuses the request that needed more than usual.
    RequestTooLarge,
    /// Anything else.
    Met(ConnectError),
}

pub(super) struct Link {
    endpoint: Endpoint,
    config: ClientConfig,
    environment: Box<dyn Environment>,
    abort: Option<Abort>,
    retry: Retry,
    next_try: NextTry,
    proposals: RequestProposals,
    pub(super) hint: ResponseHint,
    shared_memory: SharedMemory,
    state: ClientState,
    reason: Option<Reason>,
    live: Option<Live>,
    pub(super) counters: ClientCounters,
}

impl Live {
    /// The header of the next request.
    pub(super) const fn next_header(
        &mut self,
        method: u16,
        payload_len: u32,
        items: Items,
    ) -> Header {
        self.last_id += 1;
        let header = Header::request(method, self.last_id, payload_len);
        match items {
            Items::One => header,
            Items::Batch(item_count) => header.batch_of(item_count),
        }
    }
}

impl Link {
    pub(super) fn new(
        endpoint: Endpoint,
        config: ClientConfig,
        service: &ServiceInfo,
        environment: Box<dyn Environment>,
    ) -> Self {
        Self {
            endpoint,
            config,
            environment,
            abort: None,
            retry: Retry::default(),
            next_try: NextTry::AtOnce,
            proposals: RequestProposals::new(config.request_ceiling_bytes(), config.batch_items()),
            hint: ResponseHint::new(config.response_ceiling_bytes(service)),
            shared_memory: SharedMemory::default(),
            state: ClientState::Disconnected,
            reason: None,
            live: None,
            counters: ClientCounters::default(),
        }
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) const fn config(&self) -> &ClientConfig {
        &self.config
    }

    pub(super) const fn state(&self) -> ClientState {
        self.state
    }

    /// The handle that ends what waits. It is made when first needed, so that a client that never
    /// connects has no descriptor.
    pub(super) fn abort(&mut self) -> Result<Abort, SysError> {
        match &self.abort {
            Some(abort) => Ok(abort.clone()),
            None => Ok(self.abort.insert(Abort::new()?).clone()),
        }
    }

    /// Whether the caller has aborted and not cleared that.
    pub(super) fn is_aborted(&self) -> bool {
        self.abort.as_ref().is_some_and(Abort::is_set)
    }

    /// Looks whether the session is still there, or tries to get one if it is time to.
    pub(super) fn refresh(&mut self) -> bool {
        let before = (self.state, self.counters.connects);
        if let Some(live) = &self.live {
            match live.session.peer_gone() {
                Ok(false) => return false,
                Ok(true) => self.lost(Reason::Left),
                Err(error) => self.lost(Reason::Call(CallError::System(error))),
            }
        }
        if self.may_try() {
            let timeout = CONNECT_TIMEOUT.min(self.config.call_timeout());
            // What went wrong is in the state and its reason.
            let _ = self.connect(Deadline::after(timeout));
        }
        (self.state, self.counters.connects) != before
    }

    /// Whether the back-off lets this client connect.
    pub(super) fn may_try(&self) -> bool {
        self.retry.may_try(self.environment.now_ms())
    }

    /// The session, if there is one.
    pub(super) const fn live(&mut self) -> Option<&mut Live> {
        self.live.as_mut()
    }

    /// The session, what ends waiting on it, and the counters, to be used together.
    pub(super) const fn parts(&mut self) -> Option<(&mut Live, &Abort, &mut ClientCounters)> {
        match (&mut self.live, &self.abort) {
            (Some(live), Some(abort)) => Some((live, abort, &mut self.counters)),
            // A session is got with a handle to abort that.
            _ => None,
        }
    }

    /// What a session of this client agreed on; nothing without one.
    pub(super) fn limits(&self) -> Option<(Limits, Limits)> {
        let terms = self.live.as_ref()?.session.terms();
        Some((terms.request, terms.response))
    }

    /// Gets a session in place of the one there is, if any. Limits that are refused, and may be
    /// lower, are proposed lower at once; shared memory that cannot be used is not offered again.
    pub(super) fn connect(&mut self, deadline: Deadline) -> Result<(), NoSession> {
        self.live = None;
        let before = match self.state {
            ClientState::Ready => ClientState::Broken,
            state => state,
        };
        self.state = ClientState::Connecting;
        loop {
            let not_shared = self.shared_memory.why_not(self.environment.now_ms());
            let error = match self.attempt(deadline) {
                Ok(session) => {
                    self.connected(session, not_shared);
                    return Ok(());
                }
                Err(error) => error,
            };
            self.counters.failed_connects += 1;
            match error {
                // The session was granted: what fails is its shared memory. Offered no more for a
                // while, so that this is tried once.
                ConnectError::Region(error) => {
                    self.shared_memory.failed(error, self.environment.now_ms());
                    continue;
                }
                // This server takes nothing else. Offered again, so that this is tried once.
                ConnectError::Refused(Refusal::Rejected(Status::UNSUPPORTED))
                    if not_shared == Some(WhyNot::Fruitless) =>
                {
                    self.shared_memory.row_ended();
                    continue;
                }
                ConnectError::RegionVanished => self.shared_memory.fruitless(),
                _ => {}
            }
            let after = match error {
                ConnectError::Refused(Refusal::Rejected(Status::LIMIT_EXCEEDED)) => {
                    self.proposals.refused()
                }
                _ => AfterRefusal::GiveUp,
            };
            if after == AfterRefusal::ProposeAgain {
                continue;
            }
            self.proposals.forget_need();
            self.refused(before, &error);
            return Err(match after {
                AfterRefusal::RequestTooLarge => NoSession::RequestTooLarge,
                AfterRefusal::ProposeAgain | AfterRefusal::GiveUp => NoSession::Met(error),
            });
        }
    }

    /// Has the next session propose requests of `needed` bytes. False when that is above this
    /// client's own ceiling.
    pub(super) fn need(&mut self, needed: usize) -> bool {
        u32::try_from(needed).is_ok_and(|needed| self.proposals.need(needed).is_ok())
    }

    /// An answer came on the session.
    pub(super) fn answered(&mut self) {
        if let Some(live) = &mut self.live
            && !live.answered
        {
            live.answered = true;
            self.retry.answered();
            self.shared_memory.row_ended();
        }
    }

    /// A Ready session has ended.
    pub(super) fn lost(&mut self, reason: Reason) {
        let Some(live) = self.live.take() else { return };
        let left = matches!(reason, Reason::Left | Reason::Call(CallError::PeerGone));
        // A session that was asked nothing tells nothing of a server that is full: its provider may
        // just have been restarted.
        let asked_in_vain = live.last_id > 0 && !live.answered;
        let broke = matches!(reason, Reason::Call(CallError::BrokenRegion(_)));
        if asked_in_vain && (left || broke) && live.session.profile().is_shared_memory() {
            self.shared_memory.fruitless();
        }
        let met = if left && asked_in_vain { Met::ClosedEarly } else { Met::SessionLost };
        self.met(met);
        let detail = reason.in_words(NextTry::AtOnce);
        self.event(Level::Info, "session lost", live.session.id(), format_args!("{detail}")).tell();
        self.reason = Some(reason);
    }

    /// A request is sent once more, on another session.
    pub(super) fn resends(&mut self) {
        self.counters.resends += 1;
        self.event(Level::Info, "request sent again", 0, format_args!("")).tell();
    }

    const fn event<'a>(
        &'a self,
        level: Level,
        what: &'static str,
        session_id: u64,
        detail: std::fmt::Arguments<'a>,
    ) -> Event<'a> {
        Event { level, side: Side::Client, place: &self.endpoint, session_id, what, detail }
    }

    /// The answer on the session does not decode, which ends it.
    pub(super) fn malformed(&mut self, error: DecodeError) -> CallError {
        let error = CallError::Malformed(error);
        self.lost(Reason::Call(error.clone()));
        self.call_failed(&error);
        error
    }

    /// A call failed. Where its session goes on, it is the reason to show; else that is known.
    pub(super) fn call_failed(&mut self, error: &CallError) {
        self.counters.errors.count(error.kind());
        if self.live.is_some() {
            self.reason = Some(Reason::Call(error.clone()));
        }
    }

    /// Ends the session because the caller wants so.
    pub(super) fn close(&mut self) {
        if self.live.take().is_some() {
            self.state = ClientState::Disconnected;
            self.reason = Some(Reason::Closed);
        }
    }

    pub(super) fn status(&self) -> ClientStatus {
        let now_ms = self.environment.now_ms();
        let retry_at_ms = self.retry.retry_at_ms().filter(|at_ms| *at_ms > now_ms);
        let session = self.live.as_ref().map(|live| {
            let (session, offered) = (&live.session, self.config.supported_profiles);
            let server_supported = session.server_supported();
            let profile = session.profile();
            SessionStatus {
                id: session.id(),
                terms: *session.terms(),
                profile_reason: profile_reason(profile, offered, server_supported, live.not_shared),
                server_supported,
                peer: *session.peer(),
            }
        });
        ClientStatus {
            state: self.state,
            reason: self.reason.as_ref().map(|reason| reason.in_words(self.next_try)),
            next_try: self.next_try,
            retry_in: retry_at_ms.map(|at_ms| Duration::from_millis(at_ms - now_ms)),
            session,
            counters: self.counters,
        }
    }

    fn attempt(&mut self, deadline: Deadline) -> Result<Session, ConnectError> {
        let abort = self.abort()?;
        let config = &self.config;
        let now_ms = self.environment.now_ms();
        let proposal = Proposal {
            supported_profiles: self.shared_memory.offer(config.supported_profiles, now_ms),
            preferred_profiles: config.preferred_profiles,
            request: self.proposals.limits(),
            response_hint: Limits {
                payload_bytes: self.hint.bytes(),
                batch_items: config.response_batch_items(),
            },
            response_ceiling_bytes: self.hint.ceiling(),
            auth_token: config.auth_token,
            ..Proposal::default()
        };
        Session::connect(&self.endpoint, &proposal, deadline, &abort)
    }

    fn connected(&mut self, session: Session, not_shared: Option<WhyNot>) {
        self.proposals.accepted();
        if session.profile().is_shared_memory() {
            self.shared_memory.works();
        } else {
            self.shared_memory.row_ended();
        }
        self.live = Some(Live { session, last_id: 0, answered: false, not_shared });
        self.state = ClientState::Ready;
        self.next_try = NextTry::AtOnce;
        self.reason = None;
        self.counters.connects += 1;
        if let Some(live) = &self.live {
            let detail = format_args!("profile {:#04x}", live.session.profile().bit());
            self.event(Level::Debug, "session", live.session.id(), detail).tell();
        }
    }

    fn refused(&mut self, before: ClientState, error: &ConnectError) {
        match error.met() {
            Some(met) => self.met(met),
            // This side aborted: nothing was learnt of the server.
            None => self.state = before,
        }
        self.reason = Some(Reason::Connect(error.clone()));
        self.event(Level::Info, "no session", 0, format_args!("{:?}: {error}", self.state)).tell();
    }

    fn met(&mut self, met: Met) {
        let verdict = self.retry.met(met, self.environment.now_ms(), self.environment.random());
        self.state = verdict.state;
        self.next_try = verdict.next_try;
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { endpoint, state, reason, .. } = self;
        f.debug_struct("Link")
            .field("endpoint", endpoint)
            .field("state", state)
            .field("reason", reason)
            .finish_non_exhaustive()
    }
}
