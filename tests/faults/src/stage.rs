//! Where faults are provoked: a run directory, a server, a client that calls on and on, and a bystander
//! of a third language, each made when it is first wanted and kept for the next turn.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use netipc_bench::Failure;
use netipc_bench::drivers::{Driver, run_dir};
use netipc_bench::lines::{COUNTS, Endured, Line, NEXT, TELL, Unserved};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use crate::fault::{Language, Over, Sides};
use crate::refusals::Learned;
use crate::watch::{Belongings, descriptors_of_a_session, names, regions, settles};

/// The endpoint's name in each run directory.
pub(crate) const SERVICE: &str = "faults";
/// How long a driver may be silent, or anything may take that has no promise of its own: on a machine
/// that is busy for as long, only what hangs takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a call may take, unless a fault says otherwise.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long until what the dead left must be gone: a hundred times less is what is promised, and the
/// median held to it.
pub(crate) const SETTLING: Duration = Duration::from_secs(10);
/// The longest string that clients send, unless a fault says otherwise.
const TEXT_BYTES: usize = 2_000;
/// Clients that come to a server at most, unless a fault says otherwise.
const CLIENTS: usize = 16;
/// The pause of bystanders between two calls.
const BYSTANDER_REST_US: &str = "1000";

/// The drivers.
#[derive(Debug)]
pub(crate) struct Drivers {
    pub(crate) of: BTreeMap<Language, PathBuf>,
    /// Those that can be told to die between two steps.
    pub(crate) dying: BTreeMap<Language, PathBuf>,
    /// The library that has a driver's wall clock jump.
    pub(crate) jumping_clock: PathBuf,
    /// The program that watches a driver make its descriptors, and refuses one.
    pub(crate) refusing: PathBuf,
}

/// A client that endures.
#[derive(Debug)]
pub(crate) struct Client {
    driver: Driver,
    pub(crate) language: Language,
    /// What it had with its first session.
    before: Option<Belongings>,
    /// What it told last.
    told: Endured,
}

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) driver: Driver,
    pub(crate) language: Language,
    /// What it had before its first client.
    before: Belongings,
}

