//! Waiting: what ends it, how soon, and what it costs.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use netipc_sys::{Deadline, RegionError, Until};
use rustix::thread::futex;

use super::memory::Words;
use super::support::{Ends, RemoteClient, SIZES, receive, region_path, watching};
use crate::support::{LATENESS, abort, asleep_in, is_child, rounds, sleeps_of_this_thread, within};

/// How late a peer's death may be noticed.
const DEATH: Duration = Duration::from_millis(100);
/// The offset of the word that the server sleeps on (spec section 7).
const REQ_SIGNAL: usize = 56;
const DYING: &str = "region::waiting::a_killed_peer_is_noticed_and_what_it_published_comes_first";

#[test]
fn a_message_wakes_who_sleeps() {
    let Ends { server, client, place: _place, .. } = Ends::new(SIZES);
    // The first sleep of a wait, and the ones after it, are different system calls.
    for pause in [Duration::ZERO, Duration::from_millis(60)] {
        within(LATENESS, || {
            std::thread::scope(|threads| {
                let waiting = threads.spawn(|| receive(&server, Until::ended()));
                assert_eq!(client.wait(for_time(pause)), Err(RegionError::TimedOut));
                let start = Instant::now();
                client.send(&[b"wake up"]).expect("sent");
                assert_eq!(waiting.join().expect("done"), b"wake up");
                start.elapsed()
            })
        });
    }
}

fn for_time(time: Duration) -> Until<'static> {
    Until { deadline: Deadline::after(time), abort: None, socket: None }
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let ends = Ends::new(SIZES);
    let stop = abort();
    for time in [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(120)] {
        within(time + LATENESS, || {
            let start = Instant::now();
            assert_eq!(ends.server.wait(for_time(time)), Err(RegionError::TimedOut));
            let until =
                Until { deadline: Deadline::after(time), ..watching(&ends.client_socket, &stop) };
            let watched = start.elapsed();
            assert!(watched >= time);
            assert_eq!(ends.client.wait(until), Err(RegionError::TimedOut));
            assert!(start.elapsed() >= watched + time);
            start.elapsed() - watched
        });
    }
}

#[test]
fn an_abort_ends_a_wait_and_receiving_goes_on_later() {
    let ends = Ends::new(SIZES);
    let Ends { client, client_socket, server, .. } = &ends;
    let stop = abort();
    within(LATENESS, || {
        let (result, took) = std::thread::scope(|threads| {
            let waiting = threads.spawn(|| client.wait(watching(client_socket, &stop)));
            assert_eq!(
                server.wait(for_time(Duration::from_millis(40))),
                Err(RegionError::TimedOut)
            );
            let start = Instant::now();
            stop.trigger();
            (waiting.join().expect("done"), start.elapsed())
        });
        assert_eq!(result, Err(RegionError::Aborted));
        assert_eq!(client.wait(watching(client_socket, &stop)), Err(RegionError::Aborted));
        stop.clear();
        took
    });
    server.send(&[b"later"]).expect("sent");
    assert_eq!(receive(client, watching(client_socket, &stop)), b"later");
}

#[test]
fn a_peer_that_closes_is_noticed_and_what_it_published_comes_first() {
    within(DEATH, || {
        let Ends { client, client_socket, server, server_socket, place } = Ends::new(SIZES);
        let stop = abort();
        let start = std::thread::scope(|threads| {
            let waiting = threads.spawn(|| client.wait(watching(&client_socket, &stop)));
            assert_eq!(
                server.wait(for_time(Duration::from_millis(40))),
                Err(RegionError::TimedOut)
            );
            drop(server_socket);
            let start = Instant::now();
            assert_eq!(waiting.join().expect("done"), Err(RegionError::PeerGone));
            start
        });
        let took = start.elapsed();
        server.send(&[b"the last"]).expect("sent");
        assert_eq!(receive(&client, watching(&client_socket, &stop)), b"the last");
        drop(server);
        assert_eq!(place.names(), [""; 0], "the file is gone with the server's end");
        took
    });
}

