//! The command `netipc`.
//!
//! ```text
//! main: arguments in, exit status out
//!   └─ one file a subcommand: its arguments, and what it does with them
//! failure: what goes wrong, and how it is shown
//! ```
//!
//! What it does **not** do: think. Subcommands call the libraries and print what those answer.
#![forbid(unsafe_code)]

mod failure;
mod schema;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Shown below the help of every subcommand.
const EXIT_STATUS: &str = "\
Exit status:
  0  done
  1  failed; what and why is on standard error
  2  the command line is wrong";

/// See into netipc, and work with its schemas.
#[derive(Debug, Parser)]
#[command(name = "netipc", version, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check schemas, and generate code from them.
    #[command(subcommand, after_help = EXIT_STATUS)]
    Schema(schema::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::stdout().lock();
    let done = match cli.command {
        Command::Schema(command) => command.run(&mut out),
    };
    let done = done.and_then(|()| Ok(out.flush()?));
    done.map_or_else(Failure::exit, |()| ExitCode::SUCCESS)
}
