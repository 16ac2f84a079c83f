//! Deadlines are real, aborts come through at once, and waiting costs nothing.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netipc::{
    AcceptError, CHUNK_GAP_TIMEOUT, ConnectError, Deadline, Drain, Drained, Met, Proposal,
    ReceiveError, SendError, Session,
};
use netipc_proto::chunk::{PacketSize, Split};

use crate::support::raw::{Raw, RawServer, hello, packet};
#[cfg(target_os = "linux")]
use crate::support::sleeps_of_this_thread;
use crate::support::{
    Echo, LATENESS, Place, SHORT, abort, asleep_in, bytes, config, echoed, ends_at_its_deadline,
    ends_on_abort, long, over_each, pair, pair_of, proposal, quiet, request, within,
};

const MEGABYTE: u32 = 1 << 20;
/// Long enough that a period of 50 or 100 ms would show.
const IDLE: Duration = Duration::from_millis(600);

/// A session whose peer reads nothing, and has no room for more.
fn clogged() -> (Session, Session) {
    let (client, server) = pair(MEGABYTE);
    let payload = bytes(50_000, 0);
    let mut id = 0;
    let now = || Deadline::after(Duration::ZERO);
    while client.send(&request(id, &payload), &payload, now(), &abort()).is_ok() {
        id += 1;
    }
    (client, server)
}

#[test]
fn connecting_ends_at_its_deadline() {
    let place = Place::new();
    let (_server, _fillers) = RawServer::full(&place);
    ends_at_its_deadline(|deadline| {
        let error = Session::connect(&place.endpoint, &proposal(100), deadline, &abort())
            .expect_err("no place");
        assert_eq!(error, ConnectError::Endpoint(netipc_sys::ConnectError::TimedOut));
        assert_eq!(error.met(), Some(Met::Unreachable));
    });
}

#[test]
fn a_server_that_does_not_answer_hello_is_left_at_the_deadline() {
    let place = Place::new();
    let server = RawServer::start(&place);
    ends_at_its_deadline(|deadline| {
        let error = Session::connect(&place.endpoint, &proposal(100), deadline, &abort())
            .expect_err("no answer");
        assert_eq!((error.met(), &error), (Some(Met::NoAnswer), &ConnectError::TimedOut));
        drop(server.accept());
    });
}

#[test]
fn sending_receiving_and_accepting_end_at_their_deadline() {
    let (client, server) = clogged();
    let payload = bytes(50_000, 0);
    ends_at_its_deadline(|deadline| {
        let sent = client.send(&request(1, &payload), &payload, deadline, &abort());
        assert_eq!(sent, Err(SendError::TimedOut));
    });
    drop(server);
    over_each(|transport| {
        let (client, server) = transport.pair(100);
        for session in [&client, &server] {
            let mut inbox = session.inbox();
            ends_at_its_deadline(|deadline| {
                let received = session.receive(&mut inbox, deadline, &abort());
                assert_eq!(received, Err(ReceiveError::TimedOut));
            });
        }
    });
    let place = Place::new();
    let mut listener = place.listen(&config(100));
    ends_at_its_deadline(|deadline| {
        let accepted = listener.accept(deadline, &abort()).expect_err("nobody comes");
        assert_eq!(accepted, AcceptError::TimedOut);
    });
}

#[test]
fn a_message_cut_short_ends_the_session_for_senders() {
    let (client, _server) = pair(MEGABYTE);
    let payload = bytes(MEGABYTE as usize, 0);
    ends_at_its_deadline(|deadline| {
        let ended = client.send(&request(1, &payload), &payload, deadline, &abort());
        // Later rounds of this find it ended.
        if ended == Err(SendError::Ended) {
            quiet(deadline.remaining().unwrap_or_default());
        } else {
            assert_eq!(ended, Err(SendError::TimedOut));
        }
    });
    assert_eq!(client.send(&request(2, b""), b"", long(), &abort()), Err(SendError::Ended));
}

