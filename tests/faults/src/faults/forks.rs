//! Children of a fork: those that end at once, and those that live on as a copy of a driver, with all its descriptors.

use std::fs::{File, OpenOptions};
use std::process::Stdio;
use std::time::Duration;

use netipc_bench::Failure;
use netipc_bench::lines::{FORK, MISS};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::fault::{Counts, Fault, Language, Sides, Turn};
use crate::stage::{CALL_TIMEOUT, SETTLING, Stage, ends_in_words};
use crate::watch::settles;

/// Harm is done within this time of a call that was answered.
const MOMENT: Duration = Duration::from_millis(5);
/// How long calls may take where nobody is left to answer, and nobody to say so.
const TIMEOUT: Duration = Duration::from_millis(500);

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "fork",
        promise: "a forked child that ends disturbs nobody: no call of its parent fails",
        how: "a client in C forks at a random moment of calls, and the child ends by exit(); elsewhere nobody forks \
              (Go cannot, Rust only unsafely)",
        sides: of_a_client_in_c,
        counts: Counts { quick: 36, full: 1008 },
        bound: None,
        turn: fork,
    },
    Fault {
        name: "fork-server-stopped",
        promise: "a server serves on beside its copy, and where it stops, its sessions end and its name is given back \
                  at once",
        how: "a server in C forks, the child lives on with all its descriptors, and the parent is stopped",
        sides: of_a_server_in_c,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: fork_and_stop,
    },
    Fault {
        name: "fork-server-killed",
        promise: "as long as the copy lives, calls end by their timeout and the next server says that the name is \
                  taken; as soon as it has ended the next one serves",
        how: "a server in C forks, the child lives on with all its descriptors, SIGKILL to the parent, then the child \
              ends",
        sides: of_a_server_in_c,
        counts: Counts { quick: 6, full: 54 },
        bound: None,
        turn: fork_and_kill,
    },
    Fault {
        name: "fork-client",
        promise: "a client is served on beside its copy, and once both have ended the server gives back what they \
                  had; others are served all the time",
        how: "a client in C forks, the child lives on with all its descriptors, SIGKILL to the parent, then the child \
              ends; a bystander calling",
        sides: of_a_client_in_c,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: fork_client,
    },
];

fn of_a_client_in_c(sides: &Sides) -> bool {
    sides.client == Language::C
}

fn fork(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    let before = stage.recovers()?;
    stage.moment(MOMENT);
    stage.ask_client(FORK)?;
    let after = stage.recovers()?;
    if after.missed() > before.missed() {
        return Err(format!("a call of the parent failed: {}", after.reason).into());
    }
    Ok(None)
}

fn of_a_server_in_c(sides: &Sides) -> bool {
    sides.server == Language::C
}

/// A copy of a driver, which ends with this.
struct Twin {
    _dir: TempDir,
    _end: File,
}

/// Who is to end with what this gives, and the word that a driver makes one by.
fn twin() -> Result<(Twin, String), Failure> {
    let dir = netipc_bench::drivers::run_dir()?;
    let path = dir.path().join("copy");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    // Both ways, so that it need not wait for the other end.
    let end = OpenOptions::new().read(true).write(true).open(&path)?;
    Ok((Twin { _dir: dir, _end: end }, format!("{FORK} {}", path.display())))
}

/// Has the server fork.
fn fork_server(stage: &mut Stage<'_>) -> Result<Twin, Failure> {
    let (copy, word) = twin()?;
    let server = &mut stage.server.as_mut().ok_or("a server")?.driver;
    server.say(&word)?;
    server.expect_ready()?;
    Ok(copy)
}

fn fork_and_stop(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    stage.moment(MOMENT);
    let copy = fork_server(stage)?;
    stage.recovers()?;
    stage.end_server()?;
    stage.serve()?;
    let told = stage.recovers()?;
    if u128::from(told.longest_ns) >= CALL_TIMEOUT.as_nanos() {
        return Err("its session did not end: a call waited until its timeout".into());
    }
    drop(copy);
    stage.recovers()?;
    stage.no_stale_regions()?;
    Ok(None)
}

fn fork_and_kill(stage: &mut Stage<'_>) -> Turn {
    stage.timeout = TIMEOUT;
    stage.pair()?;
    stage.moment(MOMENT);
    let copy = fork_server(stage)?;
    stage.recovers()?;
    stage.signal_server(Signal::KILL)?;
    let mut killed = stage.server.take().ok_or("a server")?;
    killed.driver.wait()?;
    stage.ask_client(MISS)?;
    let mut next = stage.start_server(stage.sides.server, &[], Stdio::null())?;
    if next.expect_ready().is_ok() {
        return Err("a second server has the name, which the copy has, too".into());
    }
    ends_in_words(&mut next)?;
    drop(copy);
    // The copy ends at a time of its own.
    settles(SETTLING, || {
        let mut next = stage.start_server(stage.sides.server, &[], Stdio::null())?;
        if next.expect_ready().is_err() {
            return Ok(Some("servers that say that the name is taken".to_owned()));
        }
        next.end()?;
        Ok(None)
    })?;
    stage.pair()?;
    stage.no_stale_regions()?;
    Ok(None)
}

fn fork_client(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    stage.bystander()?;
    stage.moment(MOMENT);
    let (copy, word) = twin()?;
    stage.ask_client(&word)?;
    stage.recovers()?;
    stage.kill_client()?;
    stage.bystander_is_well()?;
    drop(copy);
    stage.server_settles(1)?;
    stage.bystander_is_well()?;
    Ok(None)
}
