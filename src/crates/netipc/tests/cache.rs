//! The snapshot cache: what it serves, and that nothing that goes wrong takes that away.

mod client_support;

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use client_support::scripted::{Grant, Peer, Server};
use client_support::services::CgroupsSnapshot;
use client_support::{Place, offering, over_each};
use netipc::Status;
use netipc::cache::{Cache, Contents};
use netipc::client::{CallError, ClientConfig, ClientState};
use netipc::codec::{BuildError, DecodeError, Records};
use netipc::service::{Service, Snapshot, SnapshotItemView};
use netipc_proto::growth::doubled;
use netipc_services::cgroups_snapshot::{Item, ItemView, Response};

const SERVICE: &str = "snapshot";

fn cache(place: &Place) -> Cache<CgroupsSnapshot> {
    Cache::new(place.endpoint(SERVICE), offering(ClientConfig::default()))
}

fn get<'a>(contents: &'a Contents<CgroupsSnapshot>, hash: u32, name: &str) -> Option<ItemView<'a>> {
    contents.get(&(hash, name.into()))
}

fn item(hash: u32, name: &str, path: &str) -> Item {
    Item { hash, options: 0, enabled: 1, name: name.into(), path: path.into() }
}

/// The same service, whose items all hash alike.
#[derive(Debug)]
enum Colliding {}

struct Unhashed(u32);

impl Hash for Unhashed {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Service for Colliding {
    const NAME: &'static str = CgroupsSnapshot::NAME;
    const METHOD: u16 = CgroupsSnapshot::METHOD;
    type Request<'a> = <CgroupsSnapshot as Service>::Request<'a>;
    type Response<'a> = <CgroupsSnapshot as Service>::Response<'a>;

    fn decode_request(payload: &[u8]) -> Result<Self::Request<'_>, DecodeError> {
        CgroupsSnapshot::decode_request(payload)
    }

    fn decode_response(payload: &[u8]) -> Result<Self::Response<'_>, DecodeError> {
        CgroupsSnapshot::decode_response(payload)
    }
}

impl Snapshot for Colliding {
    type Item = Item;
    type Identity<'a> = Unhashed;
    type ResponseBuilder<'b> = <CgroupsSnapshot as Snapshot>::ResponseBuilder<'b>;

    fn write_request(out: &mut [u8]) -> Result<usize, BuildError> {
        CgroupsSnapshot::write_request(out)
    }

    fn generation(response: &Self::Response<'_>) -> u64 {
        CgroupsSnapshot::generation(response)
    }

    fn items<'a>(response: &Self::Response<'a>) -> Records<'a, Item> {
        CgroupsSnapshot::items(response)
    }

    fn identity<'a>(item: &SnapshotItemView<'a, Self>) -> Self::Identity<'a> {
        Unhashed(item.hash())
    }

    fn is(item: &SnapshotItemView<'_, Self>, wanted: &Unhashed) -> bool {
        item.hash() == wanted.0
    }

    fn response_builder(
        out: &mut [u8],
        expected: usize,
    ) -> Result<Self::ResponseBuilder<'_>, BuildError> {
        CgroupsSnapshot::response_builder(out, expected)
    }

    fn item_count(builder: &Self::ResponseBuilder<'_>) -> usize {
        CgroupsSnapshot::item_count(builder)
    }

    fn finish_response(builder: Self::ResponseBuilder<'_>) -> Result<usize, BuildError> {
        CgroupsSnapshot::finish_response(builder)
    }
}

/// A snapshot whose items all say its generation.
fn snapshot(generation: u64, items: Vec<Item>) -> Vec<u8> {
    let response = Response { generation, systemd_enabled: 1, items };
    let mut out = vec![0; response.encoded_len()];
    response.encode(&mut out).expect("it fits");
    out
}

/// Answers refresh after refresh with what `answer` says.
fn server(place: &Place, answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let refreshes = AtomicUsize::new(0);
    Server::start(&place.endpoint(SERVICE), move |_, mut peer| {
        let session = peer.accept_with(Grant::responses_of(16 << 20));
        peer.serve(&session, |_, _| answer(refreshes.fetch_add(1, Ordering::SeqCst)));
    })
}

