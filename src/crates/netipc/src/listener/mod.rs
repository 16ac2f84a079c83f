//! The server's side of an endpoint: clients come in, sessions come out.
//!
//! ```text
//!   socket ── accept ──▶ Pending ── HELLO ──▶ negotiate ── region ── HELLO_ACK ──▶ Session
//!                           │                    └ refusal ──▶ drained, closed
//!                           └ deadline, or too many: closed
//! ```
//!
//! Every connection has its own small state and its own deadline, and all are driven by readiness
//! from one place that never waits: a client that says nothing delays nobody. The sockets are in
//! one wait set, whose descriptor is the listener's: a server adds it to its own.
//!
//! What it does **not** do: it starts no thread, keeps no session and does not count those that
//! live. Whether one session more may be made is an argument.

mod config;
mod counters;
mod pending;
mod regions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use netipc_proto::negotiate::Rejection;
use netipc_sys::{
    Abort, Accepted, BindOptions, DEFAULT_BACKLOG, Deadline, Events, Interest, PacketChannel,
    SysError, WaitError, WaitSet, WatchMode, wait_readable,
};

use crate::session::{Agreement, ReadyRegion};
use crate::{AcceptError, Endpoint, ListenError, Session};
use counters::Outcome;
use pending::{Pending, Pendings, Rules, SessionFree, Step};

pub use config::{
    AccessPolicy, DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_MAX_PENDING_HANDSHAKES,
    DEFAULT_MAX_REGION_BYTES, ListenerConfig, ResponseLimit,
};
pub use counters::{HandshakeCounters, HandshakeCounts};
pub(crate) use regions::{RegionShare, region_sizes};

/// The listening socket's number in the wait set; pending handshakes have their place, and one more.
const SOCKET_TOKEN: u64 = 0;
/// Events that one look takes.
const EVENTS_PER_LOOK: usize = 64;
/// Clients that one look accepts at most, so that a flood of them cannot hold a readiness loop.
const CLIENTS_PER_LOOK: usize = 64;
/// How long nobody is accepted after the system had no descriptor or memory for one more. Nothing
/// tells when it has again, and the socket would show as readable all the time.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// An endpoint that is served. Dropping it gives the name back and closes what is in its
/// handshake; sessions live on.
///
/// As a wait object (on Unix: `AsFd`) it is readable when [`Listener::try_accept`] has something to do.
#[derive(Debug)]
pub struct Listener {
    socket: netipc_sys::Listener,
    wait_set: WaitSet,
    events: Events,
    /// Numbers of what was ready at the last look and has not had its turn.
    ready: VecDeque<u64>,
    pendings: Pendings,
    rules: Rules,
    next_session_id: u64,
    counters: Arc<HandshakeCounters>,
    /// When to accept again, after the system was exhausted.
    resume_at: Option<Deadline>,
}

impl Listener {
    /// Takes the endpoint and listens on it. A socket whose server died is replaced, a live
    /// server's never (spec section 6).
    ///
    /// # Errors
    /// Each variant of [`ListenError`].
    pub fn bind(endpoint: &Endpoint, config: &ListenerConfig) -> Result<Self, ListenError> {
        let options = BindOptions {
            mode: config.access.mode,
            group: config.access.group,
            backlog: if config.backlog == 0 { DEFAULT_BACKLOG } else { config.backlog },
        };
        let wait_set = WaitSet::new()?;
        let socket = netipc_sys::Listener::bind(endpoint.socket_path(), &options)?;
        wait_set.add(&socket, SOCKET_TOKEN, Interest::Read, WatchMode::Level)?;
        let rules = Rules::new(config, endpoint);
        rules.regions.remove_stale();
        Ok(Self {
            socket,
            wait_set,
            events: Events::with_capacity(EVENTS_PER_LOOK),
            ready: VecDeque::with_capacity(EVENTS_PER_LOOK),
            pendings: Pendings::new(config.max_pending()),
            rules,
            next_session_id: 1,
            counters: Arc::default(),
            resume_at: None,
        })
    }

