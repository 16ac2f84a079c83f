//! What things are called in messages and status, and what is empty.

use std::collections::HashSet;

use netipc_proto::chunk::{PacketSize, Split};
use netipc_proto::header::{HEADER_LEN, Header};
use netipc_proto::inflight::InFlight;
use netipc_proto::names::{NameError, ServiceName, Thing, pipe_name, socket_path};
use netipc_proto::negotiate::check_reply;
use netipc_proto::payload::SnapshotWriter;
use netipc_proto::profile::{Profile, Profiles};
use netipc_proto::retry::ClientState;

#[test]
fn every_state_has_a_name_of_its_own() {
    use ClientState::{
        AuthFailed, Broken, Connecting, Disconnected, Incompatible, NotFound, Ready,
    };
    let states = [Disconnected, Connecting, Ready, NotFound, AuthFailed, Incompatible, Broken];
    let names: HashSet<_> = states.iter().map(|state| state.name()).collect();
    assert_eq!(names.len(), states.len());
}

#[test]
fn profiles_of_the_contract_have_names_and_others_say_what_they_are() {
    let mut names = HashSet::new();
    for bit in 0..u32::BITS {
        let Some(profile) = Profiles(1 << bit).single() else { panic!("one bit is one profile") };
        names.insert(profile.name());
    }
    assert_eq!(Profile::BASELINE.name(), "baseline");
    assert_eq!(Profile::SHM_HYBRID.name(), "shm-hybrid");
    assert!(names.is_superset(&HashSet::from(["shm-busywait", "extension", "reserved"])));
}

#[test]
fn a_name_that_is_too_long_says_of_what() {
    let service = ServiceName::new(&"s".repeat(300)).expect("a good name");
    let long: NameError = socket_path(b"/run", &service, 107).expect_err("too long");
    assert!(long.to_string().contains("socket"), "{long}");
    let long = pipe_name(b"/run", &service).expect_err("too long");
    assert!(long.to_string().contains("pipe"), "{long}");
    let things = [Thing::Socket, Thing::Region, Thing::Pipe, Thing::KernelObject];
    let words: HashSet<_> = things.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), things.len());
}

#[test]
fn a_split_says_how_many_packets_there_are_before_and_while_they_are_taken() {
    let size = PacketSize::new(64).expect("large enough");
    let mut split = Split::new(Header::request(1, 1, 100), size).expect("short enough");
    let packets = split.packet_count();
    assert_eq!(split.by_ref().take(2).count(), 2);
    assert_eq!(split.packet_count(), packets);
    assert_eq!(split.count() as u32 + 2, packets);
}

#[test]
fn what_holds_nothing_is_empty_and_what_holds_something_is_not() {
    let mut table = InFlight::new(4);
    assert!(table.is_empty());
    table.insert(7, ()).expect("room");
    assert!(!table.is_empty());

    let mut out = [0; 256];
    let mut writer = SnapshotWriter::new(&mut out, 8, 2).expect("room");
    assert!(writer.is_empty());
    writer.push(|_| Ok(0)).expect("room");
    assert!(!writer.is_empty());
}

#[test]
fn a_reply_shorter_than_a_header_is_refused() {
    let proposal = netipc_proto::hello::Hello {
        supported: Profiles::BASELINE,
        preferred: Profiles::BASELINE,
        request: netipc_proto::header::Limits { payload_bytes: 1, batch_items: 1 },
        response_hint: netipc_proto::header::Limits { payload_bytes: 1, batch_items: 1 },
        auth_token: 0,
        packet_size: 4096,
    };
    for len in 0..HEADER_LEN {
        assert!(check_reply(&proposal, &vec![0; len]).is_err());
    }
}