#[test]
fn a_refresh_replaces_everything() {
    over_each(|| {
        let place = Place::new();
        let server = server(&place, |refresh| match refresh {
            0 => snapshot(1, vec![item(7, "a", "/a"), item(8, "b", "/b")]),
            _ => snapshot(2, vec![item(8, "b", "/elsewhere")]),
        });
        let mut cache = cache(&place);
        assert_eq!(cache.refresh(), Ok(()));
        let first = cache.load();
        assert_eq!((first.len(), first.generation()), (2, 1));
        assert_eq!(get(&first, 7, "a").expect("an item").path(), "/a");
        assert!(get(&first, 7, "b").is_none(), "hash and name");
        assert!(get(&first, 8, "a").is_none(), "hash and name");
        assert_eq!(first.response().expect("filled").systemd_enabled(), 1);
        assert_eq!(cache.refresh(), Ok(()));
        let second = cache.load();
        assert_eq!((second.len(), second.generation()), (1, 2));
        assert!(get(&second, 7, "a").is_none());
        assert_eq!(get(&second, 8, "b").expect("an item").path(), "/elsewhere");
        // What was loaded before stays as it was.
        assert_eq!(get(&first, 7, "a").expect("an item").path(), "/a");
        let names: Vec<_> = first.items().map(|item| item.name().to_string()).collect();
        assert_eq!(names, ["a", "b"]);
        server.stop();
        drop(cache);
        assert_eq!(get(&first, 8, "b").expect("an item").path(), "/b", "and without its cache");
    });
}

#[test]
fn an_answer_of_the_same_bytes_counts_and_changes_nothing() {
    let place = Place::new();
    let server = server(&place, |refresh| match refresh {
        0..=2 => snapshot(1, vec![item(7, "a", "/a")]),
        // The bytes decide, not what the provider calls them.
        3 => snapshot(1, vec![item(7, "a", "/b")]),
        _ => snapshot(2, vec![item(7, "a", "/b")]),
    });
    let mut cache = cache(&place);
    cache.refresh().expect("filled");
    let first = cache.load().keep();
    for refreshes in 2..=3 {
        let asked = Instant::now();
        assert_eq!(cache.refresh(), Ok(()));
        assert!(Arc::ptr_eq(&first, &cache.load().keep()));
        let status = cache.status();
        assert_eq!((status.refreshes, status.failures), (refreshes, 0));
        assert!(status.age < Some(asked.elapsed()), "as old as the last answer");
        assert_eq!(status.client.counters.calls, refreshes);
    }
    cache.refresh().expect("filled");
    assert_eq!(cache.load().generation(), 1);
    assert_eq!(get(&cache.load(), 7, "a").expect("an item").path(), "/b");
    cache.refresh().expect("filled");
    assert_eq!(cache.load().generation(), 2);
    assert_eq!(get(&first, 7, "a").expect("kept").path(), "/a");
    server.stop();
}

#[test]
fn an_answer_of_no_bytes_does_not_fill_an_empty_cache() {
    let place = Place::new();
    let server = server(&place, |_| Vec::new());
    let mut cache = cache(&place);
    for failures in 1..=2 {
        assert!(matches!(cache.refresh(), Err(CallError::Malformed(_))));
        assert!(!cache.ready());
        assert_eq!(cache.status().failures, failures);
    }
    server.stop();
}

#[test]
fn a_session_that_was_lost_meanwhile_is_replaced() {
    let place = Place::new();
    let answer = |_: usize| snapshot(1, vec![item(7, "a", "/a")]);
    let first = server(&place, answer);
    let mut cache = cache(&place);
    cache.refresh().expect("filled");
    first.stop();
    let second = server(&place, answer);
    assert_eq!(cache.refresh(), Ok(()));
    let status = cache.status();
    assert_eq!((status.refreshes, status.failures), (2, 0));
    assert_eq!(status.client.counters.reconnects, 1);
    second.stop();
    assert!(cache.refresh().is_err());
    assert_eq!(cache.status().client.state, ClientState::NotFound);
}

#[test]
fn an_empty_cache_says_not_found() {
    let place = Place::new();
    let mut cache = cache(&place);
    assert!(!cache.ready());
    assert!(get(&cache.load(), 1, "a").is_none());
    assert!(cache.load().response().is_none());
    let error = cache.refresh().expect_err("nobody serves");
    assert_eq!(error, CallError::NotReady { state: ClientState::NotFound });
    let server = server(&place, |_| snapshot(5, Vec::new()));
    assert_eq!(cache.refresh(), Ok(()));
    assert!(cache.ready(), "filled, with nothing");
    assert!(cache.load().is_empty());
    assert!(get(&cache.load(), 1, "a").is_none());
    server.stop();
}

