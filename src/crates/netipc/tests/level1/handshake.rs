//! Who gets a session, who does not, and that nobody waits for anybody.

use std::time::{Duration, Instant};

use netipc::{
    AcceptError, AccessPolicy, ConnectError, Deadline, Fault, HandshakeCounts, Limits, ListenError,
    ListenerConfig, Met, Profile, Profiles, Proposal, Session, Status,
};
use netipc_proto::hello::{Hello, HelloAck};
use netipc_proto::negotiate::Refusal;

use crate::support::raw::{Raw, hello, packet, shared_memory_hello, status};
use crate::support::{
    Echo, LATENESS, Place, TOKEN, abort, asleep_in, config, echoed, long, over_each, pair,
    proposal, within,
};

/// What a server or client shows that was refused with this status.
fn refused(endpoint: &netipc::Endpoint, proposal: &Proposal) -> (Status, Option<Met>, Fault) {
    let error = Session::connect(endpoint, proposal, long(), &abort()).expect_err("refused");
    let ConnectError::Refused(Refusal::Rejected(status)) = error else { panic!("{error}") };
    (status, error.met(), error.fault())
}

#[test]
fn both_sides_agree_on_what_the_contract_says() {
    let place = Place::new();
    let mut listener = place.listen(&config(70_000));
    let endpoint = place.endpoint.clone();
    let limits = Limits { payload_bytes: 5000, batch_items: 77 };
    let wanted = Proposal {
        supported_profiles: Profiles(0xFFFF_FFFF),
        request: limits,
        response_hint: Limits { payload_bytes: 9, batch_items: 5 },
        ..proposal(0)
    };
    let client = std::thread::spawn(move || Session::connect(&endpoint, &wanted, long(), &abort()));
    let server = listener.accept(long(), &abort()).expect("a session");
    let client = client.join().expect("no panic").expect("a session");
    assert_eq!(client.terms(), server.terms());
    let terms = client.terms();
    assert_eq!(terms.profile, Profile::BASELINE);
    assert_eq!(terms.request, limits);
    assert_eq!(terms.response, Limits { payload_bytes: 70_000, batch_items: 77 });
    assert_eq!((client.id(), server.id()), (1, 1));
    assert_eq!(client.server_supported(), Profiles::BASELINE);
    for session in [&client, &server] {
        assert_eq!(session.peer().pid, Some(std::process::id()));
        assert_eq!(session.peer().uid, netipc_sys::own_uid());
        assert_eq!(session.peer_gone(), Ok(false));
        assert_eq!(session.in_flight_limit(), usize::MAX);
    }
}

#[test]
fn zero_means_the_default() {
    let place = Place::new();
    let mut listener = place.listen(&ListenerConfig::default());
    let endpoint = place.endpoint.clone();
    let client = std::thread::spawn(move || {
        Session::connect(&endpoint, &Proposal::default(), long(), &abort())
    });
    let server = listener.accept(long(), &abort()).expect("a session");
    let limits = Limits { payload_bytes: 1024, batch_items: 1 };
    assert_eq!((server.terms().request, server.terms().response), (limits, limits));
    client.join().expect("no panic").expect("a session");
}

#[test]
fn sessions_count_from_one_and_refusals_do_not_count() {
    let echo = Echo::start(&config(100));
    for id in 1..4 {
        let session = echo.place.connect(&proposal(100));
        assert_eq!(session.id(), id);
        echoed(&session, id, b"it is counted before it is served");
        let (status, ..) = refused(&echo.place.endpoint, &proposal(101));
        assert_eq!(status, Status::LIMIT_EXCEEDED);
    }
    let counts = echo.counts();
    assert_eq!((counts.connections, counts.sessions, counts.limit_exceeded), (6, 3, 3));
}

