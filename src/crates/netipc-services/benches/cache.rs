//! What a lookup in a cache costs, on one core, in a snapshot that is held and in one that is loaded
//! each time; what another snapshot costs a cache.
//!
//! `cargo bench -p netipc-services --bench cache`. Each answer is compared with what the provider
//! said of that item: a benchmark of wrong answers is none. The allocation columns of the lookups
//! must stay empty.

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use netipc::Endpoint;
use netipc::client::ClientConfig;
use netipc::server::{RunningServer, ServerConfig};
use netipc_services::cgroups_snapshot::{Cache, SERVICE, Server};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Few items, which the goal of 150,000,000 lookups a second is for, and many.
const ITEMS: [usize; 2] = [16, 10_000];
/// Lookups that are measured at once.
const LOOKUPS: usize = 20_000;

fn main() {
    divan::main();
}

/// A cache that was filled by a provider, and what to ask it for, in an order of no pattern.
struct Filled {
    cache: Cache,
    /// The provider, and where it was found.
    _provider: (RunningServer, tempfile::TempDir),
    /// Hash, name and what the item's `options` are; as many as are looked up at once.
    asked: Vec<(u32, String, u32)>,
}

/// How items are named: as people name containers, and as their runtimes do.
const NAMES: [fn(usize) -> String; 2] = [short_name, long_name];

fn short_name(item: usize) -> String {
    format!("docker-web-{item:05}")
}

fn long_name(item: usize) -> String {
    format!(
        "docker-{:032x}",
        (item as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    )
}

impl Filled {
    fn new(items: usize, name: fn(usize) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::new(directory.path(), SERVICE).unwrap();
        let server = Server::bind(&endpoint, ServerConfig::default()).unwrap();
        let running = server
            .spawn(move |_, response| {
                response.generation(1);
                for index in 0..items {
                    let (name, path) = (name(index), format!("/system.slice/{}", name(index)));
                    let item = response.item().hash(fnv1(&name)).options(options(index));
                    item.name(&name).path(&path).enabled(1).finish()?;
                }
                Ok(())
            })
            .unwrap();
        let mut cache = Cache::new(endpoint, ClientConfig::default());
        cache.refresh().unwrap();
        assert_eq!(cache.load().len(), items);
        let asked = (0..LOOKUPS).map(|lookup| {
            let index = shuffled(lookup, items);
            (fnv1(&name(index)), name(index), options(index))
        });
        Self { cache, asked: asked.collect(), _provider: (running, directory) }
    }
}

/// The hash that providers in the field give their items (spec section 10.3).
fn fnv1(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte))
}

/// Something to tell items apart by when they are found.
const fn options(index: usize) -> u32 {
    index as u32 ^ 0x5a5a
}

/// All items, each as often as the others, with steps that share no factor with their number.
const fn shuffled(lookup: usize, items: usize) -> usize {
    const STEP: usize = 7_919;
    (lookup * STEP) % items
}

#[divan::bench(args = ITEMS, consts = [0, 1])]
fn hits_held<const NAME: usize>(bencher: Bencher<'_, '_>, items: usize) {
    let filled = Filled::new(items, NAMES[NAME]);
    let snapshot = filled.cache.load();
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let snapshot = black_box(&snapshot);
        let right = filled.asked.iter().filter(|(hash, name, options)| {
            snapshot.get(*hash, name).is_some_and(|item| item.options() == *options)
        });
        assert_eq!(right.count(), LOOKUPS);
    });
}

/// One after the other: nothing of a lookup begins before the last one's answer is there.
#[divan::bench(args = ITEMS, consts = [0, 1])]
fn hits_held_one_by_one<const NAME: usize>(bencher: Bencher<'_, '_>, items: usize) {
    let filled = Filled::new(items, NAMES[NAME]);
    let snapshot = filled.cache.load();
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let snapshot = black_box(&snapshot);
        let mut wrong = 0;
        for (hash, name, options) in &filled.asked {
            // What the last answer was is part of the next question, and is nothing.
            let item = snapshot.get(*hash ^ wrong, name);
            wrong |= item.map_or(u32::MAX, |item| item.options() ^ *options);
        }
        assert_eq!(wrong, 0);
    });
}

#[divan::bench(args = ITEMS)]
fn hits_loaded_each_time(bencher: Bencher<'_, '_>, items: usize) {
    let filled = Filled::new(items, short_name);
    let reader = filled.cache.reader();
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let right = filled.asked.iter().filter(|(hash, name, options)| {
            reader.load().get(*hash, name).is_some_and(|item| item.options() == *options)
        });
        assert_eq!(right.count(), LOOKUPS);
    });
}

#[divan::bench(args = ITEMS)]
fn misses_held(bencher: Bencher<'_, '_>, items: usize) {
    let filled = Filled::new(items, short_name);
    let snapshot = filled.cache.load();
    let absent: Vec<_> = (0..LOOKUPS).map(|n| short_name(items + n)).collect();
    let absent: Vec<_> = absent.iter().map(|name| (fnv1(name), name)).collect();
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let snapshot = black_box(&snapshot);
        let found = absent.iter().filter(|(hash, name)| snapshot.get(*hash, name).is_some());
        assert_eq!(found.count(), 0);
    });
}

/// A hash that is there, with a name that is not.
#[divan::bench(args = ITEMS)]
fn other_names_held(bencher: Bencher<'_, '_>, items: usize) {
    let filled = Filled::new(items, short_name);
    let snapshot = filled.cache.load();
    bencher.counter(ItemsCount::new(LOOKUPS)).bench_local(|| {
        let snapshot = black_box(&snapshot);
        let found = filled
            .asked
            .iter()
            .filter(|(hash, ..)| snapshot.get(*hash, "docker-web-none!").is_some());
        assert_eq!(found.count(), 0);
    });
}
