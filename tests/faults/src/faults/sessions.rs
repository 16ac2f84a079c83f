//! What is promised of sessions whoever they are between: they cost nothing while nobody asks, nothing of
//! theirs goes to programs that are started, and there are no more of them than may be.

use std::path::PathBuf;
use std::time::Duration;

use netipc_bench::Failure;
use netipc_bench::lines::{GO, HOLD, NEXT, TELL};

use crate::fault::{Counts, Fault, Language, Turn, anyone};
use crate::stage::{PATIENCE, Stage};
use crate::watch::settles;

/// For so long nobody is to wake up.
const IDLE: Duration = Duration::from_secs(3);
/// In the flags of a descriptor, as the kernel shows them.
const CLOSE_ON_EXEC: u32 = 0o200_0000;
/// Descriptors that every program is given.
const STANDARD: u32 = 2;
/// Sessions that a driver's server has at most, where one client was announced.
const SESSIONS: usize = 9;
/// What a client is told that comes then.
const FULL: &str = "BUSY";

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "idle",
        promise: "no thread of either end wakes up",
        how: "nobody asks anything for three seconds, sessions open; once more, for 30 s in all, where something was \
              still coming to rest",
        sides: anyone,
        counts: Counts { quick: 18, full: 108 },
        bound: None,
        turn: idle,
    },
    Fault {
        name: "close-on-exec",
        promise: "no descriptor of either end goes to a program that it starts",
        how: "the flags of all descriptors looked at while calls are under way",
        sides: anyone,
        counts: Counts { quick: 18, full: 1008 },
        bound: None,
        turn: close_on_exec,
    },
    Fault {
        name: "full-server",
        promise: "one more client is told BUSY and served as soon as there is room; those that have sessions notice \
                  nothing",
        how: "clients of all languages take all sessions of a server, one more comes, one of them leaves",
        sides: anyone,
        counts: Counts { quick: 9, full: 108 },
        bound: None,
        turn: full_server,
    },
];

fn idle(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    stage.ask_client(HOLD)?;
    let server = stage.server.as_ref().ok_or("a server")?.driver.id();
    let client = stage.client.as_mut().ok_or("a client")?.driver().id();
    // What was begun comes to its end first: Go's scheduler puts its threads to rest one by one.
    settles(PATIENCE, || {
        let before = wake_ups(server)? + wake_ups(client)?;
        std::thread::sleep(IDLE);
        let woken = wake_ups(server)? + wake_ups(client)? - before;
        Ok((woken > 0).then(|| format!("{woken} wake-ups in {IDLE:?}")))
    })?;
    stage.ask_client(GO)?;
    stage.recovers()?;
    Ok(None)
}

/// How often threads of a process have gone to sleep so far: each has woken up before it did again.
fn wake_ups(pid: u32) -> Result<u64, Failure> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // It may have ended meanwhile.
        let Ok(status) = std::fs::read_to_string(thread?.path().join("status")) else { continue };
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += line.ok_or("the kernel counts no switches")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}

fn close_on_exec(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    let server = stage.server.as_ref().ok_or("a server")?.driver.id();
    let client = stage.client.as_mut().ok_or("a client")?.driver().id();
    for pid in [server, client] {
        for (descriptor, what) in inheritable(pid)? {
            // Unless it came from whoever started the runner.
            let ours = std::fs::read_link(format!("/proc/self/fd/{descriptor}"));
            if ours.ok().as_ref() != Some(&what) {
                return Err(
                    format!("descriptor {descriptor}, {}, is inherited", what.display()).into()
                );
            }
        }
    }
    stage.recovers()?;
    Ok(None)
}

/// Descriptors that programs are given which the process starts, beside the standard ones.
fn inheritable(pid: u32) -> Result<Vec<(u32, PathBuf)>, Failure> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let entry = entry?;
        let descriptor: u32 = entry.file_name().to_string_lossy().parse()?;
        // It may have been closed meanwhile.
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.ok_or("no flags")?.trim(), 8)?;
        let Ok(what) = std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")) else { continue };
        if descriptor > STANDARD && flags & CLOSE_ON_EXEC == 0 {
            all.push((descriptor, what));
        }
    }
    Ok(all)
}

fn full_server(stage: &mut Stage<'_>) -> Turn {
    stage.announced = 1;
    stage.pair()?;
    let mut others = Vec::new();
    for language in Language::ALL.iter().cycle().take(SESSIONS - 1) {
        let mut client = stage.new_client(*language, &["--rest-us", "1000"])?;
        stage.right += client.say(NEXT, PATIENCE)?.1;
        others.push(client);
    }
    let before = stage.recovers()?;
    let mut newcomer = stage.new_client(stage.sides.client, &[])?;
    settles(PATIENCE, || {
        let (told, _) = newcomer.say(TELL, PATIENCE)?;
        if told.right > 0 {
            return Err("it has more sessions than it may have".into());
        }
        if told.refused > 0 && !told.reason.contains(FULL) {
            return Err(format!("it is not told that the server is full: {}", told.reason).into());
        }
        Ok((told.refused == 0).then(|| "no attempts of one client more".to_owned()))
    })?;
    let after = stage.recovers()?;
    if after.missed() > before.missed() {
        return Err(format!("who had a session was not served: {}", after.reason).into());
    }
    let mut leaver = others.pop().ok_or("another client")?;
    leaver.driver().end()?;
    stage.right += newcomer.say(NEXT, PATIENCE)?.1;
    for client in others.iter_mut().chain([&mut newcomer]) {
        client.driver().end()?;
    }
    stage.server_settles(1)?;
    Ok(None)
}
