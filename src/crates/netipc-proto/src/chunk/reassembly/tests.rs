use proptest::prelude::*;

use super::*;
use crate::chunk::Split;
use crate::status::Status;

const PACKET_SIZE: u32 = 64;
const LIMIT_BYTES: u32 = 1000;

fn incoming() -> Incoming {
    Incoming {
        direction: Direction::Requests,
        packet_size: PacketSize::new(PACKET_SIZE).unwrap(),
        limits: Limits { payload_bytes: LIMIT_BYTES, batch_items: 4 },
        ceiling_bytes: LIMIT_BYTES,
    }
}

fn payload(len: u32) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + len) as u8).collect()
}

/// The packets of a message as they travel.
fn packets(header: Header, payload: &[u8], packet_size: u32) -> Vec<Vec<u8>> {
    Split::new(header, PacketSize::new(packet_size).unwrap())
        .unwrap()
        .map(|packet| [&packet.head[..], &payload[packet.payload]].concat())
        .collect()
}

fn violation(result: Result<Option<Message<'_>>, ReceiveError>) -> (Defect, usize) {
    match result {
        Err(ReceiveError::Violation(e)) => (e.defect, e.offset),
        other => panic!("not a violation: {other:?}"),
    }
}

#[test]
fn a_single_packet_is_handed_back_where_it_lies() {
    let sent = packets(Header::request(1, 3, 32), &payload(32), PACKET_SIZE);
    let mut reassembly = Reassembly::new(incoming());
    let message = reassembly.accept(&sent[0]).unwrap().unwrap();
    assert!(core::ptr::eq(message.payload.as_ptr(), sent[0][32..].as_ptr()));
    assert_eq!(reassembly.held_bytes(), 0);
}

#[test]
fn a_gathered_message_can_be_kept_while_the_next_arrives() {
    let mut reassembly = Reassembly::new(incoming());
    let mut kept = alloc::vec![9; 7];
    for len in [100, 400] {
        let sent = packets(Header::request(1, 3, len), &payload(len), PACKET_SIZE);
        for (index, packet) in sent.iter().enumerate() {
            let progress = reassembly.advance(packet).unwrap();
            if index + 1 == sent.len() {
                assert_eq!(progress, Progress::Gathered(Header::request(1, 3, len)));
                assert_eq!(reassembly.gathered(), payload(len));
            } else {
                assert_eq!(progress, Progress::More);
                reassembly.exchange(&mut kept);
            }
        }
        reassembly.exchange(&mut kept);
        assert_eq!(kept, payload(len));
    }
}

#[test]
fn chunks_become_the_message_again_and_the_buffer_is_reused() {
    let mut reassembly = Reassembly::new(incoming());
    for len in [1000, 33, 65, 999] {
        let sent = packets(Header::request(1, 3, len), &payload(len), PACKET_SIZE);
        let (last, before) = sent.split_last().unwrap();
        for packet in before {
            assert_eq!(reassembly.accept(packet), Ok(None));
            assert!(reassembly.is_partial());
        }
        let message = reassembly.accept(last).unwrap().unwrap();
        assert_eq!(message.payload, payload(len));
        assert_eq!(message.header, Header::request(1, 3, len));
        assert!(!reassembly.is_partial());
        assert_eq!(reassembly.held_bytes(), 1000);
    }
    reassembly.release();
    assert_eq!(reassembly.held_bytes(), 0);
}

#[test]
fn memory_grows_by_what_arrives() {
    let limits = Limits { payload_bytes: u32::MAX, batch_items: 1 };
    let config = Incoming { limits, ceiling_bytes: u32::MAX, ..incoming() };
    let mut reassembly = Reassembly::new(config);
    let claims = Header::request(1, 3, MAX_PAYLOAD_BYTES).encode();
    let first = [&claims[..], &[0; 32]].concat();
    assert_eq!(reassembly.accept(&first), Ok(None));
    assert_eq!(reassembly.held_bytes(), 32);
}

#[test]
fn a_payload_that_no_chunk_could_continue_is_refused() {
    let limits = Limits { payload_bytes: u32::MAX, batch_items: 1 };
    let config = Incoming { limits, ceiling_bytes: u32::MAX, ..incoming() };
    let first = [&Header::request(1, 3, MAX_PAYLOAD_BYTES + 1).encode()[..], &[0; 32]].concat();
    let found = violation(Reassembly::new(config).accept(&first));
    assert_eq!(found, (Defect::Length, 32));
}

#[test]
fn limit_and_ceiling_are_different_faults() {
    let config = Incoming { ceiling_bytes: 500, ..incoming() };
    let over_limit = packets(Header::request(1, 3, 1001), &payload(1001), PACKET_SIZE);
    let found = violation(Reassembly::new(config).accept(&over_limit[0]));
    assert_eq!(found.0, Defect::Limit);
    let over_ceiling = packets(Header::request(1, 3, 501), &payload(501), PACKET_SIZE);
    assert_eq!(
        Reassembly::new(config).accept(&over_ceiling[0]),
        Err(ReceiveError::AboveCeiling { payload_len: 501, ceiling_bytes: 500 })
    );
}

