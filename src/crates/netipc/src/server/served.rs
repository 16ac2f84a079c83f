//! A session as the server sees it: what is being worked on, and answers that wait for their
//! reader.
//!
//! ```text
//!              begin                       answer
//!   armed ──────────────▶ in flight ──────────────────▶ sent            the session is armed again
//!     ▲    a worker reads     │   no room in the socket                 as soon as it has room for
//!     └── while below the     └──────▶ outbox ─────────▶ sent by the    another request
//!         in-flight limit                                event loop
//! ```
//!
//! Nothing here waits: what cannot be sent now is left to the event loop, with a deadline. What a
//! session holds is bounded by its in-flight limit, because an answer that was not sent still
//! counts.

use std::collections::VecDeque;
use std::fmt::Arguments;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netipc_sys::{Deadline, Interest, WatchMode};

use super::config::SEND_TIMEOUT;
use super::dispatch::Dispatch;
use super::engine::{Command, Engine, Phase};
use super::status::{Counters, End, Tally, Totals, add};
use crate::events::{Event, Level, Side};
use crate::{Header, Inbox, Outgoing, ResponseLimit, SendError, Session, Status};

/// One service of an engine: what its sessions share.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) dispatch: Box<dyn Dispatch>,
    pub(super) max_sessions: u32,
    pub(super) max_in_flight: u32,
    pub(super) response_limit: ResponseLimit,
    pub(super) response_ceiling: u32,
    pub(super) counters: Counters,
}

