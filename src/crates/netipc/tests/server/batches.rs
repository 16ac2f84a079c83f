//! Batches, and many requests in flight on one session.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread::ThreadId;
use std::time::Duration;

use netipc::batch::{Batch, BatchBuilder};
use netipc::server::{Failure, ServerConfig};
use netipc::{Header, Status};

use crate::support::{
    Client, Gate, Handler, METHOD, Place, echo, eventually, handler, over_each, reply, work_for,
};

pub(crate) fn send_batch(client: &Client, message_id: u64, items: u32) {
    let mut payload = Vec::new();
    let mut builder = BatchBuilder::new(&mut payload, items, 65_536).expect("a batch");
    for item in 0..items {
        builder.push(&item.to_ne_bytes()).expect("room");
    }
    builder.finish().expect("whole");
    let header = Header::request(METHOD, message_id, payload.len() as u32).batch_of(items);
    client.send(&header, &payload);
}

/// The numbers that a batch was asked with, plus one, in order.
fn expect_successors(header: &Header, payload: &[u8], items: u32) {
    assert_eq!((header.status, header.item_count, header.is_batch()), (Status::OK, items, true));
    let batch = Batch::decode(payload, items).expect("a batch");
    for (index, item) in (0_u32..).zip(batch.iter()) {
        assert_eq!(item, (index + 1).to_ne_bytes());
    }
}

fn successor(request: &[u8]) -> Result<[u8; 4], Failure> {
    let number = request.try_into().map_err(|_| Failure::BadEnvelope)?;
    Ok((u32::from_ne_bytes(number) + 1).to_ne_bytes())
}

#[test]
fn batches_are_answered_in_order_by_any_number_of_workers() {
    over_each(|| {
        for worker_count in [1, 2, 3, 8] {
            for cost_us in [0, 20] {
                let place = Place::new();
                let _server = place.serve(
                    ServerConfig { worker_count, ..ServerConfig::default() },
                    handler(move |_context, request, response| {
                        work_for(Duration::from_micros(cost_us));
                        reply(&successor(request)?, response)
                    }),
                );
                let mut client = place.client();
                for items in [1, 2, 7, 1000] {
                    send_batch(&client, items.into(), items);
                    let (header, payload) = client.receive().expect("an answer");
                    expect_successors(&header, &payload, items);
                }
            }
        }
    });
}

#[test]
fn a_batch_fails_as_its_first_failing_item_does() {
    over_each(|| {
        let place = Place::new();
        let _server = place.serve(
            ServerConfig { worker_count: 4, ..ServerConfig::default() },
            handler(|_context, request, response| {
                work_for(Duration::from_micros(20));
                match u32::from_ne_bytes(request.try_into().map_err(|_| Failure::BadEnvelope)?) {
                    300 => Err(Failure::LimitExceeded),
                    600 => panic!("a handler that panics, as a test wants it"),
                    _ => reply(request, response),
                }
            }),
        );
        for _ in 0..10 {
            let mut client = place.client();
            send_batch(&client, 1, 1000);
            let (header, _empty) = client.receive().expect("an answer");
            assert_eq!(
                header,
                Header::failure(&Header::request(METHOD, 1, 0), Status::LIMIT_EXCEEDED)
            );
            client.expect_close();
        }
    });
}

#[test]
fn bad_batches_are_bad_envelopes() {
    over_each(|| {
        let place = Place::new();
        let _server = place.serve(ServerConfig::default(), echo());
        // A directory that points behind the payload.
        let mut client = place.client();
        client.send(&Header::request(METHOD, 1, 8).batch_of(1), &[0, 0, 0, 0, 200, 0, 0, 0]);
        assert_eq!(client.receive().expect("an answer").0.status, Status::BAD_ENVELOPE);
        client.expect_close();

        let place = Place::new();
        let one_by_one =
            Handler { batchable: false, ..handler(|_context, request, out| reply(request, out)) };
        let _server = place.serve(ServerConfig::default(), one_by_one);
        let mut client = place.client();
        send_batch(&client, 1, 2);
        assert_eq!(client.receive().expect("an answer").0.status, Status::BAD_ENVELOPE);
        client.expect_close();
    });
}

#[test]
fn pipelined_requests_run_in_parallel_up_to_the_limit_and_in_any_order() {
    const IN_FLIGHT: u32 = 3;
    const REQUESTS: u64 = 10;
    let place = Place::new();
    let gate = Gate::default();
    let held = gate.clone();
    let server = place.serve(
        ServerConfig {
            worker_count: 8,
            max_in_flight_per_session: IN_FLIGHT,
            ..ServerConfig::default()
        },
        handler(move |_context, request, response| {
            if request != b"ping" {
                held.pass();
            }
            reply(request, response)
        }),
    );
    let mut client = place.client();
    for id in 1..=REQUESTS {
        client.request(id, &id.to_ne_bytes());
    }
    gate.wait_for(IN_FLIGHT as usize);
    // There are workers that would read more, as they read for another client.
    let mut other = place.client();
    for _ in 0..200 {
        assert_eq!(other.call(b"ping").1, b"ping");
    }
    eventually("the other's answers are over", || server.status().in_flight <= IN_FLIGHT.into());
    assert_eq!(server.status().in_flight, u64::from(IN_FLIGHT));
    gate.open();
    let mut missing: HashSet<u64> = (1..=REQUESTS).collect();
    while !missing.is_empty() {
        let (header, answer) = client.receive().expect("an answer");
        assert_eq!(answer, header.message_id.to_ne_bytes());
        assert!(missing.remove(&header.message_id), "answered twice");
    }
    eventually("nothing in flight", || server.status().in_flight == 0);
}

#[test]
fn requests_of_one_session_and_parts_of_one_batch_use_all_workers() {
    static THREADS: Mutex<Option<HashSet<ThreadId>>> = Mutex::new(None);
    let place = Place::new();
    let _server = place.serve(
        ServerConfig { worker_count: 3, ..ServerConfig::default() },
        handler(|_context, request, response| {
            let mut threads = THREADS.lock().expect("no panic");
            threads.get_or_insert_default().insert(std::thread::current().id());
            drop(threads);
            work_for(Duration::from_micros(500));
            reply(request, response)
        }),
    );
    let mut client = place.client();
    send_batch(&client, 1, 200);
    client.receive().expect("an answer");
    let threads = THREADS.lock().expect("no panic").as_ref().map_or(0, HashSet::len);
    assert_eq!(threads, 3);
}
