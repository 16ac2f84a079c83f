//! One request, one answer: every status, and what becomes of the session (spec section 11).

use netipc::server::{Failure, ServerConfig};
use netipc::{Header, Proposal, Status};

use crate::support::{Gate, METHOD, Place, echo, eventually, handler, over_each, proposal, reply};

#[test]
fn many_clients_get_their_own_answers() {
    over_each(|| {
        const CLIENTS: usize = 16;
        const CALLS: u64 = 200;
        let place = Place::new();
        let server = place.serve(ServerConfig::default(), echo());
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let place = &place;
                scope.spawn(move || {
                    let mut session = place.client();
                    for call in 0..CALLS {
                        let payload = format!("{client}/{call}");
                        let (header, answer) = session.call(payload.as_bytes());
                        assert_eq!((header.status, answer), (Status::OK, payload.into_bytes()));
                    }
                });
            }
        });
        // An answer is there a moment before it is counted as over.
        eventually("nothing in flight", || server.status().in_flight == 0);
        let status = server.status();
        assert_eq!(status.calls.ok, CLIENTS as u64 * CALLS);
        assert_eq!(status.handshakes.sessions, CLIENTS as u64);
        assert_eq!(status.request_bytes, status.response_bytes);
    });
}

#[test]
fn what_a_session_counted_outlives_it() {
    let place = Place::new();
    let gate = Gate::default();
    let held = gate.clone();
    let server = place.serve(
        ServerConfig { worker_count: 2, ..ServerConfig::default() },
        handler(move |_context, request, response| {
            if request == b"hold" {
                held.pass();
            }
            reply(request, response)
        }),
    );
    let mut client = place.client();
    client.call(b"abc");
    client.request(2, b"hold");
    gate.wait_for(1);
    let counts = || {
        let status = server.status();
        (status.calls.ok, status.request_bytes, status.response_bytes, status.in_flight)
    };
    assert_eq!(counts(), (1, 7, 3, 1));
    drop(client);
    eventually("the session is over", || server.status().ended.left == 1);
    assert_eq!(counts(), (1, 7, 3, 1), "its handler still runs");
    place.client().call(b"de");
    assert_eq!(counts().0, 2);
    gate.open();
    eventually("nothing in flight", || server.status().in_flight == 0);
    assert_eq!(counts(), (2, 9, 5, 0), "nobody hears the answer");
}

#[test]
fn a_handler_is_told_who_asks_and_on_which_session() {
    over_each(|| {
        let place = Place::new();
        let _server = place.serve(
            ServerConfig::default(),
            handler(|context, _request, response| {
                assert!(!context.stop_requested());
                let peer = context.peer();
                let told = format!("{:?} {} {}", peer.pid, peer.uid, context.session_id());
                reply(told.as_bytes(), response)
            }),
        );
        let uid = netipc_sys::own_uid();
        for session_id in 1..=2 {
            let (_header, answer) = place.client().call(b"");
            let expected = format!("{:?} {uid} {session_id}", Some(std::process::id()));
            assert_eq!(String::from_utf8_lossy(&answer), expected);
        }
    });
}

#[test]
fn another_method_is_unsupported_and_the_session_goes_on() {
    over_each(|| {
        let place = Place::new();
        let server = place.serve(ServerConfig::default(), echo());
        let mut client = place.client();
        client.send(&Header::request(METHOD + 1, 7, 3), b"abc");
        let (header, _empty) = client.receive().expect("an answer");
        assert_eq!((header.status, header.message_id), (Status::UNSUPPORTED, 7));
        assert_eq!(client.call(b"still here").1, b"still here");
        assert_eq!(server.status().calls.unsupported, 1);
    });
}

#[test]
fn failures_are_answered_and_end_the_session_and_nothing_else() {
    over_each(|| {
        let place = Place::new();
        let server = place.serve(
            ServerConfig::default(),
            handler(|_context, request, response| match request {
                b"undecodable" => Err(Failure::BadEnvelope),
                b"fail" => Err(Failure::Internal),
                b"panic" => panic!("a handler that panics, as a test wants it"),
                b"lie" => Ok(response.out.len() + 1),
                _ => reply(request, response),
            }),
        );
        let mut bystander = place.client();
        for (request, status) in [
            (&b"undecodable"[..], Status::BAD_ENVELOPE),
            (b"fail", Status::INTERNAL_ERROR),
            (b"panic", Status::INTERNAL_ERROR),
            (b"lie", Status::INTERNAL_ERROR),
        ] {
            let mut client = place.client();
            assert_eq!(client.status_of(request), status);
            client.expect_close();
            assert_eq!(bystander.call(b"fine").1, b"fine");
        }
        let calls = server.status().calls;
        assert_eq!((calls.bad_envelope, calls.internal_error, calls.panics), (1, 3, 1));
    });
}

