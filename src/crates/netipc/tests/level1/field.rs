//! Peers of the field, with their weaknesses: they are lived with.

use netipc::{
    ConnectError, Fault, Header, Message, Met, Profiles, ReceiveError, SendError, Session, Status,
};
use netipc_proto::hello::{Hello, HelloAck};
use netipc_proto::negotiate::Refusal;

use crate::support::raw::{Raw, RawServer, hello, packet};
use crate::support::{
    Echo, Place, abort, asleep_in, bytes, config, echoed, long, pair_of, proposal, request,
};

const MEGABYTE: u32 = 1 << 20;
/// What the kernel keeps for itself of each packet.
const OVERHEAD_BYTES: u32 = 32;

/// A client that connects while `server` does what it does.
fn connecting(place: &Place) -> std::thread::JoinHandle<Result<Session, ConnectError>> {
    let endpoint = place.endpoint.clone();
    asleep_in(move || Session::connect(&endpoint, &proposal(1000), long(), &abort()))
}

#[test]
fn a_peer_that_proposes_packets_it_cannot_send_is_healed() {
    let echo = Echo::start(&config(MEGABYTE));
    let raw = Raw::connect(&echo.place.endpoint);
    let carried = raw.0.max_packet_size().expect("a size") as u32;
    raw.send(&Hello { packet_size: carried + OVERHEAD_BYTES, ..hello(MEGABYTE) }.message());
    let ack = HelloAck::decode(&raw.recv()[32..]).expect("a session");
    assert_eq!(ack.packet_size, carried);

    let place = Place::new();
    let server = RawServer::start(&place);
    let client = connecting(&place);
    let raw = server.accept();
    assert_eq!(crate::support::raw::decode_hello(&raw.recv()).packet_size, carried);
    drop(raw);
    assert!(client.join().expect("no panic").is_err());
}

#[test]
fn a_configured_packet_size_is_never_above_what_the_socket_carries() {
    let server = netipc::ListenerConfig { packet_size: u32::MAX, ..config(MEGABYTE) };
    let client = netipc::Proposal { packet_size: u32::MAX, ..proposal(MEGABYTE) };
    let echo = Echo::start(&server);
    echoed(&echo.place.connect(&client), 1, &bytes(300_000, 1));
}

#[test]
fn messages_over_212960_bytes_go_through_with_default_settings() {
    let echo = Echo::start(&config(MEGABYTE));
    let client = echo.place.connect(&proposal(MEGABYTE));
    for (id, len) in [212_960, 212_961, 212_992, 213_000, 425_000].into_iter().enumerate() {
        echoed(&client, id as u64, &bytes(len, id as u64));
    }
}

#[test]
fn a_close_in_place_of_an_answer_is_a_refusal_of_unknown_reason() {
    let place = Place::new();
    let server = RawServer::start(&place);
    for reads_hello in [true, false] {
        let client = connecting(&place);
        let raw = server.accept();
        if reads_hello {
            raw.recv();
        }
        drop(raw);
        let error = client.join().expect("no panic").expect_err("closed");
        assert_eq!((error.met(), &error), (Some(Met::NoAnswer), &ConnectError::Closed));
        assert_eq!(error.fault(), Fault::Nobody);
    }
}

#[test]
fn a_refusal_is_heard_although_the_server_never_read_hello() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let client = connecting(&place);
    // The client sleeps in receiving, so its HELLO is there, unread: closing resets the connection.
    let raw = server.accept();
    raw.send(&HelloAck::rejection_message(Status::AUTH_FAILED));
    drop(raw);
    let error = client.join().expect("no panic").expect_err("refused");
    assert_eq!(error, ConnectError::Refused(Refusal::Rejected(Status::AUTH_FAILED)));
}

#[test]
fn a_refusal_is_heard_however_early_the_server_closes() {
    const TIMES: usize = 300;
    let place = Place::new();
    let server = RawServer::start(&place);
    let refusing = std::thread::spawn(move || {
        for _ in 0..TIMES {
            server.accept().send(&HelloAck::rejection_message(Status::BUSY));
        }
    });
    // Before HELLO is sent, before it is read, and in between.
    for _ in 0..TIMES {
        let error = Session::connect(&place.endpoint, &proposal(100), long(), &abort());
        let met = error.expect_err("refused").met();
        assert_eq!(met, Some(Met::Rejected(Status::BUSY)));
    }
    refusing.join().expect("no panic");
}

