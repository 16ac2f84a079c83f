//! Single calls and batches: what is sent again, what is final, and by when a call returns.

mod client_support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use client_support::scripted::{Grant, Peer, Server, Session};
use client_support::services::{Increment, StringReverse};
use client_support::{
    LATENESS, Place, TestClock, make_ready, offering, over_each, selected, timed, within,
};
use netipc::client::{CallClient, CallError, ClientConfig, ClientState, Items, Mismatch};
use netipc::{Abort, CHUNK_GAP_TIMEOUT, ConnectError, Header, Status};
use netipc_proto::batch::{Batch, BatchBuilder};
use netipc_proto::header::HEADER_LEN;

const SERVICE: &str = "calls";
/// A timeout that is run into. A handshake and a half are made in it, which take Wine on a busy machine a while.
const SHORT: Duration = Duration::from_millis(if cfg!(windows) { 1_500 } else { 300 });

fn config(call_timeout_ms: u64) -> ClientConfig {
    offering(ClientConfig { call_timeout_ms, ..ClientConfig::default() })
}

/// A ready client of a scripted server.
fn ready(place: &Place, config: ClientConfig) -> CallClient<Increment> {
    let clock = TestClock::default();
    let mut client = CallClient::with_environment(place.endpoint(SERVICE), config, clock.boxed());
    make_ready(&mut client);
    assert_eq!(client.status().session.map(|session| session.terms.profile), selected());
    client
}

fn increment(client: &mut CallClient<Increment>, value: u64) -> Result<u64, CallError> {
    client.call(|request| request.value(value).finish()).map(|response| response.value())
}

fn successor(_: &Header, payload: &[u8]) -> Vec<u8> {
    let value = u64::from_ne_bytes(payload.try_into().expect("8 bytes"));
    (value + 1).to_ne_bytes().to_vec()
}

/// The one call of a client whose server does this with its first request.
fn answered_by(
    script: impl Fn(&mut Peer, &Session, Header) + Send + Sync + 'static,
) -> (Result<u64, CallError>, CallClient<Increment>, usize) {
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
        let session = peer.accept();
        if let Some((header, _)) = peer.request(&session) {
            script(&mut peer, &session, header);
            peer.hold();
        }
    });
    let mut client = ready(&place, config(2_000));
    let result = increment(&mut client, 1);
    let accepted = server.accepted();
    server.stop();
    (result, client, accepted)
}

#[test]
fn calls_and_batches_are_answered() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept();
            let mut expected_id = 0;
            while let Some((header, payload)) = peer.request(&session) {
                expected_id += 1;
                assert_eq!(header.message_id, expected_id, "ids count from 1");
                if !header.is_batch() {
                    let answer = successor(&header, &payload);
                    peer.answer(&session, &header, &answer);
                    continue;
                }
                let batch = Batch::decode(&payload, header.item_count).expect("a batch");
                let mut answer = Vec::new();
                let mut builder =
                    BatchBuilder::new(&mut answer, header.item_count, u32::MAX).expect("room");
                for item in batch.iter() {
                    builder.push(&successor(&header, item)).expect("room");
                }
                builder.finish().expect("all items");
                peer.answer(&session, &header, &answer);
            }
        });
        let mut client = ready(&place, config(2_000));
        assert_eq!(increment(&mut client, 41), Ok(42));
        for count in [1, 2, 1024] {
            let answers = client
                .batch(count, |index, request| request.value(index as u64).finish())
                .expect("answers");
            assert_eq!(answers.len(), count);
            let values: Vec<u64> = answers.iter().map(|answer| answer.value()).collect();
            assert_eq!(values, (1..=count as u64).collect::<Vec<_>>());
            assert_eq!(answers.get(count - 1).map(|answer| answer.value()), Some(count as u64));
            assert!(answers.get(count).is_none());
        }
        let above = client.batch(1025, |_, request| request.finish()).map(|_| ());
        assert_eq!(above, Err(CallError::TooManyItems { given: 1025, agreed: 1024 }));
        assert!(matches!(client.batch(0, |_, request| request.finish()), Err(CallError::Batch(_))));
        assert!(client.ready(), "the caller's mistakes cost no session");
        assert_eq!(client.status().counters.errors.caller, 2);
        server.stop();
    });
}