/// What a handler panics with, where that goes off once more.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("what a handler panicked with panics, as a test wants it");
    }
}

#[test]
fn a_panic_that_panics_when_it_is_dropped_is_contained_too() {
    over_each(|| {
        let place = Place::new();
        let server = place.serve(
            ServerConfig { worker_count: 1, ..ServerConfig::default() },
            handler(|_context, request, response| match request {
                b"panic" => std::panic::panic_any(Bomb),
                _ => reply(request, response),
            }),
        );
        for _ in 0..2 {
            let mut client = place.client();
            assert_eq!(client.status_of(b"panic"), Status::INTERNAL_ERROR);
            client.expect_close();
        }
        assert_eq!(place.client().call(b"fine").1, b"fine");
        assert_eq!(server.status().calls.panics, 2);
    });
}

#[test]
fn a_request_above_the_limit_is_told_so_and_the_session_ends() {
    let place = Place::new();
    let server = place.serve(ServerConfig::default(), echo());
    let raw = place.raw();
    raw.send(&Header::request(METHOD, 9, 65_537).encode());
    let answer = Header::decode(&raw.receive().expect("an answer")).expect("a header");
    assert_eq!((answer.status, answer.message_id), (Status::LIMIT_EXCEEDED, 9));
    assert_eq!(raw.receive(), Err(netipc_sys::RecvError::Closed));
    assert_eq!(server.status().calls.limit_exceeded, 1);
    // It is the client's fault, so the response limit of others stays.
    assert_eq!(server.status().response_limit_bytes, 65_536);
}

#[test]
fn an_answer_that_does_not_fit_makes_later_sessions_larger_up_to_the_ceiling() {
    over_each(|| {
        const CEILING: u32 = 200_000;
        let place = Place::new();
        let config =
            ServerConfig { max_response_payload_bytes: CEILING, ..ServerConfig::default() };
        let server = place.serve(
            config,
            handler(|_context, _request, response| {
                let at_ceiling = response.at_ceiling;
                assert_eq!(at_ceiling, response.out.len() == CEILING as usize);
                response.out.get_mut(..CEILING as usize).ok_or(Failure::LimitExceeded)?.fill(7);
                Ok(CEILING as usize)
            }),
        );
        let mut limits = Vec::new();
        let mut answered = false;
        while !answered && limits.len() < 10 {
            let mut client = place.client();
            limits.push(client.session.terms().response.payload_bytes);
            let (header, answer) = client.call(b"everything");
            if header.status == Status::OK {
                assert_eq!(answer, vec![7; CEILING as usize]);
                answered = true;
            } else {
                assert_eq!(header.status, Status::LIMIT_EXCEEDED);
                client.expect_close();
            }
        }
        assert_eq!(limits, [65_536, 131_072, CEILING]);
        assert_eq!(server.status().response_limit_bytes, CEILING);
    });
}

#[test]
fn answers_of_many_packets_go_through_and_an_empty_one_too() {
    over_each(|| {
        let place = Place::new();
        let config =
            ServerConfig { max_response_payload_bytes: 1 << 20, ..ServerConfig::default() };
        let _server = place.serve(config, echo());
        let limits = netipc::Limits { payload_bytes: 1 << 20, batch_items: 1 };
        let small_packets = Proposal { request: limits, packet_size: 1000, ..proposal() };
        let mut client = place.try_client(&small_packets).expect("a session");
        for len in [0_usize, 1, 967, 968, 969, 50_000, 65_536] {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (header, answer) = client.call(&payload);
            assert_eq!((header.status, answer), (Status::OK, payload), "{len} bytes");
        }
    });
}

#[test]
fn the_wrong_token_is_refused_and_counted() {
    over_each(|| {
        let place = Place::new();
        let config = ServerConfig { auth_token: 42, ..ServerConfig::default() };
        let server = place.serve(config, echo());
        for auth_token in [0, 41] {
            assert!(place.try_client(&Proposal { auth_token, ..proposal() }).is_err());
        }
        let mut client =
            place.try_client(&Proposal { auth_token: 42, ..proposal() }).expect("a session");
        assert_eq!(client.call(b"in").1, b"in");
        assert_eq!(server.status().handshakes.auth_failed, 2);
    });
}
