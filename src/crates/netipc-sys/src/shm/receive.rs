//! Receiving: looking, taking, sleeping until there is something, and being ended (spec section 7).

use std::sync::atomic::Ordering;

use super::copy::copy_out;
use super::own::{AtomicU64, fence};
use super::{Bell, Cell, Gate, Lane};

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A sequence number that is neither the last seen nor the next. The region is broken.
    Sequence { seen: u64, found: u64 },
    /// No length, or one above the area's capacity. The region is broken.
    Length { len: u32, capacity: usize },
    /// Longer than the limit or the buffer. It counts as taken, and its front is in the buffer.
    TooLong { len: usize, max: usize },
    /// Another thread takes.
    Busy,
}

/// The receiving half of a channel: what this end has seen.
///
/// Relaxed accesses to `seen`: the gate orders those that change it.
#[derive(Debug)]
pub(crate) struct Receiver {
    gate: Gate,
    seen: AtomicU64,
}

impl Receiver {
    /// Goes on from the counter that the region holds.
    pub(crate) fn new(seen: u64) -> Self {
        Self { gate: Gate::default(), seen: AtomicU64::new(seen) }
    }

    /// Whether there is something to take, be it a violation. One load of shared memory.
    #[inline]
    pub(crate) fn is_ready<Long: Cell<u64>, Short>(&self, lane: &Lane<'_, Long, Short>) -> bool {
        // Acquire, for the release of the publisher: what is taken next is what it published.
        lane.seq.load(Ordering::Acquire) != self.seen.load(Ordering::Relaxed)
    }

    /// Takes the next message, if it is there: `room` is told its length (at most `limit`) and gives
    /// memory for it, which may be shorter.
    #[inline]
    pub(crate) fn take<'b, Long: Cell<u64>, Short: Cell<u32>>(
        &self,
        lane: &Lane<'_, Long, Short>,
        limit: usize,
        bell: &impl Bell<Long, Short>,
        room: impl FnOnce(usize) -> &'b mut [u8],
    ) -> Result<Option<usize>, Refused> {
        if !self.is_ready(lane) {
            return Ok(None);
        }
        let Some(_alone) = self.gate.enter() else { return Err(Refused::Busy) };
        let seen = self.seen.load(Ordering::Relaxed);
        // Acquire, for the release of the publisher; once more, for another thread may have taken it.
        let found = lane.seq.load(Ordering::Acquire);
        if found == seen {
            return Ok(None);
        }
        if found != seen.wrapping_add(1) {
            return Err(Refused::Sequence { seen, found });
        }
        // Acquire, for the release of the publisher: the bytes are at least as new as their length.
        let len = lane.len.load(Ordering::Acquire);
        let capacity = lane.capacity_bytes();
        let Some(bytes) = usize::try_from(len).ok().filter(|len| (1..=capacity).contains(len))
        else {
            return Err(Refused::Length { len, capacity });
        };
        self.seen.store(found, Ordering::Relaxed);
        let out = room(bytes.min(limit));
        let max = out.len().min(limit);
        let fits = bytes <= max;
        copy_out(lane.area, &mut out[..bytes.min(max)]);
        if bell.looks_again() {
            unchanged(lane, found, len)?;
        }
        if fits { Ok(Some(bytes)) } else { Err(Refused::TooLong { len: bytes, max }) }
    }

    /// Sleeps until there is something to take, or `end` has come: false then.
    ///
    /// `doze` sleeps until the bell is rung, and gets the number of [`Bell::before_sleep`]. It may return
    /// for no reason. An error of its own ends the wait.
    pub(crate) fn wait<Long: Cell<u64>, Short: Cell<u32>, E>(
        &self,
        lane: &Lane<'_, Long, Short>,
        end: &End<Short>,
        bell: &impl Bell<Long, Short>,
        mut doze: impl FnMut(&Short, u32, &Short) -> Result<(), E>,
    ) -> Result<bool, E> {
        loop {
            let heard = bell.before_sleep(lane);
            let outcome = if self.is_ready(lane) {
                Some(Ok(true))
            } else if end.has_come() {
                Some(Ok(false))
            } else {
                doze(lane.alarm, heard, &end.0).err().map(Err)
            };
            if let Some(outcome) = outcome {
                bell.after_sleep(lane);
                return outcome;
            }
        }
    }
}

/// Whether the peer has left a message alone while it was copied (spec section 9).
#[inline]
fn unchanged<Long: Cell<u64>, Short: Cell<u32>>(
    lane: &Lane<'_, Long, Short>,
    seen: u64,
    len: u32,
) -> Result<(), Refused> {
    // After all the copying: partner of the release of whoever publishes too early.
    fence(Ordering::Acquire);
    let found = lane.seq.load(Ordering::Relaxed);
    if found != seen {
        return Err(Refused::Sequence { seen, found });
    }
    let found = lane.len.load(Ordering::Relaxed);
    if found != len {
        return Err(Refused::Length { len: found, capacity: lane.capacity_bytes() });
    }
    Ok(())
}

/// Ends the waits of one channel, for good, from any thread.
///
/// The word is this process' own: no peer can take back what it says, nor the wake-up that it brings,
/// as it could with a word of the region.
#[derive(Debug)]
pub(crate) struct End<Short>(Short);

const ENDED: u32 = 1;

impl<Short: Cell<u32>> End<Short> {
    /// From a word that holds zero.
    pub(crate) const fn new(word: Short) -> Self {
        Self(word)
    }

    #[inline]
    pub(crate) fn has_come(&self) -> bool {
        // Acquire, for the release below: what the ending thread wrote before is seen.
        self.0.load(Ordering::Acquire) != 0
    }

    /// `lane` is that which the waiting thread may sleep on.
    pub(crate) fn come<Long>(&self, lane: &Lane<'_, Long, Short>, bell: &impl Bell<Long, Short>) {
        // Release, for the acquire above. Who is about to sleep sees it there, or in doze().
        self.0.store(ENDED, Ordering::Release);
        bell.wake_all(lane.alarm, &self.0);
    }
}