#[test]
fn a_request_is_sent_again_once_per_call() {
    over_each(|| {
        let place = Place::new();
        // Every session answers once and then hangs up on the next request.
        let requests = Arc::new(AtomicUsize::new(0));
        let server = Server::start(&place.endpoint(SERVICE), {
            let requests = Arc::clone(&requests);
            move |_, mut peer| {
                let session = peer.accept();
                for answers in [true, false] {
                    let Some((header, payload)) = peer.request(&session) else { return };
                    requests.fetch_add(1, Ordering::SeqCst);
                    if answers {
                        let answer = successor(&header, &payload);
                        peer.answer(&session, &header, &answer);
                    }
                }
            }
        });
        let mut client = ready(&place, config(2_000));
        for value in 0..5 {
            assert_eq!(increment(&mut client, value), Ok(value + 1));
        }
        let counters = client.status().counters;
        assert_eq!((counters.resends, counters.reconnects, counters.connects), (4, 4, 5));
        assert_eq!((server.accepted(), requests.load(Ordering::SeqCst)), (5, 9));
        server.stop();
    });
}

#[test]
fn a_request_that_is_lost_twice_is_lost() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |number, mut peer| {
            let session = peer.accept();
            if number == 0 {
                let (header, payload) = peer.request(&session).expect("a request");
                let answer = successor(&header, &payload);
                peer.answer(&session, &header, &answer);
            }
            peer.request(&session);
        });
        let mut client = ready(&place, config(2_000));
        assert_eq!(increment(&mut client, 1), Ok(2));
        assert_eq!(increment(&mut client, 1), Err(CallError::PeerGone));
        assert_eq!(server.accepted(), 2, "sent again once");
        assert_eq!(client.state(), ClientState::Broken);
        server.stop();
    });
}

#[test]
fn a_session_that_cannot_be_replaced_says_why() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |number, mut peer| {
            if number == 0 {
                let session = peer.accept();
                peer.request(&session);
            } else {
                peer.hello();
                peer.refuse(Status::AUTH_FAILED);
            }
        });
        let mut client = ready(&place, config(2_000));
        assert!(matches!(increment(&mut client, 1), Err(CallError::Reconnect(_))));
        assert_eq!(client.state(), ClientState::AuthFailed);
        server.stop();
    });
}

#[test]
fn a_half_sent_answer_is_a_lost_session() {
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), |number, mut peer| {
        let session = peer.accept_with(Grant { packet_bytes: 36, ..Grant::default() });
        let Some((header, payload)) = peer.request(&session) else { return };
        let answer = successor(&header, &payload);
        if number > 0 {
            peer.answer(&session, &header, &answer);
            return peer.hold();
        }
        let head = Header::response(&header, 8).encode();
        peer.send_raw(&[&head[..], &answer[..4]].concat());
    });
    let mut client = ready(&place, config(2_000));
    assert_eq!(increment(&mut client, 8), Ok(9));
    assert_eq!(client.status().counters.resends, 1);
    server.stop();
}

#[test]
fn an_answer_that_stops_in_its_midst_is_broken_off_after_the_gap() {
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
        let session = peer.accept_with(Grant { packet_bytes: 36, ..Grant::default() });
        let (header, payload) = peer.request(&session).expect("a request");
        let head = Header::response(&header, 8).encode();
        peer.send_raw(&[&head[..], &payload[..4]].concat());
        // It lives on, and says no more.
        peer.hold();
    });
    let mut client = ready(&place, config(60_000));
    let (result, took) = timed(|| increment(&mut client, 8));
    assert_eq!(result, Err(CallError::BrokenOff));
    assert!(took >= CHUNK_GAP_TIMEOUT, "{took:?}");
    assert_eq!((client.state(), server.accepted()), (ClientState::Broken, 1), "not sent again");
    server.stop();
}

#[test]
fn a_malformed_answer_is_final_and_ends_the_session() {
    over_each(|| {
        let (result, client, accepted) =
            answered_by(|peer, session, header| peer.answer(session, &header, &[1, 2, 3]));
        assert!(matches!(result, Err(CallError::Malformed(_))), "{result:?}");
        assert_eq!((client.state(), accepted), (ClientState::Broken, 1));
        let status = client.status();
        assert_eq!(status.counters.errors.violations, 1);
        assert!(status.reason.expect("a reason").contains("malformed"));
    });
}

#[test]
fn answers_to_something_else_are_violations() {
    over_each(|| {
        type Script = fn(&mut Peer, &Session, Header);
        let rows: [(&str, Script); 5] = [
            ("another id", |peer, session, header| {
                peer.answer(session, &Header { message_id: 77, ..header }, &[0; 8]);
            }),
            ("another method", |peer, session, header| {
                peer.answer(session, &Header { code: 3, ..header }, &[0; 8]);
            }),
            ("a batch", |peer, session, header| {
                peer.answer(session, &header.batch_of(1), &[0; 16]);
            }),
            ("a request", |peer, session, header| peer.send(session, header, &[0; 8])),
            ("garbage", |peer, _, _| peer.send_raw(&[9; 100])),
        ];
        for (name, script) in rows {
            let (result, client, accepted) = answered_by(script);
            let error = result.expect_err(name);
            assert!(matches!(error, CallError::Mismatch(_) | CallError::Malformed(_)), "{error:?}");
            assert_eq!((client.state(), accepted), (ClientState::Broken, 1), "{name}");
        }
    });
}

