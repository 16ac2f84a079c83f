//! The command as a process: run to its end, or serving until it is told to stop.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::{str, thread};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::host::FixtureHost;

/// Exit statuses, as `--help` has them.
pub(crate) const FAILED: Option<i32> = Some(1);
pub(crate) const WRONG_USAGE: Option<i32> = Some(2);
pub(crate) const NO_PROVIDER: Option<i32> = Some(3);
pub(crate) const REFUSED: Option<i32> = Some(4);

pub(crate) const SERVICES: [&str; 5] =
    ["cgroups-snapshot", "cgroups-lookup", "apps-lookup", "increment", "string-reverse"];

/// The command, with an environment that says nothing to it.
pub(crate) fn netipc(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netipc"));
    command.args(arguments).env_remove("NETIPC_TOKEN").env_remove("NETIPC_RUN_DIR");
    command
}

/// Runs it to its end with `input` on its standard input.
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Output {
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        // A command that refuses does not read on.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

/// Standard output as JSON, of a command that succeeded.
#[track_caller]
pub(crate) fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
pub(crate) fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// The command failed so, and said why in one line that has all of `words`.
#[track_caller]
pub(crate) fn assert_refuses(output: &Output, code: Option<i32>, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), code, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

/// An empty run directory.
pub(crate) struct RunDir(TempDir);

impl RunDir {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("netipc-").unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn socket(&self, service: &str) -> PathBuf {
        self.path().join(format!("{service}.sock"))
    }

    /// A command that asks in this directory.
    pub(crate) fn netipc(&self, arguments: &[&str]) -> Command {
        let mut command = netipc(arguments);
        command.arg("--run-dir").arg(self.path());
        command
    }

    /// Its output, once it has ended.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.netipc(arguments).output().unwrap()
    }

    /// Providers of all services of `host`, ready.
    pub(crate) fn serve_all(&self, host: &FixtureHost) -> Provider {
        let arguments = host.arguments();
        let mut all = vec!["serve", "--all"];
        all.extend(arguments.iter().map(String::as_str));
        Provider::start(&mut self.netipc(&all), SERVICES.len())
    }

    /// A provider of one service that needs no host, ready.
    pub(crate) fn serve(&self, service: &str) -> Provider {
        Provider::start(&mut self.netipc(&["serve", service]), 1)
    }
}

/// A process that serves; killed when dropped.
pub(crate) struct Provider {
    child: Child,
    pub(crate) ready: Vec<String>,
}

impl Provider {
    /// Starts it, and waits until it has said that `count` services are ready.
    #[track_caller]
    pub(crate) fn start(command: &mut Command, count: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.as_mut().unwrap());
        let ready: Vec<String> = out.lines().take(count).map(Result::unwrap).collect();
        let provider = Self { child, ready };
        assert_eq!(provider.ready.len(), count, "{:?}", provider.ready);
        provider
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, and waits for its end.
    pub(crate) fn end(mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
