//! What only sockets have: sizes that are asked of the kernel, halves, resets, descriptors that are passed.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netipc_sys::{PACKET_OVERHEAD_BYTES, RecvError, SendError, TrySend, connect};
use rustix::net::SendFlags;

use crate::support::{Place, abort, accept, bind, long, pair, recv, send};

#[test]
fn the_largest_packet_goes_through_and_one_more_byte_says_so() {
    let (client, server) = pair();
    let max = client.max_packet_size().expect("a size");
    let buffer = rustix::net::sockopt::socket_send_buffer_size(&client).expect("a size");
    assert_eq!(max, buffer - PACKET_OVERHEAD_BYTES);
    let largest = vec![0xA5; max];
    send(&client, &largest).expect("the largest packet");
    assert_eq!(recv(&server), largest);
    for len in [max + 1, max + 40, 4 * max] {
        assert_eq!(send(&client, &vec![0; len]), Err(SendError::TooLong { len, max }));
    }
    send(&client, b"still fine").expect("a refused packet harms nothing");
    assert_eq!(recv(&server), b"still fine");
}

#[test]
fn one_that_has_finished_sending_still_receives() {
    let (client, server) = pair();
    send(&server, b"final").expect("sent");
    server.finish_sending();
    assert_eq!(recv(&client), b"final");
    let closed = client.recv(&mut [0; 8], long(), &abort());
    assert_eq!(closed, Err(RecvError::Closed));
    send(&client, b"still sent").expect("the other direction is open");
    assert_eq!(recv(&server), b"still sent");
    assert_eq!(send(&server, b"more"), Err(SendError::PeerGone));
}

#[test]
fn an_empty_packet_from_a_peer_reads_as_its_close() {
    let (client, server) = pair();
    rustix::net::send(&client, b"", SendFlags::NOSIGNAL).expect("the kernel allows it");
    assert_eq!(server.recv(&mut [0; 8], long(), &abort()), Err(RecvError::Closed));
}

#[test]
fn descriptors_that_a_peer_passes_are_not_taken() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
    let (client, server) = pair();
    let passed = [client.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&passed)));
    sendmsg(&client, &[IoSlice::new(b"x")], &mut ancillary, SendFlags::NOSIGNAL).expect("sent");
    assert_eq!(recv(&server), b"x");
    // Had the server taken the copy of the client's end, this would not close the connection.
    drop(client);
    assert_eq!(server.recv(&mut [0; 8], long(), &abort()), Err(RecvError::Closed));
}

/// Whoever looks at that very moment: tried so often that one look in many thousands would show.
#[test]
fn what_was_sent_right_before_a_close_comes_before_it() {
    const ROUNDS: usize = 1_000;
    const PAIRS: usize = 50;
    /// On a busy machine fewer rounds have to be enough.
    const ENOUGH: Duration = Duration::from_secs(4);
    let place = Place::new();
    let listener = bind(&place.socket());
    let pair = |_| {
        let client = connect(&place.socket(), long(), &abort()).expect("connected");
        (client, accept(&listener))
    };
    let start = Instant::now();
    for round in (0..ROUNDS).take_while(|_| start.elapsed() < ENOUGH) {
        let (clients, servers): (Vec<_>, Vec<_>) = (0..PAIRS).map(pair).unzip();
        let leaver = std::thread::spawn(move || {
            for server in &servers {
                assert_eq!(server.try_send(&[IoSlice::new(b"last")]), Ok(TrySend::Sent));
                server.finish_sending();
            }
            servers
        });
        // As soon as one has left the next does, and this looks at it all the while.
        for client in &clients {
            let mut packet = [0; 8];
            let received = loop {
                match client.try_recv(&mut packet) {
                    Ok(None) => std::hint::spin_loop(),
                    received => break received,
                }
            };
            assert_eq!(received, Ok(Some(4)), "in round {round}");
        }
        leaver.join().expect("no panic");
    }
}

#[test]
fn an_answer_survives_a_send_that_met_the_reset() {
    let (client, server) = pair();
    send(&client, b"never read").expect("sent");
    send(&server, b"refused").expect("sent");
    drop(server);
    assert_eq!(send(&client, b"more"), Err(SendError::PeerGone));
    assert_eq!(send(&client, b"more"), Err(SendError::PeerGone));
    assert_eq!(recv(&client), b"refused");
    assert_eq!(client.recv(&mut [0; 8], long(), &abort()), Err(RecvError::Closed));
}

#[test]
fn a_reset_with_nothing_behind_it_is_a_close() {
    let (client, server) = pair();
    send(&client, b"never read").expect("sent");
    drop(server);
    assert_eq!(client.try_recv(&mut [0; 8]), Err(RecvError::Closed));
}

#[test]
fn peer_gone_looks_and_takes_nothing() {
    let (client, server) = pair();
    assert_eq!(client.peer_gone(), Ok(false));
    send(&server, b"last words").expect("sent");
    assert_eq!(client.peer_gone(), Ok(false));
    drop(server);
    assert_eq!(client.peer_gone(), Ok(true));
    assert_eq!(client.peer_gone(), Ok(true));
    assert_eq!(recv(&client), b"last words");
}
