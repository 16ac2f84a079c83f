//! Things in the way, at every name of an endpoint, and names that lead elsewhere.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use netipc_bench::Failure;
use netipc_bench::lines::{MISS, NEXT};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::clients::socket_of;
use super::fields::OFFER;
use super::raw::{RawListener, RawSession};
use super::region::{good_header, path_of};
use super::servers::hear;
use super::wire;
use super::{clients_over_regions, servers_over_regions, servers_over_sockets};
use crate::fault::{Counts, Fault, Turn};
use crate::stage::{SERVICE, Stage, ends_in_words};
use crate::watch::names;

/// What foreign files and targets of links hold.
const PRECIOUS: &[u8] = b"not to be touched";
/// Where links lead: beside them.
const TARGET_ENDING: &str = ".target";

const REFUSED: &str =
    "the server says what is there and ends; it is left alone, and once it is gone a server serves";

pub(in crate::faults) const NAMES: &[Fault] = &[
    Fault {
        name: "foreign-at-socket",
        promise: REFUSED,
        how: "a link, a dangling link, a named pipe, a directory, a file, a device, a stream socket at the \
              endpoint's name, for a server, and for a client, who is told",
        sides: servers_over_sockets,
        counts: COUNTS,
        bound: None,
        turn: at_the_socket,
    },
    Fault {
        name: "foreign-at-lock",
        promise: REFUSED,
        how: "the same at the lock's name, files aside",
        sides: servers_over_sockets,
        counts: COUNTS,
        bound: None,
        turn: at_the_lock,
    },
    Fault {
        name: "foreign-at-temporary",
        promise: REFUSED,
        how: "the same at the name of the socket that is not published yet",
        sides: servers_over_sockets,
        counts: COUNTS,
        bound: None,
        turn: at_the_temporary_name,
    },
    Fault {
        name: "foreign-at-region",
        promise: "it is left alone, and sessions are had all the same",
        how: "the same, files aside, at the names of the next regions of a server; a bystander calling",
        sides: servers_over_regions,
        counts: COUNTS,
        bound: None,
        turn: at_the_region,
    },
    Fault {
        name: "hostile-region-entry",
        promise: "the client neither follows nor uses it, and comes back over the socket",
        how: "a server promises a region, at whose name there is any of the same, or nothing",
        sides: clients_over_regions,
        counts: COUNTS,
        bound: None,
        turn: promised,
    },
    Fault {
        name: "path-traversal",
        promise: "the name is refused, server and client end with words, and nothing is made anywhere",
        how: "a server and a client with services named .., ., a/b, ../x, /etc/x and their like",
        sides: servers_over_sockets,
        counts: COUNTS,
        bound: None,
        turn: path_traversal,
    },
];

const COUNTS: Counts = Counts { quick: 24, full: 1008 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Link,
    Dangling,
    Pipe,
    Directory,
    File,
    Device,
    StreamSocket,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Link,
        Self::Dangling,
        Self::Pipe,
        Self::Directory,
        Self::File,
        Self::Device,
        Self::StreamSocket,
    ];
    /// Those that nothing of ours is.
    const BUT_FILES: [Self; 6] =
        [Self::Link, Self::Dangling, Self::Pipe, Self::Directory, Self::Device, Self::StreamSocket];
}

/// Something that somebody else put somewhere.
struct Foreign {
    kind: Kind,
    path: PathBuf,
    target: PathBuf,
    content: Vec<u8>,
    before: Metadata,
    _listener: Option<UnixListener>,
}

impl Foreign {
    fn put(kind: Kind, path: PathBuf) -> Result<Self, Failure> {
        Self::with(kind, path, PRECIOUS.to_vec())
    }

