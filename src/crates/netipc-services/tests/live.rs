//! Every shape from end to end: generated clients, servers and caches over real sockets and shared
//! memory.

use std::cell::Cell;

use netipc::client::ClientConfig;
use netipc::server::{Host, ServerConfig};
use netipc::{Endpoint, Profiles};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot, increment, string_reverse};
use tempfile::TempDir;

const TOKEN: u64 = 0x1234_5678_9abc_def0;

thread_local! {
    /// What servers and clients of this test offer now.
    static OFFERED: Cell<Profiles> = const { Cell::new(Profiles::BASELINE) };
}

/// Runs a test over each transport.
fn over_each(test: impl Fn()) {
    for offered in [Profiles::BASELINE, Profiles::BASELINE | Profiles::SHM_HYBRID] {
        println!("offering {offered}");
        OFFERED.set(offered);
        test();
    }
}

fn endpoint(run_dir: &TempDir, service: &str) -> Endpoint {
    Endpoint::new(run_dir.path(), service).expect("a temporary path is short enough")
}

fn server_config() -> ServerConfig {
    let supported_profiles = OFFERED.get();
    ServerConfig { auth_token: TOKEN, supported_profiles, ..ServerConfig::default() }
}

fn client_config() -> ClientConfig {
    let supported_profiles = OFFERED.get();
    ClientConfig { auth_token: TOKEN, supported_profiles, ..ClientConfig::default() }
}

#[test]
fn a_call_is_answered_alone_and_in_batches() {
    over_each(|| {
        let run_dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(&run_dir, increment::SERVICE);
        let server = increment::Server::bind(&endpoint, server_config()).unwrap();
        let running = server
            .spawn(|request, response| {
                Ok(response.value(request.value().wrapping_add(1)).finish()?)
            })
            .unwrap();

        let mut client = increment::Client::new(endpoint, client_config());
        assert!(client.refresh());
        assert!(client.ready());
        for value in [0, 41, u64::MAX] {
            let answer = client.call(|request| request.value(value).finish()).unwrap();
            assert_eq!(answer.value(), value.wrapping_add(1));
        }
        let answers =
            client.batch(100, |index, request| request.value(index as u64).finish()).unwrap();
        assert_eq!(answers.iter().count(), 100);
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!(answer.value(), index as u64 + 1);
        }
        running.stop().unwrap();
    });
}

#[test]
fn strings_of_any_bytes_come_back_reversed() {
    over_each(|| {
        let run_dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(&run_dir, string_reverse::SERVICE);
        let server = string_reverse::Server::bind(&endpoint, server_config()).unwrap();
        let running = server
            .spawn(|request, response| {
                let reversed: Vec<u8> = request.bytes().iter().rev().copied().collect();
                Ok(response.bytes(&reversed).finish()?)
            })
            .unwrap();

        let mut client = string_reverse::Client::new(endpoint, client_config());
        client.refresh();
        for length in [0, 1, 1_000, 60_000, 300_000] {
            let bytes: Vec<u8> = (0..length).map(|index: usize| (index % 251) as u8).collect();
            let answer = client.call(|request| request.bytes(&bytes).finish()).unwrap();
            assert!(answer.bytes().iter().rev().eq(&bytes), "{length} bytes");
        }
        running.stop().unwrap();
    });
}

