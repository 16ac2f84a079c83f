//! Regions of both profiles: messages between processes, ends, peers that are killed or lie.

use std::io::{BufRead, BufReader, Write};
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use netipc_sys::{
    Abort, AttachError, CreateError, Deadline, ObjectNames, PacketChannel, RegionChannel,
    RegionDefect, RegionError, RegionName, RegionSizes, Until, connect, own_uid,
};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Memory::{CreateFileMappingW, PAGE_READWRITE, SEC_RESERVE};

use crate::support::{
    LATENESS, Place, abort, accept, asleep_in, bind, byte_of, child, is_child, long, message, pair,
    pipe, rounds, within,
};

const SIZES: RegionSizes = RegionSizes { request_bytes: 1056, response_bytes: 4133 };
/// Profiles, as their bits (spec section 4).
const HYBRID: u32 = 2;
const BUSYWAIT: u32 = 4;
const EACH: [u32; 2] = [HYBRID, BUSYWAIT];
/// How late a watched wait may see what ends it: a slice, and what Wine takes for it.
const WATCHED: Duration = Duration::from_millis(25);

fn name_of(place: &str, profile: u32) -> RegionName {
    let object = |kind: &str| format!(r"Local\{place}-p{profile}-{kind}");
    let events = (profile == HYBRID).then(|| [object("req_event"), object("resp_event")]);
    RegionName::Objects(ObjectNames { profile, mapping: object("mapping"), events })
}

fn attach(name: &RegionName, socket: &PacketChannel) -> Result<RegionChannel, AttachError> {
    RegionChannel::attach(name.clone(), SIZES, own_uid(), socket, long(), &abort())
}

struct Ends {
    name: RegionName,
    server: RegionChannel,
    client: RegionChannel,
    server_socket: PacketChannel,
    client_socket: PacketChannel,
}

impl Ends {
    fn new(profile: u32) -> Self {
        let name = name_of(Place::new().name(), profile);
        let (client_socket, server_socket) = pair();
        let server = RegionChannel::create(name.clone(), SIZES).expect("created");
        let client = attach(&name, &client_socket).expect("attached");
        Self { name, server, client, server_socket, client_socket }
    }
}

fn watching<'a>(socket: &'a PacketChannel, abort: &'a Abort) -> Until<'a> {
    Until { deadline: long(), abort: Some(abort), socket: Some(socket) }
}

fn receive(channel: &RegionChannel, until: Until<'_>) -> Vec<u8> {
    let mut buffer = Vec::new();
    let len = channel.receive(&mut buffer, usize::MAX, until).expect("a message");
    buffer.truncate(len);
    buffer
}

fn error_of(channel: &RegionChannel, until: Until<'_>) -> RegionError {
    channel.receive(&mut Vec::new(), usize::MAX, until).expect_err("no message")
}

#[test]
fn messages_of_every_length_go_both_ways() {
    let stop = abort();
    for profile in EACH {
        let ends = Ends::new(profile);
        for len in (1..130).chain([1055, 1056]) {
            let request = message(len as u64, len);
            ends.client.send(&[&request]).expect("sent");
            assert_eq!(receive(&ends.server, Until::ended()), request);
            let answer = message(!(len as u64), len * 3);
            ends.server.send(&[&answer[..len], &answer[len..]]).expect("sent");
            assert_eq!(receive(&ends.client, watching(&ends.client_socket, &stop)), answer);
        }
        assert!(matches!(ends.client.send(&[&[0; 1089]]), Err(RegionError::TooLong { .. })));
        assert_eq!(ends.client.send(&[]), Err(RegionError::Empty));
    }
}

const PING_PONG: &str = "windows::regions::two_processes_exchange_messages";
/// Each is a turn of both, which on a busy machine wait for a CPU each time.
const ROUNDS: usize = 300;

#[test]
fn two_processes_exchange_messages() {
    if is_child(PING_PONG) {
        return Remote::run(|client, socket, order| {
            let stop = abort();
            for number in 0..order.parse().expect("a count") {
                let request = message(number, 1 + (number as usize * 7) % SIZES.request_bytes);
                client.send(&[&request]).expect("sent");
                let answer = receive(client, watching(socket, &stop));
                let len = 1 + byte_of(number, 1) as usize * 16;
                assert!(answer == message(!number, len), "answer {number} is another");
            }
        });
    }
    for profile in EACH {
        let mut remote = Remote::start(PING_PONG, profile);
        let count = rounds(ROUNDS) as u64;
        remote.order(&count.to_string());
        let stop = abort();
        for number in 0..count {
            let request = receive(&remote.server, watching(&remote.socket, &stop));
            let len = 1 + (number as usize * 7) % SIZES.request_bytes;
            assert!(request == message(number, len), "request {number} is another");
            let answer = message(!number, 1 + byte_of(number, 1) as usize * 16);
            remote.server.send(&[&answer]).expect("sent");
        }
        remote.answer();
    }
}

