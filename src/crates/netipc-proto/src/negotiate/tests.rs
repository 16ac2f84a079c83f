use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::error::Defect;
use crate::header::{Header, Kind};
use crate::hello::{HELLO_LEN, Hello, HelloAck};
use crate::profile::Profiles;
use crate::status::Status;

const POLICY: Policy = Policy {
    supported: Profiles(0x03),
    preferred: Profiles(0x02),
    max_request_payload_bytes: 1 << 20,
    response_payload_bytes: 65_536,
    auth_token: 7,
    packet_size: 65_536,
};
const PEER: Peer = Peer { admitted: true, can_open_regions: true, session_free: true };
const HELLO: Hello = Hello {
    supported: Profiles(0x03),
    preferred: Profiles(0x02),
    request: Limits { payload_bytes: 65_536, batch_items: 1024 },
    response_hint: Limits { payload_bytes: 1024, batch_items: 1 },
    auth_token: 7,
    packet_size: 200_000,
};

fn status(hello: &Hello, policy: &Policy, peer: &Peer) -> Status {
    negotiate(&hello.message(), policy, peer).map_or_else(|r| r.status(), |_| Status::OK)
}

/// A HELLO message with another header or payload.
fn message(header: Header, payload: &[u8]) -> Vec<u8> {
    [&header.encode()[..], payload].concat()
}

fn hello_header() -> Header {
    Header::decode(&HELLO.message()).unwrap()
}

#[test]
fn both_ends_come_to_the_same_terms() {
    let agreed = negotiate(&HELLO.message(), &POLICY, &PEER).unwrap();
    let accepted = check_reply(&HELLO, &agreed.message(42)).unwrap();
    assert_eq!(accepted.terms(), agreed.terms());
    assert_eq!(accepted.session_id(), 42);
    assert_eq!(accepted.server_supported(), POLICY.supported);
    let terms = agreed.terms();
    assert_eq!(terms.profile, Profile::SHM_HYBRID);
    assert_eq!(terms.request, HELLO.request);
    assert_eq!(terms.response, Limits { payload_bytes: 65_536, batch_items: 1024 });
    assert_eq!(terms.packet_size.bytes(), 65_536);
}

#[test]
fn refusals_come_in_the_contracts_order() {
    // Everything is wrong at once; each step mends what was refused and meets the next.
    let mut hello = Hello {
        supported: Profiles(0x10),
        request: Limits { payload_bytes: (1 << 20) + 1, ..HELLO.request },
        auth_token: 8,
        packet_size: 32,
        ..HELLO
    };
    let mut peer = Peer { admitted: false, can_open_regions: false, session_free: false };
    assert_eq!(status(&hello, &POLICY, &peer), Status::UNSUPPORTED);
    hello.supported = Profiles::SHM_HYBRID;
    assert_eq!(status(&hello, &POLICY, &peer), Status::AUTH_FAILED);
    peer.admitted = true;
    assert_eq!(status(&hello, &POLICY, &peer), Status::AUTH_FAILED);
    hello.auth_token = 7;
    assert_eq!(status(&hello, &POLICY, &peer), Status::LIMIT_EXCEEDED);
    hello.request.payload_bytes = 1 << 20;
    assert_eq!(status(&hello, &POLICY, &peer), Status::INCOMPATIBLE);
    hello.packet_size = 33;
    assert_eq!(status(&hello, &POLICY, &peer), Status::UNSUPPORTED);
    hello.supported = HELLO.supported;
    assert_eq!(status(&hello, &POLICY, &peer), Status::BUSY);
    peer.session_free = true;
    assert_eq!(status(&hello, &POLICY, &peer), Status::OK);
}

#[test]
fn admission_and_token_are_both_needed() {
    let stranger = Peer { admitted: false, ..PEER };
    let rejection = negotiate(&HELLO.message(), &POLICY, &stranger).unwrap_err();
    assert_eq!(rejection, Rejection::NotAdmitted);
    let forger = Hello { auth_token: 8, ..HELLO };
    let rejection = negotiate(&forger.message(), &POLICY, &PEER).unwrap_err();
    assert_eq!(rejection, Rejection::WrongToken);
}

