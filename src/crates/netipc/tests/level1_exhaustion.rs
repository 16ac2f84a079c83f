//! When descriptors run out. A test binary of its own: the limit is of the whole process.
#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "this binary needs the least of it")]
mod support;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use netipc::{Deadline, Profile, Status};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::raw::{Raw, hello, shared_memory_hello, status};
use support::{Place, Transport, abort, config, long};

/// Limits are of the whole process, so one test at a time has lowered one.
static ALONE: Mutex<()> = Mutex::new(());

/// A limit of this process that is lower until dropped.
struct Lowered {
    resource: Resource,
    usual: Rlimit,
}

impl Lowered {
    fn to(resource: Resource, current: u64) -> Self {
        let usual = getrlimit(resource);
        setrlimit(resource, Rlimit { current: Some(current), ..usual }).expect("lowered");
        Self { resource, usual }
    }

    /// Lets the process open so many files more.
    fn descriptors_left(count: u64) -> Self {
        let next = File::open("/dev/null").expect("one more").as_raw_fd();
        Self::to(Resource::Nofile, u64::try_from(next).expect("a descriptor") + count)
    }

    /// Lets the process open nothing more.
    fn no_descriptors() -> Self {
        let lowered = Self::descriptors_left(0);
        assert!(File::open("/dev/null").is_err());
        lowered
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        setrlimit(self.resource, self.usual).expect("raised to what it was");
    }
}

#[test]
fn a_client_without_a_descriptor_is_told_busy_and_the_next_is_served() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let mut listener = place.listen(&config(100));
    let clients: Vec<_> = (0..3).map(|_| Raw::connect(&place.endpoint)).collect();
    // One has spoken, one says what is refused in any case, one has said nothing yet.
    clients[0].send(&hello(100).message());
    clients[1].send(&hello(101).message());
    let counters = listener.counters().clone();
    let none = Lowered::no_descriptors();
    while counters.counts().connections < 3 {
        assert!(listener.try_accept(|| true).expect("looked").is_none());
    }
    // Somebody else takes the descriptor that the last client had: nobody can be accepted at all.
    let taken = File::open("/dev/null").expect("the last client's");
    drop(none);
    for (client, told) in clients.iter().zip([Status::BUSY, Status::LIMIT_EXCEEDED, Status::BUSY]) {
        assert_eq!(status(&client.recv()), told);
        client.must_close();
    }
    assert_eq!((counters.counts().busy, counters.counts().limit_exceeded), (2, 1));
    assert_eq!(listener.pending(), 0);

    let late = Raw::connect(&place.endpoint);
    late.send(&hello(100).message());
    let none = Lowered::no_descriptors();
    assert!(listener.try_accept(|| true).expect("looked").is_none());
    assert_eq!((counters.counts().connections, counters.counts().exhausted), (3, 1));
    // It is left alone for a moment, not asked again and again.
    assert_ne!(listener.next_deadline(), Deadline::never());
    assert!(listener.try_accept(|| true).expect("looked").is_none());
    assert_eq!(counters.counts().exhausted, 1);
    drop((none, taken));
    let session = listener.accept(long(), &abort()).expect("a session");
    assert_eq!(session.id(), 1);
    assert_eq!(status(&late.recv()), Status::OK);
}

/// Brings about that the system has too little of something.
type Shortage = fn() -> Lowered;

#[test]
fn a_server_that_can_make_no_region_gives_the_baseline() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // One descriptor for the client and none for its region; no room for a file.
    let shortages: [(&str, Shortage); 2] = [
        ("descriptors", || Lowered::descriptors_left(1)),
        ("disk", || Lowered::to(Resource::Fsize, 100)),
    ];
    for (what, shortage) in shortages {
        let place = Place::new();
        let mut listener = place.listen(&Transport::SharedMemory.config(100));
        let client = Raw::connect(&place.endpoint);
        client.send(&shared_memory_hello(100).message());
        let stop = abort();
        let short = shortage();
        let session = listener.accept(long(), &stop).expect("a session");
        drop(short);
        assert_eq!((session.profile(), session.id()), (Profile::BASELINE, 1), "{what}");
        assert_eq!(status(&client.recv()), Status::OK, "{what}");
        let entries = std::fs::read_dir(place.endpoint.run_dir()).expect("a directory");
        let names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().ends_with("ipcshm")), "{names:?}");

        let client = Raw::connect(&place.endpoint);
        client.send(&shared_memory_hello(100).message());
        let session = listener.accept(long(), &abort()).expect("a session");
        assert_eq!(session.profile(), Profile::SHM_HYBRID, "{what}: there is room again");
    }
}
