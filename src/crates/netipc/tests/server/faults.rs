//! Clients that break the contract cost their own session, and nobody else anything.

use std::time::{Duration, Instant};

use netipc::server::ServerConfig;
use netipc::{CHUNK_GAP_TIMEOUT, Header, Status};
use netipc_proto::header::opcode;
use netipc_sys::RecvError;

use crate::support::{METHOD, PACKET_SIZE, Place, echo, eventually};

#[test]
fn violations_end_their_session_alone() {
    let place = Place::new();
    let server = place.serve(ServerConfig::default(), echo());
    let mut bystander = place.client();
    let request = Header::request(METHOD, 1, 3);
    let mut lying_chunk = Header::request(METHOD, 1, PACKET_SIZE * 2).encode().to_vec();
    lying_chunk.resize(PACKET_SIZE as usize - 1, 0);
    let packets = [
        vec![0xAB; 50],
        request.encode()[..31].to_vec(),
        [&request.encode()[..], b"ab"].concat(),
        [&request.encode()[..], b"abcd"].concat(),
        [&Header::response(&request, 3).encode()[..], b"abc"].concat(),
        [&Header { flags: 2, ..request }.encode()[..], b"abc"].concat(),
        [&Header { status: Status::BUSY, ..request }.encode()[..], b"abc"].concat(),
        [&Header { item_count: 0, ..request }.encode()[..], b"abc"].concat(),
        Header::control(opcode::HELLO, Status::OK, 0).encode().to_vec(),
        Header::control(opcode::BYE, Status::OK, 0).encode().to_vec(),
        lying_chunk,
    ];
    let count = packets.len() as u64;
    for packet in packets {
        let raw = place.raw();
        raw.send(&packet);
        assert_eq!(raw.receive(), Err(RecvError::Closed), "{packet:02x?}");
        assert_eq!(bystander.call(b"fine").1, b"fine");
    }
    let status = server.status();
    assert_eq!((status.ended.violated, status.sessions), (count, 1));
}

#[test]
fn a_message_that_is_begun_and_left_ends_its_session_after_the_gap() {
    let place = Place::new();
    let server = place.serve(ServerConfig::default(), echo());
    let started = Instant::now();
    let halves: Vec<_> = (0..3)
        .map(|_| {
            let raw = place.raw();
            raw.send_half();
            raw
        })
        .collect();
    let mut healthy = place.client();
    assert_eq!(healthy.call(b"ping").1, b"ping");
    eventually("half messages are given up", || server.status().ended.chunk_gap == 3);
    let took = started.elapsed();
    assert!(took >= CHUNK_GAP_TIMEOUT && took < CHUNK_GAP_TIMEOUT + Duration::from_secs(3));
    for raw in halves {
        assert_eq!(raw.receive(), Err(RecvError::Closed));
    }
    assert_eq!(healthy.call(b"ping").1, b"ping");
}

#[test]
fn a_client_that_leaves_in_the_midst_of_a_message_is_noticed_at_once() {
    let place = Place::new();
    let server = place.serve(ServerConfig::default(), echo());
    let raw = place.raw();
    raw.send_half();
    drop(raw);
    eventually("a client that breaks off is noticed", || server.status().ended.left == 1);
    let ended = server.status().ended;
    assert_eq!((ended.chunk_gap, ended.violated), (0, 0), "who dies breaks no contract");
}

#[test]
fn silent_clients_delay_nobody() {
    const SILENT: usize = if cfg!(windows) { 20 } else { 200 };
    /// Far from the handshake's deadline.
    const SOON: Duration = Duration::from_secs(if cfg!(windows) { 3 } else { 1 });
    let place = Place::new();
    let _server = place.serve(ServerConfig::default(), echo());
    let silent: Vec<_> = (0..SILENT).map(|_| place.silent()).collect();
    let started = Instant::now();
    let mut client = place.client();
    assert_eq!(client.call(b"ping").1, b"ping");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    drop(silent);
}