#[test]
fn a_malformed_hello_is_refused_before_anything_else() {
    let good = hello_header();
    let payload = HELLO.encode();
    let long = [&payload[..], &[0]].concat();
    let zero = Hello { request: Limits { payload_bytes: 0, batch_items: 1 }, ..HELLO }.encode();
    let cases = [
        (message(Header { kind: Kind::Request, ..good }, &payload), Defect::Kind),
        (message(Header { kind: Kind::Request, ..good }, &[2; 44]), Defect::Kind),
        (message(Header { code: 2, ..good }, &payload), Defect::Code),
        (message(Header { flags: 1, ..good }, &payload), Defect::Flags),
        (message(Header { flags: 0x80, ..good }, &payload), Defect::Flags),
        (message(Header { status: Status(1), ..good }, &payload), Defect::Status),
        (message(Header { item_count: 0, ..good }, &payload), Defect::Count),
        (message(Header { item_count: 2, ..good }, &payload), Defect::Count),
        (message(Header { message_id: 1, ..good }, &payload), Defect::Reserved),
        (message(good, &long), Defect::Trailing),
        (message(good, &payload[..43]), Defect::Truncated),
        (message(Header { payload_len: 45, ..good }, &long), Defect::Trailing),
        (message(Header { payload_len: 43, ..good }, &payload), Defect::Trailing),
        (message(Header { payload_len: 45, ..good }, &payload), Defect::Truncated),
        (message(Header { payload_len: u32::MAX, ..good }, &payload), Defect::Truncated),
        (message(Header { payload_len: 0, ..good }, &[]), Defect::Truncated),
        (message(good, &zero), Defect::ZeroLimit),
        (Vec::new(), Defect::Truncated),
        (good.encode()[..31].to_vec(), Defect::Truncated),
    ];
    // Even with a wrong token, which would be refused later.
    let policy = Policy { auth_token: 9, ..POLICY };
    for (bytes, defect) in cases {
        match negotiate(&bytes, &policy, &PEER) {
            Err(rejection @ Rejection::Malformed(error)) => {
                assert_eq!(error.defect, defect, "{bytes:?}");
                assert_eq!(rejection.status(), Status::BAD_ENVELOPE);
            }
            other => panic!("{defect:?} expected, got {other:?}"),
        }
    }
}

#[test]
fn another_version_is_incompatible_whatever_its_length() {
    let mut version = HELLO.message();
    version[4..6].copy_from_slice(&2_u16.to_ne_bytes());
    let mut layout = HELLO.encode().to_vec();
    layout[..2].copy_from_slice(&2_u16.to_ne_bytes());
    layout.extend_from_slice(&[0; 8]);
    let header = Header { payload_len: HELLO_LEN as u32 + 8, ..hello_header() };
    for bytes in [version.to_vec(), message(header, &layout)] {
        let rejection = negotiate(&bytes, &POLICY, &PEER).unwrap_err();
        assert_eq!(rejection.status(), Status::INCOMPATIBLE, "{rejection}");
    }
}

#[test]
fn a_rejection_is_a_status_and_zeros() {
    let bytes = Rejection::SessionsTaken.message();
    assert_eq!(bytes.len(), 80);
    assert_eq!(bytes[..32], Header::control(2, Status::BUSY, 48).encode());
    assert_eq!(bytes[32..34], 1_u16.to_ne_bytes());
    assert!(bytes[34..].iter().all(|byte| *byte == 0));
    assert_eq!(check_reply(&HELLO, &bytes), Err(Refusal::Rejected(Status::BUSY)));
}

