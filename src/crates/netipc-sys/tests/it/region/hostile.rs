//! Peers that break the contract: each costs its own session, by an error, and nothing else.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use netipc_sys::{
    AttachError, Breach, Deadline, EntryKind, RegionChannel, RegionDefect, RegionError, own_uid,
};

use super::support::{Ends, SIZES, attach, file_of, receive, region_path, watching};
use crate::support::{LATENESS, Place, abort, long, pair, within};

/// Offsets of the header (spec section 7).
const REQ_SEQ: u64 = 32;
const RESP_SEQ: u64 = 40;
const REQ_LEN: u64 = 48;
const RESP_LEN: u64 = 52;

/// The client's part by hand: a sequence number and a length, whatever they say.
fn publish(file: &File, seq: u64, len: u32) {
    file.write_all_at(&len.to_ne_bytes(), REQ_LEN).expect("written");
    file.write_all_at(&seq.to_ne_bytes(), REQ_SEQ).expect("written");
}

#[test]
fn sequence_numbers_that_jump_end_the_session() {
    for jump in [2, 3, 1 << 62, 1 << 63, u64::MAX, u64::MAX - 1] {
        let ends = Ends::new(SIZES);
        publish(&file_of(&ends), jump, 40);
        let breach = Breach::Sequence { seen: 0, found: jump };
        let mut buffer = [0; 64];
        for _ in 0..3 {
            let broken = ends.server.try_receive(&mut buffer[..], 64);
            assert_eq!(broken, Err(RegionError::Broken(breach)), "it does not heal");
        }
    }
    // Back, and after right ones.
    let ends = Ends::new(SIZES);
    let stop = abort();
    let until = watching(&ends.server_socket, &stop);
    for message in [b"one", b"two"] {
        ends.client.send(&[message]).expect("sent");
        assert_eq!(receive(&ends.server, until), message);
    }
    publish(&file_of(&ends), 1, 3);
    let broken = ends.server.receive(&mut Vec::new(), 64, until);
    assert_eq!(broken, Err(RegionError::Broken(Breach::Sequence { seen: 2, found: 1 })));
}

#[test]
fn lengths_that_lie_end_the_session() {
    let capacity = SIZES.request_bytes.next_multiple_of(64);
    for len in [0, u32::try_from(capacity).expect("small") + 1, 1 << 31, u32::MAX] {
        let ends = Ends::new(SIZES);
        publish(&file_of(&ends), 1, len);
        let broken = ends.server.receive(&mut Vec::new(), usize::MAX, netipc_sys::Until::ended());
        assert_eq!(broken, Err(RegionError::Broken(Breach::Length { len, capacity })));
    }
    // The other direction is no different.
    let ends = Ends::new(SIZES);
    let file = file_of(&ends);
    file.write_all_at(&u32::MAX.to_ne_bytes(), RESP_LEN).expect("written");
    file.write_all_at(&1_u64.to_ne_bytes(), RESP_SEQ).expect("written");
    let capacity = SIZES.response_bytes.next_multiple_of(64);
    let broken = ends.client.try_receive(&mut Vec::new(), usize::MAX);
    let breach = Breach::Length { len: u32::MAX, capacity };
    assert_eq!(broken, Err(RegionError::Broken(breach)));
}

#[test]
fn what_a_peer_writes_into_our_words_changes_nothing_here() {
    let ends = Ends::new(SIZES);
    let file = file_of(&ends);
    // The server's own words, and the layout that both have read.
    file.write_all_at(&[0xa5; 16], 16).expect("written");
    file.write_all_at(&u64::MAX.to_ne_bytes(), RESP_SEQ).expect("written");
    file.write_all_at(&u32::MAX.to_ne_bytes(), RESP_LEN).expect("written");
    ends.server.send(&[b"the first"]).expect("sent");
    let stop = abort();
    assert_eq!(receive(&ends.client, watching(&ends.client_socket, &stop)), b"the first");
    ends.client.send(&[&[5; 1056]]).expect("sent");
    assert_eq!(receive(&ends.server, watching(&ends.server_socket, &stop)), [5; 1056]);
}

