//! The one thread of a server that never runs a handler.
//!
//! It takes clients in, sends what clients made no room for, waits for clients that were given a
//! final answer to leave, and keeps every deadline. It also stands in for the workers: when all of
//! them have been in handlers for a while, it reads requests in their stead, so that a client that
//! has left is noticed and a client of another service is not forgotten.
//!
//! It sleeps without a timeout when there is nothing to watch, and makes no system call then.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use netipc_sys::{Abort, Deadline, Event, Events, Interest, SysError, WaitSet, WatchMode};

use super::engine::{Command, Engine, Hold, Phase};
use super::region_thread;
use super::served::{Served, Service, sessions};
use super::status::End;
use super::work::Job;
use super::worker::{Scratch, stand_in};
use crate::{CHUNK_GAP_TIMEOUT, Drain, Listener};

/// How long a client may stay after a final answer.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Clients that may be waited for after a final answer; one more is not waited for.
const MAX_LEAVING: usize = 512;
/// How long all workers may be busy before the event loop reads in their stead. A dead peer is to
/// be noticed within 100 ms.
const STAND_IN_AFTER: Duration = Duration::from_millis(50);
/// The most sessions that one look takes in, so that clients which come without end keep neither
/// deadlines nor a stop waiting.
const SESSIONS_PER_LOOK: usize = 64;
/// How long the loop takes its eyes off a listener that the system refuses to accept from.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Events that one look takes.
const EVENTS_PER_LOOK: usize = 64;
/// The loop's own waker.
const WAKER_TOKEN: u64 = 0;
/// The abort handle that stops it.
const STOP_TOKEN: u64 = 1;
/// The first listener; sessions come far behind the last.
const FIRST_DOOR_TOKEN: u64 = 2;

/// See the module's text.
pub(super) struct EventLoop {
    engine: Arc<Engine>,
    watched: WaitSet,
    doors: Vec<Door>,
    /// Answers that wait for room.
    room: HashMap<u64, Arc<Served>>,
    /// Half messages.
    gaps: HashMap<u64, (Arc<Served>, Deadline)>,
    /// Clients that were given a final answer.
    leaving: HashMap<u64, Leaving>,
    /// Sessions with a region, whose sockets tell that the client has left.
    regions: HashMap<u64, Arc<Served>>,
    /// When to look at the load again, and what it was.
    load_look: Option<LoadLook>,
    scratch: Scratch,
}

/// Where the clients of a service come in. Closed when the server stops.
pub(super) struct Door {
    pub(super) listener: Listener,
    pub(super) service: Arc<Service>,
    /// Not looked at until then.
    pub(super) paused: Option<Deadline>,
}

/// What the workers were doing at the last look.
struct LoadLook {
    next: Deadline,
    looks: u64,
    /// What each worker held.
    holds: Vec<Hold>,
}

struct Leaving {
    served: Arc<Served>,
    drain: Drain,
    deadline: Deadline,
}

impl EventLoop {
    pub(super) fn new(engine: Arc<Engine>, listeners: Vec<Listener>) -> Result<Self, SysError> {
        let watched = WaitSet::new()?;
        watched.add(&engine.loop_waker, WAKER_TOKEN, Interest::Read, WatchMode::Level)?;
        let mut doors = Vec::with_capacity(listeners.len());
        for (listener, service) in listeners.into_iter().zip(&engine.services) {
            let token = door_token(doors.len());
            watched.add(&listener, token, Interest::Read, WatchMode::Level)?;
            doors.push(Door { listener, service: Arc::clone(service), paused: None });
        }
        Ok(Self {
            engine,
            watched,
            doors,
            room: HashMap::new(),
            gaps: HashMap::new(),
            leaving: HashMap::new(),
            regions: HashMap::new(),
            load_look: None,
            scratch: Scratch::default(),
        })
    }

