//! Limits that grow and limits that do not: of answers, and of requests (spec section 11).

mod client_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use client_support::scripted::{Grant, Peer, Server, Session};
use client_support::services::StringReverse;
use client_support::{LATENESS, Place, make_ready, offering, over_each, timed, within};
use netipc::Status;
use netipc::client::{CallClient, CallError, ClientConfig, ClientState, GrowthEnd};
use netipc_proto::growth::doubled;

const SERVICE: &str = "limits";

fn ready(place: &Place, config: ClientConfig) -> CallClient<StringReverse> {
    let mut client = CallClient::new(place.endpoint(SERVICE), offering(config));
    make_ready(&mut client);
    client
}

/// Asks for an answer of `len` bytes of payload, by a short request.
fn ask_for(client: &mut CallClient<StringReverse>, len: u32) -> Result<usize, CallError> {
    let wanted = len.to_ne_bytes();
    client.call(|request| request.bytes(&wanted).finish()).map(|answer| answer.bytes().len() + 9)
}

/// Bytes of a request's text.
const TEXT_AT: usize = 8;

/// How a server's response limit grows, from one session to the next.
#[derive(Clone, Copy)]
enum Growing {
    /// The session after a failure has the doubled limit.
    AtOnce {
        ceiling: u32,
    },
    /// The session that is accepted already has the limit from before.
    OneLate {
        ceiling: u32,
    },
    Never,
}

/// Answers as many bytes as asked, or LIMIT_EXCEEDED and a close.
fn growing_server(place: &Place, start: u32, growing: Growing) -> Server {
    let current = Arc::new(AtomicU32::new(start));
    let announced = Arc::new(AtomicU32::new(start));
    Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
        let limit = match growing {
            Growing::OneLate { .. } => {
                announced.swap(current.load(Ordering::SeqCst), Ordering::SeqCst)
            }
            _ => current.load(Ordering::SeqCst),
        };
        let session = peer.accept_with(Grant::responses_of(limit));
        while let Some((header, payload)) = peer.request(&session) {
            let wanted: [u8; 4] = payload[TEXT_AT..TEXT_AT + 4].try_into().expect("a length");
            let wanted = u32::from_ne_bytes(wanted);
            if wanted <= limit {
                peer.answer(&session, &header, &text(wanted));
                continue;
            }
            if let Growing::AtOnce { ceiling } | Growing::OneLate { ceiling } = growing {
                current.fetch_max(doubled(limit, ceiling), Ordering::SeqCst);
            }
            peer.fail(&header, Status::LIMIT_EXCEEDED);
            return peer.hold();
        }
    })
}

/// A string-reverse payload of this length.
fn text(payload_len: u32) -> Vec<u8> {
    let text_len = payload_len - TEXT_AT as u32 - 1;
    let mut payload = vec![0; payload_len as usize];
    payload[..4].copy_from_slice(&(TEXT_AT as u32).to_ne_bytes());
    payload[4..8].copy_from_slice(&text_len.to_ne_bytes());
    payload
}

#[test]
fn an_answer_grows_with_its_server_and_the_next_call_goes_on_from_there() {
    over_each(|| {
        let place = Place::new();
        let server = growing_server(&place, 65_536, Growing::AtOnce { ceiling: 1 << 20 });
        let mut client = ready(&place, ClientConfig::default());
        assert_eq!(ask_for(&mut client, 65_536), Ok(65_536));
        assert_eq!(server.accepted(), 1);
        assert_eq!(ask_for(&mut client, 65_537), Ok(65_537));
        assert_eq!(server.accepted(), 2);
        assert_eq!(ask_for(&mut client, 1 << 20), Ok(1 << 20));
        assert_eq!(server.accepted(), 5);
        assert_eq!(ask_for(&mut client, 1 << 20), Ok(1 << 20));
        let counters = client.status().counters;
        assert_eq!((server.accepted(), counters.growths, counters.resends), (5, 4, 0));
        server.stop();
    });
}

#[test]
fn a_server_that_starts_at_1024_grows_within_one_call() {
    over_each(|| {
        let place = Place::new();
        let server = growing_server(&place, 1024, Growing::AtOnce { ceiling: 1 << 20 });
        let mut client = ready(&place, ClientConfig::default());
        // Eight doublings of 1024.
        assert_eq!(ask_for(&mut client, 262_144), Ok(262_144));
        assert_eq!(server.accepted(), 9);
        server.stop();
    });
}

#[test]
fn growth_ends_after_eight_and_a_later_call_goes_on() {
    over_each(|| {
        let place = Place::new();
        let server = growing_server(&place, 1024, Growing::AtOnce { ceiling: 1 << 20 });
        let mut client = ready(&place, ClientConfig::default());
        let often = Err(CallError::LimitExceeded(GrowthEnd::Often));
        assert_eq!(ask_for(&mut client, 262_145), often);
        assert_eq!((server.accepted(), client.state()), (9, ClientState::Broken));
        client.refresh();
        assert_eq!(ask_for(&mut client, 262_145), Ok(262_145));
        assert_eq!(server.accepted(), 10, "it went on from where it was");
        server.stop();
    });
}

