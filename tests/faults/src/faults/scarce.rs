//! What the system refuses: descriptors, memory that is mapped, room that is reserved.

use std::time::Duration;

use netipc_bench::Failure;
use netipc_bench::lines::{CLOSE, GO, HOLD, NEXT, TELL};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

use super::nth;
use crate::ending::{Complaints, ended_for_a_reason};
use crate::fault::{Counts, Fault, Over, Turn, anyone, each_client, each_server, shared};
use crate::refusals::Learned;
use crate::stage::{PATIENCE, SERVICE, SETTLING, Stage, signal_driver};
use crate::watch::{Belongings, regions, settles};

/// How many descriptors more than it has a process is left, in turn.
const SPARE: [u64; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// How many descriptors a server has from its start, in turn: three are its standard ones.
const FEW: [u64; 20] = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22];
/// How long calls and connecting may take where a server takes nobody.
const TIMEOUT: Duration = Duration::from_secs(1);
/// For so long a server has a connection that it cannot take.
const FULL: Duration = Duration::from_millis(200);
/// Numbers of sessions whose regions are refused. In Go a session that has none takes the next number.
const REFUSED_REGIONS: u64 = 6;
/// Sessions that go without: more than what is not counted as more in Go, were each to keep something.
const LEAST_WITHOUT: u64 = REFUSED_REGIONS / 2;
/// How a driver ends that strace was not let in to watch, and how often that may be.
const KEPT_OUT: &str = "SIGALRM";
const TRIES_TO_WATCH: u32 = 5;
/// CPU time that it may use meanwhile, in hundredths: it waits, and does not look again and again.
const MOST_CPU_TICKS: u64 = 5;
/// What is refused of a region, and how.
const REGION_CALLS: [&str; 5] = [
    "mmap:error=ENOMEM",
    "fallocate:error=ENOMEM",
    "fallocate:error=ENOSPC",
    "?open,openat:error=EMFILE",
    "?open,openat:error=ENFILE",
];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "no-descriptors-for-server",
        promise: "sessions that live are served, connections that cannot be taken cost no CPU, and are taken once \
                  there are descriptors",
        how: "the server's RLIMIT_NOFILE lowered to 0 to 7 above what it has, in turn, and a client comes",
        sides: anyone,
        counts: Counts { quick: 18, full: 162 },
        bound: None,
        turn: no_descriptors_for_server,
    },
    Fault {
        name: "no-descriptors-for-client",
        promise: "a refresh fails with words or gives a session, and gives one once there are descriptors",
        how: "the client's RLIMIT_NOFILE lowered to 0 to 7 above what it has, in turn, and its session closed",
        sides: anyone,
        counts: Counts { quick: 36, full: 1008 },
        bound: None,
        turn: no_descriptors_for_client,
    },
    Fault {
        name: "no-descriptors-to-start",
        promise: "a server serves, or says why not and ends; the next one serves, and nothing is left",
        how: "a server started with an RLIMIT_NOFILE of 3 to 22, in turn (with 3 a loader can open no library: it ends \
              the process)",
        sides: each_server,
        counts: Counts { quick: 60, full: 1020 },
        bound: None,
        turn: no_descriptors_to_start,
    },
    Fault {
        name: "server-nth-call-fails",
        promise: "a server serves, or says why not and ends; who was to be served is, after it or by the next one; it \
                  keeps no more than without the refusal",
        how: "each call of the server that makes a descriptor refused with EMFILE in turn, from its start to its \
              second session, by a watcher of its system calls; only turns in which that was so are counted",
        sides: each_server,
        counts: Counts { quick: 168, full: 1008 },
        bound: None,
        turn: nth::server,
    },
    Fault {
        name: "client-nth-call-fails",
        promise: "a client that cannot be made ends with words, any other is answered, over the socket where it can \
                  have no region; neither end keeps more than without the refusal",
        how: "the same with the client's calls (Go's runtime has its own poller before that: where it cannot have \
              one it ends the process)",
        sides: each_client,
        counts: Counts { quick: 108, full: 1008 },
        bound: None,
        turn: nth::client,
    },
    Fault {
        name: "no-region-for-server",
        promise: "sessions go over the socket, the next one over shared memory once there can be a region, and the \
                  server keeps nothing of what was refused",
        how: "mmap, fallocate or open of the first six regions fails in the server, with ENOMEM, ENOSPC, EMFILE or \
              ENFILE, by strace; what it has looked at before the first session, and with one that has a region \
              again",
        sides: shared,
        counts: Counts { quick: 45, full: 1008 },
        bound: None,
        turn: no_region_for_server,
    },
    Fault {
        name: "no-region-for-client",
        promise: "the client makes a session over the socket instead, is answered, and keeps nothing of what was refused; \
                  neither does the server",
        how: "mmap or open of the first regions fails in the client, with ENOMEM, EMFILE or ENFILE, by strace; \
              what it has held against what a client has that asks for none",
        sides: shared,
        counts: Counts { quick: 27, full: 1008 },
        bound: None,
        turn: no_region_for_client,
    },
];

