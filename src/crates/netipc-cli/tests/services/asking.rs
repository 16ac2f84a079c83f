//! `netipc snapshot`, `lookup` and `ping`, of a provider that serves a made-up host.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::host::{CONTAINER, CONTAINER_ID, FixtureHost, ODD, ODD_HEX};
use crate::support::{FAILED, RunDir, SERVICES, WRONG_USAGE, assert_refuses, feed, json, text};

/// FNV-1, 32 bits, as in spec section 10.3.
fn fnv1(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0x811c_9dc5, |hash: u32, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(*byte))
}

fn item<'v>(answer: &'v Value, key: &str, wanted: &Value) -> &'v Value {
    let items = answer["items"].as_array().unwrap();
    items.iter().find(|item| item[key] == *wanted).unwrap_or_else(|| panic!("{wanted}: {answer}"))
}

#[test]
fn a_snapshot_has_every_cgroup() {
    let (host, run_dir) = (FixtureHost::new(), RunDir::new());
    let _provider = run_dir.serve_all(&host);
    let snapshot = json(&run_dir.run(&["snapshot", "--json"]));
    let paths: Vec<&Value> =
        snapshot["items"].as_array().unwrap().iter().map(|item| &item["path"]).collect();
    let odd = json!({ "hex": ODD_HEX });
    let nginx = json!("/system.slice/nginx.service");
    let (idle, slice) = (json!("/idle"), json!("/system.slice"));
    assert_eq!(paths, [&idle, &odd, &slice, &json!(CONTAINER), &nginx]);
    assert_eq!(item(&snapshot, "path", &nginx)["name"], "nginx.service");
    assert_eq!(item(&snapshot, "path", &nginx)["hash"], fnv1(b"nginx.service"));
    assert_eq!(item(&snapshot, "path", &nginx)["enabled"], 1);
    assert_eq!(item(&snapshot, "path", &idle)["enabled"], 0);
    assert_eq!(snapshot["systemd_enabled"], 1);
    assert_ne!(snapshot["generation"], 0);

    let shown = run_dir.run(&["snapshot"]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("/odd\\xff"), "{shown}");
    assert!(shown.ends_with(&format!("generation {}\n", snapshot["generation"])), "{shown}");
    assert!(!shown.contains('\x1b'), "no colours away from a terminal: {shown}");
}

#[test]
fn processes_come_with_their_cgroup_in_the_order_asked() {
    let (host, run_dir) = (FixtureHost::new(), RunDir::new());
    let _provider = run_dir.serve_all(&host);
    let pids = ["14", "13", "12", "11", "10", "1", "999", "0"];
    let answer = json(&run_dir.run(&[&["lookup", "apps", "--json"], &pids[..]].concat()));
    let items = answer["items"].as_array().unwrap();
    let asked = pids.map(|pid| pid.parse::<u32>().unwrap());
    assert!(items.iter().map(|item| &item["pid"]).eq(asked), "{answer}");

    let [old, new, odd, redis, nginx, init, nobody, zero] = &items[..] else { panic!("{answer}") };
    assert_eq!(old["cgroup_status"], "unknown-permanent");
    assert_eq!(old["cgroup_path"], "/gone (deleted)");
    assert_eq!(new["cgroup_status"], "unknown-retry-later");
    assert_eq!(new["cgroup_path"], "/not/seen/yet");
    assert_eq!(odd["comm"], json!({ "hex": "6f6464ff" }));
    assert_eq!(odd["cgroup_path"], json!({ "hex": ODD_HEX }));
    assert_eq!((&redis["orchestrator"], &redis["comm"]), (&json!("docker"), &json!("redis")));
    let label = json!({ "key": "container_id", "value": CONTAINER_ID });
    assert!(redis["labels"].as_array().unwrap().contains(&label), "{redis}");
    assert_eq!(nginx["cgroup_name"], "nginx.service");
    assert_eq!(
        (&nginx["ppid"], &nginx["uid"], &nginx["starttime"]),
        (&json!(7), &json!(1000), &json!(94_000))
    );
    assert_eq!((&init["status"], &init["cgroup_status"]), (&json!("known"), &json!("host-root")));
    for unknown in [nobody, zero] {
        assert_eq!(unknown["status"], "unknown");
        assert_eq!(unknown.get("comm"), None);
    }
    let shown = run_dir.run(&["lookup", "apps", "10", "999"]);
    assert!(text(&shown.stdout).contains("1 of 2 processes known"), "{}", text(&shown.stdout));
}

