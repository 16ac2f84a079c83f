//! Sessions over shared memory: turns, goodbyes, and peers that write what they may not.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use netipc::{
    Deadline, Fault, Header, Kind, Pipeline, Profile, Proposal, ReceiveError, SendError, Session,
    Status, SubmitError,
};
use netipc_proto::header::opcode;
use netipc_sys::{RegionError, Until};
use proptest::prelude::*;

use crate::support::raw::{RawRegion, RawServer, packet, region_path};
use crate::support::{
    Echo, HEADER_BYTES, Place, Transport, abort, asleep_in, bytes, echoed, long, request, within,
};

const SHARED: Transport = Transport::SharedMemory;
const LIMIT: u32 = 1000;
/// Where the header of a region has its sequence and length words (spec section 7).
const REQ_SEQ_OFFSET: u64 = 32;
const REQ_LEN_OFFSET: u64 = 48;
/// How soon the death of a peer is to be noticed.
const DEATH_NOTICED: Duration = Duration::from_millis(100);

fn bye() -> Header {
    Header::control(opcode::BYE, Status::OK, 0)
}

#[test]
fn requests_and_answers_take_turns() {
    let (client, server) = SHARED.pair(LIMIT);
    for session in [&client, &server] {
        assert_eq!((session.profile(), session.in_flight_limit()), (Profile::SHM_HYBRID, 1));
    }
    let ask = request(1, b"a");
    let answer = Header::response(&ask, 1);
    let out_of_turn = Err(SendError::OutOfTurn);
    // A server has nothing to say before it is asked, and one answer a request.
    assert_eq!(server.send(&answer, b"x", long(), &abort()), out_of_turn);
    for round in 0..3 {
        client.send(&ask, b"a", long(), &abort()).expect("its turn");
        assert_eq!(client.send(&request(2, b"b"), b"b", long(), &abort()), out_of_turn);
        let asked = server.receive(&mut server.inbox(), long(), &abort()).map(|m| m.header);
        assert_eq!(asked, Ok(ask), "round {round}");
        let mut message = server.outgoing(&answer, b"x").expect("within limits");
        assert_eq!(server.try_send(&mut message, b"x"), Ok(true));
        assert_eq!(server.send(&answer, b"y", long(), &abort()), out_of_turn);
        let mut inbox = client.inbox();
        let answered = client.receive(&mut inbox, long(), &abort()).expect("an answer");
        assert_eq!((answered.header, answered.payload), (answer, &b"x"[..]));
    }
    assert_eq!(SendError::OutOfTurn.fault(), Fault::Caller);
}

#[test]
fn a_pipeline_holds_one_request() {
    let (client, _server) = SHARED.pair(LIMIT);
    let mut pipeline = Pipeline::new(client, 16);
    let mut submit = |id| pipeline.submit(&request(id, b"x"), b"x", (), long(), &abort());
    submit(1).expect("submitted");
    assert_eq!(submit(2), Err(SubmitError::Full { in_flight: 1 }));
}

#[test]
fn a_message_is_one_whole_however_small_the_packets_agreed() {
    let place = Place::new();
    let mut listener = place.listen(&SHARED.config(100_000));
    let endpoint = place.endpoint.clone();
    let small = Proposal { packet_size: 33, ..SHARED.proposal(100_000) };
    let client = asleep_in(move || Session::connect(&endpoint, &small, long(), &abort()));
    let server = listener.accept(long(), &abort()).expect("a session");
    let client = client.join().expect("no panic").expect("a session");
    let payload = bytes(100_000, 1);
    client.send(&request(1, &payload), &payload, long(), &abort()).expect("sent");
    let mut inbox = server.inbox();
    assert_eq!(inbox.held_bytes(), 0);
    let message = server.try_receive(&mut inbox).expect("no error").expect("all at once");
    assert!(message.payload == payload);
    assert_eq!(inbox.held_bytes(), HEADER_BYTES + payload.len(), "what came, and no more");
}

