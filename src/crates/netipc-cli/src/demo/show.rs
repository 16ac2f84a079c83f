//! What the demo prints.

use std::cmp::Reverse;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use netipc::client::{Answer, SessionStatus};
use netipc_host::{Cgroup, Generation};
use netipc_services::{apps_lookup, cgroups_lookup};

use crate::ask::agreed_lines;
use crate::failure::Failure;
use crate::measure::{Latencies, shown_us};
use crate::providers::{self, ServiceName};
use crate::table::{self, grouped, number, table};
use crate::text::printable;

/// Rows of each table.
const SHOWN: usize = 8;
/// Longer texts are cut, so that the lines of every table here fit a terminal of 80 columns.
const SHOWN_CHARS: usize = 34;

const HEADING: Style = AnsiColor::Cyan.on_default().bold();

fn heading(text: &str, out: &mut impl Write) -> Result<(), Failure> {
    Ok(writeln!(out, "\n{HEADING}{text}{HEADING:#}")?)
}

pub(super) fn title(run_dir: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let services = ServiceName::ALL.map(ServiceName::as_str).join(", ");
    let pid = std::process::id();
    writeln!(out, "Serving {services}")?;
    Ok(writeln!(out, "in {} as pid {pid}; a token keeps others out.", run_dir.display())?)
}

pub(super) fn agreed(
    service: &str,
    session: Option<&SessionStatus>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    heading(&format!("What a client and the provider of {service} agree on"), out)?;
    for (name, value) in session.map(agreed_lines).into_iter().flatten() {
        writeln!(out, "{name:<10}  {value}")?;
    }
    Ok(())
}

/// The largest cgroups that `is_listed` knows: by memory where that is accounted, else by
/// processes.
pub(super) fn largest(
    generation: &Generation,
    is_listed: impl Fn(&Cgroup) -> bool,
) -> Vec<&Arc<Cgroup>> {
    let mut cgroups: Vec<_> = generation.cgroups().iter().filter(|c| is_listed(c)).collect();
    cgroups.sort_by_key(|cgroup| {
        (Reverse(cgroup.memory_bytes), Reverse(cgroup.processes), Arc::clone(&cgroup.path))
    });
    cgroups.truncate(SHOWN);
    cgroups
}

pub(super) fn cgroups(
    generation: &Generation,
    listed: usize,
    largest: &[&Arc<Cgroup>],
    answer: &Answer<'_, cgroups_lookup::Service>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let by = if largest.iter().any(|cgroup| cgroup.memory_bytes.is_some()) {
        "memory"
    } else {
        "processes"
    };
    let of = grouped(listed as u64);
    heading(&format!("The largest of {of} control groups, by {by}, and what they are"), out)?;
    if let Some(note) = providers::note(generation) {
        writeln!(out, "({note})")?;
    }
    if largest.is_empty() {
        return Ok(writeln!(out, "No process is in a control group other than the root.")?);
    }
    let mut rows = table(["MEMORY", "PROCESSES", "ORCHESTRATOR", "NAME"]);
    for (cgroup, item) in largest.iter().zip(answer.items()) {
        rows.add_row([
            number(cgroup.memory_bytes.map_or_else(|| "-".to_owned(), mebibytes)),
            number(grouped(cgroup.processes.into())),
            item.orchestrator().into(),
            short(item.name()).into(),
        ]);
    }
    Ok(table::write(&rows, out)?)
}

pub(super) fn processes(
    answer: &Answer<'_, apps_lookup::Service>,
    sub_calls: u64,
    took: Duration,
    out: &mut impl Write,
) -> Result<(), Failure> {
    use apps_lookup::{CgroupStatus, Orchestrator, Status};
    let asked = grouped(answer.len() as u64);
    heading(&format!("Some of {asked} processes, with their container"), out)?;
    let mut items: Vec<_> = answer.items().filter(|item| item.status() == Status::Known).collect();
    // Those in containers first, those of the host's root last.
    items.sort_by_key(|item| match (item.cgroup_status(), item.orchestrator()) {
        (CgroupStatus::Known, Orchestrator::UNKNOWN) => 2,
        (CgroupStatus::Known, Orchestrator::SYSTEMD) => 1,
        (CgroupStatus::Known, _) => 0,
        (CgroupStatus::UnknownRetryLater | CgroupStatus::UnknownPermanent, _) => 3,
        (CgroupStatus::HostRoot, _) => 4,
    });
    let mut rows = table(["PID", "COMM", "UID", "ORCHESTRATOR", "CONTAINER"]);
    for item in items.iter().take(SHOWN) {
        let container = match item.cgroup_status() {
            CgroupStatus::Known => short(item.cgroup_name()),
            status => format!("({status})"),
        };
        let uid = item.uid();
        rows.add_row([
            number(item.pid()),
            printable(item.comm()).into(),
            number(if uid == u32::MAX { "-".to_owned() } else { uid.to_string() }),
            item.orchestrator().into(),
            container.into(),
        ]);
    }
    table::write(&rows, out)?;
    let ms = took.as_secs_f64() * 1000.0;
    let parts = if sub_calls == 1 { "1 request".into() } else { format!("{sub_calls} requests") };
    Ok(writeln!(out, "{asked} pids asked in one call of {parts}, {ms:.2} ms.")?)
}

pub(super) fn speed(
    rows: &[(String, Latencies)],
    over: &str,
    out: &mut impl Write,
) -> Result<(), Failure> {
    heading(&format!("Calls one after the other over {over}, every answer verified"), out)?;
    let mut shown = table(["CALL", "A SECOND", "p50 µs", "p99 µs", "max µs"]);
    for (what, latencies) in rows {
        shown.add_row([
            what.into(),
            number(grouped(latencies.calls_per_second())),
            number(shown_us(latencies.percentile_us(50.0))),
            number(shown_us(latencies.percentile_us(99.0))),
            number(shown_us(latencies.max_us())),
        ]);
    }
    Ok(table::write(&shown, out)?)
}

fn mebibytes(bytes: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    format!("{:.1} MiB", bytes as f64 / MIB)
}

/// The end of a long text: that of a path tells more than its start.
fn short(bytes: &[u8]) -> String {
    let text = printable(bytes);
    match text.chars().count().checked_sub(SHOWN_CHARS) {
        None | Some(0) => text,
        Some(more) => format!("…{}", text.chars().skip(more + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_shows_its_end() {
        assert_eq!(short(b"/short"), "/short");
        let exact = "x".repeat(SHOWN_CHARS);
        assert_eq!(short(exact.as_bytes()), exact);
        let long = format!("/{exact}");
        let shown = short(long.as_bytes());
        assert_eq!((shown.chars().count(), shown.ends_with("xxx")), (SHOWN_CHARS, true));
        assert!(shown.starts_with('…'));
    }
}
