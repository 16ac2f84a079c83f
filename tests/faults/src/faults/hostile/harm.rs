//! Third parties of the same user, who harm the memory that two others share: it is cut off, its pages are taken
//! away, its bytes are turned, while calls run.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netipc_bench::Failure;
use netipc_bench::lines::{Endured, NEXT, TELL};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::process::Signal;

use super::region::REGION_HEADER_BYTES;
use super::servers::hear;
use crate::fault::{Counts, Fault, Turn, shared};
use crate::stage::{SETTLING, Stage, stop_driver};
use crate::watch::{names, settles};

/// The bystander's.
const OTHER_SESSIONS: usize = 1;
/// How long calls may take whose message was harmed.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Harm is done within this time of a call that was answered.
const MOMENT: Duration = Duration::from_millis(5);
/// How long bytes are turned.
const SCRIBBLING: Duration = Duration::from_millis(20);
/// A file system on which two sessions, and what fills it, have room.
const SMALL: &str = "size=1m";

pub(in crate::faults) const HARM: &[Fault] = &[
    Fault {
        name: "region-cut",
        promise: "both processes live; that session alone ends, as violated, and the client has another; no answer is \
                  wrong whose memory is gone, and none after zeros were put in its place",
        how: "ftruncate of a session's region to nothing, to its header, to one page, to one byte less, or to \
              nothing and back, at a random moment of calls; a bystander calling",
        sides: shared,
        counts: Counts { quick: 45, full: 1008 },
        bound: None,
        turn: cut,
    },
    Fault {
        name: "region-cut-at-birth",
        promise: "both processes live, and the client is answered, never wrongly, over shared memory or the socket",
        how: "every new region is cut off as soon as its name can be seen, while clients come; a bystander calling",
        sides: shared,
        counts: Counts { quick: 18, full: 1008 },
        bound: None,
        turn: cut_at_birth,
    },
    Fault {
        name: "region-pages-gone",
        promise: "the same, and nobody gets SIGBUS",
        how: "all pages of a session's region given back to a file system that is then filled up, at a random \
              moment of calls; a bystander calling",
        sides: shared,
        counts: Counts { quick: 18, full: 1008 },
        bound: None,
        turn: lose_pages,
    },
    Fault {
        name: "region-scribbled",
        promise: "both processes live; that session alone suffers, and the client has another once it is over; no \
                  answer is wrong from then on",
        how: "random bits of a session's region turned, half of them in its header, for 20 ms of calls; a \
              bystander calling",
        sides: shared,
        counts: Counts { quick: 27, full: 1008 },
        bound: None,
        turn: scribble,
    },
];

/// What harm comes to.
#[derive(Clone, Copy, Debug)]
struct Harm {
    /// It leaves nothing to go on with: the session must end.
    ends: bool,
    /// It writes into the answers themselves: while it lasts they may be wrong, and nobody can tell.
    forges: bool,
}

/// Lets a client call, harms its region, and sees that it is answered afterwards; on another session, if the
/// harm leaves nothing to go on with.
fn with_harm(
    stage: &mut Stage<'_>,
    kind: Harm,
    harm: impl FnOnce(&mut Stage<'_>, &File) -> Result<(), Failure>,
) -> Result<(), Failure> {
    stage.serve()?;
    // Whose calls may take as long as ever.
    stage.bystander()?;
    stage.timeout = TIMEOUT;
    stage.pair()?;
    let path = last_region(stage.path())?;
    let region = OpenOptions::new().read(true).write(true).open(&path)?;
    stage.moment(MOMENT);
    harm(stage, &region)?;
    let mut client = stage.client.take().ok_or("a client")?;
    // A call whose session was lost is sent again, and nobody outside need know.
    let since = hear(&mut client, NEXT)?;
    if kind.ends {
        settles(SETTLING, || Ok(path.exists().then(|| "its session".to_owned())))?;
    }
    let told = hear(&mut client, TELL)?;
    client.driver().end()?;
    stage.right += told.right;
    none_is_wrong(&told, if kind.forges { since.wrong } else { 0 })?;
    stage.server_settles(OTHER_SESSIONS)?;
    stage.bystander_is_well()
}

/// That no more answers are wrong than these; calls may well have ended as broken, of a region that was harmed.
fn none_is_wrong(told: &Endured, but: u64) -> Result<(), Failure> {
    match told.wrong - but {
        0 => Ok(()),
        more => Err(format!("{more} times a wrong answer: {}", told.reason).into()),
    }
}

/// The client's: bystanders come before it, and sessions are numbered.
fn last_region(run_dir: &Path) -> Result<std::path::PathBuf, Failure> {
    let last = names(run_dir)?.into_iter().rfind(|name| name.ends_with(".ipcshm"));
    Ok(run_dir.join(last.ok_or("a region")?))
}

/// What is left of a file of so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Header,
    Page,
    AllButOne,
    Zeros,
}

