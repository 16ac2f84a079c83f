//! Many requests in flight, answered in any order.

use netipc::{Header, Pipeline, ReceiveError, SendError, SubmitError};

use crate::support::{abort, bytes, config, long, pair_of, proposal, request};

const DEPTH: u64 = 16;
const PAYLOAD_BYTES: usize = 5000;

/// A pipeline, and a server that answers all that it gets once it has `DEPTH` requests, in the
/// order that the step makes; short packets, so that every message is chunked.
fn answered_in_steps_of(step: u64) {
    let small = netipc::Proposal { packet_size: 700, ..proposal(10_000) };
    let (client, server) = pair_of(&config(10_000), small);
    let answers = std::thread::spawn(move || {
        let mut inbox = server.inbox();
        let mut requests = Vec::new();
        for _ in 0..DEPTH {
            let message = server.receive(&mut inbox, long(), &abort()).expect("a request");
            requests.push((message.header, message.payload.to_vec()));
        }
        for turn in 0..DEPTH {
            let (header, payload) = &requests[(turn * step % DEPTH) as usize];
            let answer = Header::response(header, payload.len() as u32);
            server.send(&answer, payload, long(), &abort()).expect("sent");
        }
        server
    });
    let mut pipeline = Pipeline::new(client, DEPTH as usize);
    for id in 0..DEPTH {
        let payload = bytes(PAYLOAD_BYTES, id);
        let header = request(id, &payload);
        pipeline.submit(&header, &payload, id, long(), &abort()).expect("submitted");
    }
    assert_eq!(pipeline.in_flight(), DEPTH as usize);
    for turn in 0..DEPTH {
        let (id, message) = pipeline.receive(long(), &abort()).expect("an answer");
        assert_eq!(id, turn * step % DEPTH, "answers come in the server's order");
        assert_eq!(message.header.message_id, id);
        assert!(message.payload == bytes(PAYLOAD_BYTES, id));
    }
    assert_eq!(pipeline.in_flight(), 0);
    answers.join().expect("no panic");
}

#[test]
fn sixteen_deep_in_any_order() {
    // Odd steps visit all of a power of two: in order, backwards, and jumping.
    for step in [1, 15, 5, 11] {
        answered_in_steps_of(step);
    }
}

#[test]
fn a_duplicate_and_one_too_many_are_refused_before_anything_is_sent() {
    let (client, server) = pair_of(&config(100), proposal(100));
    let mut pipeline = Pipeline::new(client, 2);
    let submit = |pipeline: &mut Pipeline<char>, id, value| {
        pipeline.submit(&request(id, b"x"), b"x", value, long(), &abort())
    };
    submit(&mut pipeline, 7, 'a').expect("submitted");
    assert_eq!(submit(&mut pipeline, 7, 'b'), Err(SubmitError::Duplicate { message_id: 7 }));
    submit(&mut pipeline, 8, 'c').expect("submitted");
    assert_eq!(submit(&mut pipeline, 9, 'd'), Err(SubmitError::Full { in_flight: 2 }));

    let mut inbox = server.inbox();
    for id in [7, 8] {
        let header = server.receive(&mut inbox, long(), &abort()).expect("a request").header;
        assert_eq!(header.message_id, id);
        server.send(&Header::response(&header, 0), b"", long(), &abort()).expect("sent");
    }
    assert_eq!(server.try_receive(&mut inbox), Ok(None), "nothing else was sent");
    assert_eq!(pipeline.receive(long(), &abort()).expect("an answer").0, 'a');
    // A request that cannot be sent is not in flight either.
    let too_long = pipeline.submit(&request(9, &[0; 101]), &[0; 101], 'e', long(), &abort());
    assert!(matches!(too_long, Err(SubmitError::Send(SendError::AboveLimit { .. }))));
    assert_eq!(pipeline.in_flight(), 1);
    submit(&mut pipeline, 9, 'f').expect("submitted");
    let mut left = Vec::new();
    pipeline.abandon(|id, value| left.push((id, value)));
    left.sort_unstable();
    assert_eq!(left, [(8, 'c'), (9, 'f')]);
}

#[test]
fn an_answer_to_nothing_ends_the_session() {
    let (client, server) = pair_of(&config(100), proposal(100));
    let mut pipeline = Pipeline::new(client, 4);
    pipeline.submit(&request(1, b"x"), b"x", (), long(), &abort()).expect("submitted");
    for id in [2, 1] {
        let answer = Header::response(&request(id, b""), 0);
        server.send(&answer, b"", long(), &abort()).expect("sent");
    }
    let unknown = pipeline.receive(long(), &abort()).expect_err("no such request");
    assert_eq!(unknown, ReceiveError::UnknownId { message_id: 2 });
    assert_eq!(pipeline.receive(long(), &abort()).expect_err("over"), ReceiveError::Ended);
}