/// A limit of a process' descriptors, lifted with this.
struct Limited {
    pid: Pid,
    before: Rlimit,
}

impl Limited {
    /// So many more than the highest that it has.
    fn above(pid: u32, spare: u64) -> Result<Self, Failure> {
        let mut highest = 0;
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
            highest = highest.max(entry?.file_name().to_string_lossy().parse::<u64>()?);
        }
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("a process")?;
        // What this process may have at most its drivers may, too.
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: Some(highest + 1 + spare), maximum };
        let before = prlimit(Some(pid), Resource::Nofile, limit)?;
        Ok(Self { pid, before })
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // It may be gone by now.
        let _gone = prlimit(Some(self.pid), Resource::Nofile, self.before);
    }
}

fn no_descriptors_for_server(stage: &mut Stage<'_>) -> Turn {
    stage.timeout = TIMEOUT;
    stage.pair()?;
    let spare = stage.next_of(&SPARE);
    let pid = stage.server.as_ref().ok_or("a server")?.driver.id();
    let limited = Limited::above(pid, spare)?;
    let mut newcomer = stage.new_client(stage.sides.client.other(), &[])?;
    settles(PATIENCE, || {
        let (told, _) = newcomer.say(TELL, PATIENCE)?;
        let tried = told.right + told.missed() > 0;
        Ok((!tried).then(|| "no attempts of a newcomer".to_owned()))
    })?;
    // What it cannot take waits, and so does the server.
    signal_driver(newcomer.driver(), Signal::STOP)?;
    stage.ask_client(HOLD)?;
    let before = cpu_ticks(pid)?;
    std::thread::sleep(FULL);
    let used = cpu_ticks(pid)? - before;
    stage.ask_client(GO)?;
    signal_driver(newcomer.driver(), Signal::CONT)?;
    if used > MOST_CPU_TICKS {
        return Err(format!("it was busy for {used} hundredths in {FULL:?}").into());
    }
    let told = stage.recovers()?;
    if told.missed() > 0 {
        return Err(format!("a session that lives was not served: {}", told.reason).into());
    }
    drop(limited);
    stage.right += newcomer.say(NEXT, PATIENCE)?.1;
    newcomer.driver().end()?;
    stage.server_settles(1)?;
    Ok(None)
}

/// CPU time of a process so far, in hundredths of a second.
fn cpu_ticks(pid: u32) -> Result<u64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields 14 and 15, counted after the name, which may have anything in it.
    let fields = stat.rsplit_once(')').ok_or("no fields")?.1;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or("a field");
    Ok(next()? + next()?)
}

fn no_descriptors_for_client(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    let spare = stage.next_of(&SPARE);
    let pid = stage.client.as_mut().ok_or("a client")?.driver().id();
    let limited = Limited::above(pid, spare)?;
    // Its socket's descriptor is free then.
    let closed = stage.ask_client(CLOSE)?;
    settles(PATIENCE, || {
        let told = stage.ask_client(TELL)?;
        let tried = told.right + told.missed() > closed.right + closed.missed();
        Ok((!tried).then(|| "no attempts".to_owned()))
    })?;
    drop(limited);
    stage.recovers()?;
    Ok(None)
}

fn no_descriptors_to_start(stage: &mut Stage<'_>) -> Turn {
    let few = stage.next_of(&FEW);
    stage.server_wrapper = vec!["prlimit".to_owned(), format!("--nofile={few}:{few}")];
    let mut complaints = Complaints::new()?;
    let mut server = stage.start_server(stage.sides.server, &[], complaints.place()?)?;
    stage.server_wrapper.clear();
    if server.expect_ready().is_ok() {
        server.end()?;
    } else {
        let words = |failure| format!("with {few} descriptors: {failure}");
        ended_for_a_reason(&mut server, stage.sides.server, &complaints.said()?).map_err(words)?;
    }
    stage.pair()?;
    stage.end_server()?;
    Ok(None)
}

