//! One scan serves all callers, for its time.

use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use netipc_host::GENERATION_AGE;

use crate::fixture::{Clock, Fixture};

const JUST: Duration = Duration::from_nanos(1);

#[test]
fn a_generation_is_renewed_by_the_first_call_after_its_age() {
    let fixture = Fixture::new();
    fixture.process(1, b"x", b"0::/\n");
    let clock = Clock::new();
    let host = clock.host(fixture.config());
    let first = host.current().unwrap();
    assert_ne!(first.number(), 0);

    fixture.process(2, b"y", b"0::/\n");
    clock.advance(GENERATION_AGE - JUST);
    assert!(Arc::ptr_eq(&first, &host.current().unwrap()));

    clock.advance(JUST);
    let second = host.current().unwrap();
    assert_eq!(second.number(), first.number() + 1);
    assert!(second.process(2).is_some());
    // Whoever holds the first still reads it.
    assert!(first.process(1).is_some() && first.process(2).is_none());

    // Kept from its own scan on, not from the first's.
    clock.advance(GENERATION_AGE - JUST);
    assert!(Arc::ptr_eq(&second, &host.current().unwrap()));
}

#[test]
fn callers_at_once_share_one_scan() {
    const CALLERS: usize = 8;
    let fixture = Fixture::new();
    for pid in 1..200 {
        fixture.process(pid, b"x", b"0::/\n");
    }
    let clock = Clock::new();
    let host = clock.host(fixture.config());
    for _ in 0..10 {
        let start = Barrier::new(CALLERS);
        let numbers: HashSet<u64> = std::thread::scope(|scope| {
            let call = || {
                start.wait();
                host.current().unwrap().number()
            };
            let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        assert_eq!(numbers.len(), 1, "{numbers:?}");
        clock.advance(GENERATION_AGE);
    }
}

#[test]
fn a_scan_that_failed_leaves_no_generation_behind_and_the_next_call_tries_again() {
    let fixture = Fixture::new();
    let clock = Clock::new();
    let host = clock.host(fixture.config());
    let first = host.current().unwrap();

    let hidden = fixture.proc().with_extension("hidden");
    std::fs::rename(fixture.proc(), &hidden).unwrap();
    clock.advance(GENERATION_AGE);
    host.current().unwrap_err();
    std::fs::rename(&hidden, fixture.proc()).unwrap();
    assert_eq!(host.current().unwrap().number(), first.number() + 1);
}
