//! Lookups over sub-requests: split, asked again, stitched, and what breaks them.

mod client_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use client_support::scripted::{Grant, Peer, Server, Session};
use client_support::services::{AppsLookup, CgroupsLookup, Pid};
use client_support::{Place, offering, over_each, timed};
use netipc::client::{CallError, ClientConfig, ClientState, LookupClient, LookupError};
use netipc::codec::{BuildError, LookupItem, ResponseBudget};
use netipc::{Header, Status};
use netipc_services::apps_lookup;
use netipc_services::cgroups_lookup::{
    self, Item, Orchestrator, RequestView, ResponseBuilder, ResponseView,
};
use proptest::prelude::*;

const SERVICE: &str = "lookups";
const GENERATION: u64 = 7;

type Client = LookupClient<CgroupsLookup>;

fn ready(place: &Place, config: ClientConfig) -> Client {
    let mut client = Client::new(place.endpoint(SERVICE), offering(config));
    client.refresh();
    assert!(client.ready(), "{:?}", client.status());
    client
}

/// The name that the provider gives a path: as long as the digits at the path's end say.
fn name_of(path: &[u8]) -> Vec<u8> {
    let digits = path.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let text = str::from_utf8(&path[path.len() - digits..]).expect("digits");
    vec![b'n'; text.parse().unwrap_or(0)]
}

/// An honest provider's answer within `limit` bytes; `None` for LIMIT_EXCEEDED.
fn provide(payload: &[u8], limit: u32, generation: u64) -> Option<Vec<u8>> {
    let request = RequestView::decode(payload).expect("a good request");
    let mut out = vec![0; limit as usize];
    let budget = ResponseBudget { out: &mut out, at_ceiling: true };
    let built = ResponseBuilder::new(&request, budget).and_then(|mut response| {
        response.generation(generation);
        for path in request.keys() {
            let name = name_of(path);
            response.known(path).orchestrator(Orchestrator::DOCKER).name(&name).finish()?;
        }
        response.finish()
    });
    match built {
        Ok(len) => {
            out.truncate(len);
            Some(out)
        }
        Err(BuildError::LimitExceeded) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Serves honestly, and checks what the client may ask for in one sub-request.
fn serve(peer: &mut Peer, session: &Session) {
    while let Some((header, payload)) = peer.request(session) {
        check_share(session, &payload);
        match provide(&payload, session.response.payload_bytes, GENERATION) {
            Some(answer) => peer.answer(session, &header, &answer),
            None => peer.fail(&header, Status::LIMIT_EXCEEDED),
        }
    }
}

/// The answer of nothing but "ask again" takes at most half of the limit, for several keys.
fn check_share(session: &Session, payload: &[u8]) {
    let request = RequestView::decode(payload).expect("a good request");
    let lens = request.keys().map(|key| Item::smallest_len(&key));
    let smallest = netipc::codec::directory_len(16, lens);
    assert!(
        request.len() <= 1 || smallest <= session.response.payload_bytes as usize / 2,
        "{smallest} bytes of {}",
        session.response.payload_bytes
    );
}

fn honest_server(place: &Place, response_bytes: u32) -> Server {
    Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
        let session = peer.accept_with(Grant::responses_of(response_bytes));
        serve(&mut peer, &session);
    })
}

/// A server that answers with what `answer` makes of an honest answer's request.
fn server(
    place: &Place,
    answer: impl Fn(usize, RequestView<'_>) -> Vec<u8> + Send + Sync + 'static,
) -> Server {
    let calls = AtomicUsize::new(0);
    Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
        let session = peer.accept();
        peer.serve(&session, |_: &Header, payload| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            answer(call, RequestView::decode(payload).expect("a good request"))
        });
    })
}

fn item(path: &[u8], status: cgroups_lookup::Status) -> Item {
    let known = status == cgroups_lookup::Status::Known;
    Item {
        status,
        orchestrator: if known { Orchestrator::K8S } else { Orchestrator::UNKNOWN },
        path: path.into(),
        name: if known { path.into() } else { Vec::new().into() },
        labels: Vec::new(),
    }
}

fn response(generation: u64, items: Vec<Item>) -> Vec<u8> {
    let response = cgroups_lookup::Response { generation, items };
    let mut out = vec![0; response.encoded_len()];
    response.encode(&mut out).expect("it fits");
    out
}

