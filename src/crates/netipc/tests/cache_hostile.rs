//! Providers that mean harm: what a snapshot of theirs may cost the cache.

mod client_support;

use client_support::scripted::{Grant, Server};
use client_support::services::CgroupsSnapshot;
use client_support::{Place, timed};
use netipc::cache::Cache;
use netipc::client::{CallError, ClientConfig};
use netipc::codec::Defect;
use std::time::Duration;

/// So many items in one snapshot.
const ITEMS: u32 = 1_000_000;
/// All of them this one, whose name is so long.
const NAME_BYTES: u32 = 4 << 20;
const ITEM_HEADER_BYTES: u32 = 32;

/// A snapshot that decodes, and whose names are terabytes to whoever reads them one by one.
fn many_times_one_item() -> Vec<u8> {
    let item_bytes = ITEM_HEADER_BYTES + NAME_BYTES + 2;
    let mut payload = Vec::new();
    let mut put = |field: u32| payload.extend_from_slice(&field.to_ne_bytes());
    let layout_version =
        u32::from_ne_bytes([1_u16.to_ne_bytes(), [0; 2]].concat().try_into().expect("4 bytes"));
    for field in [layout_version, ITEMS, 1, 0, 7, 0] {
        put(field);
    }
    for _ in 0..ITEMS {
        put(0);
        put(item_bytes);
    }
    let name_at = ITEM_HEADER_BYTES;
    let path_at = name_at + NAME_BYTES + 1;
    for field in [layout_version, 1, 0, 1, name_at, NAME_BYTES, path_at, 0] {
        put(field);
    }
    payload.resize(payload.len() + NAME_BYTES as usize, b'n');
    payload.extend_from_slice(&[0, 0]);
    payload
}

#[test]
fn a_snapshot_of_overlapping_items_is_refused_before_it_is_read() {
    let place = Place::new();
    let endpoint = place.endpoint("snapshot");
    let _server = Server::start(&endpoint, |_, mut peer| {
        let session = peer.accept_with(Grant::responses_of(16 << 20));
        peer.serve(&session, |_, _| many_times_one_item());
    });
    let mut cache: Cache<CgroupsSnapshot> = Cache::new(endpoint, ClientConfig::default());
    let (refreshed, took) = timed(|| cache.refresh());
    match refreshed {
        Err(CallError::Malformed(error)) => assert_eq!(error.defect, Defect::Overlap),
        other => panic!("{other:?}"),
    }
    // Reading them one by one would be hours. Sixteen megabytes take Wine on a busy machine a while.
    assert!(took < Duration::from_secs(if cfg!(windows) { 60 } else { 10 }), "{took:?}");
    assert!(cache.load().is_empty());
}
