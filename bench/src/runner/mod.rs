//! The runner: measures every row of a plan, round by round, and writes what that came to.

mod drive;
mod floors;
mod machine;
mod plan;
mod plots;
mod report;
mod results;
mod strace;

use std::collections::BTreeMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use netipc_sys::raw::own_cpus;

use crate::Failure;
use crate::work::{Scenario, Transport};
use drive::{Bench, Once, SystemCalls};
use machine::Machine;
use plan::{Effort, Mode, Row, rows};
use results::{Outcome, Results, Run, hold_against_limits};

/// The language of the driver that is built beside the runner.
const OWN_LANGUAGE: &str = "rust";
const OWN_DRIVER: &str = "netipc-bench-driver";
/// Where runs that are not whole leave their files, under the place of those that are.
const PARTIAL: &str = "partial";
/// The two processes of a row have a CPU each, or share one.
const LEAST_CPUS: usize = 2;

/// Measures netipc against what this machine can do at most: see bench/README.md.
#[derive(Debug, Parser)]
#[command(name = "netipc-bench")]
struct Runner {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure, and write results and report.
    Run(RunOptions),
    /// Write the report of the last complete run again.
    Report(Places),
}

#[derive(Debug, Args)]
struct Places {
    /// Where results are.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    #[arg(long, default_value_os_t = report::own_name())]
    report: PathBuf,
    #[arg(long, default_value = "bench/plots")]
    plots: PathBuf,
}

#[derive(Debug, Args)]
struct RunOptions {
    #[arg(long, value_enum, default_value = "core")]
    mode: Mode,
    #[command(flatten)]
    places: Places,
    /// A driver, as LANGUAGE=PATH; beside the Rust one unless that is given, too.
    #[arg(long = "driver", value_name = "LANGUAGE=PATH", value_parser = driver)]
    drivers: Vec<(String, PathBuf)>,
    #[command(flatten)]
    partial: PartialOptions,
}

/// What makes a run a partial one, which writes no report.
#[derive(Debug, Args)]
struct PartialOptions {
    /// Only rows whose name contains this, one of these.
    #[arg(long)]
    only: Vec<String>,
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["socket", "shm"])]
    transports: Vec<Transport>,
    #[arg(long)]
    repetitions: Option<usize>,
    #[arg(long)]
    seconds: Option<f64>,
    #[arg(long)]
    warmup_seconds: Option<f64>,
    /// Count no system calls.
    #[arg(long)]
    no_strace: bool,
}

fn driver(text: &str) -> Result<(String, PathBuf), String> {
    let (language, path) = text.split_once('=').ok_or("say LANGUAGE=PATH")?;
    Ok((language.to_owned(), path.into()))
}

