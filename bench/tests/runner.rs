//! The runner as its users start it, for moments: what it measures means nothing here.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The first fields of a row, in this order, are what others read.
const FIELDS: [&str; 12] = [
    "scenario",
    "transport",
    "client",
    "server",
    "placement",
    "rate",
    "throughput",
    "p50_ns",
    "p99_ns",
    "client_cpu",
    "server_cpu",
    "of_limit",
];

/// A place for a run's files, and for a driver that is not quite the real one.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Measures rows whose name contains one of `only`, each once, for a moment.
    fn run(&self, mode: &str, only: &[&str], more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netipc-bench"));
        command.args(["run", "--mode", mode, "--repetitions", "1", "--no-strace"]);
        command.args(["--seconds", "0.02", "--warmup-seconds", "0.005"]);
        command.arg("--out").arg(self.path("out"));
        command.arg("--report").arg(self.path("report.md"));
        command.arg("--plots").arg(self.path("plots"));
        for only in only {
            command.args(["--only", only]);
        }
        command.args(more).output().expect("the runner ran")
    }

    fn rows(&self) -> Vec<Value> {
        let text = fs::read(self.path("out/partial/results.json")).expect("results");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// A driver that is a shell script around the real one, `$DRIVER`.
    fn scripted(&self, script: &str) -> String {
        let path = self.path("driver");
        let driver = env!("CARGO_BIN_EXE_netipc-bench-driver");
        fs::write(&path, format!("#!/bin/sh\nDRIVER='{driver}'\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        format!("rust={}", path.display())
    }

    #[track_caller]
    fn assert_failed(&self, output: &Output, why: &str) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{said}");
        assert!(!self.path("out").exists(), "a failed run writes nothing");
    }
}

#[track_caller]
fn assert_done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_row_has_the_fields_that_others_read_and_figures_in_them() {
    let place = Place::new();
    let only = ["ping-level2 socket", "raw-seqpacket raw"];
    assert_done(&place.run("quick", &only, &[]));
    let text = fs::read_to_string(place.path("out/partial/results.json")).expect("results");
    let mut at = 0;
    for field in FIELDS {
        let name = format!("\"{field}\":");
        at += text[at..].find(&name).unwrap_or_else(|| panic!("{field} is not in its place"));
    }
    let rows = place.rows();
    assert_eq!(rows.len(), 18, "three placements and three rates of each");
    for row in &rows {
        for positive in ["throughput", "p50_ns", "p99_ns", "client_cpu", "server_cpu"] {
            assert!(row[positive].as_f64().is_some_and(|figure| figure > 0.0), "{row}");
        }
        assert_eq!((row["client"].as_str(), row["server"].as_str()), (Some("rust"), Some("rust")));
        assert!(row["rate"] == "max" || row["rate"].is_u64(), "{row}");
        let is_limit = row["transport"] == "raw";
        assert_eq!(row["of_limit"].is_null(), is_limit, "{row}");
    }
    assert!(!place.path("report.md").exists(), "some rows are no report");
}

#[test]
fn every_scenario_is_answered_and_verified_on_each_transport() {
    let place = Place::new();
    assert_done(&place.run("full", &["unpinned max", "process"], &[]));
    let rows = place.rows();
    let mut scenarios: Vec<_> = rows.iter().filter_map(|row| row["scenario"].as_str()).collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    assert!(scenarios.len() >= 40, "{scenarios:?}");
}

#[test]
fn system_calls_are_counted_by_strace() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_netipc-bench"));
    command.args(["run", "--mode", "core", "--repetitions", "1", "--seconds", "0.02"]);
    command.args(["--only", "raw-seqpacket raw rust→rust one-cpu max"]);
    command.arg("--out").arg(place.path("out"));
    assert_done(&command.output().expect("the runner ran"));
    for field in ["client_system_calls", "server_system_calls"] {
        let calls = place.rows()[0][field].as_f64().expect("counted");
        // One send and one receive; what ends the measurement beside them.
        assert!((2.0..3.0).contains(&calls), "{calls}");
    }
}

#[test]
fn a_wrong_answer_fails_the_run() {
    for scenario in ["ping-level1 socket", "cgroups-lookup-16-known socket", "raw-futex"] {
        let place = Place::new();
        let driver = place.scripted(
            "[ \"$1\" = server ] && exec \"$DRIVER\" \"$@\" --wrong-after 0\nexec \"$DRIVER\" \"$@\"",
        );
        let output = place.run("quick", &[scenario], &["--driver", &driver]);
        place.assert_failed(&output, "wrong answer");
    }
}

#[test]
fn a_server_that_handled_another_number_of_requests_fails_the_run() {
    let place = Place::new();
    let driver = place.scripted(
        "[ \"$1\" = client ] && exec \"$DRIVER\" \"$@\"\n\"$DRIVER\" \"$@\" | sed -u 's/\"handled\":[0-9]*/\"handled\":7/'",
    );
    let output = place.run("quick", &["ping-level2 socket"], &["--driver", &driver]);
    place.assert_failed(&output, "the server handled 0 requests, of");
}

#[test]
fn a_session_of_another_transport_fails_the_run() {
    let place = Place::new();
    let driver = place.scripted(
        "[ \"$1\" = client ] && exec \"$DRIVER\" \"$@\"\nfor a do shift; [ \"$a\" = shm ] && a=socket; set -- \"$@\" \"$a\"; done\nexec \"$DRIVER\" \"$@\"",
    );
    let output = place.run("quick", &["ping-level2 shm"], &["--driver", &driver]);
    place.assert_failed(&output, "asked for shm-hybrid, but the session has baseline");
}

#[test]
fn a_driver_that_ends_early_fails_the_run() {
    let place = Place::new();
    let driver = place.scripted("[ \"$1\" = scenarios ] && exec \"$DRIVER\" \"$@\"\nexit 3");
    let output = place.run("quick", &["ping-level2 socket"], &["--driver", &driver]);
    place.assert_failed(&output, "the server ended early: exit status: 3");
}

#[test]
fn a_driver_plays_what_it_says_with_every_other() {
    let place = Place::new();
    let script = "[ \"$1\" = scenarios ] && { echo ping-level2; exit; }\nexec \"$DRIVER\" \"$@\"";
    let driver = place.scripted(script).replace("rust=", "other=");
    let only = ["→rust unpinned max", "→other unpinned max"];
    assert_done(&place.run("core", &only, &["--driver", &driver, "--transports", "socket"]));
    let rows = place.rows();
    let of_other: Vec<_> =
        rows.iter().filter(|row| row["client"] == "other" || row["server"] == "other").collect();
    assert_eq!(of_other.len(), 3, "with itself, and each way with rust");
    assert!(of_other.iter().all(|row| row["scenario"] == "ping-level2"));
    assert!(rows.len() > of_other.len());
}

#[test]
fn the_report_of_a_partial_run_is_refused() {
    let place = Place::new();
    assert_done(&place.run("quick", &["raw-futex"], &[]));
    let mut command = Command::new(env!("CARGO_BIN_EXE_netipc-bench"));
    command.arg("report").arg("--out").arg(place.path("out/partial"));
    command.arg("--report").arg(place.path("report.md"));
    let output = command.arg("--plots").arg(place.path("plots")).output().expect("the runner ran");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("incomplete"), "{said}");
    assert!(!Path::new(&place.path("report.md")).exists());
}