fn cut(stage: &mut Stage<'_>) -> Turn {
    const ALL: [Left; 5] = [Left::Nothing, Left::Header, Left::Page, Left::AllButOne, Left::Zeros];
    let left = stage.next_of(&ALL);
    // What else is left is all that these calls touch; and each side writes its own words anew, so that zeros
    // end the session of who looks just then.
    // The rest of a page that is cut in the midst is filled with zeros, which both ends go on to see, as they see those of
    // a file that was cut and made long again: whoever copies a message just then has them in it.
    let forges = matches!(left, Left::Header | Left::Zeros);
    let kind = Harm { ends: left == Left::Nothing, forges };
    with_harm(stage, kind, |_, region| {
        let len = region.metadata()?.len();
        let page_bytes = rustix::param::page_size() as u64;
        region.set_len(match left {
            Left::Nothing | Left::Zeros => 0,
            Left::Header => REGION_HEADER_BYTES as u64,
            Left::Page => page_bytes,
            // All its pages are there still.
            Left::AllButOne => len - 1,
        })?;
        if let Left::Zeros = left {
            region.set_len(len)?;
        }
        Ok(())
    })?;
    Ok(None)
}

fn cut_at_birth(stage: &mut Stage<'_>) -> Turn {
    const CLIENTS: usize = 3;
    stage.serve()?;
    stage.bystander()?;
    let (run_dir, spared) = (stage.path().to_owned(), names(stage.path())?);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Relaxed: nothing else is said by it.
            while !is_over.load(Ordering::Relaxed) {
                cut_all_but(&run_dir, &spared);
            }
        });
        let answered = clients_are_answered(stage, CLIENTS);
        is_over.store(true, Ordering::Relaxed);
        answered
    })?;
    stage.server_settles(OTHER_SESSIONS)?;
    stage.bystander_is_well()?;
    Ok(None)
}

/// Regions come and go meanwhile: what is gone is gone.
fn cut_all_but(run_dir: &Path, spared: &[String]) {
    for name in names(run_dir).unwrap_or_default() {
        if name.ends_with(".ipcshm") && !spared.contains(&name) {
            let region = OpenOptions::new().write(true).open(run_dir.join(name));
            let _cut = region.and_then(|region| region.set_len(0));
        }
    }
}

fn clients_are_answered(stage: &mut Stage<'_>, clients: usize) -> Result<(), Failure> {
    for _ in 0..clients {
        let mut client = stage.new_client(stage.sides.client, &[])?;
        hear(&mut client, NEXT)?;
        let told = hear(&mut client, TELL)?;
        none_is_wrong(&told, 0)?;
        stage.right += told.right;
        client.driver().end()?;
    }
    Ok(())
}

fn lose_pages(stage: &mut Stage<'_>) -> Turn {
    stage.mount_run_dir(SMALL)?;
    let filler = stage.path().join("filler");
    with_harm(stage, Harm { ends: true, forges: false }, |stage, region| {
        // Nobody uses the region, and so takes the room, between these two steps.
        stop_driver(stage.client.as_mut().ok_or("a client")?.driver())?;
        stop_driver(&stage.server.as_ref().ok_or("a server")?.driver)?;
        take_pages(region, &stage.path().join("filler"))?;
        stage.signal_server(Signal::CONT)?;
        // With no room for a region, the next session is over the socket.
        stage.signal_client(Signal::CONT)
    })?;
    std::fs::remove_file(filler)?;
    Ok(None)
}

/// Gives all pages of a region back, and lets `filler` have their room.
fn take_pages(region: &File, filler: &Path) -> Result<(), Failure> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // Of whole pages: one that is punched in part keeps its room.
    let page_bytes = rustix::param::page_size() as u64;
    fallocate(region, flags, 0, region.metadata()?.len().next_multiple_of(page_bytes))?;
    super::super::files::fill(filler)?;
    match region.metadata()?.blocks() {
        0 => Ok(()),
        // Then the session may well go on, and nothing is shown.
        blocks => Err(format!("{blocks} blocks of the region are there again").into()),
    }
}

fn scribble(stage: &mut Stage<'_>) -> Turn {
    with_harm(stage, Harm { ends: false, forges: true }, |stage, region| {
        let len = region.metadata()?.len();
        let start = Instant::now();
        while start.elapsed() < SCRIBBLING {
            let most = if stage.random.below(2) == 0 { REGION_HEADER_BYTES as u64 } else { len };
            let (at, bit) = (stage.random.below(most), stage.random.below(8));
            let mut byte = [0];
            region.read_exact_at(&mut byte, at)?;
            region.write_all_at(&[byte[0] ^ (1 << bit)], at)?;
        }
        Ok(())
    })?;
    Ok(None)
}