    /// Runs until the server stops, by itself or by `stop`. Whatever happens, it stops then.
    ///
    /// # Errors
    /// The system refused to wait.
    pub(super) fn run(mut self, stop: Option<&Abort>) -> Result<(), SysError> {
        let engine = Arc::clone(&self.engine);
        if let Some(stop) = stop {
            self.watched.add(stop, STOP_TOKEN, Interest::Read, WatchMode::Level)?;
        }
        let mut events = Events::with_capacity(EVENTS_PER_LOOK);
        let outcome = loop {
            if let Err(error) = self.watched.wait(&mut events, self.next_deadline()) {
                break Err(error);
            }
            for event in events.iter() {
                self.take_event(event);
            }
            for command in engine.take_commands() {
                self.obey(command);
            }
            self.keep_deadlines();
            self.look_at_load();
            match engine.phase() {
                Phase::Running => {}
                Phase::Draining => self.close_doors(false),
                Phase::Stopping => break Ok(()),
            }
            if engine.phase() == Phase::Draining && !engine.has_sessions() {
                break Ok(());
            }
        };
        engine.enter(Phase::Stopping);
        while let Some(job) = engine.work.take() {
            if let Job::Request { served, .. } = job {
                engine.end(&served, End::Stopped);
                served.give_up();
            }
        }
        self.close_doors(true);
        outcome
    }

    fn take_event(&mut self, event: Event) {
        if event.token == WAKER_TOKEN {
            // Before the commands are looked at, so that none is missed.
            self.engine.loop_waker.reset();
        } else if event.token == STOP_TOKEN {
            self.engine.enter(Phase::Stopping);
        } else if let Some(index) = door_index(event.token, self.doors.len()) {
            self.accept(index);
        } else if let Some(leaving) = self.leaving.get_mut(&event.token) {
            if !matches!(leaving.drain.advance(&leaving.served.session), Ok(None)) {
                self.let_go(event.token);
            }
        } else if let Some(served) = self.room.get(&event.token).cloned() {
            self.send_rest(&served);
        } else if let Some(served) = self.regions.get(&event.token) {
            // Nothing is sent there after the handshake: whatever shows is the end. One that has its
            // final answer may leave: the command to see it off is on its way.
            if !served.has_final_answer() {
                self.engine.end(served, End::Left);
            }
        }
    }