#[test]
fn waiting_for_ones_turn_to_send_ends_at_the_deadline_and_on_abort() {
    let (client, _server) = clogged();
    let client = Arc::new(client);
    let stop = abort();
    let (sender, handle) = (Arc::clone(&client), stop.clone());
    let blocked = asleep_in(move || {
        let payload = bytes(50_000, 0);
        sender.send(&request(1, &payload), &payload, Deadline::never(), &handle)
    });
    ends_at_its_deadline(|deadline| {
        let sent = client.send(&request(2, b""), b"", deadline, &abort());
        assert_eq!(sent, Err(SendError::TimedOut));
    });
    ends_on_abort(
        || {
            let client = Arc::clone(&client);
            Box::new(move |stop| client.send(&request(3, b""), b"", Deadline::never(), stop))
        },
        |sent| assert_eq!(sent, Err(SendError::Aborted)),
    );
    stop.trigger();
    assert_eq!(blocked.join().expect("no panic"), Err(SendError::Aborted));
}

#[test]
fn an_abort_ends_connecting_shaking_hands_and_accepting() {
    let place = Place::new();
    let (server, fillers) = RawServer::full(&place);
    let connect = |endpoint: netipc::Endpoint| {
        Box::new(move |stop: &netipc::Abort| {
            Session::connect(&endpoint, &proposal(100), Deadline::never(), stop).err()
        })
    };
    ends_on_abort(
        || connect(place.endpoint.clone()),
        |error| assert!(error.is_some_and(|error| error.met().is_none())),
    );
    for _ in &fillers {
        drop(server.accept());
    }
    ends_on_abort(
        || connect(place.endpoint.clone()),
        |error| assert_eq!(error, Some(ConnectError::Aborted)),
    );
    let other = Place::new();
    ends_on_abort(
        || {
            let mut listener = other.listen(&config(100));
            Box::new(move |stop| listener.accept(Deadline::never(), stop).err())
        },
        |error| assert_eq!(error, Some(AcceptError::Aborted)),
    );
}

#[test]
fn an_abort_ends_sending_and_receiving_at_once() {
    ends_on_abort(
        || {
            let (client, server) = clogged();
            let payload = bytes(MEGABYTE as usize, 0);
            Box::new(move |stop| {
                let sent = client.send(&request(1, &payload), &payload, Deadline::never(), stop);
                drop(server);
                sent
            })
        },
        |sent| assert_eq!(sent, Err(SendError::Aborted)),
    );
    over_each(|transport| {
        ends_on_abort(
            || {
                let (client, server) = transport.pair(100);
                Box::new(move |stop| {
                    let mut inbox = client.inbox();
                    let received = client.receive(&mut inbox, Deadline::never(), stop).err();
                    drop(server);
                    received
                })
            },
            |received| assert_eq!(received, Some(ReceiveError::Aborted)),
        );
    });
}

/// The packets of a request of 10,000 bytes.
fn chunks(packet_size: u32) -> Vec<Vec<u8>> {
    let payload = bytes(10_000, 3);
    let size = PacketSize::new(packet_size).expect("a size");
    Split::new(request(3, &payload), size)
        .expect("short enough")
        .map(|part| [&part.head[..], &payload[part.payload]].concat())
        .collect()
}

