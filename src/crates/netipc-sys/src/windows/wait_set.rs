//! Many sources, one sleeping thread: what epoll is elsewhere, kept in this process.
//!
//! ```text
//!   source ── may be ready ──▶ place in the set ──▶ queue ──▶ a waiting thread asks the source
//!                              (armed, not queued)             shows something: an event
//!                                                              shows nothing: out of the queue
//! ```
//!
//! What is in the queue may have been taken meanwhile, so it is asked before it is reported; a source that
//! reports again and again goes back into the queue, and is asked again at the next wait. With
//! [`WatchMode::OneShot`] several threads may wait on one set: each event goes to one of them, and its
//! source stays silent until that thread arms it again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, ERROR_NOT_FOUND};

use super::Abort;
use super::handle::refused;
use super::source::{Pollable, Shown, SourceId, WaitSource, Waitable, Watchers};
use crate::{Deadline, Event, Events, Interest, SysError, WaitError, WatchMode};

/// A set of sources to sleep on: channels, listeners, wakers, abort handles, other sets.
///
/// A source that is closed leaves its sets by itself. All methods take `&self` and may run while other
/// threads wait.
#[derive(Debug)]
pub struct WaitSet(Arc<SetCore>);

/// See the module's text.
#[derive(Default)]
pub(super) struct SetCore {
    state: Mutex<State>,
    /// Something is in the queue.
    queued: Condvar,
    watchers: Watchers,
}

#[derive(Default)]
struct State {
    places: HashMap<SourceId, Place>,
    /// Those that may be ready, each once.
    queue: VecDeque<SourceId>,
    waiting: usize,
}

/// A source's place in a set.
struct Place {
    source: Weak<dyn Pollable>,
    token: u64,
    interest: Interest,
    mode: WatchMode,
    /// A one-shot place is not, from its event on.
    armed: bool,
    queued: bool,
}

impl WaitSet {
    /// An empty set.
    ///
    /// # Errors
    /// None here; on other platforms it needs a descriptor.
    pub fn new() -> Result<Self, SysError> {
        Ok(Self(Arc::default()))
    }

    /// Adds a source, which reports itself as `token`.
    ///
    /// # Errors
    /// It is in the set already.
    pub fn add(
        &self,
        source: impl Waitable,
        token: u64,
        interest: Interest,
        mode: WatchMode,
    ) -> Result<(), SysError> {
        let source = source.wait_source();
        let (id, pollable) = (source.id(), Arc::downgrade(&source.0));
        let place = Place { source: pollable, token, interest, mode, armed: true, queued: false };
        let mut state = self.0.lock();
        if state.places.contains_key(&id) {
            return Err(refused("add to a wait set")(ERROR_ALREADY_EXISTS));
        }
        state.places.insert(id, place);
        drop(state);
        source.0.watchers().add(&self.0);
        self.0.look_at(&source);
        Ok(())
    }

    /// Changes what a source is watched for; arms a one-shot one again. Something that is ready already is
    /// reported.
    ///
    /// # Errors
    /// It is not in the set.
    pub fn modify(
        &self,
        source: impl Waitable,
        token: u64,
        interest: Interest,
        mode: WatchMode,
    ) -> Result<(), SysError> {
        let source = source.wait_source();
        let mut state = self.0.lock();
        let Some(place) = state.places.get_mut(&source.id()) else {
            return Err(refused("change a wait set")(ERROR_NOT_FOUND));
        };
        place.token = token;
        place.interest = interest;
        place.mode = mode;
        place.armed = true;
        drop(state);
        self.0.look_at(&source);
        Ok(())
    }

    /// Removes a source. Events of it that a wait has already returned stay where they are.
    ///
    /// # Errors
    /// It is not in the set.
    pub fn remove(&self, source: impl Waitable) -> Result<(), SysError> {
        let source = source.wait_source();
        let was_there = self.0.lock().places.remove(&source.id()).is_some();
        source.0.watchers().remove(&self.0);
        if was_there { Ok(()) } else { Err(refused("remove from a wait set")(ERROR_NOT_FOUND)) }
    }

    /// Sleeps until something is ready or the deadline passes; returns how many events came, zero
    /// at the deadline. To end it earlier, put a [`Waker`](crate::Waker) or an
    /// [`Abort`](crate::Abort) into the set.
    ///
    /// # Errors
    /// None here.
    pub fn wait(&self, events: &mut Events, deadline: Deadline) -> Result<usize, SysError> {
        events.clear();
        let mut state = self.0.lock();
        loop {
            state.take_ready(events);
            if !events.is_empty() || deadline.has_passed() {
                return Ok(events.len());
            }
            state.waiting += 1;
            state = match deadline.remaining() {
                None => self.0.queued.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let woken = self.0.queued.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.waiting -= 1;
        }
    }
}

impl Waitable for WaitSet {
    fn wait_source(&self) -> WaitSource {
        WaitSource(Arc::<SetCore>::clone(&self.0))
    }
}

impl SetCore {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self) -> SourceId {
        SourceId::of(self)
    }

