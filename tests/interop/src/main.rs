//! The interop matrix: every language's client with every language's server, over every mix of
//! offers, for every service.
//!
//! ```text
//!   rows × offers × pairs ──▶ a cell: driver server ◀── transport ──▶ driver client
//!                                  │    lines of JSON on standard output, words on standard input
//!                                  ▼
//!                        docs/interop.md, the same for every run in which all went well
//! ```
//!
//! The drivers are those of the benchmark, which verify every field of every answer; `README.md` says
//! what this runner tells them. What it does **not** do: measure.
#![forbid(unsafe_code)]

mod cell;
mod report;
mod rows;
mod system;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use netipc_bench::Failure;

use cell::Drivers;
use report::{Cell, Matrix, Outcome};

/// Plays every language against every other, and compares what came of it with the report.
#[derive(Debug, Parser)]
#[command(name = "netipc-interop")]
struct Arguments {
    /// A language and its driver: LANGUAGE=PATH. The report has them in this order.
    #[arg(long = "driver", required = true, value_parser = language_and_path)]
    drivers: Vec<(String, PathBuf)>,
    /// The drivers are programs for Windows.
    #[arg(long)]
    windows: bool,
    /// What runs the drivers, where the system does not by itself: wine, say.
    #[arg(long)]
    runner: Option<PathBuf>,
    /// The report of the last run; by default the one of the system that is played.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Write the report anew rather than compare.
    #[arg(long)]
    write: bool,
    /// Only cells whose name contains this; the report is left aside then. The last one counts.
    #[arg(long, overrides_with = "only")]
    only: Option<String>,
    /// Only some rows, which stand for all, with every pair and every transport.
    #[arg(long)]
    brief: bool,
    /// Cells that are played at once. They wait more than they work.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
}

fn language_and_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((language, path)) if !language.is_empty() => Ok((language.to_owned(), path.into())),
        _ => Err("say LANGUAGE=PATH".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("netipc-interop: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let languages: Vec<&str> = arguments.drivers.iter().map(|(name, _)| name.as_str()).collect();
    let drivers = Drivers {
        programs: arguments.drivers.iter().cloned().collect(),
        runner: arguments.runner.clone(),
    };
    let system = if arguments.windows { &system::WINDOWS } else { &system::LINUX };
    let mut cells = report::cells(system, &languages);
    if arguments.brief {
        cells.retain(Cell::is_brief);
    }
    if let Some(only) = &arguments.only {
        cells.retain(|cell| cell.to_string().contains(only));
    }
    let outcomes = play_all(&drivers, &cells, arguments.jobs.max(1));
    let (mut passed, mut failed, mut not_applicable) = (0, 0, 0);
    for (cell, outcome) in cells.iter().zip(&outcomes) {
        match outcome {
            Outcome::Verified(_) => passed += 1,
            Outcome::NotApplicable(_) => not_applicable += 1,
            Outcome::Failed(failure) => {
                eprintln!("FAILED {cell}: {failure}");
                failed += 1;
            }
        }
    }
    println!("{passed} cells passed, {failed} failed, {not_applicable} not applicable");
    if failed > 0 {
        return Err(format!("{failed} cells failed").into());
    }
    // The report has what the system's has, no more and no less.
    if arguments.only.is_some() || arguments.brief != system.is_brief {
        return Ok(());
    }
    let text = Matrix::new(system, &languages, &cells, outcomes).report()?;
    let report = arguments.report.clone().unwrap_or_else(|| system.report.into());
    if arguments.write {
        std::fs::write(&report, text)?;
        return Ok(());
    }
    let kept = std::fs::read_to_string(&report).unwrap_or_default();
    if kept != text {
        let (report, command) = (report.display(), system.command);
        return Err(format!("{report} is of another matrix; {command} --write").into());
    }
    Ok(())
}

/// Plays all cells, several at a time, and answers what came of each, in their order.
fn play_all(drivers: &Drivers, cells: &[Cell<'_>], jobs: usize) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let played = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                // Relaxed: only which cell is next; the scope's end publishes the rest.
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = cell.play(drivers);
                    let mut played =
                        played.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    played.push((cell.place, outcome));
                }
            });
        }
    });
    let mut played = played.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    played.sort_by_key(|(place, _)| *place);
    played.into_iter().map(|(_, outcome)| outcome).collect()
}
