use std::time::{Duration, Instant};

use netipc_sys::{
    Deadline, Event, Events, Interest, WaitError, WaitSet, Waker, WatchMode, wait_readable,
};

use crate::support::{LATENESS, Place, abort, asleep_in, bind, long, pair, recv, send, within};
#[cfg(target_os = "linux")]
use crate::support::{in_child, sleeps_of_this_thread};

fn now() -> Deadline {
    Deadline::after(Duration::ZERO)
}

fn waited(set: &WaitSet, deadline: Deadline) -> Vec<Event> {
    let mut events = Events::with_capacity(16);
    let count = set.wait(&mut events, deadline).expect("waited");
    assert_eq!((count, count == 0), (events.len(), events.is_empty()));
    events.iter().collect()
}

const READABLE: Event = Event { token: 0, readable: true, writable: false, closed: false };

#[test]
fn what_is_ready_reports_its_token() {
    let set = WaitSet::new().expect("a set");
    let (one, one_peer) = pair();
    let (two, two_peer) = pair();
    set.add(&one, 1, Interest::Read, WatchMode::Level).expect("added");
    set.add(&two, u64::MAX, Interest::Read, WatchMode::Level).expect("added");
    assert_eq!(waited(&set, now()), []);
    send(&two_peer, b"x").expect("sent");
    for _ in 0..2 {
        assert_eq!(waited(&set, long()), [Event { token: u64::MAX, ..READABLE }]);
    }
    recv(&two);
    assert_eq!(waited(&set, now()), []);
    drop(one_peer);
    let closed = Event { token: 1, closed: true, ..READABLE };
    assert_eq!(waited(&set, long()), [closed], "a close is readable: receiving tells it");
    set.remove(&one).expect("removed");
    assert_eq!(waited(&set, now()), []);
}

#[test]
fn a_wait_set_is_readable_itself_and_its_events_may_move_to_another_thread() {
    let set = WaitSet::new().expect("a set");
    let (one, peer) = pair();
    set.add(&one, 3, Interest::Read, WatchMode::Level).expect("added");
    let short = Deadline::after(Duration::from_millis(20));
    assert_eq!(wait_readable(&set, short, &abort()), Err(WaitError::TimedOut));
    send(&peer, b"x").expect("sent");
    assert_eq!(wait_readable(&set, long(), &abort()), Ok(()));
    let mut events = Events::with_capacity(usize::MAX);
    let events = std::thread::spawn(move || {
        set.wait(&mut events, now()).expect("waited");
        events
    });
    let events = events.join().expect("done");
    assert_eq!(events.iter().collect::<Vec<_>>(), [Event { token: 3, ..READABLE }]);
    let stop = abort();
    stop.trigger();
    assert_eq!(wait_readable(&one, long(), &stop), Err(WaitError::Aborted));
}

#[test]
fn interest_can_change() {
    let set = WaitSet::new().expect("a set");
    let (one, peer) = pair();
    set.add(&one, 7, Interest::Write, WatchMode::Level).expect("added");
    let writable = Event { token: 7, readable: false, writable: true, closed: false };
    assert_eq!(waited(&set, long()), [writable]);
    set.modify(&one, 8, Interest::Read, WatchMode::Level).expect("changed");
    assert_eq!(waited(&set, now()), []);
    send(&peer, b"x").expect("sent");
    set.modify(&one, 9, Interest::ReadWrite, WatchMode::Level).expect("changed");
    assert_eq!(waited(&set, long()), [Event { token: 9, writable: true, ..READABLE }]);
}

#[test]
fn one_shot_reports_once_until_armed_again() {
    let set = WaitSet::new().expect("a set");
    let (one, peer) = pair();
    set.add(&one, 3, Interest::Read, WatchMode::OneShot).expect("added");
    send(&peer, b"x").expect("sent");
    assert_eq!(waited(&set, long()), [Event { token: 3, ..READABLE }]);
    send(&peer, b"y").expect("sent");
    drop(peer);
    assert_eq!(waited(&set, now()), [], "silent, even about the close");
    set.modify(&one, 3, Interest::Read, WatchMode::OneShot).expect("armed");
    // A pipe does not tell of the close while there is something to read.
    let closed = cfg!(target_os = "linux");
    assert_eq!(waited(&set, long()), [Event { token: 3, closed, ..READABLE }]);
    assert_eq!((recv(&one), recv(&one)), (b"x".to_vec(), b"y".to_vec()));
    set.modify(&one, 3, Interest::Read, WatchMode::OneShot).expect("armed");
    assert_eq!(waited(&set, long()), [Event { token: 3, closed: true, ..READABLE }]);
}

