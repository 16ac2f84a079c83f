//! One row, once: two drivers are started, one measures, and both must have counted the same.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;

use super::plan::{Effort, Language, Row};
use super::strace::Strace;
use crate::lines::{GO, Line, MARK, MEMORY, Mark, Measured};
use crate::work::{Placement, Scenario, name_of};
use crate::{Failure, PATIENCE};

/// Where files lie in memory, on Linux: what is written to a disk some day costs at another time.
const MEMORY_DIR: &str = "/dev/shm";
/// How often the time under strace is measured, one after the other until it brings enough calls.
const STRACE_TIMES: [f64; 3] = [1.0, 4.0, 16.0];
const NS_PER_S: f64 = 1e9;
const BYTES_PER_KIB: u64 = 1_024;

/// What rows are run with.
#[derive(Debug)]
pub(super) struct Bench {
    /// The driver of each language.
    pub(super) drivers: BTreeMap<String, PathBuf>,
    /// The CPUs that this process may use: the first two of them are used.
    pub(super) cpus: Vec<usize>,
    pub(super) effort: Effort,
}

/// What one row came to, once.
#[derive(Clone, Debug)]
pub(super) struct Once {
    pub(super) measured: Measured,
    /// CPUs that were busy for each process: 1 is a whole one.
    pub(super) client_cpu: f64,
    pub(super) server_cpu: f64,
    pub(super) server_rss_kib: u64,
    /// What the server's resident memory grew by in the measured time, in bytes, for a client.
    pub(super) bytes_per_client: f64,
}

/// System calls a call, of each process.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemCalls {
    pub(super) client: f64,
    pub(super) server: f64,
}

impl Bench {
    /// Asks the driver of a language what it plays.
    pub(super) fn language(&self, name: &str) -> Result<Language, Failure> {
        let output = Command::new(self.driver(name)?)
            .arg("scenarios")
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot start the driver of {name}: {error}"))?;
        if !output.status.success() {
            return Err(format!("the driver of {name}: {}", output.status).into());
        }
        let known = |line: &str| {
            Scenario::from_str(line, false).map_err(|_| format!("{name} plays what is not: {line}"))
        };
        let scenarios: Result<_, _> =
            String::from_utf8_lossy(&output.stdout).lines().map(known).collect();
        Ok(Language { name: name.to_owned(), scenarios: scenarios? })
    }

    fn driver(&self, language: &str) -> Result<&Path, Failure> {
        let driver = self.drivers.get(language).map(PathBuf::as_path);
        driver.ok_or_else(|| format!("no driver for {language}").into())
    }

    /// Runs a row.
    pub(super) fn run(&self, row: &Row) -> Result<Once, Failure> {
        let pair = self.start(row, self.effort.seconds);
        pair.and_then(|pair| pair.measure(row))
            .map_err(|failure| format!("{row}: {failure}").into())
    }

    /// Runs a row under strace, for longer where that brings too few calls. Nothing where even then too few
    /// were made to say something.
    pub(super) fn system_calls(&self, row: &Row) -> Result<Option<SystemCalls>, Failure> {
        for times in STRACE_TIMES {
            let pair = self.start(row, self.effort.strace_seconds * times);
            let counted = pair
                .and_then(Pair::count_system_calls)
                .map_err(|failure| format!("{row}, under strace: {failure}"))?;
            if counted.is_some() {
                return Ok(counted);
            }
        }
        Ok(None)
    }

    fn start(&self, row: &Row, seconds: f64) -> Result<Pair, Failure> {
        let run_dir = run_dir()?;
        let patience = PATIENCE + Duration::from_secs_f64(seconds);
        let mut server = self.command(row, &row.server, "server", run_dir.path())?;
        // A client that makes its sessions while it is measured has one before.
        server.args(["--clients", &(row.work.clients + 1).to_string()]);
        let mut server = Driver::start(server, "server", patience)?;
        server.expect_ready()?;
        let mut client = self.command(row, &row.client, "client", run_dir.path())?;
        client.args(["--rate", &row.rate.to_string(), "--seconds", &seconds.to_string()]);
        client.args(["--warmup-seconds", &self.effort.warmup_seconds.to_string()]);
        client.args(["--clients", &row.work.clients.to_string()]);
        let mut client = Driver::start(client, "client", patience)?;
        client.expect_ready()?;
        Ok(Pair { server, client, _run_dir: run_dir })
    }

    fn command(
        &self,
        row: &Row,
        language: &str,
        end: &str,
        run_dir: &Path,
    ) -> Result<Command, Failure> {
        let mut command = Command::new(self.driver(language)?);
        let work = &row.work;
        command
            .arg(end)
            .args(["--scenario", &name_of(work.scenario), "--mix", &name_of(work.mix)])
            .args(["--items", &work.items.to_string(), "--bytes", &work.bytes.to_string()])
            .args(["--transport", &name_of(row.transport), "--service", "bench"])
            .arg("--run-dir")
            .arg(run_dir);
        let cpu = match (row.placement, end) {
            (Placement::Unpinned, _) => return Ok(command),
            (Placement::TwoCpus, "client") => self.cpus.get(1),
            (Placement::TwoCpus | Placement::OneCpu, _) => self.cpus.first(),
        };
        let cpu = cpu.ok_or("too few CPUs for this placement")?;
        command.args(["--cpus", &cpu.to_string()]);
        Ok(command)
    }
}