    /// Takes in every client whose handshake is complete.
    fn accept(&mut self, index: usize) {
        let Some(door) = self.doors.get_mut(index) else { return };
        // More than these are still readable at the next look.
        for _ in 0..SESSIONS_PER_LOOK {
            let free = || is_session_free(&self.engine, &door.service);
            match door.listener.try_accept(free) {
                Ok(Some(session)) => {
                    let served = self.engine.admit(session, &door.service);
                    if served.is_in_region() {
                        serve_region(&self.engine, &self.watched, &mut self.regions, served);
                    }
                }
                Ok(None) => return,
                Err(_refused) => {
                    // Readable all the while: without a pause this would be a busy loop.
                    let _absent = self.watched.remove(&door.listener);
                    door.paused = Some(Deadline::after(ACCEPT_PAUSE));
                    return;
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::WatchRoom(served) => self.watch_room(served),
            Command::Drain(served) => self.drain(served),
            // Over already: its `Forget` came first.
            Command::WatchGap(served) if served.is_over() => {}
            Command::WatchGap(served) => {
                let deadline = Deadline::after(CHUNK_GAP_TIMEOUT);
                self.gaps.insert(served.token, (served, deadline));
            }
            Command::Forget(token) => {
                if let Some(served) = self.room.remove(&token) {
                    let _absent = self.watched.remove(&served.session);
                }
                self.gaps.remove(&token);
                self.unwatch_region(token);
            }
        }
    }

    fn watch_room(&mut self, served: Arc<Served>) {
        if served.is_over() {
            return;
        }
        let (token, mode) = (served.token, WatchMode::Level);
        if self.watched.add(&served.session, token, Interest::Write, mode).is_err() {
            return self.engine.end(&served, End::Failed);
        }
        self.room.insert(token, served);
    }

    fn send_rest(&mut self, served: &Arc<Served>) {
        // Before the flush, because an answer that finds no room after it asks to be watched again.
        let _absent = self.watched.remove(&served.session);
        self.room.remove(&served.token);
        if !served.flush(&self.engine) {
            self.watch_room(Arc::clone(served));
        }
    }

    /// The client has its final answer, and is to leave before the session is closed: closing with
    /// something unread would overtake the answer (spec section 6).
    fn drain(&mut self, served: Arc<Served>) {
        self.engine.withdraw(&served);
        self.gaps.remove(&served.token);
        self.unwatch_region(served.token);
        let mut drain = Drain::begin(&served.session);
        let gone = !matches!(drain.advance(&served.session), Ok(None));
        let (token, mode) = (served.token, WatchMode::Level);
        if gone
            || self.leaving.len() >= MAX_LEAVING
            || self.watched.add(&served.session, token, Interest::Read, mode).is_err()
        {
            return self.engine.end(&served, End::Answered);
        }
        let deadline = Deadline::after(LEAVE_TIMEOUT);
        self.leaving.insert(token, Leaving { served, drain, deadline });
    }

    fn unwatch_region(&mut self, token: u64) {
        if let Some(served) = self.regions.remove(&token) {
            let _absent = self.watched.remove(&served.session);
        }
    }

    fn let_go(&mut self, token: u64) {
        if let Some(leaving) = self.leaving.remove(&token) {
            let _absent = self.watched.remove(&leaving.served.session);
            self.engine.end(&leaving.served, End::Answered);
        }
    }

    fn next_deadline(&self) -> Deadline {
        let doors = self.doors.iter().map(|door| {
            door.paused.unwrap_or(Deadline::never()).earlier(door.listener.next_deadline())
        });
        let load = self.load_look.as_ref().map(|look| look.next);
        doors
            .chain(self.room.values().map(|served| served.send_deadline()))
            .chain(self.gaps.values().map(|(_served, deadline)| *deadline))
            .chain(self.leaving.values().map(|leaving| leaving.deadline))
            .chain(load)
            .fold(Deadline::never(), Deadline::earlier)
    }

    fn keep_deadlines(&mut self) {
        for index in 0..self.doors.len() {
            self.keep_door(index);
        }
        for served in due(&self.room, |served| served.send_deadline()) {
            self.engine.end(&served, End::NotRead);
        }
        for (served, _deadline) in due(&self.gaps, |(_served, deadline)| *deadline) {
            self.look_at_gap(&served);
        }
        let gone = self.leaving.iter().filter(|(_, leaving)| leaving.deadline.has_passed());
        for token in gone.map(|(token, _)| *token).collect::<Vec<_>>() {
            self.let_go(token);
        }
    }

    fn keep_door(&mut self, index: usize) {
        let Some(door) = self.doors.get_mut(index) else { return };
        if door.paused.is_some_and(Deadline::has_passed) {
            let mode = WatchMode::Level;
            let back = self.watched.add(&door.listener, door_token(index), Interest::Read, mode);
            door.paused = back.err().map(|_refused| Deadline::after(ACCEPT_PAUSE));
        }
        if door.paused.is_none() && door.listener.next_deadline().has_passed() {
            self.accept(index);
        }
    }

    /// A message had begun a while ago: it is whole by now, goes on, or is given up.
    fn look_at_gap(&mut self, served: &Arc<Served>) {
        let inbox = served.inbox();
        let Some(since) = inbox.partial_since() else {
            // Under the inbox's lock: whoever begins the next message sees it.
            served.gap_watched.store(false, Ordering::Relaxed);
            self.gaps.remove(&served.token);
            return;
        };
        drop(inbox);
        let mut left = CHUNK_GAP_TIMEOUT.saturating_sub(Instant::now().duration_since(since));
        if left.is_zero() {
            // The rest may be there, and the workers too busy to have read it: receiving tells, and
            // ends the session if it is not.
            stand_in(&self.engine, served.token, &mut self.scratch);
            left = CHUNK_GAP_TIMEOUT;
        }
        if served.is_over() {
            self.gaps.remove(&served.token);
        } else {
            self.gaps.insert(served.token, (Arc::clone(served), Deadline::after(left)));
        }
    }

    /// Reads in the workers' stead if none has looked for requests in a while, and takes from them the
    /// sessions that they keep to themselves for as long.
    fn look_at_load(&mut self) {
        let looks = self.engine.load.looks();
        match self.load_look.take() {
            None if self.engine.load.is_watched() => {}
            Some(last) if last.next.has_passed() => {
                if self.engine.unwatch() {
                    return;
                }
                if last.looks == looks {
                    self.stand_in();
                }
                for hold in self.engine.holds().filter(|hold| last.holds.contains(hold)) {
                    if let Some(served) = self.engine.session(hold.token) {
                        served.release(&self.engine);
                    }
                }
            }
            other => {
                self.load_look = other;
                return;
            }
        }
        let holds = self.engine.holds().collect();
        self.load_look = Some(LoadLook { next: Deadline::after(STAND_IN_AFTER), looks, holds });
    }

    fn stand_in(&mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_LOOK);
        let now = Deadline::after(Duration::ZERO);
        if self.engine.requests.wait(&mut events, now).is_ok() {
            for event in events.iter() {
                stand_in(&self.engine, event.token, &mut self.scratch);
            }
        }
    }

    /// Nobody comes in any more, and sessions end as soon as nothing is worked on; with `now`, those
    /// that wait for their client, too.
    fn close_doors(&mut self, now: bool) {
        if !self.doors.is_empty() {
            // Dropping a listener takes it out of the set, gives its name back and ends handshakes.
            self.doors.clear();
            self.end_idle_sessions(now);
        } else if now {
            self.end_idle_sessions(now);
        }
        if now {
            for token in self.leaving.keys().copied().collect::<Vec<_>>() {
                self.let_go(token);
            }
        }
    }

    fn end_idle_sessions(&self, now: bool) {
        for served in self.engine.all_sessions() {
            served.end_if_idle(&self.engine, now);
        }
    }
}

/// Has a thread serve a session with a region, and its client watched.
fn serve_region(
    engine: &Arc<Engine>,
    watched: &WaitSet,
    regions: &mut HashMap<u64, Arc<Served>>,
    served: Arc<Served>,
) {
    let (token, mode) = (served.token, WatchMode::Level);
    if watched.add(&served.session, token, Interest::Read, mode).is_err() {
        return engine.end(&served, End::Failed);
    }
    region_thread::start(engine, &served);
    regions.insert(token, served);
}

/// Whether one session more may be made. Before a client is told BUSY, sessions whose client has
/// left unnoticed so far are ended: it may be that very client that comes again.
fn is_session_free(engine: &Engine, service: &Arc<Service>) -> bool {
    if sessions(service) < service.max_sessions {
        return true;
    }
    for served in engine.all_sessions() {
        if Arc::ptr_eq(&served.service, service) && served.session.peer_gone() != Ok(false) {
            engine.end(&served, End::Left);
        }
    }
    sessions(service) < service.max_sessions
}

/// Those whose deadline has passed.
fn due<T: Clone>(watched: &HashMap<u64, T>, deadline: impl Fn(&T) -> Deadline) -> Vec<T> {
    watched.values().filter(|watch| deadline(watch).has_passed()).cloned().collect()
}

const fn door_token(index: usize) -> u64 {
    index as u64 + FIRST_DOOR_TOKEN
}

fn door_index(token: u64, doors: usize) -> Option<usize> {
    let index = usize::try_from(token.checked_sub(FIRST_DOOR_TOKEN)?).ok()?;
    (index < doors).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, PATIENCE, met};
    use super::*;

    #[test]
    fn a_session_whose_worker_does_not_come_back_is_everybodys_again() {
        let fixture = Fixture::new(2);
        let Fixture { engine, served, .. } = &fixture;
        let event_loop = EventLoop::new(Arc::clone(engine), Vec::new()).expect("a loop");
        // As a worker does that stays with it, and whose handler does not return.
        assert!(served.hold(engine));
        let place = engine.places.first().expect("two");
        assert!(place.hold(served.token) && engine.load.watch());
        engine.loop_waker.wake();
        fixture.request();
        assert_eq!(met(engine), None, "it is the worker's alone");
        let mut events = Events::with_capacity(1);
        std::thread::scope(|scope| {
            let looping = scope.spawn(|| event_loop.run(None));
            let soon = Deadline::after(PATIENCE / 2);
            let waited = engine.requests.wait(&mut events, soon);
            let token = events.iter().next().map(|event| event.token);
            engine.enter(Phase::Stopping);
            looping.join().expect("no panic").expect("stopped");
            assert_eq!((waited, token), (Ok(1), Some(served.token)));
        });
    }
}
