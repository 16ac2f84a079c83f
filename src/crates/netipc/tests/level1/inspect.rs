//! What an endpoint's name stands for, found out without a session.

use std::fs;

use netipc::{Endpoint, EndpointState, EntryKind, Listener, ListenerConfig};

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