#[test]
fn a_server_that_never_grows_is_asked_twice_more() {
    over_each(|| {
        for fixed in [65_536, 1024] {
            let place = Place::new();
            let server = growing_server(&place, fixed, Growing::Never);
            let mut client = ready(&place, ClientConfig::default());
            let end = Err(CallError::LimitExceeded(GrowthEnd::InVain { agreed: fixed }));
            assert_eq!(ask_for(&mut client, fixed + 1), end);
            assert_eq!(server.accepted(), 3);
            assert_eq!(client.state(), ClientState::Broken);
            assert!(client.status().reason.expect("a reason").contains("stays at"));
            client.refresh();
            assert_eq!(ask_for(&mut client, fixed), Ok(fixed as usize));
            server.stop();
        }
    });
}

#[test]
fn a_server_that_shows_its_growth_one_connection_late_is_waited_for() {
    over_each(|| {
        let place = Place::new();
        let server = growing_server(&place, 65_536, Growing::OneLate { ceiling: 1 << 20 });
        let mut client = ready(&place, ClientConfig::default());
        assert_eq!(ask_for(&mut client, 200_000), Ok(200_000));
        assert_eq!(server.accepted(), 5);
        server.stop();
    });
}

#[test]
fn an_answer_above_the_clients_ceiling_fails_and_says_so() {
    over_each(|| {
        let place = Place::new();
        let server = growing_server(&place, 65_536, Growing::AtOnce { ceiling: 1 << 20 });
        let config =
            ClientConfig { max_response_payload_bytes: 100_000, ..ClientConfig::default() };
        let mut client = ready(&place, config);
        assert_eq!(ask_for(&mut client, 100_000), Ok(100_000));
        // The server may answer with more than this client holds, and does.
        let error = ask_for(&mut client, 100_001).expect_err("above the ceiling");
        assert!(matches!(error, CallError::AnswerTooLarge(_)), "{error:?}");
        assert!(error.to_string().contains("ceiling"), "{error}");
        assert_eq!(client.state(), ClientState::Broken);
        client.refresh();
        let end = CallError::LimitExceeded(GrowthEnd::Ceiling { ceiling: 100_000 });
        assert_eq!(ask_for(&mut client, 200_000), Err(end));
        server.stop();
    });
}

/// Echoes, and takes proposals of requests up to `maximum`.
fn echo_up_to(place: &Place, maximum: u32) -> (Server, Arc<AtomicU32>) {
    let proposed = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&proposed);
    let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer: Peer| {
        let hello = peer.hello();
        seen.store(hello.request.payload_bytes, Ordering::SeqCst);
        if hello.request.payload_bytes > maximum {
            return peer.refuse(Status::LIMIT_EXCEEDED);
        }
        let session: Session = peer.ack(&hello, Grant::responses_of(1 << 20));
        peer.serve(&session, |_, payload| payload.to_vec());
    });
    (server, proposed)
}

/// Sends a request of `len` bytes of payload.
fn send(client: &mut CallClient<StringReverse>, len: usize) -> Result<usize, CallError> {
    let text = vec![b'r'; len - TEXT_AT - 1];
    client.call(|request| request.bytes(&text).finish()).map(|answer| answer.bytes().len() + 9)
}

#[test]
fn a_refused_proposal_falls_back_at_once_and_is_remembered() {
    over_each(|| {
        let place = Place::new();
        let (server, proposed) = echo_up_to(&place, 1024);
        let mut client = ready(&place, ClientConfig::default());
        assert_eq!((server.accepted(), proposed.load(Ordering::SeqCst)), (2, 1024));
        assert_eq!(send(&mut client, 1024), Ok(1024));
        client.close();
        client.refresh();
        assert!(client.ready());
        assert_eq!((server.accepted(), proposed.load(Ordering::SeqCst)), (3, 1024), "remembered");
        server.stop();
    });
}

#[test]
fn a_server_that_takes_no_proposal_is_given_up() {
    over_each(|| {
        let place = Place::new();
        let (server, _) = echo_up_to(&place, 100);
        let mut client = CallClient::<StringReverse>::new(
            place.endpoint(SERVICE),
            offering(ClientConfig::default()),
        );
        client.refresh();
        assert_eq!((server.accepted(), client.state()), (2, ClientState::Disconnected));
        server.stop();
    });
}

#[test]
fn a_larger_request_reconnects_proposing_just_that() {
    over_each(|| {
        let place = Place::new();
        let (server, proposed) = echo_up_to(&place, 1 << 20);
        let mut client = ready(&place, ClientConfig::default());
        assert_eq!(send(&mut client, 65_536), Ok(65_536));
        assert_eq!(server.accepted(), 1);
        assert_eq!(send(&mut client, 70_001), Ok(70_001));
        assert_eq!((server.accepted(), proposed.load(Ordering::SeqCst)), (2, 70_001));
        assert_eq!(send(&mut client, 70_000), Ok(70_000));
        assert_eq!(server.accepted(), 2, "the session is kept");
        assert_eq!(send(&mut client, 1 << 20), Ok(1 << 20));
        assert_eq!(server.accepted(), 3);
        let counters = client.status().counters;
        assert_eq!((counters.larger_requests, counters.resends, counters.growths), (2, 0, 0));
        server.stop();
    });
}

