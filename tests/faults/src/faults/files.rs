//! A run directory that is full, taken away, or closed to its users.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use netipc_bench::Failure;
use netipc_bench::lines::{CLOSE, MISS, NEXT};

use crate::ending::{Complaints, ended_for_a_reason};
use crate::fault::{Counts, Fault, Over, Turn, anyone, each_server, shared};
use crate::stage::{PATIENCE, SERVICE, SETTLING, Stage};
use crate::watch::{names, settles};

/// Room for some regions, and what fills it.
const SMALL_BYTES: usize = 1024 * 1024;
/// Files and folders that a file system without room for another one has: its root alone.
const NO_FILES: &str = "size=64k,nr_inodes=1";
/// The mode that lets nobody do anything.
const NO_ACCESS: u32 = 0o000;
/// As programs have it that run as somebody: no privilege over files.
const WITHOUT_PRIVILEGES: [&str; 3] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "full-run-dir",
        promise: "sessions that live go on, new ones go over the socket, nobody gets SIGBUS; with room again, new \
                  ones are over shared memory",
        how: "the run directory on a file system of 1 MiB is filled up, another client comes, and room is made \
              again",
        sides: shared,
        counts: Counts { quick: 18, full: 1008 },
        bound: None,
        turn: full_run_dir,
    },
    Fault {
        name: "no-file-to-start",
        promise: "a server that can make no file says so and ends; with room, the next one serves",
        how: "a server started in a run directory in which no file can be made",
        sides: each_server,
        counts: Counts { quick: 12, full: 1002 },
        bound: None,
        turn: no_file_to_start,
    },
    Fault {
        name: "run-dir-replaced",
        promise: "sessions that live go on; a new server takes the name there, clients find it, and the end of the \
                  old server leaves it alone",
        how: "the run directory removed under a server and its client, made anew, another server started, the old \
              one ended",
        sides: anyone,
        counts: Counts { quick: 18, full: 1008 },
        bound: None,
        turn: run_dir_replaced,
    },
    Fault {
        name: "permissions",
        promise: "sessions that live go on; others fail with words, and are had once they may",
        how: "the run directory, then the socket in turn, set to mode 0000 while a client makes a new session; no \
              process has privileges over files",
        sides: anyone,
        counts: Counts { quick: 36, full: 1008 },
        bound: None,
        turn: permissions,
    },
    Fault {
        name: "umask-0777",
        promise: "socket, lock and regions have mode 0600, and calls are answered",
        how: "server and client started under umask 0777, without privileges over files",
        sides: anyone,
        counts: Counts { quick: 18, full: 1008 },
        bound: None,
        turn: umask_0777,
    },
    Fault {
        name: "umask-0000",
        promise: "socket, lock and regions have mode 0600, and calls are answered",
        how: "server and client started under umask 0000",
        sides: anyone,
        counts: Counts { quick: 18, full: 1008 },
        bound: None,
        turn: umask_0000,
    },
];

fn full_run_dir(stage: &mut Stage<'_>) -> Turn {
    stage.mount_run_dir(&format!("size={SMALL_BYTES}"))?;
    stage.pair()?;
    is_over(stage, Over::Shared, "with room")?;
    // The region of the session before is gone, or it would make room later.
    stage.server_settles(1)?;
    let filler = stage.path().join("filler");
    fill(&filler)?;
    is_over(stage, Over::Shared, "of a session that lives")?;
    let mut newcomer = stage.new_client(stage.sides.client.other(), &[])?;
    let (told, right) = newcomer.say(NEXT, PATIENCE)?;
    stage.right += right;
    if told.shared {
        return Err("without room there is a region".into());
    }
    std::fs::remove_file(&filler)?;
    is_over(stage, Over::Shared, "of a session that lived")?;
    newcomer.driver().end()?;
    stage.ask_client(CLOSE)?;
    is_over(stage, Over::Shared, "with room again")?;
    Ok(None)
}