    /// Goes on with every handshake that can go on, until one becomes a session. Never waits. To be
    /// called when the listener is readable and at [`next_deadline`](Self::next_deadline); after a
    /// session, once more, for there may be another.
    ///
    /// `session_free` says whether one session more may be made. It is asked last, for a client that
    /// could have one but for that: it is told BUSY if not.
    ///
    /// # Errors
    /// The system refused to look. Whatever is wrong with one client costs that client alone.
    pub fn try_accept(
        &mut self,
        mut session_free: impl FnMut() -> bool,
    ) -> Result<Option<Session>, SysError> {
        self.accept_again();
        if let Some(session) = self.expire(&mut session_free) {
            return Ok(Some(session));
        }
        if self.ready.is_empty() {
            self.wait_set.wait(&mut self.events, Deadline::after(Duration::ZERO))?;
            self.ready.extend(self.events.iter().map(|event| event.token));
        }
        let mut accepts_left = CLIENTS_PER_LOOK;
        while let Some(token) = self.ready.pop_front() {
            let session = if token != SOCKET_TOKEN {
                self.go_on(token, &mut session_free)
            } else if accepts_left == 0 {
                None
            } else {
                accepts_left -= 1;
                self.accept_one(&mut session_free)
            };
            if session.is_some() {
                return Ok(session);
            }
        }
        Ok(None)
    }

    /// When [`try_accept`](Self::try_accept) is to be called even if nothing is readable: never,
    /// while nobody is in a handshake.
    #[must_use]
    pub fn next_deadline(&self) -> Deadline {
        let resume_at = self.resume_at.unwrap_or(Deadline::never());
        self.pendings.next_deadline().earlier(resume_at)
    }

    /// Waits for the next session, and drives all handshakes meanwhile: for servers without a
    /// readiness loop of their own. Handshakes go on only while somebody is in here.
    ///
    /// # Errors
    /// Each variant of [`AcceptError`].
    pub fn accept(&mut self, deadline: Deadline, abort: &Abort) -> Result<Session, AcceptError> {
        loop {
            if abort.is_set() {
                return Err(AcceptError::Aborted);
            }
            if let Some(session) = self.try_accept(|| true)? {
                return Ok(session);
            }
            let until = deadline.earlier(self.next_deadline());
            match wait_readable(&*self, until, abort) {
                Ok(()) | Err(WaitError::TimedOut) if deadline.has_passed() => {
                    return Err(AcceptError::TimedOut);
                }
                Ok(()) | Err(WaitError::TimedOut) => {}
                Err(WaitError::Aborted) => return Err(AcceptError::Aborted),
                Err(WaitError::Os(error)) => return Err(AcceptError::Os(error)),
            }
        }
    }

    /// The limit of responses that later sessions get: a handle for those who grow it.
    #[must_use]
    pub const fn response_limit(&self) -> &ResponseLimit {
        &self.rules.response_limit
    }

    /// What became of all who came: a handle that may be read from any thread.
    #[must_use]
    pub const fn counters(&self) -> &Arc<HandshakeCounters> {
        &self.counters
    }