#[test]
fn a_killed_peer_is_noticed_and_what_it_published_comes_first() {
    if is_child(DYING) {
        return RemoteClient::run(SIZES, |client, _socket, _order| {
            client.send(&[b"my last words"]).expect("sent");
            "said".to_owned()
        });
    }
    for _ in 0..rounds(3) {
        within(DEATH, || {
            let mut client = RemoteClient::start(DYING, SIZES);
            client.order("speak");
            assert_eq!(client.answer(), "said");
            client.child.kill().expect("killed");
            let start = Instant::now();
            let stop = abort();
            assert_eq!(receive(&client.server, watching(&client.socket, &stop)), b"my last words");
            let gone = client.server.wait(watching(&client.socket, &stop));
            assert_eq!(gone, Err(RegionError::PeerGone));
            let took = start.elapsed();
            let (path, region) = (region_path(&client.place), client.server.len_bytes());
            assert_eq!(std::fs::metadata(&path).expect("there").len(), region as u64);
            drop(client);
            took
        });
    }
}

#[test]
fn an_end_wakes_who_sleeps_and_stays() {
    for pause in [Duration::ZERO, Duration::from_millis(60)] {
        within(LATENESS, || {
            let Ends { server, client, place: _place, .. } = Ends::new(SIZES);
            let handle = server.handle();
            let waiting = asleep_in(move || {
                let first = server.wait(Until::ended());
                (first, server.wait(Until::ended()))
            });
            assert_eq!(client.wait(for_time(pause)), Err(RegionError::TimedOut));
            let start = Instant::now();
            handle.clone().end();
            let ended = Err(RegionError::Ended);
            assert_eq!(waiting.join().expect("done"), (ended, ended));
            // The channel is gone by now: there is nothing left to end.
            handle.end();
            start.elapsed()
        });
    }
}

#[test]
fn a_message_that_is_there_comes_before_the_end() {
    let ends = Ends::new(SIZES);
    ends.client.send(&[b"in time"]).expect("sent");
    ends.server.handle().end();
    assert_eq!(receive(&ends.server, Until::ended()), b"in time");
    let mut buffer = Vec::new();
    let ended = ends.server.receive(&mut buffer, usize::MAX, Until::ended());
    assert_eq!(ended, Err(RegionError::Ended));
}

/// The peer writes the word back to what the sleeper saw, and moves sleepers to another word, where no
/// wake-up reaches them. Neither keeps anybody from being ended.
#[test]
fn an_end_comes_whatever_the_peer_does_to_the_words() {
    for pause in [Duration::ZERO, Duration::from_millis(60)] {
        within(LATENESS, || {
            let ends = Ends::new(SIZES);
            let words = Words::of(&ends.path());
            let (elsewhere, done) = (AtomicU32::new(0), AtomicBool::new(false));
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    let signal = words.at(REQ_SIGNAL);
                    while !done.load(Ordering::Relaxed) {
                        signal.store(0, Ordering::Relaxed);
                        let shared = futex::Flags::empty();
                        let _moved = futex::requeue(signal, shared, 0, i32::MAX as u32, &elsewhere);
                    }
                });
                let waiting = threads.spawn(|| ends.server.wait(Until::ended()));
                assert_eq!(ends.client.wait(for_time(pause)), Err(RegionError::TimedOut));
                let start = Instant::now();
                ends.server.handle().end();
                assert_eq!(waiting.join().expect("done"), Err(RegionError::Ended));
                done.store(true, Ordering::Relaxed);
                start.elapsed()
            })
        });
    }
}

#[test]
fn waiting_is_two_sleeps_not_many() {
    let Ends { server, client, place: _place, .. } = Ends::new(SIZES);
    let handle = server.handle();
    let waiting = asleep_in(move || {
        let before = sleeps_of_this_thread();
        let ended = server.wait(Until::ended());
        assert_eq!(ended, Err(RegionError::Ended));
        sleeps_of_this_thread() - before
    });
    let half_a_second = Duration::from_millis(500);
    assert_eq!(client.wait(for_time(half_a_second)), Err(RegionError::TimedOut));
    handle.end();
    let sleeps = waiting.join().expect("done");
    assert!(sleeps <= 2, "{sleeps} sleeps in half a second");
}
