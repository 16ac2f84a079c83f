//! When descriptors run out. A test binary of its own: the limit is of the whole process.

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "this binary needs the least of it")]
mod support;

use std::fs::File;
use std::os::fd::AsRawFd;

use netipc::{Deadline, Status};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::raw::{Raw, hello, status};
use support::{Place, abort, config, long};

/// Lets the process open nothing more until dropped.
struct NoDescriptors(Rlimit);

impl NoDescriptors {
    fn from_now_on() -> Self {
        let usual = getrlimit(Resource::Nofile);
        let next = File::open("/dev/null").expect("one more").as_raw_fd();
        let current = Some(u64::try_from(next).expect("a descriptor"));
        setrlimit(Resource::Nofile, Rlimit { current, ..usual }).expect("lowered");
        assert!(File::open("/dev/null").is_err());
        Self(usual)
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).expect("raised to what it was");
    }
}

#[test]
fn a_client_without_a_descriptor_is_told_busy_and_the_next_is_served() {
    let place = Place::new();
    let mut listener = place.listen(&config(100));
    let clients: Vec<_> = (0..3).map(|_| Raw::connect(&place.endpoint)).collect();
    // One has spoken, one says what is refused in any case, one has said nothing yet.
    clients[0].send(&hello(100).message());
    clients[1].send(&hello(101).message());
    let counters = listener.counters().clone();
    let none = NoDescriptors::from_now_on();
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
    let none = NoDescriptors::from_now_on();
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