#[test]
fn a_message_that_does_not_go_on_ends_the_session() {
    let place = Place::new();
    let mut listener = place.listen(&config(10_000));
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let endpoint = place.endpoint.clone();
        let raw = std::thread::spawn(move || Raw::session(&endpoint, &hello(10_000)));
        let session = listener.accept(long(), &abort()).expect("a session");
        sessions.push((raw.join().expect("no panic"), session));
    }
    let packets = chunks(4096);
    for (raw, _) in &sessions {
        raw.send(&packets[0]);
    }
    let [(_slow, waiting), (_slower, overdue), (late, looking)] = &sessions[..] else {
        panic!("three sessions")
    };
    let (mut looked, mut overlooked) = (looking.inbox(), overdue.inbox());
    assert_eq!(looking.try_receive(&mut looked), Ok(None));
    assert_eq!(overdue.try_receive(&mut overlooked), Ok(None));
    assert!(looked.partial_since().is_some());

    // A caller's own deadline and abort come first, and lose nothing.
    let mut waited = waiting.inbox();
    ends_at_its_deadline(|deadline| {
        let received = waiting.receive(&mut waited, deadline, &abort());
        assert_eq!(received, Err(ReceiveError::TimedOut));
    });
    let stop = abort();
    stop.trigger();
    let received = waiting.receive(&mut waited, Deadline::never(), &stop);
    assert_eq!(received, Err(ReceiveError::Aborted));
    let since = waited.partial_since().expect("a message has begun");
    let received = waiting.receive(&mut waited, Deadline::never(), &abort());
    assert_eq!(received, Err(ReceiveError::ChunkGap));
    let took = since.elapsed();
    // How late is the machine's affair, but not a second gap.
    assert!(took >= CHUNK_GAP_TIMEOUT && took < 2 * CHUNK_GAP_TIMEOUT, "{took:?}");
    assert_eq!(waiting.receive(&mut waited, long(), &abort()), Err(ReceiveError::Ended));

    // A readiness loop that looks is told as well; but what is there is never too late.
    assert_eq!(overdue.try_receive(&mut overlooked), Err(ReceiveError::ChunkGap));
    late.send(&packets[1]);
    assert_eq!(looking.try_receive(&mut looked), Ok(None));
    late.send(&packets[2]);
    let whole = looking.try_receive(&mut looked).expect("no error").expect("whole");
    assert!(whole.payload == bytes(10_000, 3));
}

#[test]
fn an_abort_ends_the_wait_for_the_rest_of_a_message() {
    let place = Place::new();
    let mut listener = place.listen(&config(10_000));
    ends_on_abort(
        || {
            let endpoint = place.endpoint.clone();
            let raw = std::thread::spawn(move || Raw::session(&endpoint, &hello(10_000)));
            let session = listener.accept(long(), &abort()).expect("a session");
            let raw = raw.join().expect("no panic");
            raw.send(&chunks(4096)[0]);
            let mut inbox = session.inbox();
            assert_eq!(session.try_receive(&mut inbox), Ok(None));
            Box::new(move |stop| {
                let received = session.receive(&mut inbox, Deadline::never(), stop).err();
                drop(raw);
                received
            })
        },
        |received| assert_eq!(received, Some(ReceiveError::Aborted)),
    );
}

#[test]
fn a_peer_that_sends_without_end_does_not_stretch_a_deadline() {
    let place = Place::new();
    let mut listener = place.listen(&config(u32::MAX - 32));
    let tiny = netipc_proto::hello::Hello { packet_size: 33, ..hello(u32::MAX - 32) };
    let endpoint = place.endpoint.clone();
    let raw = std::thread::spawn(move || Raw::session(&endpoint, &tiny));
    let session = listener.accept(long(), &abort()).expect("a session");
    let raw = raw.join().expect("no panic");
    // One byte a packet, 10 MB of them: sent for as long as anybody reads.
    let flood = std::thread::spawn(move || {
        let size = PacketSize::new(33).expect("a size");
        let parts = Split::new(netipc::Header::request(1, 1, 10_000_000), size).expect("short");
        for part in parts {
            let bytes = packet_of(&part.head);
            if raw.0.send(&[IoSlice::new(&bytes)], long(), &abort()).is_err() {
                return;
            }
        }
    });
    let mut inbox = session.inbox();
    ends_at_its_deadline(|deadline| {
        let received = session.receive(&mut inbox, deadline, &abort());
        assert_eq!(received, Err(ReceiveError::TimedOut));
    });
    drop(session);
    flood.join().expect("no panic");
}

#[test]
fn a_deadline_that_has_passed_begins_nothing_long_and_takes_packet_by_packet() {
    let small = Proposal { packet_size: 532, ..proposal(10_000) };
    let (client, server) = pair_of(&config(10_000), small);
    let payload = bytes(1500, 0);
    let passed = Deadline::after(Duration::ZERO);
    let sent = client.send(&request(1, &payload), &payload, passed, &abort());
    assert_eq!(sent, Err(SendError::TimedOut), "nothing of it was sent, so the session goes on");
    client.send(&request(1, &payload), &payload, long(), &abort()).expect("sent");
    let mut inbox = server.inbox();
    for _ in 0..2 {
        let received = server.receive(&mut inbox, passed, &abort());
        assert_eq!(received, Err(ReceiveError::TimedOut));
    }
    let message = server.receive(&mut inbox, passed, &abort()).expect("the last one");
    assert!(message.payload == payload);
}