#[test]
fn a_client_that_leaves_says_goodbye_if_nothing_is_in_flight() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let connect = || {
        let endpoint = place.endpoint.clone();
        asleep_in(move || Session::connect(&endpoint, &SHARED.proposal(LIMIT), long(), &abort()))
    };
    // One that asked nothing, one that has its answer.
    for asks in [false, true] {
        let client = connect();
        let region = server.agree_region(&place);
        let client = client.join().expect("no panic").expect("a session");
        if asks {
            client.send(&request(1, b"x"), b"x", long(), &abort()).expect("sent");
            assert_eq!(region.recv(), packet(&request(1, b"x"), b"x"));
            region.publish(&packet(&Header::response(&request(1, b"x"), 0), b""));
            client.receive(&mut client.inbox(), long(), &abort()).expect("answered");
        }
        drop(client);
        assert_eq!(region.recv(), bye().encode());
        region.socket.must_close();
    }
    // One that waits for its answer has said something else last, and so has one that ended it.
    for ends_it in [false, true] {
        let client = connect();
        let region = server.agree_region(&place);
        let client = client.join().expect("no panic").expect("a session");
        if ends_it {
            client.shutdown();
        } else {
            client.send(&request(1, b"x"), b"x", long(), &abort()).expect("sent");
            region.recv();
        }
        drop(client);
        region.socket.must_close();
        assert!(!region.channel.is_ready());
    }
}

#[test]
fn a_goodbye_is_a_clean_end_and_any_other_control_message_is_none() {
    let echo = Echo::start(&SHARED.config(LIMIT));
    let end_after = |message: &[u8]| {
        let client = RawRegion::session(&echo.place.endpoint, LIMIT);
        client.publish(&packet(&request(1, b"abc"), b"abc"));
        client.recv();
        client.publish(message);
        // The socket is still open: it is the message that ends it.
        echo.next_end()
    };
    assert_eq!(end_after(&bye().encode()), ReceiveError::Closed);
    let others = [
        packet(&bye(), b"x"),
        Header { payload_len: 1, ..bye() }.encode().to_vec(),
        Header { message_id: 1, ..bye() }.encode().to_vec(),
        Header { status: Status::BUSY, ..bye() }.encode().to_vec(),
        Header { code: opcode::BYE + 1, ..bye() }.encode().to_vec(),
        Header { code: opcode::HELLO, ..bye() }.encode().to_vec(),
    ];
    for other in others {
        let end = end_after(&other);
        assert!(matches!(end, ReceiveError::Violation(_)), "{other:?}: {end}");
    }
}

/// What a client says to a message that its server publishes.
fn client_meets(message: &[u8]) -> ReceiveError {
    let place = Place::new();
    let server = RawServer::start(&place);
    let endpoint = place.endpoint.clone();
    let client =
        asleep_in(move || Session::connect(&endpoint, &SHARED.proposal(LIMIT), long(), &abort()));
    let region = server.agree_region(&place);
    let client = client.join().expect("no panic").expect("a session");
    client.send(&request(1, b"abc"), b"abc", long(), &abort()).expect("sent");
    region.recv();
    region.publish(message);
    let mut inbox = client.inbox();
    let error = client.receive(&mut inbox, long(), &abort()).expect_err("a violation");
    assert_eq!(client.receive(&mut inbox, long(), &abort()), Err(ReceiveError::Ended));
    assert_eq!(client.try_receive(&mut inbox), Err(ReceiveError::Ended));
    error
}

#[test]
fn every_bad_answer_in_a_region_ends_the_session() {
    let good = Header::response(&request(1, b"abc"), 3);
    let cases = [
        vec![9],
        packet(&good, b"ab"),
        packet(&good, b"abcd"),
        packet(&request(1, b"abc"), b"abc"),
        packet(&Header { kind: Kind::Control, ..good }, b"abc"),
        bye().encode().to_vec(),
        packet(&Header { flags: 4, ..good }, b"abc"),
        packet(&Header { item_count: 2, ..good }, b"abc"),
    ];
    for message in cases {
        let error = client_meets(&message);
        assert!(matches!(error, ReceiveError::Violation(_)), "{message:?}: {error}");
        assert_eq!(error.fault(), Fault::PeerBroke);
    }
    let above = client_meets(&packet(&Header { payload_len: LIMIT + 1, ..good }, b""));
    assert!(matches!(above, ReceiveError::AboveLimit { .. }), "{above}");
}

#[test]
fn every_bad_request_in_a_region_costs_only_its_own_session() {
    let good = request(1, b"abc");
    let cases = [
        vec![9],
        vec![0; HEADER_BYTES],
        vec![0xff; LIMIT as usize],
        packet(&good, b"ab"),
        packet(&good, b"abcd"),
        packet(&Header::response(&good, 3), b"abc"),
        packet(&Header { status: Status::BUSY, ..good }, b"abc"),
        packet(&Header { flags: 2, ..good }, b"abc"),
        packet(&Header { item_count: 0, ..good }, b"abc"),
    ];
    let echo = Echo::start(&SHARED.config(LIMIT));
    let healthy = echo.place.connect(&SHARED.proposal(LIMIT));
    for (id, message) in cases.iter().enumerate() {
        let client = RawRegion::session(&echo.place.endpoint, LIMIT);
        client.publish(message);
        let end = echo.next_end();
        assert!(matches!(end, ReceiveError::Violation(_)), "{message:?}: {end}");
        client.socket.must_close();
        assert!(!client.path.exists(), "its file went with it");
        echoed(&healthy, id as u64, b"still here");
    }
}