    /// Connections that are in their handshake, those that were refused and have not left included.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.pendings.len()
    }

    /// Accepts one client, and looks at once whether its HELLO is there: usually it is.
    fn accept_one(&mut self, session_free: SessionFree<'_>) -> Option<Session> {
        let (channel, is_last_descriptor) = match self.socket.try_accept() {
            Ok(None) => return None,
            Ok(Some(Accepted::Channel(channel))) => (channel, false),
            Ok(Some(Accepted::Overflow(channel))) => (channel, true),
            Err(_) => {
                self.stop_accepting();
                return None;
            }
        };
        self.counters.connected();
        // Others may wait behind it; those who are in their handshake come first.
        self.ready.push_back(SOCKET_TOKEN);
        let mut session_free = || !is_last_descriptor && session_free();
        match pending::hear(&channel, &self.rules, &mut session_free, self.next_session_id) {
            // It has to be closed at once, so that there is a descriptor again.
            Step::Wait if is_last_descriptor => self.refuse(&channel, Rejection::SessionsTaken),
            Step::Refused(rejection) if is_last_descriptor => self.refuse(&channel, rejection),
            Step::Wait => self.keep(Pending::waiting(channel, self.rules.handshake_timeout)),
            Step::Refused(rejection) => {
                self.refuse(&channel, rejection);
                self.keep(Pending::refused(channel));
            }
            Step::Gone => self.counters.decided(Outcome::Left),
            Step::Agreed(agreement, region) => {
                return Some(self.session(channel, region, agreement));
            }
        }
        None
    }

    /// Goes on with the handshake of this number, which may have ended since it was ready.
    fn go_on(&mut self, token: u64, session_free: SessionFree<'_>) -> Option<Session> {
        let pending = self.pendings.get_mut(token)?;
        if let Some(drain) = &mut pending.drain {
            if !matches!(drain.advance_on(&pending.channel), Ok(None)) {
                self.let_go(token);
            }
            return None;
        }
        match pending::hear(&pending.channel, &self.rules, session_free, self.next_session_id) {
            Step::Wait => {}
            Step::Refused(rejection) => {
                self.counters.decided(Outcome::Rejected(rejection));
                pending::tell_refusal(&pending.channel, &rejection);
                pending.begin_drain();
                self.pendings.changed(token);
            }
            Step::Gone => {
                self.let_go(token);
                self.counters.decided(Outcome::Left);
            }
            Step::Agreed(agreement, region) => {
                let channel = self.let_go(token)?;
                return Some(self.session(channel, region, agreement));
            }
        }
        None
    }

    /// Keeps a connection until its HELLO, or its close, is there. When there are too many, the
    /// oldest gives way: it has had the most time.
    fn keep(&mut self, pending: Pending) {
        if self.pendings.is_full()
            && let Some(oldest) = self.pendings.oldest()
        {
            self.displace(oldest);
        }
        let Some(token) = self.pendings.insert(pending) else { return };
        let Some(pending) = self.pendings.get_mut(token) else { return };
        let watched = self.wait_set.add(&pending.channel, token, Interest::Read, WatchMode::Level);
        if watched.is_err() {
            self.displace(token);
        }
    }

    fn displace(&mut self, token: u64) {
        let was_decided = self.pendings.get_mut(token).is_some_and(|p| p.drain.is_some());
        let Some(channel) = self.let_go(token) else { return };
        if !was_decided {
            self.counters.decided(Outcome::Displaced);
            pending::tell_refusal(&channel, &Rejection::SessionsTaken);
        }
    }

    /// Tells a client why it has no session; counted before, so that whoever was told is.
    fn refuse(&self, channel: &PacketChannel, rejection: Rejection) {
        self.counters.decided(Outcome::Rejected(rejection));
        pending::tell_refusal(channel, &rejection);
    }

    /// Accepts again when it is time to.
    fn accept_again(&mut self) {
        if self.resume_at.is_some_and(Deadline::has_passed) {
            self.resume_at = None;
            if self
                .wait_set
                .add(&self.socket, SOCKET_TOKEN, Interest::Read, WatchMode::Level)
                .is_err()
            {
                self.resume_at = Some(Deadline::after(EXHAUSTED_PAUSE));
            }
        }
    }

    /// Closes what is over its time, until one turns out to be a session: what a client said in time lies there
    /// unread, where nobody has called for a while.
    fn expire(&mut self, session_free: SessionFree<'_>) -> Option<Session> {
        while let Some((token, was_decided)) = self.pendings.expired() {
            if was_decided {
                self.let_go(token);
                continue;
            }
            let session = self.go_on(token, session_free);
            if session.is_some() {
                return session;
            }
            if self.pendings.get_mut(token).is_some_and(|pending| pending.drain.is_none()) {
                self.counters.decided(Outcome::TimedOut);
                self.let_go(token);
            }
        }
        None
    }

    /// Takes the eyes off the listening socket for a while.
    #[cold]
    fn stop_accepting(&mut self) {
        self.counters.exhausted();
        if self.wait_set.remove(&self.socket).is_ok() {
            self.resume_at = Some(Deadline::after(EXHAUSTED_PAUSE));
        }
    }

    /// Forgets a pending handshake; dropping its channel closes it.
    fn let_go(&mut self, token: u64) -> Option<PacketChannel> {
        let pending = self.pendings.remove(token)?;
        // Its only failure is that it was never watched.
        let _unwatched = self.wait_set.remove(&pending.channel);
        Some(pending.channel)
    }

    fn session(
        &mut self,
        channel: PacketChannel,
        region: Option<ReadyRegion>,
        agreement: Agreement,
    ) -> Session {
        // Ids of regions that were in use were skipped.
        self.next_session_id = agreement.session_id + 1;
        self.counters.decided(Outcome::Session);
        Session::new(channel, region, agreement)
    }
}

netipc_sys::wait_object!(Listener, |listener| &listener.wait_set);
