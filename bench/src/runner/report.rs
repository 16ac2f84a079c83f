//! The report: benchmarks-posix.md, or benchmarks-windows.md, and its plots, from a complete run alone.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use netipc_sys::{FAMILY, Family};

use super::floors::{Check, checks};
use super::plan::{Mode, Rate};
use super::plots::{Plot, in_words, plots};
use super::results::{Outcome, Results, Run, replace};
use crate::Failure;
use crate::work::{Placement, Transport, name_of};

/// More load than this before a run, and its figures are those of a busy machine.
const QUIET_LOAD: f64 = 0.5;
const KIB_PER_MIB: u64 = 1_024;

/// Writes the report and its plots, all of it or nothing.
///
/// # Errors
/// The run is not complete, or the system refused.
pub(super) fn write(results: &Results, report: &Path, plots_dir: &Path) -> Result<(), Failure> {
    results.check_complete()?;
    let plots = plots(results)?;
    results.run.machine.may_be_published()?;
    let home = report.parent().unwrap_or(Path::new(""));
    let shown_at = plots_dir.strip_prefix(home).unwrap_or(plots_dir);
    let text = text(results, &plots, shown_at)?;
    fs::create_dir_all(plots_dir)?;
    let mut files: Vec<_> = plots
        .into_iter()
        .map(|plot| (plots_dir.join(format!("{}.svg", plot.name)), plot.svg))
        .collect();
    files.push((report.to_owned(), text));
    replace(&files)
}

const fn kind_of_system() -> &'static str {
    match FAMILY {
        Family::Windows => "Windows",
        Family::Linux | Family::Unix => "POSIX",
    }
}

/// The file of this system's report.
pub(super) fn own_name() -> PathBuf {
    format!("benchmarks-{}.md", kind_of_system().to_lowercase()).into()
}

fn text(results: &Results, plots: &[Plot], plots_dir: &Path) -> Result<String, Failure> {
    let mut out = String::new();
    writeln!(out, "<!-- Written by `make bench` from one complete run; never edited by hand. -->")?;
    writeln!(out, "# Benchmarks on {}\n", kind_of_system())?;
    describe(&mut out, &results.run)?;
    floors_table(&mut out, &checks(results))?;
    writeln!(out, "## Pictures\n")?;
    for plot in plots {
        let path = plots_dir.join(format!("{}.svg", plot.name));
        writeln!(out, "![{}]({})\n", plot.title, path.display())?;
    }
    for placement in Placement::ALL {
        writeln!(out, "## Over a transport, {}\n", in_words(placement))?;
        let rows: Vec<_> = results
            .rows
            .iter()
            .filter(|row| row.placement == placement && is_over_transport(row))
            .collect();
        rows_table(&mut out, &rows)?;
    }
    in_process_table(&mut out, results)?;
    memory_table(&mut out, results)?;
    Ok(out)
}

fn is_over_transport(row: &Outcome) -> bool {
    row.transport != Transport::Process && !row.scenario.starts_with("idle")
}

fn describe(out: &mut String, run: &Run) -> Result<(), Failure> {
    let machine = &run.machine;
    let mode = match run.mode {
        Mode::Quick => "make bench QUICK=1",
        Mode::Pairs => "make bench PAIRS=1",
        Mode::Core => "make bench",
        Mode::Full => "make bench FULL=1",
    };
    let effort = &run.effort;
    writeln!(
        out,
        "`{mode}` of {}, revision {}: each row {} times for {} s after {} s of warm-up, the rows one \
         after the other in each round; {:.0} minutes in all. How it is measured, and what each \
         scenario does, is in [bench/README.md](bench/README.md). Figures are medians, and hold for \
         this machine alone:\n",
        machine.date,
        machine.revision,
        effort.repetitions,
        effort.seconds,
        effort.warmup_seconds,
        run.took_seconds / 60.0
    )?;
    writeln!(out, "| machine | |\n|---|---|")?;
    let kind = if machine.is_virtual { ", virtual" } else { "" };
    writeln!(out, "| CPUs | {} of {}{kind} |", machine.cpus, machine.cpu)?;
    if !machine.governor.is_empty() {
        writeln!(out, "| governor | {} |", machine.governor)?;
    }
    writeln!(out, "| memory | {} MiB |", machine.memory_kib / KIB_PER_MIB)?;
    let system = if FAMILY == Family::Windows { "" } else { "Linux " };
    writeln!(out, "| kernel | {system}{} |", machine.kernel)?;
    writeln!(out, "| compiler | {}, profile `bench` |", machine.rustc)?;
    writeln!(out, "| load in the minute before | {:.2} |", machine.load_before)?;
    let languages: Vec<_> = run.languages.iter().map(|language| language.name.as_str()).collect();
    writeln!(out, "| languages | {} |\n", languages.join(", "))?;
    if machine.load_before > QUIET_LOAD {
        writeln!(out, "**The machine was busy with something else: these figures say little.**\n")?;
    }
    Ok(())
}

