//! What drivers and the runner say to each other: one JSON object a line from the driver, one word a
//! line to it.

use serde::{Deserialize, Serialize};

/// To a client that is ready: begin to measure.
pub(crate) const GO: &str = "go";
/// To a server: tell what was handled and used so far.
pub(crate) const MARK: &str = "mark";
/// To a server: tell the resident memory.
pub(crate) const MEMORY: &str = "memory";

/// What a driver says, in this order: a server `Ready`, then an answer to each word; a client `Ready`
/// once it is warm, then `Measured`. Both stay until their standard input ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Line {
    /// A server serves; a client has its sessions and is warm.
    Ready,
    /// What a server did and used since its start.
    Mark(Mark),
    /// Resident memory of a server, in KiB.
    Memory { rss_kib: u64 },
    /// What a client measured.
    Measured(Box<Measured>),
}

/// What a server did and used since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Requests handled, each item of a batch as one.
    pub(crate) handled: u64,
    /// CPU time of the process, in nanoseconds.
    pub(crate) cpu_ns: u64,
}

/// What a client measured between "go" and the last answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Calls as the scenario counts them, each verified.
    pub(crate) calls: u64,
    /// Requests that the server handled for them: each item of a batch, each part of a lookup.
    pub(crate) requests: u64,
    /// What the calls were about: items of batches, snapshots and lookups.
    pub(crate) items: u64,
    /// From "go" to the last answer.
    pub(crate) seconds: f64,
    /// Latencies of calls, in nanoseconds, of those that were timed.
    pub(crate) p50_ns: f64,
    pub(crate) p95_ns: f64,
    pub(crate) p99_ns: f64,
    pub(crate) p999_ns: f64,
    pub(crate) max_ns: f64,
    /// How many calls were timed: at a high rate not each one, see the README.
    pub(crate) timed: u64,
    /// CPU time of the process meanwhile, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Resident memory at the end, in KiB.
    pub(crate) rss_kib: u64,
    /// Request and response bytes that a session has agreed on, together; 0 without sessions.
    pub(crate) agreed_bytes: u64,
    /// Turns of this CPU in a second, as timed on it; 0 where it is not known.
    #[serde(default)]
    pub(crate) clock_hz: f64,
}
