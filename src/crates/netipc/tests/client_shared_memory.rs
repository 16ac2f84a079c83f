//! A client and shared memory that it cannot have, loses, or that its server breaks.
#![cfg(target_os = "linux")]

mod client_support;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use client_support::scripted::{Grant, Peer, Server, region_path};
use client_support::services::Increment;
use client_support::{Place, TestClock, make_ready, timed, within};
use netipc::client::{CallClient, CallError, ClientConfig, ClientState, NextTry};
use netipc::{Fault, Header, Profile, Profiles, Status};
use netipc_proto::hello::Hello;

const SERVICE: &str = "shared";
const BOTH: Profiles = Profiles(0x03);
/// How soon the death of a server is to be noticed.
const DEATH_NOTICED: Duration = Duration::from_millis(100);
/// Where a region has the number of the last answer (spec section 7).
const RESP_SEQ_OFFSET: u64 = 40;

fn client(place: &Place, clock: &TestClock) -> CallClient<Increment> {
    let config = ClientConfig {
        supported_profiles: BOTH,
        preferred_profiles: Profiles::SHM_HYBRID,
        call_timeout_ms: 5_000,
        ..ClientConfig::default()
    };
    CallClient::with_environment(place.endpoint(SERVICE), config, clock.boxed())
}

fn increment(client: &mut CallClient<Increment>, value: u64) -> Result<u64, CallError> {
    client.call(|request| request.value(value).finish()).map(|response| response.value())
}

fn echo(_: &Header, payload: &[u8]) -> Vec<u8> {
    payload.to_vec()
}

/// A server that tells what each client offers. Its script is given the number of the connection, from 0 on, and
/// the HELLO that came on it.
fn telling_offers(
    place: &Place,
    script: impl Fn(usize, &Hello, Peer) + Send + Sync + 'static,
) -> (Server, mpsc::Receiver<Profiles>) {
    let (say, offers) = mpsc::channel();
    let say = Mutex::new(say);
    let server = Server::start(&place.endpoint(SERVICE), move |number, mut peer: Peer| {
        let hello = peer.hello();
        say.lock().expect("no panic").send(hello.supported).expect("the test listens");
        script(number, &hello, peer);
    });
    (server, offers)
}

#[test]
fn a_region_that_cannot_be_attached_costs_no_session_and_is_not_asked_for_again_soon() {
    let place = Place::new();
    let (server, offers) = telling_offers(&place, |_, hello, mut peer| {
        if hello.supported.contains(Profiles::SHM_HYBRID) {
            // It is nowhere, and the socket stays open.
            peer.promise_region(hello, 9);
            return peer.hold();
        }
        let session = peer.ack(hello, Default::default());
        peer.serve(&session, echo);
    });
    let clock = TestClock::default();
    let mut client = client(&place, &clock);
    assert!(client.refresh());
    assert_eq!(client.state(), ClientState::Ready, "one refresh is enough");
    assert_eq!(increment(&mut client, 7), Ok(7));
    let status = client.status();
    let session = status.session.expect("a session");
    assert_eq!(session.terms.profile, Profile::BASELINE);
    let reason = session.profile_reason;
    assert!(reason.contains("not offered for a while") && reason.contains("no region"), "{reason}");
    assert_eq!((status.counters.connects, status.counters.failed_connects), (1, 1));
    assert_eq!(offers.try_iter().collect::<Vec<_>>(), [BOTH, Profiles::BASELINE]);

    // It is remembered for this server, whatever becomes of its sessions…
    clock.advance_ms(9_999);
    client.close();
    assert!(client.refresh());
    assert_eq!(offers.try_iter().collect::<Vec<_>>(), [Profiles::BASELINE]);
    // …for a while, and for longer each time.
    clock.advance_ms(1);
    client.close();
    assert!(client.refresh());
    assert_eq!(offers.try_iter().collect::<Vec<_>>(), [BOTH, Profiles::BASELINE]);
    clock.advance_ms(19_999);
    client.close();
    assert!(client.refresh());
    assert_eq!(offers.try_iter().collect::<Vec<_>>(), [Profiles::BASELINE]);
    server.stop();
}

