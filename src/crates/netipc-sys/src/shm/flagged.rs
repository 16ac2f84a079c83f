//! A flag that a sleeper sets, and an event that is rung where it is set (spec section 9).

use std::sync::atomic::Ordering;

use super::own::fence;
use super::{Bell, Cell, Lane};

/// The system's part of [`Flagged`].
pub(crate) trait Event {
    /// Wakes one thread of the peer that sleeps, or is about to, as soon as it does.
    fn ring(&self);
    /// Wakes those of this process that sleep, and all who come later.
    fn ring_own(&self);
}

/// A flag that a sleeper sets.
#[derive(Debug)]
pub(crate) struct Flagged<E>(pub(crate) E);

const SLEEPS: u32 = 1;
const AWAKE: u32 = 0;

impl<Long: Cell<u64>, Short: Cell<u32>, E: Event> Bell<Long, Short> for Flagged<E> {
    #[inline]
    fn announce(&self, lane: &Lane<'_, Long, Short>, seq: u64, _signal: u32) {
        // Release, for the acquire of the receiver: it finds the message and its length.
        lane.seq.store(seq, Ordering::Release);
        // Sequentially consistent with the one in `before_sleep`: either the flag is seen here, or the
        // number there.
        fence(Ordering::SeqCst);
        if lane.alarm.load(Ordering::Relaxed) != AWAKE {
            self.0.ring();
        }
    }

    #[inline]
    fn before_sleep(&self, lane: &Lane<'_, Long, Short>) -> u32 {
        lane.alarm.store(SLEEPS, Ordering::Relaxed);
        // Partner of the one in `announce`.
        fence(Ordering::SeqCst);
        SLEEPS
    }

    #[inline]
    fn after_sleep(&self, lane: &Lane<'_, Long, Short>) {
        // Late, it costs the peer a ring for nobody, which wakes the next sleep for no reason.
        lane.alarm.store(AWAKE, Ordering::Relaxed);
    }

    fn wake_all(&self, _alarm: &Short, _own: &Short) {
        self.0.ring_own();
    }

    fn looks_again(&self) -> bool {
        true
    }
}