#[test]
fn an_answer_before_a_reset_is_received() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let client = connecting(&place);
    let raw = server.agree(|_| {});
    let client = client.join().expect("no panic").expect("a session");
    for id in [1, 2] {
        client.send(&request(id, b"x"), b"x", long(), &abort()).expect("sent");
    }
    raw.recv();
    raw.send(&packet(&Header::response(&request(1, b"x"), 1), b"y"));
    // With the second request unread.
    drop(raw);
    let mut inbox = client.inbox();
    let sent = client.send(&request(3, b"x"), b"x", long(), &abort());
    assert_eq!(sent, Err(SendError::PeerGone));
    assert_eq!(client.receive(&mut inbox, long(), &abort()).map(|m| m.payload), Ok(&b"y"[..]));
    assert_eq!(client.receive(&mut inbox, long(), &abort()), Err(ReceiveError::Closed));
    assert_eq!(client.peer_gone(), Ok(true));
}

#[test]
fn what_is_left_in_a_refused_answer_is_not_looked_at() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let client = connecting(&place);
    let raw = server.agree(|_| {});
    let client = client.join().expect("no panic").expect("a session");
    let mut inbox = client.inbox();
    let batch = Header::response(&request(6, b"").batch_of(4000), 0);
    let left = [
        (Header { status: Status::UNSUPPORTED, ..batch }, &b""[..]),
        (Header { status: Status::INTERNAL_ERROR, payload_len: 90_000, ..batch }, b"left over"),
        (Header { status: Status(999), item_count: 0, flags: 0xFFFF, ..batch }, &[0; 50_000]),
    ];
    for (header, payload) in left {
        raw.send(&packet(&header, payload));
        let received = client.receive(&mut inbox, long(), &abort());
        assert_eq!(received, Ok(Message { header, payload: b"" }));
        assert_eq!(inbox.message(), Some(Message { header, payload: b"" }));
    }
    raw.send(&packet(&Header::response(&request(7, b""), 2), b"ok"));
    assert_eq!(client.receive(&mut inbox, long(), &abort()).map(|m| m.payload), Ok(&b"ok"[..]));
}

#[test]
fn an_answer_to_hello_that_contradicts_it_is_not_accepted() {
    type Change = fn(&mut HelloAck);
    let changes: [(Change, &str); 8] = [
        (|ack| ack.selected = Profiles(2), "profile"),
        (|ack| ack.selected = Profiles(0), "profile"),
        (|ack| ack.selected = Profiles(3), "profile"),
        (|ack| ack.request.payload_bytes -= 1, "requests"),
        (|ack| ack.request.payload_bytes += 1, "requests"),
        (|ack| ack.request.batch_items = 0, "requests"),
        (|ack| ack.packet_size += 1, "packets"),
        (|ack| ack.packet_size = 32, "packets"),
    ];
    let place = Place::new();
    let server = RawServer::start(&place);
    for (change, said) in changes {
        let client = connecting(&place);
        let raw = server.agree(change);
        let error = client.join().expect("no panic").expect_err("a contradiction");
        assert_eq!((error.met(), error.fault()), (Some(Met::BadAnswer), Fault::PeerBroke));
        assert!(error.to_string().contains(said), "{error}");
        raw.must_close();
    }
}

#[test]
fn nonsense_in_place_of_an_answer_to_hello_is_not_accepted() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let good = crate::support::raw::ack(&hello(1000)).message();
    let long_one = [&good[..], &[0; 49]].concat();
    let request = packet(&request(1, b""), b"");
    for answer in [&good[..79], &long_one, &good[..10], &bytes(80, 3), &request, &[7; 5000]] {
        let client = connecting(&place);
        let raw = server.accept();
        raw.recv();
        raw.send(answer);
        let error = client.join().expect("no panic").expect_err("nonsense");
        assert_eq!((error.met(), error.fault()), (Some(Met::BadAnswer), Fault::PeerBroke));
    }
}

#[test]
fn a_peer_that_closes_in_silence_ends_only_its_session() {
    let (client, server) = pair_of(&config(100), proposal(100));
    client.send(&request(1, b"x"), b"x", long(), &abort()).expect("sent");
    drop(server);
    let mut inbox = client.inbox();
    assert_eq!(client.receive(&mut inbox, long(), &abort()), Err(ReceiveError::Closed));
    assert_eq!(ReceiveError::Closed.fault(), Fault::Nobody);
}