#[test]
fn a_region_that_vanished_with_its_socket_means_a_full_server_and_says_nothing_of_shared_memory() {
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), |number, mut peer: Peer| {
        let hello = peer.hello();
        assert_eq!(hello.supported, BOTH, "it is still offered");
        if number == 0 {
            // The socket is closed with it.
            return peer.promise_region(&hello, 9);
        }
        let session = peer.ack(&hello, Default::default());
        peer.serve(&session, echo);
    });
    let clock = TestClock::default();
    let mut client = client(&place, &clock);
    client.refresh();
    let status = client.status();
    assert_eq!((status.state, status.next_try), (ClientState::Disconnected, NextTry::Busy));
    assert_eq!(status.retry_in, Some(Duration::from_millis(75)));
    assert!(!client.refresh(), "it waits");
    clock.advance_ms(75);
    assert!(client.refresh());
    assert_eq!(increment(&mut client, 7), Ok(7));
    let session = client.status().session.expect("a session");
    assert_eq!(session.terms.profile, Profile::SHM_HYBRID);
    assert!(session.profile_reason.contains("neither"), "{}", session.profile_reason);
    server.stop();
}

#[test]
fn a_server_that_leaves_in_the_midst_of_a_call_is_noticed_and_replaced() {
    within(DEATH_NOTICED, || {
        let place = Place::new();
        let (say, left) = mpsc::channel();
        let say = Mutex::new(say);
        let server = Server::start(&place.endpoint(SERVICE), move |number, mut peer: Peer| {
            let session = peer.accept();
            if number == 0 {
                peer.request(&session).expect("a request");
                say.lock().expect("no panic").send(Instant::now()).expect("the test listens");
                return;
            }
            peer.serve(&session, echo);
        });
        let mut client = client(&place, &TestClock::default());
        client.refresh();
        assert_eq!(increment(&mut client, 7), Ok(7));
        let took = left.recv().expect("it left").elapsed();
        let counters = client.status().counters;
        assert_eq!((counters.resends, counters.connects), (1, 2));
        let session = client.status().session.expect("a session");
        assert_eq!(session.terms.profile, Profile::SHM_HYBRID);
        server.stop();
        took
    });
}

#[test]
fn a_refresh_sees_that_the_server_has_left() {
    let place = Place::new();
    let (say, left) = mpsc::channel();
    let say = Mutex::new(say);
    let server = Server::start(&place.endpoint(SERVICE), move |number, mut peer: Peer| {
        let session = peer.accept();
        if number > 0 {
            return peer.serve(&session, echo);
        }
        let (header, payload) = peer.request(&session).expect("a request");
        peer.answer(&session, &header, &payload);
        drop(peer);
        say.lock().expect("no panic").send(()).expect("the test listens");
    });
    let mut client = client(&place, &TestClock::default());
    client.refresh();
    assert_eq!(increment(&mut client, 1), Ok(1));
    left.recv().expect("it left");
    assert!(client.ready(), "a cached flag");
    assert!(client.refresh(), "another session");
    assert_eq!(increment(&mut client, 2), Ok(2));
    assert_eq!(client.status().counters.resends, 0);
    server.stop();
}

#[test]
fn a_server_that_breaks_the_region_is_a_violation_and_not_asked_again() {
    // Nothing was answered so far: 1 would be the next.
    for number in [2, 1 << 62, u64::MAX - 1, u64::MAX] {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer: Peer| {
            let session = peer.accept();
            peer.request(&session).expect("a request");
            let path = peer.region_path(1);
            let file = OpenOptions::new().write(true).open(path).expect("our own");
            file.write_all_at(&u64::to_ne_bytes(number), RESP_SEQ_OFFSET).expect("written");
            peer.hold();
        });
        let mut client = client(&place, &TestClock::default());
        client.refresh();
        let (result, took) = timed(|| increment(&mut client, 1));
        let error = result.expect_err("a violation");
        assert!(matches!(error, CallError::BrokenRegion(_)), "{error}");
        assert_eq!(error.fault(), Fault::PeerBroke);
        assert!(took < Duration::from_secs(1), "{took:?}");
        let status = client.status();
        assert_eq!((status.state, server.accepted()), (ClientState::Broken, 1));
        assert_eq!(status.counters.errors.violations, 1);
        assert!(status.reason.expect("a reason").contains("broke the shared region"));
        server.stop();
    }
}

