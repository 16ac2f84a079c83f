//! Stopping and draining, whatever clients and handlers do.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netipc::server::{
    DRAIN_TIMEOUT, Dispatch, RunningServer, STOP_TIMEOUT, Server, ServerConfig, ServerError,
};
use netipc::{Abort, Deadline, Met, ReceiveError, Status};

use crate::batches::send_batch;
use crate::support::{
    Gate, PATIENCE, Place, echo, eventually, handler, over_each, proposal, reply, work_for,
};

/// Beyond a deadline, for a machine that is busy.
const LATENESS: Duration = Duration::from_secs(if cfg!(windows) { 3 } else { 1 });

fn holding(gate: &Gate) -> impl Dispatch {
    let gate = gate.clone();
    handler(move |_context, request, response| {
        if request.starts_with(b"hold") {
            gate.pass();
        }
        reply(request, response)
    })
}

fn assert_absent(place: &Place) {
    if cfg!(windows) {
        // A pipe keeps its name while one of its sessions lives, and nobody answers there.
        let (path, abort) = (place.endpoint.socket_path(), Abort::new().expect("abort"));
        let soon = Deadline::after(Duration::from_millis(50));
        return assert!(netipc_sys::connect(path, soon, &abort).is_err());
    }
    let error = place.try_client(&proposal()).map(|_| ()).expect_err("nobody serves");
    assert_eq!(error.met(), Some(Met::NoEndpoint), "{error}");
}

#[test]
fn stopping_is_quick_whatever_clients_do() {
    let place = Place::new();
    let server = place.serve(
        ServerConfig::default(),
        handler(|_context, request, response| Ok(request.len() * 50_000 % response.out.len())),
    );
    let mut idle = place.client();
    let _silent: Vec<_> = (0..20).map(|_| place.silent()).collect();
    let half = place.raw();
    half.send_half();
    let never_reads = place.client();
    for id in 0..40 {
        never_reads.request(id, b"x");
    }
    eventually("answers that wait", || server.status().in_flight >= 16);
    let started = Instant::now();
    server.stop().expect("stopped");
    assert!(started.elapsed() < LATENESS, "no handler runs: there is nothing to wait for");
    idle.expect_close();
    assert_absent(&place);
    assert_eq!(server.status().sessions, 0);
    server.stop().expect("once more");
    server.wait().expect("it has ended");
    // The name is free.
    let _next = place.serve(ServerConfig::default(), echo());
    assert_eq!(place.client().call(b"again").1, b"again");
}

#[test]
fn dropping_a_server_stops_it() {
    over_each(|| {
        let place = Place::new();
        let mut client = {
            let _server = place.serve(ServerConfig::default(), echo());
            place.client()
        };
        client.expect_close();
        assert_absent(&place);
    });
}

#[test]
fn a_handler_that_outlives_the_stop_is_reported_and_harms_nobody() {
    over_each(|| {
        let place = Place::new();
        let gate = Gate::default();
        let server = place.serve(ServerConfig::default(), holding(&gate));
        let client = place.client();
        client.request(1, b"hold");
        gate.wait_for(1);
        let started = Instant::now();
        let outcome = server.stop();
        let took = started.elapsed();
        assert!(matches!(outcome, Err(ServerError::HandlersRunning { threads: 1 })), "{outcome:?}");
        assert!(took >= STOP_TIMEOUT && took < STOP_TIMEOUT + LATENESS, "{took:?}");
        assert_absent(&place);
        gate.open();
        server.stop_within(LATENESS).expect("the handler has returned");
    });
}