#[test]
fn a_mismatch_says_what_does_not_match() {
    over_each(|| {
        let (result, ..) = answered_by(|peer, session, header| {
            peer.answer(session, &header.batch_of(1), &[0; 16]);
        });
        let mismatch = Mismatch::Items { asked: Items::One, answered: Items::Batch(1) };
        assert_eq!(result, Err(CallError::Mismatch(mismatch)));
    });
}

#[test]
fn failures_end_the_session_unless_unsupported() {
    over_each(|| {
        for status in [Status::BAD_ENVELOPE, Status::INTERNAL_ERROR, Status::BUSY, Status(0x0777)] {
            let (result, client, accepted) =
                answered_by(move |peer, _, header| peer.fail(&header, status));
            assert_eq!(result, Err(CallError::Status(status)));
            assert_eq!((client.state(), accepted), (ClientState::Broken, 1), "{status}");
        }
        let (result, client, _) =
            answered_by(|peer, _, header| peer.fail(&header, Status::UNSUPPORTED));
        assert_eq!(result, Err(CallError::Status(Status::UNSUPPORTED)));
        assert!(client.ready(), "the session goes on");
    });
}

#[test]
fn failures_that_leave_batch_and_items_in_place_are_failures() {
    over_each(|| {
        let (result, ..) = answered_by(|peer, _, header| {
            let failed = Header { status: Status::INTERNAL_ERROR, ..Header::response(&header, 0) };
            peer.send_raw(&failed.batch_of(7).encode());
        });
        assert_eq!(result, Err(CallError::Status(Status::INTERNAL_ERROR)));
    });
}

#[test]
fn a_call_returns_by_its_timeout() {
    over_each(|| {
        within(SHORT + LATENESS, || {
            let place = Place::new();
            let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
                peer.accept();
                peer.hold();
            });
            let mut client = ready(&place, config(SHORT.as_millis() as u64));
            let accepted = server.accepted();
            let (result, took) = timed(|| increment(&mut client, 1));
            assert_eq!(result, Err(CallError::TimedOut));
            assert!(took >= SHORT, "{took:?}");
            assert_eq!(client.state(), ClientState::Broken);
            assert_eq!(server.accepted(), accepted, "not sent again");
            server.stop();

            took
        });
    });
}

#[test]
fn the_timeout_is_that_of_the_whole_call_its_reconnects_included() {
    over_each(|| {
        within(SHORT + LATENESS, || {
            let place = Place::new();
            let asked = AtomicBool::new(false);
            let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
                if asked.load(Ordering::SeqCst) {
                    // Accepts, and never answers HELLO.
                    return peer.hold();
                }
                let session = peer.accept();
                asked.store(peer.request(&session).is_some(), Ordering::SeqCst);
            });
            let mut client = ready(&place, config(SHORT.as_millis() as u64));
            let (result, took) = timed(|| increment(&mut client, 1));
            assert_eq!(result, Err(CallError::TimedOut));
            server.stop();

            took
        });
    });
}

#[test]
fn a_peer_that_does_not_read_times_a_call_out() {
    within(SHORT + LATENESS, || {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            peer.accept_with(Grant { packet_bytes: 2_000, ..Grant::default() });
            peer.wait_for_stop();
        });
        let mut client = CallClient::<StringReverse>::new(
            place.endpoint(SERVICE),
            config(SHORT.as_millis() as u64),
        );
        make_ready(&mut client);
        // More than any socket buffer holds.
        let big = vec![b'x'; 1_000_000];
        let (result, took) =
            timed(|| client.call(|request| request.bytes(&big).finish()).map(|_| ()));
        assert_eq!(result, Err(CallError::TimedOut));
        assert!(took >= SHORT, "{took:?}");
        assert_eq!(client.state(), ClientState::Broken);
        server.stop();
        took
    });
}

