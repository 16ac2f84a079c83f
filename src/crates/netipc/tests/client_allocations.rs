//! Once their buffers have grown, calls, lookups and reads of the cache allocate nothing.
//!
//! The counter counts for the thread that measures, so that scripted servers do not matter.

mod client_support;

use allocation_counter::measure;
use client_support::scripted::{Grant, Server};
use client_support::services::{AppsLookup, CgroupsSnapshot, Increment, Pid};
use client_support::{Place, offering, over_each};
use netipc::cache::Cache;
use netipc::client::{CallClient, CallError, ClientConfig, ClientState, LookupClient};
use netipc_services::{apps_lookup, cgroups_snapshot};

const SERVICE: &str = "hot";
const ROUNDS: u64 = 20;

/// Allocations of a second round of `work`, the first being its warm-up.
fn allocations(mut work: impl FnMut()) -> u64 {
    // Twice: a lookup writes its answer beside the last one.
    work();
    work();
    measure(|| (0..ROUNDS).for_each(|_| work())).count_total
}

/// The response limit of lookups.
const RESPONSE_BYTES: u32 = 4096;

/// An answer that knows every process, or as many as fit.
fn known(request: &[u8]) -> Vec<u8> {
    let request = apps_lookup::RequestView::decode(request).expect("a good request");
    let mut out = vec![0; RESPONSE_BYTES as usize];
    let budget = netipc::codec::ResponseBudget { out: &mut out, at_ceiling: true };
    let mut response = apps_lookup::ResponseBuilder::new(&request, budget).expect("it fits");
    for pid in request.keys() {
        response.known(pid).comm("init").cgroup_path("/").finish().expect("an item");
    }
    let len = response.finish().expect("all of them");
    out.truncate(len);
    out
}

#[test]
fn a_call_allocates_nothing() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept();
            peer.serve(&session, |_, payload| payload.to_vec());
        });
        let mut client = CallClient::<Increment>::new(
            place.endpoint(SERVICE),
            offering(ClientConfig::default()),
        );
        client.refresh();
        let call = || {
            let answer = client.call(|request| request.value(3).finish()).expect("an answer");
            assert_eq!(answer.value(), 3);
            let answers = client.batch(100, |index, request| request.value(index as u64).finish());
            assert_eq!(answers.expect("answers").get(99).map(|answer| answer.value()), Some(99));
            assert!(!client.refresh(), "its look costs nothing either");
        };
        assert_eq!(allocations(call), 0);
        server.stop();
    });
}

/// A client with a session whose answers are so short that a lookup of the keys takes several requests.
fn over_each_lookup(test: impl Fn(&mut LookupClient<AppsLookup>, &[Pid])) {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept_with(Grant::responses_of(RESPONSE_BYTES));
            peer.serve(&session, |_, payload| known(payload));
        });
        let config = offering(ClientConfig::default());
        let mut client = LookupClient::new(place.endpoint(SERVICE), config);
        client.refresh();
        let keys: Vec<Pid> = (0..500).map(Pid).collect();
        test(&mut client, &keys);
        server.stop();
    });
}

#[test]
fn a_lookup_of_several_sub_requests_allocates_nothing() {
    over_each_lookup(|client, keys| {
        let lookup = || {
            let answer = client.lookup(keys).expect("an answer");
            assert!(answer.items().zip(keys).all(|(item, key)| item.pid() == key.0));
        };
        assert_eq!(allocations(lookup), 0);
        assert!(client.status().counters.sub_calls > 2 * ROUNDS, "several each");
    });
}

#[test]
fn closing_gives_up_the_memory_of_answers() {
    over_each_lookup(|client, keys| {
        // One lookup keeps the items of the one before.
        let [_, items_len] =
            [(); 2].map(|()| client.lookup(keys).expect("an answer").parts().1.len());
        let closed = measure(|| client.close());
        assert!(closed.bytes_current <= -2 * items_len as i64, "{closed:?} of {items_len}");
        assert_eq!(
            client.lookup(keys).map(|_| ()),
            Err(CallError::NotReady { state: ClientState::Disconnected })
        );
        client.refresh();
        assert_eq!(client.lookup(keys).map(|answer| answer.len()), Ok(keys.len()));
    });
}

#[test]
fn reading_the_cache_allocates_nothing() {
    over_each(|| {
        let place = Place::new();
        let server = Server::start(&place.endpoint(SERVICE), |_, mut peer| {
            let session = peer.accept();
            peer.serve(&session, |_, _| {
                let mut out = vec![0; 4096];
                let mut response =
                    cgroups_snapshot::ResponseBuilder::new(&mut out, 1).expect("it fits");
                response.item().hash(1).name("a").path("/a").finish().expect("an item");
                let len = response.finish().expect("it fits");
                out.truncate(len);
                out
            });
        });
        let mut cache = Cache::<CgroupsSnapshot>::new(
            place.endpoint(SERVICE),
            offering(ClientConfig::default()),
        );
        cache.refresh().expect("filled");
        let read = || {
            let contents = cache.load();
            assert!(contents.get(&(1, "a".into())).is_some_and(|item| item.path() == "/a"));
            assert!(contents.get(&(2, "a".into())).is_none());
        };
        assert_eq!(allocations(read), 0);
        server.stop();
    });
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(vec![0_u8; 100])) > 0);
}