#[test]
fn counters_go_on_from_where_a_client_finds_them() {
    let place = Place::new();
    let path = region_path(&place);
    let _server = RegionChannel::create(&path, SIZES).expect("created");
    let file = File::options().read(true).write(true).open(&path).expect("there");
    // About to wrap around.
    file.write_all_at(&u64::MAX.to_ne_bytes(), RESP_SEQ).expect("written");
    file.write_all_at(&u64::MAX.to_ne_bytes(), REQ_SEQ).expect("written");
    let (socket, _server_socket) = pair();
    let client = attach(&path, SIZES, &socket).expect("attached");
    assert_eq!(client.try_receive(&mut Vec::new(), 64), Ok(None), "nothing is new");
    file.write_all_at(&7_u32.to_ne_bytes(), RESP_LEN).expect("written");
    file.write_all_at(&0_u64.to_ne_bytes(), RESP_SEQ).expect("written");
    assert_eq!(client.try_receive(&mut Vec::new(), 64), Ok(Some(7)));
    client.send(&[b"a request"]).expect("sent");
    let mut seq = [1; 8];
    file.read_exact_at(&mut seq, REQ_SEQ).expect("read");
    assert_eq!(seq, [0; 8]);
}

/// A header of this layout, changed at `offset`; what a client says of it.
fn attach_to_changed(offset: u64, bytes: &[u8]) -> Option<AttachError> {
    let place = Place::new();
    let path = region_path(&place);
    let _server = RegionChannel::create(&path, SIZES).expect("created");
    let file = File::options().write(true).open(&path).expect("there");
    file.write_all_at(bytes, offset).expect("written");
    let (socket, _server_socket) = pair();
    attach(&path, SIZES, &socket).err()
}

#[test]
fn headers_that_lie_are_refused_by_name() {
    let invalid = |defect| Some(AttachError::Invalid(defect));
    let number = |offset, value: u32| attach_to_changed(offset, &value.to_ne_bytes());
    let short = |offset, value: u16| attach_to_changed(offset, &value.to_ne_bytes());
    assert_eq!(number(0, 7), invalid(RegionDefect::Magic { found: 7 }));
    for version in [0, 2, 4] {
        assert_eq!(short(4, version), invalid(RegionDefect::Version { found: version }));
    }
    assert_eq!(short(6, 128), invalid(RegionDefect::HeaderLen { found: 128 }));
    for (field, good) in [(16, 64), (24, 1152)] {
        for offset in [0, 32, good + 1, good + 63, u32::MAX] {
            assert_eq!(number(field, offset), invalid(RegionDefect::Offset { found: offset }));
        }
    }
    for (field, good) in [(20, 1088), (28, 4160)] {
        for capacity in [0, 64, good - 64, good + 1, u32::MAX] {
            let defect = RegionDefect::Capacity { found: capacity };
            assert_eq!(number(field, capacity), invalid(defect), "{field} {capacity}");
        }
    }
    assert_eq!(number(24, 64), invalid(RegionDefect::Overlap), "the response area over the other");
    assert_eq!(number(16, 1152), invalid(RegionDefect::Overlap), "the other way round");
    assert_eq!(number(20, 1152), invalid(RegionDefect::Overlap), "by one line");
    let beyond = u32::MAX - 63;
    let needed = u64::from(beyond) + 4160;
    let defect = RegionDefect::Short { file_bytes: 5312, needed };
    assert_eq!(number(24, beyond), Some(AttachError::NotReady(defect)));
}

