//! A stage: one endpoint, its server and clients, and who of them comes and goes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use netipc_bench::Failure;
use netipc_bench::drivers::{Driver, run_dir};
use netipc_bench::lines::{Checked, Line, THROUGH};
use rustix::process::{Pid, Signal, kill_process};

use crate::samples::Watched;

/// What a driver may be silent for: as long as one of its answers may take, and more.
const PATIENCE: Duration = Duration::from_secs(330);
/// How long clients call before somebody is looked at.
const ROUND: Duration = Duration::from_secs(2);
/// The endpoint's name in each run directory.
const SERVICE: &str = "soak";
/// Sessions that a server may have: those of the killed may be there for a moment.
const SESSIONS: &str = "16";
/// Both transports of the contract, as a server offers them (spec section 4).
const BOTH: &str = "3";

/// Go's collector lets the heap grow by so many percent, and to 4 MiB times this first. Smaller than its default, so
/// that what is garbage looks less like what leaks.
const GO_COLLECTS_AT_PERCENT: &str = "25";

/// What is asked: a scenario of the drivers, and its sizes.
const WORKS: [(&str, &[&str]); 7] = [
    ("calls", &["ping-level2"]),
    ("batches", &["batch", "--items", "200"]),
    ("strings", &["reverse", "--bytes", "1000"]),
    ("a cached snapshot", &["snapshot", "--items", "100"]),
    ("a lookup of cgroups", &["cgroups-lookup", "--items", "100", "--mix", "mixed"]),
    ("a lookup of apps", &["apps-lookup", "--items", "100"]),
    ("a lookup of addresses", &["asn-lookup", "--items", "100", "--mix", "mixed"]),
];
/// Each is played with servers that come and go, and with clients that do.
pub(crate) const STAGES: usize = 2 * WORKS.len();

/// How a process is ended: each in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Told to, and it must end well.
    Told,
    /// By SIGTERM, which drivers do not handle.
    Terminated,
    /// By SIGKILL.
    Killed,
}

const WAYS: [Way; 3] = [Way::Told, Way::Terminated, Way::Killed];

/// Languages and their drivers.
#[derive(Clone, Debug)]
pub(crate) struct Drivers(pub(crate) Vec<(String, PathBuf)>);

impl Drivers {
    /// One after the other, round and round.
    fn get(&self, place: usize) -> Result<&(String, PathBuf), Failure> {
        self.0.get(place % self.0.len().max(1)).ok_or_else(|| "no driver".into())
    }
}

/// What a stage came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) rounds: u64,
    pub(crate) calls: u64,
    pub(crate) items: u64,
    pub(crate) lost: u64,
    pub(crate) servers_ended: u64,
    pub(crate) clients_ended: u64,
    pub(crate) most_files: usize,
    pub(crate) files_left: usize,
    pub(crate) watched: Vec<Watched>,
}

pub(crate) fn name(place: usize) -> String {
    let (work, _) = WORKS[place / 2];
    let who = if place.is_multiple_of(2) { "servers" } else { "clients" };
    format!("{work}, {who} come and go")
}

