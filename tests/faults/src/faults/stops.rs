//! Processes that are stopped for longer than calls may take, and go on.

use std::time::{Duration, Instant};

use netipc_bench::lines::{CLOSE, GO, HOLD, MISS, TELL};
use rustix::process::Signal;

use crate::clock;
use crate::fault::{Bound, Counts, Fault, Language, Sides, Turn, anyone};
use crate::stage::Stage;

/// How long a call may take here.
const TIMEOUT: Duration = Duration::from_millis(200);
/// How much later a call may return.
const GRACE: Duration = Duration::from_millis(50);
/// How long a client is stopped: longer than a call may take.
const STOPPED: Duration = Duration::from_millis(300);
/// Harm is done within this time of a call that was answered.
const MOMENT: Duration = Duration::from_millis(5);

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "stop-server",
        promise: "a call returns by its timeout of 200 ms, and 50 ms; once the server goes on, calls are \
                  answered",
        how: "SIGSTOP to the server at a random moment of calls, until a call has failed, then SIGCONT",
        sides: anyone,
        counts: Counts { quick: 18, full: 108 },
        bound: Some(Bound { what: "the longest call", within: TIMEOUT.saturating_add(GRACE) }),
        turn: stop_server,
    },
    Fault {
        name: "stop-server-in-handshakes",
        promise: "connecting and the handshake end by the timeout of 200 ms, and 50 ms; once the server goes on, \
                  calls are answered",
        how: "the same, and the client closes its session first: it connects to a server that is stopped",
        sides: anyone,
        counts: Counts { quick: 18, full: 108 },
        bound: Some(Bound { what: "the longest refresh", within: TIMEOUT.saturating_add(GRACE) }),
        turn: stop_server_in_handshakes,
    },
    Fault {
        name: "stop-client",
        promise: "the server serves others all the time, and the client once it goes on",
        how: "SIGSTOP to the client at a random moment of calls for 300 ms, its calls may take 200 ms, then \
              SIGCONT; a bystander calling",
        sides: anyone,
        counts: Counts { quick: 18, full: 108 },
        bound: None,
        turn: stop_client,
    },
    Fault {
        name: "clock-jumps",
        promise: "calls return by their timeout of 200 ms, and 50 ms, and are answered otherwise: deadlines are of \
                  the monotonic clock",
        how: "the wall clock of both processes set a day on or back at every look (LD_PRELOAD: C and Rust; in Go no \
              library is asked, and `tools/check-laws` sees that nobody looks), while the server is stopped as above",
        sides: not_in_go,
        counts: Counts { quick: 8, full: 104 },
        bound: Some(Bound { what: "the longest call", within: TIMEOUT.saturating_add(GRACE) }),
        turn: clock_jumps,
    },
];

fn not_in_go(sides: &Sides) -> bool {
    sides.client != Language::Go && sides.server != Language::Go
}

fn clock_jumps(stage: &mut Stage<'_>) -> Turn {
    let preload = format!("LD_PRELOAD={}", stage.drivers.jumping_clock.display());
    stage.server_wrapper = vec!["env".to_owned(), preload];
    stage.client_wrapper.clone_from(&stage.server_wrapper);
    stage.timeout = TIMEOUT;
    stage.pair()?;
    clock::jumps_for(stage.drivers, stage.server.as_ref().ok_or("a server")?.driver.id())?;
    clock::jumps_for(stage.drivers, stage.client.as_mut().ok_or("a client")?.driver().id())?;
    stop_server(stage)
}

fn stop_server(stage: &mut Stage<'_>) -> Turn {
    stage.timeout = TIMEOUT;
    stage.pair()?;
    stage.moment(MOMENT);
    stage.ask_client(TELL)?;
    stage.signal_server(Signal::STOP)?;
    let told = stage.ask_client(MISS)?;
    stage.signal_server(Signal::CONT)?;
    stage.recovers()?;
    Ok(Some(Duration::from_nanos(told.longest_ns)))
}

fn stop_server_in_handshakes(stage: &mut Stage<'_>) -> Turn {
    stage.timeout = TIMEOUT;
    stage.pair()?;
    stage.ask_client(HOLD)?;
    stage.signal_server(Signal::STOP)?;
    // It goes on by making a session.
    stage.ask_client(CLOSE)?;
    stage.ask_client(GO)?;
    let told = stage.ask_client(MISS)?;
    stage.signal_server(Signal::CONT)?;
    stage.recovers()?;
    Ok(Some(Duration::from_nanos(told.longest_ns)))
}

fn stop_client(stage: &mut Stage<'_>) -> Turn {
    stage.timeout = TIMEOUT;
    stage.pair()?;
    stage.bystander()?;
    stage.moment(MOMENT);
    stage.signal_client(Signal::STOP)?;
    let stopped = Instant::now();
    while stopped.elapsed() < STOPPED {
        stage.bystander_is_well()?;
    }
    stage.signal_client(Signal::CONT)?;
    stage.recovers()?;
    Ok(None)
}
