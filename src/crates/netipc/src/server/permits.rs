//! How many handlers may run at once: one for each worker, whichever threads run them.
//!
//! Sockets are served by the workers, which are as many; sessions over shared memory by threads of
//! their own. Taking a permit that is free, and giving it back while nobody waits, is one atomic
//! operation each.
//!
//! A thread whose next request is there at once takes the permit that it has just given back, before
//! one that sleeps for it has woken up: more is answered so than by waking somebody for each request.
//! But a busy client could keep all others waiting, so permits are kept for who was passed over for
//! [`PASSED_OVER_AT_MOST`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long those who need not be woken go before one who waits: many times a wake-up.
const PASSED_OVER_AT_MOST: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Permits {
    free: AtomicUsize,
    waiting: AtomicUsize,
    /// Of those, who was passed over long enough. Changed while `kept` is locked.
    owed: AtomicUsize,
    /// Nobody waits any more.
    closed: AtomicBool,
    /// Permits that only those take to whom one is owed: never more than these are. Locked by those
    /// who wait when they look for the last time, and by those who wake them.
    kept: Mutex<usize>,
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
            owed: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            kept: Mutex::new(0),
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
        let _kept = self.kept();
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
        let since = Instant::now();
        let mut is_owed = false;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut kept = self.kept();
        let permit = loop {
            if is_owed && *kept > 0 {
                *kept -= 1;
                break Some(Permit(self));
            }
            if let Some(permit) = self.try_take() {
                break Some(permit);
            }
            if self.closed.load(Ordering::SeqCst) {
                break None;
            }
            if !is_owed && since.elapsed() >= PASSED_OVER_AT_MOST {
                is_owed = true;
                self.owed.fetch_add(1, Ordering::Relaxed);
            }
            kept = self.changed.wait(kept).unwrap_or_else(PoisonError::into_inner);
        };
        if is_owed {
            self.owed.fetch_sub(1, Ordering::Relaxed);
        }
        drop(kept);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        permit
    }

    /// Keeps a permit that is given back for one to whom it is owed. False where none is.
    #[cold]
    fn keep(&self) -> bool {
        let mut kept = self.kept();
        let is_owed = *kept < self.owed.load(Ordering::Relaxed);
        if is_owed {
            *kept += 1;
            // All: the first of them may be one to whom none is owed.
            self.changed.notify_all();
        }
        is_owed
    }

    fn kept(&self) -> MutexGuard<'_, usize> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        let permits = self.0;
        // An old zero passes somebody over once more.
        if permits.owed.load(Ordering::Relaxed) > 0 && permits.keep() {
            return;
        }
        permits.free.fetch_add(1, Ordering::SeqCst);
        if permits.waiting.load(Ordering::SeqCst) > 0 {
            let _kept = permits.kept();
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
    fn a_permit_that_is_owed_is_for_nobody_else() {
        let permits = Permits::new(1);
        let held = permits.take();
        // As one does who waits.
        permits.owed.fetch_add(1, Ordering::Relaxed);
        drop(held);
        assert!(permits.try_take().is_none());
        assert_eq!(*permits.kept(), 1);
    }

    #[test]
    fn who_is_passed_over_long_enough_is_owed_a_permit_and_gets_it() {
        const PATIENCE: Duration = Duration::from_secs(20);
        let permits = Permits::new(1);
        let (held, began) = (permits.take(), Instant::now());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| permits.take().is_some());
            // As often as it takes it is woken for a permit that somebody else has by then.
            while permits.owed.load(Ordering::SeqCst) == 0 && began.elapsed() < PATIENCE {
                let _kept = permits.kept();
                permits.changed.notify_all();
            }
            assert_eq!(permits.owed.load(Ordering::SeqCst), 1);
            drop(held);
            assert!(waiter.join().expect("no panic"));
        });
        assert_eq!((permits.owed.load(Ordering::SeqCst), *permits.kept()), (0, 0));
        assert!(permits.try_take().is_some(), "it is free again");
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