/// One endpoint.
pub(crate) struct Stage<'a> {
    place: usize,
    drivers: &'a Drivers,
    rate: f64,
    arguments: &'static [&'static str],
    random: u64,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(place: usize, drivers: &'a Drivers, rate: f64) -> Self {
        // Another sequence for each stage, the same in each run.
        let random = 0x9E37_79B9_7F4A_7C15 ^ (place as u64 + 1);
        Self { place, drivers, rate, arguments: WORKS[place / 2].1, random }
    }

    pub(crate) fn play(mut self, end: Instant) -> Result<Outcome, Failure> {
        let run_dir = run_dir()?;
        let mut outcome = Outcome { name: name(self.place), ..Outcome::default() };
        if self.place.is_multiple_of(2) {
            self.servers_come_and_go(run_dir.path(), end, &mut outcome)?;
        } else {
            self.clients_come_and_go(run_dir.path(), end, &mut outcome)?;
        }
        // The lock stays, and nothing else does.
        outcome.files_left = files(run_dir.path())?;
        if outcome.files_left != 1 {
            return Err(format!("{} files are left beside the lock", outcome.files_left - 1).into());
        }
        Ok(outcome)
    }

    fn servers_come_and_go(
        &mut self,
        run_dir: &Path,
        end: Instant,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let mut server = self.server(run_dir, self.place)?;
        let mut clients = self.clients(run_dir)?;
        outcome.watched = self.watched("a client", self.drivers.0.len())?;
        for round in 0.. {
            if Instant::now() >= end {
                break;
            }
            self.begin(clients.iter_mut())?;
            self.wait();
            end_by(&mut server, WAYS[round % WAYS.len()])?;
            outcome.servers_ended += 1;
            server = self.server(run_dir, self.place + round + 1)?;
            for client in &mut clients {
                outcome.count(&checked(client)?);
            }
            for (watched, client) in outcome.watched.iter_mut().zip(&clients) {
                watched.look(client.id())?;
            }
            outcome.count_files(files(run_dir)?);
        }
        clients.iter_mut().try_for_each(Driver::end)?;
        server.end()
    }

    fn clients_come_and_go(
        &mut self,
        run_dir: &Path,
        end: Instant,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let mut server = self.server(run_dir, self.place / 2)?;
        let mut clients = self.clients(run_dir)?;
        outcome.watched = self.watched("a server", 1)?;
        for round in 0.. {
            if Instant::now() >= end {
                break;
            }
            self.begin(clients.iter_mut())?;
            self.wait();
            let (leaving, way) = (round % clients.len(), WAYS[round / clients.len() % WAYS.len()]);
            if way == Way::Told {
                // It hears that once it has called.
                outcome.count(&checked(&mut clients[leaving])?);
            }
            end_by(&mut clients[leaving], way)?;
            outcome.clients_ended += 1;
            clients[leaving] = self.client(run_dir, leaving)?;
            for (place, client) in clients.iter_mut().enumerate() {
                if place != leaving {
                    outcome.count(&checked(client)?);
                }
            }
            outcome.watched[0].look(server.id())?;
            outcome.count_files(files(run_dir)?);
        }
        clients.iter_mut().try_for_each(Driver::end)?;
        if outcome.lost > 0 {
            return Err(format!("{} calls were lost though the server stayed", outcome.lost).into());
        }
        server.end()
    }

    /// Has them call for a round.
    fn begin<'b>(&self, clients: impl Iterator<Item = &'b mut Driver>) -> Result<(), Failure> {
        let words = format!("{THROUGH} {} {}", ROUND.as_secs_f64(), self.rate);
        for client in clients {
            client.say(&words)?;
        }
        Ok(())
    }

    /// Lets a part of the round pass: another one each time.
    fn wait(&mut self) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = ROUND.mul_f64((self.random % 1000) as f64 / 1000.0);
        let (_nobody, never) = channel::<()>();
        // Nothing is sent: it is the time that passes.
        let _time_is_up = never.recv_timeout(part);
    }

    fn watched(&self, what: &str, count: usize) -> Result<Vec<Watched>, Failure> {
        let first = if what == "a server" { self.place / 2 } else { 0 };
        (0..count).map(|at| Ok(Watched::new(what, &self.drivers.get(first + at)?.0))).collect()
    }

    fn server(&self, run_dir: &Path, place: usize) -> Result<Driver, Failure> {
        let mut command = self.command(run_dir, "server", place)?;
        command.args(["--transport", "shm", "--supported", BOTH, "--preferred", BOTH]);
        command.args(["--clients", SESSIONS]);
        ready(command, "server")
    }

    fn clients(&self, run_dir: &Path) -> Result<Vec<Driver>, Failure> {
        (0..self.drivers.0.len()).map(|place| self.client(run_dir, place)).collect()
    }

    fn client(&self, run_dir: &Path, place: usize) -> Result<Driver, Failure> {
        let mut command = self.command(run_dir, "check", place)?;
        // So that each language has each transport, in one stage or another.
        let transport = if (self.place / 2 + place).is_multiple_of(2) { "socket" } else { "shm" };
        command.args(["--transport", transport, "--turns", "1"]);
        ready(command, "client")
    }

    fn command(&self, run_dir: &Path, end: &str, place: usize) -> Result<Command, Failure> {
        let (_, driver) = self.drivers.get(place)?;
        let mut command = Command::new(driver);
        command
            .args([end, "--scenario"])
            .args(self.arguments)
            .args(["--service", SERVICE, "--run-dir"])
            .arg(run_dir)
            .env("GOGC", GO_COLLECTS_AT_PERCENT)
            .stderr(Stdio::inherit());
        Ok(command)
    }
}

impl Outcome {
    fn count(&mut self, checked: &Checked) {
        self.rounds += 1;
        self.calls += checked.calls;
        self.items += checked.items;
        self.lost += checked.lost;
    }

    fn count_files(&mut self, files: usize) {
        self.most_files = self.most_files.max(files);
    }
}

fn ready(command: Command, end: &'static str) -> Result<Driver, Failure> {
    let mut driver = Driver::start(command, end, PATIENCE)?;
    driver.expect_ready()?;
    Ok(driver)
}

fn checked(client: &mut Driver) -> Result<Checked, Failure> {
    match client.hear()? {
        Line::Checked(checked) => Ok(checked),
        other => Err(client.unexpected(&other)),
    }
}

fn end_by(driver: &mut Driver, way: Way) -> Result<(), Failure> {
    let signal = match way {
        Way::Told => return driver.end(),
        Way::Terminated => Signal::TERM,
        Way::Killed => Signal::KILL,
    };
    let pid = i32::try_from(driver.id()).ok().and_then(Pid::from_raw).ok_or("no process")?;
    kill_process(pid, signal)?;
    driver.ended()
}

fn files(run_dir: &Path) -> Result<usize, Failure> {
    Ok(std::fs::read_dir(run_dir)?.count())
}
