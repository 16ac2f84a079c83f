//! Every row of the state table: what a handshake meets, and what the client is then.

mod client_support;

use std::time::Duration;

use client_support::scripted::{Peer, Server};
use client_support::services::Increment;
use client_support::{LATENESS, Place, TestClock, offering, over_each, timed, within};
use netipc::Status;
use netipc::client::{CallClient, CallError, ClientConfig, ClientState, NextTry};

const SERVICE: &str = "increment";

fn client(place: &Place, clock: &TestClock) -> CallClient<Increment> {
    let config = offering(ClientConfig::default());
    CallClient::with_environment(place.endpoint(SERVICE), config, clock.boxed())
}

/// What a client is after one refresh against a server that does this with its first connection.
fn met(script: impl Fn(Peer) + Send + Sync + 'static) -> CallClient<Increment> {
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), move |_, peer| script(peer));
    let mut client = client(&place, &TestClock::default());
    assert_eq!(client.state(), ClientState::Disconnected);
    client.refresh();
    server.stop();
    client
}

fn increment(client: &mut CallClient<Increment>, value: u64) -> Result<u64, CallError> {
    client.call(|request| request.value(value).finish()).map(|response| response.value())
}

#[test]
fn no_endpoint_is_not_found_and_tried_at_once() {
    let place = Place::new();
    let mut client = client(&place, &TestClock::default());
    assert!(client.refresh());
    assert_eq!(client.state(), ClientState::NotFound);
    assert!(!client.refresh(), "nothing changed");
    let status = client.status();
    assert_eq!((status.next_try, status.retry_in), (NextTry::AtOnce, None));
    assert_eq!(status.counters.failed_connects, 2);
    assert!(status.reason.expect("a reason").contains("not running"));
    let _server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
        peer.accept();
        peer.hold();
    });
    assert!(client.refresh());
    assert!(client.ready());
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_died_leaves_a_socket_that_refuses() {
    let place = Place::new();
    let endpoint = place.endpoint(SERVICE);
    // Its name outlives a standard listener of another type, as a killed server's does.
    drop(std::os::unix::net::UnixListener::bind(endpoint.socket_path()).expect("bind"));
    let mut client = client(&place, &TestClock::default());
    client.refresh();
    assert_eq!(client.state(), ClientState::Disconnected);
    assert_eq!(client.status().next_try, NextTry::AtOnce);
    assert!(client.status().reason.is_some());
}

#[test]
fn a_close_without_an_answer_is_a_passing_refusal() {
    let client = met(|mut peer| {
        peer.hello();
    });
    assert_eq!(client.state(), ClientState::Disconnected);
    let status = client.status();
    assert_eq!(status.next_try, NextTry::AtOnce);
    assert!(status.reason.expect("a reason").contains("without an answer"));
}

#[test]
fn silence_ends_at_the_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    within(TIMEOUT + LATENESS, || {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| peer.hold());
        let call_timeout_ms = TIMEOUT.as_millis() as u64;
        let config = ClientConfig { call_timeout_ms, ..ClientConfig::default() };
        let mut client = CallClient::<Increment>::new(place.endpoint(SERVICE), config);
        let (_, took) = timed(|| client.refresh());
        assert!(took >= TIMEOUT, "{took:?}");
        assert_eq!(client.state(), ClientState::Disconnected);
        server.stop();
        took
    });
}

#[test]
fn refusals_by_status() {
    use ClientState::{AuthFailed, Disconnected, Incompatible};
    let rows = [
        (Status::BAD_ENVELOPE, Disconnected, NextTry::AtOnce, 0),
        (Status::INTERNAL_ERROR, Disconnected, NextTry::AtOnce, 0),
        (Status::BUSY, Disconnected, NextTry::Busy, 75),
        (Status::AUTH_FAILED, AuthFailed, NextTry::Rarely, 10_000),
        (Status::UNSUPPORTED, Incompatible, NextTry::Rarely, 10_000),
        (Status::INCOMPATIBLE, Incompatible, NextTry::Rarely, 10_000),
        (Status::LIMIT_EXCEEDED, Disconnected, NextTry::AtOnce, 0),
    ];
    for (refusal, state, next_try, retry_in_ms) in rows {
        let client = met(move |mut peer| {
            peer.hello();
            peer.refuse(refusal);
        });
        let status = client.status();
        assert_eq!((status.state, status.next_try), (state, next_try), "{refusal}");
        let retry_in = status.retry_in.unwrap_or_default();
        assert_eq!(retry_in, Duration::from_millis(retry_in_ms), "{refusal}");
        let reason = status.reason.expect("a reason");
        assert_eq!(reason.contains("busy"), refusal == Status::BUSY, "{reason}");
    }
}

