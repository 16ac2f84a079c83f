//! Regions: made before they are promised, gone with their session, and done without where they cannot
//! be had (spec section 4, step 9, and section 7).

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use netipc::{
    Abort, AttachError, ConnectError, Deadline, Listener, ListenerConfig, Met, Profile, Profiles,
    RegionDefect, Session, Status,
};
use netipc_proto::hello::Hello;
use netipc_sys::{RegionChannel, RegionSizes};
use rustix::fs::inotify;

use crate::support::raw::{Raw, RawServer, region_path, shared_memory_hello, status};
use crate::support::{Place, SHORT, TRIES, Transport, abort, asleep_in, echoed, long, proposal};

const SHARED: Transport = Transport::SharedMemory;
const LIMIT: u32 = 1000;
/// Header, and two areas of 1032 bytes in whole lines (spec section 7).
const FILE_BYTES: u64 = 64 + 2 * 1088;
/// How long a client may take to see that a region will not come.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// A session, both ends, over whatever the server can have.
fn session(place: &Place, listener: &mut Listener) -> (Session, Session) {
    let endpoint = place.endpoint.clone();
    let client =
        asleep_in(move || Session::connect(&endpoint, &SHARED.proposal(LIMIT), long(), &abort()));
    let server = listener.accept(long(), &abort()).expect("a session");
    let client = client.join().expect("no panic").expect("a session");
    assert_eq!(client.terms(), server.terms());
    (client, server)
}

fn regions_in(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.endpoint.run_dir()).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "ipcshm")).collect()
}

#[test]
fn a_region_is_as_agreed_and_gone_with_its_session() {
    let place = Place::new();
    let mut listener = place.listen(&SHARED.config(LIMIT));
    let (client, server) = session(&place, &mut listener);
    assert_eq!(client.profile(), Profile::SHM_HYBRID);
    assert_eq!(client.server_supported(), Profiles(0x03));
    let path = region_path(&place.endpoint, 1);
    assert_eq!(regions_in(&place), std::slice::from_ref(&path));
    let file = fs::metadata(&path).expect("a file");
    assert_eq!((file.mode() & 0o7777, file.len()), (0o600, FILE_BYTES));
    assert!(file.blocks() * 512 >= FILE_BYTES, "all of it is reserved");
    drop(client);
    assert_eq!(server.peer_gone(), Ok(true));
    assert!(path.exists(), "it is the server's");
    drop(server);
    assert!(regions_in(&place).is_empty());
}

#[test]
fn both_sides_must_offer_shared_memory_and_reserved_bits_are_never_selected() {
    let offers = [
        (0x03, 0x01, 0x01),
        (0x01, 0x03, 0x01),
        (0x00, 0xFF, 0x01),
        (0xFF, 0x00, 0x01),
        (0x05, 0x05, 0x01),
        (0x07, 0x07, 0x02),
        (0xFFFF_FFFF, 0xFFFF_FFFF, 0x02),
    ];
    for (client, server, selected) in offers {
        let place = Place::new();
        let config =
            ListenerConfig { supported_profiles: Profiles(server), ..SHARED.config(LIMIT) };
        let mut listener = place.listen(&config);
        let (endpoint, supported_profiles) = (place.endpoint.clone(), Profiles(client));
        let client = asleep_in(move || {
            let proposal = netipc::Proposal { supported_profiles, ..proposal(LIMIT) };
            Session::connect(&endpoint, &proposal, long(), &abort())
        });
        let server = listener.accept(long(), &abort()).expect("a session");
        let client = client.join().expect("no panic").expect("a session");
        assert_eq!((client.profile().bit(), server.profile().bit()), (selected, selected));
        assert_eq!(regions_in(&place).len(), usize::from(selected == 0x02));
    }
}

#[test]
fn peers_in_the_field_that_offer_the_reserved_bit_get_shared_memory_by_its_own() {
    let place = Place::new();
    let mut listener = place.listen(&SHARED.config(LIMIT));
    let raw = Raw::connect(&place.endpoint);
    let all = Profiles(0x07);
    raw.send(&Hello { supported: all, preferred: all, ..shared_memory_hello(LIMIT) }.message());
    let session = listener.accept(long(), &abort()).expect("a session");
    assert_eq!(session.profile(), Profile::SHM_HYBRID);
    // And one that has nothing else but that bit has nothing in common.
    let raw = Raw::connect(&place.endpoint);
    raw.send(&Hello { supported: Profiles(0x04), ..shared_memory_hello(LIMIT) }.message());
    assert!(listener.try_accept(|| true).expect("looked").is_none());
    assert_eq!(status(&raw.recv()), Status::UNSUPPORTED);
}

