//! What a message through shared memory costs of the system, which no one may raise unseen.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use netipc_bench::Failure;
use netipc_bench::drivers::run_dir;
use netipc_bench::lines::{GO, HOLD};
use netipc_sys::raw::own_cpus;

use crate::fault::{Counts, Fault, Language, Turn, shared};
use crate::stage::{PATIENCE, Stage};
use crate::watch::settles;

/// Messages each way in a turn, at least.
const MESSAGES: u64 = 1_000;
/// A sleep may find that it is for the message before, which was read before its wake-up call came; a wait that was
/// added to each message would be told by what comes with a second sleep, the look whether the peer is still there.
const SLEEPS_A_MESSAGE: u64 = 2;
/// Of any other call there is one for so many messages at most: growth of a heap, another thread.
const MESSAGES_A_CALL: u64 = 20;
/// And one in so much time, for what comes by time: looks whether the peer is still there, which no sleep is longer than,
/// and what Go's scheduler does to those who are long at work.
const TIME_A_CALL: Duration = Duration::from_millis(10);
/// What Go's scheduler does as it finds its threads occupied, for a good part of messages on a busy machine. A hand-over
/// of each message to another goroutine, which would come as these, is not seen here.
const OF_GO: &[&str] = &["epoll_pwait", PRIVATE_FUTEX, "nanosleep"];
/// Of the threads of one process.
const PRIVATE_FUTEX: &str = "futex private";

pub(super) const FAULTS: &[Fault] = &[Fault {
    name: "calls-of-the-system",
    promise: "each message costs the contract's wake-up call, and a sleep where there is nothing to read; no other \
              call comes with messages",
    how: "no harm at all: the system calls of both ends counted by strace, of 1,000 messages each way at least; on \
          all CPUs and on one, in turn (of Go, without those by which its scheduler has threads wait and wakes them)",
    sides: shared,
    counts: Counts { quick: 18, full: 108 },
    bound: None,
    turn: calls_of_the_system,
}];

fn calls_of_the_system(stage: &mut Stage<'_>) -> Turn {
    let logs = run_dir()?;
    let on_one_cpu = stage.turn_number().is_multiple_of(2);
    let (of_server, of_client) = (logs.path().join("server"), logs.path().join("client"));
    stage.server_wrapper = counted(&of_server, on_one_cpu)?;
    let server = stage.new_server(stage.sides.server);
    stage.server_wrapper.clear();
    stage.server = Some(server?);
    stage.client_wrapper = counted(&of_client, on_one_cpu)?;
    let client = stage.new_client(stage.sides.client, &[]);
    stage.client_wrapper.clear();
    stage.client = Some(client?);
    let ends = [(of_server, stage.sides.server), (of_client, stage.sides.client)];

    stage.recovers()?;
    let before = all_right(stage, HOLD)?;
    let mut seen = Vec::new();
    for (log, _) in &ends {
        seen.push(calls_of(log, before)?);
    }
    let start = Instant::now();
    stage.ask_client(GO)?;
    // By the log, for to ask the client costs it calls of its own.
    at_least(&ends[1].0, before + MESSAGES)?;
    let right = all_right(stage, HOLD)?;
    for ((log, language), before_it) in ends.iter().zip(seen) {
        calls_of(log, right)?.judge(&before_it, start.elapsed(), *language)?;
    }
    stage.ask_client(GO)?;
    stage.end_both()?;
    Ok(None)
}

/// How many calls were answered so far, rightly and each at the first attempt: others cost more messages than they are.
fn all_right(stage: &mut Stage<'_>, word: &str) -> Result<u64, Failure> {
    let told = stage.ask_client(word)?;
    match told.missed() {
        0 => Ok(told.right),
        _ => Err(format!("a call was not answered: {}", told.reason).into()),
    }
}

/// Runs a driver with all its calls written to this file, each when it is made.
fn counted(log: &Path, on_one_cpu: bool) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    if on_one_cpu {
        let cpu = own_cpus()?.first().copied().ok_or("a CPU")?;
        words.extend(["taskset".to_owned(), "--cpu-list".to_owned(), cpu.to_string()]);
    }
    words.extend(["strace", "-f", "-qq", "-o"].map(str::to_owned));
    words.extend([log.display().to_string(), "--".to_owned()]);
    Ok(words)
}

/// System calls of a process, from its beginning.
#[derive(Debug, Default)]
struct Calls {
    /// Of the futexes that two processes share.
    wake_ups: u64,
    sleeps: u64,
    others: BTreeMap<String, u64>,
}

/// The calls in a log, once there are wake-up calls for so many messages: a peer that looks has the message before.
fn at_least(log: &Path, messages: u64) -> Result<Calls, Failure> {
    let mut calls = Calls::default();
    settles(PATIENCE, || {
        calls = Calls::read(&std::fs::read_to_string(log)?);
        let missing = messages.saturating_sub(calls.wake_ups);
        Ok((missing > 0)
            .then(|| format!("{missing} messages of {messages} without a wake-up call")))
    })?;
    Ok(calls)
}

/// The same of so many messages and no more.
fn calls_of(log: &Path, messages: u64) -> Result<Calls, Failure> {
    let calls = at_least(log, messages)?;
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
                "futex" if arguments.contains("_PRIVATE") => calls.other(PRIVATE_FUTEX),
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
    fn judge(&self, before: &Self, took: Duration, language: Language) -> Result<(), Failure> {
        let messages = self.wake_ups - before.wake_ups;
        let sleeps = self.sleeps - before.sleeps;
        if sleeps > messages * SLEEPS_A_MESSAGE {
            return Err(format!("{language} slept {sleeps} times in {messages} messages").into());
        }
        let by_time = took.as_millis().div_ceil(TIME_A_CALL.as_millis());
        let most = messages / MESSAGES_A_CALL + u64::try_from(by_time)?;
        for (name, count) in &self.others {
            let count = count - before.others.get(name).unwrap_or(&0);
            let is_of_go = language == Language::Go && OF_GO.contains(&name.as_str());
            if count > most && !is_of_go {
                return Err(format!(
                    "{language} made {count} calls of {name} in {messages} messages and {took:?}, {most} at most"
                )
                .into());
            }
        }
        Ok(())
    }
}