/// A server and its client, which is ready to measure.
struct Pair {
    // Dropped, and so ended, in this order.
    client: Driver,
    server: Driver,
    _run_dir: TempDir,
}

impl Pair {
    fn measure(mut self, row: &Row) -> Result<Once, Failure> {
        let memory_before_kib = self.server.memory_kib()?;
        let before = self.server.mark()?;
        self.client.say(GO)?;
        let measured = self.client.expect_measured()?;
        let after = self.server.mark()?;
        let server_rss_kib = self.server.memory_kib()?;
        check(row, &measured, before, after)?;
        let window_ns = measured.seconds * NS_PER_S;
        let grown_bytes = server_rss_kib.saturating_sub(memory_before_kib) * BYTES_PER_KIB;
        self.client.end()?;
        self.server.end()?;
        Ok(Once {
            client_cpu: measured.cpu_ns as f64 / window_ns,
            server_cpu: (after.cpu_ns - before.cpu_ns) as f64 / window_ns,
            server_rss_kib,
            bytes_per_client: grown_bytes as f64 / f64::from(row.work.clients),
            measured: *measured,
        })
    }

    fn count_system_calls(mut self) -> Result<Option<SystemCalls>, Failure> {
        /// Fewer calls drown in what ending a measurement takes.
        const LEAST_CALLS: u64 = 100;
        let client = Strace::attach(self.client.child.id())?;
        let server = Strace::attach(self.server.child.id())?;
        self.client.say(GO)?;
        let measured = self.client.expect_measured()?;
        let (client, server) = (client.end()?, server.end()?);
        self.client.end()?;
        self.server.end()?;
        let calls = measured.calls as f64;
        let counted =
            || SystemCalls { client: client as f64 / calls, server: server as f64 / calls };
        Ok((measured.calls >= LEAST_CALLS).then(counted))
    }
}

/// Every call was answered by a handler that was called once for it.
fn check(row: &Row, measured: &Measured, before: Mark, after: Mark) -> Result<(), Failure> {
    if measured.calls == 0 || measured.timed == 0 {
        return Err("no call was answered".into());
    }
    let handled = after.handled - before.handled;
    if handled != measured.requests {
        let requests = measured.requests;
        return Err(format!("the server handled {handled} requests, of {requests}").into());
    }
    let sends = !row.work.scenario.is_in_process();
    if sends && measured.requests < measured.calls {
        return Err(format!("{} calls sent {} requests", measured.calls, measured.requests).into());
    }
    if row.work.scenario == Scenario::Idle && measured.calls != u64::from(row.work.clients) {
        return Err(format!("{} sessions were made", measured.calls).into());
    }
    Ok(())
}

fn run_dir() -> Result<TempDir, Failure> {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("netipc-bench-");
        builder
    };
    match builder().tempdir_in(MEMORY_DIR) {
        Ok(dir) => Ok(dir),
        Err(_) => Ok(builder().tempdir()?),
    }
}

/// A driver that runs. Killed at the latest with this.
struct Driver {
    child: Child,
    end: &'static str,
    words: Option<ChildStdin>,
    lines: Receiver<String>,
    patience: Duration,
}

impl Driver {
    fn start(mut command: Command, end: &'static str, patience: Duration) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
        let (words, out) = (child.stdin.take(), child.stdout.take().ok_or("no output")?);
        let (say, lines) = channel();
        // Ends with the driver's output.
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, end, words, lines, patience })
    }

    fn say(&mut self, word: &str) -> Result<(), Failure> {
        let words = self.words.as_mut().ok_or("the driver was ended")?;
        Ok(writeln!(words, "{word}")?)
    }

    fn next(&mut self) -> Result<Line, Failure> {
        match self.lines.recv_timeout(self.patience) {
            Ok(line) => serde_json::from_str(&line)
                .map_err(|error| format!("the {} says {line:?}: {error}", self.end).into()),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("the {} said nothing for {:?}", self.end, self.patience).into())
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait()?;
                Err(format!("the {} ended early: {status}; its own words are above", self.end)
                    .into())
            }
        }
    }

    fn expect_ready(&mut self) -> Result<(), Failure> {
        match self.next()? {
            Line::Ready => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    fn expect_measured(&mut self) -> Result<Box<Measured>, Failure> {
        match self.next()? {
            Line::Measured(measured) => Ok(measured),
            other => Err(self.unexpected(&other)),
        }
    }

    fn mark(&mut self) -> Result<Mark, Failure> {
        self.say(MARK)?;
        match self.next()? {
            Line::Mark(mark) => Ok(mark),
            other => Err(self.unexpected(&other)),
        }
    }

    fn memory_kib(&mut self) -> Result<u64, Failure> {
        self.say(MEMORY)?;
        match self.next()? {
            Line::Memory { rss_kib } => Ok(rss_kib),
            other => Err(self.unexpected(&other)),
        }
    }

    fn unexpected(&self, line: &Line) -> Failure {
        format!("the {} says what it was not asked: {line:?}", self.end).into()
    }

    /// Lets it end, which it must do well.
    fn end(&mut self) -> Result<(), Failure> {
        drop(self.words.take());
        match self.lines.recv_timeout(self.patience) {
            Err(RecvTimeoutError::Disconnected) => {}
            Ok(line) => return Err(format!("the {} goes on: {line}", self.end).into()),
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("the {} does not end", self.end).into());
            }
        }
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the {}: {status}", self.end).into()) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended already.
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}
