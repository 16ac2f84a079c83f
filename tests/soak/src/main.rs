//! The soak: every service, on both transports, between all languages, for a long time, while processes end
//! and come back.
//!
//! ```text
//!   stage "servers come and go"   server (restarted, another language each time) ◀── a client a language
//!   stage "clients come and go"   server (stays) ◀── a client a language (one is restarted each time)
//! ```
//!
//! Whoever stays must have, in the end, no more memory, threads and descriptors than it had once it was warm,
//! and the run directory no more files. The drivers are those of the benchmark: they verify every field of every
//! answer, and end at the first wrong one. What it does **not** do: measure.
#![forbid(unsafe_code)]

mod report;
mod samples;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use netipc_bench::{Failure, source};

use report::Report;
use stage::{Drivers, Outcome, STAGES, Stage};

/// Plays all stages for a while, and fails on growth or on anything wrong.
#[derive(Debug, Parser)]
#[command(name = "netipc-soak")]
struct Arguments {
    /// A language and its driver: LANGUAGE=PATH.
    #[arg(long = "driver", required = true, value_parser = language_and_path)]
    drivers: Vec<(String, PathBuf)>,
    /// How long: seconds, or minutes or hours as in 10m, 4h.
    #[arg(long, default_value = "10m", value_parser = duration)]
    time: Duration,
    /// Calls a second of each client.
    #[arg(long, default_value_t = 25.0)]
    rate: f64,
    /// Write what it came to here.
    #[arg(long)]
    report: Option<PathBuf>,
}

fn language_and_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((language, path)) if !language.is_empty() => Ok((language.to_owned(), path.into())),
        _ => Err("say LANGUAGE=PATH".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit_s) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        _ => (text, 1),
    };
    match number.parse::<u64>() {
        Ok(number) if number > 0 => Ok(Duration::from_secs(number.saturating_mul(unit_s))),
        _ => Err("say how many seconds, or 10m, or 4h".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("netipc-soak: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let drivers = Drivers(arguments.drivers.clone());
    // As it is now: that of the drivers.
    let code = format!("`{}`, {}", source::revision(&["docs"]), source::day());
    let end = Instant::now() + arguments.time;
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for place in 0..STAGES {
            let (drivers, outcomes) = (&drivers, &outcomes);
            scope.spawn(move || {
                let outcome = Stage::new(place, drivers, arguments.rate).play(end);
                let mut outcomes =
                    outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                outcomes.push((place, outcome));
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes.sort_by_key(|(place, _)| *place);
    let mut played: Vec<Outcome> = Vec::new();
    let mut failures = 0;
    for (place, outcome) in outcomes {
        match outcome {
            Ok(outcome) => played.push(outcome),
            Err(failure) => {
                eprintln!("FAILED {}: {failure}", stage::name(place));
                failures += 1;
            }
        }
    }
    let report = Report::new(arguments.time, &played);
    for grown in report.growth() {
        eprintln!("FAILED {grown}");
        failures += 1;
    }
    print!("{}", report.summary());
    if failures > 0 || played.len() < STAGES {
        return Err(format!("{failures} failures").into());
    }
    if let Some(path) = &arguments.report {
        std::fs::write(path, report.page(&code))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_minutes_or_hours() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(seconds("20"), Ok(20));
        assert_eq!(seconds("20s"), Ok(20));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("2h"), Ok(7200));
        assert!(["", "0", "m", "ten", "-1"].into_iter().all(|text| duration(text).is_err()));
    }
}