#[test]
fn whatever_goes_wrong_the_data_is_kept() {
    over_each(|| {
        let place = Place::new();
        let broken: [fn(Vec<u8>) -> Vec<u8>; 4] = [
            |good| good[..good.len() - 1].to_vec(),
            |_| Vec::new(),
            |good| [vec![9], good[1..].to_vec()].concat(),
            |good| [good[..4].to_vec(), vec![0xFF; 4], good[8..].to_vec()].concat(),
        ];
        let server = server(&place, move |refresh| {
            let good = snapshot(refresh as u64 + 1, vec![item(7, "a", "/a")]);
            match refresh {
                1..=4 => broken[refresh - 1](good),
                _ => good,
            }
        });
        let mut cache = cache(&place);
        assert_eq!(cache.refresh(), Ok(()));
        for failures in 1..=4 {
            assert!(matches!(cache.refresh(), Err(CallError::Malformed(_))), "{failures}");
            assert_eq!(cache.load().generation(), 1);
            assert_eq!(get(&cache.load(), 7, "a").expect("kept").path(), "/a");
            let status = cache.status();
            assert_eq!((status.refreshes, status.failures), (1, failures));
            assert!(status.last_error.expect("an error").contains("malformed"));
        }
        assert_eq!(cache.refresh(), Ok(()), "the session was replaced");
        assert_eq!(cache.load().generation(), 6);
        server.stop();
        assert!(cache.refresh().is_err());
        assert_eq!(cache.load().generation(), 6, "the provider is gone, its data is not");
        assert!(cache.ready());
        let status = cache.status();
        assert_eq!(status.client.state, ClientState::NotFound);
        assert!(status.filled && status.age.is_some());
    });
}

#[test]
fn the_status_tells_what_a_supporter_needs() {
    over_each(|| {
        let place = Place::new();
        let server = server(&place, |_| snapshot(9, vec![item(7, "a", "/a"), item(8, "b", "/b")]));
        let mut cache = cache(&place);
        assert_eq!(cache.status().age, None);
        cache.refresh().expect("filled");
        let status = cache.status();
        assert_eq!((status.generation, status.items, status.refreshes), (9, 2, 1));
        assert_eq!(status.payload_bytes, cache.load().payload().len());
        assert_eq!((status.failures, status.last_error), (0, None));
        let later = cache.status();
        assert!(later.age >= status.age && later.age.is_some(), "it grows old");
        assert_eq!(later.client.counters.calls, 1);
        server.stop();
    });
}

/// A provider as ours is: it starts at 65,536 bytes and grows.
fn growing(place: &Place, payload: Vec<u8>) -> Server {
    let limit = AtomicU64::new(65_536);
    Server::start(&place.endpoint(SERVICE), move |_, mut peer: Peer| {
        let agreed = limit.load(Ordering::SeqCst) as u32;
        let session = peer.accept_with(Grant::responses_of(agreed));
        while let Some((header, _)) = peer.request(&session) {
            if payload.len() <= agreed as usize {
                peer.answer(&session, &header, &payload);
                continue;
            }
            limit.store(u64::from(doubled(agreed, 16 << 20)), Ordering::SeqCst);
            peer.fail(&header, Status::LIMIT_EXCEEDED);
            return peer.hold();
        }
    })
}

#[test]
fn a_thousand_of_the_largest_and_ten_thousand_ordinary_items() {
    over_each(|| {
        let largest =
            |index: u32| item(index, &format!("{index:0>255}"), &format!("/{index:0>4094}"));
        let ordinary =
            |index: u32| item(index, &format!("unit-{index}"), &format!("/slice/{index}"));
        let sizes: [(u32, &dyn Fn(u32) -> Item); 2] = [(1_000, &largest), (10_000, &ordinary)];
        for (count, make) in sizes {
            let place = Place::new();
            let items: Vec<Item> = (0..count).map(make).collect();
            let server = growing(&place, snapshot(3, items.clone()));
            let mut cache = cache(&place);
            assert_eq!(cache.refresh(), Ok(()));
            let contents = cache.load();
            assert_eq!(contents.len(), items.len());
            for item in &items {
                let found = contents.get(&(item.hash, item.name.as_ref())).expect("an item");
                assert_eq!(found.path(), item.path);
            }
            assert!(get(&contents, 0, "another").is_none());
            server.stop();
        }
    });
}

#[test]
fn of_two_items_with_one_identity_the_first_is_found() {
    over_each(|| {
        let place = Place::new();
        let server = server(&place, |_| {
            snapshot(1, (0..100).map(|index| item(1, "a", &format!("/{index}"))).collect())
        });
        let mut cache = cache(&place);
        cache.refresh().expect("filled");
        assert_eq!(cache.load().len(), 100);
        assert_eq!(get(&cache.load(), 1, "a").expect("an item").path(), "/0");
        server.stop();
    });
}