/// Where one pair meets.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) drivers: &'a Drivers,
    pub(crate) sides: Sides,
    /// A file system of the run directory's own; before the directory, for it is undone first.
    mounted: Option<Mounted>,
    pub(crate) dir: TempDir,
    pub(crate) random: Random,
    pub(crate) server: Option<Server>,
    pub(crate) client: Option<Client>,
    pub(crate) bystander: Option<Client>,
    /// Before a driver's name: a program that runs it under other circumstances.
    pub(crate) server_wrapper: Vec<String>,
    pub(crate) client_wrapper: Vec<String>,
    /// How long calls of clients to come may take.
    pub(crate) timeout: Duration,
    /// The longest string of clients to come, in bytes.
    pub(crate) bytes: usize,
    /// How many clients a server to come is told to expect.
    pub(crate) announced: usize,
    /// Calls that were answered rightly, of all clients so far.
    pub(crate) right: u64,
    /// How the driver is whose calls are refused, once that is known.
    pub(crate) learned: Option<Learned>,
    /// How many were taken by [`Stage::next_of`].
    taken: usize,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(drivers: &'a Drivers, sides: Sides, seed: u64) -> Result<Self, Failure> {
        Ok(Self {
            drivers,
            sides,
            mounted: None,
            dir: run_dir()?,
            random: Random(seed | 1),
            server: None,
            client: None,
            bystander: None,
            server_wrapper: Vec::new(),
            client_wrapper: Vec::new(),
            timeout: CALL_TIMEOUT,
            bytes: TEXT_BYTES,
            announced: CLIENTS,
            right: 0,
            learned: None,
            taken: 0,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A server and a client that has been answered, and how they are now.
    pub(crate) fn pair(&mut self) -> Result<(), Failure> {
        self.serve()?;
        if self.client.is_none() {
            self.client = Some(self.new_client(self.sides.client, &[])?);
        }
        self.recovers()?;
        Ok(())
    }

    /// A client of this server, and what came of its first call.
    pub(crate) fn pair_with(&mut self, server: Driver) -> Result<Result<(), Failure>, Failure> {
        let before = Belongings::of(server.id())?;
        self.server = Some(Server { driver: server, language: self.sides.server, before });
        self.client = Some(self.new_client(self.sides.client, &[])?);
        let client = self.client.as_mut().ok_or("a client")?;
        let told = settles(PATIENCE, || {
            let (told, _) = client.say(TELL, PATIENCE)?;
            Ok((told.right == 0).then(|| "no answers".to_owned()))
        });
        Ok(told.map(drop))
    }

    /// A server, where there is none.
    pub(crate) fn serve(&mut self) -> Result<(), Failure> {
        if self.server.is_none() {
            self.server = Some(self.new_server(self.sides.server)?);
        }
        Ok(())
    }

    /// A bystander that has been answered: of another language than the client, and unharmed.
    pub(crate) fn bystander(&mut self) -> Result<(), Failure> {
        if self.bystander.is_none() {
            let rest = ["--rest-us", BYSTANDER_REST_US];
            self.bystander = Some(self.new_client(self.sides.client.other(), &rest)?);
        }
        let answered = self.bystander.as_mut().ok_or("a bystander")?.say(NEXT, PATIENCE)?;
        self.right += answered.1;
        Ok(())
    }

    /// That the bystander has noticed nothing: it was answered all the time, and is now.
    pub(crate) fn bystander_is_well(&mut self) -> Result<(), Failure> {
        let bystander = self.bystander.as_mut().ok_or("a bystander")?;
        let (told, right) = bystander.say(NEXT, PATIENCE)?;
        self.right += right;
        if told.missed() > 0 {
            return Err(format!("a bystander was not served: {}", told.reason).into());
        }
        Ok(())
    }

    /// That a call of the client that begins now is answered rightly, and that none was wrongly.
    pub(crate) fn recovers(&mut self) -> Result<Endured, Failure> {
        self.ask_client(NEXT)
    }

    /// A word to the client, and what it tells.
    pub(crate) fn ask_client(&mut self, word: &str) -> Result<Endured, Failure> {
        let client = self.client.as_mut().ok_or("a client")?;
        let (told, right) = client.say(word, PATIENCE)?;
        self.right += right;
        Ok(told)
    }

    /// Counts what asks for it: for harm that goes through a list of its own.
    pub(crate) const fn turn_number(&mut self) -> usize {
        self.taken += 1;
        self.taken
    }

    /// One after the other of these, from turn to turn.
    pub(crate) fn next_of<T: Copy>(&mut self, all: &[T]) -> T {
        self.taken += 1;
        all[self.taken % all.len()]
    }

    /// Lets a random moment pass: what harm is done at a time of its own.
    pub(crate) fn moment(&mut self, most: Duration) {
        let most_us = most.as_micros() as u64;
        std::thread::sleep(Duration::from_micros(self.random.below(most_us.max(1))));
    }

    /// A signal to the server's process.
    pub(crate) fn signal_server(&self, signal: Signal) -> Result<(), Failure> {
        signal_driver(&self.server.as_ref().ok_or("a server")?.driver, signal)
    }

    /// A signal to the client's process.
    pub(crate) fn signal_client(&self, signal: Signal) -> Result<(), Failure> {
        signal_driver(&self.client.as_ref().ok_or("a client")?.driver, signal)
    }

    /// Kills the server as nothing can be prepared for.
    pub(crate) fn kill_server(&mut self) -> Result<(), Failure> {
        self.signal_server(Signal::KILL)?;
        let mut server = self.server.take().ok_or("a server")?;
        server.driver.wait()?;
        Ok(())
    }

    /// Lets the server end well.
    pub(crate) fn end_server(&mut self) -> Result<(), Failure> {
        self.server.take().ok_or("a server")?.driver.end()
    }

    /// Kills the client. Answers when that was.
    pub(crate) fn kill_client(&mut self) -> Result<Instant, Failure> {
        self.signal_client(Signal::KILL)?;
        let mut client = self.client.take().ok_or("a client")?;
        client.driver.wait()?;
        Ok(Instant::now())
    }

    /// Lets client and server end well.
    pub(crate) fn end_both(&mut self) -> Result<(), Failure> {
        if let Some(mut client) = self.client.take() {
            self.right += client.say(TELL, PATIENCE)?.1;
            client.driver.end()?;
        }
        self.end_server()
    }

    /// Lets the bystander end well.
    pub(crate) fn end_bystander(&mut self) -> Result<(), Failure> {
        self.bystander.take().ok_or("a bystander")?.driver.end()
    }

    /// That the regions of the dead are gone: what is there is of the client's session.
    pub(crate) fn no_stale_regions(&self) -> Result<(), Failure> {
        let sessions = usize::from(self.sides.over == Over::Shared);
        settles(SETTLING, || {
            let regions = regions(self.path())?;
            Ok((regions > sessions).then(|| format!("{regions} regions of {sessions} sessions")))
        })?;
        Ok(())
    }

    /// Gives the run directory a file system of its own in memory, of so much room, unless it has one.
    pub(crate) fn mount_run_dir(&mut self, options: &str) -> Result<(), Failure> {
        if self.mounted.is_none() {
            self.mounted = Some(Mounted::tmpfs(self.path(), options)?);
        }
        Ok(())
    }

    /// Takes it away again.
    pub(crate) fn unmount_run_dir(&mut self) -> Result<(), Failure> {
        self.mounted.take().ok_or("a file system")?;
        Ok(())
    }

    /// What the server counted of clients that it did not serve.
    pub(crate) fn counts(&mut self) -> Result<Unserved, Failure> {
        let server = &mut self.server.as_mut().ok_or("a server")?.driver;
        server.say(COUNTS)?;
        match server.hear()? {
            Line::Counts(counts) => Ok(counts),
            other => Err(server.unexpected(&other)),
        }
    }

    /// Waits until the server has no more than it had before its first client, these sessions aside.
    pub(crate) fn server_settles(&self, sessions: usize) -> Result<Duration, Failure> {
        self.server_settles_within(sessions, SETTLING)
    }

    /// The same, within this time.
    pub(crate) fn server_settles_within(
        &self,
        sessions: usize,
        within: Duration,
    ) -> Result<Duration, Failure> {
        let server = self.server.as_ref().ok_or("a server")?;
        let shared = if self.sides.over == Over::Shared { sessions } else { 0 };
        settles(within, || {
            let now = Belongings::of(server.driver.id())?;
            let mut allowed = server.before;
            // Over shared memory also who sleeps on the region.
            allowed.descriptors += sessions * descriptors_of_a_session(server.language);
            allowed.threads += shared;
            if let Some(more) = now.more_than(&allowed, server.language) {
                return Ok(Some(format!("{more} in the server")));
            }
            let regions = regions(self.path())?;
            Ok((regions > shared).then(|| format!("{regions} regions of {shared} sessions")))
        })
    }

    /// The end of a stage that nothing went wrong on: nobody holds more than before, everybody ends
    /// well, and nothing is left but the lock.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        for call in self.learned.iter().flat_map(Learned::never_refused) {
            eprintln!("{}: not made again, and so never refused: {call:?}", self.sides);
        }
        for client in [self.client.take(), self.bystander.take()].into_iter().flatten() {
            self.right += client.finish()?;
        }
        if self.server.is_some() {
            self.server_settles(0)?;
            self.end_server()?;
        }
        let left = names(self.path())?;
        let lock = format!("{SERVICE}.lock");
        match left.iter().find(|name| **name != lock) {
            Some(name) => Err(format!("{name} is left in the run directory").into()),
            None => Ok(()),
        }
    }

    /// A server that serves.
    pub(crate) fn new_server(&self, language: Language) -> Result<Server, Failure> {
        let driver = self.drivers.of.get(&language).ok_or("a language without a driver")?;
        self.server_of(driver, language)
    }

    /// The same, by this driver.
    pub(crate) fn server_of(&self, driver: &Path, language: Language) -> Result<Server, Failure> {
        let mut driver = self.start_server_of(driver, &[], Stdio::inherit())?;
        driver.expect_ready()?;
        let before = Belongings::of(driver.id())?;
        Ok(Server { driver, language, before })
    }

    /// A server's process, which may or may not come to serve.
    pub(crate) fn start_server(
        &self,
        language: Language,
        more: &[&str],
        complaints: Stdio,
    ) -> Result<Driver, Failure> {
        let driver = self.drivers.of.get(&language).ok_or("a language without a driver")?;
        self.start_server_of(driver, more, complaints)
    }

    /// The same, by this driver.
    pub(crate) fn start_server_of(
        &self,
        driver: &Path,
        more: &[&str],
        complaints: Stdio,
    ) -> Result<Driver, Failure> {
        let mut command = self.command(&self.server_wrapper, driver, "server");
        command.args(["--clients", &self.announced.to_string()]).args(more).stderr(complaints);
        Driver::start(command, "server", PATIENCE)
    }

    /// A client that endures, and has not been answered yet.
    pub(crate) fn new_client(&self, language: Language, more: &[&str]) -> Result<Client, Failure> {
        let driver = self.drivers.of.get(&language).ok_or("a language without a driver")?;
        self.new_client_of(driver, language, more)
    }

    /// The same, by this driver.
    pub(crate) fn new_client_of(
        &self,
        driver: &Path,
        language: Language,
        more: &[&str],
    ) -> Result<Client, Failure> {
        let mut driver = self.start_client_of(driver, more, Stdio::inherit())?;
        driver.expect_ready()?;
        Ok(Client { driver, language, before: None, told: Endured::default() })
    }

    /// A client, or its process if that does not come to call.
    pub(crate) fn try_client(
        &self,
        language: Language,
        complaints: Stdio,
    ) -> Result<Result<Client, Driver>, Failure> {
        let driver = self.drivers.of.get(&language).ok_or("a language without a driver")?;
        let mut driver = self.start_client_of(driver, &[], complaints)?;
        if driver.expect_ready().is_err() {
            return Ok(Err(driver));
        }
        Ok(Ok(Client { driver, language, before: None, told: Endured::default() }))
    }

    fn start_client_of(
        &self,
        driver: &Path,
        more: &[&str],
        complaints: Stdio,
    ) -> Result<Driver, Failure> {
        let mut command = self.command(&self.client_wrapper, driver, "endure");
        let timeout_ms = self.timeout.as_millis().to_string();
        command.args(["--timeout-ms", &timeout_ms]).args(more).stderr(complaints);
        Driver::start(command, "client", PATIENCE)
    }

    fn command(&self, wrapper: &[String], driver: &Path, end: &str) -> Command {
        let mut words = wrapper.iter().map(String::as_str);
        let mut command = match words.next() {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(driver);
                command
            }
            None => Command::new(driver),
        };
        command
            .args([end, "--scenario", "reverse", "--bytes", &self.bytes.to_string()])
            .args(["--transport", self.sides.over.argument(), "--service", SERVICE])
            .arg("--run-dir")
            .arg(self.path())
            // The Go driver need not start itself again: it keeps to no CPUs.
            .env("NETIPC_BENCH_SETTLED", "1");
        command
    }
}

