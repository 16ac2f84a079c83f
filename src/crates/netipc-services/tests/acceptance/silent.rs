//! Clients that say nothing, say half of it, or do not listen.

use std::time::{Duration, Instant};

use netipc::DEFAULT_HANDSHAKE_TIMEOUT;
use netipc_services::{increment, string_reverse};

use super::support::{
    Place, Raw, client_config, eventually, header, increment_client, must_increment, quiet,
    serve_increment, serve_reverse, server_config, within,
};

const SILENT: usize = 200;
/// A server that answers nothing for so long, although requests wait, waits for their reader.
const STUCK: Duration = Duration::from_millis(50);
/// Beyond a deadline, for a machine that is busy.
const LATENESS: Duration = Duration::from_secs(2);

#[test]
fn two_hundred_silent_clients_delay_nobody_and_are_gone_at_the_deadline() {
    let place = Place::new();
    let endpoint = place.endpoint(increment::SERVICE);
    let server = serve_increment(&endpoint, server_config());
    let mut steady = increment_client(&endpoint);
    let come_and_call = || {
        let started = Instant::now();
        must_increment(&mut increment_client(&endpoint), 1);
        started.elapsed()
    };
    let alone = (0..5).map(|_| come_and_call()).min().expect("five");
    let begun = Instant::now();
    let silent: Vec<Raw> = (0..SILENT).map(|_| Raw::connect(&endpoint)).collect();
    let connected = begun.elapsed();
    let limit = Duration::from_millis(10);
    within(limit, 20, || {
        let took = come_and_call();
        println!("a session and a call: {alone:?} alone, {took:?} among {SILENT} silent ones");
        took.saturating_sub(alone)
    });
    within(limit, 20, || {
        let started = Instant::now();
        must_increment(&mut steady, 2);
        started.elapsed()
    });
    for raw in &silent {
        assert_eq!(raw.receive(), None, "closed without a word");
    }
    let took = begun.elapsed();
    let deadline = DEFAULT_HANDSHAKE_TIMEOUT;
    assert!(took >= deadline, "closed early, after {took:?}");
    assert!(took < connected + deadline + LATENESS, "closed late, after {took:?}");
    eventually("they are counted", || server.status().handshakes.timed_out == SILENT as u64);
    eventually("only one is left", || server.status().sessions == 1);
    must_increment(&mut steady, 3);
}

#[test]
fn nothing_that_clients_do_hangs_a_stop() {
    let place = Place::new();
    let endpoint = place.endpoint(string_reverse::SERVICE);
    let server = serve_reverse(&endpoint, server_config());
    let _silent: Vec<Raw> = (0..SILENT).map(|_| Raw::connect(&endpoint)).collect();
    // The first packet of a message of two.
    let half = Raw::session(&endpoint);
    let mut packet = header(1, string_reverse::METHOD, 5000, 1, 1);
    packet.resize(4096, 0);
    half.send(&packet).expect("sent");
    // Asks for more than the socket holds, and reads nothing of it.
    let deaf = Raw::session(&endpoint);
    let mut payload = [8_u32, 3000].map(u32::to_ne_bytes).concat();
    payload.resize(8 + 3000 + 1, 0);
    let mut packet = header(1, string_reverse::METHOD, payload.len() as u32, 1, 0);
    packet.extend(payload);
    let mut id = 0_u64;
    eventually("answers that nobody reads", || {
        let answered = server.status().calls.ok;
        while deaf.try_send(&packet) {
            id += 1;
            packet[24..32].copy_from_slice(&id.to_ne_bytes());
        }
        quiet(STUCK);
        let status = server.status();
        status.calls.ok == answered && status.in_flight > 0
    });
    let mut healthy = string_reverse::Client::new(endpoint.clone(), client_config());
    healthy.refresh();
    let answer = healthy.call(|request| request.bytes("abc").finish()).expect("an answer");
    assert_eq!(answer.bytes(), "cba");
    within(Duration::from_secs(1), 1, || {
        let started = Instant::now();
        server.stop().expect("stopped: no handler runs");
        started.elapsed()
    });
    healthy.refresh();
    assert!(!healthy.ready());
    let _next = serve_reverse(&endpoint, server_config());
    healthy.refresh();
    assert!(healthy.ready(), "the name is free at once");
}
