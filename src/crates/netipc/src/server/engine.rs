//! What the threads of a server share.
//!
//! ```text
//!   event loop, one thread                    workers
//!   sleeps on: listeners, clients that        sleep on: sessions (each event to one of them),
//!   make no room, clients that leave,         the work queue's signal
//!   commands; keeps all deadlines
//!          │  new sessions                         ▲   │ answers that found no room,
//!          └──────────────▶ registry ──────────────┘   │ final answers, half messages
//!          ◀──────────────── commands ─────────────────┘
//! ```
//!
//! Nothing here waits for a peer. Only handlers, which are the caller's, may block a worker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use netipc_sys::{Interest, SysError, WaitSet, Waker, WatchMode};

use super::permits::Permits;
use super::served::{Served, Service};
use super::status::{End, Totals};
use super::threads::Threads;
use super::work::{Job, Work};
use crate::Session;

/// The work queue's signal, in the workers' wait set. Sessions count up from the next.
pub(super) const WORK_TOKEN: u64 = 0;
/// Tokens below this belong to the event loop's own descriptors.
const FIRST_SESSION_TOKEN: u64 = 1 << 32;

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    Running = 0,
    /// Answers what was read, and reads nothing more.
    Draining = 1,
    Stopping = 2,
}

/// Something for the event loop to do.
#[derive(Debug)]
pub(super) enum Command {
    /// An answer waits for the client to make room.
    WatchRoom(Arc<Served>),
    /// A final answer is out: wait for the client to leave.
    Drain(Arc<Served>),
    /// A message has begun that is not whole.
    WatchGap(Arc<Served>),
    /// A session is over.
    Forget(u64),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) services: Vec<Arc<Service>>,
    /// One for each worker.
    pub(super) places: Vec<Place>,
    /// Where workers sleep.
    pub(super) requests: WaitSet,
    pub(super) work: Work,
    /// Wakes the event loop.
    pub(super) loop_waker: Waker,
    pub(super) load: Load,
    /// For each handler that runs.
    pub(super) permits: Permits,
    /// Set for handlers to see.
    pub(super) stopping: AtomicBool,
    pub(super) threads: Threads,
    phase: AtomicU8,
    commands: Mutex<Vec<Command>>,
    sessions: RwLock<HashMap<u64, Arc<Served>>>,
    next_token: AtomicU64,
}

impl Engine {
    pub(super) fn new(services: Vec<Service>, worker_count: usize) -> Result<Self, SysError> {
        let requests = WaitSet::new()?;
        let work = Work::new(&requests, WORK_TOKEN)?;
        Ok(Self {
            services: services.into_iter().map(Arc::new).collect(),
            places: (0..worker_count).map(|_| Place::default()).collect(),
            requests,
            work,
            loop_waker: Waker::new()?,
            load: Load::default(),
            permits: Permits::new(worker_count),
            stopping: AtomicBool::new(false),
            threads: Threads::default(),
            phase: AtomicU8::new(Phase::Running as u8),
            commands: Mutex::default(),
            sessions: RwLock::default(),
            next_token: AtomicU64::new(FIRST_SESSION_TOKEN),
        })
    }

