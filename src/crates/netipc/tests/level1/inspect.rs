//! What an endpoint's name stands for, found out without a session.

use std::fs;

use netipc::{Endpoint, EndpointState, EntryKind, Listener, ListenerConfig};
use rustix::fs::{Mode, chmod};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::support::Place;
use crate::support::raw::RawServer;

/// Under Wine no pipes are listed (docs/platform/windows.md).
#[cfg(unix)]
#[test]
fn the_names_that_are_taken_are_listed_in_order_and_nothing_else() {
    let run_dir = tempfile::tempdir().expect("a directory");
    assert_eq!(Endpoint::list(run_dir.path()).expect("listed"), Vec::<Vec<u8>>::new());
    let bind = |name: &str| {
        let endpoint = Endpoint::new(run_dir.path(), name).expect("a good name");
        Listener::bind(&endpoint, &ListenerConfig::default()).expect("free")
    };
    let _listeners = [bind("second"), bind("first")];
    fs::write(run_dir.path().join("notes.txt"), "no endpoint").expect("written");
    let names = Endpoint::list(run_dir.path()).expect("listed");
    assert_eq!(names, [b"first".to_vec(), b"second".to_vec()]);
    assert!(Endpoint::list(run_dir.path().join("absent")).is_err());
}

#[test]
fn an_endpoint_says_what_stands_at_its_name() {
    let run_dir = tempfile::tempdir().expect("a directory");
    let endpoint = Endpoint::new(run_dir.path(), "svc").expect("a good name");
    assert_eq!(endpoint.inspect(), Ok(EndpointState::Absent));

    let listener = Listener::bind(&endpoint, &ListenerConfig::default()).expect("free");
    let Ok(EndpointState::Live { server: Some(server) }) = endpoint.inspect() else {
        panic!("{:?}", endpoint.inspect());
    };
    assert_eq!(server.pid, Some(std::process::id()));

    // Another name of the socket outlives its server, as after a kill.
    fs::hard_link(endpoint.socket_path(), run_dir.path().join("left.sock")).expect("linked");
    drop(listener);
    assert_eq!(endpoint.inspect(), Ok(EndpointState::Absent));
    let left = Endpoint::new(run_dir.path(), "left").expect("a good name");
    assert_eq!(left.inspect(), Ok(EndpointState::Stale));

    fs::write(endpoint.socket_path(), "a file").expect("written");
    assert_eq!(endpoint.inspect(), Ok(EndpointState::Foreign(EntryKind::RegularFile)));
}

#[test]
fn an_endpoint_whose_backlog_is_full_is_live_all_the_same() {
    let place = Place::new();
    let (_server, _fillers) = RawServer::full(&place);
    assert_eq!(place.endpoint.inspect(), Ok(EndpointState::Live { server: None }));
}

#[test]
fn an_endpoint_that_this_user_may_not_connect_to_says_so() {
    let place = Place::new();
    let _server = RawServer::start(&place);
    chmod(place.socket(), Mode::empty()).expect("closed");
    // A thread of its own: what lets root through everywhere is a thread's to give up.
    let endpoint = place.endpoint.clone();
    let looked = std::thread::spawn(move || {
        let mut mine = capabilities(None).expect("mine");
        mine.effective.remove(CapabilitySet::DAC_OVERRIDE);
        set_capabilities(None, mine).expect("given up");
        endpoint.inspect()
    });
    assert_eq!(looked.join().expect("no panic"), Ok(EndpointState::Denied));
}