#[test]
fn a_malformed_answer_is_a_passing_refusal() {
    let client = met(|mut peer| {
        peer.hello();
        peer.send_raw(&[7; 80]);
    });
    assert_eq!(client.state(), ClientState::Disconnected);
    assert!(client.status().reason.expect("a reason").contains("malformed"));
}

#[test]
fn busy_is_tried_again_when_its_time_has_come_and_backs_off() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |number, mut peer| match number {
            0..=6 => {
                peer.hello();
                peer.refuse(Status::BUSY);
            }
            _ => {
                let session = peer.accept();
                peer.serve(&session, |_, payload| payload.to_vec());
            }
        });
        let clock = TestClock::with_random(25);
        let mut client = client(&place, &clock);
        // 100 ms doubling to 5 s, the draw being in the midst of the jitter at first.
        let mut earlier = Duration::ZERO;
        for attempt in 1..=7 {
            client.refresh();
            assert_eq!(server.accepted(), attempt);
            let wait = client.status().retry_in.expect("a time to wait");
            assert!(wait > earlier, "{wait:?} after {earlier:?}");
            assert!(wait <= Duration::from_millis(6_250), "capped, with its jitter");
            let wait_ms = wait.as_millis() as u64;
            clock.advance_ms(wait_ms - 1);
            assert!(!client.refresh());
            assert_eq!(server.accepted(), attempt, "too early");
            clock.advance_ms(1);
            earlier = wait;
        }
        assert!(client.refresh());
        assert!(client.ready());
        assert_eq!(increment(&mut client, 3), Ok(3));
    });
}

#[test]
fn two_closes_before_the_first_answer_mean_busy() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept();
            // Full: it takes the request, and hangs up.
            peer.request(&session);
        });
        let clock = TestClock::default();
        let mut client = client(&place, &clock);
        client.refresh();
        assert!(client.ready());
        // The first close costs the one resend, the second says that the server is full.
        assert_eq!(increment(&mut client, 1), Err(CallError::PeerGone));
        let status = client.status();
        assert_eq!((status.state, status.next_try), (ClientState::Disconnected, NextTry::Busy));
        assert_eq!(status.retry_in, Some(Duration::from_millis(75)));
        assert_eq!(server.accepted(), 2);
        assert!(!client.refresh());
        assert_eq!(server.accepted(), 2, "it waits");
        assert!(matches!(increment(&mut client, 1), Err(CallError::NotReady { .. })));
        clock.advance_ms(75);
        client.refresh();
        assert_eq!(server.accepted(), 3);
    });
}

#[test]
fn a_lost_session_is_seen_by_one_refresh_and_replaced() {
    over_each(|| {
        let place = Place::new();
        let endpoint = place.endpoint(SERVICE);
        let serve = |_, mut peer: Peer| {
            let session = peer.accept();
            peer.serve(&session, |_, payload| payload.to_vec());
        };
        let server = Server::start(&endpoint, serve);
        let mut client = client(&place, &TestClock::default());
        client.refresh();
        assert_eq!(increment(&mut client, 1), Ok(1));
        assert!(!client.refresh(), "the session is still there");
        server.stop();
        assert!(client.ready(), "a cached flag");
        assert!(client.refresh());
        assert_eq!(client.state(), ClientState::NotFound);
        let server = Server::start(&endpoint, serve);
        assert!(client.refresh());
        assert_eq!(increment(&mut client, 2), Ok(2));
        server.stop();
        let server = Server::start(&endpoint, serve);
        assert!(client.refresh(), "another session");
        assert!(client.ready());
        assert_eq!(client.status().counters.connects, 3);
        server.stop();
    });
}

#[test]
fn a_call_that_is_not_ready_fails_at_once_without_io() {
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| peer.hold());
    let mut client = client(&place, &TestClock::default());
    let (result, took) = timed(|| increment(&mut client, 1));
    assert_eq!(result, Err(CallError::NotReady { state: ClientState::Disconnected }));
    assert!(took < Duration::from_millis(50), "{took:?}");
    assert_eq!(server.accepted(), 0);
    assert_eq!(client.status().counters.errors.not_ready, 1);
}