#[test]
fn who_stops_drains_and_waits_at_once_does_not_disturb_the_others() {
    over_each(|| {
        const OTHERS: usize = 4;
        let (place, gate) = (Place::new(), Gate::default());
        let server = place.serve(ServerConfig::default(), holding(&gate));
        let mut client = place.client();
        client.request(1, b"hold");
        gate.wait_for(1);
        std::thread::scope(|scope| {
            let patient = || server.stop_within(PATIENCE);
            let threads: Vec<_> = (0..OTHERS)
                .flat_map(|_| [scope.spawn(patient), scope.spawn(|| server.drain_within(PATIENCE))])
                .chain([scope.spawn(|| server.wait())])
                .collect();
            assert!(server.stop_within(Duration::ZERO).is_err(), "a handler runs");
            assert!(threads.iter().all(|thread| !thread.is_finished()), "their time is not over");
            gate.open();
            for thread in threads {
                thread.join().expect("no panic").expect("stopped");
            }
        });
        assert_eq!(client.receive().expect("an answer").1, b"hold");
        client.expect_close();
    });
}

#[test]
fn a_server_that_is_stopped_or_dropped_by_its_handler_stops_once_that_returns() {
    type Kept = Arc<Mutex<Option<RunningServer>>>;
    over_each(|| {
        let (place, kept) = (Place::new(), Kept::default());
        let for_handler = Arc::clone(&kept);
        let server = place.serve(
            ServerConfig::default(),
            handler(move |_context, request, response| {
                let server = for_handler.lock().expect("no panic").take().expect("served");
                let outcome = server.stop_within(Duration::ZERO);
                assert!(matches!(outcome, Err(ServerError::HandlersRunning { threads: 1.. })));
                drop(server);
                reply(request, response)
            }),
        );
        let mut client = place.client();
        *kept.lock().expect("no panic") = Some(server);
        client.request(1, b"stop");
        assert_eq!(client.receive().expect("an answer").1, b"stop");
        client.expect_close();
        assert_absent(&place);
    });
}

#[test]
fn a_request_that_no_handler_has_begun_is_dropped_with_its_session() {
    over_each(|| {
        let place = Place::new();
        let gate = Gate::default();
        let config = ServerConfig { worker_count: 1, ..ServerConfig::default() };
        let server = place.serve(config, holding(&gate));
        let (holder, mut waits) = (place.client(), place.client());
        holder.request(1, b"hold");
        gate.wait_for(1);
        waits.request(1, b"later");
        eventually("the request is read", || server.status().in_flight == 2);
        assert!(server.stop_within(Duration::ZERO).is_err(), "a handler runs");
        waits.expect_close();
        gate.open();
        server.stop().expect("the handler has returned");
        eventually("nothing in flight", || server.status().in_flight == 0);
    });
}

#[test]
fn a_batch_that_is_not_through_is_dropped_with_its_session() {
    const ITEMS: u32 = 10;
    for worker_count in [1, 2] {
        over_each(|| {
            let (place, gate, calls) =
                (Place::new(), Gate::default(), Arc::new(AtomicUsize::new(0)));
            let (held, counted) = (gate.clone(), Arc::clone(&calls));
            let server = place.serve(
                ServerConfig { worker_count, ..ServerConfig::default() },
                handler(move |_context, request, response| {
                    match counted.fetch_add(1, Ordering::SeqCst) {
                        // Long enough for the rest to be shared.
                        0 => work_for(Duration::from_millis(1)),
                        _ => held.pass(),
                    }
                    reply(request, response)
                }),
            );
            let mut client = place.client();
            send_batch(&client, 1, ITEMS);
            gate.wait_for(worker_count);
            assert!(server.stop_within(Duration::ZERO).is_err(), "handlers run");
            gate.open();
            server.stop().expect("they have returned");
            assert_eq!(calls.load(Ordering::SeqCst), 1 + worker_count, "none began after the stop");
            client.expect_close();
            let status = server.status();
            assert_eq!(
                (status.calls.internal_error, status.in_flight),
                (0, 0),
                "no handler failed"
            );
        });
    }
}

