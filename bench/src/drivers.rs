//! Drivers as processes that a runner starts, talks to and ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::Failure;
use crate::lines::{Line, MARK, MEMORY, Mark, Measured};

/// Where files lie in memory, on Linux: what is written to a disk some day costs at another time.
const MEMORY_DIR: &str = "/dev/shm";

/// A place for the files of a pair of drivers, gone with it.
///
/// # Errors
/// Those of making a directory.
pub fn run_dir() -> Result<TempDir, Failure> {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("netipc-");
        builder
    };
    match builder().tempdir_in(MEMORY_DIR) {
        Ok(dir) => Ok(dir),
        Err(_) => Ok(builder().tempdir()?),
    }
}

/// A driver that runs. Killed at the latest with this.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    end: &'static str,
    words: Option<ChildStdin>,
    lines: Receiver<String>,
    patience: Duration,
}

impl Driver {
    /// Starts it as `end`, which is what messages call it. It may be silent for so long.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(
        mut command: Command,
        end: &'static str,
        patience: Duration,
    ) -> Result<Self, Failure> {
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

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// One word to it.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn say(&mut self, word: &str) -> Result<(), Failure> {
        let words = self.words.as_mut().ok_or("the driver was ended")?;
        Ok(writeln!(words, "{word}")?)
    }

    /// What it says next.
    ///
    /// # Errors
    /// Where that is no line of a driver, or where it ends or is silent for too long.
    pub fn hear(&mut self) -> Result<Line, Failure> {
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

    /// What it says within this time, where that is another than it may be silent for in general.
    ///
    /// # Errors
    /// Those of [`Driver::hear`].
    pub fn hear_within(&mut self, patience: Duration) -> Result<Line, Failure> {
        let usual = std::mem::replace(&mut self.patience, patience);
        let heard = self.hear();
        self.patience = usual;
        heard
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// Those of asking the system.
    pub fn has_ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended, by itself or because it was made to.
    ///
    /// # Errors
    /// Those of asking the system.
    pub fn wait(&mut self) -> Result<ExitStatus, Failure> {
        Ok(self.child.wait()?)
    }

    /// That it says that it is ready.
    ///
    /// # Errors
    /// Those of [`Driver::hear`], or what it says in place of that.
    pub fn expect_ready(&mut self) -> Result<(), Failure> {
        match self.hear()? {
            Line::Ready => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    pub(crate) fn expect_measured(&mut self) -> Result<Box<Measured>, Failure> {
        match self.hear()? {
            Line::Measured(measured) => Ok(measured),
            other => Err(self.unexpected(&other)),
        }
    }

    /// What a server has done so far.
    ///
    /// # Errors
    /// Those of [`Driver::hear`], or what it says in place of that.
    pub fn mark(&mut self) -> Result<Mark, Failure> {
        self.say(MARK)?;
        match self.hear()? {
            Line::Mark(mark) => Ok(mark),
            other => Err(self.unexpected(&other)),
        }
    }

    pub(crate) fn memory_kib(&mut self) -> Result<u64, Failure> {
        self.say(MEMORY)?;
        match self.hear()? {
            Line::Memory { rss_kib } => Ok(rss_kib),
            other => Err(self.unexpected(&other)),
        }
    }

    /// It said something else than it should have.
    #[must_use]
    pub fn unexpected(&self, line: &Line) -> Failure {
        format!("the {} says what it was not asked: {line:?}", self.end).into()
    }

    /// Waits until it has ended, well or not: it was sent a signal.
    ///
    /// # Errors
    /// Where it goes on.
    pub fn ended(&mut self) -> Result<(), Failure> {
        loop {
            match self.lines.recv_timeout(self.patience) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("the {} does not end", self.end).into());
                }
            }
        }
        self.child.wait()?;
        Ok(())
    }

    /// Lets it end, which it must do well.
    ///
    /// # Errors
    /// Where it says more, fails, or goes on.
    pub fn end(&mut self) -> Result<(), Failure> {
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