#[test]
fn names_that_are_taken_are_skipped() {
    let place = Place::new();
    let mut listener = place.listen(&SHARED.config(LIMIT));
    let sizes = RegionSizes { request_bytes: 64, response_bytes: 64 };
    // A live server's: this process lives.
    let live = [1, 2, 4].map(|id| {
        RegionChannel::create(region_path(&place.endpoint, id), sizes).expect("a region")
    });
    fs::create_dir(region_path(&place.endpoint, 5)).expect("what is no region");
    fs::write(place.endpoint.run_dir().join("precious"), b"data").expect("written");
    symlink(place.endpoint.run_dir().join("precious"), region_path(&place.endpoint, 6))
        .expect("linked");
    let sessions: Vec<_> = (0..3).map(|_| session(&place, &mut listener)).collect();
    let ids: Vec<_> = sessions.iter().map(|(client, _)| client.id()).collect();
    assert_eq!(ids, [3, 7, 8]);
    for (client, server) in &sessions {
        assert_eq!((client.profile(), client.id()), (Profile::SHM_HYBRID, server.id()));
    }
    assert_eq!(fs::read(place.endpoint.run_dir().join("precious")).expect("there"), b"data");
    // No id is used twice, whatever has become of those that were skipped.
    drop((sessions, live));
    let again = session(&place, &mut listener);
    assert_eq!(again.0.id(), 9);
    drop(again);
    assert_eq!(regions_in(&place).len(), 2, "the directory and the link stay");
}

#[test]
fn what_dead_servers_left_is_removed_by_who_wins_the_endpoint() {
    let place = Place::new();
    let dir = place.endpoint.run_dir();
    let stale = [region_path(&place.endpoint, 1), region_path(&place.endpoint, u64::MAX)];
    // A file of no owner; and names that are not of this service, whatever is in them.
    let others = [
        "svc-1.ipcshm",
        "svc-00000000000000001.ipcshm",
        "svc2-0000000000000001.ipcshm",
        "svc.ipcshm",
    ];
    for path in &stale {
        fs::write(path, [0; 4096]).expect("written");
    }
    for name in others {
        fs::write(dir.join(name), [0; 4096]).expect("written");
    }
    let live_path = region_path(&place.endpoint, 7);
    let sizes = RegionSizes { request_bytes: 64, response_bytes: 64 };
    let live = RegionChannel::create(&live_path, sizes).expect("a region");
    let listener = place.listen(&SHARED.config(LIMIT));
    let loser = Listener::bind(&place.endpoint, &SHARED.config(LIMIT));
    loser.expect_err("taken");
    assert!(stale.iter().all(|path| !path.exists()));
    assert!(live_path.exists() && others.iter().all(|name| dir.join(name).exists()));
    drop((listener, live));
}

#[test]
fn a_server_without_room_for_a_region_gives_the_baseline() {
    let place = Place::new();
    let two = ListenerConfig { max_region_bytes: 2 * FILE_BYTES, ..SHARED.config(LIMIT) };
    let mut listener = place.listen(&two);
    let first = session(&place, &mut listener);
    let second = session(&place, &mut listener);
    let third = session(&place, &mut listener);
    let profiles = [&first, &second, &third].map(|(client, _)| client.profile());
    assert_eq!(profiles, [Profile::SHM_HYBRID, Profile::SHM_HYBRID, Profile::BASELINE]);
    assert_eq!(third.0.server_supported(), Profiles(0x03), "it could, and says so");
    assert_eq!(regions_in(&place).len(), 2);
    // One that takes nothing else is told to come again.
    let raw = Raw::connect(&place.endpoint);
    let alone = Profiles::SHM_HYBRID;
    raw.send(&Hello { supported: alone, preferred: alone, ..shared_memory_hello(LIMIT) }.message());
    assert!(listener.try_accept(|| true).expect("looked").is_none());
    assert_eq!((status(&raw.recv()), listener.counters().counts().busy), (Status::BUSY, 1));

    // What a session had is there for the next, whichever end leaves last.
    drop(first);
    let fourth = session(&place, &mut listener);
    assert_eq!((fourth.0.profile(), fourth.0.id()), (Profile::SHM_HYBRID, 4));
}

