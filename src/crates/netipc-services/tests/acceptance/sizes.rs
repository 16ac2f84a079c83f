//! How much goes through, with default settings, and what happens at each limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use netipc::Endpoint;
use netipc::client::{CallError, GrowthEnd, LookupError};
use netipc::server::{RunningServer, ServerConfig};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot, string_reverse};

use super::support::{HEADER_BYTES, Place, client_config, serve_reverse, server_config};

/// Keys of one lookup by default.
const KEYS: u32 = 65_536;
/// The most that a request or response of a call may have by default, in bytes.
const CEILING: usize = 1 << 20;
/// What a string-reverse payload has beside its bytes: the field and the NUL.
const STRING_OVERHEAD: usize = 8 + 1;

fn too_many_keys(error: &CallError) {
    let expected = LookupError::TooManyKeys { given: KEYS as usize + 1, ceiling: KEYS };
    assert_eq!(*error, CallError::Lookup(expected));
    let said = error.to_string();
    assert!(said.contains("65537") && said.contains("65536") && said.contains("several calls"));
}

#[test]
fn as_many_pids_as_a_lookup_may_have_and_one_more() {
    let place = Place::new();
    let endpoint = place.endpoint(apps_lookup::SERVICE);
    let _server = apps_lookup::Server::bind(&endpoint, server_config())
        .expect("bound")
        .spawn(|request, response| {
            response.generation(3);
            for pid in request.keys() {
                if pid % 3 == 0 {
                    response.unknown(pid)?;
                    continue;
                }
                let comm = format!("p{pid}");
                response
                    .known(pid)
                    .ppid(pid / 2)
                    .comm(&comm)
                    .cgroup_path("/system.slice/one.service")
                    .cgroup_name("one")
                    .labels([("image", "nginx:latest")])
                    .finish()?;
            }
            Ok(())
        })
        .expect("spawned");
    let mut client = apps_lookup::Client::new(endpoint, client_config());
    client.refresh();
    let mut pids: Vec<u32> = (0..KEYS).rev().collect();
    let started = Instant::now();
    let answer = client.lookup(&pids).expect("an answer");
    let took = started.elapsed();
    assert_eq!((answer.generation(), answer.items().count()), (3, pids.len()));
    for (item, pid) in answer.items().zip(&pids) {
        assert_eq!(item.pid(), *pid);
        if pid % 3 == 0 {
            assert_eq!(item.status(), apps_lookup::Status::Unknown);
        } else {
            assert_eq!(item.comm(), format!("p{pid}").as_str());
            assert_eq!((item.ppid(), item.labels().count()), (pid / 2, 1));
        }
    }
    println!("65,536 PIDs: {took:?}, {} sub-requests", client.status().counters.sub_calls);
    pids.push(KEYS);
    too_many_keys(&client.lookup(&pids).map(drop).expect_err("one too many"));
    assert!(client.ready(), "nothing was sent, nothing is broken");
    assert_eq!(client.lookup(&pids[1..]).expect("as many again").items().count(), KEYS as usize);
}

#[test]
fn as_many_long_paths_as_a_lookup_may_have_and_one_more() {
    const PATH_BYTES: usize = 200;
    let place = Place::new();
    let endpoint = place.endpoint(cgroups_lookup::SERVICE);
    let _server = cgroups_lookup::Server::bind(&endpoint, server_config())
        .expect("bound")
        .spawn(|request, response| {
            response.generation(4);
            for path in request.keys() {
                response
                    .known(path)
                    .orchestrator(cgroups_lookup::Orchestrator::DOCKER)
                    .name(&path[path.len() - 8..])
                    .finish()?;
            }
            Ok(())
        })
        .expect("spawned");
    let mut client = cgroups_lookup::Client::new(endpoint, client_config());
    client.refresh();
    let mut paths: Vec<String> =
        (0..KEYS).map(|index| format!("/{index:0>width$}", width = PATH_BYTES - 1)).collect();
    assert!(paths.iter().all(|path| path.len() == PATH_BYTES));
    let started = Instant::now();
    let answer = client.lookup(&paths).expect("an answer");
    let took = started.elapsed();
    assert_eq!((answer.generation(), answer.items().count()), (4, paths.len()));
    for (item, path) in answer.items().zip(&paths) {
        assert_eq!((item.path(), item.name()), (path.as_str().into(), path[192..].into()));
    }
    println!("65,536 paths: {took:?}, {} sub-requests", client.status().counters.sub_calls);
    paths.push("/one/more".to_owned());
    too_many_keys(&client.lookup(&paths).map(drop).expect_err("one too many"));
    assert!(client.ready());
}

