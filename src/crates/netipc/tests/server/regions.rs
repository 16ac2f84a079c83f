//! Sessions over shared memory: a thread each, and none left over.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use netipc::batch::BatchBuilder;
use netipc::server::{RunningServer, ServerConfig, ServerError};
use netipc::{Abort, Deadline, Header, Status};
use netipc_proto::header::{HEADER_LEN, opcode};
use netipc_proto::hello::{Hello, HelloAck};
use netipc_sys::{RegionChannel, RegionSizes, Until, own_uid};

use crate::support::{
    Gate, LIMITS, METHOD, PACKET_SIZE, PATIENCE, Place, echo, eventually, handler, reply,
    shared_memory, with_shared_memory,
};

/// Where the header of a region has the number of its last request (spec section 7).
const REQ_SEQ_OFFSET: u64 = 32;
/// How soon the death of a peer is to be noticed.
const DEATH_NOTICED: Duration = Duration::from_millis(100);

fn serve(place: &Place, worker_count: usize) -> RunningServer {
    let config = ServerConfig { worker_count, ..ServerConfig::default() };
    place.serve(with_shared_memory(config), echo())
}

/// Files of regions in the run directory.
fn regions(place: &Place) -> usize {
    let entries = std::fs::read_dir(place.endpoint.run_dir()).expect("the directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".ipcshm")).count()
}

/// A client that writes what it likes into its region.
struct RawRegion {
    channel: RegionChannel,
    path: std::path::PathBuf,
    _raw: crate::support::Raw,
}

impl RawRegion {
    fn new(place: &Place) -> Self {
        let raw = place.silent();
        let hello = Hello {
            supported: shared_memory(),
            preferred: shared_memory(),
            request: LIMITS,
            response_hint: LIMITS,
            auth_token: 0,
            packet_size: PACKET_SIZE,
        };
        raw.send(&hello.message());
        let ack = raw.receive().expect("HELLO_ACK");
        let ack = HelloAck::decode(&ack[HEADER_LEN..]).expect("a session");
        let sizes = RegionSizes {
            request_bytes: HEADER_LEN + ack.request.payload_bytes as usize,
            response_bytes: HEADER_LEN + ack.response.payload_bytes as usize,
        };
        let name = format!("{}-{:016x}.ipcshm", place.endpoint.service(), ack.session_id);
        let path = place.endpoint.run_dir().join(name);
        let (soon, abort) = (Deadline::after(PATIENCE), Abort::new().expect("abort"));
        let channel = RegionChannel::attach(&path, sizes, own_uid(), &raw.channel, soon, &abort);
        Self { channel: channel.expect("attached"), path, _raw: raw }
    }

    fn receive(&self) -> Header {
        let mut message = Vec::new();
        let deadline = Deadline::after(PATIENCE);
        let until = Until { deadline, abort: None, socket: Some(&self._raw.channel) };
        self.channel
            .receive(&mut message, LIMITS.payload_bytes as usize, until)
            .expect("a message");
        Header::decode(&message).expect("a header")
    }
}

#[test]
fn calls_and_batches_are_answered_and_the_status_tells_the_profile() {
    let place = Place::new();
    let server = serve(&place, 2);
    let mut client = place.shared_memory_client();
    let mut beside = place.client();
    for round in 0..1000_u32 {
        assert_eq!(client.call(&round.to_ne_bytes()).1, round.to_ne_bytes());
    }
    assert_eq!(beside.call(b"socket").1, b"socket");
    let mut payload = Vec::new();
    let mut builder = BatchBuilder::new(&mut payload, 3, 1000).expect("a batch");
    for item in [&b"one"[..], b"two", b"three"] {
        builder.push(item).expect("room");
    }
    builder.finish().expect("whole");
    client.send(&Header::request(METHOD, 7, payload.len() as u32).batch_of(3), &payload);
    assert_eq!(client.receive().expect("an answer").1, payload);
    client.send(&Header::request(METHOD + 1, 8, 0), b"");
    assert_eq!(client.receive().expect("an answer").0.status, Status::UNSUPPORTED);
    eventually("all is done", || server.status().in_flight == 0);
    let status = server.status();
    assert_eq!((status.sessions, status.shared_memory_sessions), (2, 1));
    assert_eq!((status.calls.ok, status.calls.unsupported), (1002, 1));
}

#[test]
fn a_goodbye_is_a_clean_end_and_leaves_nothing() {
    let place = Place::new();
    let server = serve(&place, 2);
    for left in 1..20 {
        let mut client = place.shared_memory_client();
        assert_eq!(client.call(b"ping").1, b"ping");
        assert_eq!(regions(&place), 1);
        drop(client);
        eventually("its end", || server.status().ended.left == left);
        eventually("its file is gone", || regions(&place) == 0);
    }
    let status = server.status();
    assert_eq!((status.sessions, status.shared_memory_sessions), (0, 0));
    assert_eq!(status.ended.violated, 0);
}

#[test]
fn a_batch_is_split_over_the_workers_and_answered_whole() {
    const ITEMS: u32 = 64;
    let (place, gate) = (Place::new(), Gate::default());
    let at_gate = gate.clone();
    let config = ServerConfig { worker_count: 3, ..ServerConfig::default() };
    let _server = place.serve(
        with_shared_memory(config),
        handler(move |_context, request, response| {
            crate::support::work_for(Duration::from_micros(100));
            if u32::from(request[0]) >= ITEMS / 2 {
                at_gate.pass();
            }
            reply(request, response)
        }),
    );
    let mut client = place.shared_memory_client();
    let mut payload = Vec::new();
    let mut builder = BatchBuilder::new(&mut payload, ITEMS, 60_000).expect("a batch");
    for item in 0..ITEMS {
        builder.push(&[item as u8]).expect("room");
    }
    builder.finish().expect("whole");
    client.send(&Header::request(METHOD, 1, payload.len() as u32).batch_of(ITEMS), &payload);
    // The region's thread and two workers.
    gate.wait_for(2);
    gate.open();
    assert_eq!(client.receive().expect("an answer").1, payload);
    assert_eq!(client.call(b"\0next").1, b"\0next");
}

#[test]
fn no_more_handlers_run_than_there_are_workers_whatever_the_transports() {
    const WORKERS: usize = 2;
    let (place, gate) = (Place::new(), Gate::default());
    let at_gate = gate.clone();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let config = ServerConfig { worker_count: WORKERS, ..ServerConfig::default() };
    let server = place.serve(
        with_shared_memory(config),
        handler(move |_context, request, response| {
            peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            at_gate.pass();
            running.fetch_sub(1, Ordering::SeqCst);
            reply(request, response)
        }),
    );
    let mut clients: Vec<_> = (0..5).map(|_| place.shared_memory_client()).collect();
    clients.extend((0..3).map(|_| place.client()));
    for client in &clients {
        client.request(1, b"ping");
    }
    gate.wait_for(WORKERS);
    // Those over shared memory are all begun: each waits for its permit.
    eventually("requests that wait", || server.status().in_flight >= 5);
    assert_eq!(now.load(Ordering::SeqCst), WORKERS);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive().expect("an answer").1, b"ping");
    }
    assert_eq!(most.load(Ordering::SeqCst), WORKERS);
}