impl Client {
    /// A word to it, and what it tells within this time: also how many more were answered rightly. No answer that it
    /// was given is wrong, and nobody broke the contract with it.
    pub(crate) fn say(&mut self, word: &str, within: Duration) -> Result<(Endured, u64), Failure> {
        self.driver.say(word)?;
        let told = match self.driver.hear_within(within)? {
            Line::Endured(told) => told,
            other => return Err(self.driver.unexpected(&other)),
        };
        if told.wrong > 0 {
            return Err(format!("a wrong answer: {}", told.reason).into());
        }
        if told.broken > 0 {
            return Err(format!("the contract was broken: {}", told.reason).into());
        }
        if word == NEXT && self.before.is_none() {
            self.before = Some(Belongings::of(self.driver.id())?);
        }
        let right = told.right - self.told.right;
        self.told = told.clone();
        Ok((told, right))
    }

    /// Its process.
    pub(crate) const fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    /// That it holds no more than with its first session, and ends well. Answers how many more calls
    /// were answered rightly.
    fn finish(mut self) -> Result<u64, Failure> {
        let (_, right) = self.say(TELL, PATIENCE)?;
        if let Some(before) = self.before {
            let now = Belongings::of(self.driver.id())?;
            if let Some(more) = now.more_than(&before, self.language) {
                return Err(format!("the client has {more}").into());
            }
        }
        self.driver.end()?;
        Ok(right)
    }
}

