//! A server with more to do than it has time for: whoever keeps the contract waits, and is not
//! taken for one that breaks it.

use std::time::{Duration, Instant};

use netipc::server::ServerConfig;
use netipc::{CHUNK_GAP_TIMEOUT, Header, Proposal, Status};

use crate::support::{LIMITS, METHOD, Place, handler, proposal, work_for};

/// A message of the longest payload has more packets than one look of the server takes, and all of
/// them fit the socket at once.
const SMALL_PACKET_SIZE: u32 = 700;
/// Each is a connection, which takes Wine longer than work does.
const OTHERS: u64 = if cfg!(windows) { 30 } else { 300 };
const REQUEST_OF_ANOTHER: &[u8] = b"work";
/// Between two turns of one session all others have theirs, which takes longer than the gap.
const WORK: Duration = Duration::from_millis(6_000 / OTHERS);

#[test]
fn a_message_that_is_there_and_was_not_read_in_time_is_no_gap() {
    let place = Place::new();
    let config = ServerConfig { max_sessions: 1000, worker_count: 1, ..ServerConfig::default() };
    let server = place.serve(
        config,
        handler(|_context, request, _response| {
            if request == REQUEST_OF_ANOTHER {
                work_for(WORK);
            }
            Ok(0)
        }),
    );
    let others: Vec<_> = (0..OTHERS).map(|_| place.client()).collect();
    let small = Proposal { packet_size: SMALL_PACKET_SIZE, ..proposal() };
    let mut client = place.try_client(&small).expect("a session");
    for other in &others {
        for message_id in 0..8 {
            other.request(message_id, REQUEST_OF_ANOTHER);
        }
    }
    let payload = vec![1; LIMITS.payload_bytes as usize];
    let started = Instant::now();
    client.send(&Header::request(METHOD, 1, payload.len() as u32), &payload);
    assert!(started.elapsed() < CHUNK_GAP_TIMEOUT, "all of it is sent at once");
    assert_eq!(client.receive().expect("an answer").0.status, Status::OK);
    assert!(started.elapsed() > CHUNK_GAP_TIMEOUT, "the server had time to be wrong");
    assert_eq!(server.status().ended.chunk_gap, 0);
}