#[test]
fn a_wrong_token_and_no_token_are_refused_and_counted() {
    let echo = Echo::start(&config(100));
    for auth_token in [0, TOKEN + 1] {
        let wrong = Proposal { auth_token, ..proposal(100) };
        let said = refused(&echo.place.endpoint, &wrong);
        let status = Status::AUTH_FAILED;
        assert_eq!(said, (status, Some(Met::Rejected(status)), Fault::Caller));
    }
    assert_eq!(echo.counts().auth_failed, 2);
    echoed(&echo.place.connect(&proposal(100)), 1, b"the right one");
}

#[test]
fn a_user_that_is_not_admitted_is_refused_whatever_the_token() {
    let own = netipc_sys::own_uid();
    let of = |uids| ListenerConfig {
        access: AccessPolicy { uids, ..AccessPolicy::default() },
        ..config(100)
    };
    for uids in [Some(vec![]), Some(vec![own + 1, own + 2])] {
        let echo = Echo::start(&of(uids));
        let (status, ..) = refused(&echo.place.endpoint, &proposal(100));
        assert_eq!((status, echo.counts().auth_failed), (Status::AUTH_FAILED, 1));
    }
    let echo = Echo::start(&of(Some(vec![own + 1, own])));
    echoed(&echo.place.connect(&proposal(100)), 1, b"admitted");
}

#[cfg(target_os = "linux")]
#[test]
fn the_endpoint_has_its_mode_whatever_the_umask() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let mode = |config: &ListenerConfig| {
        let place = Place::new();
        let _listener = place.listen(config);
        std::fs::metadata(place.socket()).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!(mode(&config(100)), 0o600);
    // Any usual umask takes some of these bits.
    for wanted in [0o666, 0o660, 0o777] {
        let access = AccessPolicy { mode: wanted, ..AccessPolicy::default() };
        assert_eq!(mode(&ListenerConfig { access, ..config(100) }), wanted);
    }
    let place = Place::new();
    let own = std::fs::metadata("/proc/self").expect("proc").gid();
    // Only root can give it to a group that it is not in, where a group left alone would show.
    let gid = if netipc_sys::own_uid() == 0 { own + 1 } else { own };
    let access = AccessPolicy { group: Some(gid), ..AccessPolicy::default() };
    let _listener = place.listen(&ListenerConfig { access, ..config(100) });
    assert_eq!(std::fs::metadata(place.socket()).expect("it is there").gid(), gid);
}

// Wine lets anybody have a name (docs/platform/windows.md).
#[cfg(target_os = "linux")]
#[test]
fn an_endpoint_that_is_taken_says_so() {
    let place = Place::new();
    let listener = place.listen(&config(100));
    let error = netipc::Listener::bind(&place.endpoint, &config(100)).expect_err("taken");
    assert!(matches!(error, ListenError::Bind(netipc_sys::BindError::InUse { .. })), "{error}");
    assert_eq!(error.fault(), Fault::Caller);
    drop(listener);
    drop(place.listen(&config(100)));
    let error = Session::connect(&place.endpoint, &proposal(100), long(), &abort());
    assert_eq!(error.expect_err("nobody").met(), Some(Met::NoEndpoint));
}

#[test]
fn a_full_server_says_busy_and_takes_the_next_one_again() {
    let place = Place::new();
    let mut listener = place.listen(&config(100));
    let connect = || {
        let endpoint = place.endpoint.clone();
        asleep_in(move || Session::connect(&endpoint, &proposal(100), long(), &abort()))
    };
    let client = connect();
    while listener.counters().counts().connections == 0 {
        assert!(listener.try_accept(|| false).expect("looked").is_none());
    }
    let error = client.join().expect("no panic").expect_err("full");
    assert_eq!(error.met(), Some(Met::Rejected(Status::BUSY)));
    assert_eq!(error.fault(), Fault::Nobody);
    assert_eq!(listener.counters().counts().busy, 1);
    let client = connect();
    let session = listener.try_accept(|| true).expect("looked").expect("a session");
    assert_eq!(session.id(), 1);
    client.join().expect("no panic").expect("a session");
}

