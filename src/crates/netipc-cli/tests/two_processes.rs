//! `netipc` asked and asking across processes, by what is the same on every system: names, exit statuses and
//! output. What hangs on files, signals and /proc is in `services/`.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::str;

use netipc::Endpoint;
use netipc::server::{RunningServer, ServerConfig};
use netipc_services::{apps_lookup, cgroups_snapshot};
use serde_json::Value;
use tempfile::TempDir;

/// Exit statuses, as `--help` has them.
const FAILED: Option<i32> = Some(1);
const NO_PROVIDER: Option<i32> = Some(3);
const REFUSED: Option<i32> = Some(4);

/// As `--transport` takes it, and the profile that comes of it.
const TRANSPORTS: [(&str, &str); 2] = [("socket", "baseline"), ("shm", "shm-hybrid")];

/// A run directory.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::with_prefix("netipc-").unwrap())
    }

    fn endpoint(&self, service: &str) -> Endpoint {
        Endpoint::new(self.0.path(), service).unwrap()
    }

    /// The command, with an environment that says nothing to it.
    fn netipc(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netipc"));
        command.args(arguments).arg("--run-dir").arg(self.0.path());
        command.env_remove("NETIPC_TOKEN").env_remove("NETIPC_RUN_DIR");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.netipc(arguments).output().unwrap()
    }

    /// A process that serves these; ready.
    fn serve(&self, services: &[&str]) -> Provider {
        let mut command = self.netipc(&[&["serve"], services].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.as_mut().unwrap());
        let ready: Vec<String> = out.lines().take(services.len()).map(Result::unwrap).collect();
        let expected =
            services.iter().map(|service| format!("{service} ready at {}", self.endpoint(service)));
        assert!(ready.iter().cloned().eq(expected), "{ready:?}");
        Provider(child)
    }
}

/// Killed when dropped.
struct Provider(Child);

impl Drop for Provider {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Standard output, of a command that succeeded.
#[track_caller]
fn said(output: &Output) -> &str {
    assert!(output.status.success(), "{}", str::from_utf8(&output.stderr).unwrap());
    str::from_utf8(&output.stdout).unwrap()
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_str(said(output)).unwrap()
}

/// It failed so, and said why in one line that has these words.
#[track_caller]
fn assert_refuses(output: &Output, code: Option<i32>, words: &str) {
    let said = str::from_utf8(&output.stderr).unwrap();
    assert_eq!(output.status.code(), code, "{said}");
    assert!(said.lines().count() == 1 && said.contains(words), "no `{words}` in: {said}");
}

#[test]
fn every_call_is_answered_right_over_each_transport() {
    let place = Place::new();
    let _provider = place.serve(&["increment", "string-reverse"]);
    for service in ["increment", "string-reverse"] {
        for (transport, profile) in TRANSPORTS {
            let arguments = ["ping", service, "--count", "200", "--transport", transport];
            let shown = place.run(&arguments);
            assert!(said(&shown).starts_with(&format!("{service}: 200 calls in ")), "{shown:?}");
            let object = json(&place.run(&[&arguments[..], &["--json"]].concat()));
            assert_eq!(object["session"]["profile"], profile, "{object}");
        }
    }
}

#[test]
fn who_is_absent_and_who_does_not_admit_are_told_apart() {
    let place = Place::new();
    assert_refuses(&place.run(&["ping", "increment"]), NO_PROVIDER, "no provider of increment");
    let _provider = place.serve(&["increment"]);
    let mut stranger = place.netipc(&["ping", "increment"]);
    let refused = stranger.env("NETIPC_TOKEN", "7").output().unwrap();
    assert_refuses(&refused, REFUSED, "does not admit this client");
    assert!(place.run(&["ping", "increment", "--count", "1"]).status.success());
}

#[test]
fn a_killed_provider_leaves_nothing_in_its_successors_way() {
    let place = Place::new();
    for _ in 0..2 {
        let provider = place.serve(&["increment"]);
        assert!(place.run(&["ping", "increment", "--count", "10"]).status.success());
        drop(provider);
        assert!(!place.run(&["ping", "increment", "--count", "1"]).status.success());
    }
}

/// A snapshot of two groups.
fn groups(place: &Place) -> RunningServer {
    let endpoint = place.endpoint(cgroups_snapshot::SERVICE);
    let server = cgroups_snapshot::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server.spawn(|_, response| {
        response.generation(7).systemd_enabled(1);
        for (hash, name) in [(0xa1, "first"), (0xb2, "second")] {
            response.item().hash(hash).enabled(1).name(name).path("/a/path").finish()?;
        }
        Ok(())
    });
    running.unwrap()
}

/// Of processes, those of even numbers are known.
fn processes(place: &Place) -> RunningServer {
    let endpoint = place.endpoint(apps_lookup::SERVICE);
    let server = apps_lookup::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server.spawn(|request, response| {
        response.generation(8);
        for pid in request.keys() {
            if pid % 2 == 0 {
                let status = apps_lookup::CgroupStatus::HostRoot;
                response.known(pid).cgroup_status(status).comm("even").ppid(1).finish()?;
            } else {
                response.unknown(pid)?;
            }
        }
        Ok(())
    });
    running.unwrap()
}

#[test]
fn snapshots_and_lookups_of_another_process_are_printed() {
    let place = Place::new();
    let (groups, processes) = (groups(&place), processes(&place));
    let shown = place.run(&["snapshot"]);
    let snapshot = said(&shown);
    assert!(snapshot.contains("second") && snapshot.ends_with("generation 7\n"), "{snapshot}");
    for (transport, _) in TRANSPORTS {
        let snapshot = json(&place.run(&["snapshot", "--json", "--transport", transport]));
        assert_eq!(snapshot["items"][1]["hash"], 0xb2, "{snapshot}");
        let lookup = ["lookup", "apps", "--json", "--transport", transport, "3", "2"];
        let answer = json(&place.run(&lookup));
        assert_eq!(
            (&answer["items"][0]["pid"], &answer["items"][1]["pid"]),
            (&3.into(), &2.into())
        );
        assert_eq!(answer["items"][1]["comm"], "even", "{answer}");
    }
    let shown = place.run(&["lookup", "apps", "3", "2"]);
    assert!(said(&shown).ends_with("1 of 2 processes known; generation 8\n"), "{shown:?}");
    groups.stop().unwrap();
    processes.stop().unwrap();
}

/// Wine lists no pipes; whatever does is to list these.
#[test]
fn endpoints_are_listed_or_it_is_said_that_they_cannot_be() {
    let place = Place::new();
    let provider = place.serve(&["increment", "string-reverse"]);
    let listed = place.run(&["ls", "--json"]);
    if std::env::var_os("WINEPREFIX").is_some() && cfg!(windows) {
        return assert_refuses(&listed, FAILED, "does not tell which pipes there are; ask for");
    }
    let listed = json(&listed);
    let endpoints = listed["endpoints"].as_array().unwrap();
    let services: Vec<&Value> = endpoints.iter().map(|entry| &entry["service"]).collect();
    assert_eq!(services, ["increment", "string-reverse"]);
    for entry in endpoints {
        assert_eq!((&entry["state"], &entry["said"]), (&"live".into(), &"accepted".into()));
        assert_eq!(entry["pid"], provider.0.id());
    }
}

#[test]
fn what_only_linux_has_is_served_there_alone() {
    let place = Place::new();
    if cfg!(target_os = "linux") {
        drop(place.serve(&["apps-lookup"]));
    } else {
        let words = "this system has no such files: Linux has";
        assert_refuses(&place.run(&["serve", "apps-lookup"]), FAILED, words);
    }
}