/// A file system in memory, seen by this runner and what it starts alone.
#[derive(Debug)]
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(path: &Path, options: &str) -> Result<Self, Failure> {
        let options = CString::new(options)?;
        mount("faults", path, "tmpfs", MountFlags::empty(), Some(options.as_c_str())).map_err(
            |error| format!("cannot mount a small tmpfs ({error}): run as tools/faults does"),
        )?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What still uses it keeps it for itself; nothing else is there to be done about an error.
        let _gone = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// A signal to a driver that runs.
pub(crate) fn signal_driver(driver: &Driver, signal: Signal) -> Result<(), Failure> {
    Ok(kill_process(pid_of(driver)?, signal)?)
}

/// Stops a driver, and answers once none of its threads runs any more: the signal alone is only on its way.
pub(crate) fn stop_driver(driver: &Driver) -> Result<(), Failure> {
    signal_driver(driver, Signal::STOP)?;
    // Left as it is found: how it ends is the driver's to be told.
    let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid_of(driver)?), options)? {
        Some(status) if status.stopped() => Ok(()),
        _ => Err("it ended before it could be stopped".into()),
    }
}

fn pid_of(driver: &Driver) -> Result<Pid, Failure> {
    Ok(i32::try_from(driver.id()).ok().and_then(Pid::from_raw).ok_or("a process")?)
}

/// That a process ended because it said that something failed: by no signal, and by no panic.
pub(crate) fn ends_in_words(driver: &mut Driver) -> Result<(), Failure> {
    const FAILED: i32 = 1;
    let status = driver.wait()?;
    if status.code() == Some(FAILED) {
        Ok(())
    } else {
        Err(format!("it ended with {status}").into())
    }
}

/// Marsaglia's xorshift: the same harm in each run with the same seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