#[test]
fn larger_areas_in_another_order_are_accepted() {
    let place = Place::new();
    let path = region_path(&place);
    let mut bytes = super::support::header(1, 1);
    for (offset, value) in [(16, 8192_u32), (20, 4096), (24, 128), (28, 8064)] {
        bytes[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
    }
    bytes.resize(16_384, 0);
    fs::write(&path, &bytes).expect("written");
    let (socket, _server_socket) = pair();
    let client = attach(&path, SIZES, &socket).expect("attached");
    client.send(&[b"in the second area"]).expect("sent");
    assert_eq!(fs::read(&path).expect("read")[8192..8210], *b"in the second area");
    // Larger areas than agreed make no larger messages, where the caller says so.
    let mut room = Vec::new();
    assert_eq!(client.try_receive(&mut room, SIZES.response_bytes), Ok(None));
}

fn refused(path: &Path) -> AttachError {
    let (socket, _server_socket) = pair();
    attach(path, SIZES, &socket).expect_err("it is no region")
}

#[test]
fn a_link_at_the_name_is_refused_and_its_target_left_alone() {
    let ends = Ends::new(SIZES);
    let link = ends.place.dir().join("svc-0000000000000002.ipcshm");
    symlink(ends.path(), &link).expect("linked");
    let before = fs::read(ends.path()).expect("read");
    let link_is_there = AttachError::Invalid(RegionDefect::Foreign(EntryKind::Symlink));
    assert_eq!(refused(&link), link_is_there);
    assert_eq!(fs::read(ends.path()).expect("read"), before);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let place = Place::new();
    let path = place.dir().join("svc-0000000000000001.ipcshm");
    fs::create_dir(&path).expect("made");
    let foreign = |kind| AttachError::Invalid(RegionDefect::Foreign(kind));
    assert_eq!(refused(&path), foreign(EntryKind::Directory));
    fs::remove_dir(&path).expect("removed");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("made");
    assert_eq!(refused(&path), foreign(EntryKind::Fifo));
    assert_eq!(refused("/dev/null".as_ref()), foreign(EntryKind::Device));
}

#[test]
fn a_region_of_another_user_than_the_peer_is_refused() {
    let ends = Ends::new(SIZES);
    let (socket, _server_socket) = pair();
    let other = own_uid() + 1;
    let refused =
        RegionChannel::attach(ends.path(), SIZES, other, &socket, long(), &abort()).map(|_| ());
    let defect = RegionDefect::Owner { found: own_uid(), expected: other };
    assert_eq!(refused, Err(AttachError::Invalid(defect)));
}

#[test]
fn a_missing_or_short_file_is_waited_for_a_while() {
    let place = Place::new();
    let path = region_path(&place);
    let (socket, server_socket) = pair();
    let missing = AttachError::NotReady(RegionDefect::Missing);
    let start = Instant::now();
    assert_eq!(attach(&path, SIZES, &socket).map(|_| ()), Err(missing));
    assert!(start.elapsed() >= Duration::from_millis(250), "it may be on its way");
    fs::write(&path, [0; 63]).expect("written");
    let short = AttachError::NotReady(RegionDefect::Short { file_bytes: 63, needed: 64 });
    assert_eq!(attach(&path, SIZES, &socket).map(|_| ()), Err(short));
    fs::remove_file(&path).expect("removed");
    // One that comes in time, whole, is used.
    std::thread::scope(|threads| {
        let client = threads.spawn(|| attach(&path, SIZES, &socket));
        let in_the_making = path.with_extension("new");
        let _server = RegionChannel::create(&in_the_making, SIZES).expect("created");
        fs::rename(&in_the_making, &path).expect("renamed");
        client.join().expect("done").expect("attached");
    });
    fs::remove_file(&path).expect("removed");
    // A deadline and an abort end it earlier, and so does the peer.
    let until = |deadline, stop: &netipc_sys::Abort| {
        let done = RegionChannel::attach(&path, SIZES, own_uid(), &socket, deadline, stop);
        done.map(|_| ())
    };
    let stop = abort();
    within(LATENESS, || {
        let start = Instant::now();
        assert_eq!(until(Deadline::after(Duration::ZERO), &stop), Err(AttachError::TimedOut));
        start.elapsed()
    });
    stop.trigger();
    assert_eq!(until(long(), &stop), Err(AttachError::Aborted));
    drop(server_socket);
    within(LATENESS, || {
        let start = Instant::now();
        assert_eq!(until(long(), &abort()), Err(missing));
        start.elapsed()
    });
    assert_eq!(socket.peer_gone(), Ok(true), "by which the caller knows that the server was full");
}