fn paths(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("/slice/{index:06}")).collect()
}

#[test]
fn a_short_lookup_is_one_sub_request() {
    over_each(|| {
        let place = Place::new();
        let server = honest_server(&place, 65_536);
        let mut client = ready(&place, ClientConfig::default());
        let keys = ["/a/3", "/b/0", "/c/12"];
        let answer = client.lookup(&keys).expect("an answer");
        assert_eq!((answer.len(), answer.generation()), (3, GENERATION));
        for (item, key) in answer.items().zip(keys) {
            assert_eq!(
                (item.path(), item.name()),
                (key.into(), name_of(key.as_bytes())[..].into())
            );
            assert_eq!(item.orchestrator(), Orchestrator::DOCKER);
        }
        assert!(answer.get(3).is_none());
        assert_eq!(client.status().counters.sub_calls, 1);
        server.stop();
    });
}

#[test]
fn a_lookup_of_nothing_asks_for_the_generation() {
    over_each(|| {
        let place = Place::new();
        let server = honest_server(&place, 65_536);
        let mut client = ready(&place, ClientConfig::default());
        let answer = client.lookup::<&str>(&[]).expect("an answer");
        assert!(answer.is_empty());
        assert_eq!((answer.items().count(), answer.generation()), (0, GENERATION));
        server.stop();
    });
}

#[test]
fn as_many_paths_as_a_call_may_have_and_one_more() {
    over_each(|| {
        let place = Place::new();
        let server = honest_server(&place, 65_536);
        let mut client = ready(&place, ClientConfig::default());
        let mut keys: Vec<String> = (0..65_536).map(|index| format!("/{index:0>199}")).collect();
        for key in &mut keys {
            key.push_str("/2");
            key.drain(1..3);
            assert_eq!(key.len(), 200);
        }
        let (answer, took) = timed(|| client.lookup(&keys));
        let answer = answer.expect("an answer");
        assert_eq!(answer.len(), keys.len());
        for (item, key) in answer.items().zip(&keys) {
            assert_eq!((item.path(), item.name()), (key.as_str().into(), "nn".into()));
        }
        println!("65,536 paths of 200 bytes: {took:?}");
        keys.push("/one/more".to_owned());
        let error = client.lookup(&keys).map(|_| ()).expect_err("one too many");
        let expected = LookupError::TooManyKeys { given: 65_537, ceiling: 65_536 };
        assert_eq!(error, CallError::Lookup(expected));
        assert!(error.to_string().contains("several calls"), "{error}");
        assert!(client.ready());
        server.stop();
    });
}

#[test]
fn as_many_pids_as_a_call_may_have_and_one_more() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept();
            peer.serve(&session, |_, payload| {
                let request = apps_lookup::RequestView::decode(payload).expect("a good request");
                let mut out = vec![0; 65_536];
                let budget = ResponseBudget { out: &mut out, at_ceiling: true };
                let mut response =
                    apps_lookup::ResponseBuilder::new(&request, budget).expect("it fits");
                for pid in request.keys() {
                    response
                        .known(pid)
                        .ppid(pid / 2)
                        .comm("init")
                        .cgroup_path("/")
                        .finish()
                        .expect("an item");
                }
                let len = response.finish().expect("all of them");
                out.truncate(len);
                out
            });
        });
        let mut client = LookupClient::<AppsLookup>::new(
            place.endpoint(SERVICE),
            offering(ClientConfig::default()),
        );
        client.refresh();
        let mut keys: Vec<Pid> = (0..65_536).map(Pid).collect();
        let answer = client.lookup(&keys).expect("an answer");
        assert_eq!(answer.len(), 65_536);
        for (item, key) in answer.items().zip(&keys) {
            assert_eq!((item.pid(), item.ppid()), (key.0, key.0 / 2));
        }
        keys.push(Pid(0));
        assert!(matches!(
            client.lookup(&keys),
            Err(CallError::Lookup(LookupError::TooManyKeys { .. }))
        ));
        server.stop();
    });
}

