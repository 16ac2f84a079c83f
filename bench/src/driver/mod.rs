//! The Rust driver: plays a server or a client of one scenario, says what it counted, and fails at
//! the first answer that is wrong.
//!
//! It is a user of netipc like any other: public names, default configuration but for the transport.

mod calls;
mod check;
mod client;
mod codec;
mod contents;
mod endure;
mod level1;
mod lookups;
mod measure;
mod pipelines;
mod process;
mod raw;
mod server;
mod tally;
mod typed;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use netipc::{Endpoint, Profile, Profiles};

use crate::Failure;
use crate::work::{Mix, Scenario, Transport, name_of};

/// Plays one end of a benchmark's scenario: see bench/README.md.
#[derive(Debug, Parser)]
#[command(name = "netipc-bench-driver")]
struct Driver {
    #[command(subcommand)]
    end: End,
}

#[derive(Debug, Subcommand)]
enum End {
    /// Print the scenarios that this driver plays, one a line.
    Scenarios,
    /// Serve until standard input ends.
    Server(ServerOptions),
    /// Call, and say how that went.
    Client(ClientOptions),
    /// Call as often as asked, each time that the runner says so.
    Check(CheckOptions),
    /// Call on and on whatever happens, and tell what came of it when asked: tests/faults/README.md.
    Endure(EndureOptions),
}

/// What both ends must be told.
#[derive(Clone, Debug, Args)]
struct Options {
    #[arg(long, value_enum)]
    scenario: Scenario,
    /// Items of a snapshot, keys of a lookup, most items of a batch.
    #[arg(long, default_value_t = 1)]
    items: usize,
    /// Bytes of a string to reverse, and of the long name in `--mix long`.
    #[arg(long, default_value_t = 0)]
    bytes: usize,
    /// What answers carry that have a generation.
    #[arg(long, default_value_t = contents::GENERATION)]
    generation: u64,
    #[arg(long, value_enum, default_value = "known")]
    mix: Mix,
    #[arg(long, value_enum)]
    transport: Transport,
    /// The profiles to offer, as the number of the contract; what the transport needs unless given.
    #[arg(long)]
    supported: Option<u32>,
    /// Those of them to rather use; all that are offered unless given.
    #[arg(long)]
    preferred: Option<u32>,
    /// The longest packet to propose at Level 1, in bytes; zero is what the socket carries.
    #[arg(long, default_value_t = 0)]
    packet_bytes: u32,
    #[arg(long)]
    run_dir: PathBuf,
    /// The endpoint's name, and that of files beside it.
    #[arg(long)]
    service: String,
    /// The CPUs to run on; any unless given.
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
}

#[derive(Clone, Debug, Args)]
struct ServerOptions {
    #[command(flatten)]
    options: Options,
    /// Threads that run handlers; 0 is the library's default.
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// Clients that will come.
    #[arg(long, default_value_t = 1)]
    clients: u32,
    /// Answer wrongly from so many requests on: to see that clients notice.
    #[arg(long, default_value_t = u64::MAX)]
    wrong_after: u64,
    /// Wait for this word before anything else: servers that are told at once start at once.
    #[arg(long)]
    after: Option<String>,
}

#[derive(Clone, Debug, Args)]
struct ClientOptions {
    #[command(flatten)]
    options: Options,
    /// Calls a second of all clients together, or `max`.
    #[arg(long)]
    rate: Rate,
    #[arg(long)]
    seconds: f64,
    #[arg(long, default_value_t = 0.0)]
    warmup_seconds: f64,
    #[arg(long, default_value_t = 1)]
    clients: usize,
}

#[derive(Clone, Debug, Args)]
struct CheckOptions {
    #[command(flatten)]
    options: Options,
    /// Turns for each "go".
    #[arg(long)]
    turns: u64,
}

#[derive(Clone, Debug, Args)]
struct EndureOptions {
    #[command(flatten)]
    options: Options,
    /// How long a call may take.
    #[arg(long)]
    timeout_ms: u64,
    /// The pause between two calls.
    #[arg(long, default_value_t = 0)]
    rest_us: u64,
}

/// How often to call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rate {
    Max,
    PerSecond(f64),
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse() {
            Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(Self::PerSecond(rate)),
            _ => Err("say max, or how many calls a second".to_owned()),
        }
    }
}

impl Options {
    fn endpoint(&self) -> Result<Endpoint, Failure> {
        Ok(Endpoint::new(&self.run_dir, &self.service)?)
    }

    /// What this end offers.
    const fn supported(&self) -> Profiles {
        match (self.supported, self.transport) {
            (Some(profiles), _) => Profiles(profiles),
            (None, Transport::Shm) => Profiles(Profiles::BASELINE.0 | Profiles::SHM_HYBRID.0),
            (None, Transport::Socket | Transport::Raw | Transport::Process) => Profiles::BASELINE,
        }
    }

    /// What it would rather use.
    const fn preferred(&self) -> Profiles {
        match self.preferred {
            Some(profiles) => Profiles(profiles),
            None => self.supported(),
        }
    }

    /// A row says which transport it measured: another one must not be in its place.
    fn check_selected(&self, selected: Profile) -> Result<(), Failure> {
        let wanted = match self.transport {
            Transport::Shm => Profile::SHM_HYBRID,
            Transport::Socket | Transport::Raw | Transport::Process => Profile::BASELINE,
        };
        if selected == wanted {
            return Ok(());
        }
        let (wanted, selected) = (wanted.name(), selected.name());
        Err(format!("asked for {wanted}, but the session has {selected}").into())
    }
}

/// Runs the driver as its arguments say.
#[must_use]
pub fn main() -> ExitCode {
    let ended = match Driver::parse().end {
        End::Scenarios => {
            Scenario::value_variants()
                .iter()
                .for_each(|scenario| println!("{}", name_of(*scenario)));
            Ok(())
        }
        End::Server(options) => {
            process::settle(&options.options.cpus).and_then(|()| server::run(&options))
        }
        End::Client(options) => {
            process::settle(&options.options.cpus).and_then(|()| client::run(&options))
        }
        End::Check(options) => {
            process::settle(&options.options.cpus).and_then(|()| check::run(&options))
        }
        End::Endure(options) => {
            process::settle(&options.options.cpus).and_then(|()| endure::run(&options))
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("netipc-bench-driver: {failure}");
            ExitCode::FAILURE
        }
    }
}