fn floors_table(out: &mut String, checks: &[Check]) -> Result<(), Failure> {
    let passed = checks.iter().filter(|check| check.passed() == Some(true)).count();
    let missed = checks.iter().filter(|check| check.passed() == Some(false)).count();
    writeln!(out, "## Floors: {passed} passed, {missed} missed\n")?;
    writeln!(
        out,
        "What the project asks of itself, as ratios within this run. That sending, receiving, calls, \
         lookups and cache reads allocate nothing is shown by tests (`*allocations.rs`), not here.\n"
    )?;
    writeln!(out, "| | floor | figure | bound | ratio |\n|---|---|--:|--:|---|")?;
    for check in checks {
        writeln!(out, "{}", floor_line(check))?;
    }
    writeln!(out)?;
    Ok(())
}

fn floor_line(check: &Check) -> String {
    let verdict = match check.passed() {
        Some(true) => "passed",
        Some(false) => "**missed**",
        None => "not measured",
    };
    let figure = check.figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"));
    let floor = &check.floor;
    format!(
        "| {verdict} | {} | {figure} | {} | {} / {} |",
        floor.name, floor.bound, floor.figure, floor.of
    )
}

fn rows_table(out: &mut String, rows: &[&Outcome]) -> Result<(), Failure> {
    writeln!(
        out,
        "| scenario | transport | client → server | rate | calls/s | spread | of limit | p50 µs | \
         p95 µs | p99 µs | p99.9 µs | CPU client | CPU server | MiB client | MiB server | \
         system calls, client | server |"
    )?;
    writeln!(out, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    for row in rows {
        writeln!(
            out,
            "| {} | {} | {} → {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.scenario,
            name_of(row.transport),
            row.client,
            row.server,
            rate(row.rate),
            grouped(row.throughput),
            spread(row),
            row.of_limit.map_or_else(|| "-".to_owned(), |fraction| format!("{fraction:.3}")),
            micros(row.p50_ns),
            micros(row.p95_ns),
            micros(row.p99_ns),
            micros(row.p999_ns),
            percent(row.client_cpu),
            percent(row.server_cpu),
            mib(row.client_rss_kib),
            mib(row.server_rss_kib),
            calls(row.client_system_calls),
            calls(row.server_system_calls),
        )?;
    }
    writeln!(
        out,
        "\nSpread is that of calls/s over the repetitions. A raw row is a limit; a row's limit is \
         raw-line for shared memory at most (raw-futex where both are on one CPU), raw-seqpacket for \
         all others, paced alike. CPU is that of a process, 100 % being one CPU; system calls are \
         those a call, under strace, which slows every one of them down.\n"
    )?;
    Ok(())
}

fn in_process_table(out: &mut String, results: &Results) -> Result<(), Failure> {
    writeln!(out, "## In process, on one CPU\n")?;
    writeln!(out, "| scenario | language | calls/s | spread | p50 ns | p99 ns | cycles a call |")?;
    writeln!(out, "|---|---|--:|--:|--:|--:|--:|")?;
    for row in results.rows.iter().filter(|row| row.transport == Transport::Process) {
        let cycles = row.clock_hz / row.throughput;
        let cycles = if cycles > 0.0 { format!("{cycles:.1}") } else { "-".to_owned() };
        let (rate, spread) = (grouped(row.throughput), spread(row));
        writeln!(
            out,
            "| {} | {} | {rate} | {spread} | {:.1} | {:.1} | {cycles} |",
            row.scenario, row.client, row.p50_ns, row.p99_ns
        )?;
    }
    writeln!(
        out,
        "\nCycles are of the CPU's clock as it ran then, timed by a chain of instructions. A codec's \
         call is a request decoded, its answer built, checked and read, all of it.\n"
    )?;
    Ok(())
}

fn memory_table(out: &mut String, results: &Results) -> Result<(), Failure> {
    writeln!(out, "## Idle sessions\n")?;
    writeln!(
        out,
        "| scenario | transport | a session costs the server, bytes | agreed buffers, bytes |"
    )?;
    writeln!(out, "|---|---|--:|--:|")?;
    for row in results.rows.iter().filter(|row| row.scenario.starts_with("idle")) {
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            row.scenario,
            name_of(row.transport),
            grouped(row.bytes_per_client),
            grouped(row.agreed_bytes as f64)
        )?;
    }
    writeln!(out, "\nResident memory, after one call on each session.")?;
    Ok(())
}