#[test]
fn paths_are_bytes_on_the_command_line_and_on_the_input() {
    let (host, run_dir) = (FixtureHost::new(), RunDir::new());
    let _provider = run_dir.serve_all(&host);
    let mut command = run_dir.netipc(&["lookup", "cgroups", "--json", "/", "-"]);
    command.arg(OsStr::from_bytes(ODD));
    let input = [b"/new\n", CONTAINER.as_bytes(), b"\n", ODD, b"\n"].concat();
    let answer = json(&feed(&mut command, &input));
    let [root, new, container, odd, again] = &answer["items"].as_array().unwrap()[..] else {
        panic!("{answer}");
    };
    assert_eq!((&root["path"], &root["status"]), (&json!("/"), &json!("unknown-permanent")));
    assert_eq!((&new["path"], &new["status"]), (&json!("/new"), &json!("unknown-retry-later")));
    assert_eq!(
        (&container["status"], &container["orchestrator"]),
        (&json!("known"), &json!("docker"))
    );
    let label = json!({ "key": "container_id", "value": CONTAINER_ID });
    assert!(container["labels"].as_array().unwrap().contains(&label), "{container}");
    assert_eq!((&odd["status"], &odd["path"]), (&json!("known"), &json!({ "hex": ODD_HEX })));
    assert_eq!(odd, again);
}

#[test]
fn ten_thousand_pids_come_in_on_the_input() {
    let (host, run_dir) = (FixtureHost::new(), RunDir::new());
    let _provider = run_dir.serve_all(&host);
    let lines = |count: u32| (1..=count).map(|pid| format!("{pid}\n")).collect::<String>();
    let mut command = run_dir.netipc(&["lookup", "apps", "-", "--json"]);
    let answer = json(&feed(&mut command, lines(10_000).as_bytes()));
    let items = answer["items"].as_array().unwrap();
    assert!(items.iter().map(|item| item["pid"].as_u64().unwrap()).eq(1..=10_000));
    let known = items.iter().filter(|item| item["status"] == "known").count();
    assert_eq!(known, 6);

    let mut command = run_dir.netipc(&["lookup", "apps", "-"]);
    let refused = feed(&mut command, lines(65_537).as_bytes());
    assert_refuses(&refused, FAILED, &["65537", "65536"]);
}

#[test]
fn keys_that_are_none_are_refused_before_anybody_is_asked() {
    let run_dir = RunDir::new();
    for pid in ["x", "-1", "4294967296", "1.5"] {
        let refused = feed(&mut run_dir.netipc(&["lookup", "apps", "-"]), pid.as_bytes());
        assert_refuses(&refused, WRONG_USAGE, &[pid, "process id"]);
    }
    assert_eq!(run_dir.run(&["lookup", "apps"]).status.code(), WRONG_USAGE);
    let refused = run_dir.run(&["lookup", "cgroups", ""]);
    assert_refuses(&refused, WRONG_USAGE, &["path"]);
}

#[test]
fn every_service_answers_ping() {
    let (host, run_dir) = (FixtureHost::new(), RunDir::new());
    let provider = run_dir.serve_all(&host);
    for service in SERVICES {
        let answer = json(&run_dir.run(&["ping", service, "--count", "20", "--json"]));
        assert_eq!((&answer["service"], &answer["calls"]), (&json!(service), &json!(20)));
        assert_eq!(answer["session"]["server_pid"], provider.pid());
        assert_eq!(answer["session"]["profile"], "baseline");
        let latency = &answer["latency_us"];
        let of = |name: &str| latency[name].as_f64().unwrap();
        assert!(0.0 < of("min") && of("min") <= of("p50") && of("p50") <= of("max"), "{latency}");
    }
    for (transport, profile) in [("socket", "baseline"), ("shm", "shm-hybrid")] {
        let asked = ["ping", "increment", "--count", "20", "--transport", transport];
        let shown = run_dir.run(&asked);
        let shown = text(&shown.stdout);
        assert!(shown.contains(&format!("\nprofile: {profile} (")), "{shown}");
        let answer = json(&run_dir.run(&[&asked[..], &["--json"]].concat()));
        assert_eq!(answer["session"]["profile"], profile);
        let listed = run_dir.run(&["ls", "--json", "--transport", transport]);
        assert!(text(&listed.stdout).contains(profile), "{}", text(&listed.stdout));
    }
    let shown = run_dir.run(&["ping", "increment", "--count", "3"]);
    assert!(text(&shown.stdout).starts_with("increment: 3 calls in "), "{}", text(&shown.stdout));
    assert!(text(&shown.stderr).is_empty(), "no progress away from a terminal");
    assert_eq!(run_dir.run(&["ping", "increment", "--count", "0"]).status.code(), WRONG_USAGE);
}
