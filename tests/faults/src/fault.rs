//! What a fault is: a row of the table, and how it is provoked once.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use netipc_bench::Failure;
use serde::{Deserialize, Serialize};

use crate::faults;
use crate::stage::Stage;

/// A driver's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Language {
    C,
    Rust,
    Go,
}

impl Language {
    pub(crate) const ALL: [Self; 3] = [Self::C, Self::Rust, Self::Go];

    /// The one after it: for a bystander of another language than the rest.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::C => Self::Rust,
            Self::Rust => Self::Go,
            Self::Go => Self::C,
        }
    }
}

impl Display for Language {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What sessions are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Over {
    Socket,
    Shared,
}

impl Over {
    pub(crate) const ALL: [Self; 2] = [Self::Socket, Self::Shared];

    /// As drivers are told.
    pub(crate) const fn argument(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Shared => "shm",
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Socket => "the socket",
            Self::Shared => "shared memory",
        }
    }
}

/// Who meets whom, over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Sides {
    pub(crate) client: Language,
    pub(crate) server: Language,
    pub(crate) over: Over,
}

impl Sides {
    /// All there are: every language with every language, over both.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for over in Over::ALL {
            for client in Language::ALL {
                for server in Language::ALL {
                    all.push(Self { client, server, over });
                }
            }
        }
        all
    }
}

impl Display for Sides {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{} over {}", self.client, self.server, self.over.words())
    }
}

/// How often a fault is provoked in all, spread over its sides: at least once each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// By `make test`.
    pub(crate) quick: u32,
    /// By `make test-full`.
    pub(crate) full: u32,
}

/// What one turn came to: how long it took for what the promise speaks about, where it names a time.
pub(crate) type Turn = Result<Option<Duration>, Failure>;

/// A time that a promise names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// What is timed, in words.
    pub(crate) what: &'static str,
    /// What the median of all turns with each language at each end keeps within, in full counts, and all turns between
    /// each two sides but one in a hundred; of few turns, not none of those between any two sides. Single turns are
    /// told by the slowest, and bounded by the runner's patience: this machine does other things, too.
    pub(crate) within: Duration,
}

impl Bound {
    /// Whether a turn that took so many microseconds took too long.
    pub(crate) fn is_broken_by(&self, took_us: u64) -> bool {
        Duration::from_micros(took_us) > self.within
    }
}

/// A fault: a row of the report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Its name, as `--only` takes it.
    pub(crate) name: &'static str,
    /// What must hold.
    pub(crate) promise: &'static str,
    /// How it is provoked, each time.
    pub(crate) how: &'static str,
    /// Between whom.
    pub(crate) sides: fn(&Sides) -> bool,
    pub(crate) counts: Counts,
    pub(crate) bound: Option<Bound>,
    /// Provokes it once, and sees that the promise holds. What the stage has is there for the next turn.
    pub(crate) turn: fn(&mut Stage<'_>) -> Turn,
}

/// Every side.
pub(crate) const fn anyone(_: &Sides) -> bool {
    true
}

/// Sides of shared memory.
pub(crate) fn shared(sides: &Sides) -> bool {
    sides.over == Over::Shared
}

/// One side for each language of the server and transport: what is about servers alone.
pub(crate) fn each_server(sides: &Sides) -> bool {
    sides.client == sides.server.other()
}

/// One side for each language of the client and transport: what is about clients alone.
pub(crate) fn each_client(sides: &Sides) -> bool {
    sides.server == sides.client.other()
}

/// All faults, in the report's order.
pub(crate) fn table() -> Vec<Fault> {
    faults::TABLES.concat()
}