#[test]
fn stopping_wakes_the_idle_lets_handlers_end_and_answers_nobody_who_waits() {
    let (place, gate) = (Place::new(), Gate::default());
    let at_gate = gate.clone();
    let config = ServerConfig { worker_count: 1, ..ServerConfig::default() };
    let server = place.serve(
        with_shared_memory(config),
        handler(move |_context, request, response| {
            at_gate.pass();
            reply(request, response)
        }),
    );
    let mut idle = place.shared_memory_client();
    let (mut called, mut waits) = (place.shared_memory_client(), place.shared_memory_client());
    called.request(1, b"ping");
    gate.wait_for(1);
    waits.request(1, b"ping");
    eventually("both are begun", || server.status().in_flight == 2);
    let started = Instant::now();
    let stopped = server.stop_within(Duration::from_millis(200));
    assert!(matches!(stopped, Err(ServerError::HandlersRunning { .. })), "{stopped:?}");
    idle.expect_close();
    gate.open();
    assert_eq!(called.receive().expect("an answer").1, b"ping");
    server.stop().expect("nothing holds it");
    assert!(started.elapsed() < PATIENCE / 2);
    waits.expect_close();
    let status = server.status();
    assert_eq!((status.sessions, status.in_flight), (0, 0));
    assert_eq!(status.calls.ok, 1);
    drop((idle, called, waits));
    drop(server);
    assert_eq!(regions(&place), 0);
}

#[test]
fn draining_answers_what_was_read_and_ends_the_rest() {
    let (place, gate) = (Place::new(), Gate::default());
    let at_gate = gate.clone();
    let server = place.serve(
        with_shared_memory(ServerConfig::default()),
        handler(move |_context, request, response| {
            at_gate.pass();
            reply(request, response)
        }),
    );
    let (mut idle, mut called) = (place.shared_memory_client(), place.shared_memory_client());
    called.request(1, b"ping");
    gate.wait_for(1);
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| server.drain());
        idle.expect_close();
        gate.open();
        assert_eq!(called.receive().expect("an answer").1, b"ping");
        draining.join().expect("no panic").expect("drained");
    });
    called.expect_close();
    assert_eq!(server.status().ended.stopped, 2);
}

