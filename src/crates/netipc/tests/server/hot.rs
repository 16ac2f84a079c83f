//! Workers that stay with a busy session for a while: nobody may notice but by the time that a call
//! takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netipc::codec::ResponseBudget;
use netipc::server::{Context, ServerConfig};
use netipc::{Deadline, Header};

use crate::support::{
    Client, Gate, METHOD, PATIENCE, Place, echo, eventually, handler, reply, with_shared_memory,
    work_for,
};

/// Long enough for a worker to find out that looking pays, where it does.
const WARM_UP: Duration = Duration::from_millis(300);
/// Longer than the event loop takes to see that a worker does not come back.
const SEEN: Duration = Duration::from_secs(if cfg!(windows) { 6 } else { 2 });

/// Calls without a pause for so long.
fn warm_up(client: &mut Client) {
    let started = Instant::now();
    while started.elapsed() < WARM_UP {
        assert_eq!(client.call(b"ping").1, b"ping");
    }
}

fn workers(worker_count: usize) -> ServerConfig {
    ServerConfig { worker_count, ..ServerConfig::default() }
}

#[test]
fn what_follows_a_request_that_turns_out_slow_is_for_other_workers() {
    let (place, gate) = (Place::new(), Gate::default());
    let at_gate = gate.clone();
    let _server = place.serve(
        workers(2),
        handler(move |_context, request, response| {
            if request == b"hold" {
                at_gate.pass();
            }
            reply(request, response)
        }),
    );
    let mut client = place.client();
    // More than once: it may go to the sleeping worker, or to the one that stayed.
    for _ in 0..3 {
        warm_up(&mut client);
        client.request(1, b"hold");
        gate.wait_for(1);
        let asked = Instant::now();
        client.request(2, b"quick");
        assert_eq!(client.receive().expect("an answer").1, b"quick");
        assert!(asked.elapsed() < SEEN, "it waited for the slow one: {:?}", asked.elapsed());
        gate.let_through();
        assert_eq!(client.receive().expect("an answer").1, b"hold");
    }
}

#[test]
fn a_busy_client_keeps_no_worker_from_the_others() {
    for worker_count in [1, 2] {
        let place = Place::new();
        let _server = place.serve(workers(worker_count), echo());
        let enough = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..worker_count {
                scope.spawn(|| {
                    let mut busy = place.client();
                    while !enough.load(Ordering::Relaxed) {
                        warm_up(&mut busy);
                    }
                });
            }
            let mut other = place.client();
            warm_up(&mut other);
            let mut slowest = Duration::ZERO;
            for _ in 0..100 {
                let asked = Instant::now();
                assert_eq!(other.call(b"ping").1, b"ping");
                slowest = slowest.max(asked.elapsed());
            }
            enough.store(true, Ordering::Relaxed);
            println!("{worker_count} workers: the slowest of 100 calls took {slowest:?}");
            assert!(slowest < SEEN, "{slowest:?} with {worker_count} workers");
        });
    }
}

#[test]
fn a_server_stops_and_drains_in_the_midst_of_calls() {
    // Wine takes its time for each.
    const CALLS: u64 = if cfg!(windows) { 100 } else { 10_000 };
    for drains in [false, true] {
        let place = Place::new();
        let server = place.serve(workers(2), echo());
        std::thread::scope(|scope| {
            let calling = scope.spawn(|| {
                let mut client = place.client();
                let request = Header::request(METHOD, 1, 4);
                let started = Instant::now();
                while started.elapsed() < PATIENCE {
                    let Client { session, abort, .. } = &client;
                    let deadline = Deadline::after(PATIENCE);
                    let asked = session.send(&request, b"ping", deadline, abort);
                    if asked.is_err() || client.receive().is_err() {
                        return;
                    }
                }
                panic!("the server never ended the session");
            });
            eventually("calls", || server.status().calls.ok > CALLS);
            let started = Instant::now();
            let ended = if drains { server.drain() } else { server.stop() };
            ended.expect("nothing holds it");
            assert!(started.elapsed() < SEEN);
            calling.join().expect("no panic");
        });
        assert_eq!((server.status().sessions, server.status().in_flight), (0, 0));
    }
}

#[test]
fn a_busy_client_that_leaves_is_noticed() {
    let place = Place::new();
    let server = place.serve(workers(2), echo());
    for left in 1..4 {
        let mut client = place.client();
        warm_up(&mut client);
        drop(client);
        eventually("its end", || server.status().ended.left == left);
        assert_eq!(server.status().sessions, 0);
    }
}

/// Each of its requests is there before who waits for the permit of the last one has woken up.
#[test]
fn a_client_whose_requests_take_their_time_keeps_no_handler_from_the_others() {
    let place = Place::new();
    let work = |_context: &Context<'_>, request: &[u8], response: ResponseBudget<'_>| {
        work_for(Duration::from_millis(1));
        reply(request, response)
    };
    let _server = place.serve(with_shared_memory(workers(1)), handler(work));
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut busy = place.shared_memory_client();
            while !enough.load(Ordering::Relaxed) {
                warm_up(&mut busy);
            }
        });
        let mut slowest = Duration::ZERO;
        for mut other in [place.shared_memory_client(), place.client()] {
            warm_up(&mut other);
            for _ in 0..50 {
                let asked = Instant::now();
                assert_eq!(other.call(b"ping").1, b"ping");
                slowest = slowest.max(asked.elapsed());
            }
        }
        enough.store(true, Ordering::Relaxed);
        println!("the slowest of 100 calls took {slowest:?}");
        assert!(slowest < SEEN, "{slowest:?}");
    });
}
