//! Nobody holds a readiness loop, however fast he is.

use netipc::{Header, Proposal};

use crate::support::{bytes, config, pair_of, proposal, request};

/// A packet for each byte of payload.
const SMALLEST_PACKET_SIZE: u32 = 33;
const PACKETS_PER_LOOK: usize = 64;
/// In such packets it fits a socket, so that there is room all the time.
const PAYLOAD_BYTES: usize = 200;

#[test]
fn one_look_sends_no_more_than_64_packets_though_there_is_room() {
    let tiny = Proposal { packet_size: SMALLEST_PACKET_SIZE, ..proposal(1024) };
    let (client, server) = pair_of(&config(1024), tiny);
    let payload = bytes(PAYLOAD_BYTES, 0);
    let header = Header::response(&request(1, b""), payload.len() as u32);
    let mut message = server.outgoing(&header, &payload).expect("within limits");
    let mut looks = 1;
    while !server.try_send(&mut message, &payload).expect("sent") {
        looks += 1;
    }
    assert_eq!(looks, PAYLOAD_BYTES.div_ceil(PACKETS_PER_LOOK));
    let mut inbox = client.inbox();
    loop {
        if let Some(message) = client.try_receive(&mut inbox).expect("whole and unharmed") {
            assert_eq!(message.payload, payload);
            break;
        }
    }
}
