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
/// To a server: tell what was refused, and what ended badly.
pub const COUNTS: &str = "counts";

/// To a client that endures: tell what came of its calls so far.
pub const TELL: &str = "tell";
/// The same, once a call that begins from now on is answered rightly.
pub const NEXT: &str = "next";
/// The same, once a call or a refresh fails.
pub const MISS: &str = "miss";
/// Pause between two calls, the session open; [`GO`] goes on.
pub const HOLD: &str = "hold";
/// Close the session; the next call makes another.
pub const CLOSE: &str = "close";
/// Abort from beside; told once the call that was under way has returned.
pub const ABORT: &str = "abort";
/// Fork, and have the child end; told once it has.
pub const FORK: &str = "fork";

/// With a step of a publication, to either end of a build that has failpoints: die after it.
pub const DIE: &str = "die";

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
    /// What a server counted of clients that it did not serve.
    Counts(Unserved),
    /// What a client measured.
    Measured(Box<Measured>),
    /// What a client verified for one "go".
    Checked(Checked),
    /// A client has seen that nobody serves.
    Away,
    /// What came of a client that endures, since its start.
    Endured(Endured),
}

/// What came of a client that endures: see tests/faults/README.md.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endured {
    /// Calls answered rightly, every byte compared.
    pub right: u64,
    /// Calls whose caller was given an answer that is not right, or an error that no call may end with.
    pub wrong: u64,
    /// Calls that ended because the peer broke the contract: no answer of theirs was given to anybody.
    pub broken: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Refreshes that gave no session.
    pub refused: u64,
    /// The longest call or refresh since this was told last, in nanoseconds.
    pub longest_ns: u64,
    /// From the word to what it waited for, in nanoseconds.
    pub took_ns: u64,
    /// Whether the last session was over shared memory.
    pub shared: bool,
    /// Why a call or refresh failed last, in words.
    pub reason: String,
}

impl Endured {
    /// Calls and refreshes that failed.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.failed + self.refused
    }
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

/// What a server counted since its start, as its status tells it: see tests/faults/README.md.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unserved {
    /// Handshakes that were refused, or ended by their deadline or to make room.
    pub refused_handshakes: u64,
    /// Those of them that had another token.
    pub auth_failed: u64,
    /// Requests that were answered with a status.
    pub declined_requests: u64,
    /// Sessions that ended otherwise than by their client's leaving.
    pub ended_sessions: u64,
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
