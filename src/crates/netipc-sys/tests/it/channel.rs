use std::io::IoSlice;
use std::time::Duration;

use netipc_sys::{Deadline, Drained, RecvError, SendError, TrySend};

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
    let abort = abort();
    client.send(&[IoSlice::new(&packet)], long(), &abort).expect("there is room again");
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
fn both_ends_know_who_the_other_is() {
    let (client, server) = pair();
    for end in [&client, &server] {
        let peer = end.peer().expect("an identity");
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.uid, netipc_sys::own_uid());
        assert!(peer.is_own_or_privileged());
        #[cfg(target_os = "linux")]
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