/// Runs the runner as its arguments say.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Runner::parse().task {
        Task::Run(options) => run(&options),
        Task::Report(places) => Results::read(&places.out)
            .and_then(|results| report::write(&results, &places.report, &places.plots)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("netipc-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &RunOptions) -> Result<(), Failure> {
    let machine = Machine::look()?;
    if options.partial.is_whole() {
        // Now, and not once it is all measured.
        machine.may_be_published()?;
    }
    let started = Instant::now();
    let bench = Bench {
        drivers: drivers(options)?,
        cpus: own_cpus()?,
        effort: options.partial.effort(options.mode),
    };
    if bench.cpus.len() < LEAST_CPUS {
        return Err("two CPUs are needed: this process may use one".into());
    }
    // The first of them measures the limits.
    let others = bench.drivers.keys().filter(|name| *name != OWN_LANGUAGE).map(String::as_str);
    let languages: Result<Vec<_>, Failure> =
        iter::once(OWN_LANGUAGE).chain(others).map(|name| bench.language(name)).collect();
    let languages = languages?;
    let transports = options.partial.transports.clone();
    let mut planned = rows(options.mode, &transports, &languages);
    planned.retain(|row| options.partial.has(row));
    if planned.is_empty() {
        return Err("no row is left".into());
    }

    let outcomes = measure(&bench, &planned, !options.partial.no_strace && machine.has_strace())?;
    let took_seconds = started.elapsed().as_secs_f64();
    let run = Run {
        mode: options.mode,
        effort: bench.effort,
        transports,
        languages,
        machine,
        took_seconds,
    };
    let results = Results { run, rows: outcomes };
    print!("{}", report::summary(&results));
    println!("{} rows in {took_seconds:.0} s", planned.len());
    let Places { out, report, plots } = &options.places;
    if options.partial.is_whole() {
        results.write(out)?;
        report::write(&results, report, plots)?;
        println!("{} and {} are new", out.display(), report.display());
    } else {
        let out = out.join(PARTIAL);
        results.write(&out)?;
        println!("a partial run: only {} is new", out.display());
    }
    Ok(())
}

/// Every row, round by round, so that what happens beside it falls on all rows alike.
fn measure(bench: &Bench, planned: &[Row], with_strace: bool) -> Result<Vec<Outcome>, Failure> {
    let counted: Vec<bool> =
        planned.iter().map(|row| with_strace && has_system_calls(row)).collect();
    let runs = planned.len() * bench.effort.repetitions + counted.iter().filter(|is| **is).count();
    let progress = ProgressBar::new(runs as u64).with_style(style()?);
    let mut times: Vec<Vec<Once>> = vec![Vec::new(); planned.len()];
    for _ in 0..bench.effort.repetitions {
        for (row, times) in planned.iter().zip(&mut times) {
            progress.set_message(row.to_string());
            times.push(bench.run(row)?);
            progress.inc(1);
        }
    }
    let mut system_calls: Vec<Option<SystemCalls>> = vec![None; planned.len()];
    for ((row, is_counted), system_calls) in planned.iter().zip(counted).zip(&mut system_calls) {
        if is_counted {
            progress.set_message(format!("{row}, under strace"));
            *system_calls = bench.system_calls(row)?;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let mut outcomes: Vec<_> = planned
        .iter()
        .zip(&times)
        .zip(system_calls)
        .map(|((row, times), system_calls)| Outcome::new(row, times, system_calls))
        .collect();
    hold_against_limits(planned, &mut outcomes);
    Ok(outcomes)
}

/// Whether system calls of the row say something: what stays in a process makes none, and a paced row
/// makes those of the row at most, and sleeps.
fn has_system_calls(row: &Row) -> bool {
    row.rate == plan::MAX
        && !row.work.scenario.is_in_process()
        && row.work.scenario != Scenario::Idle
}

fn style() -> Result<ProgressStyle, Failure> {
    Ok(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} of {duration}  {wide_msg}")?)
}

fn drivers(options: &RunOptions) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let own = std::env::current_exe()?;
    let own = own.parent().unwrap_or(Path::new("")).join(OWN_DRIVER);
    let mut drivers = BTreeMap::from([(OWN_LANGUAGE.to_owned(), own)]);
    drivers.extend(options.drivers.iter().cloned());
    Ok(drivers)
}

impl PartialOptions {
    fn effort(&self, mode: Mode) -> Effort {
        let effort = mode.effort();
        Effort {
            repetitions: self.repetitions.unwrap_or(effort.repetitions),
            seconds: self.seconds.unwrap_or(effort.seconds),
            warmup_seconds: self.warmup_seconds.unwrap_or(effort.warmup_seconds),
            ..effort
        }
    }

    /// Whether the row is asked for.
    fn has(&self, row: &Row) -> bool {
        let name = row.to_string();
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }

    /// Whether nothing is left out.
    fn is_whole(&self) -> bool {
        self.only.is_empty()
            && [Transport::Socket, Transport::Shm].iter().all(|t| self.transports.contains(t))
            && self.repetitions.is_none()
            && self.seconds.is_none()
            && self.warmup_seconds.is_none()
            && !self.no_strace
    }
}
