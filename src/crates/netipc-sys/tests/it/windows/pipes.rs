//! Pipes: names, backlogs, peers that are killed, servers that come back, messages of no bytes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use netipc_sys::{
    BindOptions, ConnectError, Deadline, EndpointState, ListError, Listener, PacketChannel,
    PathError, RecvError, SendError, connect, inspect_endpoint, list_names,
};

use crate::support::{
    LATENESS, Place, abort, accept, asleep_in, bind, child, is_child, long, pair, pipe, recv, send,
    within,
};

const NAME_ENV: &str = "NETIPC_SYS_TEST_NAME";

fn refusal(path: &Path) -> ConnectError {
    connect(path, long(), &abort()).map(|_| ()).expect_err("no server is there")
}

/// A listener with no room, and the clients that took it.
fn full_listener(place: &Place) -> (Listener, Vec<PacketChannel>) {
    const BACKLOG: u16 = 2;
    let options = BindOptions { backlog: BACKLOG, ..BindOptions::default() };
    let listener = Listener::bind(&place.socket(), &options).expect("bound");
    let waiting = (0..BACKLOG).map(|_| connect(&place.socket(), long(), &abort()).expect("room"));
    let waiting = waiting.collect();
    (listener, waiting)
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

/// The instance that takes the place of one that a client has is made by another thread, and is not left behind either.
#[test]
fn a_listener_that_is_dropped_leaves_nothing_to_connect_to() {
    const ROUNDS: u32 = 300;
    let place = Place::new();
    for round in 0..ROUNDS {
        let listener = bind(&place.socket());
        let client = connect(&place.socket(), long(), &abort()).expect("connected");
        drop(listener);
        drop(client);
        assert_eq!(refusal(&place.socket()), ConnectError::NotFound, "round {round}");
    }
}

#[test]
fn each_cause_has_its_own_error() {
    assert_eq!(refusal(&Place::new().socket()), ConnectError::NotFound);
    let path_error = |path: &str| match refusal(Path::new(path)) {
        ConnectError::Path(error) => error,
        other => panic!("{path:?}: {other}"),
    };
    assert_eq!(path_error(""), PathError::Empty);
    assert_eq!(path_error("C:\\svc"), PathError::Empty);
    assert_eq!(path_error("\\\\.\\pipe\\"), PathError::Empty);
    assert_eq!(path_error("\\\\.\\pipe\\a\0b"), PathError::Nul);
    let too_long = format!("\\\\.\\pipe\\{}", "x".repeat(247));
    assert_eq!(path_error(&too_long), PathError::TooLong { len: 256, max: 255 });
}

#[test]
fn more_clients_than_may_wait_are_busy_until_one_is_accepted() {
    const TIMEOUT: Duration = Duration::from_millis(120);
    let place = Place::new();
    let (listener, _waiting) = full_listener(&place);
    within(TIMEOUT + LATENESS, || {
        let start = Instant::now();
        let refused = connect(&place.socket(), Deadline::after(TIMEOUT), &abort()).map(|_| ());
        assert_eq!(refused, Err(ConnectError::TimedOut));
        let took = start.elapsed();
        assert!(took >= TIMEOUT, "gave up early, after {took:?}");
        took
    });
    let state = inspect_endpoint(&place.socket()).expect("inspected");
    assert!(matches!(state, EndpointState::LiveBusy), "{state:?}");
    within(LATENESS, || {
        let stop = abort();
        let (path, in_thread) = (place.socket(), stop.clone());
        let client = asleep_in(move || connect(&path, Deadline::never(), &in_thread).map(|_| ()));
        let start = Instant::now();
        stop.trigger();
        assert_eq!(client.join().expect("done"), Err(ConnectError::Aborted));
        start.elapsed()
    });
    let path = place.socket();
    let client = asleep_in(move || connect(&path, long(), &abort()));
    drop(accept(&listener));
    let client = client.join().expect("done").expect("connected");
    assert_eq!(client.try_recv(&mut [0; 8]), Ok(None));
}

#[test]
fn many_that_come_at_once_all_get_in() {
    const CLIENTS: usize = 40;
    let place = Place::new();
    let listener = bind(&place.socket());
    std::thread::scope(|threads| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let path = place.socket();
                threads.spawn(move || {
                    let client = connect(&path, long(), &abort()).expect("connected");
                    send(&client, &[number as u8]).expect("sent");
                    assert_eq!(recv(&client), [number as u8]);
                })
            })
            .collect();
        for _ in 0..CLIENTS {
            let channel = accept(&listener);
            let said = recv(&channel);
            send(&channel, &said).expect("sent");
            // It stays until the client has it.
            let left = channel.recv(&mut [0; 8], long(), &abort());
            assert_eq!(left, Err(RecvError::Closed));
        }
        for client in clients {
            client.join().expect("served");
        }
    });
}