#[test]
fn a_region_that_is_cut_off_between_calls_is_a_violation_of_the_next() {
    let place = Place::new();
    let server = Server::start(&place.endpoint(SERVICE), |_, mut peer: Peer| {
        let session = peer.accept();
        peer.serve(&session, echo);
    });
    let mut client = client(&place, &TestClock::default());
    make_ready(&mut client);
    assert_eq!(increment(&mut client, 1), Ok(1));
    // As its server could do it. Only the client looks at the region now: its request is what finds it so.
    let region = region_path(&place.endpoint(SERVICE), 1);
    OpenOptions::new().write(true).open(region).and_then(|file| file.set_len(0)).expect("cut off");
    let error = increment(&mut client, 1).expect_err("a violation");
    assert!(matches!(error, CallError::BrokenRegion(_)), "{error}");
    assert_eq!(error.fault(), Fault::PeerBroke);
    assert_eq!((client.state(), server.accepted()), (ClientState::Broken, 1), "not sent again");
    server.stop();
}

/// How sessions over shared memory come to nothing.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// The region is cut off once the request has come.
    Cut,
    /// The region is gone, and the socket closed, before the client looks for it.
    Vanish,
    /// The server takes the request, and closes.
    Leave,
    /// The same after an answer.
    CutLater,
}

/// A server whose sessions over shared memory are harmed while `harm` says how: given their number from 0 on.
/// It tells what each client offers, and serves where it harms nobody.
fn harmed(
    place: &Place,
    harm: impl Fn(usize) -> Option<Harm> + Send + Sync + 'static,
) -> (Server, mpsc::Receiver<Profiles>) {
    telling_offers(place, move |number, hello, mut peer| {
        let session_id = number as u64 + 1;
        let shared = hello.supported.contains(Profiles::SHM_HYBRID);
        let harm = harm(number).filter(|_| shared);
        if let Some(Harm::Vanish) = harm {
            return peer.promise_region(hello, session_id);
        }
        let session = peer.ack(hello, Grant { session_id, ..Grant::default() });
        if let Some(Harm::CutLater) = harm {
            let (header, payload) = peer.request(&session).expect("a request");
            peer.answer(&session, &header, &payload);
        }
        match harm {
            None => peer.serve(&session, echo),
            Some(Harm::Leave) => drop(peer.request(&session)),
            Some(_) => {
                peer.request(&session).expect("a request");
                let path = peer.region_path(session_id);
                let file = OpenOptions::new().write(true).open(path).expect("our own");
                file.set_len(0).expect("cut off");
                peer.hold();
            }
        }
    })
}

/// Refreshes and calls until a call is answered.
fn until_answered(client: &mut CallClient<Increment>, clock: &TestClock) {
    const MOST_CALLS: usize = 10;
    for _ in 0..MOST_CALLS {
        clock.advance_ms(1_000);
        client.refresh();
        if increment(client, 7) == Ok(7) {
            return;
        }
    }
    panic!("not answered: {:?}", client.status());
}

#[test]
fn whoever_breaks_every_region_at_once_keeps_nobody_from_being_served() {
    for harm in [Harm::Cut, Harm::Vanish, Harm::Leave] {
        let place = Place::new();
        let (server, offers) = harmed(&place, move |_| Some(harm));
        let clock = TestClock::default();
        let mut client = client(&place, &clock);
        for _ in 0..2 {
            until_answered(&mut client, &clock);
            let session = client.status().session.expect("a session");
            assert_eq!(session.terms.profile, Profile::BASELINE);
            let reason = session.profile_reason;
            assert!(reason.contains("ended before their first answer"), "{reason}");
            // The next one is offered shared memory again.
            client.close();
            let offered: Vec<_> = offers.try_iter().collect();
            assert_eq!(offered, [BOTH, BOTH, BOTH, Profiles::BASELINE], "{harm:?}");
        }
        server.stop();
    }
}

