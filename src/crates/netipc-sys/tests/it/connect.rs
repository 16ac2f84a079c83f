use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use netipc_sys::{
    BindOptions, ConnectError, Deadline, EntryKind, Listener, MAX_SOCKET_PATH_BYTES, PathError,
    connect,
};
use rustix::net::SocketType;

use crate::support::{
    LATENESS, Place, abort, accept, asleep_in, bare_socket, bind, leave_stale_socket, long, recv,
    send, within,
};

fn refusal(path: &Path) -> ConnectError {
    connect(path, long(), &abort()).map(|_| ()).expect_err("no server is there")
}

/// A listener whose backlog is full, and the clients in it.
fn full_listener(place: &Place) -> (Listener, Vec<netipc_sys::PacketChannel>) {
    let options = BindOptions { backlog: 2, ..BindOptions::default() };
    let listener = Listener::bind(&place.socket(), &options).expect("bound");
    let mut waiting = Vec::new();
    loop {
        match connect(&place.socket(), Deadline::after(Duration::ZERO), &abort()) {
            Ok(channel) => waiting.push(channel),
            Err(error) => {
                assert_eq!(error, ConnectError::TimedOut);
                return (listener, waiting);
            }
        }
        assert!(waiting.len() < 100, "the backlog is not endless");
    }
}

#[test]
fn a_server_that_does_not_look_yet_is_connected_to() {
    let place = Place::new();
    let listener = bind(&place.socket());
    let client = connect(&place.socket(), Deadline::after(Duration::ZERO), &abort());
    let client = client.expect("connected");
    send(&client, b"early").expect("sent");
    assert_eq!(recv(&accept(&listener)), b"early");
}

#[test]
fn each_cause_has_its_own_error() {
    let place = Place::new();
    assert_eq!(refusal(&place.socket()), ConnectError::NotFound);
    assert_eq!(refusal(Path::new("/nonexistent-dir/svc.sock")), ConnectError::NotFound);
    leave_stale_socket(&place.socket());
    assert_eq!(refusal(&place.socket()), ConnectError::Refused);

    let file = place.dir().join("file.sock");
    std::fs::write(&file, "x").expect("written");
    assert_eq!(refusal(&file), ConnectError::Foreign(EntryKind::RegularFile));
    assert_eq!(refusal(place.dir()), ConnectError::Foreign(EntryKind::Directory));

    let stream = place.dir().join("stream.sock");
    let socket = bare_socket(&stream, SocketType::STREAM);
    rustix::net::listen(&socket, 1).expect("listening");
    assert_eq!(refusal(&stream), ConnectError::Foreign(EntryKind::OtherSocket));

    let dangling = place.dir().join("dangling.sock");
    symlink("nowhere", &dangling).expect("linked");
    assert_eq!(refusal(&dangling), ConnectError::NotFound);
}

#[test]
fn paths_that_can_name_no_endpoint_say_why() {
    let path_error = |path: &str| match refusal(Path::new(path)) {
        ConnectError::Path(error) => error,
        other => panic!("{path:?}: {other}"),
    };
    assert_eq!(path_error(""), PathError::Empty);
    assert_eq!(path_error("/"), PathError::Empty);
    assert_eq!(path_error("/tmp/"), PathError::Empty);
    assert_eq!(path_error("/tmp/.."), PathError::Empty);
    assert_eq!(path_error("/tmp/a\0b"), PathError::Nul);
    let longest = format!("/{}", "x".repeat(MAX_SOCKET_PATH_BYTES - 1));
    assert_eq!(refusal(Path::new(&longest)), ConnectError::NotFound);
    let too_long = PathError::TooLong { len: 108, max: MAX_SOCKET_PATH_BYTES };
    assert_eq!(path_error(&format!("{longest}x")), too_long);
}

#[test]
fn a_full_backlog_times_out_at_the_deadline() {
    const TIMEOUT: Duration = Duration::from_millis(120);
    let place = Place::new();
    let (_listener, _waiting) = full_listener(&place);
    within(TIMEOUT + LATENESS, || {
        let start = Instant::now();
        let refused = connect(&place.socket(), Deadline::after(TIMEOUT), &abort()).map(|_| ());
        assert_eq!(refused, Err(ConnectError::TimedOut));
        let took = start.elapsed();
        assert!(took >= TIMEOUT, "gave up early, after {took:?}");
        took
    });
}

#[test]
fn a_place_that_gets_free_is_taken() {
    let place = Place::new();
    let (listener, _waiting) = full_listener(&place);
    let path = place.socket();
    let client = asleep_in(move || connect(&path, long(), &abort()));
    drop(accept(&listener));
    let client = client.join().expect("done").expect("connected");
    // It is non-blocking again: this returns.
    assert_eq!(client.try_recv(&mut [0; 8]), Ok(None));
    let flags = rustix::fs::fcntl_getfl(&client).expect("flags");
    assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
}

#[test]
fn an_abort_ends_the_wait_for_a_place() {
    let place = Place::new();
    let (_listener, _waiting) = full_listener(&place);
    within(LATENESS, || {
        let stop = abort();
        let (path, in_thread) = (place.socket(), stop.clone());
        let client = asleep_in(move || connect(&path, Deadline::never(), &in_thread).map(|_| ()));
        let start = Instant::now();
        stop.trigger();
        assert_eq!(client.join().expect("done"), Err(ConnectError::Aborted));
        start.elapsed()
    });
    let stop = abort();
    stop.trigger();
    let refused = connect(&place.socket(), long(), &stop).map(|_| ());
    assert_eq!(refused, Err(ConnectError::Aborted), "an abort that came before");
}

#[test]
fn a_server_that_stops_refuses_who_waits_for_a_place() {
    let place = Place::new();
    let (listener, _waiting) = full_listener(&place);
    let path = place.socket();
    let client = asleep_in(move || connect(&path, long(), &abort()).map(|_| ()));
    drop(listener);
    let refused = client.join().expect("done").expect_err("nobody is there");
    assert!(matches!(refused, ConnectError::Refused | ConnectError::NotFound), "{refused}");
}
