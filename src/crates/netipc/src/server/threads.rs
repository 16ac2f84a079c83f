//! The threads of a server: started, counted, waited for with a deadline, and joined.
//!
//! A handler that never returns must not hang whoever stops the server, and joining has no deadline. So a
//! thread reports that nothing is left for it but its exit, which is waited for with a deadline, and is joined
//! only then: by the next thread that leaves, and the last one by who stops the server. What a program has done
//! at a thread's end is waited for, too. After a stop that succeeded none is left.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use netipc_sys::{Deadline, SysError};

use super::ServerError;
use super::engine::Engine;

/// The stack of each thread, said here so that the standard library does not look for it in the environment.
const STACK_BYTES: usize = 2 << 20;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Threads {
    roll: Mutex<Roll>,
    changed: Condvar,
    /// Why the event loop or a worker ended, if not because it was told to; the first reason counts.
    failure: OnceLock<SysError>,
}

#[derive(Debug, Default)]
struct Roll {
    alive: HashMap<ThreadId, JoinHandle<()>>,
    /// The last that has left: nothing is left for it but to join the one before it, and its exit.
    leaving: Option<JoinHandle<()>>,
}

impl Threads {
    /// Runs `body` in a thread of `engine`'s.
    pub(super) fn start(
        engine: &Arc<Engine>,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), ServerError> {
        let for_thread = Arc::clone(engine);
        // Held until the thread is on the roll, so that it cannot leave before.
        let mut roll = engine.threads.roll();
        let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES);
        let started = thread.spawn(move || {
            let _alive = Alive(for_thread);
            netipc_sys::unblock_faults();
            body();
        });
        let thread = started.map_err(ServerError::Thread)?;
        roll.alive.insert(thread.thread().id(), thread);
        Ok(())
    }

    /// The event loop has ended, or a worker that could not wait.
    pub(super) fn ended_with(&self, outcome: Result<(), SysError>) {
        if let Err(error) = outcome {
            let _first = self.failure.set(error);
        }
    }

    pub(super) fn failure(&self) -> Option<SysError> {
        self.failure.get().copied()
    }

    /// Waits until all have ended, or the time is over; answers how many have not.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> usize {
        let deadline = timeout.map_or(Deadline::never(), Deadline::after);
        let mut roll = self.roll();
        while !roll.alive.is_empty() && !deadline.has_passed() {
            roll = match deadline.remaining() {
                None => self.changed.wait(roll).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.changed.wait_timeout(roll, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        // Under the lock, which no thread that has left takes again: who waits for the lock to see that nobody is
        // alive finds it gone, too.
        join(roll.leaving.take());
        roll.alive.len()
    }

    fn roll(&self) -> MutexGuard<'_, Roll> {
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that is on the roll, until this is dropped, by that thread.
#[derive(Debug)]
struct Alive(Arc<Engine>);

impl Drop for Alive {
    fn drop(&mut self) {
        let threads = &self.0.threads;
        let mut roll = threads.roll();
        let own = roll.alive.remove(&thread::current().id());
        let earlier = std::mem::replace(&mut roll.leaving, own);
        drop(roll);
        threads.changed.notify_all();
        join(earlier);
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // A panic has been reported where it happened.
        let _panicked = thread.join();
    }
}
