//! What clients say when there is no session: one line that names the fix, and an exit status.

use std::fs;
use std::time::{Duration, Instant};

use netipc::server::ServerConfig;
use netipc::{Endpoint, Listener, ListenerConfig};
use netipc_services::{increment, string_reverse};
use rustix::process::Signal;

use crate::support::{
    FAILED, NO_PROVIDER, Provider, REFUSED, RunDir, WRONG_USAGE, assert_refuses, netipc, text,
};

const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

const PING: [&str; 4] = ["ping", "increment", "--count", "1"];

#[test]
fn no_provider_is_said_with_what_to_do() {
    let run_dir = RunDir::new();
    let directory = run_dir.path().to_str().unwrap();
    for arguments in
        [&PING[..], &["snapshot"], &["lookup", "apps", "1"], &["lookup", "cgroups", "/a"]]
    {
        let refused = run_dir.run(arguments);
        assert_refuses(&refused, NO_PROVIDER, &["no provider", directory, "start it", "--run-dir"]);
    }
    // By the environment as well as by the option.
    let refused = netipc(&PING).env("NETIPC_RUN_DIR", directory).output().unwrap();
    assert_refuses(&refused, NO_PROVIDER, &["no provider of increment", directory]);
}

#[test]
fn a_killed_provider_is_told_from_one_that_never_was() {
    let run_dir = RunDir::new();
    run_dir.serve("increment").end(Signal::KILL);
    assert_refuses(&run_dir.run(&PING), NO_PROVIDER, &["is gone", "start it again"]);
}

#[test]
fn the_token_comes_from_the_environment_or_a_file() {
    let run_dir = RunDir::new();
    let (token, uuid) = (run_dir.path().join("token"), run_dir.path().join("uuid"));
    fs::write(&uuid, format!("{UUID}\n")).unwrap();
    // What the convention makes of that UUID, computed by the library.
    let bytes = netipc::token::parse_uuid(UUID).unwrap();
    let number = netipc::token::token_from_session_uuid(&bytes);
    fs::write(&token, format!("{number:#x}\n")).unwrap();
    let mut serve = run_dir.netipc(&["serve", "increment"]);
    let _provider = Provider::start(serve.arg("--session-id").arg(&uuid), 1);

    let run = |command: &mut std::process::Command| command.output().unwrap();
    let by_env = run(run_dir.netipc(&PING).env("NETIPC_TOKEN", number.to_string()));
    let by_file = run(run_dir.netipc(&PING).arg("--token-file").arg(&token));
    let by_uuid = run(run_dir.netipc(&PING).arg("--session-id").arg(&uuid));
    // An option is more than the environment.
    let wrong_env = &mut run_dir.netipc(&PING);
    let by_option = run(wrong_env.env("NETIPC_TOKEN", "1").arg("--token-file").arg(&token));
    for output in [by_env, by_file, by_uuid, by_option] {
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let none = run_dir.run(&PING);
    let wrong = run(run_dir.netipc(&PING).env("NETIPC_TOKEN", "1"));
    for output in [none, wrong] {
        assert_refuses(&output, REFUSED, &["token", "NETIPC_TOKEN", "--token-file"]);
    }
}

#[test]
fn what_is_no_token_is_refused_and_not_repeated() {
    let run_dir = RunDir::new();
    let file = run_dir.path().join("secret");
    fs::write(&file, "hunter2").unwrap();
    let file = file.to_str().unwrap();
    let by_env = run_dir.netipc(&PING).env("NETIPC_TOKEN", "hunter2").output().unwrap();
    let by_file = run_dir.run(&[&PING[..], &["--token-file", file]].concat());
    let by_uuid = run_dir.run(&[&PING[..], &["--session-id", file]].concat());
    for output in [by_env, by_file, by_uuid] {
        assert_refuses(&output, WRONG_USAGE, &["need"]);
        assert!(!text(&output.stderr).contains("hunter2"), "{}", text(&output.stderr));
    }
    let missing = run_dir.run(&[&PING[..], &["--token-file", "/nonexistent"]].concat());
    assert_refuses(&missing, FAILED, &["cannot read /nonexistent"]);
    let both = ["--token-file", file, "--session-id", file];
    assert_eq!(run_dir.run(&[&PING[..], &both].concat()).status.code(), WRONG_USAGE);
}

#[test]
fn a_silent_provider_is_given_up_in_time() {
    let run_dir = RunDir::new();
    let endpoint = Endpoint::new(run_dir.path(), "increment").unwrap();
    let _silent = Listener::bind(&endpoint, &ListenerConfig::default()).unwrap();
    let start = Instant::now();
    let refused = run_dir.run(&[&PING[..], &["--timeout-ms", "100"]].concat());
    // Far less than the 5 s that a handshake may take at most.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_refuses(&refused, REFUSED, &["gives no session", "timed out"]);
}

#[test]
fn what_is_no_endpoint_is_named() {
    let run_dir = RunDir::new();
    fs::write(run_dir.socket("increment"), "").unwrap();
    assert_refuses(&run_dir.run(&PING), FAILED, &["a regular file", "remove it"]);
}

#[test]
fn a_wrong_answer_ends_a_ping() {
    let run_dir = RunDir::new();
    let endpoint = |service| Endpoint::new(run_dir.path(), service).unwrap();
    let off_by_one = increment::Server::bind(&endpoint("increment"), ServerConfig::default())
        .unwrap()
        // Right at first: the third call asks for 2.
        .spawn(|request, response| {
            let wrong = u64::from(request.value() == 2);
            Ok(response.value(request.value() + 1 + wrong).finish()?)
        })
        .unwrap();
    let mirror = string_reverse::Server::bind(&endpoint("string-reverse"), ServerConfig::default())
        .unwrap()
        .spawn(|request, response| Ok(response.bytes(request.bytes()).finish()?))
        .unwrap();
    assert!(run_dir.run(&["ping", "increment", "--count", "2"]).status.success());
    for service in ["increment", "string-reverse"] {
        let refused = run_dir.run(&["ping", service, "--count", "3"]);
        assert_refuses(&refused, FAILED, &[service, "wrong answer"]);
    }
    off_by_one.stop().unwrap();
    mirror.stop().unwrap();
}
