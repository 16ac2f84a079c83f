//! Deadlines are real, aborts come through, and waiting costs nothing.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netipc_sys::{AcceptError, Deadline, PacketChannel, RecvError, SendError, TrySend};

#[cfg(target_os = "linux")]
use crate::support::sleeps_of_this_thread;
use crate::support::{LATENESS, Place, abort, asleep_in, bind, long, pair, send, within};

const TIMEOUT: Duration = Duration::from_millis(120);

fn fill(channel: &PacketChannel) {
    while channel.try_send(&[IoSlice::new(&[0; 60_000])]) == Ok(TrySend::Sent) {}
}

/// Runs `step` with a deadline; it must end at that, neither before nor later than promised.
fn ends_at_its_deadline(mut step: impl FnMut(Deadline)) {
    within(TIMEOUT + LATENESS, || {
        let start = Instant::now();
        step(Deadline::after(TIMEOUT));
        let took = start.elapsed();
        assert!(took >= TIMEOUT, "it ended early, after {took:?}");
        took
    });
}

#[test]
fn recv_send_and_accept_end_at_their_deadline() {
    let (client, _server) = pair();
    ends_at_its_deadline(|deadline| {
        let received = client.recv(&mut [0; 8], deadline, &abort());
        assert_eq!(received, Err(RecvError::TimedOut));
    });
    fill(&client);
    ends_at_its_deadline(|deadline| {
        let sent = client.send(&[IoSlice::new(&[0; 60_000])], deadline, &abort());
        assert_eq!(sent, Err(SendError::TimedOut));
    });
    let place = Place::new();
    let listener = bind(&place.socket());
    ends_at_its_deadline(|deadline| {
        let accepted = listener.accept(deadline, &abort()).map(|_| ());
        assert_eq!(accepted, Err(AcceptError::TimedOut));
    });
}

#[test]
fn a_deadline_that_has_passed_does_not_stop_what_needs_no_waiting() {
    let (client, server) = pair();
    let passed = Deadline::after(Duration::ZERO);
    client.send(&[IoSlice::new(b"x")], passed, &abort()).expect("there is room");
    assert_eq!(server.recv(&mut [0; 8], passed, &abort()), Ok(1));
    assert_eq!(server.recv(&mut [0; 8], passed, &abort()), Err(RecvError::TimedOut));
}

#[test]
fn an_abort_ends_every_kind_of_wait() {
    let place = Place::new();
    let listener = Arc::new(bind(&place.socket()));
    within(LATENESS, || {
        let stop = abort();
        let (reader, _one) = pair();
        let (writer, _two) = pair();
        fill(&writer);
        let (for_read, for_write, for_accept) = (stop.clone(), stop.clone(), stop.clone());
        let listener = Arc::clone(&listener);
        let reading = asleep_in(move || reader.recv(&mut [0; 8], Deadline::never(), &for_read));
        let writing = asleep_in(move || {
            writer.send(&[IoSlice::new(&[0; 60_000])], Deadline::never(), &for_write)
        });
        let accepting =
            asleep_in(move || listener.accept(Deadline::never(), &for_accept).map(|_| ()));
        let start = Instant::now();
        stop.trigger();
        assert_eq!(reading.join().expect("done"), Err(RecvError::Aborted));
        assert_eq!(writing.join().expect("done"), Err(SendError::Aborted));
        assert_eq!(accepting.join().expect("done"), Err(AcceptError::Aborted));
        start.elapsed()
    });
}

