//! `netipc serve`: from ready to gone.

use std::fs;
use std::time::Instant;

use netipc::Endpoint;
use netipc::client::ClientConfig;
use netipc::server::DRAIN_TIMEOUT;
use netipc_services::increment;
use rustix::process::Signal;

use crate::host::FixtureHost;
use crate::support::{
    FAILED, Provider, RunDir, SERVICES, WRONG_USAGE, assert_refuses, netipc, text,
};

#[test]
fn a_signal_ends_it_and_its_sockets() {
    let (host, run_dir) = (FixtureHost::new(), RunDir::new());
    for signal in [Signal::TERM, Signal::INT] {
        let provider = run_dir.serve_all(&host);
        for (service, line) in SERVICES.iter().zip(&provider.ready) {
            let socket = run_dir.socket(service);
            assert_eq!(*line, format!("{service} ready at {}", socket.display()));
            assert!(socket.exists(), "{service}");
        }
        let status = provider.end(signal);
        assert!(status.success(), "{status}");
        for service in SERVICES {
            assert!(!run_dir.socket(service).exists(), "{service}");
        }
    }
}

#[test]
fn clients_with_nothing_to_ask_delay_no_stop() {
    let run_dir = RunDir::new();
    let provider = run_dir.serve("increment");
    let endpoint = Endpoint::new(run_dir.path(), "increment").unwrap();
    let mut client = increment::Client::new(endpoint, ClientConfig::default());
    client.refresh();
    assert!(client.ready());
    let start = Instant::now();
    assert!(provider.end(Signal::TERM).success());
    assert!(start.elapsed() < DRAIN_TIMEOUT / 2, "{:?}", start.elapsed());
    assert!(client.refresh() && !client.ready(), "the client is told");
}

#[test]
fn a_service_named_twice_is_served_once() {
    let run_dir = RunDir::new();
    let mut command = run_dir.netipc(&["serve", "increment", "string-reverse", "increment"]);
    let provider = Provider::start(&mut command, 2);
    assert!(provider.end(Signal::TERM).success());
}

#[test]
fn a_taken_name_says_who_has_it() {
    let run_dir = RunDir::new();
    let provider = run_dir.serve("increment");
    let pid = format!("pid {}", provider.pid());
    let refused = run_dir.run(&["serve", "string-reverse", "increment"]);
    assert_refuses(&refused, FAILED, &["increment", "address in use", &pid, "--run-dir"]);
    assert!(!run_dir.socket("string-reverse").exists(), "what was taken is given back");
    assert!(run_dir.run(&["ping", "increment", "--count", "1"]).status.success());
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let run_dir = RunDir::new();
    fs::write(run_dir.socket("increment"), "precious").unwrap();
    let refused = run_dir.run(&["serve", "increment"]);
    assert_refuses(&refused, FAILED, &["a regular file", "--run-dir"]);
    assert_eq!(fs::read_to_string(run_dir.socket("increment")).unwrap(), "precious");
}

#[test]
fn a_killed_provider_is_followed_by_the_next() {
    let run_dir = RunDir::new();
    run_dir.serve("increment").end(Signal::KILL);
    assert!(run_dir.socket("increment").exists(), "a kill leaves the socket");
    let provider = run_dir.serve("increment");
    assert!(run_dir.run(&["ping", "increment", "--count", "10"]).status.success());
    assert!(provider.end(Signal::TERM).success());
}

#[test]
fn what_it_cannot_work_with_is_said_at_once() {
    let run_dir = RunDir::new();
    let missing = run_dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    let refused = netipc(&["serve", "increment", "--run-dir", missing]).output().unwrap();
    assert_refuses(&refused, FAILED, &["does not exist", "mkdir -p"]);
    let refused = run_dir.run(&["serve", "apps-lookup", "--proc-root", missing]);
    assert_refuses(&refused, FAILED, &["cannot read processes", "--proc-root"]);
    let long = "/x".repeat(60);
    let refused = netipc(&["serve", "increment", "--run-dir", &long]).output().unwrap();
    assert_refuses(&refused, WRONG_USAGE, &["--run-dir", "shorter"]);
}

#[test]
fn what_to_serve_must_be_said() {
    let run_dir = RunDir::new();
    for arguments in [&["serve"][..], &["serve", "nothing"], &["serve", "increment", "--all"]] {
        let refused = run_dir.run(arguments);
        assert_eq!(refused.status.code(), WRONG_USAGE, "{}", text(&refused.stderr));
    }
}

#[test]
fn a_host_without_cgroup_v2_is_served_and_said() {
    let (host, run_dir) = (FixtureHost::without_tree(), RunDir::new());
    host.process(5, b"lonely", b"4:memory:/lxc/box\n0::/\n");
    let log = fs::File::create(run_dir.path().join("log")).unwrap();
    let arguments = host.arguments();
    let mut command = run_dir.netipc(&["serve", "cgroups-snapshot"]);
    let provider = Provider::start(command.args(arguments).stderr(log), 1);
    let snapshot = run_dir.run(&["snapshot"]);
    assert!(text(&snapshot.stdout).contains("/lxc/box"), "{}", text(&snapshot.stdout));
    assert!(provider.end(Signal::TERM).success());
    let said = fs::read_to_string(run_dir.path().join("log")).unwrap();
    assert!(said.contains("no cgroup2 file system is mounted"), "{said}");
}
