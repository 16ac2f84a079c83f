//! What a codec costs in process, on one core: building an answer, checking it, reading all of it.
//!
//! `cargo bench -p netipc-services`. Every answer is validated: a benchmark of wrong answers is none.
//! The allocation columns must stay empty.

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use netipc::codec::ResponseBudget;
use netipc_services::cgroups_lookup::{
    Orchestrator, RequestBuilder, RequestView, ResponseBuilder, ResponseView, Status,
};
use netipc_services::cgroups_snapshot;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const KEYS: usize = 16;
const GENERATION: u64 = 42;
const BUFFER_BYTES: usize = 65_536;

fn main() {
    divan::main();
}

/// The work that the project measures itself by: 16 keys, a path of 27 bytes, a name of 10, two
/// labels of 8 and 16 bytes.
struct Lookup {
    request: Vec<u8>,
    names: Vec<String>,
    labels: [(&'static str, &'static str); 2],
    /// Bytes of all strings of one answer, which a reader must come to.
    text_bytes: usize,
}

impl Lookup {
    fn new() -> Self {
        let paths: Vec<_> = (0..KEYS).map(|key| format!("/system.slice/docker-{key:06}")).collect();
        let names: Vec<_> = (0..KEYS).map(|key| format!("name-{key:05}")).collect();
        let labels = [("key-0001", "value-0123456789"), ("key-0002", "value-9876543210")];
        assert_eq!((paths[0].len(), names[0].len()), (27, 10));
        assert_eq!((labels[0].0.len(), labels[0].1.len()), (8, 16));
        let mut request = vec![0; BUFFER_BYTES];
        let mut builder = RequestBuilder::new(&mut request, KEYS).unwrap();
        for path in &paths {
            builder.push(path).unwrap();
        }
        let len = builder.finish().unwrap();
        request.truncate(len);
        let text_bytes = KEYS * (27 + 10 + 2 * (8 + 16));
        Self { request, names, labels, text_bytes }
    }

    fn build<'b>(&'b self, request: &RequestView<'b>, out: &'b mut [u8]) -> usize {
        let budget = ResponseBudget { out, at_ceiling: false };
        let mut response = ResponseBuilder::new(request, budget).unwrap();
        response.generation(GENERATION);
        for (key, name) in request.keys().zip(&self.names) {
            let item = response.known(key).orchestrator(Orchestrator::DOCKER);
            item.name(name).labels(self.labels).finish().unwrap();
        }
        response.finish().unwrap()
    }

    /// Reads every field and label, and panics unless they are what was built.
    fn read(&self, response: &ResponseView<'_>) {
        let mut text_bytes = 0;
        assert_eq!((response.generation(), response.len()), (GENERATION, KEYS));
        for item in response.items() {
            assert_eq!(item.status(), Status::Known);
            assert_eq!(item.orchestrator(), Orchestrator::DOCKER);
            text_bytes += black_box(item.path()).len() + black_box(item.name()).len();
            for label in item.labels() {
                text_bytes += black_box(label.key).len() + black_box(label.value).len();
            }
        }
        assert_eq!(text_bytes, self.text_bytes);
    }
}

/// The goal: 1,000,000 a second and more.
#[divan::bench]
fn lookup_16_build_decode_read(bencher: Bencher<'_, '_>) {
    let lookup = Lookup::new();
    let request = RequestView::decode(&lookup.request).unwrap();
    let mut out = vec![0; BUFFER_BYTES];
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        let len = lookup.build(black_box(&request), &mut out);
        lookup.read(&ResponseView::decode(black_box(&out[..len])).unwrap());
    });
}

#[divan::bench]
fn lookup_16_build(bencher: Bencher<'_, '_>) {
    let lookup = Lookup::new();
    let request = RequestView::decode(&lookup.request).unwrap();
    let mut out = vec![0; BUFFER_BYTES];
    let len = lookup.build(&request, &mut out);
    lookup.read(&ResponseView::decode(&out[..len]).unwrap());
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        assert_eq!(lookup.build(black_box(&request), &mut out), len);
    });
}

