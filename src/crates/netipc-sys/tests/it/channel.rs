use std::io::IoSlice;
use std::os::fd::AsFd;
use std::time::Duration;

use netipc_sys::{Deadline, Drained, PACKET_OVERHEAD_BYTES, RecvError, SendError, TrySend};
use rustix::net::SendFlags;

use crate::support::{abort, asleep_in, long, pair, recv, send};

#[test]
fn packets_keep_their_bounds_and_their_order() {
    let (client, server) = pair();
    for len in [1_usize, 2, 31, 32, 33, 4096, 65_536, 3] {
        let sent: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        send(&client, &sent).expect("sent");
        assert_eq!(recv(&server), sent);
        send(&server, &sent).expect("sent");
        assert_eq!(recv(&client), sent);
    }
    for byte in 0..10 {
        send(&client, &[byte]).expect("sent");
    }
    for byte in 0..10 {
        assert_eq!(recv(&server), [byte]);
    }
}

#[test]
fn pieces_become_one_packet() {
    let (client, server) = pair();
    let pieces = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"payload")];
    client.send(&pieces, long(), &abort()).expect("sent");
    assert_eq!(recv(&server), b"headpayload");
}

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
fn a_shutdown_wakes_who_waits_and_delivers_what_was_sent() {
    let (client, server) = pair();
    let client = std::sync::Arc::new(client);
    let waiter = std::sync::Arc::clone(&client);
    let waiting = asleep_in(move || waiter.recv(&mut [0; 8], Deadline::never(), &abort()));
    send(&client, b"last").expect("sent");
    client.shutdown();
    assert_eq!(waiting.join().expect("done"), Err(RecvError::Closed));
    assert_eq!(recv(&server), b"last");
    assert_eq!(server.recv(&mut [0; 8], long(), &abort()), Err(RecvError::Closed));
}

#[test]
fn an_empty_packet_is_never_sent() {
    let (client, server) = pair();
    assert_eq!(client.send(&[], long(), &abort()), Err(SendError::Empty));
    assert_eq!(send(&client, b""), Err(SendError::Empty));
    assert_eq!(server.try_recv(&mut [0; 8]), Ok(None));
}

#[test]
fn an_empty_packet_from_a_peer_reads_as_its_close() {
    let (client, server) = pair();
    rustix::net::send(&client, b"", SendFlags::NOSIGNAL).expect("the kernel allows it");
    assert_eq!(server.recv(&mut [0; 8], long(), &abort()), Err(RecvError::Closed));
}

#[test]
fn a_packet_longer_than_the_buffer_is_an_error_and_consumed() {
    let (client, server) = pair();
    send(&client, &[1; 100]).expect("sent");
    send(&client, &[2; 99]).expect("sent");
    send(&client, &[3; 1]).expect("sent");
    let mut buffer = [0; 99];
    let too_long = Err(RecvError::TooLong { len: 100, max: 99 });
    assert_eq!(server.recv(&mut buffer, long(), &abort()), too_long);
    assert_eq!(server.recv(&mut buffer, long(), &abort()), Ok(99));
    let none = Err(RecvError::TooLong { len: 1, max: 0 });
    assert_eq!(server.recv(&mut [], long(), &abort()), none);
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

#[test]
fn trying_never_waits() {
    let (client, server) = pair();
    assert_eq!(client.try_recv(&mut [0; 8]), Ok(None));
    let packet = vec![0; 60_000];
    let mut sent = 0;
    while client.try_send(&[IoSlice::new(&packet)]) == Ok(TrySend::Sent) {
        sent += 1;
        assert!(sent < 1_000_000, "a socket buffer is not endless");
    }
    assert_eq!(client.try_send(&[IoSlice::new(&packet)]), Ok(TrySend::NoRoom));
    for _ in 0..sent {
        assert_eq!(server.try_recv(&mut vec![0; 60_000]), Ok(Some(60_000)));
    }
    assert_eq!(server.try_recv(&mut [0; 8]), Ok(None));
    assert_eq!(client.try_send(&[IoSlice::new(&packet)]), Ok(TrySend::Sent));
}

#[test]
fn a_sender_goes_on_when_the_peer_makes_room() {
    let (client, server) = pair();
    let packet = vec![0; 60_000];
    let mut sent = 0_u32;
    while client.try_send(&[IoSlice::new(&packet)]) == Ok(TrySend::Sent) {
        sent += 1;
    }
    let sender = asleep_in(move || {
        send(&client, b"at last").expect("sent");
        client
    });
    for _ in 0..sent {
        assert_eq!(recv(&server).len(), packet.len());
    }
    assert_eq!(recv(&server), b"at last");
    sender.join().expect("done");
}

#[test]
fn a_close_is_seen_after_what_was_sent_before_it() {
    let (client, server) = pair();
    send(&client, b"one").expect("sent");
    send(&client, b"two").expect("sent");
    drop(client);
    assert_eq!(recv(&server), b"one");
    assert_eq!(recv(&server), b"two");
    assert_eq!(server.recv(&mut [0; 8], long(), &abort()), Err(RecvError::Closed));
    assert_eq!(server.try_recv(&mut [0; 8]), Err(RecvError::Closed));
    assert_eq!(send(&server, b"three"), Err(SendError::PeerGone));
}

#[test]
fn an_answer_survives_a_peer_that_closed_with_unread_packets() {
    let (client, server) = pair();
    send(&client, b"never read").expect("sent");
    send(&server, b"refused").expect("sent");
    drop(server);
    // The kernel reports the reset first; the answer is behind it.
    assert_eq!(recv(&client), b"refused");
    assert_eq!(client.recv(&mut [0; 8], long(), &abort()), Err(RecvError::Closed));
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

#[test]
fn both_ends_know_who_the_other_is() {
    let (client, server) = pair();
    for end in [&client, &server] {
        let peer = end.peer().expect("an identity");
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    }
}

#[test]
fn draining_ends_with_the_peer() {
    let (client, server) = pair();
    for _ in 0..5 {
        send(&client, &[0; 1000]).expect("sent");
    }
    let drain = asleep_in(move || server.drain(1 << 20, long(), &abort()));
    drop(client);
    assert_eq!(drain.join().expect("done"), Ok(Drained::PeerClosed));
}

#[test]
fn draining_is_bounded_in_bytes_and_time() {
    let (client, server) = pair();
    for _ in 0..5 {
        send(&client, &[0; 1000]).expect("sent");
    }
    assert_eq!(server.drain(3999, long(), &abort()), Ok(Drained::TooMuch));
    let soon = Deadline::after(Duration::from_millis(20));
    assert_eq!(server.drain(1000, soon, &abort()), Ok(Drained::TimedOut));
    let aborted = abort();
    aborted.trigger();
    assert_eq!(server.drain(1000, long(), &aborted), Ok(Drained::Aborted));
}

#[test]
fn packets_that_are_there_do_not_outlast_a_drains_deadline() {
    let (client, server) = pair();
    for _ in 0..5 {
        send(&client, &[0; 10]).expect("sent");
    }
    let passed = Deadline::after(Duration::ZERO);
    assert_eq!(server.drain(usize::MAX, passed, &abort()), Ok(Drained::TimedOut));
    assert_eq!(server.try_recv(&mut [0; 16]), Ok(Some(10)), "a peer that goes on is not followed");
}