#[test]
fn only_who_could_have_a_session_makes_the_server_look_for_room() {
    for (what, message, expected) in bad_hellos() {
        for spoke_late in [false, true] {
            let place = Place::new();
            let mut listener = place.listen(&config(100));
            let raw = Raw::connect(&place.endpoint);
            let asked = std::cell::Cell::new(0);
            let mut look = || {
                netipc_sys::wait_readable(&listener, long(), &abort()).expect("readable");
                let full = || {
                    asked.set(asked.get() + 1);
                    false
                };
                assert!(listener.try_accept(full).expect("looked").is_none());
            };
            if spoke_late {
                look();
            }
            raw.send(&message);
            look();
            assert_eq!((status(&raw.recv()), asked.get()), (expected, 0), "{what}");
        }
    }
}

#[test]
fn later_sessions_get_the_limit_that_has_grown() {
    let echo = Place::new();
    let mut listener = echo.listen(&config(100));
    let limit = listener.response_limit().clone();
    let mut agreed = || {
        let endpoint = echo.endpoint.clone();
        let client = std::thread::spawn(move || {
            Session::connect(&endpoint, &proposal(100), long(), &abort())
        });
        let session = listener.accept(long(), &abort()).expect("a session");
        client.join().expect("no panic").expect("a session");
        session.terms().response.payload_bytes
    };
    assert_eq!(agreed(), 100);
    limit.grow(100, 300);
    limit.grow(100, 300);
    assert_eq!((agreed(), limit.get()), (200, 200));
    limit.grow(200, 300);
    assert_eq!(agreed(), 300);
}

/// A HELLO and what a server says to it.
fn bad_hellos() -> Vec<(&'static str, Vec<u8>, Status)> {
    let good = hello(100).message();
    let changed = |at: usize, bytes: &[u8]| {
        let mut message = good.to_vec();
        message[at..at + bytes.len()].copy_from_slice(bytes);
        message
    };
    let longer = |by: usize| [&good[..], &vec![0; by]].concat();
    let of = |hello: Hello| hello.message().to_vec();
    let (bad, other) = (Status::BAD_ENVELOPE, Status::INCOMPATIBLE);
    let ack = HelloAck {
        server_supported: Profiles::BASELINE,
        intersection: Profiles::BASELINE,
        selected: Profiles::BASELINE,
        request: hello(100).request,
        response: hello(100).request,
        packet_size: 4096,
        session_id: 1,
    };
    let mut cases = vec![
        ("one byte", vec![1], bad),
        ("a header cut short", good[..31].to_vec(), bad),
        ("a header alone", good[..32].to_vec(), bad),
        ("a byte short", good[..75].to_vec(), bad),
        ("a byte more", longer(1), bad),
        ("128 bytes", longer(52), bad),
        ("129 bytes", longer(53), bad),
        ("5000 bytes", longer(4924), bad),
        ("wrong magic", changed(0, &[9]), bad),
        ("header length 33", changed(6, &33_u16.to_ne_bytes()), bad),
        ("a request", changed(8, &1_u16.to_ne_bytes()), bad),
        ("a response", changed(8, &2_u16.to_ne_bytes()), bad),
        ("kind 9", changed(8, &9_u16.to_ne_bytes()), bad),
        ("a flag", changed(10, &1_u16.to_ne_bytes()), bad),
        ("an unknown flag", changed(10, &0x80_u16.to_ne_bytes()), bad),
        ("a HELLO_ACK's code", changed(12, &2_u16.to_ne_bytes()), bad),
        ("a HELLO_ACK", ack.message().to_vec(), bad),
        ("a status", changed(14, &3_u16.to_ne_bytes()), bad),
        ("a payload length too long", changed(16, &45_u32.to_ne_bytes()), bad),
        ("a payload length too short", changed(16, &43_u32.to_ne_bytes()), bad),
        ("a payload length without end", changed(16, &u32::MAX.to_ne_bytes()), bad),
        ("no item", changed(20, &0_u32.to_ne_bytes()), bad),
        ("two items", changed(20, &2_u32.to_ne_bytes()), bad),
        ("a message id", changed(24, &1_u64.to_ne_bytes()), bad),
        ("flags in the payload", changed(34, &1_u16.to_ne_bytes()), bad),
        ("a reserved field", changed(60, &1_u32.to_ne_bytes()), bad),
        ("another version", changed(4, &2_u16.to_ne_bytes()), other),
        ("another layout", changed(32, &2_u16.to_ne_bytes()), other),
        ("a packet size without room", of(Hello { packet_size: 32, ..hello(100) }), other),
        ("no profile", of(Hello { supported: Profiles(0), ..hello(100) }), Status::UNSUPPORTED),
        (
            "other profiles",
            of(Hello { supported: Profiles(0xE), ..hello(100) }),
            Status::UNSUPPORTED,
        ),
        ("another token", of(Hello { auth_token: 1, ..hello(100) }), Status::AUTH_FAILED),
        ("longer requests", of(hello(101)), Status::LIMIT_EXCEEDED),
    ];
    for at in [44, 48, 52, 56] {
        cases.push(("a zero limit", changed(at, &0_u32.to_ne_bytes()), bad));
    }
    for seed in 0..20_u64 {
        let garbage = crate::support::bytes((seed * 13 % 200 + 1) as usize, seed);
        cases.push(("garbage", garbage, bad));
    }
    cases
}

