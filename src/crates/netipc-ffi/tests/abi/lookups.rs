//! A lookup whose items have labels: keys, their answers, and what is read of both.

use std::ffi::c_void;

use netipc_ffi::text::{nipc_label_t, nipc_str_t};

use crate::c::*;

#[repr(C)]
struct RequestView {
    count: usize,
    elements: Elements,
    opaque: Words<8>,
}

#[repr(C)]
struct ResponseView {
    generation: u64,
    count: usize,
    elements: Elements,
    opaque: Words<8>,
}

#[repr(C)]
struct RequestBuilder(Words<12>);

#[repr(C)]
struct ResponseBuilder {
    opaque: Words<25>,
    is_full: u64,
}

#[repr(C)]
struct Item {
    status: u16,
    orchestrator: u16,
    cgroup_status: u16,
    pid: u32,
    ppid: u32,
    uid: u32,
    starttime: u64,
    comm: nipc_str_t,
    cgroup_path: nipc_str_t,
    cgroup_name: nipc_str_t,
    labels: *const nipc_label_t,
    label_count: usize,
}

unsafe extern "C" {
    fn nipc_apps_lookup_request_builder_init(
        builder: *mut RequestBuilder,
        out: *mut c_void,
        capacity: usize,
        expected: usize,
    ) -> i32;
    fn nipc_apps_lookup_request_builder_push(builder: *mut RequestBuilder, key: u32) -> i32;
    fn nipc_apps_lookup_request_builder_finish(
        builder: *mut RequestBuilder,
        len: *mut usize,
    ) -> i32;
    fn nipc_apps_lookup_request_decode(
        payload: *const c_void,
        len: usize,
        view: *mut RequestView,
    ) -> i32;
    fn nipc_apps_lookup_response_builder_init(
        builder: *mut ResponseBuilder,
        request: *const RequestView,
        out: *mut c_void,
        capacity: usize,
        at_ceiling: bool,
    ) -> i32;
    fn nipc_apps_lookup_response_builder_known(
        builder: *mut ResponseBuilder,
        item: *const Item,
    ) -> i32;
    fn nipc_apps_lookup_response_builder_unknown(builder: *mut ResponseBuilder, key: u32) -> i32;
    fn nipc_apps_lookup_response_builder_finish(
        builder: *mut ResponseBuilder,
        len: *mut usize,
    ) -> i32;
    fn nipc_apps_lookup_response_decode(
        payload: *const c_void,
        len: usize,
        view: *mut ResponseView,
    ) -> i32;
}

const ROOM: usize = 1024;
const KEYS: [u32; 2] = [41, 42];

/// Of an item that has strings and labels, all that C reads.
fn read(record: *const u8) -> (u32, [String; 3], Vec<(String, String)>) {
    let texts = [32, 40, 48];
    // Where the last string ends, its NUL counted: the labels' table starts at the next multiple of 8.
    let end = texts.map(|at| (u32_at(record, at) + u32_at(record, at + 4) + 1) as usize);
    let table = end.into_iter().fold(60, usize::max).next_multiple_of(8);
    let label =
        |index| (str_at(record, table + index * 16), str_at(record, table + index * 16 + 8));
    let labels = (0..usize::from(u16_at(record, 56))).map(label).collect();
    (u32_at(record, 8), texts.map(|at| str_at(record, at)), labels)
}

#[test]
fn keys_are_answered_by_items_with_their_labels() {
    let (mut builder, mut asked, mut len) = (RequestBuilder(blank_words()), vec![0; ROOM], 0);
    let builder = &raw mut builder;
    let begun = c!(nipc_apps_lookup_request_builder_init(
        builder,
        asked.as_mut_ptr().cast(),
        ROOM,
        KEYS.len()
    ));
    assert_eq!(begun, OK, "{}", why());
    for key in KEYS {
        assert_eq!(c!(nipc_apps_lookup_request_builder_push(builder, key)), OK, "{}", why());
    }
    assert_eq!(c!(nipc_apps_lookup_request_builder_finish(builder, &mut len)), OK, "{}", why());
    // SAFETY: numbers, and pointers that nobody follows.
    let mut request: RequestView = unsafe { zeroed() };
    assert_eq!(c!(nipc_apps_lookup_request_decode(asked.as_ptr().cast(), len, &mut request)), OK);
    assert_eq!(request.count, KEYS.len());

    let labels = [
        nipc_label_t { key: text("image"), value: text("nginx") },
        nipc_label_t { key: text("empty"), value: nipc_str_t { ptr: std::ptr::null(), len: 0 } },
    ];
    let item = Item {
        status: 0,
        orchestrator: 2,
        cgroup_status: 0,
        pid: KEYS[0],
        ppid: 1,
        uid: 1000,
        starttime: 5,
        comm: text("nginx"),
        cgroup_path: text("/docker/1"),
        cgroup_name: text("web"),
        labels: labels.as_ptr(),
        label_count: labels.len(),
    };
    let (mut builder, mut out) =
        (ResponseBuilder { opaque: blank_words(), is_full: 0 }, vec![0; ROOM]);
    let builder = &raw mut builder;
    let begun = c!(nipc_apps_lookup_response_builder_init(
        builder,
        &request,
        out.as_mut_ptr().cast(),
        ROOM,
        true
    ));
    assert_eq!(begun, OK, "{}", why());
    assert_eq!(c!(nipc_apps_lookup_response_builder_known(builder, &item)), OK, "{}", why());
    assert_eq!(c!(nipc_apps_lookup_response_builder_unknown(builder, KEYS[1])), OK, "{}", why());
    assert_eq!(c!(nipc_apps_lookup_response_builder_finish(builder, &mut len)), OK, "{}", why());

    // SAFETY: as above.
    let mut response: ResponseView = unsafe { zeroed() };
    assert_eq!(c!(nipc_apps_lookup_response_decode(out.as_ptr().cast(), len, &mut response)), OK);
    assert_eq!(
        (response.count, is_filled(&response.opaque), is_filled(&request.opaque)),
        (2, true, true)
    );
    let words = |words: &[&str; 3]| words.map(String::from);
    let labels = [("image", "nginx"), ("empty", "")].map(|(key, value)| (key.into(), value.into()));
    let known = (KEYS[0], words(&["nginx", "/docker/1", "web"]), labels.to_vec());
    assert_eq!(read(response.elements.get(0)), known);
    assert_eq!(read(response.elements.get(1)), (KEYS[1], words(&["", "", ""]), vec![]));
}