#[test]
fn what_did_not_fit_is_asked_again_and_only_that() {
    over_each(|| {
        let place = Place::new();
        let asked = Arc::new(AtomicUsize::new(0));
        let server = Server::start(&place.endpoint(SERVICE), {
            let asked = Arc::clone(&asked);
            move |_, mut peer| {
                let session = peer.accept_with(Grant::responses_of(4096));
                while let Some((header, payload)) = peer.request(&session) {
                    let request = RequestView::decode(&payload).expect("a good request");
                    asked.fetch_add(request.len(), Ordering::SeqCst);
                    let answer = provide(&payload, 4096, GENERATION).expect("it fits");
                    peer.answer(&session, &header, &answer);
                }
            }
        });
        let mut client = ready(&place, ClientConfig::default());
        // 20 small answers of "ask again" fit, of the real ones three at a time.
        let keys: Vec<String> = (0..20).map(|index| format!("/{index:02}/1000")).collect();
        let answer = client.lookup(&keys).expect("an answer");
        for (item, key) in answer.items().zip(&keys) {
            assert_eq!((item.path(), item.name().len()), (key.as_str().into(), 1000));
        }
        let sub_calls = client.status().counters.sub_calls;
        assert!((7..20).contains(&sub_calls), "{sub_calls}");
        assert!(asked.load(Ordering::SeqCst) < 20 * 20 / 2 + 20);
        server.stop();
    });
}

#[test]
fn an_oversized_item_is_asked_again_alone_and_then_final() {
    over_each(|| {
        let place = Place::new();
        let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
        let server = Server::start(&place.endpoint(SERVICE), {
            let requests = Arc::clone(&requests);
            move |_, mut peer| {
                let session = peer.accept_with(Grant::responses_of(4096));
                while let Some((header, payload)) = peer.request(&session) {
                    let request = RequestView::decode(&payload).expect("a good request");
                    requests.lock().expect("no panic").push(request.len());
                    let answer = provide(&payload, 4096, GENERATION).expect("it fits");
                    peer.answer(&session, &header, &answer);
                }
            }
        });
        let mut client = ready(&place, ClientConfig::default());
        // The first fits an answer of its own only, the second none.
        let keys = ["/a/4000", "/b/5000", "/c/1"];
        let answer = client.lookup(&keys).expect("an answer");
        let statuses: Vec<_> = answer.items().map(|item| item.status()).collect();
        use cgroups_lookup::Status::{Known, OversizedItem};
        assert_eq!(statuses, [Known, OversizedItem, Known]);
        assert_eq!(answer.get(0).expect("an item").name().len(), 4000);
        assert_eq!(*requests.lock().expect("no panic"), [3, 1, 2, 1]);
        server.stop();
    });
}