    pub(super) fn phase(&self) -> Phase {
        // Pairs with `enter`: what was done before a phase is seen by whoever sees the phase.
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Goes on to a later phase; an earlier one than the present is ignored.
    pub(super) fn enter(&self, phase: Phase) {
        if phase == Phase::Stopping {
            self.stopping.store(true, Ordering::Relaxed);
        }
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.loop_waker.wake();
        if phase == Phase::Stopping {
            self.permits.close();
            self.wake_worker();
        }
    }

    /// Takes a new session in. It counts as one of its service from here until it is over. Workers
    /// watch it, unless it has a region.
    pub(super) fn admit(&self, session: Session, service: &Arc<Service>) -> Arc<Served> {
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        let served = Arc::new(Served::new(token, session, Arc::clone(service)));
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(token, Arc::clone(&served));
        drop(sessions);
        let mode = self.watch_mode();
        if !served.is_in_region()
            && self.requests.add(&served.session, token, Interest::Read, mode).is_err()
        {
            self.end(&served, End::Failed);
        }
        served
    }

    pub(super) fn session(&self, token: u64) -> Option<Arc<Served>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&token).cloned()
    }

    /// All sessions now, for the rare moments that concern each of them.
    pub(super) fn all_sessions(&self) -> Vec<Arc<Served>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.values().cloned().collect()
    }

    /// What a service and all its sessions have counted.
    pub(super) fn totals(&self, service: &Arc<Service>) -> Totals {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let of_service = sessions.values().filter(|served| Arc::ptr_eq(&served.service, service));
        of_service.map(|served| served.totals()).fold(service.counters.tally.totals(), Totals::plus)
    }

    pub(super) fn has_sessions(&self) -> bool {
        !self.sessions.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Takes a session away from the workers; it is not over yet.
    pub(super) fn withdraw(&self, served: &Served) {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if sessions.remove(&served.token).is_some() {
            // Under the lock that `totals` takes, so that no count is missed or seen twice.
            served.hand_over_counts();
            if served.is_in_region() {
                return;
            }
            // Refused only where it is not in the set.
            let _absent = self.requests.remove(&served.session);
        }
    }

    /// Ends a session. Its descriptor is closed as soon as nobody works for it any more; the client
    /// sees the end now.
    pub(super) fn end(&self, served: &Arc<Served>, end: End) {
        if !served.set_over() {
            return;
        }
        self.withdraw(served);
        // Before the client sees it, so that who asks then is told.
        served.service.counters.ended(end);
        served.session.shutdown();
        self.command(Command::Forget(served.token));
    }

    /// Ends what the threads have left to each other when they ended.
    pub(super) fn end_all(&self) {
        for served in self.all_sessions() {
            self.end(&served, End::Stopped);
        }
        drop(self.take_commands());
    }

    pub(super) fn command(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.loop_waker.wake();
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives work to whoever has time.
    pub(super) fn offer(&self, jobs: impl IntoIterator<Item = Job>) {
        self.work.push(jobs);
        self.wake_worker();
    }

    pub(super) const fn worker_count(&self) -> usize {
        self.places.len()
    }

    /// Whether there is nobody whom one worker's session could be kept from.
    pub(super) const fn has_one_worker(&self) -> bool {
        self.worker_count() == 1
    }

    /// Whether there is one worker and one session: nothing else could keep it busy.
    pub(super) fn has_one_of_each(&self) -> bool {
        let sessions = || self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        self.has_one_worker() && sessions().len() == 1
    }

    /// How sessions are watched by the workers. One alone is told again and again of what it has not
    /// read, which spares it the arming; among several, each event is for one.
    pub(super) const fn watch_mode(&self) -> WatchMode {
        if self.has_one_worker() { WatchMode::Level } else { WatchMode::OneShot }
    }

    /// A session's event came: whether it is still armed.
    pub(super) const fn event_came(&self, armed: &mut bool) {
        *armed &= self.has_one_worker();
    }

    /// The sessions that workers keep to themselves.
    pub(super) fn holds(&self) -> impl Iterator<Item = Hold> {
        self.places.iter().map(Place::get).filter(|hold| hold.token != 0)
    }

    /// The event loop watches the load no more, unless it has to. False if it has to.
    pub(super) fn unwatch(&self) -> bool {
        self.load.unwatch(|| self.holds().next().is_none())
    }

    pub(super) fn wake_worker(&self) {
        self.work.wake_one(&self.requests, WORK_TOKEN);
    }
}

/// How busy the workers are: whether requests are read soon, or the event loop must step in.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Workers that sleep, or are about to.
    idle: AtomicUsize,
    /// Counts up whenever a worker looks for requests.
    looks: AtomicU64,
    /// The event loop looks at the load now and then.
    watched: AtomicBool,
}

impl Load {
    /// A worker looks for requests, and may sleep.
    pub(super) fn look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.idle.fetch_add(1, Ordering::SeqCst);
    }

    /// It has found something. True when all workers are busy now and the event loop must be told.
    pub(super) fn found(&self) -> bool {
        // Sequentially consistent with `unwatch`: either the loop sees that nobody is idle, or this
        // sees that the loop does not watch.
        let all_busy = self.idle.fetch_sub(1, Ordering::SeqCst) == 1;
        all_busy && !self.watched.swap(true, Ordering::SeqCst)
    }

    /// The event loop has to watch. True when it does not yet, and must be told.
    pub(super) fn watch(&self) -> bool {
        !self.watched.swap(true, Ordering::SeqCst)
    }

    pub(super) fn has_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::SeqCst)
    }

    /// Watches no more, unless all workers are busy, or not all is `well` otherwise. False if so.
    fn unwatch(&self, well: impl FnOnce() -> bool) -> bool {
        self.watched.store(false, Ordering::SeqCst);
        if self.idle.load(Ordering::SeqCst) > 0 && well() {
            return true;
        }
        self.watched.store(true, Ordering::SeqCst);
        false
    }

    pub(super) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }
}

/// The session that a worker keeps to itself, for the event loop to see: should the worker be in a
/// handler for long, further requests of that session are for others.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Zero: none.
    token: AtomicU64,
    /// Counts up with each request that was waited for so.
    waits: AtomicU64,
}

/// A [`Place`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) token: u64,
    waits: u64,
}

impl Place {
    /// The worker waits for the next request of a session. True when it begins to keep it.
    pub(super) fn hold(&self, token: u64) -> bool {
        // Nobody else writes either.
        self.waits.store(self.waits.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if self.token.load(Ordering::Relaxed) == token {
            return false;
        }
        // Sequentially consistent with `Load::unwatch`: either the loop sees this, or this worker
        // sees that the loop does not watch.
        self.token.store(token, Ordering::SeqCst);
        true
    }

    /// It keeps none.
    pub(super) fn leave(&self) {
        self.token.store(0, Ordering::Relaxed);
    }

    /// The token and the count may be of different moments: a session that is given back too early
    /// costs its worker a system call.
    fn get(&self) -> Hold {
        let token = self.token.load(Ordering::SeqCst);
        Hold { token, waits: self.waits.load(Ordering::Relaxed) }
    }
}
