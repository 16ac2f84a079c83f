//! How messages move through memory that two processes share: publishing, receiving, ending.
//!
//! ```text
//!   publisher                               receiver
//!     copy the message into the area
//!     len     = its length   (release)        seq     acquire: the next?  then take
//!     seq     = next         (release) ────▶  len     acquire: checked, once
//!     signal  = next         (release)        copy out, once, into memory of its own
//!     wake one who sleeps on signal           … or sleep on signal, unless it has changed
//! ```
//!
//! Generic over its cells, its areas and what a thread sleeps on, and without system calls, so that
//! the very code that runs on mapped memory runs under loom (`tests.rs`, with `--cfg loom`), which
//! tries the interleavings and reorderings that the memory model allows.
//!
//! # What a peer can do
//!
//! Write anything, anywhere in the region, at any time. So:
//!
//! - Shared memory is cells: it is read and written by atomic accesses alone, and never a `&[u8]`
//!   (ADR 0001). What is copied out is decoded afterwards, by others.
//! - Nothing that this end needs to know is read back from the region. Each end is the only rightful
//!   writer of its direction's words, so it keeps them itself ([`Publisher`], [`Receiver`]) and writes
//!   them whole: a plain store where a locked addition would be paid twice a message, and a peer that
//!   scribbles over them changes nothing here.
//! - Every number is read once, checked, and used from the copy.
//!
//! What it does **not** do: it maps nothing, knows no header of a message, and keeps no clock.

mod bell;
mod copy;
#[cfg(any(windows, all(test, loom)))]
mod flagged;
mod publish;
mod receive;
#[cfg(any(target_os = "linux", all(test, loom)))]
mod signalled;
#[cfg(all(test, loom))]
mod tests;

/// What an end keeps for itself: the models try these in every interleaving as well.
mod own {
    #[cfg(all(test, loom))]
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};
    #[cfg(not(all(test, loom)))]
    pub(super) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};
}

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub(crate) use bell::{Bell, Step};
#[cfg(any(windows, all(test, loom)))]
pub(crate) use flagged::{Event, Flagged};
pub(crate) use publish::{Publisher, Unsent};
pub(crate) use receive::{End, Receiver, Refused};
#[cfg(any(target_os = "linux", all(test, loom)))]
pub(crate) use signalled::{Futex, Signalled};

/// Bytes of a cell of an area.
pub(crate) const CELL_BYTES: usize = size_of::<u64>();

/// A number in memory that others read and write at the same time.
pub(crate) trait Cell<T> {
    fn load(&self, order: Ordering) -> T;
    fn store(&self, value: T, order: Ordering);
}

impl Cell<u32> for AtomicU32 {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        Self::load(self, order)
    }

    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        Self::store(self, value, order);
    }
}

impl Cell<u64> for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        Self::load(self, order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        Self::store(self, value, order);
    }
}

/// One direction of a region: its words in the header, and its area.
pub(crate) struct Lane<'r, Long, Short> {
    pub(crate) seq: &'r Long,
    pub(crate) len: &'r Short,
    /// What those who sleep and those who wake them tell each other by: the bell's to use.
    pub(crate) alarm: &'r Short,
    pub(crate) area: &'r [Long],
}

impl<Long, Short> Lane<'_, Long, Short> {
    pub(crate) const fn capacity_bytes(&self) -> usize {
        self.area.len() * CELL_BYTES
    }
}

/// Lets one thread at a time into a half of a channel; a second one is turned away, not kept waiting.
#[derive(Debug, Default)]
struct Gate(own::AtomicBool);

struct Entered<'g>(&'g own::AtomicBool);

impl Gate {
    #[inline]
    fn enter(&self) -> Option<Entered<'_>> {
        // Acquire, for the release of who was in before: what it wrote is seen.
        (!self.0.swap(true, Ordering::Acquire)).then_some(Entered(&self.0))
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release, for the acquire of who comes in next.
        self.0.store(false, Ordering::Release);
    }
}