#[test]
fn answers_that_break_the_contract_end_the_session() {
    over_each(|| {
        use cgroups_lookup::Status::{Known, PayloadExceeded};
        type Answer = fn(RequestView<'_>) -> Vec<u8>;
        let rows: [(Answer, CallError); 4] = [
            (
                |request| {
                    let retry = request.keys().map(|key| item(key, PayloadExceeded)).collect();
                    response(GENERATION, retry)
                },
                CallError::Lookup(LookupError::FirstAskedAgain),
            ),
            (
                |request| {
                    let statuses = [Known, PayloadExceeded, Known];
                    let keys = request.keys().zip(statuses);
                    response(GENERATION, keys.map(|(key, status)| item(key, status)).collect())
                },
                CallError::Lookup(LookupError::AfterAskAgain { index: 2 }),
            ),
            (
                |request| {
                    let mut items: Vec<_> = request.keys().map(|key| item(key, Known)).collect();
                    items.swap(1, 2);
                    response(GENERATION, items)
                },
                CallError::Lookup(LookupError::Echo { index: 1 }),
            ),
            (
                |request| {
                    let items = request.keys().take(2).map(|key| item(key, Known)).collect();
                    response(GENERATION, items)
                },
                CallError::Lookup(LookupError::ItemCount { asked: 3, given: 2 }),
            ),
        ];
        for (answer, expected) in rows {
            let place = Place::new();
            let server = server(&place, move |_, request| answer(request));
            let mut client = ready(&place, ClientConfig::default());
            assert_eq!(client.lookup(&["/a", "/b", "/c"]).map(|_| ()), Err(expected));
            assert_eq!(client.state(), ClientState::Broken);
            assert_eq!(client.status().counters.errors.violations, 1);
            server.stop();
        }
    });
}

#[test]
fn a_malformed_answer_ends_the_session() {
    over_each(|| {
        let place = Place::new();
        let server = server(&place, |_, _| vec![1; 50]);
        let mut client = ready(&place, ClientConfig::default());
        assert!(matches!(client.lookup(&["/a"]), Err(CallError::Malformed(_))));
        assert_eq!(client.state(), ClientState::Broken);
        server.stop();
    });
}

/// Answers two keys a sub-request, with the generation that `generation` gives it.
fn changing(place: &Place, generation: impl Fn(usize) -> u64 + Send + Sync + 'static) -> Server {
    use cgroups_lookup::Status::{Known, PayloadExceeded};
    server(place, move |call, request| {
        let statuses = [Known, Known].into_iter().chain(std::iter::repeat(PayloadExceeded));
        let items = request.keys().zip(statuses).map(|(key, status)| item(key, status)).collect();
        response(generation(call), items)
    })
}

#[test]
fn a_generation_that_changes_starts_the_lookup_again_once() {
    over_each(|| {
        let place = Place::new();
        let server = changing(&place, |call| if call < 2 { 1 } else { 2 });
        let mut client = ready(&place, ClientConfig::default());
        let keys = paths(6);
        let answer = client.lookup(&keys).expect("an answer");
        assert_eq!((answer.len(), answer.generation()), (6, 2));
        for (item, key) in answer.items().zip(&keys) {
            assert_eq!(item.path(), key.as_str());
        }
        let counters = client.status().counters;
        assert_eq!((counters.sub_calls, counters.restarted_lookups), (3 + 3, 1));
        server.stop();
    });
}

#[test]
fn a_generation_that_keeps_changing_fails_the_lookup_and_not_the_session() {
    over_each(|| {
        let place = Place::new();
        let generation = AtomicU64::new(0);
        let server = changing(&place, move |_| generation.fetch_add(1, Ordering::SeqCst));
        let mut client = ready(&place, ClientConfig::default());
        let changed = Err(CallError::Lookup(LookupError::GenerationChanged));
        assert_eq!(client.lookup(&paths(6)).map(|_| ()), changed);
        assert!(client.ready());
        assert!(client.lookup(&paths(2)).is_ok(), "one sub-request cannot disagree with itself");
        server.stop();
    });
}

#[test]
fn ceilings_of_sub_requests_and_of_bytes() {
    over_each(|| {
        let place = Place::new();
        let server = changing(&place, |_| GENERATION);
        let config = ClientConfig { max_lookup_sub_calls: 3, ..ClientConfig::default() };
        let mut client = ready(&place, config);
        assert!(client.lookup(&paths(6)).is_ok());
        let error = client.lookup(&paths(7)).map(|_| ());
        assert_eq!(error, Err(CallError::Lookup(LookupError::TooManySubCalls { ceiling: 3 })));
        assert!(client.ready());
        let len =
            response(GENERATION, vec![item(b"/a", cgroups_lookup::Status::Known)]).len() as u64;
        for (ceiling_bytes, fits) in [(len, true), (len - 1, false)] {
            let config = ClientConfig {
                max_lookup_response_bytes: ceiling_bytes,
                ..ClientConfig::default()
            };
            let mut client = ready(&place, config);
            let result = client.lookup(&["/a"]).map(|_| ());
            let error = CallError::Lookup(LookupError::AnswerTooLarge { ceiling_bytes });
            assert_eq!(result, if fits { Ok(()) } else { Err(error) });
            assert!(client.ready());
        }
        server.stop();
    });
}

/// Serves honestly whoever proposes requests of at most `maximum` bytes.
fn honest_up_to(place: &Place, maximum: u32) -> Server {
    Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
        let hello = peer.hello();
        if hello.request.payload_bytes > maximum {
            return peer.refuse(Status::LIMIT_EXCEEDED);
        }
        let session = peer.ack(&hello, Grant::responses_of(1 << 20));
        serve(&mut peer, &session);
    })
}

#[test]
fn sub_requests_are_planned_for_what_the_client_takes() {
    over_each(|| {
        let place = Place::new();
        let server = honest_server(&place, 1 << 20);
        let config = ClientConfig { max_response_payload_bytes: 4096, ..ClientConfig::default() };
        let mut client = ready(&place, config);
        let keys: Vec<String> = (0..300).map(|index| format!("/{index:03}/")).collect();
        assert_eq!(client.lookup(&keys).map(|answer| answer.len()), Ok(300));
        assert!(client.status().counters.sub_calls > 1);
        server.stop();
    });
}

