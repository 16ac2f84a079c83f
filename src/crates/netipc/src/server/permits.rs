//! How many handlers may run at once: one for each worker, whichever threads run them.
//!
//! Sockets are served by the workers, which are as many; sessions over shared memory by threads of
//! their own. Taking a permit that is free, and giving it back while nobody waits, is one atomic
//! operation each.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Permits {
    free: AtomicUsize,
    waiting: AtomicUsize,
    /// Nobody waits any more.
    closed: AtomicBool,
    /// Held by those who wait when they look for the last time, and by those who wake them.
    changing: Mutex<()>,
    changed: Condvar,
}

/// The right to run one handler, until dropped.
#[derive(Debug)]
pub(super) struct Permit<'p>(&'p Permits);

impl Permits {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: AtomicUsize::new(count),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            changing: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// Waits for its turn; `None` once the permits are closed and none is free.
    #[inline]
    pub(super) fn take(&self) -> Option<Permit<'_>> {
        self.try_take().or_else(|| self.wait())
    }

    /// No more waiting, for anybody.
    pub(super) fn close(&self) {
        // Sequentially consistent with `wait`, as a permit that is given back.
        self.closed.store(true, Ordering::SeqCst);
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
    }

    #[inline]
    fn try_take(&self) -> Option<Permit<'_>> {
        let less = |free: usize| free.checked_sub(1);
        // Sequentially consistent with `waiting`: either this sees what was given back, or who gives
        // it back sees that somebody waits.
        let taken = self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        taken.is_ok().then(|| Permit(self))
    }

    #[cold]
    fn wait(&self) -> Option<Permit<'_>> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let permit = loop {
            if let Some(permit) = self.try_take() {
                break Some(permit);
            }
            if self.closed.load(Ordering::SeqCst) {
                break None;
            }
            changing = self.changed.wait(changing).unwrap_or_else(PoisonError::into_inner);
        };
        drop(changing);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        permit
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        let permits = self.0;
        permits.free.fetch_add(1, Ordering::SeqCst);
        if permits.waiting.load(Ordering::SeqCst) > 0 {
            let _changing = permits.changing.lock().unwrap_or_else(PoisonError::into_inner);
            permits.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_there_are_and_everybody_in_the_end() {
        const PERMITS: usize = 2;
        const THREADS: usize = 6;
        const TURNS: usize = 2_000;
        let permits = Permits::new(PERMITS);
        let (inside, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..TURNS {
                        let _permit = permits.take().expect("open");
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < PERMITS);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), THREADS * TURNS);
        assert_eq!(permits.free.into_inner(), PERMITS);
        assert_eq!(permits.waiting.into_inner(), 0);
    }

    #[test]
    fn closing_sends_away_who_waits_and_who_would() {
        let permits = Permits::new(1);
        let held = permits.take().expect("free");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| permits.take().is_none());
            while permits.waiting.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            permits.close();
            assert!(waiter.join().expect("no panic"));
        });
        assert!(permits.take().is_none());
        drop(held);
        assert!(permits.take().is_some(), "what is free is given all the same");
    }
}