#[test]
fn a_wait_ends_at_its_deadline_and_on_abort() {
    const TIMEOUT: Duration = Duration::from_millis(80);
    for profile in EACH {
        let Ends { client, client_socket, server: _server, server_socket: _socket, .. } =
            Ends::new(profile);
        let stop = abort();
        within(TIMEOUT + LATENESS, || {
            let until =
                Until { deadline: Deadline::after(TIMEOUT), ..watching(&client_socket, &stop) };
            let start = Instant::now();
            assert_eq!(error_of(&client, until), RegionError::TimedOut);
            let took = start.elapsed();
            assert!(took >= TIMEOUT, "ended early, after {took:?}");
            took
        });
        let remote = stop.clone();
        let waiting = asleep_in(move || error_of(&client, watching(&client_socket, &remote)));
        let start = Instant::now();
        stop.trigger();
        assert_eq!(waiting.join().expect("done"), RegionError::Aborted);
        assert!(start.elapsed() < LATENESS + WATCHED);
    }
}

#[test]
fn an_end_wakes_who_sleeps_and_stays() {
    for profile in EACH {
        let Ends { server, client, .. } = Ends::new(profile);
        let handle = server.handle();
        let waiting = asleep_in(move || {
            let first = server.wait(Until::ended());
            (first, server.wait(Until::ended()))
        });
        handle.end();
        let ended = Err(RegionError::Ended);
        assert_eq!(waiting.join().expect("done"), (ended, ended));
        // Which the other end is told by the region itself.
        assert_eq!(error_of(&client, Until::ended()), RegionError::PeerGone);
        handle.end();
    }
}

#[test]
fn what_was_published_comes_before_the_peers_close() {
    for profile in EACH {
        let Ends { server, client, server_socket: _one, client_socket: _two, .. } =
            Ends::new(profile);
        assert!(client.tells_of_close());
        let waiting = asleep_in(move || {
            let first = receive(&server, Until::ended());
            (first, error_of(&server, Until::ended()))
        });
        client.send(&[b"the last"]).expect("sent");
        drop(client);
        let (last, then) = waiting.join().expect("done");
        assert_eq!((last.as_slice(), then), (&b"the last"[..], RegionError::PeerGone));
    }
}

const KILLED: &str = "windows::regions::a_killed_peer_is_noticed_and_leaves_nothing";

#[test]
fn a_killed_peer_is_noticed_and_leaves_nothing() {
    if is_child(KILLED) {
        return Remote::run(|client, _socket, order| {
            client.send(&[order.as_bytes()]).expect("sent");
        });
    }
    for profile in EACH {
        let mut remote = Remote::start(KILLED, profile);
        remote.order("before the end");
        remote.answer();
        remote.child.kill().expect("killed");
        remote.child.wait().expect("dead");
        let stop = abort();
        let until = watching(&remote.socket, &stop);
        assert_eq!(receive(&remote.server, until), b"before the end");
        let start = Instant::now();
        assert_eq!(error_of(&remote.server, until), RegionError::PeerGone);
        assert!(start.elapsed() < LATENESS + WATCHED);
        let name = remote.name.clone();
        drop(remote);
        RegionChannel::create(name, SIZES).expect("nothing of that name is left");
    }
}

#[test]
fn a_name_that_is_taken_is_taken_and_free_when_both_have_left() {
    for profile in EACH {
        let ends = Ends::new(profile);
        let again = || RegionChannel::create(ends.name.clone(), SIZES).map(drop);
        assert_eq!(again(), Err(CreateError::Taken));
        let (name, Ends { server, client, .. }) = (ends.name.clone(), ends);
        drop(server);
        assert_eq!(RegionChannel::create(name.clone(), SIZES).map(drop), Err(CreateError::Taken));
        drop(client);
        RegionChannel::create(name, SIZES).expect("free");
    }
}

#[test]
fn a_missing_region_is_waited_for_a_while() {
    let name = name_of(Place::new().name(), HYBRID);
    let (socket, server_socket) = pair();
    let missing = AttachError::NotReady(RegionDefect::Missing);
    let start = Instant::now();
    assert_eq!(attach(&name, &socket).map(drop), Err(missing));
    assert!(start.elapsed() >= Duration::from_millis(250), "it may be on its way");
    drop(server_socket);
    within(LATENESS, || {
        let start = Instant::now();
        assert_eq!(attach(&name, &socket).map(drop), Err(missing));
        start.elapsed()
    });
}