#[test]
fn a_request_above_the_clients_ceiling_fails_without_a_connection() {
    over_each(|| {
        let place = Place::new();
        let (server, _) = echo_up_to(&place, u32::MAX);
        let mut client = ready(&place, ClientConfig::default());
        let error = send(&mut client, (1 << 20) + 1);
        assert_eq!(error, Err(CallError::RequestTooLarge { ceiling: 1 << 20 }));
        assert_eq!(server.accepted(), 1);
        assert_eq!(send(&mut client, 100), Ok(100), "the session goes on");
        server.stop();
    });
}

#[test]
fn a_batch_above_the_clients_ceiling_fails_without_a_connection() {
    over_each(|| {
        let place = Place::new();
        let (server, _) = echo_up_to(&place, u32::MAX);
        let config = ClientConfig { max_request_payload_bytes: 1024, ..ClientConfig::default() };
        let mut client = ready(&place, config);
        // Each fits, and not all of them.
        let text = [b'i'; 200];
        let batch = client.batch(10, |_, request| request.bytes(&text).finish()).map(|_| ());
        assert_eq!(batch, Err(CallError::RequestTooLarge { ceiling: 1024 }));
        assert_eq!(server.accepted(), 1);
        let batch = client.batch(3, |_, request| request.bytes(&text).finish());
        assert_eq!(batch.map(|answers| answers.len()), Ok(3), "the session goes on");
        server.stop();
    });
}

#[test]
fn a_larger_request_that_is_refused_fails_and_the_client_goes_back() {
    over_each(|| {
        let place = Place::new();
        let (server, proposed) = echo_up_to(&place, 65_536);
        let mut client = ready(&place, ClientConfig::default());
        let error = send(&mut client, 80_000);
        assert_eq!(error, Err(CallError::RequestRefused { needed: 80_000 }));
        assert_eq!((server.accepted(), proposed.load(Ordering::SeqCst)), (3, 65_536));
        assert!(client.ready());
        assert_eq!(send(&mut client, 65_536), Ok(65_536));
        server.stop();
    });
}

#[test]
fn a_larger_proposal_that_gets_no_answer_is_not_made_again() {
    over_each(|| {
        let place = Place::new();
        let proposed = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&proposed);
        let server = Server::start(&place.endpoint(SERVICE), move |number, mut peer| {
            let hello = peer.hello();
            seen.store(hello.request.payload_bytes, Ordering::SeqCst);
            if number != 1 {
                let session = peer.ack(&hello, Grant::default());
                peer.serve(&session, |_, payload| payload.to_vec());
            }
        });
        let mut client = ready(&place, ClientConfig::default());
        assert!(matches!(send(&mut client, 80_000), Err(CallError::Reconnect(_))));
        assert_eq!(proposed.load(Ordering::SeqCst), 80_000);
        client.refresh();
        assert!(client.ready());
        assert_eq!(proposed.load(Ordering::SeqCst), 65_536);
        server.stop();
    });
}

#[test]
fn what_was_accepted_is_usual_until_a_server_refuses_it() {
    over_each(|| {
        let place = Place::new();
        let (server, proposed) = echo_up_to(&place, 1 << 20);
        let mut client = ready(&place, ClientConfig::default());
        assert_eq!(send(&mut client, 80_000), Ok(80_000));
        server.stop();
        client.refresh();
        let (server, proposed_later) = echo_up_to(&place, 65_536);
        client.refresh();
        assert!(client.ready(), "{:?}", client.status());
        assert_eq!(proposed.load(Ordering::SeqCst), 80_000);
        assert_eq!((server.accepted(), proposed_later.load(Ordering::SeqCst)), (2, 1024));
        server.stop();
    });
}

#[test]
fn the_time_of_growing_is_the_calls() {
    // Two sessions and a half are made in it.
    const TIMEOUT: Duration = Duration::from_millis(if cfg!(windows) { 1_500 } else { 300 });
    over_each(|| {
        within(TIMEOUT + LATENESS, || {
            let place = Place::new();
            let asked = AtomicU32::new(0);
            let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
                if asked.load(Ordering::SeqCst) > 2 {
                    return peer.hold();
                }
                let session =
                    peer.accept_with(Grant::responses_of(1024 << asked.load(Ordering::SeqCst)));
                if let Some((header, _)) = peer.request(&session) {
                    asked.fetch_add(1, Ordering::SeqCst);
                    peer.fail(&header, Status::LIMIT_EXCEEDED);
                    peer.hold();
                }
            });
            let call_timeout_ms = TIMEOUT.as_millis() as u64;
            let config = ClientConfig { call_timeout_ms, ..ClientConfig::default() };
            let mut client = ready(&place, config);
            let (result, took) = timed(|| ask_for(&mut client, 1 << 20));
            assert_eq!(result, Err(CallError::TimedOut));
            server.stop();

            took
        });
    });
}