    /// Where files, and targets of links, hold `content`.
    fn with(kind: Kind, path: PathBuf, content: Vec<u8>) -> Result<Self, Failure> {
        let mut target = path.clone().into_os_string();
        target.push(TARGET_ENDING);
        let target = PathBuf::from(target);
        fs::write(&target, &content)?;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut listener = None;
        match kind {
            Kind::Link => symlink(&target, &path)?,
            Kind::Dangling => symlink(path.with_file_name("nowhere"), &path)?,
            Kind::Pipe => mknodat(CWD, &path, FileType::Fifo, mode, 0)?,
            Kind::Directory => fs::create_dir(&path)?,
            Kind::File => fs::write(&path, &content)?,
            // The one that swallows all. Who may make none has another named pipe.
            Kind::Device => mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(1, 3))
                .or_else(|_| mknodat(CWD, &path, FileType::Fifo, mode, 0))?,
            Kind::StreamSocket => listener = Some(UnixListener::bind(&path)?),
        }
        let before = fs::symlink_metadata(&path)?;
        Ok(Self { kind, path, target, content, before, _listener: listener })
    }

    /// It is as it was, and is taken away.
    fn must_be_untouched(self) -> Result<(), Failure> {
        let now = fs::symlink_metadata(&self.path)
            .map_err(|error| format!("{:?} was taken away: {error}", self.kind))?;
        let of =
            |stat: &Metadata| (stat.dev(), stat.ino(), stat.mode(), stat.len(), stat.mtime_nsec());
        if of(&now) != of(&self.before) || fs::read(&self.target)? != self.content {
            return Err(format!("{:?} was changed", self.kind).into());
        }
        if self.kind == Kind::File && fs::read(&self.path)? != self.content {
            return Err("a file was written to".into());
        }
        if now.is_dir() && !now.file_type().is_socket() {
            fs::remove_dir(&self.path)?;
        } else {
            fs::remove_file(&self.path)?;
        }
        fs::remove_file(&self.target)?;
        if self.path.with_file_name("nowhere").exists() {
            return Err("what a link leads to was made".into());
        }
        Ok(())
    }
}

/// A server must not start while it is there, and must once it is gone.
fn refuses(stage: &mut Stage<'_>, kind: Kind, path: PathBuf) -> Turn {
    let foreign = Foreign::put(kind, path)?;
    let mut server = stage.start_server(stage.sides.server, &[], Stdio::null())?;
    if server.expect_ready().is_ok() {
        return Err(format!("{kind:?} did not keep the server from starting").into());
    }
    ends_in_words(&mut server)?;
    foreign.must_be_untouched()?;
    stage.serve()?;
    stage.end_server()?;
    Ok(None)
}

fn beside_socket(stage: &Stage<'_>, ending: &str) -> PathBuf {
    stage.path().join(format!("{SERVICE}.{ending}"))
}

fn at_the_socket(stage: &mut Stage<'_>) -> Turn {
    let kind = stage.next_of(&Kind::ALL);
    let path = socket_of(stage);
    let foreign = Foreign::put(kind, path.clone())?;
    let mut client = stage.new_client(stage.sides.client, &[])?;
    let told = hear(&mut client, MISS)?;
    if told.refused == 0 || told.reason.is_empty() {
        return Err(format!("a client was not told of {kind:?}").into());
    }
    client.driver().end()?;
    foreign.must_be_untouched()?;
    refuses(stage, kind, path)
}

fn at_the_lock(stage: &mut Stage<'_>) -> Turn {
    let kind = stage.next_of(&Kind::BUT_FILES);
    let lock = beside_socket(stage, "lock");
    // Servers leave theirs.
    if lock.exists() {
        fs::remove_file(&lock)?;
    }
    refuses(stage, kind, lock)
}

fn at_the_temporary_name(stage: &mut Stage<'_>) -> Turn {
    let kind = stage.next_of(&Kind::ALL);
    refuses(stage, kind, beside_socket(stage, "tmp"))
}