#[test]
fn one_shot_gives_each_event_to_one_thread() {
    let set = std::sync::Arc::new(WaitSet::new().expect("a set"));
    let (one, peer) = pair();
    set.add(&one, 3, Interest::Read, WatchMode::OneShot).expect("added");
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let set = std::sync::Arc::clone(&set);
            asleep_in(move || waited(&set, Deadline::after(Duration::from_millis(300))).len())
        })
        .collect();
    send(&peer, b"x").expect("sent");
    let told: usize = waiters.into_iter().map(|waiter| waiter.join().expect("done")).sum();
    assert_eq!(told, 1);
}

#[test]
fn a_waker_wakes_until_reset() {
    let set = WaitSet::new().expect("a set");
    let waker = Waker::new().expect("a waker");
    set.add(&waker, 5, Interest::Read, WatchMode::Level).expect("added");
    let remote = waker.clone();
    within(LATENESS, || {
        let remote = remote.clone();
        let start = Instant::now();
        let thread = std::thread::spawn(move || {
            remote.wake();
            remote.wake();
        });
        assert_eq!(waited(&set, long()), [Event { token: 5, ..READABLE }]);
        let took = start.elapsed();
        thread.join().expect("done");
        waker.reset();
        assert_eq!(waited(&set, now()), []);
        took
    });
    waker.reset();
    waker.wake();
    assert_eq!(waited(&set, long()).len(), 1);
}

#[test]
fn an_abort_and_a_listener_can_be_waited_for() {
    let set = WaitSet::new().expect("a set");
    let stop = abort();
    let place = Place::new();
    let listener = bind(&place.socket());
    set.add(&stop, 1, Interest::Read, WatchMode::Level).expect("added");
    set.add(&listener, 2, Interest::Read, WatchMode::Level).expect("added");
    let _client = netipc_sys::connect(&place.socket(), long(), &stop).expect("connected");
    assert_eq!(waited(&set, long()), [Event { token: 2, ..READABLE }]);
    let _channel = crate::support::accept(&listener);
    stop.trigger();
    assert_eq!(waited(&set, long()), [Event { token: 1, ..READABLE }]);
    stop.clear();
    assert_eq!(waited(&set, now()), []);
}

#[test]
fn a_wait_ends_at_its_deadline() {
    const TIMEOUT: Duration = Duration::from_millis(120);
    let set = WaitSet::new().expect("a set");
    within(TIMEOUT + LATENESS, || {
        let start = Instant::now();
        assert_eq!(waited(&set, Deadline::after(TIMEOUT)), []);
        let took = start.elapsed();
        assert!(took >= TIMEOUT, "ended early, after {took:?}");
        took
    });
    // A timeout beyond what the kernel counts is not an error.
    let waker = Waker::new().expect("a waker");
    set.add(&waker, 5, Interest::Read, WatchMode::Level).expect("added");
    waker.wake();
    assert_eq!(waited(&set, Deadline::after(Duration::from_secs(u32::MAX.into()))).len(), 1);
}

#[test]
fn mistakes_are_errors() {
    let set = WaitSet::new().expect("a set");
    let (one, _peer) = pair();
    set.modify(&one, 1, Interest::Read, WatchMode::Level).expect_err("not in the set");
    set.remove(&one).expect_err("not in the set");
    set.add(&one, 1, Interest::Read, WatchMode::Level).expect("added");
    set.add(&one, 1, Interest::Read, WatchMode::Level).expect_err("in the set already");
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_idle_channels_wake_nobody() {
    const CHANNELS: u64 = 1000;
    in_child("wait_set::a_thousand_idle_channels_wake_nobody", || {
        crate::process::raise_descriptor_limit();
        let place = Place::new();
        let listener = bind(&place.socket());
        let set = WaitSet::new().expect("a set");
        let stop = abort();
        let mut ends = Vec::new();
        for token in 0..CHANNELS {
            let client = netipc_sys::connect(&place.socket(), long(), &stop).expect("connected");
            let server = crate::support::accept(&listener);
            set.add(&server, token, Interest::Read, WatchMode::OneShot).expect("added");
            ends.push((client, server));
        }
        let before = sleeps_of_this_thread();
        assert_eq!(waited(&set, Deadline::after(Duration::from_millis(500))), []);
        let sleeps = sleeps_of_this_thread() - before;
        assert!(sleeps <= 2, "slept {sleeps} times to wait once");
        send(&ends[617].0, b"x").expect("sent");
        assert_eq!(waited(&set, long()), [Event { token: 617, ..READABLE }]);
    });
}