#[test]
fn every_bad_hello_is_answered_and_costs_only_its_own_connection() {
    let echo = Echo::start(&config(100));
    let healthy = echo.place.connect(&proposal(100));
    for (id, (what, message, expected)) in bad_hellos().into_iter().enumerate() {
        let raw = Raw::connect(&echo.place.endpoint);
        raw.send(&message);
        let answer = raw.recv();
        assert_eq!(status(&answer), expected, "{what}");
        assert_eq!(answer, HelloAck::rejection_message(expected), "{what}");
        raw.must_close();
        echoed(&healthy, id as u64, what.as_bytes());
    }
    let HandshakeCounts { sessions, malformed, incompatible, auth_failed, limit_exceeded, .. } =
        echo.counts();
    assert_eq!((sessions, incompatible, auth_failed, limit_exceeded), (1, 5, 1, 1));
    assert_eq!(malformed, bad_hellos().len() as u64 - 7);
}

#[test]
fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let echo = Echo::start(&config(100));
    let raw = Raw::connect(&echo.place.endpoint);
    raw.send(&hello(101).message());
    // Nothing is read before all this is sent: closing on it would throw the answer away.
    for _ in 0..20 {
        raw.send(&[7; 1000]);
    }
    assert_eq!(status(&raw.recv()), Status::LIMIT_EXCEEDED);
    raw.must_close();
}

/// It is refused at once or once it speaks: either way the server waits for it to leave, with its own half
/// of the socket closed. A pipe has no halves.
#[cfg(target_os = "linux")]
#[test]
fn a_refused_client_is_told_that_no_more_comes_and_may_still_send() {
    for spoke_late in [false, true] {
        let place = Place::new();
        let mut listener = place.listen(&config(100));
        let raw = Raw::connect(&place.endpoint);
        if spoke_late {
            assert!(listener.try_accept(|| true).expect("looked").is_none());
            assert_eq!(listener.pending(), 1);
        }
        raw.send(&hello(101).message());
        assert!(listener.try_accept(|| true).expect("looked").is_none());
        assert_eq!((status(&raw.recv()), listener.pending()), (Status::LIMIT_EXCEEDED, 1));
        raw.send(b"still open in this direction");
        assert!(listener.try_accept(|| true).expect("looked").is_none());
        raw.must_close();
        drop(raw);
        assert!(listener.try_accept(|| true).expect("looked").is_none());
        assert_eq!(listener.pending(), 0);
    }
}

