//! What a call through shared memory costs of the system, which no one may raise unseen.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use netipc_bench::Failure;
use netipc_bench::drivers::run_dir;
use netipc_bench::lines::{GO, HOLD, TELL};

use crate::fault::{Counts, Fault, Language, Turn, shared};
use crate::stage::{PATIENCE, Stage};
use crate::watch::settles;

/// Messages each way in a turn, at least.
const MESSAGES: u64 = 1_000;
/// The pause before the first look at how many there are by now, and twice as much before each next one: a look costs
/// the client some calls of its own.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A sleep may find that it is for the message before, which was read before its wake-up call came.
const SLEEPS_A_MESSAGE: u64 = 2;
/// Of every other call there is less than one for so many messages: looks whether the peer is still there, what the
/// driver does to hear and tell. One that is made for each message comes as often as those.
const MESSAGES_A_CALL: u64 = 2;
/// What Go's scheduler does by itself, however many goroutines sleep.
const OF_GO: &[&str] = &[
    "futex private",
    "epoll_pwait",
    "getpid",
    "madvise",
    "nanosleep",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_yield",
    "tgkill",
];

pub(super) const FAULTS: &[Fault] = &[Fault {
    name: "calls-of-the-system",
    promise: "each message costs the contract's wake-up call, and a sleep where there is nothing to read; no other \
              call comes with each of them",
    how: "no harm at all: the system calls of both ends counted by strace, of 1,000 messages each way at least (of Go, \
          without those of its scheduler)",
    sides: shared,
    counts: Counts { quick: 9, full: 108 },
    bound: None,
    turn: calls_of_the_system,
}];

fn calls_of_the_system(stage: &mut Stage<'_>) -> Turn {
    let logs = run_dir()?;
    let (of_server, of_client) = (logs.path().join("server"), logs.path().join("client"));
    stage.server_wrapper = counted(&of_server);
    let server = stage.new_server(stage.sides.server);
    stage.server_wrapper.clear();
    stage.server = Some(server?);
    stage.client_wrapper = counted(&of_client);
    let client = stage.new_client(stage.sides.client, &[]);
    stage.client_wrapper.clear();
    stage.client = Some(client?);
    let ends = [(of_server, stage.sides.server), (of_client, stage.sides.client)];

    stage.recovers()?;
    let before = stage.ask_client(HOLD)?.right;
    let mut seen = Vec::new();
    for (log, _) in &ends {
        seen.push(calls_of(log, before)?);
    }
    stage.ask_client(GO)?;
    let mut pause = FIRST_PAUSE;
    while stage.ask_client(TELL)?.right < before + MESSAGES {
        std::thread::sleep(pause);
        pause *= 2;
    }
    let told = stage.ask_client(HOLD)?;
    if told.missed() > 0 {
        return Err(format!("a call was not answered: {}", told.reason).into());
    }
    for ((log, language), before_it) in ends.iter().zip(seen) {
        let calls = calls_of(log, told.right)?;
        calls.judge(&before_it, *language)?;
    }
    stage.ask_client(GO)?;
    stage.end_both()?;
    Ok(None)
}

/// Runs a driver with all its calls written to this file, each when it is made; beside it, so that the process that was
/// started is the driver.
fn counted(log: &Path) -> Vec<String> {
    let mut words: Vec<String> =
        ["strace", "--daemonize", "-f", "-qq", "-o"].map(str::to_owned).to_vec();
    words.extend([log.display().to_string(), "--".to_owned()]);
    words
}

/// System calls of a process, from its beginning.
#[derive(Debug, Default)]
struct Calls {
    /// Of the futexes that two processes share.
    wake_ups: u64,
    sleeps: u64,
    others: BTreeMap<String, u64>,
}

/// The calls in a log, once the one is there that comes with the last message: a peer that looks has the message
/// before.
fn calls_of(log: &Path, messages: u64) -> Result<Calls, Failure> {
    let mut calls = Calls::default();
    settles(PATIENCE, || {
        calls = Calls::read(&std::fs::read_to_string(log)?);
        let missing = messages.saturating_sub(calls.wake_ups);
        Ok((missing > 0)
            .then(|| format!("{missing} messages of {messages} without a wake-up call")))
    })?;
    if calls.wake_ups > messages {
        return Err(format!("{} wake-up calls for {messages} messages", calls.wake_ups).into());
    }
    Ok(calls)
}

impl Calls {
    /// Of strace's lines: a thread's id, and a call, a signal, or the end of a call that others came between.
    fn read(log: &str) -> Self {
        let mut calls = Self::default();
        for line in log.lines() {
            let Some((_, line)) = line.split_once(' ') else { continue };
            let Some((name, arguments)) = line.trim_start().split_once('(') else { continue };
            if name.starts_with(['<', '-', '+']) {
                continue;
            }
            match name {
                "futex" if arguments.contains("_PRIVATE") => calls.other("futex private"),
                "futex" if arguments.contains("FUTEX_WAKE") => calls.wake_ups += 1,
                "futex" | "futex_waitv" => calls.sleeps += 1,
                _ => calls.other(name),
            }
        }
        calls
    }

    fn other(&mut self, name: &str) {
        *self.others.entry(name.to_owned()).or_default() += 1;
    }

    /// That since then there were no more than a session's messages cost, one for each wake-up call.
    fn judge(&self, before: &Self, language: Language) -> Result<(), Failure> {
        let messages = self.wake_ups - before.wake_ups;
        let sleeps = self.sleeps - before.sleeps;
        if sleeps > messages * SLEEPS_A_MESSAGE {
            return Err(format!("{language} slept {sleeps} times in {messages} messages").into());
        }
        for (name, count) in &self.others {
            let count = count - before.others.get(name).unwrap_or(&0);
            let is_of_go = language == Language::Go && OF_GO.contains(&name.as_str());
            if count * MESSAGES_A_CALL > messages && !is_of_go {
                return Err(format!(
                    "{language} made {count} calls of {name} in {messages} messages"
                )
                .into());
            }
        }
        Ok(())
    }
}
