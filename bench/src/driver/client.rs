//! The client's end: as many clients as asked, each in a thread, measured between "go" and the last
//! answer.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use netipc_services::{apps_lookup, cgroups_lookup, ip_to_asn};

use super::measure::{Answered, Caller, Latencies, Pace, run as run_calls, turns_per_timing};
use super::process::{clock_hz, cpu_ns, hear, rss_kib, say};
use super::{ClientOptions, Rate, calls, codec, level1, raw, typed};
use crate::Failure;
use crate::lines::{self, Line, Measured};
use crate::work::Scenario;

/// Held by the client that makes its session.
static COMING: Mutex<()> = Mutex::new(());

/// Calls, and says how that went.
pub(super) fn run(options: &ClientOptions) -> Result<(), Failure> {
    let options = options.clone();
    match options.options.scenario {
        Scenario::Idle => idle(&options),
        Scenario::PingLevel1 => measure(&options, level1::Ping::new),
        Scenario::PingLevel2 => ping(&options),
        Scenario::Reverse => measure(&options, |options, _| calls::Reverse::new(options)),
        Scenario::ReverseBatch => measure(&options, calls::ReverseBatches::new),
        Scenario::Batch => measure(&options, calls::Batches::new),
        Scenario::Pipeline => measure(&options, level1::Pipelined::<false>::new),
        Scenario::PipelineBatch => measure(&options, level1::Pipelined::<true>::new),
        Scenario::Snapshot | Scenario::SnapshotChanging => {
            measure(&options, |options, _| typed::Refresh::new(options))
        }
        Scenario::Fetch => measure(&options, |options, _| typed::Fetch::new(options)),
        Scenario::Cache => measure(&options, |options, _| typed::CacheReads::<false>::new(options)),
        Scenario::CacheLoad => {
            measure(&options, |options, _| typed::CacheReads::<true>::new(options))
        }
        Scenario::CgroupsLookup => {
            measure(&options, |options, _| typed::Lookups::<cgroups_lookup::Service>::new(options))
        }
        Scenario::AppsLookup => {
            measure(&options, |options, _| typed::Lookups::<apps_lookup::Service>::new(options))
        }
        Scenario::AsnLookup => {
            measure(&options, |options, _| typed::Lookups::<ip_to_asn::Service>::new(options))
        }
        Scenario::CodecCgroupsLookup => {
            measure(&options, |options, _| codec::Codec::<cgroups_lookup::Service>::new(options))
        }
        Scenario::CodecAppsLookup => {
            measure(&options, |options, _| codec::Codec::<apps_lookup::Service>::new(options))
        }
        Scenario::RawLine => raw_limit::<raw::Lines<false>>(&options),
        Scenario::RawLineSplit => raw_limit::<raw::Lines<true>>(&options),
        Scenario::RawSeqpacket => raw_limit::<raw::Seqpacket>(&options),
        Scenario::RawFutex => raw_limit::<raw::Futex>(&options),
    }
}

fn ping(options: &ClientOptions) -> Result<(), Failure> {
    let agreed_bytes = calls::Ping::new(options, 0)?.agreed_bytes();
    measure_with(options, agreed_bytes, calls::Ping::new)
}

fn raw_limit<W: raw::Wire>(options: &ClientOptions) -> Result<(), Failure> {
    if options.clients != 1 {
        return Err("a raw limit has one client".into());
    }
    measure(options, |options, _| raw::RawPing::<W>::new(&options.options))
}

fn measure<C: Caller>(
    options: &ClientOptions,
    make: impl Fn(&ClientOptions, usize) -> Result<C, Failure> + Sync,
) -> Result<(), Failure> {
    measure_with(options, 0, make)
}

/// What one client came to.
struct Share {
    answered: Answered,
    latencies: Latencies,
    took: Duration,
}

fn measure_with<C: Caller>(
    options: &ClientOptions,
    agreed_bytes: u64,
    make: impl Fn(&ClientOptions, usize) -> Result<C, Failure> + Sync,
) -> Result<(), Failure> {
    let clock_hz = if options.options.scenario.is_in_process() { clock_hz() } else { 0.0 };
    let (say_warm, hear_warm) = channel();
    std::thread::scope(|scope| {
        let (mut threads, mut goes) = (Vec::new(), Vec::new());
        for place in 0..options.clients {
            let (say_go, hear_go) = channel();
            let (make, say_warm) = (&make, say_warm.clone());
            threads.push(scope.spawn(move || one(options, place, make, &say_warm, &hear_go)));
            goes.push(say_go);
        }
        if (0..options.clients).all(|_| hear_warm.recv() == Ok(true)) {
            wait_for_go()?;
        } else {
            // Those that wait need not any more; the one that failed says why.
            goes.clear();
        }
        let cpu_before_ns = cpu_ns();
        for say_go in goes {
            say_go.send(()).map_err(|_| "a client left")?;
        }
        let mut shares = Vec::new();
        for thread in threads {
            shares.extend(thread.join().map_err(|_| "a client panicked")??);
        }
        let mut measured = merged(shares)?;
        measured.cpu_ns = cpu_ns() - cpu_before_ns;
        measured.agreed_bytes = agreed_bytes;
        measured.clock_hz = clock_hz;
        finish(measured)
    })
}

