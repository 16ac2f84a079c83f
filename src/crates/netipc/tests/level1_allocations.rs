//! Sending and receiving allocate nothing, once buffers have grown.

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "this binary needs the least of it")]
mod support;

use netipc::{Deadline, Header};
use support::{Transport, abort, bytes, over_each, pair_of, request};

/// As much as there is room for on the way, because nobody reads while it is sent.
const LIMIT: u32 = if cfg!(windows) { 60_000 } else { 100_000 };

#[test]
fn the_hot_path_allocates_nothing() {
    over_each(nothing_is_allocated);
    let counted = allocation_counter::measure(|| drop(vec![0_u8; 100]));
    assert_eq!(counted.count_total, 1, "the counter counts");
}

fn nothing_is_allocated(transport: Transport) {
    let small = netipc::Proposal { packet_size: 8192, ..transport.proposal(LIMIT) };
    let (client, server) = pair_of(&transport.config(LIMIT), small);
    assert_eq!(client.profile(), transport.selected());
    let (mut requests, mut answers) = (server.inbox(), client.inbox());
    let (stop, payload) = (abort(), bytes(LIMIT as usize, 1));
    let mut exchange = |len: usize| {
        let asked = payload.get(..len).expect("short enough");
        let header = request(1, asked);
        client.send(&header, asked, Deadline::never(), &stop).expect("sent");
        let message = server.receive(&mut requests, Deadline::never(), &stop).expect("received");
        let answer = Header::response(&message.header, message.payload.len() as u32);
        server.send(&answer, message.payload, Deadline::never(), &stop).expect("sent");
        let message = client.try_receive(&mut answers).expect("received").expect("whole");
        assert!(message.payload == asked);
    };
    exchange(LIMIT as usize);
    let counted = allocation_counter::measure(|| {
        for len in [0, 8, 1000, 8160, 8161, LIMIT as usize] {
            exchange(len);
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