#[test]
fn a_first_packet_has_exactly_its_share() {
    let sent = packets(Header::request(1, 3, 100), &payload(100), PACKET_SIZE);
    let short = &sent[0][..63];
    let found = violation(Reassembly::new(incoming()).accept(short));
    assert_eq!(found, (Defect::Truncated, 63));
    let long = [&sent[0][..], &[0]].concat();
    let found = violation(Reassembly::new(incoming()).accept(&long));
    assert_eq!(found, (Defect::Trailing, 64));
}

#[test]
fn every_field_of_a_continuation_is_compared() {
    let sent = packets(Header::request(1, 3, 100), &payload(100), PACKET_SIZE);
    let good = ChunkHeader::decode(&sent[1]).unwrap();
    let lies = [
        (ChunkHeader { message_id: 4, ..good }, Defect::ChunkSequence),
        (ChunkHeader { total_message_len: 133, ..good }, Defect::Length),
        (ChunkHeader { chunk_index: 2, ..good }, Defect::ChunkSequence),
        (ChunkHeader { chunk_index: 0, ..good }, Defect::ChunkSequence),
        (ChunkHeader { chunk_count: 5, ..good }, Defect::Count),
        (ChunkHeader { chunk_payload_len: 31, ..good }, Defect::Length),
    ];
    for (lie, defect) in lies {
        let mut reassembly = Reassembly::new(incoming());
        assert_eq!(reassembly.accept(&sent[0]), Ok(None));
        let packet = [&lie.encode()[..], &sent[1][32..]].concat();
        assert_eq!(violation(reassembly.accept(&packet)).0, defect, "{lie:?}");
        assert!(!reassembly.is_partial());
    }
    for (packet, defect) in [
        (sent[1][..63].to_vec(), Defect::Truncated),
        ([&sent[1][..], &[0]].concat(), Defect::Trailing),
        (sent[2].clone(), Defect::ChunkSequence),
        // Messages never interleave.
        (sent[0].clone(), Defect::Magic),
    ] {
        let mut reassembly = Reassembly::new(incoming());
        assert_eq!(reassembly.accept(&sent[0]), Ok(None));
        assert_eq!(violation(reassembly.accept(&packet)).0, defect);
    }
}

#[test]
fn a_continuation_without_a_beginning_is_refused() {
    let sent = packets(Header::request(1, 3, 100), &payload(100), PACKET_SIZE);
    let found = violation(Reassembly::new(incoming()).accept(&sent[1]));
    assert_eq!(found, (Defect::Magic, 0));
}

#[test]
fn a_failed_response_is_whole_with_its_first_packet() {
    let config = Incoming { direction: Direction::Responses, ..incoming() };
    let request = Header::request(1, 3, 0).batch_of(9);
    let failed = Header { status: Status(77), ..Header::response(&request, 5000) };
    let mut reassembly = Reassembly::new(config);
    let encoded = failed.encode();
    let message = reassembly.accept(&encoded).unwrap().unwrap();
    assert_eq!((message.header.status, message.payload), (Status(77), &b""[..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_chunk_sizes_reassemble(
        packet_size in 33_u32..600,
        payload in prop::collection::vec(any::<u8>(), 0..4000),
        message_id: u64,
    ) {
        let len = payload.len() as u32;
        let header = Header::request(9, message_id, len);
        let mut reassembly = Reassembly::new(Incoming {
            packet_size: PacketSize::new(packet_size).unwrap(),
            limits: Limits { payload_bytes: len, batch_items: 1 },
            ceiling_bytes: len,
            ..incoming()
        });
        let sent = packets(header, &payload, packet_size);
        let (last, before) = sent.split_last().unwrap();
        for packet in before {
            prop_assert_eq!(packet.len(), packet_size as usize);
            prop_assert_eq!(reassembly.accept(packet), Ok(None));
        }
        prop_assert_eq!(
            reassembly.accept(last),
            Ok(Some(Message { header, payload: &payload }))
        );
        prop_assert!(reassembly.held_bytes() <= payload.len());
    }

    #[test]
    fn mutated_packets_never_panic_and_never_hold_more_than_the_limit(
        len in 0_u32..LIMIT_BYTES,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..=4),
        which in any::<prop::sample::Index>(),
        cut in 0_usize..3,
    ) {
        let mut sent = packets(Header::request(1, 3, len), &payload(len), PACKET_SIZE);
        let victim = which.index(sent.len());
        for (place, byte) in changes {
            let at = place.index(sent[victim].len());
            sent[victim][at] = byte;
        }
        let keep = sent[victim].len() - cut;
        sent[victim].truncate(keep);
        let mut reassembly = Reassembly::new(incoming());
        for packet in sent {
            match reassembly.accept(&packet) {
                Ok(None) => {}
                Ok(Some(message)) => {
                    prop_assert_eq!(message.payload.len(), message.header.payload_len as usize);
                }
                Err(_) => prop_assert!(!reassembly.is_partial()),
            }
            prop_assert!(reassembly.held_bytes() <= LIMIT_BYTES as usize);
        }
    }
}