#[test]
fn an_abort_stays_until_cleared() {
    let (client, server) = pair();
    let stop = abort();
    assert!(!stop.is_set());
    stop.trigger();
    stop.trigger();
    send(&server, b"ready").expect("sent");
    for _ in 0..3 {
        assert!(stop.is_set());
        let received = client.recv(&mut [0; 8], long(), &stop);
        assert_eq!(received, Err(RecvError::Aborted), "although a packet is there");
        let sent = client.send(&[IoSlice::new(b"x")], long(), &stop);
        assert_eq!(sent, Err(SendError::Aborted));
    }
    stop.clear();
    assert!(!stop.is_set());
    assert_eq!(client.recv(&mut [0; 8], long(), &stop), Ok(5));
    let soon = Deadline::after(Duration::from_millis(5));
    assert_eq!(client.recv(&mut [0; 8], soon, &stop), Err(RecvError::TimedOut));
    stop.clear();
    stop.trigger();
    assert!(stop.is_set(), "clearing twice is no debt");
}

#[test]
fn one_abort_wakes_all_its_waiters() {
    const WAITERS: usize = 8;
    let stop = abort();
    let pairs: Vec<_> = (0..WAITERS).map(|_| pair()).collect();
    let (clients, _servers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let waiting: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let stop = stop.clone();
            asleep_in(move || client.recv(&mut [0; 8], Deadline::never(), &stop))
        })
        .collect();
    stop.trigger();
    for waiter in waiting {
        assert_eq!(waiter.join().expect("done"), Err(RecvError::Aborted));
    }
}

#[test]
fn a_peer_that_closes_wakes_who_waits_on_it() {
    within(LATENESS, || {
        let (reader, peer_of_reader) = pair();
        let (writer, peer_of_writer) = pair();
        fill(&writer);
        let reading = asleep_in(move || reader.recv(&mut [0; 8], Deadline::never(), &abort()));
        let writing = asleep_in(move || {
            writer.send(&[IoSlice::new(&[0; 60_000])], Deadline::never(), &abort())
        });
        let start = Instant::now();
        drop((peer_of_reader, peer_of_writer));
        assert_eq!(reading.join().expect("done"), Err(RecvError::Closed));
        assert_eq!(writing.join().expect("done"), Err(SendError::PeerGone));
        start.elapsed()
    });
}

#[cfg(target_os = "linux")]
#[test]
fn waiting_is_one_sleep_not_many() {
    let (client, server) = pair();
    let waiter = asleep_in(move || {
        let before = sleeps_of_this_thread();
        let mut buffer = [0; 8];
        let stop = abort();
        let timed_out = client.recv(&mut buffer, Deadline::after(3 * TIMEOUT), &stop);
        assert_eq!(timed_out, Err(RecvError::TimedOut));
        let received = client.recv(&mut buffer, Deadline::never(), &stop);
        (received, sleeps_of_this_thread() - before)
    });
    // Long enough that a period of 50 or 100 ms would show in the count.
    let (_unused, quiet) = pair();
    let nothing = quiet.recv(&mut [0; 8], Deadline::after(6 * TIMEOUT), &abort());
    assert_eq!(nothing, Err(RecvError::TimedOut));
    send(&server, b"x").expect("sent");
    let (received, sleeps) = waiter.join().expect("done");
    assert_eq!(received, Ok(1));
    assert!(sleeps <= 3, "slept {sleeps} times to wait twice");
}

#[test]
fn threads_that_share_a_channel_each_get_whole_packets() {
    const PACKETS: usize = 200;
    let (client, server) = pair();
    let server = Arc::new(server);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                let mut count = 0;
                loop {
                    match server.recv(&mut [0; 64], long(), &abort()) {
                        Ok(len) => assert_eq!(len, 40),
                        Err(error) => break (error, count),
                    }
                    count += 1;
                }
            })
        })
        .collect();
    for _ in 0..PACKETS {
        send(&client, &[9; 40]).expect("sent");
    }
    drop(client);
    let ends: Vec<_> = readers.into_iter().map(|reader| reader.join().expect("done")).collect();
    assert!(ends.iter().all(|(error, _)| *error == RecvError::Closed), "{ends:?}");
    assert_eq!(ends.iter().map(|(_, count)| count).sum::<usize>(), PACKETS);
}