#[test]
fn a_request_above_the_limit_in_a_region_is_told_so_first() {
    // The areas have whole lines: 1032 bytes are agreed, and 1088 fit.
    const ROOM: usize = 1088 - HEADER_BYTES;
    let echo = Echo::start(&SHARED.config(LIMIT));
    let over = Header::request(3, 77, LIMIT + 1);
    let cases = [
        packet(&over, &[0; LIMIT as usize + 1]),
        packet(&Header { payload_len: ROOM as u32, ..over }, &[0; ROOM]),
        packet(&over, b""),
        packet(&Header { payload_len: u32::MAX, ..over }, b"abc"),
        packet(&Header { payload_len: 80, ..over }.batch_of(9), &[0; 80]),
    ];
    for message in cases {
        let client = RawRegion::session(&echo.place.endpoint, LIMIT);
        client.publish(&message);
        let answer = client.recv();
        assert_eq!(answer, packet(&Header::failure(&over, Status::LIMIT_EXCEEDED), b""));
        client.socket.must_close();
        drop(client);
        let end = echo.next_end();
        let ReceiveError::AboveLimit { header, .. } = end else { panic!("{end}") };
        assert_eq!((header.message_id, header.code), (77, 3));
    }
}

#[test]
fn numbers_that_contradict_what_was_sent_end_the_session() {
    let echo = Echo::start(&SHARED.config(LIMIT));
    let healthy = echo.place.connect(&SHARED.proposal(LIMIT));
    let broken = |seq: u64, len: u32| {
        let client = RawRegion::session(&echo.place.endpoint, LIMIT);
        client.publish(&packet(&request(1, b"abc"), b"abc"));
        client.recv();
        let file = OpenOptions::new().write(true).open(&client.path).expect("our own");
        file.write_all_at(&len.to_ne_bytes(), REQ_LEN_OFFSET).expect("written");
        file.write_all_at(&seq.to_ne_bytes(), REQ_SEQ_OFFSET).expect("written");
        let end = echo.next_end();
        client.socket.must_close();
        end
    };
    for (id, (seq, len)) in
        [(0, 35), (3, 35), (1 << 62, 35), (u64::MAX, 35), (2, 0), (2, 1089), (2, u32::MAX)]
            .into_iter()
            .enumerate()
    {
        let end = broken(seq, len);
        assert!(matches!(end, ReceiveError::BrokenRegion(_)), "{seq}, {len}: {end}");
        assert_eq!(end.fault(), Fault::PeerBroke);
        echoed(&healthy, id as u64, b"still here");
    }
    let end = broken(2, 33);
    assert!(matches!(end, ReceiveError::Violation(_)), "a message shorter than it says: {end}");
}

#[test]
fn who_looks_without_waiting_is_told_what_is_wrong_as_well() {
    let met = |publish: fn(&RawRegion)| {
        let place = Place::new();
        let mut listener = place.listen(&SHARED.config(LIMIT));
        let endpoint = place.endpoint.clone();
        let client = std::thread::spawn(move || RawRegion::session(&endpoint, LIMIT));
        let server = listener.accept(long(), &abort()).expect("a session");
        publish(&client.join().expect("no panic"));
        server.try_receive(&mut server.inbox()).map(drop).expect_err("refused")
    };
    // As much as fits into the area, which is more than was agreed.
    let above = met(|client| {
        let payload = [0; 1088 - HEADER_BYTES];
        client.publish(&packet(&request(1, &payload), &payload));
    });
    assert!(matches!(above, ReceiveError::AboveLimit { .. }), "{above}");
    let broken = met(|client| {
        let file = OpenOptions::new().write(true).open(&client.path).expect("our own");
        file.write_all_at(&u64::MAX.to_ne_bytes(), REQ_SEQ_OFFSET).expect("written");
    });
    assert!(matches!(broken, ReceiveError::BrokenRegion(_)), "{broken}");
}