#[test]
fn a_long_key_gets_a_session_of_its_size() {
    over_each(|| {
        let place = Place::new();
        let server = honest_up_to(&place, 1 << 20);
        let mut client = ready(&place, ClientConfig::default());
        let long = format!("/{}/0", "l".repeat(100_000));
        let answer = client.lookup(&["/a/1", &long, "/b/2"]).expect("an answer");
        let statuses: Vec<_> = answer.items().map(|item| item.status()).collect();
        assert_eq!(statuses, [cgroups_lookup::Status::Known; 3]);
        assert_eq!(answer.get(1).expect("an item").path(), long.as_str());
        assert_eq!((server.accepted(), client.status().counters.larger_requests), (2, 1));
        server.stop();
    });
}

#[test]
fn a_single_item_that_does_not_fit_grows_the_limit() {
    over_each(|| {
        let place = Place::new();
        let limit = AtomicU64::new(1024);
        let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
            let agreed = limit.load(Ordering::SeqCst) as u32;
            let session = peer.accept_with(Grant::responses_of(agreed));
            while let Some((header, payload)) = peer.request(&session) {
                let alone = RequestView::decode(&payload).expect("a good request").len() == 1;
                // A server below its ceiling has a single key's item grow the limit.
                let answer = provide(&payload, agreed, GENERATION).filter(|answer| {
                    !alone || first_status(answer) == cgroups_lookup::Status::Known
                });
                let Some(answer) = answer else {
                    limit.store(u64::from(agreed) * 2, Ordering::SeqCst);
                    peer.fail(&header, Status::LIMIT_EXCEEDED);
                    return peer.hold();
                };
                peer.answer(&session, &header, &answer);
            }
        });
        let mut client = ready(&place, ClientConfig::default());
        let answer = client.lookup(&["/a/0", "/b/3000", "/c/0"]).expect("an answer");
        let lens: Vec<_> = answer.items().map(|item| item.name().len()).collect();
        assert_eq!(lens, [0, 3000, 0]);
        assert_eq!((server.accepted(), client.status().counters.growths), (3, 2));
        server.stop();
    });
}

fn first_status(answer: &[u8]) -> cgroups_lookup::Status {
    ResponseView::decode(answer).expect("valid").get(0).expect("an item").status()
}

#[test]
fn a_key_too_long_for_the_server_or_the_client_is_oversized() {
    over_each(|| {
        use cgroups_lookup::Status::{Known, OversizedItem};
        let place = Place::new();
        let server = honest_up_to(&place, 65_536);
        let mut client = ready(&place, ClientConfig::default());
        let long = format!("/{}/0", "l".repeat(100_000));
        let longer = format!("/{}/0", "l".repeat(2 << 20));
        let keys = ["/a/1", &long, "/b/2", &longer, &long, "/c/3"];
        let answer = client.lookup(&keys).expect("an answer");
        let statuses: Vec<_> = answer.items().map(|item| item.status()).collect();
        assert_eq!(statuses, [Known, OversizedItem, Known, OversizedItem, OversizedItem, Known]);
        for (item, key) in answer.items().zip(keys) {
            assert_eq!(item.path(), key);
        }
        assert_eq!(server.accepted(), 3, "refused once, and back to what was accepted");
        assert!(client.ready());
        server.stop();
    });
}

#[test]
fn a_lookup_that_no_request_of_the_client_holds_is_too_large() {
    over_each(|| {
        let place = Place::new();
        let server = honest_up_to(&place, 1 << 20);
        // One byte less than the question for no keys.
        let ceiling = 15;
        let config = ClientConfig { max_request_payload_bytes: ceiling, ..ClientConfig::default() };
        let mut client = ready(&place, config);
        let too_large = CallError::RequestTooLarge { ceiling };
        for keys in [&[][..], &["/a/1"], &["/a/1", "/b/2"]] {
            assert_eq!(client.lookup(keys).map(|_| ()), Err(too_large.clone()), "{keys:?}");
            assert!(client.ready(), "its session goes on");
        }
        assert_eq!((server.accepted(), client.status().counters.larger_requests), (1, 0));
        server.stop();
    });
}

