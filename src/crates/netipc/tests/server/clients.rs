//! How clients share a server: when it is full, when one of them reads slowly, when all workers are
//! taken.

use std::time::{Duration, Instant};

use netipc::server::{SEND_TIMEOUT, ServerConfig};
use netipc::{Met, Status};

use crate::support::{
    Client, Gate, PATIENCE, Place, echo, eventually, handler, holds_within, over_each, proposal,
    reply,
};

/// What a client that never reads makes the server keep.
const LARGE: usize = 60_000;

fn large_answers() -> impl netipc::server::Dispatch {
    handler(|_context, request, response| {
        let len = if request == b"large" { LARGE } else { request.len() };
        Ok(len.min(response.out.len()))
    })
}

/// Fills the socket of a client that does not read: the server has answers that it cannot send.
fn stop_reading(client: &Client, requests: u64) {
    for id in 0..requests {
        client.request(id, b"large");
    }
}

/// Of a client that is not like the others. They are done long before the others are given up, on a busy machine
/// under Wine, too.
const HEALTHY_CALLS: usize = if cfg!(windows) { 50 } else { 500 };

/// How soon BUSY is said, and how often it may come later on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(if cfg!(windows) { 3 } else { 1 });
const LATE_AT_MOST: u32 = 5;

#[test]
fn a_full_server_says_busy_at_once_and_has_room_as_soon_as_a_client_leaves() {
    over_each(|| {
        let place = Place::new();
        let config = ServerConfig { max_sessions: 2, ..ServerConfig::default() };
        let server = place.serve(config, echo());
        let mut stays = place.client();
        let mut leaves = Some(place.client());
        let mut late = 0;
        for round in 1..=50 {
            let started = Instant::now();
            let error = place.try_client(&proposal()).map(|_| ()).expect_err("full");
            assert_eq!(error.met(), Some(Met::Rejected(Status::BUSY)), "{error}");
            late += u32::from(started.elapsed() > SOON);
            eventually("BUSY is counted", || server.status().handshakes.busy == round);
            // Whoever closes first and connects then is never told that its own session is in the way.
            drop(leaves.take());
            leaves = Some(place.client());
            assert_eq!(stays.call(b"here").1, b"here");
        }
        assert!(late <= LATE_AT_MOST, "BUSY is said at once: {late} times it was not");
        // A client has its session a moment before that counts.
        eventually("two sessions", || server.status().sessions == 2);
    });
}

#[test]
fn a_client_with_a_final_answer_does_not_take_a_session() {
    over_each(|| {
        let place = Place::new();
        let config = ServerConfig { max_sessions: 1, ..ServerConfig::default() };
        let server = place.serve(
            config,
            handler(|_context, _request, _response| Err(netipc::server::Failure::LimitExceeded)),
        );
        for _ in 0..50 {
            let mut lingers = place.client();
            assert_eq!(lingers.status_of(b""), Status::LIMIT_EXCEEDED);
            eventually("a free session", || server.status().sessions == 0);
            let mut next = place.client();
            assert_eq!(next.status_of(b""), Status::LIMIT_EXCEEDED);
            eventually("a free session", || server.status().sessions == 0);
        }
    });
}

#[test]
fn clients_that_do_not_read_stop_nobody_and_end_at_their_deadline() {
    let place = Place::new();
    let config = ServerConfig { worker_count: 2, ..ServerConfig::default() };
    let server = place.serve(config, large_answers());
    let slow: Vec<Client> = (0..4).map(|_| place.client()).collect();
    let started = Instant::now();
    for client in &slow {
        stop_reading(client, 40);
    }
    // All workers have met a full socket by now, more than once.
    eventually("answers that wait", || server.status().in_flight >= 4 * 16);
    let mut healthy = place.client();
    for _ in 0..HEALTHY_CALLS {
        assert_eq!(healthy.call(b"ping").0.status, Status::OK);
    }
    assert!(started.elapsed() < SEND_TIMEOUT / 2, "nobody was waited for");
    assert_eq!(server.status().ended.not_read, 0);
    eventually("slow sessions end", || server.status().ended.not_read == 4);
    assert!(started.elapsed() >= SEND_TIMEOUT, "not before their deadline");
    assert!(started.elapsed() < SEND_TIMEOUT + Duration::from_secs(5));
    assert_eq!(healthy.call(b"ping").0.status, Status::OK);
    eventually("nothing in flight", || server.status().in_flight == 0);
    assert_eq!(server.status().sessions, 1);
}

#[test]
fn what_is_held_for_a_client_that_does_not_read_is_bounded_in_bytes() {
    const REQUESTS: u64 = 60;
    const HELD_BYTES: usize = 1 << 20;
    const WORKERS: usize = 2;
    let place = Place::new();
    let config = ServerConfig {
        worker_count: WORKERS,
        max_in_flight_per_session: 64,
        ..ServerConfig::default()
    };
    let server = place.serve(config, large_answers());
    let mut client = place.client();
    stop_reading(&client, REQUESTS);
    let most = (HELD_BYTES / LARGE + 1 + WORKERS) as u64;
    eventually("as much as may be held", || {
        server.status().in_flight >= (HELD_BYTES / LARGE) as u64
    });
    let mut healthy = place.client();
    for _ in 0..HEALTHY_CALLS {
        assert_eq!(healthy.call(b"ping").0.status, Status::OK);
        assert!(server.status().in_flight <= most + 1, "{:?}", server.status());
    }
    for _ in 0..REQUESTS {
        assert_eq!(client.receive().expect("an answer").1.len(), LARGE);
    }
}

#[test]
fn a_client_that_reads_late_gets_every_answer() {
    const REQUESTS: u64 = 40;
    let place = Place::new();
    let server = place.serve(ServerConfig::default(), large_answers());
    let mut client = place.client();
    stop_reading(&client, REQUESTS);
    eventually("answers that wait", || server.status().in_flight == 16);
    for _ in 0..REQUESTS {
        let (header, answer) = client.receive().expect("an answer");
        assert_eq!((header.status, answer.len()), (Status::OK, LARGE));
    }
    assert_eq!(client.call(b"ping").0.status, Status::OK);
    eventually("nothing in flight", || server.status().in_flight == 0);
}

#[test]
fn while_all_workers_are_busy_clients_come_and_go_and_are_answered_later() {
    let place = Place::new();
    let gate = Gate::default();
    let held = gate.clone();
    let config = ServerConfig { worker_count: 1, ..ServerConfig::default() };
    let server = place.serve(
        config,
        handler(move |_context, request, response| {
            if request == b"hold" {
                held.pass();
            }
            reply(request, response)
        }),
    );
    let mut holder = place.client();
    holder.request(1, b"hold");
    gate.wait_for(1);
    let (leaves, mut waits) = (place.client(), place.client());
    waits.request(5, b"later");
    eventually("three sessions", || server.status().sessions == 3);
    drop(leaves);
    let noticed = holds_within(PATIENCE, || server.status().ended.left == 1);
    assert!(noticed, "a client that leaves is noticed though no worker looks");
    gate.open();
    assert_eq!(waits.receive().expect("an answer").1, b"later");
    assert_eq!(holder.receive().expect("an answer").1, b"hold");
}
