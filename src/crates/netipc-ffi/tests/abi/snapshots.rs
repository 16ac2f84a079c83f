//! A snapshot: written at once and item by item, read, copied.

use std::ffi::c_void;

use netipc_ffi::text::nipc_str_t;

use crate::c::*;

#[repr(C)]
struct Item {
    hash: u32,
    options: u32,
    enabled: u32,
    name: nipc_str_t,
    path: nipc_str_t,
}

#[repr(C)]
struct Response {
    systemd_enabled: u32,
    generation: u64,
    items: *const Item,
    item_count: usize,
}

#[repr(C)]
struct View {
    systemd_enabled: u32,
    generation: u64,
    count: usize,
    elements: Elements,
    opaque: Words<8>,
}

#[repr(C)]
struct Builder(Words<26>);

unsafe extern "C" {
    fn nipc_cgroups_snapshot_response_encode(
        response: *const Response,
        out: *mut c_void,
        capacity: usize,
        len: *mut usize,
    ) -> i32;
    fn nipc_cgroups_snapshot_response_decode(
        payload: *const c_void,
        len: usize,
        view: *mut View,
    ) -> i32;
    fn nipc_cgroups_snapshot_response_builder_init(
        builder: *mut Builder,
        out: *mut c_void,
        capacity: usize,
        expected: usize,
    ) -> i32;
    fn nipc_cgroups_snapshot_response_builder_generation(
        builder: *mut Builder,
        generation: u64,
    ) -> i32;
    fn nipc_cgroups_snapshot_response_builder_item(builder: *mut Builder, item: *const Item)
    -> i32;
    fn nipc_cgroups_snapshot_response_builder_finish(builder: *mut Builder, len: *mut usize)
    -> i32;
    fn nipc_cgroups_snapshot_response_copy(view: *const View, copy: *mut Object) -> i32;
    fn nipc_cgroups_snapshot_response_copy_view(copy: *const Object, view: *mut View) -> i32;
    fn nipc_cgroups_snapshot_response_copy_free(copy: *mut Object) -> i32;
}

/// Bytes that hold any of these.
const ROOM: usize = 512;

fn items() -> [Item; 2] {
    let item = |hash, name, path| Item {
        hash,
        options: 1,
        enabled: 1,
        name: text(name),
        path: text(path),
    };
    [item(7, "user.slice", "/user.slice"), item(8, "", "/a/longer/path")]
}

/// Written at once.
fn payload() -> Vec<u8> {
    let items = items();
    let response = Response {
        systemd_enabled: 1,
        generation: 9,
        items: items.as_ptr(),
        item_count: items.len(),
    };
    let (mut out, mut len) = (vec![0; ROOM], 0);
    let encoded = c!(nipc_cgroups_snapshot_response_encode(
        &response,
        out.as_mut_ptr().cast(),
        ROOM,
        &mut len
    ));
    assert_eq!(encoded, OK, "{}", why());
    out.truncate(len);
    out
}

fn blank() -> View {
    // SAFETY: numbers, and pointers that nobody follows.
    unsafe { zeroed() }
}

fn decode(payload: &[u8]) -> Result<View, i32> {
    let mut view = blank();
    match c!(nipc_cgroups_snapshot_response_decode(
        payload.as_ptr().cast(),
        payload.len(),
        &mut view
    )) {
        OK => Ok(view),
        error => Err(error),
    }
}

fn read(view: &View) -> Vec<(u32, String, String)> {
    let item = |record| (u32_at(record, 4), str_at(record, 16), str_at(record, 24));
    (0..view.count).map(|index| item(view.elements.get(index))).collect()
}

fn expected() -> Vec<(u32, String, String)> {
    vec![
        (7, "user.slice".into(), "/user.slice".into()),
        (8, String::new(), "/a/longer/path".into()),
    ]
}