#[test]
fn a_region_of_another_profile_or_with_less_room_is_refused() {
    let place = Place::new();
    let (socket, _server_socket) = pair();
    let RegionName::Objects(objects) = name_of(place.name(), HYBRID) else { unreachable!() };
    let _server = RegionChannel::create(RegionName::Objects(objects.clone()), SIZES).expect("made");
    let other = RegionName::Objects(ObjectNames { profile: BUSYWAIT, ..objects.clone() });
    let defect = RegionDefect::Profile { found: HYBRID, expected: BUSYWAIT };
    assert_eq!(attach(&other, &socket).map(drop), Err(AttachError::Invalid(defect)));
    let larger = RegionSizes { request_bytes: 5000, ..SIZES };
    let name = RegionName::Objects(objects);
    let refused =
        RegionChannel::attach(name, larger, own_uid(), &socket, long(), &abort()).map(drop);
    assert_eq!(refused, Err(AttachError::Invalid(RegionDefect::Capacity { found: 1088 })));
    let file = RegionName::File("C:\\svc.ipcshm".into());
    assert_eq!(attach(&file, &socket).map(drop), Err(AttachError::NotReady(RegionDefect::Missing)));
}

/// A mapping that somebody else makes at a region's name, of which nothing has memory.
#[allow(unsafe_code)]
fn reserved_mapping(name: &RegionName) -> OwnedHandle {
    let RegionName::Objects(objects) = name else { unreachable!() };
    let wide: Vec<u16> = objects.mapping.encode_utf16().chain([0]).collect();
    // SAFETY: the name has a NUL at its end; no other pointer is given.
    let mapping = unsafe {
        CreateFileMappingW(
            INVALID_HANDLE_VALUE,
            std::ptr::null(),
            PAGE_READWRITE | SEC_RESERVE,
            0,
            1 << 20,
            wide.as_ptr(),
        )
    };
    assert!(!mapping.is_null());
    // SAFETY: just made, and nobody else's.
    unsafe { OwnedHandle::from_raw_handle(mapping) }
}

#[test]
fn a_region_without_memory_is_refused() {
    let place = Place::new();
    let name = name_of(place.name(), BUSYWAIT);
    let _mapping = reserved_mapping(&name);
    let (socket, _server_socket) = pair();
    let defect = RegionDefect::Short { file_bytes: 0, needed: 128 };
    assert_eq!(attach(&name, &socket).map(drop), Err(AttachError::Invalid(defect)));
}

/// A client in a process of its own: this test binary running `test`, which calls [`Self::run`].
struct Remote {
    child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
    socket: PacketChannel,
    server: RegionChannel,
    name: RegionName,
}

const NAME_ENV: &str = "NETIPC_SYS_TEST_NAME";
const PROFILE_ENV: &str = "NETIPC_SYS_TEST_PROFILE";

impl Remote {
    fn start(test: &str, profile: u32) -> Self {
        let place = Place::new();
        let name = name_of(place.name(), profile);
        let server = RegionChannel::create(name.clone(), SIZES).expect("created");
        let listener = bind(&place.socket());
        let mut child = child(test)
            .env(NAME_ENV, place.name())
            .env(PROFILE_ENV, profile.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let orders = child.stdin.take().expect("piped");
        let says = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, orders, says, socket: accept(&listener), server, name }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it listens");
    }

    /// Returns when the order has been obeyed.
    fn answer(&mut self) {
        let mut line = String::new();
        while line.trim_end() != "done!" {
            line.clear();
            assert_ne!(self.says.read_line(&mut line).expect("readable"), 0, "it died");
        }
    }

    fn run(mut obey: impl FnMut(&RegionChannel, &PacketChannel, &str)) {
        let place = std::env::var(NAME_ENV).expect("the parent says");
        let profile = std::env::var(PROFILE_ENV).expect("the parent says");
        let socket = connect(&pipe(&place), long(), &abort()).expect("connected");
        let name = name_of(&place, profile.parse().expect("a number"));
        let client = attach(&name, &socket).expect("attached");
        for line in std::io::stdin().lines() {
            obey(&client, &socket, line.expect("an order").trim_end());
            println!("\ndone!");
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // It may be dead already, which the test has said.
        let _dead = self.child.kill();
        let _dead = self.child.wait();
    }
}