fn at_the_region(stage: &mut Stage<'_>) -> Turn {
    const NEXT_SESSIONS: u64 = 3;
    stage.serve()?;
    stage.bystander()?;
    let kind = stage.next_of(&Kind::BUT_FILES);
    let last = RawSession::open(&socket_of(stage), &OFFER)?.granted.session_id;
    let mut all = Vec::new();
    for id in last + 1..=last + NEXT_SESSIONS {
        all.push(Foreign::put(kind, path_of(stage.path(), SERVICE, id))?);
    }
    let mut client = stage.new_client(stage.sides.client, &[])?;
    let told = hear(&mut client, NEXT)?;
    if told.missed() > 0 {
        return Err(format!("{kind:?} cost a session: {}", told.reason).into());
    }
    client.driver().end()?;
    for foreign in all {
        foreign.must_be_untouched()?;
    }
    stage.server_settles(1)?;
    stage.bystander_is_well()?;
    Ok(None)
}

/// A hostile server promises a region, and something else is there.
fn promised(stage: &mut Stage<'_>) -> Turn {
    const SESSION: u64 = 7;
    let kind = stage.next_of(&[
        Some(Kind::Link),
        Some(Kind::Dangling),
        Some(Kind::Pipe),
        Some(Kind::Directory),
        Some(Kind::Device),
        Some(Kind::StreamSocket),
        Some(Kind::File),
        None,
    ]);
    let socket = socket_of(stage);
    let listener = RawListener::bind(&socket)?;
    let mut client = stage.new_client(stage.sides.client, &[])?;
    let (raw, offer) = listener.greet()?;
    let path = path_of(stage.path(), SERVICE, SESSION);
    // A link leads to a region that is right in every way.
    let content = match kind {
        Some(Kind::Link) => {
            let (mut region, file_bytes) = good_header(offer.request_bytes, offer.request_bytes);
            region.resize(file_bytes, 0);
            region
        }
        _ => PRECIOUS.to_vec(),
    };
    let foreign = kind.map(|kind| Foreign::with(kind, path, content)).transpose()?;
    raw.send(&offer.ack(wire::SHARED_MEMORY, SESSION))?;
    raw.must_close().map_err(|failure| format!("{kind:?}: {failure}"))?;
    let (_, second) = listener.greet()?;
    if second.supported & wire::SHARED_MEMORY != 0 {
        return Err(format!("after {kind:?} the client offers shared memory again").into());
    }
    drop(listener);
    fs::remove_file(socket)?;
    foreign.map(Foreign::must_be_untouched).transpose()?;
    client.driver().end()?;
    Ok(None)
}

fn path_traversal(stage: &mut Stage<'_>) -> Turn {
    const BAD: [&str; 12] =
        ["..", ".", "", "a/b", "../x", "../../x", "/etc/x", "x/..", "x y", "x\n", "\u{e9}", "x\\y"];
    const RUN_DIR: &str = "run";
    let name = stage.next_of(&BAD);
    let run_dir = stage.path().join(RUN_DIR);
    fs::create_dir(&run_dir)?;
    for end in ["server", "endure"] {
        let driver = stage.drivers.of.get(&stage.sides.server).ok_or("a driver")?;
        refuses_the_name(driver, end, &run_dir, name)?;
    }
    if !names(&run_dir)?.is_empty() || names(stage.path())? != [RUN_DIR] {
        return Err(format!("{name:?} made something").into());
    }
    fs::remove_dir(run_dir)?;
    Ok(None)
}

fn refuses_the_name(driver: &Path, end: &str, run_dir: &Path, name: &str) -> Result<(), Failure> {
    let mut command = Command::new(driver);
    command.args([end, "--scenario", "reverse", "--bytes", "64", "--transport", "socket"]);
    if end == "endure" {
        command.args(["--timeout-ms", "1000"]);
    }
    let output = command
        .arg("--run-dir")
        .arg(run_dir)
        .args(["--service", name])
        .env("NETIPC_BENCH_SETTLED", "1")
        .stdin(Stdio::null())
        .output()?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(1) && !words.trim().is_empty() {
        return Ok(());
    }
    Err(format!("the {end} with the name {name:?} ended with {}: {words}", output.status).into())
}