#[test]
fn silent_clients_delay_nobody_and_are_gone_at_their_deadline() {
    // A connection takes Wine on a busy machine a tenth of a second.
    const SILENT: usize = if cfg!(windows) { 20 } else { 200 };
    const LATE: Duration = Duration::from_secs(if cfg!(windows) { 20 } else { 1 });
    let handshake_timeout = Duration::from_millis(if cfg!(windows) { 3_000 } else { 700 });
    let echo = Echo::start(&ListenerConfig { handshake_timeout, ..config(100) });
    let start = Instant::now();
    let silent: Vec<_> = (0..SILENT).map(|_| Raw::connect(&echo.place.endpoint)).collect();
    within(if cfg!(windows) { LATENESS } else { Duration::from_millis(10) }, || {
        let start = Instant::now();
        let session = echo.place.connect(&proposal(100));
        let took = start.elapsed();
        echoed(&session, 1, b"healthy");
        took
    });
    for raw in &silent {
        raw.must_close();
    }
    let took = start.elapsed();
    assert!(took >= handshake_timeout, "closed early, after {took:?}");
    assert!(took < handshake_timeout + LATE, "closed late, after {took:?}");
    assert_eq!(echo.counts().timed_out, SILENT as u64);
}

/// Time is up for those who have said nothing by then, and not for those to whom nobody has listened.
#[test]
fn what_a_client_said_in_time_is_heard_by_a_server_that_stood_still() {
    const EACH: u64 = 3;
    // On Linux one look takes in all of them; of pipes each takes a moment.
    let handshake_timeout = Duration::from_millis(if cfg!(windows) { 5_000 } else { 50 });
    let place = Place::new();
    let mut listener = place.listen(&ListenerConfig { handshake_timeout, ..config(100) });
    let connect = || [(); EACH as usize].map(|()| Raw::connect(&place.endpoint));
    let (served, refused, silent, gone) = (connect(), connect(), connect(), connect());
    while listener.counters().counts().connections < 4 * EACH {
        assert!(listener.try_accept(|| true).expect("looked").is_none());
    }
    assert_eq!(listener.pending() as u64, 4 * EACH);
    let over = Deadline::after(handshake_timeout);
    served.iter().for_each(|raw| raw.send(&hello(100).message()));
    refused.iter().for_each(|raw| raw.send(&hello(101).message()));
    drop(gone);
    // The server does nothing until all of them are over their time.
    netipc_sys::wait_readable(abort(), over, &abort()).expect_err("nobody aborts");
    let sessions = [(); EACH as usize].map(|()| listener.try_accept(|| true).expect("looked"));
    assert!(sessions.iter().all(Option::is_some), "{:?}", listener.counters().counts());
    assert!(listener.try_accept(|| true).expect("looked").is_none());
    for raw in &served {
        assert_eq!(status(&raw.recv()), Status::OK);
    }
    for raw in &refused {
        assert_eq!(status(&raw.recv()), Status::LIMIT_EXCEEDED);
    }
    for raw in &silent {
        raw.must_close();
    }
    let counts = listener.counters().counts();
    let HandshakeCounts { sessions, limit_exceeded, timed_out, left, .. } = counts;
    assert_eq!([sessions, limit_exceeded, timed_out, left], [EACH; 4], "{counts:?}");
    assert_eq!(listener.pending() as u64, EACH, "those that were refused may still read it");
}

#[test]
fn who_is_refused_and_stays_is_let_go_when_its_time_is_up() {
    let place = Place::new();
    let mut listener = place.listen(&config(100));
    let stays = Raw::connect(&place.endpoint);
    stays.send(&hello(101).message());
    assert!(listener.try_accept(|| true).expect("looked").is_none());
    assert_eq!(status(&stays.recv()), Status::LIMIT_EXCEEDED);
    let due = listener.next_deadline();
    assert_eq!((listener.pending(), due == Deadline::never()), (1, false));
    let nobody = listener.accept(due, &abort()).expect_err("it has no session");
    assert_eq!(nobody, AcceptError::TimedOut);
    assert!(listener.try_accept(|| true).expect("looked").is_none());
    assert_eq!((listener.pending(), listener.next_deadline()), (0, Deadline::never()));
    let counts = listener.counters().counts();
    assert_eq!((counts.limit_exceeded, counts.timed_out, counts.left), (1, 0, 0));
}

