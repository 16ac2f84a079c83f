//! The fault runner: every promise of netipc, broken on purpose, between real processes of three
//! languages over both of Linux' transports.
//!
//! ```text
//!   table of faults × sides ──▶ a stage: server ◀── calls ── client, and a bystander
//!                                  │  harm, again and again       lines of JSON, words
//!                                  ▼
//!                        results ──▶ docs/reliability.md
//! ```
//!
//! The drivers are those of the benchmark; `README.md` says what they are told. What it does **not**
//! do: measure how fast anything is.
#![forbid(unsafe_code)]

mod clock;
mod ending;
mod engine;
mod fault;
mod faults;
mod refusals;
mod report;
mod stage;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use netipc_bench::{Failure, source};

use engine::{Code, Played, play};
use fault::{Fault, Language};
use stage::Drivers;

/// Between a fault that is known to fall short and the reason, in the list of them.
const KNOWN_SEPARATOR: &str = ": ";

/// Changes under it change nothing of what is played.
const REPORTS: &str = "docs";

/// Breaks every promise, and sees that it holds.
#[derive(Debug, Parser)]
#[command(name = "netipc-faults")]
struct Arguments {
    /// The C driver.
    #[arg(long)]
    c: PathBuf,
    /// The Rust driver.
    #[arg(long)]
    rust: PathBuf,
    /// The Go driver.
    #[arg(long)]
    go: PathBuf,
    /// The Rust driver that has failpoints.
    #[arg(long)]
    dying: PathBuf,
    /// The Go driver that has them.
    #[arg(long)]
    dying_go: PathBuf,
    /// The library that has a driver's wall clock jump.
    #[arg(long)]
    jumping_clock: PathBuf,
    /// The program that watches a driver make its descriptors, and refuses one.
    #[arg(long)]
    refusing: PathBuf,
    /// The full counts rather than the reduced ones.
    #[arg(long)]
    full: bool,
    /// Only faults whose name contains one of these.
    #[arg(long)]
    only: Vec<String>,
    /// Turns of each fault, whatever the table says.
    #[arg(long)]
    turns: Option<u32>,
    /// Sides that are played at once: they wait more than they work.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Keep what came of it, and write the report of all that is kept.
    #[arg(long)]
    write: bool,
    /// Print the names of all faults and how often they are provoked.
    #[arg(long)]
    list: bool,
    #[arg(long, default_value = "docs/reliability.md")]
    report: PathBuf,
    /// Where results are kept, a file a fault.
    #[arg(long, default_value = "target/faults/results")]
    results: PathBuf,
    /// The faults that are known to fall short, and why.
    #[arg(long, default_value = "tests/faults/known-failures.txt")]
    known: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("netipc-faults: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let table = fault::table();
    if arguments.list {
        for Fault { name, counts, .. } in &table {
            println!("{name}: {} turns, {} in full", counts.quick, counts.full);
        }
        return Ok(());
    }
    let known = known_failures(&arguments.known, &table)?;
    let drivers = Drivers {
        of: [
            (Language::C, arguments.c.clone()),
            (Language::Rust, arguments.rust.clone()),
            (Language::Go, arguments.go.clone()),
        ]
        .into(),
        dying: [
            (Language::Rust, arguments.dying.clone()),
            (Language::Go, arguments.dying_go.clone()),
        ]
        .into(),
        jumping_clock: arguments.jumping_clock.clone(),
        refusing: arguments.refusing.clone(),
    };
    engine::check_itself(&drivers)?;
    clock::check_itself(&drivers)?;
    refusals::check_itself(&drivers)?;
    let is_wanted = |fault: &&Fault| {
        arguments.only.is_empty() || arguments.only.iter().any(|only| fault.name.contains(only))
    };
    let code = arguments.write.then(code).transpose()?;
    let mut new = Vec::new();
    let began = Instant::now();
    for fault in table.iter().filter(is_wanted) {
        let counts = fault.counts;
        let usual = if arguments.full { counts.full } else { counts.quick };
        let start = Instant::now();
        let turns = arguments.turns.unwrap_or(usual);
        let is_full = arguments.full && arguments.turns.is_none();
        let played = play(&drivers, fault, turns, is_full, arguments.jobs.max(1));
        let played = Played { code: code.clone(), ..played };
        let (result, is_new) = match played.shortcoming(fault) {
            None => {
                let words = fault.bound.and_then(|bound| played.took(bound));
                (words.map_or_else(|| "pass".to_owned(), |words| format!("pass; {words}")), false)
            }
            Some(words) => {
                let is_new = !known.iter().any(|(name, _)| name == fault.name);
                (format!("FAIL{}: {words}", if is_new { "" } else { " (known)" }), is_new)
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let longest = played.longest().unwrap_or_default();
        println!(
            "{}: {} times in {seconds:.1} s (the longest: {longest}): {result}",
            fault.name,
            played.times()
        );
        if let Some(words) = played.few_for_short_turns() {
            println!("{}: its full counts are few: {words}", fault.name);
        }
        if is_new {
            new.push(fault.name);
        }
        if arguments.write {
            keep(&arguments.results, &played)?;
        }
    }
    if arguments.write {
        let played = kept(&arguments.results, &table)?;
        std::fs::write(&arguments.report, report::report(&table, &played, &known)?)?;
    } else {
        is_of_this_table(&arguments.report, &table, &known)?;
    }
    println!("all of it took {:.1} s", began.elapsed().as_secs_f64());
    if new.is_empty() {
        Ok(())
    } else {
        Err(format!("these fall short: {}", new.join(", ")).into())
    }
}

/// The list of shortcomings that are known: a line each, the fault's name and the reason.
fn known_failures(path: &Path, table: &[Fault]) -> Result<Vec<(String, String)>, Failure> {
    let text = std::fs::read_to_string(path)?;
    let mut known = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, reason) = line
            .split_once(KNOWN_SEPARATOR)
            .ok_or_else(|| format!("{}: no reason: {line}", path.display()))?;
        if !table.iter().any(|fault| fault.name == name) {
            return Err(format!("{}: there is no fault {name}", path.display()).into());
        }
        known.push((name.to_owned(), reason.to_owned()));
    }
    Ok(known)
}

fn keep(results: &Path, played: &Played) -> Result<(), Failure> {
    std::fs::create_dir_all(results)?;
    let path = results.join(format!("{}.json", played.fault));
    Ok(std::fs::write(path, serde_json::to_vec(played)?)?)
}

/// What is kept of the faults that there are.
fn kept(results: &Path, table: &[Fault]) -> Result<Vec<Played>, Failure> {
    let mut all = Vec::new();
    for fault in table {
        let path = results.join(format!("{}.json", fault.name));
        if path.exists() {
            all.push(serde_json::from_slice(&std::fs::read(path)?)?);
        }
    }
    Ok(all)
}

/// That the report has a row of every fault, as the table has it.
fn is_of_this_table(
    report: &Path,
    table: &[Fault],
    known: &[(String, String)],
) -> Result<(), Failure> {
    let text = std::fs::read_to_string(report)?;
    match report::is_not_of(&text, table, known) {
        Some(words) => Err(format!("{} has {words}: --full --write", report.display()).into()),
        None => Ok(()),
    }
}

/// Which code this is.
fn code() -> Result<Code, Failure> {
    let code = Code { commit: source::revision(&[REPORTS]), day: source::day() };
    if code.commit.is_empty() || code.day.is_empty() {
        return Err("git tells no commit, or date no day: a result must say what it is of".into());
    }
    Ok(code)
}