impl Service {
    /// Tells of something that happened on one of its sessions.
    pub(super) fn tell(
        &self,
        level: Level,
        what: &'static str,
        session_id: u64,
        detail: Arguments<'_>,
    ) {
        let event =
            Event { level, side: Side::Server, place: &self.name, session_id, what, detail };
        event.tell();
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A session and what the server knows of it.
#[derive(Debug)]
pub(super) struct Served {
    /// Its name in the wait sets, never used again in the engine's lifetime.
    pub(super) token: u64,
    pub(super) session: Session,
    pub(super) service: Arc<Service>,
    /// Taken by whoever holds the session's one-shot event: hardly ever contended.
    inbox: Mutex<Inbox>,
    /// The event loop looks after the gap between chunks.
    pub(super) gap_watched: AtomicBool,
    /// Over: what is still worked on is of no use any more.
    over: AtomicBool,
    /// Whether it counts among the service's sessions.
    slot: AtomicBool,
    /// Added to in the state's turn.
    tally: Tally,
    state: Mutex<State>,
}

/// Bytes of answers that wait for their reader, from which on no further request of a session is
/// read; one answer of the session's limit may be more. Enough for a client that sends its requests
/// before it reads its answers, as long as both are of the usual size.
const HELD_ANSWER_BYTES: usize = 1 << 20;

#[derive(Debug)]
struct State {
    /// Requests read, and not answered all the way.
    in_flight: u32,
    /// Whether the next request is waited for, or being read.
    armed: bool,
    /// A thread looks for the next request by itself, and nobody else is told of it: a worker for a
    /// while, or, for good, the thread of a region.
    held: bool,
    /// A final answer was given: nothing is read or answered after it.
    last_given: bool,
    /// The service has taken over what this session counts.
    counted: bool,
    /// Answers that the client has made no room for, the first perhaps sent in part.
    outbox: VecDeque<Answer>,
}

#[derive(Debug)]
struct Answer {
    message: Outgoing,
    payload: Vec<u8>,
    deadline: Deadline,
}

/// What is to be done once the state is unlocked.
#[derive(Clone, Copy)]
enum Next {
    Nothing,
    /// The event loop sends the rest.
    WatchRoom,
    /// The final answer is out.
    Drain,
    Over(End),
}

impl Served {
    /// Takes one of the service's sessions, until it is over.
    pub(super) fn new(token: u64, session: Session, service: Arc<Service>) -> Self {
        let in_region = session.profile().is_shared_memory();
        service.counters.sessions.fetch_add(1, Ordering::Relaxed);
        if in_region {
            service.counters.in_regions.fetch_add(1, Ordering::Relaxed);
        }
        let inbox = Mutex::new(session.inbox());
        let state = State {
            in_flight: 0,
            armed: !in_region,
            held: in_region,
            last_given: false,
            counted: false,
            outbox: VecDeque::new(),
        };
        Self {
            token,
            session,
            service,
            inbox,
            gap_watched: AtomicBool::new(false),
            over: AtomicBool::new(false),
            slot: AtomicBool::new(true),
            tally: Tally::default(),
            state: Mutex::new(state),
        }
    }

    /// What arrives. Nobody else wants it while the session's event has not come, or it is held.
    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has a region, and a thread of its own that keeps it.
    pub(super) const fn is_in_region(&self) -> bool {
        self.session.profile().is_shared_memory()
    }

    /// Whether a final answer was given: its end is that answer.
    pub(super) fn has_final_answer(&self) -> bool {
        self.state().last_given
    }

    /// Whether anything more is read.
    pub(super) fn is_read(&self, engine: &Engine) -> bool {
        self.reads(&self.state(), engine)
    }

    /// Whether answers are of no use any more.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Waits for the rest of a message, or for one where there was none.
    pub(super) fn arm_again(self: &Arc<Self>, engine: &Engine) {
        let mut state = self.state();
        // Whoever keeps the session looks again, or gives it back.
        engine.event_came(&mut state.armed);
        let armed = state.held || state.armed || self.arm(&mut state, engine);
        drop(state);
        if !armed {
            engine.end(self, End::Failed);
        }
    }

    /// A request of `payload_len` bytes was read. False when nothing may come of it, because the session is over or the
    /// server reads no more. Otherwise the next request is waited for at once, if the session may
    /// have another in flight and does not leave too many answers unread.
    pub(super) fn begin(self: &Arc<Self>, engine: &Engine, payload_len: u32) -> bool {
        let mut state = self.state();
        let request_bytes = payload_len.into();
        if self.is_over() || state.last_given || engine.phase() != Phase::Running {
            self.add(&state, Totals { request_bytes, ..Totals::default() });
            return false;
        }
        state.in_flight += 1;
        self.add(&state, Totals { in_flight: 1, request_bytes, ..Totals::default() });
        if !state.held {
            engine.event_came(&mut state.armed);
        }
        let armed = state.held || self.arm_if_due(&mut state, engine);
        if !armed {
            self.finish_one(&mut state);
        }
        drop(state);
        if !armed {
            engine.end(self, End::Failed);
        }
        armed
    }

    /// Waits for the next request, unless enough are in flight; false when the system refused.
    fn arm_if_due(&self, state: &mut State, engine: &Engine) -> bool {
        if state.in_flight >= self.service.max_in_flight || self.holds_enough(state) {
            self.disarm(state, engine);
            return true;
        }
        state.armed || self.arm(state, engine)
    }

    /// Waits for nothing; a failure is reported once.
    fn disarm(&self, state: &mut State, engine: &Engine) {
        if std::mem::take(&mut state.armed) {
            let mode = WatchMode::OneShot;
            let (session, token) = (&self.session, self.token);
            // Refused only where it is not watched any more.
            let _absent = engine.requests.modify(session, token, Interest::Nothing, mode);
        }
    }

    /// Keeps the session for the worker that has just answered on it, who looks for the next request
    /// by itself: nobody else is told of that until [`release`](Self::release). False when others
    /// work for it, too, or nothing more is read.
    pub(super) fn hold(self: &Arc<Self>, engine: &Engine) -> bool {
        let mut state = self.state();
        if state.in_flight > 0 || !self.reads(&state, engine) {
            return false;
        }
        if !engine.has_one_worker() {
            self.disarm(&mut state, engine);
        }
        state.held = true;
        true
    }

    /// The session is everybody's again.
    pub(super) fn release(self: &Arc<Self>, engine: &Engine) {
        let mut state = self.state();
        if !std::mem::take(&mut state.held) {
            return;
        }
        let armed = state.armed || self.arm_if_due(&mut state, engine);
        drop(state);
        if !armed {
            engine.end(self, End::Failed);
        }
    }

    /// Whether the answers that wait for their reader take as much memory as they may.
    fn holds_enough(&self, state: &State) -> bool {
        let held: usize = state.outbox.iter().map(|answer| answer.payload.len()).sum();
        held >= HELD_ANSWER_BYTES.max(self.session.terms().response.payload_bytes as usize)
    }

    /// Begins what will be answered with a final status: nothing more is read.
    pub(super) fn begin_last(&self, engine: &Engine) -> bool {
        let mut state = self.state();
        if self.is_over() || state.last_given || engine.phase() != Phase::Running {
            return false;
        }
        state.in_flight += 1;
        self.add(&state, Totals { in_flight: 1, ..Totals::default() });
        if !state.held {
            engine.event_came(&mut state.armed);
        }
        self.disarm(&mut state, engine);
        true
    }

    /// Answers a request that was begun, now or as soon as the client has read what came before.
    pub(super) fn answer(self: &Arc<Self>, engine: &Engine, header: &Header, payload: &[u8]) {
        let mut state = self.state();
        let next = if self.is_over() || state.last_given {
            self.finish_one(&mut state);
            Next::Nothing
        } else {
            self.count(&state, header);
            state.last_given = !header.status.keeps_session();
            self.send_or_keep(&mut state, engine, header, payload)
        };
        drop(state);
        self.go_on(engine, next);
    }

    /// A request that was begun is never answered: the session is over.
    pub(super) fn give_up(&self) {
        self.finish_one(&mut self.state());
    }

    /// There is room for more of what waits. For the event loop; true when nothing waits any more.
    pub(super) fn flush(self: &Arc<Self>, engine: &Engine) -> bool {
        let mut state = self.state();
        while let Some(answer) = state.outbox.front_mut() {
            match self.session.try_send(&mut answer.message, &answer.payload) {
                Ok(true) => {
                    state.outbox.pop_front();
                    if let Some(next) = state.outbox.front_mut() {
                        next.deadline = Deadline::after(SEND_TIMEOUT);
                    }
                    self.finish_one(&mut state);
                }
                Ok(false) => {
                    // What was sent may have been all that kept the next request from being read: a
                    // client that reads an answer and sends a request, in turn, waits in sending.
                    let armed = state.held || self.arm_if_due(&mut state, engine);
                    drop(state);
                    if !armed {
                        engine.end(self, End::Failed);
                    }
                    return !armed;
                }
                Err(error) => {
                    drop(state);
                    engine.end(self, end_of(error));
                    return true;
                }
            }
        }
        let next = self.after_sending(&mut state, engine);
        drop(state);
        self.go_on(engine, next);
        true
    }

    /// Until when the client must have read the first answer that waits; never when none does.
    pub(super) fn send_deadline(&self) -> Deadline {
        self.state().outbox.front().map_or(Deadline::never(), |answer| answer.deadline)
    }

    /// Ends the session if nothing is being worked on. With `now`, also if answers wait for their
    /// reader, which are given up. For a server that stops or drains.
    pub(super) fn end_if_idle(self: &Arc<Self>, engine: &Engine, now: bool) {
        let state = self.state();
        let idle = state.in_flight == 0;
        // What is given up may be out in part: nothing may follow it, not what is worked on either.
        let gives_up = now && !state.outbox.is_empty();
        drop(state);
        if idle || gives_up {
            engine.end(self, End::Stopped);
        }
    }

    /// Marks the session as over and forgets what waits; false when it was over already.
    pub(super) fn set_over(&self) -> bool {
        let mut state = self.state();
        if self.over.swap(true, Ordering::Relaxed) {
            return false;
        }
        while state.outbox.pop_front().is_some() {
            self.finish_one(&mut state);
        }
        if state.in_flight == 0 {
            self.release_slot();
        }
        true
    }

    /// Makes room for another session. One that is over, or has its final answer, keeps its place
    /// while handlers still work for it, so that clients which come and go cannot pile up work.
    fn release_slot(&self) {
        if self.slot.swap(false, Ordering::Relaxed) {
            self.service.counters.sessions.fetch_sub(1, Ordering::Relaxed);
            if self.is_in_region() {
                self.service.counters.in_regions.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn send_or_keep(
        self: &Arc<Self>,
        state: &mut State,
        engine: &Engine,
        header: &Header,
        payload: &[u8],
    ) -> Next {
        let first = state.outbox.is_empty();
        let sent = self.session.outgoing(header, payload).and_then(|mut message| {
            let sent = first && self.session.try_send(&mut message, payload)?;
            Ok((message, sent))
        });
        let message = match sent {
            Ok((message, false)) if engine.phase() != Phase::Stopping => message,
            outcome => {
                self.finish_one(state);
                return match outcome {
                    Ok((_message, true)) => self.after_sending(state, engine),
                    Ok((_message, false)) => Next::Over(End::Stopped),
                    Err(error) => Next::Over(end_of(error)),
                };
            }
        };
        let deadline = Deadline::after(SEND_TIMEOUT);
        state.outbox.push_back(Answer { message, payload: payload.to_vec(), deadline });
        if first { Next::WatchRoom } else { Next::Nothing }
    }

    /// What follows when no answer waits.
    fn after_sending(&self, state: &mut State, engine: &Engine) -> Next {
        // A server that stops waits for no client to leave.
        if state.last_given && engine.phase() != Phase::Stopping {
            return Next::Drain;
        }
        if engine.phase() != Phase::Running {
            return if state.in_flight == 0 { Next::Over(End::Stopped) } else { Next::Nothing };
        }
        if !state.armed && !state.held && !self.arm(state, engine) {
            return Next::Over(End::Failed);
        }
        Next::Nothing
    }

    fn go_on(self: &Arc<Self>, engine: &Engine, next: Next) {
        match next {
            Next::Nothing => {}
            Next::WatchRoom => engine.command(Command::WatchRoom(Arc::clone(self))),
            Next::Drain => engine.command(Command::Drain(Arc::clone(self))),
            Next::Over(end) => engine.end(self, end),
        }
    }

    /// Waits for the next request; false when the system refused.
    fn arm(&self, state: &mut State, engine: &Engine) -> bool {
        if !self.reads(state, engine) {
            return true;
        }
        state.armed = true;
        let (session, mode) = (&self.session, engine.watch_mode());
        engine.requests.modify(session, self.token, Interest::Read, mode).is_ok()
    }

    /// Whether anything more is read.
    fn reads(&self, state: &State, engine: &Engine) -> bool {
        !self.is_over() && !state.last_given && engine.phase() == Phase::Running
    }

    fn finish_one(&self, state: &mut State) {
        state.in_flight = state.in_flight.saturating_sub(1);
        self.add(state, Totals { in_flight: ONE_LESS, ..Totals::default() });
        // With its final answer it is not a session any more: its client may come again at once.
        if state.in_flight == 0 && (self.is_over() || state.last_given) {
            self.release_slot();
        }
    }

    fn count(&self, state: &State, answer: &Header) {
        let counters = &self.service.counters;
        let response_bytes = answer.payload_len.into();
        let ok = u64::from(answer.status.is_ok());
        self.add(state, Totals { ok, response_bytes, ..Totals::default() });
        match answer.status {
            Status::OK => {}
            Status::UNSUPPORTED => add(&counters.unsupported, 1),
            Status::BAD_ENVELOPE => add(&counters.bad_envelope, 1),
            Status::LIMIT_EXCEEDED => add(&counters.limit_exceeded, 1),
            _ => add(&counters.internal_error, 1),
        }
    }

    fn add(&self, state: &State, totals: Totals) {
        match state.counted {
            false => self.tally.add_alone(totals),
            true => self.service.counters.tally.add(totals),
        }
    }

    /// What the session counts until its service takes that over.
    pub(super) fn totals(&self) -> Totals {
        self.tally.totals()
    }

    /// From here on the service counts, what was counted so far included.
    pub(super) fn hand_over_counts(&self) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.counted, true) {
            self.service.counters.tally.add(self.totals());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.release_slot();
    }
}

/// Added to what wraps, it takes 1 away.
const ONE_LESS: u64 = u64::MAX;

const fn end_of(error: SendError) -> End {
    match error {
        SendError::PeerGone => End::Left,
        SendError::BrokenRegion(_) => End::Violated,
        _ => End::Failed,
    }
}

/// Sessions of a service now.
pub(super) fn sessions(service: &Service) -> u32 {
    let sessions: &AtomicU32 = &service.counters.sessions;
    sessions.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use netipc_sys::Abort;

    use super::super::fixture::{Fixture, METHOD, PATIENCE, meets, met};
    use super::*;
    use crate::{Proposal, ReceiveError};

    #[test]
    fn the_next_request_is_read_as_soon_as_fewer_are_in_flight_though_answers_wait() {
        let fixture = Fixture::new(2);
        let Fixture { engine, served, client, .. } = &fixture;
        let payload = vec![0; served.session.terms().response.payload_bytes as usize];
        let answer = Header::response(&Header::request(METHOD, 1, 0), payload.len() as u32);
        let most = served.service.max_in_flight as usize;
        while served.state().outbox.len() < most {
            assert!(served.begin(engine, 0));
            served.answer(engine, &answer, &payload);
        }
        // The last request that may be in flight, and its event.
        fixture.request();
        assert_eq!(meets(engine), Some(served.token));
        assert!(served.begin(engine, 0));
        served.give_up();
        assert_eq!(met(engine), None);
        let (deadline, abort) = (Deadline::after(PATIENCE), Abort::new().expect("abort"));
        client.receive(&mut client.inbox(), deadline, &abort).expect("an answer");
        // What was read makes room, of which a pipe tells a moment later.
        let until = Deadline::after(PATIENCE);
        while served.state().outbox.len() == most && !until.has_passed() {
            assert!(!served.flush(engine), "most answers wait");
        }
        assert_eq!(meets(engine), Some(served.token));
    }

    #[test]
    fn nothing_follows_an_answer_that_a_stop_has_cut_short() {
        // In many packets, of which some find room.
        let proposal = Proposal { packet_size: 96, ..Proposal::default() };
        let fixture = Fixture::proposing(2, &proposal);
        let Fixture { engine, served, client, .. } = &fixture;
        let payload = vec![0; served.session.terms().response.payload_bytes as usize];
        let answer = Header::response(&Header::request(METHOD, 1, 0), payload.len() as u32);
        while served.state().outbox.is_empty() {
            assert!(served.begin(engine, 0));
            served.answer(engine, &answer, &payload);
        }
        // Its handler runs on.
        assert!(served.begin(engine, 0));
        engine.enter(Phase::Stopping);
        served.end_if_idle(engine, true);
        let (deadline, abort) = (Deadline::after(PATIENCE), Abort::new().expect("abort"));
        let mut inbox = client.inbox();

        assert!(client.receive(&mut inbox, deadline, &abort).is_ok());
        // There is room by now.
        served.answer(engine, &Header::response(&answer, 0), b"");
        engine.end_all();
        let end = loop {
            if let Err(error) = client.receive(&mut inbox, deadline, &abort) {
                break error;
            }
        };
        assert!(matches!(end, ReceiveError::Closed | ReceiveError::BrokenOff), "{end}");
    }
}