#[test]
fn a_region_that_cannot_be_made_falls_back_to_the_baseline() {
    let agreed = negotiate(&HELLO.message(), &POLICY, &PEER).unwrap();
    let baseline = agreed.without_shared_memory().unwrap();
    assert_eq!(baseline.terms().profile, Profile::BASELINE);
    let ack = HelloAck::decode(&baseline.message(1)[32..]).unwrap();
    assert_eq!((ack.intersection, ack.server_supported), (Profiles(1), Profiles(3)));

    let shm_only = Hello { supported: Profiles::SHM_HYBRID, ..HELLO };
    let agreed = negotiate(&shm_only.message(), &POLICY, &PEER).unwrap();
    assert_eq!(agreed.without_shared_memory(), Err(Rejection::NoRegion));
}

#[test]
fn a_peer_that_cannot_open_regions_gets_none() {
    let peer = Peer { can_open_regions: false, ..PEER };
    let agreed = negotiate(&HELLO.message(), &POLICY, &peer).unwrap();
    let ack = HelloAck::decode(&agreed.message(1)[32..]).unwrap();
    assert_eq!((ack.selected, ack.intersection), (Profiles(1), Profiles(1)));
}

#[test]
fn the_posix_server_never_selects_what_field_clients_mean_as_shm_hybrid() {
    let field = Hello { supported: Profiles(0x07), preferred: Profiles(0x06), ..HELLO };
    let agreed = negotiate(&field.message(), &POLICY, &PEER).unwrap();
    assert_eq!(agreed.terms().profile, Profile::SHM_HYBRID);
}

#[test]
fn a_client_refuses_what_it_did_not_propose() {
    let good = HelloAck {
        server_supported: Profiles(3),
        intersection: Profiles(3),
        selected: Profiles(1),
        request: HELLO.request,
        response: Limits { payload_bytes: u32::MAX, batch_items: 0 },
        packet_size: HELLO.packet_size,
        session_id: 1,
    };
    assert!(check_reply(&HELLO, &good.message()).is_ok());
    let larger = Limits { payload_bytes: 65_537, ..HELLO.request };
    let fewer = Limits { batch_items: 1023, ..HELLO.request };
    for bad in [
        HelloAck { selected: Profiles(0), ..good },
        HelloAck { selected: Profiles(3), ..good },
        HelloAck { selected: Profiles(4), ..good },
        HelloAck { request: larger, ..good },
        HelloAck { request: fewer, ..good },
        HelloAck { packet_size: HELLO.packet_size + 1, ..good },
        HelloAck { packet_size: 32, ..good },
    ] {
        let refusal = check_reply(&HELLO, &bad.message());
        assert!(matches!(refusal, Err(Refusal::Contradiction(_))), "{bad:?}: {refusal:?}");
    }
}

#[test]
fn a_client_looks_at_the_status_first() {
    let header =
        Header { flags: 1, item_count: 9, ..Header::control(2, Status(0x0222), 1_000_000) };
    let refusal = check_reply(&HELLO, &message(header, &[]));
    assert_eq!(refusal, Err(Refusal::Rejected(Status(0x0222))));
}

#[test]
fn a_client_refuses_answers_that_are_none() {
    let good = negotiate(&HELLO.message(), &POLICY, &PEER).unwrap().message(1);
    let header = Header::decode(&good).unwrap();
    for bad in [
        message(Header { kind: Kind::Response, ..header }, &good[32..]),
        message(Header { code: 1, ..header }, &good[32..]),
        message(Header { message_id: 5, ..header }, &good[32..]),
        [&good[..], &[0]].concat(),
        good[..79].to_vec(),
    ] {
        let refusal = check_reply(&HELLO, &bad);
        assert!(matches!(refusal, Err(Refusal::Malformed(_))), "{refusal:?}");
    }
}

#[test]
fn zero_in_a_configuration_means_the_default() {
    let zero = Limits { payload_bytes: 0, batch_items: 0 };
    assert_eq!(limits_or_default(zero), Limits { payload_bytes: 1024, batch_items: 1 });
    let given = Limits { payload_bytes: 5, batch_items: 6 };
    assert_eq!(limits_or_default(given), given);
}

