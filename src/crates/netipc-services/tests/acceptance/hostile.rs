//! Peers that break the contract, against managed servers of every service: each costs its own
//! session, and a healthy client of the same server notices nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use netipc::Endpoint;
use netipc::client::{ClientConfig, ClientState};
use netipc::server::{Host, RunningHost};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot, increment, string_reverse};

use super::support::{
    HEADER_BYTES, Place, Raw, client_config, eventually, header, hello, increment_client,
    must_increment, request, serve_increment, server_config, status,
};

const OK: u16 = 0;
const BAD_ENVELOPE: u16 = 1;
const AUTH_FAILED: u16 = 2;
const UNSUPPORTED: u16 = 4;
const LIMIT_EXCEEDED: u16 = 5;

/// A good request of each service: its name, method and payload.
fn good_requests() -> Vec<(&'static str, u16, Vec<u8>)> {
    fn built<E: std::fmt::Debug>(encode: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Vec<u8> {
        let mut out = vec![0; 4000];
        let len = encode(&mut out).expect("it fits");
        out.truncate(len);
        out
    }
    let pids = apps_lookup::Request { keys: vec![1, 2, 3] };
    let paths = cgroups_lookup::Request { keys: vec!["/a".into(), "/some/path".into()] };
    let text = string_reverse::Request { bytes: "text".into() };
    vec![
        (
            increment::SERVICE,
            increment::METHOD,
            built(|out| increment::Request { value: 7 }.encode(out)),
        ),
        (string_reverse::SERVICE, string_reverse::METHOD, built(|out| text.encode(out))),
        (apps_lookup::SERVICE, apps_lookup::METHOD, built(|out| pids.encode(out))),
        (cgroups_lookup::SERVICE, cgroups_lookup::METHOD, built(|out| paths.encode(out))),
        (
            cgroups_snapshot::SERVICE,
            cgroups_snapshot::METHOD,
            built(|out| cgroups_snapshot::Request {}.encode(out)),
        ),
    ]
}

fn serve_all(place: &Place) -> RunningHost {
    let config = server_config;
    let host = Host::with_workers(2);
    let host = increment::Server::bind(&place.endpoint(increment::SERVICE), config())
        .expect("bound")
        .serve_on(host, |request, response| {
            Ok(response.value(request.value().wrapping_add(1)).finish()?)
        });
    let host = string_reverse::Server::bind(&place.endpoint(string_reverse::SERVICE), config())
        .expect("bound")
        .serve_on(host, |request, response| Ok(response.bytes(request.bytes()).finish()?));
    let host = apps_lookup::Server::bind(&place.endpoint(apps_lookup::SERVICE), config())
        .expect("bound")
        .serve_on(host, |request, response| {
            for pid in request.keys() {
                response.unknown(pid)?;
            }
            Ok(())
        });
    let host = cgroups_lookup::Server::bind(&place.endpoint(cgroups_lookup::SERVICE), config())
        .expect("bound")
        .serve_on(host, |request, response| {
            for path in request.keys() {
                response.known(path).name("n").finish()?;
            }
            Ok(())
        });
    cgroups_snapshot::Server::bind(&place.endpoint(cgroups_snapshot::SERVICE), config())
        .expect("bound")
        .serve_on(host, |_, response| {
            response.item().hash(1).name("n").path("/p").finish()?;
            Ok(())
        })
        .spawn()
        .expect("spawned")
}

/// Runs `hostile` while healthy clients of `place` ask without pause, each answer checked.
fn beside_healthy_clients(place: &Place, hostile: impl FnOnce()) {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (over, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|threads| {
        let _over = Over(&over);
        threads.spawn(|| {
            let mut client = increment_client(&place.endpoint(increment::SERVICE));
            while !over.load(Ordering::SeqCst) {
                must_increment(&mut client, answers.fetch_add(1, Ordering::SeqCst));
            }
            assert_eq!(client.status().counters.connects, 1, "it never lost its session");
        });
        threads.spawn(|| {
            let endpoint = place.endpoint(apps_lookup::SERVICE);
            let mut client = apps_lookup::Client::new(endpoint, client_config());
            client.refresh();
            while !over.load(Ordering::SeqCst) {
                let answer = client.lookup(&[5_u32, 6]).expect("an answer");
                assert!(answer.items().map(|item| item.pid()).eq([5, 6]));
            }
            assert_eq!(client.status().counters.connects, 1, "it never lost its session");
        });
        hostile();
        let before = answers.load(Ordering::SeqCst);
        eventually("healthy clients go on", || answers.load(Ordering::SeqCst) > before);
    });
}

/// What a server says to packets on a session of their own: the statuses of its answers until it
/// closes, or until it has answered OK or UNSUPPORTED, which leave the session as it is.
fn said(endpoint: &Endpoint, packets: &[Vec<u8>]) -> Vec<u16> {
    let raw = Raw::session(endpoint);
    for packet in packets {
        // It may have closed already.
        let _sent = raw.send(packet);
    }
    let mut statuses = Vec::new();
    while let Some(answer) = raw.receive() {
        assert!(answer.len() >= HEADER_BYTES, "{answer:?}");
        statuses.push(status(&answer));
        if [OK, UNSUPPORTED].contains(&status(&answer)) {
            break;
        }
    }
    statuses
}

/// Values that no honest length, count or offset has here.
const LIES: [u32; 7] = [0, 1, 9, 255, 0x7fff_ffff, u32::MAX - 7, u32::MAX];

/// The message with a lie at each place where a number may be, 2 bytes on.
fn lies(message: &[u8]) -> Vec<Vec<u8>> {
    let mut lied = Vec::new();
    for at in (0..message.len().saturating_sub(3)).step_by(2) {
        for lie in LIES {
            let mut copy = message.to_vec();
            copy[at..at + 4].copy_from_slice(&lie.to_ne_bytes());
            lied.push(copy);
        }
    }
    lied
}

#[test]
fn lies_in_every_length_cost_only_their_own_session() {
    let place = Place::new();
    let running = serve_all(&place);
    beside_healthy_clients(&place, || {
        let (mut sessions, mut refused) = (0, 0);
        for (service, method, payload) in good_requests() {
            let endpoint = place.endpoint(service);
            let message = request(method, &payload);
            assert_eq!(said(&endpoint, std::slice::from_ref(&message)), [OK], "{service}");
            for lie in lies(&message) {
                let answers = said(&endpoint, std::slice::from_ref(&lie));
                let known = [OK, BAD_ENVELOPE, UNSUPPORTED, LIMIT_EXCEEDED];
                assert!(answers.len() <= 1, "{answers:?} to {lie:02x?}");
                assert!(answers.iter().all(|status| known.contains(status)), "{answers:?}");
                sessions += 1;
                refused += u32::from(answers != [OK] && answers != [UNSUPPORTED]);
            }
            // And every message that is cut short, as one packet.
            for len in 0..message.len() {
                let cut = if len == 0 { vec![1] } else { message[..len].to_vec() };
                assert_eq!(said(&endpoint, &[cut]), [] as [u16; 0], "{service}, {len} bytes");
                sessions += 1;
            }
            // And payloads cut short, whose header says so honestly.
            for len in 0..payload.len() {
                let answers = said(&endpoint, &[request(method, &payload[..len])]);
                assert_eq!(answers, [BAD_ENVELOPE], "{service}, {len} bytes");
            }
        }
        println!("{sessions} sessions of liars, {refused} of them ended by the server");
    });
    for (service, status) in running.status() {
        assert_eq!((status.calls.panics, status.calls.internal_error), (0, 0), "{service}");
    }
    eventually("all are gone", || running.status().iter().all(|(_, status)| status.sessions == 0));
}

#[test]
fn garbage_of_every_kind_costs_only_its_own_session() {
    let place = Place::new();
    let running = serve_all(&place);
    let endpoint = place.endpoint(increment::SERVICE);
    let method = increment::METHOD;
    let good = request(method, &7_u64.to_ne_bytes());
    let changed = |at: usize, bytes: &[u8]| {
        let mut message = good.clone();
        message[at..at + bytes.len()].copy_from_slice(bytes);
        vec![message]
    };
    let mut first_of_two = header(1, method, 5000, 1, 9);
    first_of_two.resize(4096, 0);
    let batch = |payload: &[u32]| {
        let payload: Vec<u8> = payload.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut message = header(1, method, payload.len() as u32, 1, 7);
        message[10] = 1;
        message.extend(payload);
        vec![message]
    };
    let nothing: &[u16] = &[];
    type Case<'a> = (&'a str, Vec<Vec<u8>>, &'a [u16]);
    let cases: Vec<Case> = vec![
        ("a batch of one", batch(&[0, 8, 7, 0]), &[OK]),
        ("an unknown method", changed(12, &[77]), &[UNSUPPORTED]),
        ("a method in the field", changed(12, &[2]), &[UNSUPPORTED]),
        ("a request with a status", changed(14, &[5]), nothing),
        ("a response", changed(8, &[2]), nothing),
        ("a control message", changed(8, &[3]), nothing),
        ("no kind", changed(8, &[0]), nothing),
        ("a batch that leads out", batch(&[0, 800, 7, 0]), &[BAD_ENVELOPE]),
        ("a batch not aligned", batch(&[4, 8, 7, 0, 0]), &[BAD_ENVELOPE]),
        ("a batch that wraps", batch(&[0xffff_fff8, 16, 7, 0]), &[BAD_ENVELOPE]),
        ("more items than agreed", changed(20, &1025_u32.to_ne_bytes()), nothing),
        ("more bytes than agreed", changed(16, &65_537_u32.to_ne_bytes()), &[LIMIT_EXCEEDED]),
        ("a packet longer than any", vec![vec![7; 100_000]], nothing),
        ("a packet longer than agreed", vec![[&first_of_two[..], &[0; 40]].concat()], nothing),
        ("a message in another", vec![first_of_two.clone(), good.clone()], nothing),
        ("garbage for a chunk", vec![first_of_two, vec![0xff; 500]], nothing),
    ];
    beside_healthy_clients(&place, || {
        for (what, packets, expected) in &cases {
            assert_eq!(said(&endpoint, packets), *expected, "{what}");
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for len in 1..300 {
            let random: Vec<u8> = (0..len)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            assert_eq!(said(&endpoint, std::slice::from_ref(&random)), nothing);
            // And in place of HELLO: what is said is a refusal.
            let raw = Raw::connect(&endpoint);
            raw.send(&random).expect("sent");
            let answer = raw.receive().expect("a refusal");
            assert_eq!((answer.len(), status(&answer)), (80, BAD_ENVELOPE));
            assert_eq!(raw.receive(), None);
        }
        for lie in lies(&hello(0)[..76]) {
            let raw = Raw::connect(&endpoint);
            raw.send(&lie).expect("sent");
            let answer = raw.receive().expect("a refusal");
            assert_ne!(status(&answer), OK, "the token is wrong, if nothing else is");
            assert_eq!(raw.receive(), None);
        }
    });
    let status = running.status();
    assert!(status.iter().all(|(_, status)| status.calls.panics == 0), "{status:?}");
}

#[test]
fn a_wrong_token_no_token_and_a_second_hello_are_refused_and_counted() {
    let place = Place::new();
    let endpoint = place.endpoint(increment::SERVICE);
    let server = serve_increment(&endpoint, server_config());
    let mut healthy = increment_client(&endpoint);
    for auth_token in [1, 0] {
        let config = ClientConfig { auth_token, ..client_config() };
        let mut client = increment::Client::new(endpoint.clone(), config);
        client.refresh();
        assert_eq!(client.state(), ClientState::AuthFailed);
        let reason = client.status().reason.expect("it says why");
        assert!(reason.contains("token"), "{reason}");
        assert!(client.call(|request| request.value(1).finish()).is_err());
    }
    let raw = Raw::connect(&endpoint);
    raw.send(&hello(1)).expect("sent");
    let answer = raw.receive().expect("a refusal");
    assert_eq!((answer.len(), status(&answer)), (80, AUTH_FAILED));
    assert_eq!(raw.receive(), None);
    eventually("three are counted", || server.status().handshakes.auth_failed == 3);
    assert_eq!(server.status().handshakes.sessions, 1);

    let raw = Raw::session(&endpoint);
    raw.send(&hello(super::support::TOKEN)).expect("sent");
    assert_eq!(raw.receive(), None, "no second answer");
    eventually("it is counted", || server.status().ended.violated == 1);
    assert_eq!(server.status().sessions, 1);
    must_increment(&mut healthy, 1);
}