/// Who reads the payload in another language finds there what is found here.
#[test]
fn where_items_lie_is_told_for_who_reads_them_elsewhere() {
    over_each(|| {
        let place = Place::new();
        let items: Vec<_> = (0..100).map(|n| item(n, &format!("name-{n}"), "/a/path")).collect();
        let payload = snapshot(1, items.clone());
        let sent = payload.clone();
        let server = server(&place, move |_| sent.clone());
        let mut cache = cache(&place);
        assert!(cache.load().table().is_none(), "nothing is in it");
        assert_eq!(cache.refresh(), Ok(()));
        let contents = cache.load();
        assert_eq!(contents.places().len(), items.len());
        let table = contents.table().expect("of quick hashes");
        assert!(table.slots.len().is_power_of_two() && table.slots.len() > items.len());
        for (item, place) in items.iter().zip(contents.places()) {
            let name = format!("name-{}", item.hash);
            let found = contents.place(&(item.hash, name.as_str().into())).expect("is there");
            assert_eq!((found.start, found.len), (place.start, place.len));
            let bytes = &payload[place.start as usize..][..place.len as usize];
            assert!(bytes.windows(name.len()).any(|window| window == name.as_bytes()));
            assert!(table.slots.iter().any(|slot| slot.place.start == place.start));
        }
        assert!(contents.place(&(0, "name-1".into())).is_none(), "hash and name");
        server.stop();
    });
}

#[test]
fn many_items_of_one_hash_are_told_apart_by_name() {
    over_each(|| {
        let place = Place::new();
        let server = server(&place, |_| {
            snapshot(
                1,
                (0..500).map(|index| item(1, &index.to_string(), &index.to_string())).collect(),
            )
        });
        let mut cache = cache(&place);
        cache.refresh().expect("filled");
        let contents = cache.load();
        for index in 0..500 {
            let name = index.to_string();
            assert_eq!(get(&contents, 1, &name).expect("an item").path(), name.as_str());
        }
        server.stop();
    });
}

#[test]
fn items_whose_identities_collide_are_told_apart() {
    over_each(|| {
        let place = Place::new();
        let server = server(&place, |_| {
            snapshot(1, (0..50).map(|index| item(index, "a", &index.to_string())).collect())
        });
        let mut cache =
            Cache::<Colliding>::new(place.endpoint(SERVICE), offering(ClientConfig::default()));
        cache.refresh().expect("filled");
        let contents = cache.load();
        for index in 0..50 {
            let found = contents.get(&Unhashed(index)).expect("an item");
            assert_eq!((found.hash(), found.path()), (index, index.to_string().as_str().into()));
        }
        assert!(contents.get(&Unhashed(50)).is_none());
        server.stop();
    });
}

#[test]
fn readers_see_whole_snapshots_while_they_are_replaced() {
    over_each(|| {
        const REFRESHES: u64 = 200;
        let place = Place::new();
        // All items of a snapshot carry its generation in their path.
        let server = server(&place, |refresh| {
            let path = refresh.to_string();
            let items = (0..50).map(|index| item(index, "unit", &path)).collect();
            snapshot(refresh as u64, items)
        });
        let mut cache = cache(&place);
        cache.refresh().expect("filled");
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (reader, done) = (cache.reader(), Arc::clone(&done));
                thread::spawn(move || {
                    let (mut loads, mut newest) = (0_u64, 0);
                    while !done.load(Ordering::Acquire) || loads == 0 {
                        let contents = reader.load();
                        let generation = contents.generation();
                        assert!(generation >= newest, "never back");
                        newest = generation;
                        let path = generation.to_string();
                        for hash in [0, 49] {
                            let item = get(&contents, hash, "unit").expect("an item");
                            assert_eq!(item.path(), path.as_str());
                        }
                        loads += 1;
                    }
                    newest
                })
            })
            .collect();
        for _ in 0..REFRESHES {
            cache.refresh().expect("filled");
        }
        assert_eq!(cache.load().generation(), REFRESHES);
        done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().expect("no wrong answer") <= REFRESHES);
        }
        server.stop();
    });
}

#[test]
fn what_is_kept_outlives_refreshes() {
    over_each(|| {
        let place = Place::new();
        let server = server(&place, |refresh| snapshot(refresh as u64, vec![item(1, "a", "/a")]));
        let mut cache = cache(&place);
        cache.refresh().expect("filled");
        let kept: Vec<_> = (0..20)
            .map(|_| {
                let kept = cache.load().keep();
                cache.refresh().expect("filled");
                kept
            })
            .collect();
        for (generation, contents) in kept.iter().enumerate() {
            assert_eq!(contents.generation(), generation as u64);
            assert_eq!(get(contents, 1, "a").expect("an item").path(), "/a");
        }
        server.stop();
    });
}
