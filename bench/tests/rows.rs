//! The runner and its driver as processes, on every system alike: a row of each transport and limit is measured;
//! and what only pretends to be a system publishes nothing.
#![forbid(unsafe_code)]

use std::process::{Command, Output};

use tempfile::TempDir;

fn run(place: &TempDir, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netipc-bench"));
    // A place that has no report: one would be written there.
    command.args(["run", "--mode", "quick", "--out", "out"]).args(more).current_dir(place.path());
    command.output().expect("the runner ran")
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    format!("{out}{err}")
}

const PINGS: [&str; 2] = ["ping-level1", "ping-level2"];
const LIMITS: [&str; 4] = ["raw-line", "raw-line-split", "raw-seqpacket", "raw-futex"];
const TRANSPORTS: &[&str] =
    if cfg!(windows) { &["socket", "shm", "busywait"] } else { &["socket", "shm"] };

#[test]
fn a_row_of_each_transport_and_of_each_limit_is_measured() {
    let place = tempfile::tempdir().expect("a directory");
    let pings = PINGS.iter().flat_map(|ping| {
        TRANSPORTS.iter().map(move |transport| format!("{ping} {transport} rust→rust unpinned max"))
    });
    let limits = LIMITS.iter().map(|limit| format!("{limit} raw rust→rust two-cpus max"));
    let wanted: Vec<String> = pings.chain(limits).collect();
    let transports = TRANSPORTS.join(",");
    let mut arguments = vec!["--repetitions", "1", "--seconds", "0.05", "--warmup-seconds", "0.02"];
    arguments.extend(["--no-strace", "--transports", &transports]);
    arguments.extend(wanted.iter().flat_map(|row| ["--only", row]));
    let output = run(&place, &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let results = std::fs::read(place.path().join("out/partial/results.json")).expect("written");
    let results: Vec<serde_json::Value> = serde_json::from_slice(&results).expect("JSON");
    assert_eq!(results.len(), wanted.len(), "{results:?}");
    for row in &results {
        assert!(row["throughput"].as_f64() > Some(0.0), "{row}");
    }
}

/// Under Wine, of which the runner is told by ntdll.
#[test]
fn what_only_pretends_to_be_a_system_publishes_nothing() {
    let pretends = cfg!(windows) && std::env::var_os("WINEPREFIX").is_some();
    if !pretends {
        // Which would take minutes where it may.
        return assert!(netipc_sys::raw::emulator().is_none());
    }
    let place = tempfile::tempdir().expect("a directory");
    let refused = run(&place, &[]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("no report is published of Wine "), "{}", said(&refused));
    let left = std::fs::read_dir(place.path()).expect("readable").count();
    assert_eq!(left, 0, "nothing is written, neither results nor a report");
}