/// Runs a driver with these calls refused; beside it, so that the process that was started is the driver.
fn inject(stage: &Stage<'_>, refused: &str) -> Vec<String> {
    let mut words: Vec<String> =
        ["strace", "--daemonize", "-f", "-qq", "-o", "/dev/null"].map(str::to_owned).to_vec();
    for id in 1..=REFUSED_REGIONS {
        let name = format!("{SERVICE}-{id:016x}.ipcshm");
        words.extend(["-P".to_owned(), stage.path().join(name).display().to_string()]);
    }
    words.extend(["-e".to_owned(), format!("inject={refused}"), "--".to_owned()]);
    words
}

/// Starts a driver beside which strace is, until that was let in: it gives itself three seconds, which it may not have on
/// a busy machine, and ends the driver before it has begun.
fn once_watched<T>(start: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut started = start();
    for _ in 1..TRIES_TO_WATCH {
        match started {
            Err(failure) if failure.to_string().contains(KEPT_OUT) => started = start(),
            _ => break,
        }
    }
    started
}

fn no_region_for_server(stage: &mut Stage<'_>) -> Turn {
    let refused = stage.next_of(&REGION_CALLS);
    stage.server_wrapper = inject(stage, refused);
    let server = once_watched(|| stage.new_server(stage.sides.server));
    stage.server_wrapper.clear();
    stage.server = Some(server?);
    stage.client = Some(stage.new_client(stage.sides.client, &[])?);
    let mut without = 0;
    while !stage.recovers()?.shared {
        without += 1;
        if without > REFUSED_REGIONS {
            return Err(format!("with {refused} no session is over shared memory again").into());
        }
        stage.ask_client(CLOSE)?;
    }
    if without < LEAST_WITHOUT {
        return Err(format!("with {refused} only {without} sessions are over the socket").into());
    }
    stage.server_settles(1)?;
    stage.end_both()?;
    Ok(None)
}

fn no_region_for_client(stage: &mut Stage<'_>) -> Turn {
    let refused = stage.next_of(&[
        "mmap:error=ENOMEM",
        "?open,openat:error=EMFILE",
        "?open,openat:error=ENFILE",
    ]);
    let most = match &stage.learned {
        Some(learned) => learned.belongings,
        None => {
            let belongings = with_a_session_over_the_socket(stage)?;
            stage.learned.insert(Learned::new(Vec::new(), belongings)).belongings
        }
    };
    stage.serve()?;
    stage.client_wrapper = inject(stage, refused);
    let client = once_watched(|| stage.new_client(stage.sides.client, &[]));
    stage.client_wrapper.clear();
    stage.client = Some(client?);
    is_over(stage, Over::Socket, refused)?;
    let language = stage.sides.client;
    stage.ask_client(HOLD)?;
    let client = stage.client.as_mut().ok_or("a client")?.driver().id();
    settles(SETTLING, || {
        let now = Belongings::of(client)?;
        // It has asked for one region alone: none of what Go makes once is left out.
        let more = (now.descriptors > most.descriptors)
            .then(|| format!("{} descriptors, not {}", now.descriptors, most.descriptors));
        let more = more.or_else(|| now.more_than(&most, language));
        Ok(more.map(|more| format!("{more} in the client, with {refused}")))
    })?;
    stage.server_settles(1)?;
    settles(SETTLING, || {
        let regions = regions(stage.path())?;
        Ok((regions > 0).then(|| format!("{regions} regions of no session")))
    })?;
    stage.ask_client(GO)?;
    stage.end_both()?;
    Ok(None)
}

/// What a client has that asked for no region.
fn with_a_session_over_the_socket(stage: &mut Stage<'_>) -> Result<Belongings, Failure> {
    stage.serve()?;
    let shared = std::mem::replace(&mut stage.sides.over, Over::Socket);
    let client = stage.new_client(stage.sides.client, &[]);
    stage.sides.over = shared;
    stage.client = Some(client?);
    is_over(stage, Over::Socket, "asked for")?;
    stage.ask_client(HOLD)?;
    let belongings = Belongings::of(stage.client.as_mut().ok_or("a client")?.driver().id())?;
    stage.ask_client(GO)?;
    stage.end_both()?;
    Ok(belongings)
}

fn is_over(stage: &mut Stage<'_>, over: Over, refused: &str) -> Result<(), Failure> {
    let told = stage.recovers()?;
    if told.shared == (over == Over::Shared) {
        return Ok(());
    }
    Err(format!("with {refused} the session is not over {}", over.words()).into())
}