#[test]
fn a_live_endpoint_comes_with_a_connection() {
    let place = Place::new();
    assert!(matches!(inspect_endpoint(&place.socket()), Ok(EndpointState::Absent)));
    let listener = bind(&place.socket());
    let EndpointState::Live(channel) = inspect_endpoint(&place.socket()).expect("inspected") else {
        panic!("it is live");
    };
    send(&channel, b"who are you").expect("sent");
    assert_eq!(recv(&accept(&listener)), b"who are you");
    assert_eq!(channel.peer().expect("an identity").pid, Some(std::process::id()));
}

/// Wine has no list of pipes; a system that has one lists this one.
#[test]
fn pipes_are_listed_or_it_is_said_that_they_are_not() {
    let place = Place::new();
    let _listener = bind(&place.socket());
    let listed = list_names(Path::new("C:\\run"));
    if std::env::var_os("WINEPREFIX").is_some() {
        assert_eq!(listed, Err(ListError::Untold));
        assert_eq!(
            ListError::Untold.to_string(),
            "this system does not tell which pipes there are"
        );
    } else {
        let names = listed.expect("listed");
        assert!(names.iter().any(|name| name == place.name().as_bytes()));
        assert!(!names.iter().any(|name| name.starts_with(b"netipc-listing-")), "its own");
    }
}

#[test]
fn the_largest_packet_goes_through_and_one_more_byte_says_so() {
    let (client, server) = pair();
    let max = client.max_packet_size().expect("a size");
    let largest = vec![0xA5; max];
    send(&client, &largest).expect("the largest packet");
    assert_eq!(recv(&server), largest);
    assert_eq!(send(&client, &vec![0; max + 1]), Err(SendError::TooLong { len: max + 1, max }));
    send(&client, b"still fine").expect("a refused packet harms nothing");
    assert_eq!(recv(&server), b"still fine");
}

/// As a program of another making has it: what it opens, it writes to as to a file.
#[test]
fn an_empty_message_from_a_peer_reads_as_its_close() {
    let place = Place::new();
    let listener = bind(&place.socket());
    let open = || std::fs::File::options().read(true).write(true).open(place.socket());
    let peer = open().expect("opened");
    let server = accept(&listener);
    std::io::Write::write(&mut &peer, b"").expect("written");
    assert_eq!(server.recv(&mut [0; 8], long(), &abort()), Err(RecvError::Closed));
    assert_eq!(server.try_recv(&mut [0; 8]), Err(RecvError::Closed));
}

#[test]
fn a_peer_that_closed_is_gone_once_all_is_read() {
    let (client, server) = pair();
    assert_eq!(client.peer_gone(), Ok(false));
    send(&server, b"last words").expect("sent");
    drop(server);
    assert_eq!(recv(&client), b"last words");
    assert_eq!(client.peer_gone(), Ok(true));
}

const KILLED: &str = "windows::pipes::a_killed_peer_is_noticed_and_its_successor_found";

/// Both ways: a server whose client is killed, and a client whose server is.
#[test]
fn a_killed_peer_is_noticed_and_its_successor_found() {
    if is_child(KILLED) {
        let path = pipe(&std::env::var(NAME_ENV).expect("the parent says"));
        let listener = bind(&path);
        println!("\nready!");
        loop {
            let channel = accept(&listener);
            let said = recv(&channel);
            send(&channel, &said).expect("sent");
            std::mem::forget(channel);
        }
    }
    let place = Place::new();
    let serve = || {
        let mut server = child(KILLED)
            .env(NAME_ENV, place.name())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut says = BufReader::new(server.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.starts_with("ready") {
            line.clear();
            assert_ne!(says.read_line(&mut line).expect("readable"), 0, "it died");
        }
        (server, says)
    };
    for _ in 0..2 {
        let (mut server, _says) = serve();
        let client = connect(&place.socket(), long(), &abort()).expect("connected");
        assert_eq!(client.peer().expect("an identity").pid, Some(server.id()));
        send(&client, b"hello").expect("sent");
        assert_eq!(recv(&client), b"hello");
        let waiting = asleep_in(move || client.recv(&mut [0; 8], long(), &abort()));
        server.kill().expect("killed");
        server.wait().expect("dead");
        assert_eq!(waiting.join().expect("done"), Err(RecvError::Closed));
        assert_eq!(refusal(&place.socket()), ConnectError::NotFound);
    }
}