#[test]
fn a_handler_that_looks_at_the_stop_flag_can_return_in_time() {
    over_each(|| {
        let place = Place::new();
        let server = place.serve(
            ServerConfig::default(),
            handler(|context, _request, response| {
                while !context.stop_requested() {
                    std::thread::yield_now();
                }
                reply(b"cut short", response)
            }),
        );
        let mut client = place.client();
        client.request(1, b"");
        eventually("the handler runs", || server.status().in_flight == 1);
        server.stop().expect("stopped");
        // What it answered is still delivered.
        assert_eq!(client.receive().expect("an answer").1, b"cut short");
        client.expect_close();
    });
}

#[test]
fn draining_answers_what_was_read_and_nothing_else() {
    let place = Place::new();
    let gate = Gate::default();
    let config =
        ServerConfig { worker_count: 2, max_in_flight_per_session: 2, ..ServerConfig::default() };
    let server = place.serve(config, holding(&gate));
    let (mut idle, mut busy) = (place.client(), place.client());
    for id in 1..=3 {
        busy.request(id, b"hold");
    }
    gate.wait_for(2);
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| server.drain());
        idle.expect_close();
        assert_absent(&place);
        gate.open();
        draining.join().expect("no panic").expect("drained");
    });
    for _ in 0..2 {
        assert_eq!(busy.receive().expect("an answer").0.status, Status::OK);
    }
    assert_eq!(busy.receive(), Err(ReceiveError::Closed), "the third was never read");
}

#[test]
fn draining_gives_up_at_its_deadline() {
    over_each(|| {
        let place = Place::new();
        let gate = Gate::default();
        let server = place.serve(ServerConfig::default(), holding(&gate));
        let client = place.client();
        client.request(1, b"hold");
        gate.wait_for(1);
        let started = Instant::now();
        assert!(matches!(server.drain(), Err(ServerError::HandlersRunning { threads: 1 })));
        let most = DRAIN_TIMEOUT + STOP_TIMEOUT + LATENESS;
        assert!(started.elapsed() >= DRAIN_TIMEOUT && started.elapsed() < most);
    });
}

#[test]
fn a_server_runs_on_its_callers_thread_until_it_is_told_to_stop() {
    let place = Place::new();
    let server = Server::bind(&place.endpoint, ServerConfig::default()).expect("bind");
    let stop = Abort::new().expect("abort");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| server.run(echo(), &stop));
        assert_eq!(place.client().call(b"ping").1, b"ping");
        stop.trigger();
        running.join().expect("no panic").expect("stopped");
    });
    assert_absent(&place);
}

#[test]
fn a_name_is_served_again_and_again() {
    const ROUNDS: u32 = if cfg!(windows) { 10 } else { 100 };
    over_each(|| {
        let place = Place::new();
        for round in 0..ROUNDS {
            let server: RunningServer = place.serve(ServerConfig::default(), echo());
            let mut client = place.client();
            assert_eq!(client.call(&round.to_ne_bytes()).1, round.to_ne_bytes());
            server.drain().expect("drained");
            client.expect_close();
        }
    });
}

/// What a thread that ran a handler has left to do when it ends.
struct Farewell(Arc<AtomicUsize>);

impl Drop for Farewell {
    fn drop(&mut self) {
        // Long enough for who does not wait to be ahead.
        const YIELDS: usize = 10_000;
        (0..YIELDS).for_each(|_| std::thread::yield_now());
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    static FAREWELL: OnceCell<Farewell> = const { OnceCell::new() };
}

#[test]
fn once_stopped_no_thread_of_the_servers_is_left() {
    over_each(|| {
        let (place, said) = (Place::new(), Arc::new(AtomicUsize::new(0)));
        let for_thread = Arc::clone(&said);
        let greet = handler(move |_context, request, response| {
            FAREWELL.with(|farewell| {
                farewell.get_or_init(|| Farewell(Arc::clone(&for_thread)));
            });
            reply(request, response)
        });
        let server = place.serve(ServerConfig::default(), greet);
        assert_eq!(place.client().call(b"hello").1, b"hello");
        server.stop().expect("stopped");
        assert_eq!(said.load(Ordering::SeqCst), 1, "the thread has ended");
    });
}