/// The floors and rows of a run, for a terminal.
pub(super) fn summary(results: &Results) -> String {
    let mut out = String::new();
    for row in &results.rows {
        let of_limit = row.of_limit.map_or_else(String::new, |of| format!("{of:8.3} of limit"));
        let rate = rate(row.rate);
        // Writing to a string does not fail.
        let _written = writeln!(
            out,
            "{:32} {:7} {:>5}→{:5} {:9} {rate:>7} {:>12}/s {:>6} p50 {:>9} µs p99 {:>9} µs cpu {:>5} {:>5} {of_limit}",
            row.scenario,
            name_of(row.transport),
            row.client,
            row.server,
            name_of(row.placement),
            grouped(row.throughput),
            spread(row),
            micros(row.p50_ns),
            micros(row.p99_ns),
            percent(row.client_cpu),
            percent(row.server_cpu),
        );
    }
    out.push('\n');
    for check in checks(results) {
        let _written = writeln!(out, "{}", floor_line(&check));
    }
    out
}

fn rate(rate: Rate) -> String {
    match rate {
        Rate::PerSecond(rate) => format!("{}/s", grouped(rate.into())),
        Rate::Max(_) => "max".to_owned(),
    }
}

/// How far the repetitions lie apart, of their median.
fn spread(row: &Outcome) -> String {
    let apart = (row.throughput_max - row.throughput_min) / row.throughput;
    format!("{:.0} %", apart * 100.0)
}

fn micros(ns: f64) -> String {
    const NS_PER_US: f64 = 1e3;
    let us = ns / NS_PER_US;
    if us < 100.0 { format!("{us:.2}") } else { grouped(us) }
}

fn percent(cpus: f64) -> String {
    format!("{:.1} %", cpus * 100.0)
}

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / KIB_PER_MIB as f64)
}

fn calls(calls: Option<f64>) -> String {
    calls.map_or_else(|| "-".to_owned(), |calls| format!("{calls:.2}"))
}

/// `1,234,567`.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::canned;
    use super::*;

    #[test]
    fn a_report_names_each_row_each_floor_and_the_machine() {
        let mut results = canned();
        results.run.machine.cpu = "Some CPU".to_owned();
        let dir = tempfile::tempdir().unwrap();
        let (report, plots_dir) = (dir.path().join("report.md"), dir.path().join("bench/plots"));
        write(&results, &report, &plots_dir).unwrap();
        let text = fs::read_to_string(&report).unwrap();
        for row in &results.rows {
            assert!(text.contains(&format!("| {} |", row.scenario)), "{}", row.scenario);
        }
        let lines =
            text.lines().filter(|line| line.contains("passed |") || line.contains("missed"));
        assert!(lines.count() >= checks(&results).len());
        assert!(text.contains("Some CPU") && !text.contains("not measured"));
        assert!(!text.contains("was busy"));
        for plot in fs::read_dir(&plots_dir).unwrap() {
            let name = plot.unwrap().file_name().into_string().unwrap();
            assert!(text.contains(&format!("](bench/plots/{name})")), "{name}");
        }
    }

    #[test]
    fn an_incomplete_run_leaves_the_report_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (report, plots_dir) = (dir.path().join("report.md"), dir.path().join("plots"));
        fs::write(&report, "as it was").unwrap();
        let mut results = canned();
        results.rows.remove(3);
        let refused = write(&results, &report, &plots_dir).unwrap_err().to_string();
        assert!(refused.contains("incomplete"), "{refused}");
        assert_eq!(fs::read_to_string(&report).unwrap(), "as it was");
        assert!(!plots_dir.exists());
    }

    #[test]
    fn what_only_pretends_to_be_a_system_has_no_report() {
        let dir = tempfile::tempdir().unwrap();
        let (report, plots_dir) = (dir.path().join("report.md"), dir.path().join("plots"));
        let mut results = canned();
        results.run.machine.emulator = "Wine 8.0".to_owned();
        let refused = write(&results, &report, &plots_dir).unwrap_err().to_string();
        assert!(refused.contains("no report is published of Wine 8.0"), "{refused}");
        assert!(!report.exists() && !plots_dir.exists());
    }

    #[test]
    fn a_busy_machine_is_named_as_one() {
        let mut results = canned();
        results.run.machine.load_before = 3.0;
        let text = text(&results, &[], Path::new("plots")).unwrap();
        assert!(text.contains("was busy"));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(1_234_567.2), "1,234,567");
        assert_eq!(grouped(999.0), "999");
        assert_eq!((micros(1_234.0), micros(1_234_567.0)), ("1.23".into(), "1,235".into()));
    }
}
