//! Peers that mean ill, after the handshake: each costs its own session and nothing else.

use netipc::{Fault, Header, Kind, ReceiveError, Status};
use netipc_proto::chunk::ChunkHeader;

use crate::support::raw::{Raw, RawServer, hello, packet, status};
use crate::support::{Echo, Place, abort, bytes, config, echoed, long, proposal, request};

const LIMIT: u32 = 10_000;
const PACKET_BYTES: u32 = 4096;
/// Payload of the first packet of a message that takes several.
const ROOM: usize = PACKET_BYTES as usize - 32;

/// A message of 10,000 bytes as it should come, for lies about it.
fn chunked() -> (Header, Vec<u8>, ChunkHeader) {
    let payload = bytes(LIMIT as usize, 1);
    let header = request(1, &payload);
    let chunk = ChunkHeader {
        message_id: 1,
        total_message_len: LIMIT + 32,
        chunk_index: 1,
        chunk_count: 3,
        chunk_payload_len: ROOM as u32,
    };
    (header, payload, chunk)
}

/// Packets that no server takes, in the order in which they are sent.
fn bad_requests() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let good = request(1, b"abc");
    let one = |header: Header, payload: &[u8]| vec![packet(&header, payload)];
    let changed = |at: usize, bytes: &[u8]| {
        let mut packet = packet(&good, b"abc");
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        vec![packet]
    };
    let mut cases = vec![
        ("one byte", vec![vec![1]]),
        ("a header cut short", vec![good.encode()[..31].to_vec()]),
        ("a payload cut short", one(good, b"ab")),
        ("a payload too long", one(good, b"abcd")),
        ("a packet longer than any", one(good, &[0; 60_000])),
        ("a full packet and more", one(request(1, &[0; ROOM]), &[0; ROOM + 40])),
        ("wrong magic", changed(0, &[0])),
        ("another version", changed(4, &2_u16.to_ne_bytes())),
        ("another header length", changed(6, &64_u16.to_ne_bytes())),
        ("a response", one(Header { kind: Kind::Response, ..good }, b"abc")),
        ("a control message", one(Header { kind: Kind::Control, ..good }, b"abc")),
        ("an unknown kind", changed(8, &7_u16.to_ne_bytes())),
        ("an unknown flag", one(Header { flags: 2, ..good }, b"abc")),
        ("a status", one(Header { status: Status::BUSY, ..good }, b"abc")),
        ("no items", one(Header { item_count: 0, ..good }, b"abc")),
        ("items without a batch", one(Header { item_count: 2, ..good }, b"abc")),
        ("a batch of none", one(good.batch_of(0), b"abc")),
        ("chunks that were never begun", vec![packet_of_chunk(chunked().2, ROOM)]),
    ];
    let (header, payload, chunk) = chunked();
    let first = packet(&header, &payload[..ROOM]);
    cases.push(("a first packet too short", vec![packet(&header, &payload[..100])]));
    cases.push(("a message in the midst of another", vec![first.clone(), first.clone()]));
    let lies = [
        ("another message's chunk", ChunkHeader { message_id: 2, ..chunk }),
        ("another total", ChunkHeader { total_message_len: LIMIT + 33, ..chunk }),
        ("a total without end", ChunkHeader { total_message_len: u32::MAX, ..chunk }),
        ("a chunk left out", ChunkHeader { chunk_index: 2, ..chunk }),
        ("the first chunk again", ChunkHeader { chunk_index: 0, ..chunk }),
        ("another count", ChunkHeader { chunk_count: 4, ..chunk }),
        ("a count without end", ChunkHeader { chunk_count: u32::MAX, ..chunk }),
        ("a shorter length", ChunkHeader { chunk_payload_len: ROOM as u32 - 1, ..chunk }),
        ("a longer length", ChunkHeader { chunk_payload_len: ROOM as u32 + 1, ..chunk }),
        ("a length without end", ChunkHeader { chunk_payload_len: u32::MAX, ..chunk }),
    ];
    for (what, lie) in lies {
        cases.push((what, vec![first.clone(), packet_of_chunk(lie, ROOM)]));
    }
    cases.push(("a chunk cut short", vec![first.clone(), packet_of_chunk(chunk, ROOM - 1)]));
    cases.push(("a chunk too long", vec![first.clone(), packet_of_chunk(chunk, ROOM + 1)]));
    cases.push(("a chunk much too long", vec![first, packet_of_chunk(chunk, ROOM + 40)]));
    for seed in 0..30 {
        cases.push(("garbage", vec![bytes((seed * 37 % 5000 + 1) as usize, seed)]));
    }
    cases
}

fn packet_of_chunk(chunk: ChunkHeader, payload_len: usize) -> Vec<u8> {
    [&chunk.encode()[..], &vec![0; payload_len]].concat()
}

#[test]
fn every_bad_request_costs_only_its_own_session() {
    let echo = Echo::start(&config(LIMIT));
    let healthy = echo.place.connect(&proposal(LIMIT));
    for (id, (what, packets)) in bad_requests().into_iter().enumerate() {
        let raw = Raw::session(&echo.place.endpoint, &hello(LIMIT));
        for packet in &packets {
            raw.send(packet);
        }
        raw.must_close();
        let end = echo.next_end();
        assert!(matches!(end, ReceiveError::Violation(_)), "{what}: {end}");
        assert_eq!(end.fault(), Fault::PeerBroke);
        echoed(&healthy, id as u64, what.as_bytes());
    }
    assert_eq!(echo.counts().sessions, bad_requests().len() as u64 + 1);
}