/// Takes all the room there is.
pub(super) fn fill(filler: &Path) -> Result<(), Failure> {
    let page = vec![0_u8; rustix::param::page_size()];
    let mut file = std::fs::File::create(filler)?;
    // Ends where there is no room for more.
    while std::io::Write::write_all(&mut file, &page).is_ok() {}
    Ok(())
}

fn is_over(stage: &mut Stage<'_>, over: Over, when: &str) -> Result<(), Failure> {
    let told = stage.recovers()?;
    if told.shared == (over == Over::Shared) {
        return Ok(());
    }
    Err(format!("{when} the session is not over {}", over.words()).into())
}

fn no_file_to_start(stage: &mut Stage<'_>) -> Turn {
    stage.mount_run_dir(NO_FILES)?;
    let mut complaints = Complaints::new()?;
    let mut server = stage.start_server(stage.sides.server, &[], complaints.place()?)?;
    if server.expect_ready().is_ok() {
        return Err("it serves where it can have no socket".into());
    }
    ended_for_a_reason(&mut server, stage.sides.server, &complaints.said()?)?;
    stage.unmount_run_dir()?;
    stage.pair()?;
    stage.end_server()?;
    Ok(None)
}

fn run_dir_replaced(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    std::fs::remove_dir_all(stage.path())?;
    std::fs::create_dir(stage.path())?;
    stage.recovers()?;
    let mut old = stage.server.take().ok_or("a server")?;
    stage.serve()?;
    // On its session with the old one, if that is what it has.
    stage.recovers()?;
    old.driver.end()?;
    stage.recovers()?;
    if !stage.path().join(format!("{SERVICE}.sock")).exists() {
        return Err("the old server has taken the new one's socket away".into());
    }
    stage.ask_client(CLOSE)?;
    stage.recovers()?;
    Ok(None)
}

fn permissions(stage: &mut Stage<'_>) -> Turn {
    stage.server_wrapper = WITHOUT_PRIVILEGES.map(str::to_owned).to_vec();
    stage.client_wrapper.clone_from(&stage.server_wrapper);
    stage.pair()?;
    stage.bystander()?;
    let socket = stage.path().join(format!("{SERVICE}.sock"));
    let target = if stage.next_of(&[true, false]) { stage.path().to_owned() } else { socket };
    let before = std::fs::metadata(&target)?.permissions();
    std::fs::set_permissions(&target, Permissions::from_mode(NO_ACCESS))?;
    stage.ask_client(CLOSE)?;
    let refused = stage.ask_client(MISS);
    stage.bystander_is_well()?;
    std::fs::set_permissions(&target, before)?;
    if refused?.reason.is_empty() {
        return Err("it does not say why there is no session".into());
    }
    stage.recovers()?;
    if target == stage.path() {
        // What a session left in a directory that was closed is removed by the next server.
        stage.end_bystander()?;
        stage.end_both()?;
        stage.pair()?;
        stage.no_stale_regions()?;
    }
    Ok(None)
}

fn umask_0777(stage: &mut Stage<'_>) -> Turn {
    umask(stage, "umask 0777 && exec \"$@\"")
}

fn umask_0000(stage: &mut Stage<'_>) -> Turn {
    umask(stage, "umask 0000 && exec \"$@\"")
}

fn umask(stage: &mut Stage<'_>, script: &str) -> Turn {
    let mut wrapper = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned(), "sh".to_owned()];
    wrapper.extend(WITHOUT_PRIVILEGES.map(str::to_owned));
    stage.client_wrapper.clone_from(&wrapper);
    stage.server_wrapper = wrapper;
    stage.pair()?;
    for name in names(stage.path())? {
        let mode = std::fs::metadata(stage.path().join(&name))?.permissions().mode() & 0o7777;
        if mode != 0o600 {
            return Err(format!("{name} has mode {mode:04o}").into());
        }
    }
    stage.end_server()?;
    settles(SETTLING, || {
        let left = names(stage.path())?;
        Ok(left.into_iter().find(|name| !name.ends_with(".lock")))
    })?;
    Ok(None)
}
