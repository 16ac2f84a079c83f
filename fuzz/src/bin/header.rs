//! The message header: what decodes is encoded to the same bytes, and the checks agree with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netipc_proto::header::{HEADER_LEN, Header, Limits, opcode};
use netipc_proto::{Direction, Status};

const LIMITS: Limits = Limits { payload_bytes: 65_536, batch_items: 1024 };

fuzz_target!(|data: &[u8]| {
    let Ok(header) = Header::decode(data) else { return };
    assert_eq!(header.encode(), data[..HEADER_LEN]);
    assert_eq!(header.is_bye(), header == Header::control(opcode::BYE, Status::OK, 0));
    for direction in [Direction::Requests, Direction::Responses] {
        let Ok(message) = direction.message(data, &LIMITS) else { continue };
        assert_eq!(message.header, header);
        if header.status.is_ok() {
            assert!(header.payload_len <= LIMITS.payload_bytes);
            assert!(header.item_count >= 1 && header.item_count <= LIMITS.batch_items);
            assert_eq!(message.payload, &data[HEADER_LEN..]);
            assert_eq!(message.payload.len(), header.payload_len as usize);
        } else {
            assert!(message.payload.is_empty());
        }
    }
});
