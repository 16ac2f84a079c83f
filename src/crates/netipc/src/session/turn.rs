//! Whose turn it is to send: messages of one session leave whole, one at a time (spec section 3).
//!
//! A lock whose waiting honours a deadline and an abort. Taking it when it is free, and giving it
//! back when nobody waits, is no system call; an event to wait for is made when first needed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use netipc_sys::{Abort, Deadline, WaitError, Waker, wait_readable};

#[derive(Debug, Default)]
pub(super) struct SendTurn {
    held: AtomicBool,
    waiting: AtomicU32,
    /// There before anybody counts in `waiting`.
    released: OnceLock<Waker>,
}

/// Somebody's turn, until dropped.
#[derive(Debug)]
pub(super) struct Held<'t>(&'t SendTurn);

impl SendTurn {
    #[inline]
    pub(super) fn take(&self, deadline: Deadline, abort: &Abort) -> Result<Held<'_>, WaitError> {
        match self.try_take() {
            Some(held) => Ok(held),
            None => self.wait(deadline, abort),
        }
    }

    #[inline]
    fn try_take(&self) -> Option<Held<'_>> {
        // Sequentially consistent with `waiting`: either this sees the release, or the releasing
        // thread sees that somebody waits.
        let taken =
            self.held.compare_exchange(false, true, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        taken.then(|| Held(self))
    }

    #[cold]
    fn wait(&self, deadline: Deadline, abort: &Abort) -> Result<Held<'_>, WaitError> {
        let released = match self.released.get() {
            Some(waker) => waker,
            None => {
                let waker = Waker::new().map_err(WaitError::Os)?;
                self.released.get_or_init(|| waker)
            }
        };
        let _counted = Counted::new(&self.waiting);
        // Tried after it counts, so that no release in between is missed.
        if let Some(held) = self.try_take() {
            return Ok(held);
        }
        loop {
            wait_readable(released, deadline, abort)?;
            // Whoever resets tries next; if it fails, a holder is there who will see that others
            // wait. So no other waiter loses by this.
            released.reset();
            if let Some(held) = self.try_take() {
                return Ok(held);
            }
            // Where many send, one may be woken again and again and always come too late.
            if deadline.has_passed() {
                return Err(WaitError::TimedOut);
            }
        }
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.held.store(false, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0
            && let Some(released) = self.0.released.get()
        {
            released.wake();
        }
    }
}

/// One more that waits, until dropped.
struct Counted<'t>(&'t AtomicU32);

impl<'t> Counted<'t> {
    fn new(waiting: &'t AtomicU32) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    fn abort() -> Abort {
        Abort::new().expect("an abort handle")
    }

    #[test]
    fn nobody_shares_a_turn_and_everybody_gets_one() {
        const THREADS: usize = 4;
        const TURNS: usize = 2_000;
        let turn = SendTurn::default();
        let (inside, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..TURNS {
                        let _held = turn.take(Deadline::never(), &abort()).expect("a turn");
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::Relaxed);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), THREADS * TURNS);
        assert_eq!(turn.waiting.into_inner(), 0);
    }

    #[test]
    fn a_turn_that_was_waited_for_leaves_nothing_behind() {
        let turn = SendTurn::default();
        let held = turn.take(Deadline::never(), &abort()).expect("free");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| turn.take(Deadline::never(), &abort()).map(drop));
            while turn.waiting.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            drop(held);
            assert_eq!(waiter.join().expect("no panic"), Ok(()));
        });
        let _held = turn.take(Deadline::never(), &abort()).expect("free");
        #[cfg(target_os = "linux")]
        let before = sleeps_of_this_thread();
        let soon = Deadline::after(Duration::from_millis(20));
        assert_eq!(turn.take(soon, &abort()).err(), Some(WaitError::TimedOut));
        #[cfg(target_os = "linux")]
        assert!(sleeps_of_this_thread() > before, "it spun on a wake-up that was not its own");
    }

    #[cfg(target_os = "linux")]
    fn sleeps_of_this_thread() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc");
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.and_then(|count| count.trim().parse().ok()).expect("a count")
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_on_abort() {
        let turn = SendTurn::default();
        let held = turn.take(Deadline::never(), &abort()).expect("free");
        let soon = Deadline::after(Duration::from_millis(20));
        assert_eq!(turn.take(soon, &abort()).err(), Some(WaitError::TimedOut));
        let stop = abort();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| turn.take(Deadline::never(), &stop).err());
            stop.trigger();
            assert_eq!(waiter.join().expect("no panic"), Some(WaitError::Aborted));
        });
        drop(held);
        assert!(turn.take(Deadline::after(Duration::ZERO), &abort()).is_ok());
    }
}
