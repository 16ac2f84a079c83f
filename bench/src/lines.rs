//! What drivers and the runner say to each other: one JSON object a line from the driver, one word a
//! line to it.

use serde::{Deserialize, Serialize};

/// To a client that is ready: begin to measure.
pub const GO: &str = "go";
/// To a client that checks: nobody serves, see that it is as it must be then.
pub const AWAY: &str = "away";
/// To a client that checks, with how many seconds and how many turns a second: go on while servers are ended
/// and come back.
pub const THROUGH: &str = "through";
/// To a server: tell what was handled and used so far.
pub const MARK: &str = "mark";
/// To a server: tell the resident memory.
pub const MEMORY: &str = "memory";

/// What a driver says, in this order: a server `Ready`, then an answer to each word; a client `Ready`
/// once it is warm, then `Measured`. Both stay until their standard input ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// A server serves; a client has its sessions and is warm.
    Ready,
    /// What a server did and used since its start.
    Mark(Mark),
    /// What a server was asked about its memory.
    Memory {
        /// What is resident, in KiB.
        rss_kib: u64,
    },
    /// What a client measured.
    Measured(Box<Measured>),
    /// What a client verified for one "go".
    Checked(Checked),
    /// A client has seen that nobody serves.
    Away,
}

/// What a client verified: see [`Measured`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Calls as the scenario counts them.
    pub calls: u64,
    /// Requests that the server handled for them.
    pub requests: u64,
    /// What the calls were about.
    pub items: u64,
    /// Turns that failed because nobody served.
    #[serde(default)]
    pub lost: u64,
}

/// What a server did and used since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Requests handled, each item of a batch as one.
    pub handled: u64,
    /// CPU time of the process, in nanoseconds.
    pub cpu_ns: u64,
}

/// What a client measured between "go" and the last answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Calls as the scenario counts them, each verified.
    pub calls: u64,
    /// Requests that the server handled for them: each item of a batch, each part of a lookup.
    pub requests: u64,
    /// What the calls were about: items of batches, snapshots and lookups.
    pub items: u64,
    /// From "go" to the last answer.
    pub seconds: f64,
    /// Latencies of calls, in nanoseconds, of those that were timed.
    pub p50_ns: f64,
    /// 95 in a hundred took no longer.
    pub p95_ns: f64,
    /// 99 in a hundred.
    pub p99_ns: f64,
    /// 999 in a thousand.
    pub p999_ns: f64,
    /// The longest.
    pub max_ns: f64,
    /// How many calls were timed: at a high rate not each one, see the README.
    pub timed: u64,
    /// CPU time of the process meanwhile, in nanoseconds.
    pub cpu_ns: u64,
    /// Resident memory at the end, in KiB.
    pub rss_kib: u64,
    /// Request and response bytes that a session has agreed on, together; 0 without sessions.
    pub agreed_bytes: u64,
    /// Turns of this CPU in a second, as timed on it; 0 where it is not known.
    #[serde(default)]
    pub clock_hz: f64,
}