#[test]
fn where_no_file_can_be_made_sessions_go_over_the_baseline() {
    let place = Place::new();
    let mut listener = place.listen(&SHARED.config(LIMIT));
    let moved = place.endpoint.run_dir().with_extension("moved");
    let endpoint = place.endpoint.clone();
    let client = Raw::connect(&endpoint);
    client.send(&shared_memory_hello(LIMIT).message());
    fs::rename(endpoint.run_dir(), &moved).expect("moved");
    let session = listener.accept(long(), &abort()).expect("a session");
    assert_eq!(session.profile(), Profile::BASELINE);
    assert_eq!(status(&client.recv()), Status::OK);
    fs::rename(&moved, endpoint.run_dir()).expect("moved back");
}

#[test]
fn where_every_name_is_taken_the_session_goes_over_the_baseline() {
    /// Names that one handshake tries.
    const TRIED: u64 = 256;
    let place = Place::new();
    let mut listener = place.listen(&SHARED.config(LIMIT));
    for id in 1..=TRIED {
        fs::create_dir(region_path(&place.endpoint, id)).expect("what is no region");
    }
    let (_client, server) = session(&place, &mut listener);
    assert_eq!((server.profile(), server.id()), (Profile::BASELINE, TRIED + 1));
    // The next handshake goes on behind them.
    let (_client, server) = session(&place, &mut listener);
    assert_eq!((server.profile(), server.id()), (Profile::SHM_HYBRID, TRIED + 2));
}

/// A client that was promised a region, of which there is a file that is too short so far.
struct Attaching {
    place: Place,
    server: RawServer,
    client: JoinHandle<ConnectError>,
}

impl Attaching {
    fn start(deadline: Deadline, stop: Abort) -> Self {
        let place = Place::new();
        let server = RawServer::start(&place);
        let endpoint = place.endpoint.clone();
        let client = spawn(move || {
            Session::connect(&endpoint, &SHARED.proposal(LIMIT), deadline, &stop)
                .expect_err("no region to use")
        });
        Self { place, server, client }
    }

    /// Keeps the promise so far. What shows is readable once the client has looked at the file.
    fn promise(&self) -> (Raw, OwnedFd) {
        let looks = inotify::init(inotify::CreateFlags::NONBLOCK).expect("a watch");
        let (raw, ()) = self.server.promise_region(&self.place, |path, _| {
            fs::write(&path, [0; 10]).expect("written");
            let _id = inotify::add_watch(&looks, path, inotify::WatchFlags::OPEN).expect("watched");
        });
        (raw, looks)
    }
}

#[test]
fn attaching_ends_at_the_deadline_of_connecting() {
    // A slow machine may be at its deadline before the region is.
    let attached = |_| {
        let attaching = Attaching::start(Deadline::after(SHORT), abort());
        let (_raw, looks) = attaching.promise();
        let error = attaching.client.join().expect("no panic");
        assert_eq!(error, ConnectError::TimedOut);
        rustix::io::read(&looks, &mut [0; 256]).is_ok()
    };
    assert!((0..TRIES).any(attached), "no client came as far as its region");
}

#[test]
fn an_abort_ends_attaching() {
    // On a slow machine the abort may come when the client has given up already.
    let aborted = |_| {
        let stop = abort();
        let attaching = Attaching::start(long(), stop.clone());
        let (_raw, looks) = attaching.promise();
        netipc_sys::wait_readable(&looks, long(), &abort()).expect("a client that looks");
        stop.trigger();
        attaching.client.join().expect("no panic") == ConnectError::Aborted
    };
    assert!((0..TRIES).any(aborted), "no abort ended a client's wait");
}

/// What a client says to a region that `make` prepares, after its server did `then` with the socket.
fn promised(make: impl FnOnce(&Path, RegionSizes), close: bool) -> ConnectError {
    let place = Place::new();
    let server = RawServer::start(&place);
    let endpoint = place.endpoint.clone();
    let client =
        asleep_in(move || Session::connect(&endpoint, &SHARED.proposal(LIMIT), long(), &abort()));
    let (raw, ()) = server.promise_region(&place, |path, sizes| make(&path, sizes));
    let kept = (!close).then_some(raw);
    let error = client.join().expect("no panic").expect_err("no region to use");
    drop(kept);
    error
}