#[test]
fn garbage_in_a_region_costs_its_own_session_alone() {
    let place = Place::new();
    let server = serve(&place, 1);
    let mut bystander = place.shared_memory_client();
    let request = Header::request(METHOD, 1, 3);
    let messages = [
        vec![0xAB; 50],
        request.encode()[..31].to_vec(),
        [&request.encode()[..], b"ab"].concat(),
        [&Header { flags: 2, ..request }.encode()[..], b"abc"].concat(),
        [&Header::response(&request, 3).encode()[..], b"abc"].concat(),
        Header::control(opcode::HELLO, Status::OK, 0).encode().to_vec(),
    ];
    let mut violated = 0;
    for message in messages {
        let raw = RawRegion::new(&place);
        raw.channel.send(&[&message]).expect("published");
        violated += 1;
        eventually("its end", || server.status().ended.violated == violated);
        eventually("its file is gone", || !raw.path.exists());
        assert_eq!(bystander.call(b"fine").1, b"fine");
    }
    let raw = RawRegion::new(&place);
    let file = OpenOptions::new().write(true).open(&raw.path).expect("the region");
    file.write_at(&(1_u64 << 62).to_ne_bytes(), REQ_SEQ_OFFSET).expect("written");
    // Rings the bell as well: the thread sleeps.
    let _rung = raw.channel.send(&[b"garbage"]);
    eventually("its end", || server.status().ended.violated == violated + 1);
    assert_eq!(bystander.call(b"fine").1, b"fine");
    assert_eq!((server.status().sessions, server.status().calls.ok), (1, 7));
}

#[test]
fn a_region_that_is_cut_off_under_its_handler_is_the_clients_fault() {
    let (place, gate) = (Place::new(), Gate::default());
    let at_gate = gate.clone();
    let server = place.serve(
        with_shared_memory(ServerConfig::default()),
        handler(move |_context, request, response| {
            at_gate.pass();
            reply(request, response)
        }),
    );
    let raw = RawRegion::new(&place);
    raw.channel.send(&[&Header::request(METHOD, 1, 4).encode(), b"ping"]).expect("published");
    gate.wait_for(1);
    let file = OpenOptions::new().write(true).open(&raw.path).expect("the region");
    file.set_len(0).expect("cut off");
    gate.open();
    // Ends are counted once the session does not count any more.
    eventually("its end", || server.status().ended.violated == 1);
    assert_eq!((server.status().sessions, server.status().ended.failed), (0, 0));
    eventually("its file is gone", || regions(&place) == 0);
}

#[test]
fn a_request_above_the_limit_is_told_so_and_is_the_last() {
    let place = Place::new();
    let server = serve(&place, 1);
    let raw = RawRegion::new(&place);
    let above = LIMITS.payload_bytes + 1;
    let request = Header::request(METHOD, 1, above);
    let payload = vec![0; above as usize];
    raw.channel.send(&[&request.encode(), &payload]).expect("the area has room for it");
    assert_eq!(raw.receive().status, Status::LIMIT_EXCEEDED);
    drop(raw);
    eventually("its end", || server.status().ended.answered == 1);
    eventually("its file is gone", || regions(&place) == 0);
}

#[test]
fn the_file_goes_with_its_session_even_while_a_handler_runs() {
    let (place, gate) = (Place::new(), Gate::default());
    let at_gate = gate.clone();
    let server = place.serve(
        with_shared_memory(ServerConfig::default()),
        handler(move |_context, request, response| {
            at_gate.pass();
            reply(request, response)
        }),
    );
    let client = place.shared_memory_client();
    client.request(1, b"ping");
    gate.wait_for(1);
    assert_eq!(regions(&place), 1);
    drop(client);
    eventually("its file is gone", || regions(&place) == 0);
    assert_eq!(server.status().in_flight, 1);
    gate.open();
    eventually("its end", || server.status().sessions == 0);
}

#[test]
fn a_client_that_vanishes_is_noticed_at_once() {
    let place = Place::new();
    let server = serve(&place, 1);
    let mut soonest = Duration::MAX;
    for left in 1..6 {
        let RawRegion { _raw: raw, channel, .. } = RawRegion::new(&place);
        let started = Instant::now();
        drop(raw);
        eventually("its end", || server.status().ended.left == left);
        soonest = soonest.min(started.elapsed());
        drop(channel);
        eventually("its file is gone", || regions(&place) == 0);
    }
    assert!(soonest < DEATH_NOTICED, "{soonest:?}");
}