#[test]
fn a_peer_that_reads_without_end_does_not_stretch_a_deadline() {
    const LEN: u32 = 10_000_000;
    let payload = bytes(LEN as usize, 0);
    ends_at_its_deadline(|_| {
        let tiny = Proposal { packet_size: 33, ..proposal(LEN) };
        let (client, server) = pair_of(&config(LEN), tiny);
        let reader = std::thread::spawn(move || {
            server.receive(&mut server.inbox(), Deadline::never(), &abort()).err()
        });
        let deadline = Deadline::after(SHORT);
        let sent = client.send(&request(1, &payload), &payload, deadline, &abort());
        assert_eq!(sent, Err(SendError::TimedOut));
        drop(client);
        assert_eq!(reader.join().expect("no panic"), Some(ReceiveError::BrokenOff));
    });
}

fn packet_of(head: &[u8; 32]) -> Vec<u8> {
    [&head[..], &[7]].concat()
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_session_and_an_idle_listener_wake_nobody() {
    let place = Place::new();
    let mut listener = place.listen(&config(100));
    let endpoint = place.endpoint.clone();
    let client = asleep_in(move || Session::connect(&endpoint, &proposal(100), long(), &abort()));
    let session = listener.accept(long(), &abort()).expect("a session");
    let client = client.join().expect("no panic").expect("a session");
    let sleeps = |step: Box<dyn FnOnce() + Send>| {
        asleep_in(move || {
            let before = sleeps_of_this_thread();
            step();
            sleeps_of_this_thread() - before
        })
    };
    let stop = abort();
    let (for_session, for_listener) = (stop.clone(), stop.clone());
    let reading = sleeps(Box::new(move || {
        let received = session.receive(&mut session.inbox(), Deadline::never(), &for_session).err();
        assert_eq!(received, Some(ReceiveError::Aborted));
    }));
    let accepting = sleeps(Box::new(move || {
        let accepted = listener.accept(Deadline::never(), &for_listener).err();
        assert_eq!(accepted, Some(AcceptError::Aborted));
    }));
    quiet(IDLE);
    stop.trigger();
    assert!(reading.join().expect("no panic") <= 2);
    assert!(accepting.join().expect("no panic") <= 2);
    drop(client);
}

#[test]
fn shutting_down_ends_those_who_wait_and_still_delivers() {
    over_each(|transport| {
        let (client, server) = transport.pair(100);
        let client = Arc::new(client);
        let sender = Arc::clone(&client);
        let waiting = asleep_in(move || {
            sender.receive(&mut sender.inbox(), Deadline::never(), &abort()).err()
        });
        client.send(&request(1, b"last"), b"last", long(), &abort()).expect("sent");
        let start = Instant::now();
        client.shutdown();
        assert_eq!(waiting.join().expect("no panic"), Some(ReceiveError::Closed));
        assert!(start.elapsed() < Duration::from_secs(1));
        let mut inbox = server.inbox();
        let message = server.receive(&mut inbox, long(), &abort()).expect("it was sent");
        assert_eq!(message.payload, b"last");
        assert_eq!(server.receive(&mut inbox, long(), &abort()), Err(ReceiveError::Closed));
        assert_eq!(server.peer_gone(), Ok(true));
        client.shutdown();
        assert_eq!(client.send(&request(2, b""), b"", long(), &abort()), Err(SendError::PeerGone));
        let received = client.receive(&mut client.inbox(), long(), &abort()).err();
        assert_eq!(received, Some(ReceiveError::Closed));
    });
}

#[test]
fn a_look_at_what_is_there_tells_that_the_peer_has_left_where_that_costs_nothing() {
    over_each(|transport| {
        for client_leaves in [true, false] {
            let (client, server) = transport.pair(100);
            // Something is in flight, so that nobody says goodbye.
            client.send(&request(1, b"x"), b"x", long(), &abort()).expect("sent");
            server.receive(&mut server.inbox(), long(), &abort()).expect("a request");
            let (leaves, stays) = if client_leaves { (client, server) } else { (server, client) };
            let mut inbox = stays.inbox();
            assert_eq!(stays.try_receive(&mut inbox), Ok(None));
            drop(leaves);
            netipc_sys::wait_readable(&stays, long(), &abort()).expect("readable");
            let in_memory = stays.profile().is_shared_memory();
            let told = if in_memory { Ok(None) } else { Err(ReceiveError::Closed) };
            assert_eq!(stays.try_receive(&mut inbox), told);
            assert_eq!(stays.peer_gone(), Ok(true), "which tells in any case");
            let waited = stays.receive(&mut inbox, long(), &abort());
            assert_eq!(waited, Err(ReceiveError::Closed));
        }
    });
}

/// By half a close, which pipes have not.
#[cfg(target_os = "linux")]
#[test]
fn after_a_final_answer_a_peer_may_take_its_time_and_no_more() {
    let (client, server) = pair(1000);
    let failure = netipc::Header::failure(&request(1, b""), netipc::Status::LIMIT_EXCEEDED);
    server.send(&failure, b"", long(), &abort()).expect("sent");
    let mut drain = Drain::begin(&server);
    assert_eq!(drain.advance(&server), Ok(None));
    for id in 0..80 {
        client.send(&request(id, b"more"), b"more", long(), &abort()).expect("sent");
    }
    assert_eq!(drain.advance(&server), Ok(None), "it looks at some packets and lets others do");
    let mut inbox = client.inbox();
    let answer = client.receive(&mut inbox, long(), &abort()).map(|message| message.header);
    assert_eq!(answer, Ok(failure));
    // The close is seen at once, although the server still drains.
    assert_eq!(client.receive(&mut inbox, long(), &abort()), Err(ReceiveError::Closed));
    drop(client);
    assert_eq!(drain.advance(&server), Ok(Some(Drained::PeerClosed)));

    // What is looked at in a readiness loop has the same end as what is waited for.
    let (client, server) = pair(MEGABYTE);
    let payload = bytes(50_000, 0);
    let now = || Deadline::after(Duration::ZERO);
    let mut drain = Drain::begin(&server);
    let drained = (0..).find_map(|id| {
        while client.send(&request(id, &payload), &payload, now(), &abort()).is_ok() {}
        drain.advance(&server).transpose()
    });
    assert_eq!(drained, Some(Ok(Drained::TooMuch)));

    let (client, server) = pair(MEGABYTE);
    let sender = std::thread::spawn(move || {
        let payload = bytes(MEGABYTE as usize, 0);
        (0..).find_map(|id| client.send(&request(id, &payload), &payload, long(), &abort()).err())
    });
    assert_eq!(server.drain(long(), &abort()), Ok(Drained::TooMuch));
    drop(server);
    assert_eq!(sender.join().expect("no panic"), Some(SendError::PeerGone));
}

#[test]
fn a_peer_that_dies_is_noticed_at_once() {
    let echo = Echo::start(&config(100));
    let healthy = echo.place.connect(&Proposal { packet_size: 4096, ..proposal(100) });
    within(2 * LATENESS, || {
        let raw = Raw::session(&echo.place.endpoint, &hello(100));
        let start = Instant::now();
        drop(raw);
        assert_eq!(echo.next_end(), ReceiveError::Closed);
        start.elapsed()
    });
    // In the midst of a message it is another thing.
    let raw = Raw::session(&echo.place.endpoint, &hello(100));
    raw.send(&packet(&request(1, b"abc"), b"abc"));
    raw.recv();
    drop(raw);
    assert_eq!(echo.next_end(), ReceiveError::Closed);
    let small = netipc_proto::hello::Hello { packet_size: 64, ..hello(100) };
    let raw = Raw::session(&echo.place.endpoint, &small);
    raw.send(&packet(&request(1, &[0; 100]), &[0; 32]));
    drop(raw);
    assert_eq!(echo.next_end(), ReceiveError::BrokenOff);
    echoed(&healthy, 1, b"still here");
}