#[test]
fn a_region_that_is_cut_off_ends_its_session_at_both_ends_and_no_other() {
    let echo = Echo::start(&SHARED.config(LIMIT));
    let healthy = echo.place.connect(&SHARED.proposal(LIMIT));
    let client = echo.place.connect(&SHARED.proposal(LIMIT));
    echoed(&client, 1, b"abc");
    let path = region_path(&echo.place.endpoint, client.id());
    OpenOptions::new().write(true).open(path).expect("our own").set_len(0).expect("cut off");
    let end = echo.next_end();
    assert!(matches!(end, ReceiveError::BrokenRegion(_)), "{end}");
    let sent = client.send(&Header::request(3, 2, 3), b"abc", long(), &abort());
    assert_eq!(sent.map_err(|error| error.fault()), Err(Fault::PeerBroke), "{sent:?}");
    let error = client.receive(&mut client.inbox(), long(), &abort()).expect_err("nothing is left");
    let expected = matches!(error, ReceiveError::BrokenRegion(_) | ReceiveError::Closed);
    assert!(expected, "{error}");
    drop(client);
    echoed(&healthy, 2, b"still here");
}

#[test]
fn whoever_leaves_is_noticed_by_who_waits() {
    within(DEATH_NOTICED, || {
        let (client, server) = SHARED.pair(LIMIT);
        let receive =
            move || server.receive(&mut server.inbox(), Deadline::never(), &abort()).err();
        let waiting = asleep_in(receive);
        let start = Instant::now();
        drop(client);
        assert_eq!(waiting.join().expect("no panic"), Some(ReceiveError::Closed));
        start.elapsed()
    });
    within(DEATH_NOTICED, || {
        let place = Place::new();
        let raw = RawServer::start(&place);
        let endpoint = place.endpoint.clone();
        let connect =
            move || Session::connect(&endpoint, &SHARED.proposal(LIMIT), long(), &abort());
        let client = asleep_in(connect);
        let region = raw.agree_region(&place);
        let client = client.join().expect("no panic").expect("a session");
        let receive =
            move || client.receive(&mut client.inbox(), Deadline::never(), &abort()).err();
        let waiting = asleep_in(receive);
        let start = Instant::now();
        // The socket alone tells of it: the region's words do not change.
        drop(region.socket);
        assert_eq!(waiting.join().expect("no panic"), Some(ReceiveError::Closed));
        start.elapsed()
    });
}

#[test]
fn a_last_answer_comes_before_the_close() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let endpoint = place.endpoint.clone();
    let client =
        asleep_in(move || Session::connect(&endpoint, &SHARED.proposal(LIMIT), long(), &abort()));
    let region = server.agree_region(&place);
    let client = client.join().expect("no panic").expect("a session");
    client.send(&request(1, b"abc"), b"abc", long(), &abort()).expect("sent");
    region.recv();
    let failure = Header::failure(&request(1, b"abc"), Status::INTERNAL_ERROR);
    region.publish(&failure.encode());
    drop(region);
    assert_eq!(client.peer_gone(), Ok(true));
    let mut inbox = client.inbox();
    let answer = client.receive(&mut inbox, long(), &abort()).map(|message| message.header);
    assert_eq!(answer, Ok(failure));
    assert_eq!(client.receive(&mut inbox, long(), &abort()), Err(ReceiveError::Closed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whole headers with a field or two changed, and whatever follows them.
    #[test]
    fn any_bytes_in_a_region_cost_at_most_their_own_session(
        messages in prop::collection::vec(
            (
                prop::collection::vec((0_usize..HEADER_BYTES, any::<u8>()), 0..3),
                prop::collection::vec(any::<u8>(), 0..LIMIT as usize),
                any::<bool>(),
            ),
            1..8,
        ),
    ) {
        let echo = Echo::start(&SHARED.config(LIMIT));
        let healthy = echo.place.connect(&SHARED.proposal(LIMIT));
        for (id, (changes, payload, has_header)) in messages.into_iter().enumerate() {
            let client = RawRegion::session(&echo.place.endpoint, LIMIT);
            let mut message = packet(&request(7, &payload), &payload);
            for (at, byte) in changes {
                message[at] = byte;
            }
            client.publish(if has_header { &message } else { &message[HEADER_BYTES - 1..] });
            // It is answered, or its session ends; nobody hangs on it.
            let stop = abort();
            let until = Until { deadline: long(), abort: Some(&stop), socket: Some(&client.socket.0) };
            let answered = client.channel.wait(until);
            prop_assert!(matches!(answered, Ok(()) | Err(RegionError::PeerGone)), "{answered:?}");
            drop(client);
            let end = echo.next_end();
            let expected = matches!(
                end,
                ReceiveError::Closed | ReceiveError::Violation(_) | ReceiveError::AboveLimit { .. }
            );
            prop_assert!(expected, "{end}");
            echoed(&healthy, id as u64, b"still here");
        }
    }
}
