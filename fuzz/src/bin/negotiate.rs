//! The server's decision: whatever is accepted is a canonical HELLO within the policy, and every
//! answer is one that its client takes for what it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netipc_proto::header::HEADER_LEN;
use netipc_proto::hello::Hello;
use netipc_proto::negotiate::{Peer, Policy, Refusal, check_reply, negotiate};
use netipc_proto::profile::Profiles;

const POLICY: Policy = Policy {
    supported: Profiles(0x03),
    preferred: Profiles(0x02),
    max_request_payload_bytes: 1 << 20,
    response_payload_bytes: 65_536,
    // That of the vectors' clients, so that the corpus gets past it.
    auth_token: 7,
    packet_size: 65_536,
};
/// Any peer, and any server: whether its user is admitted, could open regions, and a session is free.
const EITHER: [bool; 2] = [true, false];

fuzz_target!(|data: &[u8]| {
    for admitted in EITHER {
        for can_open_regions in EITHER {
            for session_free in EITHER {
                decide(data, &Peer { admitted, can_open_regions, session_free });
            }
        }
    }
});

fn decide(data: &[u8], peer: &Peer) {
    match negotiate(data, &POLICY, peer) {
        Ok(agreed) => {
            let hello = Hello::decode(&data[HEADER_LEN..]).expect("accepted, so it decodes");
            assert_eq!(hello.message(), data);
            assert_eq!(hello.auth_token, POLICY.auth_token);
            let terms = agreed.terms();
            assert!(peer.admitted && peer.session_free);
            assert!(peer.can_open_regions || !terms.profile.is_shared_memory());
            assert!(terms.request.payload_bytes <= POLICY.max_request_payload_bytes);
            assert!((hello.supported & POLICY.supported).contains(terms.profile.into()));
            let accepted = check_reply(&hello, &agreed.message(1)).expect("both ends agree");
            assert_eq!(accepted.terms(), terms);
            if let Ok(baseline) = agreed.without_shared_memory() {
                assert!(!baseline.terms().profile.is_shared_memory());
                assert!(check_reply(&hello, &baseline.message(1)).is_ok());
            }
        }
        Err(rejection) => {
            assert!(!rejection.status().is_ok());
            if let Ok(hello) = Hello::decode(data.get(HEADER_LEN..).unwrap_or_default()) {
                let refusal = check_reply(&hello, &rejection.message());
                assert_eq!(refusal, Err(Refusal::Rejected(rejection.status())));
            }
        }
    }
}
