use std::fs;
use std::time::Duration;

use netipc_sys::{
    BindOptions, Deadline, EndpointState, EntryKind, InspectError, ListError, Listener, PathError,
    connect, inspect_endpoint, list_names,
};
use rustix::net::SocketType;

use crate::support::{Place, abort, bare_socket, bind, leave_stale_socket, recv, send};

#[test]
fn a_live_endpoint_comes_with_a_connection() {
    let place = Place::new();
    let listener = bind(&place.socket());
    let EndpointState::Live(channel) = inspect_endpoint(&place.socket()).expect("inspected") else {
        panic!("it is live");
    };
    send(&channel, b"who are you").expect("sent");
    assert_eq!(recv(&crate::support::accept(&listener)), b"who are you");
    assert_eq!(channel.peer().expect("an identity").pid, Some(std::process::id()));
}

#[test]
fn every_other_state_is_told_and_nothing_is_changed() {
    let place = Place::new();
    let state = || inspect_endpoint(&place.socket()).expect("inspected");
    assert!(matches!(state(), EndpointState::Absent));
    leave_stale_socket(&place.socket());
    assert!(matches!(state(), EndpointState::Stale));
    assert_eq!(place.names(), ["svc.sock"], "looking removes nothing and makes no lock");
    fs::remove_file(place.socket()).expect("removed");
    fs::write(place.socket(), "").expect("written");
    assert!(matches!(state(), EndpointState::Foreign(EntryKind::RegularFile)));
    fs::remove_file(place.socket()).expect("removed");
    let stream = bare_socket(&place.socket(), SocketType::STREAM);
    rustix::net::listen(&stream, 1).expect("listening");
    assert!(matches!(state(), EndpointState::Foreign(EntryKind::OtherSocket)));
}

#[test]
fn a_server_with_a_full_backlog_is_live_and_busy() {
    let place = Place::new();
    let options = BindOptions { backlog: 1, ..BindOptions::default() };
    let _listener = Listener::bind(&place.socket(), &options).expect("bound");
    let mut waiting = Vec::new();
    while let Ok(channel) = connect(&place.socket(), Deadline::after(Duration::ZERO), &abort()) {
        waiting.push(channel);
    }
    let state = inspect_endpoint(&place.socket()).expect("inspected");
    assert!(matches!(state, EndpointState::LiveBusy), "{state:?}");
}

#[test]
fn a_path_that_can_name_no_endpoint_is_an_error() {
    let error = inspect_endpoint("x".repeat(200).as_ref()).expect_err("too long");
    assert_eq!(error, InspectError::Path(PathError::TooLong { len: 200, max: 107 }));
}

#[test]
fn whatever_stands_in_a_run_directory_is_listed() {
    let place = Place::new();
    assert_eq!(list_names(place.dir()), Ok(Vec::new()));
    let _listener = bind(&place.socket());
    fs::write(place.dir().join("a file"), "").expect("written");
    let mut names = list_names(place.dir()).expect("listed");
    names.sort_unstable();
    assert_eq!(names, [&b"a file"[..], b"svc.lock", b"svc.sock"]);
    let Err(ListError::Os(error)) = list_names(&place.socket()) else { panic!("a socket") };
    assert_eq!(error.operation(), "list the run directory");
}
