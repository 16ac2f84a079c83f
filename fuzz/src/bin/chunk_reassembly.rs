//! Reassembly: a stream of packets of any kind never makes it hold more than the limit, and a
//! message that comes out is cut into the very packets that went in.
//!
//! The input is a packet size, as two bytes that say by how much it is above the least, and then
//! packets: a length of two bytes before each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netipc_proto::chunk::{Incoming, PacketSize, Reassembly, Split};
use netipc_proto::header::Limits;
use netipc_proto::{Direction, Message};

const LIMIT_BYTES: u32 = 4096;
/// What a client holds of an answer, below what was agreed.
const CLIENTS_CEILING_BYTES: u32 = 2048;
const LEAST_PACKET_SIZE: u32 = 33;

fuzz_target!(|data: &[u8]| {
    reassemble(data, Direction::Requests, LIMIT_BYTES);
    reassemble(data, Direction::Responses, CLIENTS_CEILING_BYTES);
});

fn reassemble(data: &[u8], direction: Direction, ceiling_bytes: u32) {
    let Some((above_least, mut rest)) = data.split_first_chunk::<2>() else { return };
    let packet_size = LEAST_PACKET_SIZE + u32::from(u16::from_le_bytes(*above_least));
    let packet_size = PacketSize::new(packet_size).expect("not below the least");
    let mut reassembly = Reassembly::new(Incoming {
        direction,
        packet_size,
        limits: Limits { payload_bytes: LIMIT_BYTES, batch_items: 16 },
        ceiling_bytes,
    });
    let mut arrived: Vec<&[u8]> = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_le_bytes(*len)).min(after.len());
        let (packet, after) = after.split_at(len);
        rest = after;
        arrived.push(packet);
        match reassembly.accept(packet) {
            Ok(None) => {}
            Ok(Some(message)) => {
                assert_arrived(&message, packet_size, &arrived);
                arrived.clear();
            }
            // The session would end here.
            Err(_) => {
                assert!(!reassembly.is_partial());
                return;
            }
        }
        let received: usize = arrived.iter().map(|packet| packet.len()).sum();
        let held = reassembly.held_bytes();
        assert!(held <= ceiling_bytes as usize);
        assert!(!reassembly.is_partial() || held >= received - 32 * arrived.len());
    }
}

/// What came out is what went in: cut again, it is the very packets. (A failure has no payload.)
fn assert_arrived(message: &Message<'_>, packet_size: PacketSize, arrived: &[&[u8]]) {
    if !message.header.status.is_ok() {
        assert!(message.payload.is_empty() && arrived.len() == 1);
        return;
    }
    assert_eq!(message.payload.len(), message.header.payload_len as usize);
    let split = Split::new(message.header, packet_size).expect("within the limit");
    assert_eq!(split.len(), arrived.len());
    for (packet, arrived) in split.zip(arrived) {
        assert_eq!([&packet.head, &message.payload[packet.payload]].concat(), *arrived);
    }
}