#[test]
fn keys_that_the_schema_forbids_are_the_callers_mistake() {
    over_each(|| {
        let place = Place::new();
        let server = honest_up_to(&place, 65_536);
        let mut client = ready(&place, ClientConfig::default());
        let long_with_nul = format!("/{}\0", "l".repeat(2 << 20));
        for key in ["", "/a\0b", &long_with_nul] {
            assert!(matches!(client.lookup(&["/a/1", key]), Err(CallError::Build(_))));
            assert!(client.ready());
        }
        assert_eq!(client.status().counters.errors.caller, 3);
        server.stop();
    });
}

#[test]
fn a_session_lost_in_the_midst_is_replaced_and_the_rest_planned_for_the_new_one() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |number, mut peer| {
            // The one that comes after a restart is smaller.
            let limit = [16_384, 1024][number.min(1)];
            let session = peer.accept_with(Grant::responses_of(limit));
            if number == 0 {
                let (header, payload) = peer.request(&session).expect("a request");
                let answer = provide(&payload, limit, GENERATION).expect("it fits");
                peer.answer(&session, &header, &answer);
                peer.request(&session);
                return;
            }
            serve(&mut peer, &session);
        });
        let mut client = ready(&place, ClientConfig::default());
        let keys = paths(300);
        let answer = client.lookup(&keys).expect("an answer");
        for (item, key) in answer.items().zip(&keys) {
            assert_eq!(item.path(), key.as_str());
        }
        let counters = client.status().counters;
        assert_eq!((counters.resends, counters.reconnects), (1, 1));
        server.stop();
    });
}

#[test]
fn a_lookup_that_loses_two_sessions_fails() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept_with(Grant::responses_of(1024));
            let (header, payload) = peer.request(&session).expect("a request");
            let answer = provide(&payload, 1024, GENERATION).expect("it fits");
            peer.answer(&session, &header, &answer);
            peer.request(&session);
        });
        let mut client = ready(&place, ClientConfig::default());
        assert_eq!(client.lookup(&paths(100)).map(|_| ()), Err(CallError::PeerGone));
        assert_eq!((server.accepted(), client.state()), (2, ClientState::Broken));
        server.stop();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the limits and the sizes, every key has its item, in order.
    #[test]
    fn answers_are_stitched_in_order(
        response_bytes in 64_u32..6_000,
        request_bytes in 40_u32..3_000,
        keys in prop::collection::vec(("[a-z]{1,40}", 0_usize..2_000), 0..40),
    ) {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
            let hello = peer.hello();
            let session = peer.ack(&hello, Grant::responses_of(response_bytes));
            serve(&mut peer, &session);
        });
        let config = ClientConfig {
            max_request_payload_bytes: request_bytes,
            ..ClientConfig::default()
        };
        let mut client = ready(&place, config);
        let keys: Vec<String> =
            keys.iter().map(|(path, len)| format!("/{path}/{len}")).collect();
        match client.lookup(&keys) {
            Ok(answer) => {
                prop_assert_eq!(answer.len(), keys.len());
                for (item, key) in answer.items().zip(&keys) {
                    prop_assert_eq!(item.path(), key.as_str());
                    let name = name_of(key.as_bytes());
                    let alone = 16 + 8 + 28 + key.len() + 1 + name.len() + 1;
                    let sendable = 16 + 8 + key.len() < request_bytes as usize;
                    let fits = alone <= response_bytes as usize && sendable;
                    let status = item.status();
                    let expected = if fits {
                        cgroups_lookup::Status::Known
                    } else {
                        cgroups_lookup::Status::OversizedItem
                    };
                    prop_assert_eq!(status, expected, "{}", key);
                    if fits {
                        prop_assert_eq!(item.name(), &name[..]);
                    }
                }
            }
            Err(error) => {
                // Only where not even the smallest answer to some key fits.
                prop_assert!(matches!(error, CallError::LimitExceeded(_)), "{error:?}");
                let smallest = keys.iter().map(|key| 16 + 8 + 30 + key.len()).max();
                prop_assert!(smallest > Some(response_bytes as usize));
            }
        }
        server.stop();
    }
}

/// The hand-written answers above are what the codec reads.
#[test]
fn hand_written_answers_decode() {
    over_each(|| {
        let payload = response(1, vec![item(b"/x", cgroups_lookup::Status::Known)]);
        assert_eq!(ResponseView::decode(&payload).expect("valid").len(), 1);
    });
}