#[test]
fn a_region_that_does_not_come_is_given_up_and_said_so() {
    let start = Instant::now();
    let error = promised(|_, _| {}, false);
    let missing = AttachError::NotReady(RegionDefect::Missing);
    assert_eq!((&error, error.met()), (&ConnectError::Region(missing), Some(Met::BadAnswer)));
    assert!(start.elapsed() < GIVEN_UP, "{:?}", start.elapsed());
    let error = promised(|path, _| fs::write(path, [0; 10]).expect("written"), false);
    let short = AttachError::NotReady(RegionDefect::Short { file_bytes: 10, needed: 64 });
    assert_eq!(error, ConnectError::Region(short));
}

#[test]
fn a_region_that_is_gone_together_with_the_socket_means_a_full_server() {
    let error = promised(|_, _| {}, true);
    assert_eq!((&error, error.met()), (&ConnectError::RegionVanished, Some(Met::RegionVanished)));
}

#[test]
fn a_region_that_comes_late_is_attached() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let endpoint = place.endpoint.clone();
    let client =
        asleep_in(move || Session::connect(&endpoint, &SHARED.proposal(LIMIT), long(), &abort()));
    let (raw, (path, sizes)) = server.promise_region(&place, |path, sizes| (path, sizes));
    // It comes whole: a server that follows the contract has it before it promises it.
    let in_the_making = path.with_extension("new");
    let region = RegionChannel::create(&in_the_making, sizes).expect("a region");
    fs::rename(&in_the_making, &path).expect("renamed");
    let client = client.join().expect("no panic").expect("a session");
    assert_eq!(client.profile(), Profile::SHM_HYBRID);
    drop((raw, region));
}

#[test]
fn what_is_no_region_is_not_used() {
    let error = promised(
        |path, _| {
            let target = path.with_extension("target");
            fs::write(&target, [0; 8192]).expect("written");
            symlink(&target, path).expect("linked");
        },
        false,
    );
    let ConnectError::Region(AttachError::Invalid(_)) = error else { panic!("{error}") };
    let error = promised(|path, _| fs::write(path, [0; 8192]).expect("written"), false);
    assert_eq!(error, ConnectError::Region(AttachError::Invalid(RegionDefect::Magic { found: 0 })));
    let error = promised(
        |path, sizes| {
            let response_bytes = sizes.response_bytes - 64;
            let region = RegionChannel::create(path, RegionSizes { response_bytes, ..sizes });
            // Its file stays behind.
            std::mem::forget(region.expect("a region"));
        },
        false,
    );
    let small = RegionDefect::Capacity { found: 1024 };
    assert_eq!(error, ConnectError::Region(AttachError::Invalid(small)));
}

#[test]
fn larger_areas_than_agreed_are_accepted_and_not_used() {
    let place = Place::new();
    let server = RawServer::start(&place);
    let endpoint = place.endpoint.clone();
    let client =
        asleep_in(move || Session::connect(&endpoint, &SHARED.proposal(LIMIT), long(), &abort()));
    let (_raw, _region) = server.promise_region(&place, |path, _| {
        let sizes = RegionSizes { request_bytes: 1 << 20, response_bytes: 1 << 20 };
        RegionChannel::create(&path, sizes).expect("a region")
    });
    let client = client.join().expect("no panic").expect("a session");
    let long_one = vec![0; LIMIT as usize + 1];
    let sent = client.send(&crate::support::request(1, &long_one), &long_one, long(), &abort());
    assert!(matches!(sent, Err(netipc::SendError::AboveLimit { .. })), "{sent:?}");
}

#[test]
fn sessions_over_both_transports_live_side_by_side() {
    let echo = crate::support::Echo::start(&SHARED.config(LIMIT));
    let over_socket = echo.place.connect(&proposal(LIMIT));
    let over_region = echo.place.connect(&SHARED.proposal(LIMIT));
    assert_eq!(over_socket.profile(), Profile::BASELINE);
    assert_eq!(over_region.profile(), Profile::SHM_HYBRID);
    for id in 0..10 {
        echoed(&over_socket, id, b"socket");
        echoed(&over_region, id, b"region");
    }
}