/// Serves a snapshot of `count` items whose name and path have so many bytes.
fn serve_snapshot(endpoint: &Endpoint, count: u32, name: usize, path: usize) -> RunningServer {
    cgroups_snapshot::Server::bind(endpoint, server_config())
        .expect("bound")
        .spawn(move |_, response| {
            response.generation(5).systemd_enabled(1);
            for index in 0..count {
                let name = format!("{index:0>name$}");
                let path = format!("/{index:0>width$}", width = path - 1);
                response.item().hash(index).enabled(1).name(&name).path(&path).finish()?;
            }
            Ok(())
        })
        .expect("spawned")
}

fn a_cache_holds(count: u32, name: usize, path: usize) {
    let place = Place::new();
    let endpoint = place.endpoint(cgroups_snapshot::SERVICE);
    let _server = serve_snapshot(&endpoint, count, name, path);
    let mut cache = cgroups_snapshot::Cache::new(endpoint, client_config());
    assert!(cache.load().get(0, "0").is_none(), "an empty cache says not found");
    let started = Instant::now();
    cache.refresh().expect("filled");
    println!("{count} items of {name} and {path} bytes: {:?}", started.elapsed());
    let held = cache.load();
    assert_eq!((held.len(), held.generation()), (count as usize, 5));
    for index in 0..count {
        let wanted = format!("{index:0>name$}");
        let item = held.get(index, &wanted).expect("an item");
        assert_eq!((item.name().len(), item.path().len()), (name, path));
        assert_eq!(item.name(), wanted.as_str());
        assert!(held.get(index + 1, &wanted).is_none(), "hash and name");
    }
}

#[test]
fn a_thousand_of_the_largest_items() {
    a_cache_holds(1_000, 255, 4095);
}

#[test]
fn ten_thousand_ordinary_items() {
    a_cache_holds(10_000, 40, 80);
}

