//! Receiving: looking, taking, sleeping until there is something, and being ended (spec section 7).

use std::sync::atomic::{AtomicU64, Ordering};

use super::copy::copy_out;
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
        if fits { Ok(Some(bytes)) } else { Err(Refused::TooLong { len: bytes, max }) }
    }

    /// Sleeps until there is something to take, or `end` has come: false then.
    ///
    /// `doze` sleeps while the first word holds the number that it is given, and the second zero, and
    /// may return for no reason. An error of its own ends the wait.
    pub(crate) fn wait<Long: Cell<u64>, Short: Cell<u32>, E>(
        &self,
        lane: &Lane<'_, Long, Short>,
        end: &End<Short>,
        mut doze: impl FnMut(&Short, u32, &Short) -> Result<(), E>,
    ) -> Result<bool, E> {
        loop {
            // Acquire, for the publisher's release: with a signal that tells of a message, the look
            // below finds it. With an older one, doze() finds that it has changed, or is woken.
            let heard = lane.signal.load(Ordering::Acquire);
            if self.is_ready(lane) {
                return Ok(true);
            }
            if end.has_come() {
                return Ok(false);
            }
            doze(lane.signal, heard, &end.0)?;
        }
    }
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

    /// `signal` is the word that the waiting thread may sleep on.
    pub(crate) fn come(&self, signal: &Short, bell: &impl Bell<Short>) {
        // Release, for the acquire above. Who is about to sleep sees it there, or in doze().
        self.0.store(ENDED, Ordering::Release);
        bell.wake_all(signal, &self.0);
    }
}
