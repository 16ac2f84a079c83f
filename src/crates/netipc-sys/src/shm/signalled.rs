//! A word that changes with every message, and lets nobody sleep who has not seen it change (spec section
//! 7).

use std::sync::atomic::Ordering;

use super::{Bell, Cell, Lane, Step};

/// The system's part of [`Signalled`].
pub(crate) trait Futex<Short> {
    /// Wakes one thread of any process that sleeps on this word of the region.
    fn wake_peer(&self, word: &Short);
    /// Wakes all of them, and all of this process that sleep on `own`.
    fn wake_all(&self, word: &Short, own: &Short);
    fn reached(&self, _step: Step) {}
}

/// A word that changes with every message. Every publication wakes, as the contract has it.
#[derive(Debug)]
pub(crate) struct Signalled<F>(pub(crate) F);

impl<Long: Cell<u64>, Short: Cell<u32>, F: Futex<Short>> Bell<Long, Short> for Signalled<F> {
    #[inline]
    fn announce(&self, lane: &Lane<'_, Long, Short>, seq: u64, signal: u32) {
        // Release, for the acquire of the receiver: it finds the message and its length.
        lane.seq.store(seq, Ordering::Release);
        self.0.reached(Step::Numbered);
        // Release, for the acquire of who is about to sleep: with this value it finds the message.
        lane.alarm.store(signal, Ordering::Release);
        self.0.reached(Step::Signalled);
        self.0.wake_peer(lane.alarm);
        self.0.reached(Step::Woken);
    }

    #[inline]
    fn before_sleep(&self, lane: &Lane<'_, Long, Short>) -> u32 {
        // Acquire, for the publisher's release: with a signal that tells of a message, the last look
        // finds it. With an older one, the sleep finds that it has changed, or is woken.
        lane.alarm.load(Ordering::Acquire)
    }

    #[inline]
    fn after_sleep(&self, _lane: &Lane<'_, Long, Short>) {}

    fn wake_all(&self, alarm: &Short, own: &Short) {
        self.0.wake_all(alarm, own);
    }

    fn reached(&self, step: Step) {
        self.0.reached(step);
    }
}
