//! Sending: one message into one area (spec section 7).

use std::sync::atomic::Ordering;

use super::copy::copy_in;
use super::own::{AtomicU32, AtomicU64};
use super::{Bell, Cell, Gate, Lane, Step};

/// Why a message was not published; the region is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    Empty,
    TooLong {
        len: usize,
        max: usize,
    },
    /// Another thread publishes.
    Busy,
}

/// The sending half of a channel: what this end has published so far.
///
/// Relaxed accesses: the gate orders them between threads of this process.
#[derive(Debug)]
pub(crate) struct Publisher {
    gate: Gate,
    seq: AtomicU64,
    signal: AtomicU32,
}

impl Publisher {
    /// Goes on from the counters that the region holds.
    pub(crate) fn new(seq: u64, signal: u32) -> Self {
        let (seq, signal) = (AtomicU64::new(seq), AtomicU32::new(signal));
        Self { gate: Gate::default(), seq, signal }
    }

    /// Publishes the message that `pieces` make up. Never waits.
    ///
    /// The peer must have answered the last one, or the two mix: whoever calls sees to that.
    #[inline]
    pub(crate) fn publish<Long: Cell<u64>, Short: Cell<u32>>(
        &self,
        lane: &Lane<'_, Long, Short>,
        pieces: &[&[u8]],
        bell: &impl Bell<Long, Short>,
    ) -> Result<(), Unsent> {
        let bytes = pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
        let (max, len) = (lane.capacity_bytes(), u32::try_from(bytes).unwrap_or(u32::MAX));
        if bytes == 0 {
            return Err(Unsent::Empty);
        }
        if bytes > max || len == u32::MAX {
            return Err(Unsent::TooLong { len: bytes, max });
        }
        let Some(_alone) = self.gate.enter() else { return Err(Unsent::Busy) };
        let seq = self.seq.load(Ordering::Relaxed).wrapping_add(1);
        let signal = self.signal.load(Ordering::Relaxed).wrapping_add(1);
        // Before the peer can see any of it: should this thread fail half way, nothing is used twice.
        self.seq.store(seq, Ordering::Relaxed);
        self.signal.store(signal, Ordering::Relaxed);

        copy_in(lane.area, pieces);
        bell.reached(Step::Copied);
        // Release, for the acquire of the receiver: the length is of the bytes before it.
        lane.len.store(len, Ordering::Release);
        bell.reached(Step::Measured);
        bell.announce(lane, seq, signal);
        Ok(())
    }
}
