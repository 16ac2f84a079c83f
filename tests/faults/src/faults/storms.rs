//! Ends that come and go all the time: servers, sessions, aborts.

use std::time::Duration;

use netipc_bench::lines::{ABORT, CLOSE};
use rustix::process::Signal;

use crate::fault::{Bound, Counts, Fault, Turn, anyone};
use crate::stage::{PATIENCE, Stage};

/// Harm is done within this time of a call that was answered.
const MOMENT: Duration = Duration::from_millis(5);
/// A server is ended at a random moment of this time, again and again.
const LIFE: Duration = Duration::from_millis(300);
/// Within which an abort returns the call.
const ABORTED: Duration = Duration::from_millis(50);

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "start-stop-storm",
        promise: "a server that is stopped gives its name back at once; calls under way fail or recover, and the \
                  next server answers",
        how: "a server stopped at a random moment of calls and started again, at once",
        sides: anyone,
        counts: Counts { quick: 36, full: 1008 },
        bound: None,
        turn: start_and_stop,
    },
    Fault {
        name: "restarts-under-load",
        promise: "clients of two languages go on with each successor, and no answer is wrong",
        how: "a server stopped every few hundred milliseconds while two clients call, and one of the client's \
              language started, then one of its own, in turn",
        sides: anyone,
        counts: Counts { quick: 18, full: 108 },
        bound: None,
        turn: restart,
    },
    Fault {
        name: "abort",
        promise: "an aborted call returns within 50 ms, and calls are answered once the abort is cleared",
        how: "an abort from another thread at a random moment of calls; of a call that waits for a stopped server; of \
              a handshake with one; in turn",
        sides: anyone,
        counts: Counts { quick: 36, full: 1008 },
        bound: Some(Bound { what: "until the call returned", within: ABORTED }),
        turn: abort,
    },
    Fault {
        name: "close-and-come-back",
        promise: "each session's belongings are given back, and the next session is answered",
        how: "a client closes its session between two calls, and makes another, again and again",
        sides: anyone,
        counts: Counts { quick: 72, full: 1008 },
        bound: None,
        turn: close,
    },
    Fault {
        name: "leave-in-a-call",
        promise: "the server gives back what the session had, and serves others as ever",
        how: "a client's process ends well in the midst of a call, a bystander calling",
        sides: anyone,
        counts: Counts { quick: 36, full: 1008 },
        bound: None,
        turn: leave,
    },
];

fn start_and_stop(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    stage.moment(MOMENT);
    stage.end_server()?;
    if stage.path().join(format!("{}.sock", crate::stage::SERVICE)).exists() {
        return Err("the socket is still there".into());
    }
    stage.pair()?;
    Ok(None)
}

fn restart(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    stage.bystander()?;
    stage.moment(LIFE);
    stage.end_server()?;
    let language = stage.next_of(&[stage.sides.client, stage.sides.server]);
    stage.server = Some(stage.new_server(language)?);
    stage.recovers()?;
    // It misses calls, as everybody does; that it is answered is all.
    stage.bystander()?;
    Ok(None)
}

fn abort(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    let (waits, connects) = stage.next_of(&[(true, false), (true, true), (false, false)]);
    if waits {
        stage.signal_server(Signal::STOP)?;
    }
    if connects {
        stage.ask_client(ABORT)?;
    }
    stage.moment(MOMENT);
    let told = stage.ask_client(ABORT);
    if waits {
        stage.signal_server(Signal::CONT)?;
    }
    let told = told?;
    stage.recovers()?;
    Ok(Some(Duration::from_nanos(told.took_ns)))
}

fn close(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    stage.ask_client(CLOSE)?;
    stage.recovers()?;
    stage.server_settles(1)?;
    Ok(None)
}

fn leave(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    stage.bystander()?;
    stage.moment(MOMENT);
    let mut client = stage.client.take().ok_or("a client")?;
    stage.right += client.say(netipc_bench::lines::TELL, PATIENCE)?.1;
    client.driver().end()?;
    stage.server_settles(1)?;
    stage.bystander_is_well()?;
    Ok(None)
}
