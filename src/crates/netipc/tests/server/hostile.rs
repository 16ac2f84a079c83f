//! Clients that mean harm: what one of them may cost a server, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use netipc::server::ServerConfig;
use netipc::{Header, Status};

use crate::support::{METHOD, Place, handler};

/// Items may not overlap, or a request of a megabyte has a handler read gigabytes.
#[test]
fn a_batch_costs_no_more_than_its_own_bytes() {
    const ITEMS: u32 = 1000;
    const ITEM_BYTES: u32 = 32_768;
    let place = Place::new();
    let handled_bytes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handled_bytes);
    let _server = place.serve(
        ServerConfig::default(),
        handler(move |_context, request, _response| {
            counted.fetch_add(request.len(), Ordering::Relaxed);
            Ok(0)
        }),
    );
    let mut client = place.client();
    let mut payload = Vec::new();
    for _ in 0..ITEMS {
        payload.extend_from_slice(&0_u32.to_ne_bytes());
        payload.extend_from_slice(&ITEM_BYTES.to_ne_bytes());
    }
    payload.resize(payload.len() + ITEM_BYTES as usize, 0);
    let header = Header::request(METHOD, 1, payload.len() as u32).batch_of(ITEMS);
    client.send(&header, &payload);
    assert_eq!(client.receive().expect("an answer").0.status, Status::BAD_ENVELOPE);
    client.expect_close();
    let handled_bytes = handled_bytes.load(Ordering::Relaxed);
    assert!(handled_bytes <= payload.len(), "{handled_bytes} of {}", payload.len());
}