/// By a packet that outlives its sender, which a pipe has not.
#[cfg(target_os = "linux")]
#[test]
fn who_leaves_right_after_hello_has_left_and_no_session() {
    over_each(|transport| {
        let place = Place::new();
        let mut listener = place.listen(&transport.config(100));
        for waits in [false, true] {
            let raw = Raw::connect(&place.endpoint);
            if waits {
                assert!(listener.try_accept(|| true).expect("looked").is_none());
                assert_eq!(listener.pending(), 1);
            }
            raw.send(&shared_memory_hello(100).message());
            drop(raw);
            assert!(listener.try_accept(|| true).expect("looked").is_none());
            assert_eq!(listener.pending(), 0);
        }
        let counts = listener.counters().counts();
        assert_eq!((counts.connections, counts.left, counts.sessions), (2, 2, 0));
        let entries = std::fs::read_dir(place.endpoint.run_dir()).expect("a directory");
        let names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().ends_with("ipcshm")), "{names:?}");
    });
}

#[test]
fn a_flood_of_garbage_delays_nobody() {
    let echo = Echo::start(&config(100));
    let over = abort();
    let floods: Vec<_> = (0..4)
        .map(|seed| {
            let (endpoint, over) = (echo.place.endpoint.clone(), over.clone());
            std::thread::spawn(move || {
                while !over.is_set() {
                    let raw = Raw::connect(&endpoint);
                    raw.send(&crate::support::bytes(90, seed));
                    raw.recv();
                }
            })
        })
        .collect();
    within(if cfg!(windows) { LATENESS } else { Duration::from_millis(60) }, || {
        let start = Instant::now();
        let session = echo.place.connect(&proposal(100));
        echoed(&session, 1, b"healthy");
        start.elapsed()
    });
    over.trigger();
    for flood in floods {
        flood.join().expect("no panic");
    }
}

#[test]
fn when_too_many_are_silent_the_oldest_gives_way() {
    let place = Place::new();
    let mut listener = place.listen(&ListenerConfig { max_pending_handshakes: 3, ..config(100) });
    let silent: Vec<_> = (0..5).map(|_| Raw::connect(&place.endpoint)).collect();
    while listener.counters().counts().connections < 5 {
        assert!(listener.try_accept(|| true).expect("looked").is_none());
    }
    assert_eq!((listener.pending(), listener.counters().counts().displaced), (3, 2));
    for raw in &silent[..2] {
        assert_eq!(status(&raw.recv()), Status::BUSY);
        raw.must_close();
    }
    // The others still may speak.
    silent[4].send(&hello(100).message());
    let session = listener.accept(long(), &abort()).expect("a session");
    assert_eq!((session.id(), listener.pending()), (1, 2));
    drop(silent);
    while listener.pending() > 0 {
        assert!(listener.try_accept(|| true).expect("looked").is_none());
    }
    assert_eq!(listener.counters().counts().left, 2);
    assert_eq!(listener.next_deadline(), Deadline::never());
}

#[test]
fn a_second_hello_ends_the_session() {
    let echo = Echo::start(&config(100));
    let raw = Raw::session(&echo.place.endpoint, &hello(100));
    raw.send(&hello(100).message());
    raw.must_close();
    let end = echo.next_end();
    assert_eq!(end.fault(), Fault::PeerBroke, "{end}");
}

#[test]
fn requests_right_behind_hello_belong_to_the_session() {
    let echo = Echo::start(&config(100));
    let raw = Raw::connect(&echo.place.endpoint);
    raw.send(&hello(100).message());
    let header = crate::support::request(5, b"early");
    raw.send(&packet(&header, b"early"));
    assert_eq!(status(&raw.recv()), Status::OK);
    assert_eq!(raw.recv(), packet(&netipc::Header::response(&header, 5), b"early"));
}

#[test]
fn descriptions_say_what_to_do() {
    let (client, _server) = pair(100);
    let sent = client.send(&crate::support::request(1, &[0; 101]), &[0; 101], long(), &abort());
    assert_eq!(
        sent.expect_err("too long").to_string(),
        "the message has 101 bytes and 1 items, agreed were 100 and 8"
    );
}