/// However many items the last answer had, one that fits the limit exactly is sent, and the next
/// of a byte more is not.
#[test]
fn a_snapshot_of_exactly_the_limit_after_one_of_more_and_fewer_items() {
    const LIMIT_BYTES: u32 = 4096;
    // Bytes beside the path: header, directory entry, item header, name, two NULs.
    const LARGEST_PATH: usize = LIMIT_BYTES as usize - (24 + 8 + 32 + 1 + 2);
    const ROUNDS: [(u32, usize); 6] =
        [(50, 9), (1, LARGEST_PATH), (60, 9), (0, 0), (1, LARGEST_PATH), (1, LARGEST_PATH + 1)];
    let place = Place::new();
    let endpoint = place.endpoint(cgroups_snapshot::SERVICE);
    let config = ServerConfig { max_response_payload_bytes: LIMIT_BYTES, ..server_config() };
    let (round, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (current, calls) = (Arc::clone(&round), Arc::clone(&asked));
    let _server = cgroups_snapshot::Server::bind(&endpoint, config)
        .expect("bound")
        .spawn(move |_, response| {
            calls.fetch_add(1, Ordering::SeqCst);
            let (items, path) = ROUNDS[current.load(Ordering::SeqCst)];
            for index in 0..items {
                response.item().hash(index).name("a").path(&"p".repeat(path)).finish()?;
            }
            Ok(())
        })
        .expect("spawned");
    let mut cache = cgroups_snapshot::Cache::new(endpoint, client_config());
    for (index, (items, path)) in ROUNDS.into_iter().enumerate() {
        round.store(index, Ordering::SeqCst);
        let asked_before = asked.load(Ordering::SeqCst);
        let refreshed = cache.refresh();
        let times = asked.load(Ordering::SeqCst) - asked_before;
        if path > LARGEST_PATH {
            assert!(matches!(refreshed, Err(CallError::LimitExceeded(_))), "{refreshed:?}");
            continue;
        }
        assert_eq!(refreshed, Ok(()), "{items} items");
        let held = cache.load();
        assert_eq!(held.len(), items as usize);
        assert!(held.items().all(|item| item.path().len() == path));
        assert!(items != 1 || held.payload().len() == LIMIT_BYTES as usize);
        // Once more where the room that was set aside for the directory was missing.
        assert_eq!(times, if index == 1 { 2 } else { 1 });
    }
}

/// Answers with as many bytes as the request says in words.
fn serve_lengths(endpoint: &Endpoint, config: ServerConfig) -> RunningServer {
    string_reverse::Server::bind(endpoint, config)
        .expect("bound")
        .spawn(|request, response| {
            let len = std::str::from_utf8(request.bytes())?.parse()?;
            Ok(response.bytes(&vec![b'x'; len]).finish()?)
        })
        .expect("spawned")
}

/// Asks for a response whose payload has `len` bytes.
fn response_of(client: &mut string_reverse::Client, len: usize) -> Result<usize, CallError> {
    let words = (len - STRING_OVERHEAD).to_string();
    let answer = client.call(|request| request.bytes(&words).finish())?;
    assert!(answer.bytes().iter().all(|byte| *byte == b'x'));
    Ok(answer.bytes().len() + STRING_OVERHEAD)
}

#[test]
fn a_response_of_exactly_the_limit_and_one_byte_over() {
    let place = Place::new();
    let endpoint = place.endpoint(string_reverse::SERVICE);
    for limit in [1024, 65_536, CEILING] {
        let config = ServerConfig { max_response_payload_bytes: limit as u32, ..server_config() };
        let server = serve_lengths(&endpoint, config);
        let mut client = string_reverse::Client::new(endpoint.clone(), client_config());
        client.refresh();
        assert_eq!(response_of(&mut client, limit), Ok(limit));
        let error = response_of(&mut client, limit + 1).expect_err("one byte over");
        let end = if limit == CEILING {
            GrowthEnd::Ceiling { ceiling: limit as u32 }
        } else {
            GrowthEnd::InVain { agreed: limit as u32 }
        };
        assert_eq!(error, CallError::LimitExceeded(end));
        assert!(error.to_string().contains(&limit.to_string()), "{error}");
        client.refresh();
        assert_eq!(response_of(&mut client, limit), Ok(limit), "and it goes on");
        assert!(server.status().calls.limit_exceeded >= 1);
        server.stop().expect("stopped");
    }
}

#[test]
fn the_first_limit_of_a_session_grows_by_one_byte_over() {
    const FIRST: usize = 65_536;
    let place = Place::new();
    let endpoint = place.endpoint(string_reverse::SERVICE);
    let _server = serve_lengths(&endpoint, server_config());
    let mut client = string_reverse::Client::new(endpoint, client_config());
    client.refresh();
    assert_eq!(response_of(&mut client, FIRST), Ok(FIRST));
    assert_eq!(client.status().counters.growths, 0);
    assert_eq!(response_of(&mut client, FIRST + 1), Ok(FIRST + 1));
    assert_eq!(client.status().counters.growths, 1);
}

#[test]
fn a_request_of_exactly_the_ceiling_and_one_byte_over() {
    let place = Place::new();
    let endpoint = place.endpoint(string_reverse::SERVICE);
    let _server = serve_reverse(&endpoint, server_config());
    let mut client = string_reverse::Client::new(endpoint, client_config());
    client.refresh();
    reversed(&mut client, CEILING - STRING_OVERHEAD);
    let bytes = vec![1; CEILING - STRING_OVERHEAD + 1];
    let error = client.call(|request| request.bytes(&bytes).finish()).map(drop);
    assert_eq!(error, Err(CallError::RequestTooLarge { ceiling: CEILING as u32 }));
    reversed(&mut client, 1);
}

#[test]
fn messages_around_the_packet_size() {
    let place = Place::new();
    let endpoint = place.endpoint(string_reverse::SERVICE);
    let _server = serve_reverse(&endpoint, server_config());
    let mut client = string_reverse::Client::new(endpoint, client_config());
    client.refresh();
    let terms = client.status().session.expect("a session").terms;
    let packet_size = terms.packet_size.bytes() as usize;

    for message in packet_size - 40..=packet_size + 40 {
        reversed(&mut client, message - HEADER_BYTES - STRING_OVERHEAD);
    }
    println!("messages of {packet_size} +- 40 bytes went both ways");
    reversed(&mut client, 1_000_000);
}

/// Has so many bytes reversed.
fn reversed(client: &mut string_reverse::Client, len: usize) {
    let bytes: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
    let answer = client.call(|request| request.bytes(&bytes).finish()).expect("an answer");
    assert!(answer.bytes().iter().rev().eq(&bytes), "{len} bytes came back changed");
}
