//! Building, decoding and reading a lookup allocate nothing, whether its answer fits or not.

use allocation_counter::{AllocationInfo, measure};
use netipc::codec::{BStr, ResponseBudget};
use netipc_services::cgroups_lookup::{
    Orchestrator, RequestBuilder, RequestView, ResponseBuilder, ResponseView, Status,
};

const KEYS: usize = 16;
const NAME: &str = "name-00001";
const LABELS: [(&str, &str); 2] =
    [("key-0001", "value-0123456789"), ("key-0002", "value-9876543210")];
const GENERATION: u64 = 42;
const BUFFER_BYTES: usize = 65_536;
/// Room for the smallest answers of all keys and about half of the full ones.
const TIGHT_BYTES: usize = 1800;

#[test]
fn a_lookup_allocates_nothing() {
    assert_eq!(answered_without_allocating(BUFFER_BYTES), KEYS);
}

#[test]
fn an_answer_that_does_not_fit_allocates_nothing_either() {
    let answered = answered_without_allocating(TIGHT_BYTES);
    assert!((1..KEYS).contains(&answered), "{answered} items fitted");
}

/// Asks, answers within `limit` bytes and reads; answers how many items were known.
fn answered_without_allocating(limit: usize) -> usize {
    let paths: Vec<_> = (0..KEYS).map(|key| format!("/system.slice/docker-{key:06}")).collect();
    let mut request = vec![0; BUFFER_BYTES];
    let mut response = vec![0; limit];
    let mut answered = 0;
    let used = measure(|| {
        let len = build_request(&paths, &mut request);
        let request = RequestView::decode(&request[..len]).expect("a request");
        let len = answer(&request, &mut response);
        answered = read(&ResponseView::decode(&response[..len]).expect("a response"), &paths);
    });
    assert_nothing(&used);
    answered
}

#[test]
fn refusing_allocates_nothing() {
    let mut request = vec![0; BUFFER_BYTES];
    let len = build_request(&["/a".to_owned()], &mut request);
    let mut errors = 0;
    let used = measure(|| {
        for cut in 0..len {
            errors += usize::from(RequestView::decode(&request[..cut]).is_err());
        }
    });
    assert_eq!(errors, len);
    assert_nothing(&used);
}

/// The counter counts; without that, the tests above would prove nothing.
#[test]
fn copies_are_counted() {
    let mut request = vec![0; BUFFER_BYTES];
    let len = build_request(&["/a".to_owned()], &mut request);
    let view = RequestView::decode(&request[..len]).unwrap();
    let used = measure(|| assert_eq!(view.to_owned().keys, ["/a"]));
    assert_eq!(used.count_total, 2, "the list of keys and the key");
}

fn assert_nothing(used: &AllocationInfo) {
    assert_eq!((used.count_total, used.bytes_total), (0, 0));
}

fn build_request(paths: &[String], out: &mut [u8]) -> usize {
    // One key is expected, so that what is written has to make room.
    let mut request = RequestBuilder::new(out, 1).expect("room");
    for path in paths {
        request.push(path).expect("room");
    }
    request.finish().expect("room")
}

fn answer(request: &RequestView<'_>, out: &mut [u8]) -> usize {
    let budget = ResponseBudget { out, at_ceiling: false };
    let mut response = ResponseBuilder::new(request, budget).expect("room for ask again");
    response.generation(GENERATION);
    for key in request.keys() {
        let item = response.known(key).orchestrator(Orchestrator::DOCKER).name(NAME);
        item.labels(LABELS).finish().expect("an item");
    }
    response.finish().expect("a response")
}

/// Reads everything, and answers how many items are known. They come first.
fn read(response: &ResponseView<'_>, paths: &[String]) -> usize {
    assert_eq!((response.generation(), response.len()), (GENERATION, KEYS));
    let mut known = 0;
    for (index, (item, path)) in response.items().zip(paths).enumerate() {
        assert_eq!(item.path(), BStr::new(path));
        if item.status() == Status::PayloadExceeded {
            continue;
        }
        assert_eq!((item.status(), known), (Status::Known, index));
        assert_eq!((item.orchestrator(), item.name()), (Orchestrator::DOCKER, BStr::new(NAME)));
        assert_eq!(item.labels().len(), LABELS.len());
        for (label, (key, value)) in item.labels().zip(LABELS) {
            assert_eq!((label.key, label.value), (BStr::new(key), BStr::new(value)));
        }
        assert_eq!(item.labels().value_of(LABELS[1].0), Some(BStr::new(LABELS[1].1)));
        known += 1;
    }
    known
}
