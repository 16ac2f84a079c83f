//! How many system calls a process makes: `strace -c`, attached to it for a while.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::NamedTempFile;

use crate::Failure;

/// An strace that counts. Killed at the latest with this; the process goes on.
pub(super) struct Strace {
    child: Child,
    said: BufReader<ChildStderr>,
    summary: NamedTempFile,
}

impl Strace {
    /// Counts the system calls of a process and all its threads from now on.
    pub(super) fn attach(pid: u32) -> Result<Self, Failure> {
        let summary = NamedTempFile::new()?;
        let mut child = Command::new("strace")
            .args(["-c", "-f", "-p", &pid.to_string(), "-o"])
            .arg(summary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start strace: {error}"))?;
        let said = BufReader::new(child.stderr.take().ok_or("strace has no output")?);
        let mut strace = Self { child, said, summary };
        let mut line = String::new();
        strace.said.read_line(&mut line)?;
        if line.contains("attached") { Ok(strace) } else { Err(line.trim().to_owned().into()) }
    }

    /// Lets go of the process. Answers how many system calls it has made.
    pub(super) fn end(mut self) -> Result<u64, Failure> {
        // It sums up when it is interrupted, and not when it is killed.
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        if !told.success() {
            return Err(format!("strace cannot be interrupted: {told}").into());
        }
        // It ends by the signal that it was sent.
        self.child.wait()?;
        let summary = std::fs::read_to_string(self.summary.path())?;
        total(&summary).ok_or_else(|| format!("strace summed nothing up: {summary:?}").into())
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It may have ended already.
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The calls of the line that sums all others up: time, seconds, time a call, calls, errors.
fn total(summary: &str) -> Option<u64> {
    if summary.trim().is_empty() {
        return Some(0);
    }
    let line = summary.lines().rev().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_total_counts() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000060           1        41           sendmsg
 40.00    0.000040           1        42         1 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.000100           1        83         1 total
";
        assert_eq!(total(summary), Some(83));
        assert_eq!(total(""), Some(0));
        assert_eq!(total("something else"), None);
    }
}