fn wait_for_go() -> Result<(), Failure> {
    say(&Line::Ready)?;
    match hear()?.as_deref() {
        Some(lines::GO) => Ok(()),
        _ => Err("the runner left".into()),
    }
}

/// Says what was measured, and stays until the runner has looked at what it wants to.
fn finish(measured: Measured) -> Result<(), Failure> {
    say(&Line::Measured(Box::new(measured)))?;
    hear().map(drop)
}

/// One client: warms up, says so, waits for "go", measures. Nothing where another one failed.
fn one<C: Caller>(
    options: &ClientOptions,
    place: usize,
    make: &(impl Fn(&ClientOptions, usize) -> Result<C, Failure> + Sync),
    say_warm: &Sender<bool>,
    hear_go: &Receiver<()>,
) -> Result<Option<Share>, Failure> {
    let warm = warmed(options, place, make);
    say_warm.send(warm.is_ok())?;
    let (mut caller, pace, turns_per_timing) = warm?;
    let mut latencies = Latencies::new(C::TICKS_PER_NS)?;
    if hear_go.recv().is_err() {
        return Ok(None);
    }
    let before = caller.answered();
    let time = Duration::from_secs_f64(options.seconds);
    let took = run_calls(&mut caller, pace, time, turns_per_timing, &mut latencies)?;
    let after = caller.answered();
    let answered = Answered {
        calls: after.calls - before.calls,
        requests: after.requests - before.requests,
        items: after.items - before.items,
    };
    Ok(Some(Share { answered, latencies, took }))
}

/// A client that has called for a while, its pace, and which of its turns to time.
fn warmed<C: Caller>(
    options: &ClientOptions,
    place: usize,
    make: &impl Fn(&ClientOptions, usize) -> Result<C, Failure>,
) -> Result<(C, Pace, u64), Failure> {
    // One after the other: a handshake may take 5 s, and all at once would share them.
    let coming = COMING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut caller = make(options, place)?;
    drop(coming);
    let rate = match options.rate {
        Rate::Max => Rate::Max,
        Rate::PerSecond(rate) => Rate::PerSecond(rate / options.clients as f64),
    };
    let pace = Pace { rate, place: (place, options.clients) };
    let before = caller.answered().calls;
    let time = Duration::from_secs_f64(options.warmup_seconds);
    let mut ignored = Latencies::new(C::TICKS_PER_NS)?;
    let took = run_calls(&mut caller, pace, time, 1, &mut ignored)?;
    let turns = (caller.answered().calls - before) / u64::from(caller.calls_per_turn());
    Ok((caller, pace, turns_per_timing(turns, took)))
}

/// Sessions that idle: makes them after "go", and keeps them until the runner has looked.
fn idle(options: &ClientOptions) -> Result<(), Failure> {
    // The first brings what a server has once, for any number of sessions.
    let mut first = calls::Idle::new(options);
    first.turn()?;
    wait_for_go()?;
    let (start, cpu_before_ns) = (Instant::now(), cpu_ns());
    let mut sessions = calls::Idle::new(options);
    let mut latencies = Latencies::new(calls::Idle::TICKS_PER_NS)?;
    while sessions.sessions() < options.clients {
        let before = Instant::now();
        sessions.turn()?;
        latencies.record(before.elapsed(), 1);
    }
    let share = Share { answered: sessions.answered(), latencies, took: start.elapsed() };
    let mut measured = merged(vec![share])?;
    measured.cpu_ns = cpu_ns() - cpu_before_ns;
    measured.agreed_bytes = sessions.agreed_bytes();
    finish(measured)
}

fn merged(shares: Vec<Share>) -> Result<Measured, Failure> {
    let mut shares = shares.into_iter();
    let Some(Share { mut answered, mut latencies, mut took }) = shares.next() else {
        return Err("no client".into());
    };
    for share in shares {
        latencies.add(&share.latencies)?;
        answered.calls += share.answered.calls;
        answered.requests += share.answered.requests;
        answered.items += share.answered.items;
        took = took.max(share.took);
    }
    Ok(Measured {
        calls: answered.calls,
        requests: answered.requests,
        items: answered.items,
        seconds: took.as_secs_f64(),
        p50_ns: latencies.percentile_ns(50.0),
        p95_ns: latencies.percentile_ns(95.0),
        p99_ns: latencies.percentile_ns(99.0),
        p999_ns: latencies.percentile_ns(99.9),
        max_ns: latencies.max_ns(),
        timed: latencies.timed(),
        cpu_ns: 0,
        rss_kib: rss_kib(),
        agreed_bytes: 0,
        clock_hz: 0.0,
    })
}