prop_compose! {
    fn any_hello()(
        supported in 0_u32..64, preferred: u32, payload_bytes in 1_u32..2000, items in 1_u32..,
        packet_size in 0_u32..200, wrong_token in prop::bool::weighted(0.1),
    ) -> Hello {
        Hello {
            supported: Profiles(supported),
            preferred: Profiles(preferred),
            request: Limits { payload_bytes, batch_items: items },
            response_hint: Limits { payload_bytes: items, batch_items: payload_bytes },
            auth_token: 7 + u64::from(wrong_token),
            packet_size,
        }
    }
}

prop_compose! {
    fn any_policy()(
        supported in 0_u32..64, preferred: u32, max in 1_u32..2000, response: u32,
        packet_size in 0_u32..200,
    ) -> Policy {
        Policy {
            supported: Profiles(supported),
            preferred: Profiles(preferred),
            max_request_payload_bytes: max,
            response_payload_bytes: response,
            auth_token: 7,
            packet_size,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_a_server_grants_its_client_takes(
        hello in any_hello(), policy in any_policy(), can_open_regions: bool, session_id: u64,
    ) {
        let peer = Peer { can_open_regions, ..PEER };
        match negotiate(&hello.message(), &policy, &peer) {
            Ok(agreed) => {
                let accepted = check_reply(&hello, &agreed.message(session_id)).unwrap();
                prop_assert_eq!(accepted.terms(), agreed.terms());
                let terms = agreed.terms();
                let selected = Profiles::from(terms.profile);
                prop_assert!(hello.supported.contains(selected));
                prop_assert!(policy.supported.contains(selected));
                prop_assert!(can_open_regions || !terms.profile.is_shared_memory());
                prop_assert_eq!(terms.request, hello.request);
                prop_assert_eq!(terms.response.payload_bytes, policy.response_payload_bytes);
                prop_assert_eq!(terms.packet_size.bytes(), hello.packet_size.min(policy.packet_size));
            }
            Err(rejection) => prop_assert_eq!(
                check_reply(&hello, &rejection.message()),
                Err(Refusal::Rejected(rejection.status()))
            ),
        }
    }

    #[test]
    fn mutated_handshakes_never_panic_and_never_weaken_the_checks(
        changes in prop::collection::vec((0_usize..80, any::<u8>()), 1..=4),
    ) {
        let mut hello = HELLO.message();
        let mut ack = negotiate(&hello, &POLICY, &PEER).unwrap().message(1);
        for (place, byte) in changes {
            if let Some(target) = hello.get_mut(place) { *target = byte; }
            if let Some(target) = ack.get_mut(place) { *target = byte; }
        }
        if let Ok(agreed) = negotiate(&hello, &POLICY, &PEER) {
            // Whatever was accepted is a HELLO in canonical form.
            let decoded = Hello::decode(&hello[32..]).unwrap();
            prop_assert_eq!(decoded.message(), hello);
            prop_assert_eq!(decoded.auth_token, POLICY.auth_token);
            prop_assert!(agreed.terms().request.payload_bytes <= POLICY.max_request_payload_bytes);
        }
        if let Ok(accepted) = check_reply(&HELLO, &ack) {
            prop_assert!(HELLO.supported.contains(accepted.terms().profile.into()));
            prop_assert_eq!(accepted.terms().request, HELLO.request);
            prop_assert!(accepted.terms().packet_size.bytes() <= HELLO.packet_size);
        }
    }
}

#[test]
fn refusals_say_what_the_server_means() {
    let said = |status| alloc::string::ToString::to_string(&Refusal::Rejected(status));
    assert_eq!(
        said(Status::AUTH_FAILED),
        "the server refused the session: AUTH_FAILED: another token, or a user that it does not \
         admit"
    );
    assert!(
        said(Status::BUSY).ends_with("BUSY: it has all the sessions that it may have; try later")
    );
    assert_eq!(said(Status(0x0222)), "the server refused the session: status 0x0222");
}