#[divan::bench]
fn lookup_16_decode(bencher: Bencher<'_, '_>) {
    let lookup = Lookup::new();
    let request = RequestView::decode(&lookup.request).unwrap();
    let mut out = vec![0; BUFFER_BYTES];
    let len = lookup.build(&request, &mut out);
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        let response = ResponseView::decode(black_box(&out[..len])).unwrap();
        assert_eq!(black_box(response).len(), KEYS);
    });
}

#[divan::bench]
fn lookup_16_decode_request(bencher: Bencher<'_, '_>) {
    let lookup = Lookup::new();
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        let request = RequestView::decode(black_box(&lookup.request)).unwrap();
        assert_eq!(black_box(request).len(), KEYS);
    });
}

/// What a lookup costs both ends, without what carries it: the request written and checked, the
/// answer written, checked, compared with the keys and read.
#[divan::bench]
fn lookup_16_both_ends(bencher: Bencher<'_, '_>) {
    let lookup = Lookup::new();
    let keys: Vec<_> = RequestView::decode(&lookup.request).unwrap().keys().collect();
    let mut asked = vec![0; BUFFER_BYTES];
    let mut out = vec![0; BUFFER_BYTES];
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        let mut builder = RequestBuilder::new(&mut asked, KEYS).unwrap();
        for key in black_box(&keys) {
            builder.push(*key).unwrap();
        }
        let len = builder.finish().unwrap();
        let request = RequestView::decode(black_box(&asked[..len])).unwrap();
        let len = lookup.build(&request, &mut out);
        let response = ResponseView::decode(black_box(&out[..len])).unwrap();
        assert!(response.items().zip(&keys).all(|(item, key)| item.path() == *key));
        lookup.read(&response);
    });
}

/// A snapshot of 16 items, as a handler writes it whose last one had as many.
fn write_snapshot(names: &[String], out: &mut [u8]) -> usize {
    let mut response = cgroups_snapshot::ResponseBuilder::new(out, names.len()).unwrap();
    response.generation(GENERATION);
    for (hash, name) in (0..).zip(names) {
        let item = response.item().hash(hash).enabled(1).name(name);
        item.path("/system.slice/docker-000000").finish().unwrap();
    }
    response.finish().unwrap()
}

#[divan::bench]
fn snapshot_16_build(bencher: Bencher<'_, '_>) {
    let names = Lookup::new().names;
    let mut out = vec![0; BUFFER_BYTES];
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        let len = write_snapshot(black_box(&names), &mut out);
        assert!(len > KEYS * 32);
    });
}

#[divan::bench]
fn snapshot_16_decode(bencher: Bencher<'_, '_>) {
    let mut out = vec![0; BUFFER_BYTES];
    let len = write_snapshot(&Lookup::new().names, &mut out);
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        let response = cgroups_snapshot::ResponseView::decode(black_box(&out[..len])).unwrap();
        assert_eq!(black_box(response).len(), KEYS);
    });
}

/// One item with that many labels: the throughput, in labels, must not fall as they grow.
#[divan::bench(args = [1, 16, 256, 4_096, 65_535])]
fn labels_build_decode_read(bencher: Bencher<'_, '_>, labels: usize) {
    const LABEL_BYTES: usize = 64;
    let pairs: Vec<_> =
        (0..labels).map(|n| (format!("key-{n:05}"), format!("value-{n:05}"))).collect();
    let mut request = vec![0; BUFFER_BYTES];
    let mut builder = RequestBuilder::new(&mut request, 1).unwrap();
    builder.push("/x").unwrap();
    let len = builder.finish().unwrap();
    let request = RequestView::decode(&request[..len]).unwrap();
    let mut out = vec![0; BUFFER_BYTES + labels * LABEL_BYTES];
    bencher.counter(ItemsCount::new(labels)).bench_local(|| {
        let budget = ResponseBudget { out: &mut out, at_ceiling: true };
        let mut response = ResponseBuilder::new(black_box(&request), budget).unwrap();
        response
            .known("/x")
            .labels(pairs.iter().map(|(key, value)| (key, value)))
            .finish()
            .unwrap();
        let len = response.finish().unwrap();
        let response = ResponseView::decode(black_box(&out[..len])).unwrap();
        let read = response.items().flat_map(|item| item.labels());
        let read = read.filter(|label| black_box(label.key).len() == 9 && label.value.len() == 11);
        assert_eq!(read.count(), labels);
    });
}