#[test]
fn close_ends_the_session_and_refresh_makes_another() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            peer.accept();
            peer.hold();
        });
        let mut client = client(&place, &TestClock::default());
        client.refresh();
        client.close();
        assert_eq!(client.state(), ClientState::Disconnected);
        assert!(matches!(increment(&mut client, 1), Err(CallError::NotReady { .. })));
        assert!(client.refresh());
        assert_eq!(server.accepted(), 2);
    });
}

#[test]
fn the_status_tells_what_a_supporter_needs() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept();
            peer.serve(&session, |_, payload| payload.to_vec());
        });
        let mut client = client(&place, &TestClock::default());
        client.refresh();
        increment(&mut client, 5).expect("an answer");
        let status = client.status();
        let session = status.session.expect("a session");
        assert_eq!(session.peer.pid, Some(std::process::id()));
        assert_eq!(session.terms.request.payload_bytes, 65_536);
        assert_eq!(session.terms.request.batch_items, 1024);
        assert_eq!(session.terms.response.payload_bytes, 65_536);
        assert!(session.profile_reason.contains("neither"), "{}", session.profile_reason);
        assert_eq!((status.counters.sent_bytes, status.counters.received_bytes), (40, 40));
        assert_eq!((status.counters.connects, status.counters.calls), (1, 1));
        assert_eq!(status.counters.errors.total(), 0);
        assert_eq!(status.reason, None);
        server.stop();
    });
}

#[test]
fn a_server_that_is_seen_to_be_full_costs_a_call_no_second_try() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept();
            peer.request(&session);
        });
        let clock = TestClock::default();
        let mut client = client(&place, &clock);
        client.refresh();
        // Two sessions close before their first answer: one call, sent again once, meets both.
        assert_eq!(increment(&mut client, 1), Err(CallError::PeerGone));
        assert_eq!(server.accepted(), 2);
        assert_eq!(client.status().next_try, NextTry::Busy);
        // The third in a row needs no fourth to be believed.
        clock.advance_ms(10_000);
        assert!(client.refresh());
        assert_eq!(increment(&mut client, 1), Err(CallError::Busy));
        assert_eq!(server.accepted(), 3);
        server.stop();
    });
}

#[test]
fn a_session_that_was_asked_nothing_tells_nothing_of_a_full_server() {
    let place = Place::new();
    let (closed, was_closed) = std::sync::mpsc::channel();
    let closed = std::sync::Mutex::new(closed);
    let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
        let _session = peer.accept();
        drop(peer);
        closed.lock().expect("no panic").send(()).expect("the test listens");
    });
    let mut client = client(&place, &TestClock::default());
    for session in 1..=4 {
        client.refresh();
        assert!(client.ready());
        assert_eq!(server.accepted(), session);
        was_closed.recv().expect("the close");
    }
    server.stop();
}

#[test]
fn an_abort_returns_a_refresh_that_waits_for_its_handshake() {
    within(LATENESS, || {
        let place = Place::new();
        let (connected, was_connected) = std::sync::mpsc::channel();
        let connected = std::sync::Mutex::new(connected);
        let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
            peer.hello();
            connected.lock().expect("no panic").send(()).expect("the test listens");
            peer.hold();
        });
        let config = ClientConfig::default();
        let mut client = CallClient::<Increment>::new(place.endpoint(SERVICE), config);
        let abort = client.abort_handle().expect("a handle");
        let aborter = std::thread::spawn(move || {
            was_connected.recv().expect("a HELLO");
            let aborted = std::time::Instant::now();
            abort.trigger();
            aborted
        });
        assert!(!client.refresh(), "nothing was learnt");
        let returned = std::time::Instant::now();
        assert_eq!(client.state(), ClientState::Disconnected);
        assert!(client.status().reason.expect("a reason").contains("aborted"));
        server.stop();
        returned - aborter.join().expect("no panic")
    });
}

#[test]
fn clients_move_between_threads_and_caches_are_read_from_many() {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    moves::<CallClient<Increment>>();
    moves::<netipc::client::Engine>();
    moves::<netipc::cache::Cache<client_support::services::CgroupsSnapshot>>();
    is_shared::<netipc::cache::Reader<client_support::services::CgroupsSnapshot>>();
}