    /// Asks a source that was just armed, which tells later if it shows nothing now.
    fn look_at(&self, source: &WaitSource) {
        let state = self.lock();
        let Some(place) = state.places.get(&source.id()) else { return };
        let interest = place.interest;
        if source.0.poll(interest).of_interest(interest).is_some() {
            self.enqueue(state, source.id());
        }
    }

    /// A source says that it may be ready.
    pub(super) fn may_be_ready(&self, id: SourceId) {
        self.enqueue(self.lock(), id);
    }

    fn enqueue(&self, mut state: MutexGuard<'_, State>, id: SourceId) {
        let Some(place) = state.places.get_mut(&id) else { return };
        if !place.armed || place.queued || place.interest == Interest::Nothing {
            return;
        }
        place.queued = true;
        state.queue.push_back(id);
        let has_sleeper = state.waiting > 0;
        drop(state);
        if has_sleeper {
            self.queued.notify_one();
        }
        self.watchers.notify(self.id());
    }

    /// A source is gone.
    pub(super) fn forget(&self, id: SourceId) {
        self.lock().places.remove(&id);
    }
}

impl State {
    /// Asks what is in the queue, each source once, and moves what shows something into `events`.
    fn take_ready(&mut self, events: &mut Events) {
        for _ in 0..self.queue.len() {
            if events.len() == events.capacity() {
                return;
            }
            let Some(id) = self.queue.pop_front() else { return };
            let Some((token, shown)) = self.ask(id) else { continue };
            if let Some(place) = self.places.get_mut(&id) {
                place.armed = place.mode == WatchMode::Level;
                if place.armed {
                    place.queued = true;
                    self.queue.push_back(id);
                }
            }
            let Shown { readable, writable, closed } = shown;
            events.extend([Event { token, readable, writable, closed }]);
        }
    }

    /// What a source from the queue shows of what it is watched for.
    fn ask(&mut self, id: SourceId) -> Option<(u64, Shown)> {
        let place = self.places.get_mut(&id)?;
        place.queued = false;
        let (token, interest) = (place.token, place.interest);
        if !place.armed || interest == Interest::Nothing {
            return None;
        }
        let Some(source) = place.source.upgrade() else {
            self.places.remove(&id);
            return None;
        };
        Some((token, source.poll(interest).of_interest(interest)?))
    }
}

/// A set in a set: readable when a wait would bring something.
impl Pollable for SetCore {
    fn poll(&self, _interest: Interest) -> Shown {
        let mut state = self.lock();
        for _ in 0..state.queue.len() {
            let Some(id) = state.queue.pop_front() else { break };
            if state.ask(id).is_some() {
                // It stays where it was, for who waits on this set.
                if let Some(place) = state.places.get_mut(&id) {
                    place.queued = true;
                }
                state.queue.push_front(id);
                return Shown::READABLE;
            }
        }
        Shown::default()
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

impl fmt::Debug for SetCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCore").field("sources", &self.lock().places.len()).finish()
    }
}

/// Sleeps until there is something to take from `source`: a channel, a listener, a wait set, a waker.
///
/// # Errors
/// Each variant of [`WaitError`]. An abort comes before readiness, readiness before the deadline.
pub fn wait_readable(
    source: impl Waitable,
    deadline: Deadline,
    abort: &Abort,
) -> Result<(), WaitError> {
    wait_for(source, Interest::Read, deadline, abort)
}

/// Sleeps until `source` shows something of `interest`.
pub(super) fn wait_for(
    source: impl Waitable,
    interest: Interest,
    deadline: Deadline,
    abort: &Abort,
) -> Result<(), WaitError> {
    const ABORT: u64 = 0;
    const SOURCE: u64 = 1;
    let set = WaitSet::new().map_err(WaitError::Os)?;
    set.add(abort, ABORT, Interest::Read, WatchMode::Level).map_err(WaitError::Os)?;
    set.add(&source, SOURCE, interest, WatchMode::Level).map_err(WaitError::Os)?;
    let woken = set.wait(&mut Events::with_capacity(2), deadline).map_err(WaitError::Os);
    // Nobody is told of what this set was, any more.
    source.wait_source().0.watchers().remove(&set.0);
    abort.wait_source().0.watchers().remove(&set.0);
    match woken? {
        _ if abort.is_set() => Err(WaitError::Aborted),
        0 => Err(WaitError::TimedOut),
        _ => Ok(()),
    }
}
