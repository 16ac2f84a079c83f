//! Clients that mean harm: what one of them may cost a server, and for how long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use netipc::server::{Failure, ServerConfig};
use netipc::{Header, Met, Status};

use crate::support::{
    Gate, LIMITS, METHOD, PATIENCE, Place, eventually, handler, over_each, proposal, reply,
};

/// A final answer frees its session for the next client, but not while handlers still work for it:
/// else whoever asks, breaks the contract and comes again piles up work without end.
#[test]
fn a_final_answer_does_not_make_room_for_more_work() {
    let place = Place::new();
    let gate = Gate::default();
    let held = gate.clone();
    let config = ServerConfig { max_sessions: 1, worker_count: 1, ..ServerConfig::default() };
    let server = place.serve(
        config,
        handler(move |_context, request, response| {
            held.pass();
            reply(request, response)
        }),
    );
    let raw = place.raw();
    raw.send(&[&Header::request(METHOD, 1, 4).encode()[..], b"hold"].concat());
    gate.wait_for(1);
    // Above the limit: answered at once, whatever is being worked on.
    raw.send(&Header::request(METHOD, 2, LIMITS.payload_bytes + 1).encode());
    let answer = raw.receive().expect("an answer");
    assert_eq!(Header::decode(&answer).expect("a header").status, Status::LIMIT_EXCEEDED);
    drop(raw);
    eventually("the session is over", || server.status().ended.answered == 1);
    let error = place.try_client(&proposal()).map(|_| ()).expect_err("its handler still runs");
    assert_eq!(error.met(), Some(Met::Rejected(Status::BUSY)), "{error}");
    gate.open();
    eventually("the handler has returned", || server.status().sessions == 0);
    assert_eq!(place.client().call(b"next").1, b"next");
}

/// Items may not overlap, or a request of a megabyte has a handler read gigabytes.
#[test]
fn a_batch_costs_no_more_than_its_own_bytes() {
    over_each(|| {
        const ITEMS: u32 = 1000;
        const ITEM_BYTES: u32 = 32_768;
        let place = Place::new();
        let handled_bytes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&handled_bytes);
        let _server = place.serve(
            ServerConfig::default(),
            handler(move |_context, request, _response| {
                counted.fetch_add(request.len(), Ordering::Relaxed);
                Ok(0)
            }),
        );
        let mut client = place.client();
        let mut payload = Vec::new();
        for _ in 0..ITEMS {
            payload.extend_from_slice(&0_u32.to_ne_bytes());
            payload.extend_from_slice(&ITEM_BYTES.to_ne_bytes());
        }
        payload.resize(payload.len() + ITEM_BYTES as usize, 0);
        let header = Header::request(METHOD, 1, payload.len() as u32).batch_of(ITEMS);
        client.send(&header, &payload);
        assert_eq!(client.receive().expect("an answer").0.status, Status::BAD_ENVELOPE);
        client.expect_close();
        let handled_bytes = handled_bytes.load(Ordering::Relaxed);
        assert!(handled_bytes <= payload.len(), "{handled_bytes} of {}", payload.len());
    });
}

/// What was begun when a server stops is answered, and its client sees the end, however it was
/// answered and however long the server's owner keeps it.
#[test]
fn a_failure_while_stopping_ends_its_session_too() {
    over_each(|| {
        let place = Place::new();
        let (begun, begins) = mpsc::channel();
        let server = place.serve(
            ServerConfig::default(),
            handler(move |context, _request, _response| {
                begun.send(()).expect("somebody waits");
                while !context.stop_requested() {
                    std::thread::yield_now();
                }
                Err(Failure::Internal)
            }),
        );
        let mut client = place.client();
        client.request(1, b"x");
        begins.recv_timeout(PATIENCE).expect("a handler runs");
        server.stop().expect("stopped");
        assert_eq!(client.receive().expect("an answer").0.status, Status::INTERNAL_ERROR);
        client.expect_close();
        assert_eq!(server.status().sessions, 0);
    });
}