#[test]
fn what_c_writes_at_once_or_item_by_item_is_what_it_reads() {
    let whole = payload();
    let view = decode(&whole).expect("right");
    assert_eq!((view.systemd_enabled, view.generation, is_filled(&view.opaque)), (1, 9, true));
    assert_eq!(read(&view), expected());

    let (mut builder, mut out, mut len) = (Builder(blank_words()), vec![0; ROOM], 0);
    let builder = &raw mut builder;
    let begun =
        c!(nipc_cgroups_snapshot_response_builder_init(builder, out.as_mut_ptr().cast(), ROOM, 2));
    assert_eq!(begun, OK, "{}", why());
    assert_eq!(c!(nipc_cgroups_snapshot_response_builder_generation(builder, 9)), OK);
    for item in &items() {
        assert_eq!(c!(nipc_cgroups_snapshot_response_builder_item(builder, item)), OK, "{}", why());
    }
    assert_eq!(c!(nipc_cgroups_snapshot_response_builder_finish(builder, &mut len)), OK);
    let view = decode(&out[..len]).expect("right");
    assert_eq!((view.systemd_enabled, view.generation), (0, 9));
    assert_eq!(read(&view), expected());
    assert_eq!(
        c!(nipc_cgroups_snapshot_response_builder_finish(builder, &mut len)),
        NOT_INITIALIZED
    );
    let again = &items()[0];
    assert_eq!(c!(nipc_cgroups_snapshot_response_builder_item(builder, again)), NOT_INITIALIZED);
}

#[test]
fn a_builder_that_is_full_or_forgotten_leaves_the_buffer_to_its_owner() {
    let (mut builder, mut out, mut len) = (Builder(blank_words()), vec![0; 64], 0);
    let builder = &raw mut builder;
    let begun = c!(nipc_cgroups_snapshot_response_builder_init(
        builder,
        out.as_mut_ptr().cast(),
        out.len(),
        2
    ));
    assert_eq!(begun, OK, "{}", why());
    let item = &items()[1];
    assert_eq!(c!(nipc_cgroups_snapshot_response_builder_item(builder, item)), NO_SPACE);
    assert_eq!(c!(nipc_cgroups_snapshot_response_builder_finish(builder, &mut len)), NO_SPACE);
    // Begun anew, and forgotten.
    let begun = c!(nipc_cgroups_snapshot_response_builder_init(
        builder,
        out.as_mut_ptr().cast(),
        out.len(),
        0
    ));
    assert_eq!(begun, OK, "{}", why());
    out.fill(1);
    assert_eq!(len, 0);
}

#[test]
fn no_front_of_a_payload_is_read_beyond_its_end() {
    let whole = payload();
    for len in 0..whole.len() {
        // Memory of its own, of exactly that length.
        let front: Box<[u8]> = whole[..len].into();
        assert!(matches!(decode(&front), Err(MALFORMED | INVALID)), "{len} bytes");
    }
    assert_eq!(
        c!(nipc_cgroups_snapshot_response_decode(std::ptr::null(), 8, &mut blank())),
        INVALID
    );
    let nowhere = std::ptr::null_mut();
    assert_eq!(
        c!(nipc_cgroups_snapshot_response_decode(whole.as_ptr().cast(), whole.len(), nowhere)),
        INVALID
    );
}

#[test]
fn a_copy_outlasts_what_it_was_made_of_and_is_freed_once() {
    let mut copy = Object::CLOSED;
    {
        let whole = payload();
        let view = decode(&whole).expect("right");
        assert_eq!(c!(nipc_cgroups_snapshot_response_copy(&view, &mut copy)), OK, "{}", why());
        assert_eq!(c!(nipc_cgroups_snapshot_response_copy(&view, &mut copy)), ALREADY);
    }
    // Moved, as C may.
    let mut copy = Object { tag: copy.tag, inner: copy.inner };
    let copy = &raw mut copy;
    let mut view = blank();
    assert_eq!(c!(nipc_cgroups_snapshot_response_copy_view(copy, &mut view)), OK);
    // Views may be copied, and moved.
    let second = View { opaque: view.opaque, ..view };
    assert_eq!((read(&view), read(&second)), (expected(), expected()));
    assert_eq!(c!(nipc_cgroups_snapshot_response_copy_free(copy)), OK);
    assert_eq!(c!(nipc_cgroups_snapshot_response_copy_free(copy)), NOT_INITIALIZED);
    assert_eq!(c!(nipc_cgroups_snapshot_response_copy_view(copy, &mut view)), NOT_INITIALIZED);
    assert_eq!(c!(nipc_cgroups_snapshot_response_copy(&blank(), copy)), NOT_INITIALIZED);
}