#[test]
fn requests_above_the_limit_are_told_so_first() {
    let echo = Echo::start(&config(LIMIT));
    let over = Header::request(3, 77, LIMIT + 1);
    let cases = [
        // Whole, as far as packets go; declared and not sent; declared beyond all sense; a batch.
        packet(&over, &[0; ROOM]),
        packet(&over, b""),
        packet(&Header { payload_len: u32::MAX, ..over }, &[0; ROOM]),
        packet(&Header { payload_len: 80, ..over }.batch_of(9), &[0; 80]),
        packet(&over, &vec![0; LIMIT as usize + 1]),
    ];
    for bad in cases {
        let raw = Raw::session(&echo.place.endpoint, &hello(LIMIT));
        raw.send(&bad);
        // The client does not wait before it goes on: its answer must reach it all the same.
        for _ in 0..5 {
            raw.send(&[1; 4000]);
        }
        let answer = raw.recv();
        assert_eq!(answer, packet(&Header::failure(&over, Status::LIMIT_EXCEEDED), b""));
        // Where there are halves to close, this side sees the end of the server's.
        if cfg!(target_os = "linux") {
            raw.must_close();
        }
        drop(raw);
        let end = echo.next_end();
        let ReceiveError::AboveLimit { header, .. } = end else { panic!("{end}") };
        assert_eq!((header.message_id, header.code), (77, 3));
    }
}

/// What a client says to an answer of the server's own making.
fn client_meets(packets: &[Vec<u8>]) -> ReceiveError {
    let place = Place::new();
    let server = RawServer::start(&place);
    let endpoint = place.endpoint.clone();
    let client = std::thread::spawn(move || {
        let small = netipc::Proposal { packet_size: PACKET_BYTES, ..proposal(LIMIT) };
        netipc::Session::connect(&endpoint, &small, long(), &abort())
    });
    let raw = server.agree(|_| {});
    let client = client.join().expect("no panic").expect("a session");
    for packet in packets {
        raw.send(packet);
    }
    let mut inbox = client.inbox();
    let error = client.receive(&mut inbox, long(), &abort()).expect_err("a violation");
    assert_eq!(client.receive(&mut inbox, long(), &abort()), Err(ReceiveError::Ended));
    assert_eq!(client.try_receive(&mut inbox), Err(ReceiveError::Ended));
    assert!(inbox.held_bytes() <= PACKET_BYTES as usize + 1 + LIMIT as usize);
    error
}

#[test]
fn every_bad_answer_ends_the_session_at_the_client() {
    let good = Header::response(&request(1, b"abc"), 3);
    let (ask, payload, chunk) = chunked();
    let first = packet(&Header::response(&ask, LIMIT), &payload[..ROOM]);
    let cases = [
        vec![vec![9]],
        vec![packet(&good, b"ab")],
        vec![packet(&good, b"abcd")],
        vec![packet(&request(1, b"abc"), b"abc")],
        vec![hello(LIMIT).message().to_vec()],
        vec![packet(&Header { flags: 4, ..good }, b"abc")],
        vec![packet(&Header { item_count: 2, ..good }, b"abc")],
        vec![packet(&good, &[0; 50_000])],
        vec![first.clone(), packet_of_chunk(ChunkHeader { message_id: 9, ..chunk }, ROOM)],
        vec![first, packet_of_chunk(chunk, ROOM + 1)],
    ];
    for packets in cases {
        let error = client_meets(&packets);
        assert!(matches!(error, ReceiveError::Violation(_)), "{error}");
    }
    let above = client_meets(&[packet(&Header { payload_len: LIMIT + 1, ..good }, b"")]);
    assert!(matches!(above, ReceiveError::AboveLimit { .. }), "{above}");
}

#[test]
fn a_client_holds_no_more_than_its_own_ceiling_whatever_was_agreed() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let endpoint = place.endpoint.clone();
    let client = std::thread::spawn(move || {
        let ceiling = netipc::Proposal { response_ceiling_bytes: 500, ..proposal(100) };
        netipc::Session::connect(&endpoint, &ceiling, long(), &abort())
    });
    let raw = server.agree(|ack| ack.response.payload_bytes = u32::MAX);
    let client = client.join().expect("no panic").expect("any response limit is accepted");
    let mut inbox = client.inbox();
    let ask = request(1, b"");
    raw.send(&packet(&Header::response(&ask, 500), &[1; 500]));
    assert_eq!(client.receive(&mut inbox, long(), &abort()).map(|m| m.payload.len()), Ok(500));
    raw.send(&packet(&Header::response(&ask, 501), &[1; 501]));
    let error = client.receive(&mut inbox, long(), &abort()).expect_err("above");
    assert!(matches!(error, ReceiveError::TooLarge(_)), "{error}");
    assert_eq!(error.fault(), Fault::Caller);
    assert!(error.to_string().contains("ceiling of 500"), "{error}");
    assert!(inbox.held_bytes() <= 533);
}

#[test]
fn a_batch_of_one_and_the_status_of_a_failure_are_passed_on() {
    let echo = Echo::start(&config(LIMIT));
    let raw = Raw::session(&echo.place.endpoint, &hello(LIMIT));
    let batch = Header::request(1, 4, 16).batch_of(1);
    raw.send(&packet(&batch, &[0; 16]));
    let answer = raw.recv();
    assert_eq!(status(&answer), Status::OK);
    assert_eq!(answer, packet(&Header::response(&batch, 16), &[0; 16]), "answered in kind");
}
