//! HELLO_ACK: what decodes is encoded to the same bytes, and a client takes nothing that it did
//! not propose.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netipc_proto::header::{HEADER_LEN, Limits};
use netipc_proto::hello::{Hello, HelloAck};
use netipc_proto::negotiate::check_reply;
use netipc_proto::profile::Profiles;

const PROPOSAL: Hello = Hello {
    supported: Profiles(0x03),
    preferred: Profiles(0x02),
    request: Limits { payload_bytes: 4096, batch_items: 16 },
    response_hint: Limits { payload_bytes: 65_536, batch_items: 16 },
    auth_token: 7,
    packet_size: 65_536,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(ack) = HelloAck::decode(data) {
        assert_eq!(ack.encode(), data);
        // The payload alone, under a header that is right.
        judge(&ack.message());
    }
    judge(data);
});

fn judge(message: &[u8]) {
    let Ok(accepted) = check_reply(&PROPOSAL, message) else { return };
    let terms = accepted.terms();
    assert!(PROPOSAL.supported.contains(terms.profile.into()));
    assert_eq!(terms.request, PROPOSAL.request);
    assert!((33..=PROPOSAL.packet_size).contains(&terms.packet_size.bytes()));
    let ack = HelloAck::decode(&message[HEADER_LEN..]).expect("accepted, so it decodes");
    assert_eq!(ack.message(), message);
}
