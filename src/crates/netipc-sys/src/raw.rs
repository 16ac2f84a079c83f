//! What the machine can do without a protocol, and what a process can be told of itself: what benchmarks hold
//! netipc against, what peers that break the contract on purpose write to, and nothing that the library uses.
//!
//! There is no trust here: all that is shared is atomic.

use std::sync::atomic::{AtomicU32, AtomicU64};

pub use crate::platform::bench::{
    PlainSocket, SharedLines, cpu_time_ns, emulator, keep_to_cpus, own_cpus, resident_kib,
    rest_until,
};

#[cfg(unix)]
pub use crate::platform::bench::SharedHeader;

/// How many lines are shared.
pub const LINES: usize = 64;

/// All that is shared.
pub(crate) type Lines = [Line; LINES];

/// One cache line: a sequence number, a payload of 40 bytes, and a word to wait on.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Line {
    /// Counts what was published.
    pub sequence: AtomicU64,
    /// What was published.
    pub payload: [AtomicU64; 5],
    /// What `SharedLines::wait` waits for to change.
    pub signal: AtomicU32,
    filler: [AtomicU32; 3],
}

const _: () = assert!(size_of::<Line>() == 64);

/// The clock that [`rest_until`] goes by, in nanoseconds.
#[must_use]
pub fn monotonic_ns() -> u64 {
    crate::platform::monotonic_ns()
}