#[test]
fn an_abort_returns_a_call_and_refuses_later_ones_until_cleared() {
    over_each(|| {
        within(LATENESS, || {
            let place = Place::new();
            let (asked, was_asked) = mpsc::channel();
            let asked = std::sync::Mutex::new(asked);
            let server = Server::start(&place.endpoint(SERVICE), move |number, mut peer| {
                let session = peer.accept();
                if number > 0 {
                    return peer.serve(&session, successor);
                }
                peer.request(&session);
                asked.lock().expect("no panic").send(()).expect("the test listens");
                peer.hold();
            });
            let mut client = ready(&place, config(10_000));
            let abort = client.abort_handle().expect("a handle");
            let aborter = thread::spawn({
                let abort = abort.clone();
                move || {
                    was_asked.recv().expect("a request");
                    let at = Instant::now();
                    abort.trigger();
                    at
                }
            });
            let result = increment(&mut client, 1);
            let returned = Instant::now();
            let aborted = aborter.join().expect("no panic");
            assert_eq!(result, Err(CallError::Aborted));
            assert_eq!(client.state(), ClientState::Broken);
            // Sticky: neither connects nor calls until it is cleared.
            client.refresh();
            assert!(!client.ready());
            assert_eq!(client.state(), ClientState::Broken);
            abort.clear();
            assert!(client.refresh());
            abort.trigger();
            assert_eq!(increment(&mut client, 1), Err(CallError::Aborted));
            assert!(client.ready(), "nothing was on its way");
            abort.clear();
            assert_eq!(increment(&mut client, 1), Ok(2));
            server.stop();

            returned.duration_since(aborted)
        });
    });
}

/// The abort handle of a test's client, for its server's script to trigger.
type SharedAbort = Arc<OnceLock<Abort>>;

fn trigger(shared: &SharedAbort) {
    shared.get().expect("set before the call").trigger();
}

#[test]
fn an_abort_ends_a_call_that_is_still_sending() {
    let place = Place::new();
    let abort = SharedAbort::default();
    let server = Server::start(&place.endpoint(SERVICE), {
        let abort = Arc::clone(&abort);
        move |_, mut peer| {
            peer.accept_with(Grant { packet_bytes: 2_000, ..Grant::default() });
            // The first of many, for which there is no room as long as nobody reads.
            if peer.packet().is_some() {
                trigger(&abort);
            }
            peer.wait_for_stop();
        }
    });
    let mut client = CallClient::<StringReverse>::new(place.endpoint(SERVICE), config(60_000));
    make_ready(&mut client);
    abort.set(client.abort_handle().expect("a handle")).expect("set once");
    let big = vec![b'x'; 1_000_000];
    let result = client.call(|request| request.bytes(&big).finish()).map(|_| ());
    assert_eq!(result, Err(CallError::Aborted));
    assert_eq!(client.state(), ClientState::Broken);
    server.stop();
}

#[test]
fn an_abort_ends_a_call_that_connects_again() {
    over_each(|| {
        let place = Place::new();
        let abort = SharedAbort::default();
        let server = Server::start(&place.endpoint(SERVICE), {
            let abort = Arc::clone(&abort);
            move |number, mut peer| {
                if number == 0 {
                    let session = peer.accept();
                    peer.request(&session);
                    return;
                }
                peer.hello();
                trigger(&abort);
                peer.hold();
            }
        });
        let mut client = ready(&place, config(60_000));
        abort.set(client.abort_handle().expect("a handle")).expect("set once");
        assert_eq!(increment(&mut client, 1), Err(CallError::Aborted));
        assert_eq!((client.state(), server.accepted()), (ClientState::Broken, 2));
        server.stop();
    });
}

#[test]
fn a_call_waits_for_another_session_no_longer_than_a_refresh_does() {
    /// Of a handshake, whatever time the call has left.
    const CONNECTING: Duration = Duration::from_secs(5);
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), |number, mut peer| {
        if number == 0 {
            let session = peer.accept();
            peer.request(&session);
            return;
        }
        // Accepts, and never answers HELLO.
        peer.hold();
    });
    let mut client = ready(&place, config(60_000));
    let (result, took) = timed(|| increment(&mut client, 1));
    assert_eq!(result, Err(CallError::Reconnect(ConnectError::TimedOut)));
    assert!(took >= CONNECTING, "{took:?}");
    server.stop();
}

#[test]
fn an_answer_that_is_queued_before_the_close_is_read() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept();
            let (header, _) = peer.request(&session).expect("a request");
            // The last thing it does: the client's next look finds both.
            peer.fail(&header, Status::INTERNAL_ERROR);
        });
        let mut client = ready(&place, config(2_000));
        assert_eq!(increment(&mut client, 1), Err(CallError::Status(Status::INTERNAL_ERROR)));
        assert_eq!(server.accepted(), 1);
        server.stop();
    });
}

#[test]
fn answers_come_whole_whatever_the_packets() {
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
        let grant = Grant { packet_bytes: 33 + HEADER_LEN as u32, ..Grant::responses_of(1 << 20) };
        let session = peer.accept_with(grant);
        peer.serve(&session, |_, payload| payload.to_vec());
    });
    // 2,500 packets each way take a busy machine a while.
    let mut client = CallClient::<StringReverse>::new(place.endpoint(SERVICE), config(60_000));
    client.refresh();
    for len in [0, 1, 23, 24, 25, 1_000, 60_000] {
        let text: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let answer = client.call(|request| request.bytes(&text).finish()).expect("an echo");
        assert_eq!(answer.bytes(), text);
    }
    server.stop();
}
