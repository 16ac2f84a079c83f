//! Weaknesses that other implementations of the contract have: ours has none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netipc::Endpoint;
use netipc::client::{CallError, ClientConfig, ClientState, NextTry};
use netipc::server::ServerConfig;
use netipc_services::{apps_lookup, cgroups_snapshot, increment};

use super::support::{
    LATENESS, Place, Raw, client_config, eventually, in_child, increment_client, must_increment,
    serve_increment, server_config, within,
};

#[test]
fn a_timeout_comes_out_as_configured() {
    static OVER: AtomicBool = AtomicBool::new(false);
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            OVER.store(true, Ordering::SeqCst);
        }
    }
    let place = Place::new();
    let endpoint = place.endpoint(increment::SERVICE);
    let config = ServerConfig { worker_count: 4, ..server_config() };
    let server = increment::Server::bind(&endpoint, config).expect("bound");
    let _server = server
        .spawn(|request, response| {
            while !OVER.load(Ordering::SeqCst) && !request.context().stop_requested() {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            Ok(response.value(0).finish()?)
        })
        .expect("spawned");
    let _over = Over;
    for call_timeout_ms in [60, 300, 1200] {
        let configured = Duration::from_millis(call_timeout_ms);
        let config = ClientConfig { call_timeout_ms, ..client_config() };
        within(configured + LATENESS, 10, || {
            let mut client = increment::Client::new(endpoint.clone(), config);
            // Within that timeout, too, which may be too short for a busy machine.
            eventually("a session", || {
                client.refresh();
                client.ready()
            });
            let started = Instant::now();
            let called = client.call(|request| request.value(1).finish()).map(drop);
            let took = started.elapsed();
            assert_eq!(called, Err(CallError::TimedOut));
            assert!(took >= configured, "early: {took:?} of {configured:?}");
            took
        });
    }
}

#[test]
fn a_full_server_is_busy_and_its_clients_wait() {
    let place = Place::new();
    let endpoint = place.endpoint(increment::SERVICE);
    let server = serve_increment(&endpoint, ServerConfig { max_sessions: 1, ..server_config() });
    let mut first = increment_client(&endpoint);
    let mut second = increment::Client::new(endpoint.clone(), client_config());
    let started = Instant::now();
    let mut refreshes = 0_u64;
    while started.elapsed() < Duration::from_millis(300) {
        second.refresh();
        assert!(!second.ready(), "never ready, to fail then");
        refreshes += 1;
    }
    let status = second.status();
    assert_eq!((status.state, status.next_try), (ClientState::Disconnected, NextTry::Busy));
    assert!(status.reason.expect("it says why").contains("busy"));
    let tries = status.counters.failed_connects;
    assert!(tries < 20, "{tries} connections in 300 ms are a storm");
    assert!(refreshes > 10 * tries, "most refreshes do nothing");
    assert_eq!(server.status().handshakes.busy, tries);
    must_increment(&mut first, 1);
    first.close();
    eventually("its turn", || {
        second.refresh();
        second.ready()
    });
    must_increment(&mut second, 2);
}

/// What a client of this endpoint says is wrong.
fn reason(endpoint: Endpoint, config: ClientConfig) -> String {
    let mut client = increment::Client::new(endpoint, config);
    client.refresh();
    if client.ready() {
        client.call(|request| request.value(1).finish()).map(drop).expect_err("wrong").to_string()
    } else {
        client.status().reason.expect("it says why")
    }
}

#[test]
fn every_cause_has_words_of_its_own() {
    let place = Place::new();
    let config = client_config();
    let mut reasons = vec![reason(place.endpoint("nobody"), config)];
    let endpoint = place.endpoint("a-file");
    fs::write(endpoint.socket_path(), "x").expect("written");
    reasons.push(reason(endpoint, config));
    let endpoint = place.endpoint("dead");
    drop(std::os::unix::net::UnixListener::bind(endpoint.socket_path()).expect("bound"));
    reasons.push(reason(endpoint, config));
    let endpoint = place.endpoint("a-stream");
    let _other = std::os::unix::net::UnixListener::bind(endpoint.socket_path()).expect("bound");
    reasons.push(reason(endpoint, config));

    let endpoint = place.endpoint("full");
    let _full = serve_increment(&endpoint, ServerConfig { max_sessions: 1, ..server_config() });
    reasons.push(reason(endpoint.clone(), ClientConfig { auth_token: 1, ..config }));
    let _taken = increment_client(&endpoint);
    reasons.push(reason(endpoint, config));

    let endpoint = place.endpoint("another-method");
    let server = apps_lookup::Server::bind(&endpoint, server_config()).expect("bound");
    let _server = server.spawn(|_, _| Ok(())).expect("spawned");
    reasons.push(reason(endpoint, config));
    let endpoint = place.endpoint("fails");
    let server = increment::Server::bind(&endpoint, server_config()).expect("bound");
    let _server = server.spawn(|_, _| Err(std::fmt::Error.into())).expect("spawned");
    reasons.push(reason(endpoint, config));
    let endpoint = place.endpoint("never-answers");
    let server = increment::Server::bind(&endpoint, server_config()).expect("bound");
    // It is bound, and nobody serves it.
    reasons.push(reason(endpoint, ClientConfig { call_timeout_ms: 50, ..config }));
    drop(server);

    println!("{}", reasons.join("\n"));
    let distinct: BTreeSet<&String> = reasons.iter().collect();
    assert_eq!(distinct.len(), reasons.len(), "{reasons:#?}");
}

/// The open descriptors of this process and their flags.
fn descriptors() -> BTreeMap<String, u32> {
    let mut open = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo").expect("proc") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        // The listing's own descriptor is closed by now.
        let Ok(info) = fs::read_to_string(format!("/proc/self/fdinfo/{name}")) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        open.insert(name, u32::from_str_radix(flags.trim(), 8).expect("octal"));
    }
    open
}

#[test]
fn no_descriptor_survives_exec_and_none_is_leaked() {
    const O_CLOEXEC: u32 = 0o2_000_000;
    in_child(concat!(module_path!(), "::no_descriptor_survives_exec_and_none_is_leaked"), || {
        let before = descriptors();
        let place = Place::new();
        {
            let endpoint = place.endpoint(increment::SERVICE);
            let server = serve_increment(&endpoint, server_config());
            let snapshots = place.endpoint(cgroups_snapshot::SERVICE);
            let provider = cgroups_snapshot::Server::bind(&snapshots, server_config());
            let provider = provider.expect("bound").spawn(|_, _| Ok(())).expect("spawned");
            let mut client = increment_client(&endpoint);
            let _abort = client.abort_handle().expect("a handle");
            must_increment(&mut client, 1);
            let mut cache = cgroups_snapshot::Cache::new(snapshots, client_config());
            cache.refresh().expect("filled");
            let mut seen = 0;
            for (name, flags) in descriptors() {
                if !before.contains_key(&name) {
                    assert_ne!(flags & O_CLOEXEC, 0, "descriptor {name}: {flags:o}");
                    seen += 1;
                }
            }
            // Two listeners, each with its lock, and two sessions with two ends at least.
            assert!(seen >= 2 * 2 + 2 * 2, "{seen} descriptors looked at");
            println!("{seen} descriptors of two servers and their clients, all close on exec");
            let silent = Raw::connect(&endpoint);
            drop((client, cache, silent));
            server.stop().expect("stopped");
            provider.stop().expect("stopped");
        }
        // Threads are waited for until they are done, not until the system has taken them down.
        eventually("none is left open", || descriptors().len() == before.len());
    });
}
