//! `netipc ls`.

use std::fs;
use std::os::unix::net::UnixListener;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::host::FixtureHost;
use crate::support::{FAILED, RunDir, SERVICES, assert_refuses, json, netipc, text};

fn list(run_dir: &RunDir) -> Vec<Value> {
    match json(&run_dir.run(&["ls", "--json"]))["endpoints"].take() {
        Value::Array(endpoints) => endpoints,
        other => panic!("{other}"),
    }
}

#[test]
fn live_endpoints_say_whose_they_are_and_what_they_agree_to() {
    let (host, run_dir) = (FixtureHost::new(), RunDir::new());
    let provider = run_dir.serve_all(&host);
    let endpoints = list(&run_dir);
    let mut services = SERVICES;
    services.sort_unstable();
    assert!(endpoints.iter().map(|entry| &entry["service"]).eq(services), "{endpoints:?}");
    for entry in &endpoints {
        assert_eq!((&entry["state"], &entry["said"]), (&json!("live"), &json!("accepted")));
        assert_eq!(entry["pid"], provider.pid());
        let session = &entry["session"];
        assert_eq!(
            (&session["profile"], &session["server_profiles"]),
            (&json!("baseline"), &json!(3))
        );
        assert_eq!(session["max_request_payload_bytes"], 65_536);
        assert!(session["packet_bytes"].as_u64().is_some_and(|bytes| bytes > 1024), "{session}");
    }
    let shown = run_dir.run(&["ls"]);
    assert_eq!(text(&shown.stdout).lines().count(), 1 + SERVICES.len());
    assert!(provider.end(Signal::TERM).success());
    assert!(list(&run_dir).is_empty());
    assert!(text(&run_dir.run(&["ls"]).stdout).starts_with("no endpoints in "));
}

#[test]
fn what_died_and_what_is_foreign_is_told_from_what_lives() {
    let run_dir = RunDir::new();
    run_dir.serve("increment").end(Signal::KILL);
    let _provider = run_dir.serve("string-reverse");
    fs::write(run_dir.socket("a-file"), "").unwrap();
    let _stream = UnixListener::bind(run_dir.socket("a-stream")).unwrap();
    fs::create_dir(run_dir.socket("no service")).unwrap();
    let endpoints = list(&run_dir);
    let told: Vec<_> = endpoints
        .iter()
        .map(|entry| (entry["service"].as_str().unwrap(), entry["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("a-file", "foreign"),
        ("a-stream", "foreign"),
        ("increment", "stale"),
        ("no service", "foreign"),
        ("string-reverse", "live"),
    ];
    assert_eq!(told, expected);
    assert_eq!(endpoints[0]["said"], "a regular file");
    assert_eq!(endpoints[2]["pid"], Value::Null);
}

#[test]
fn a_server_that_refuses_is_live_and_says_why() {
    let run_dir = RunDir::new();
    let provider = run_dir.serve("increment");
    let listed = run_dir.netipc(&["ls", "--json"]).env("NETIPC_TOKEN", "7").output().unwrap();
    let entry = &json(&listed)["endpoints"][0];
    assert_eq!((&entry["state"], &entry["session"]), (&json!("live"), &Value::Null));
    assert_eq!(entry["pid"], provider.pid());
    assert!(entry["said"].as_str().unwrap().contains("AUTH_FAILED"), "{entry}");
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let refused = netipc(&["ls", "--run-dir", "/nonexistent/netipc"]).output().unwrap();
    assert_refuses(
        &refused,
        FAILED,
        &["cannot list the endpoints of /nonexistent/netipc", "--run-dir"],
    );
}