#[test]
fn regions_that_break_after_an_answer_are_replaced_by_others() {
    const ROUNDS: usize = 10;
    let place = Place::new();
    let (server, offers) = harmed(&place, |_| Some(Harm::CutLater));
    let clock = TestClock::default();
    let mut client = client(&place, &clock);
    for _ in 0..ROUNDS {
        until_answered(&mut client, &clock);
        assert!(increment(&mut client, 1).is_err(), "it is cut off");
    }
    assert!(offers.try_iter().all(|offered| offered == BOTH));
    server.stop();
}

#[test]
fn two_sessions_in_a_row_that_come_to_nothing_cost_nobody_shared_memory() {
    let place = Place::new();
    // Nor do they with one before them that broke after an answer.
    let pattern = [Harm::Vanish, Harm::Vanish, Harm::CutLater];
    let (server, offers) = harmed(&place, move |number| Some(pattern[number % pattern.len()]));
    let clock = TestClock::default();
    let mut client = client(&place, &clock);
    for _ in 0..3 {
        until_answered(&mut client, &clock);
        let session = client.status().session.expect("a session");
        assert_eq!(session.terms.profile, Profile::SHM_HYBRID);
        assert!(increment(&mut client, 1).is_err(), "it is cut off");
    }
    assert_eq!(offers.try_iter().collect::<Vec<_>>(), [BOTH; 9]);
    server.stop();
}

#[test]
fn one_session_over_the_socket_is_enough_asked_or_not() {
    let place = Place::new();
    let (server, offers) = harmed(&place, |_| Some(Harm::Vanish));
    let clock = TestClock::default();
    let mut client = client(&place, &clock);
    for _ in 0..5 {
        client.refresh();
        client.close();
        clock.advance_ms(1_000);
    }
    assert_eq!(offers.try_iter().collect::<Vec<_>>(), [BOTH, BOTH, BOTH, Profiles::BASELINE, BOTH]);
    server.stop();
}

#[test]
fn a_server_of_nothing_but_shared_memory_is_offered_it_again_at_once() {
    let place = Place::new();
    let (server, offers) = telling_offers(&place, |number, hello, mut peer| {
        if !hello.supported.contains(Profiles::SHM_HYBRID) {
            return peer.refuse(Status::UNSUPPORTED);
        }
        if number < 3 {
            return peer.promise_region(hello, 9);
        }
        let session = peer.ack(hello, Grant::default());
        peer.serve(&session, echo);
    });
    let clock = TestClock::default();
    let mut client = client(&place, &clock);
    for _ in 0..3 {
        assert_eq!(client.state(), ClientState::Disconnected);
        client.refresh();
        clock.advance_ms(1_000);
    }
    client.refresh();
    assert_eq!(increment(&mut client, 7), Ok(7));
    let offered: Vec<_> = offers.try_iter().collect();
    assert_eq!(offered, [BOTH, BOTH, BOTH, Profiles::BASELINE, BOTH]);
    server.stop();
}

#[test]
fn a_call_over_shared_memory_returns_by_its_timeout() {
    within(Duration::from_millis(60 + 50), || {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer: Peer| {
            peer.accept();
            peer.hold();
        });
        let config = ClientConfig {
            supported_profiles: BOTH,
            call_timeout_ms: 60,
            ..ClientConfig::default()
        };
        let mut client = CallClient::<Increment>::new(place.endpoint(SERVICE), config);
        make_ready(&mut client);
        let (result, took) = timed(|| increment(&mut client, 1));
        assert_eq!(result, Err(CallError::TimedOut));
        assert!(took >= Duration::from_millis(60), "{took:?}");
        assert_eq!(client.state(), ClientState::Broken);
        server.stop();
        took
    });
}
