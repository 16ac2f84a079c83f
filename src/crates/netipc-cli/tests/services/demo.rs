//! `netipc demo`: it shows what it promises, ends by itself, and leaves nothing.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::host::FixtureHost;
use crate::support::{netipc, text};

/// Ends within 10 s, and leaves nothing in the directory for temporary files.
#[track_caller]
fn demo(arguments: &[String]) -> Output {
    let temporary = TempDir::with_prefix("netipc-").unwrap();
    let start = Instant::now();
    let mut command = netipc(&["demo"]);
    let output = command.args(arguments).env("TMPDIR", temporary.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    output
}

#[test]
fn it_shows_the_host_and_how_fast_it_is_told() {
    let host = FixtureHost::new();
    let output = demo(&host.arguments());
    let shown = text(&output.stdout);
    for words in [
        "profile     shm-hybrid (neither peer offers a better one)",
        "The largest of 5 control groups, by memory",
        "50.0 MiB",
        "nginx.service",
        "Some of 6 processes",
        "redis",
        "docker",
        "p99 µs",
        "over the socket, every answer verified",
        "over shared memory, every answer verified",
        "increment, one number",
        "is gone.",
    ] {
        assert!(shown.contains(words), "no `{words}` in:\n{shown}");
    }
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn a_host_without_cgroup_v2_shows_its_processes() {
    let host = FixtureHost::without_tree();
    host.process(1, b"init", b"");
    let output = demo(&host.arguments());
    let shown = text(&output.stdout);
    for words in [
        "no cgroup2 file system is mounted here",
        "No process is in a control group other than the root.",
        "Some of 1 processes",
        "init",
        "(host-root)",
    ] {
        assert!(shown.contains(words), "no `{words}` in:\n{shown}");
    }
}

#[test]
fn it_works_on_the_host_that_it_runs_on() {
    let output = demo(&[]);
    let shown = text(&output.stdout);
    // Its own process, at least.
    assert!(shown.contains("Some of ") && !shown.contains("Some of 0 "), "{shown}");
}
