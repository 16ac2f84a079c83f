//! The command `netipc`.
//!
//! ```text
//! main: arguments in, exit status out
//!   ├─ one file a subcommand: its arguments, and what it does with them
//!   │    serve      providers of this host's data        ──▶ providers/
//!   │    snapshot   lookup   ping                        ──▶ ask/: sessions with a provider
//!   │    ls         who serves what in a run directory
//!   │    demo       providers and clients in one process
//!   │    schema     the schema compiler
//!   ├─ options, token: what subcommands have in common
//!   ├─ text, table: how data is shown, whatever bytes it is of
//!   └─ failure: what goes wrong, and how it is shown
//! ```
//!
//! What it does **not** do: think. Subcommands call the libraries and print what those answer. The
//! environment is read here (`NETIPC_RUN_DIR`, `NETIPC_TOKEN`), never by the libraries.
#![forbid(unsafe_code)]

mod ask;
mod demo;
mod failure;
mod lookup;
mod ls;
mod measure;
mod options;
mod ping;
mod providers;
mod schema;
mod serve;
mod snapshot;
mod table;
mod text;
mod token;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Shown below the help of every subcommand.
const EXIT_STATUS: &str = "\
Exit status:
  0  done
  1  failed; what and why is on standard error
  2  the command line is wrong
  3  the provider is not there
  4  the provider is there and gives no session: wrong token, not admitted, full, incompatible";

/// Serve, ask and inspect netipc services, and work with their schemas.
#[derive(Debug, Parser)]
#[command(name = "netipc", version, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show providers and clients of this host at work, in a temporary run directory.
    #[command(after_help = EXIT_STATUS)]
    Demo(demo::Demo),
    /// Provide services of this host, until SIGINT, SIGTERM or SIGHUP.
    #[command(after_help = EXIT_STATUS)]
    Serve(serve::Serve),
    /// Print all control groups that a provider knows.
    #[command(after_help = EXIT_STATUS)]
    Snapshot(snapshot::Snapshot),
    /// Ask a provider what it knows of processes or control groups.
    #[command(subcommand, after_help = EXIT_STATUS)]
    Lookup(lookup::Lookup),
    /// Call a provider many times, verify every answer, and print how long they took.
    #[command(after_help = EXIT_STATUS)]
    Ping(ping::Ping),
    /// List the endpoints of a run directory, and what each says of itself.
    #[command(after_help = EXIT_STATUS)]
    Ls(ls::Ls),
    /// Check schemas, and generate code from them.
    #[command(subcommand, after_help = EXIT_STATUS)]
    Schema(schema::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Leaves colours out where nobody would see them: away from a terminal, and under `NO_COLOR`.
    let mut out = anstream::stdout().lock();
    let done = match cli.command {
        Command::Demo(command) => command.run(&mut out),
        Command::Serve(command) => command.run(&mut out),
        Command::Snapshot(command) => command.run(&mut out),
        Command::Lookup(command) => command.run(&mut out),
        Command::Ping(command) => command.run(&mut out),
        Command::Ls(command) => command.run(&mut out),
        Command::Schema(command) => command.run(&mut out),
    };
    let done = done.and_then(|()| Ok(out.flush()?));
    done.map_or_else(Failure::exit, |()| ExitCode::SUCCESS)
}