#[test]
fn one_host_serves_lookups_and_a_snapshot() {
    over_each(|| {
        let run_dir = tempfile::tempdir().unwrap();
        let [apps, groups, snapshot] = [
            endpoint(&run_dir, apps_lookup::SERVICE),
            endpoint(&run_dir, cgroups_lookup::SERVICE),
            endpoint(&run_dir, cgroups_snapshot::SERVICE),
        ];
        let host = Host::with_workers(2);
        let host = apps_lookup::Server::bind(&apps, server_config()).unwrap().serve_on(
            host,
            |request, response| {
                response.generation(7);
                for pid in request.keys() {
                    if pid % 2 == 0 {
                        response.unknown(pid)?;
                    } else {
                        let status = apps_lookup::CgroupStatus::HostRoot;
                        response.known(pid).cgroup_status(status).comm("odd").ppid(1).finish()?;
                    }
                }
                Ok(())
            },
        );
        let host = cgroups_lookup::Server::bind(&groups, server_config()).unwrap().serve_on(
            host,
            |request, response| {
                for path in request.keys() {
                    response.known(path).name("n").labels([("key", "value")]).finish()?;
                }
                Ok(())
            },
        );
        let host = cgroups_snapshot::Server::bind(&snapshot, server_config()).unwrap().serve_on(
            host,
            |_, response| {
                response.generation(9).systemd_enabled(1);
                for (hash, name) in [(1, "one"), (2, "two")] {
                    response.item().hash(hash).name(name).path("/p").enabled(1).finish()?;
                }
                Ok(())
            },
        );
        let running = host.spawn().unwrap();

        let mut client = apps_lookup::Client::new(apps, client_config());
        client.refresh();
        let pids: Vec<u32> = (1..=5_000).collect();
        let answer = client.lookup(&pids).unwrap();
        assert_eq!((answer.generation(), answer.items().count()), (7, 5_000));
        for (pid, item) in pids.iter().zip(answer.items()) {
            assert_eq!(item.pid(), *pid);
            assert_eq!(item.comm(), if pid % 2 == 0 { "" } else { "odd" });
        }

        let mut client = cgroups_lookup::Client::new(groups, client_config());
        client.refresh();
        let answer = client.lookup(&["/a", "/b"]).unwrap();
        let read: Vec<_> = answer.items().map(|item| item.path().to_owned()).collect();
        assert_eq!(read, ["/a", "/b"]);

        let mut cache = cgroups_snapshot::Cache::new(snapshot, client_config());
        assert!(cache.load().get(1, "one").is_none(), "an empty cache finds nothing");
        cache.refresh().unwrap();
        let held = cache.load();
        assert_eq!(held.get(2, "two").map(|item| item.hash()), Some(2));
        assert!(held.get(2, "one").is_none());
        running.stop().unwrap();
        assert!(cache.refresh().is_err());
        assert!(cache.load().get(1, "one").is_some(), "a failed refresh keeps the data");
    });
}

#[test]
fn no_configuration_shows_its_token() {
    let shown = format!("{:?} {:?}", client_config(), server_config());
    assert_eq!(shown.matches("auth_token: (secret)").count(), 2, "{shown}");
    assert!(!shown.contains(&TOKEN.to_string()), "{shown}");
}

#[test]
fn a_server_tells_why_its_handlers_fail() {
    over_each(|| {
        let run_dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(&run_dir, increment::SERVICE);
        let server = increment::Server::bind(&endpoint, server_config()).unwrap();
        let running = server
            .spawn(|request, _| match request.value() {
                0 => Err(std::io::Error::other("the table is gone").into()),
                _ => panic!("no such number"),
            })
            .unwrap();
        assert_eq!(running.status().last_error, None);

        let mut client = increment::Client::new(endpoint, client_config());
        for (value, why) in [(0, "the table is gone"), (1, "the handler panicked: no such number")]
        {
            client.refresh();
            assert!(client.call(|request| request.value(value).finish()).is_err());
            assert_eq!(running.status().last_error.as_deref(), Some(why));
        }
        assert_eq!(running.status().calls.internal_error, 2);
        running.stop().unwrap();
    });
}

#[test]
fn a_restarted_provider_does_not_look_like_a_full_one() {
    over_each(|| {
        let run_dir = tempfile::tempdir().unwrap();
        let endpoint = endpoint(&run_dir, increment::SERVICE);
        let mut client = increment::Client::new(endpoint.clone(), client_config());
        for round in 0..5 {
            let server = increment::Server::bind(&endpoint, server_config()).unwrap();
            let running = server.spawn(|_, response| Ok(response.value(7).finish()?)).unwrap();
            client.refresh();
            assert!(client.ready(), "round {round}: one refresh after its return is enough");
            running.stop().unwrap();
        }
    });
}
