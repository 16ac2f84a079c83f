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

#[test]
fn a_row_of_each_transport_and_of_each_limit_is_measured() {
    let place = tempfile::tempdir().expect("a directory");
    let short = ["--repetitions", "1", "--seconds", "0.05", "--no-strace"];
    let mut only = vec!["--only", "raw-", "--only", "ping-level1", "--only", "ping-level2"];
    let mut rows = 2;
    if cfg!(windows) {
        only.extend(["--transports", "socket,shm,busywait"]);
        rows = 3;
    }
    let output = run(&place, &[&short[..], &only].concat());
    assert!(output.status.success(), "{}", said(&output));
    let results = std::fs::read(place.path().join("out/partial/results.json")).expect("written");
    let results: serde_json::Value = serde_json::from_slice(&results).expect("JSON");
    let measured = |scenario: &str, placement: &str| {
        let rows = results.as_array().expect("rows").iter();
        let found = rows.filter(|row| {
            row["scenario"] == scenario && row["placement"] == placement && row["rate"] == "max"
        });
        found.inspect(|row| assert!(row["throughput"].as_f64() > Some(0.0), "{row}")).count()
    };
    for placement in ["unpinned", "two-cpus", "one-cpu"] {
        assert_eq!(measured("ping-level1", placement), rows, "{placement}");
        assert_eq!(measured("ping-level2", placement), rows, "{placement}");
    }
    for limit in ["raw-line", "raw-line-split", "raw-seqpacket", "raw-futex"] {
        assert!(measured(limit, "two-cpus") > 0, "{limit}");
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
