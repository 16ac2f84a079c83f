//! Which calls of a driver make a descriptor, and having one of them fail: by `refuse/refuse_descriptor.c`, which
//! watches them all, of every thread.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

use netipc_bench::Failure;
use netipc_bench::drivers::run_dir;
use tempfile::TempDir;

use crate::stage::Drivers;
use crate::watch::Belongings;

/// Where a call names no path.
const NO_PATH: &str = "-";
/// Where it names one that the watcher could not read.
const UNREAD_PATH: &str = "?";
/// At the end of the line of a call that failed.
const REFUSED: &str = "REFUSED";
/// In place of what differs between regions' names.
const ANY: &str = "*";
/// A program that makes a descriptor which names no path, and then one that does.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "exec 3>&1 </dev/null"];
/// What it opens.
const OPENED: &str = "/dev/null";

/// One call of a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    name: String,
    /// The path it names, with a star for the number of a session.
    path: String,
    /// How many of that name and path there are up to it.
    nth: usize,
}

/// How a driver is when nothing is refused to it.
#[derive(Clone, Debug)]
pub(crate) struct Learned {
    /// All its calls that make a descriptor, in their order.
    pub(crate) calls: Vec<Call>,
    /// What it has with one session.
    pub(crate) belongings: Belongings,
    /// Places of calls that were to be refused.
    tried: BTreeSet<usize>,
    /// Of those that were.
    refused: BTreeSet<usize>,
}

impl Learned {
    pub(crate) const fn new(calls: Vec<Call>, belongings: Belongings) -> Self {
        Self { calls, belongings, tried: BTreeSet::new(), refused: BTreeSet::new() }
    }

    /// The call at this place was to be refused, and was if it was made.
    pub(crate) fn tried(&mut self, place: usize, was_refused: bool) {
        self.tried.insert(place);
        if was_refused {
            self.refused.insert(place);
        }
    }

    /// Calls that were not made any more when they were to be refused: as one whose path has something in it that is
    /// another each time.
    pub(crate) fn never_refused(&self) -> impl Iterator<Item = &Call> {
        self.tried.difference(&self.refused).map(|place| &self.calls[*place])
    }
}

/// A driver that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    dir: TempDir,
    refused: Option<Call>,
}

impl Watched {
    /// One to which this call is refused, if any.
    pub(crate) fn new(refused: Option<Call>) -> Result<Self, Failure> {
        Ok(Self { dir: run_dir()?, refused })
    }

    /// What goes before the driver's name.
    pub(crate) fn wrapper(&self, program: &Path) -> Vec<String> {
        let (name, path, nth) = match &self.refused {
            Some(Call { name, path, nth }) => (name.as_str(), path.as_str(), *nth),
            None => (NO_PATH, NO_PATH, 0),
        };
        let log = self.dir.path().join("calls");
        let paths = [program.display().to_string(), log.display().to_string()];
        paths.into_iter().chain([name.to_owned(), path.to_owned(), nth.to_string()]).collect()
    }

    /// Where its complaints go.
    pub(crate) fn complaints(&self) -> Result<File, Failure> {
        Ok(File::create(self.dir.path().join("complaints"))?)
    }

    /// What it complained about.
    pub(crate) fn complained(&self) -> Result<String, Failure> {
        Ok(std::fs::read_to_string(self.dir.path().join("complaints"))?)
    }

    /// Whether the call was made, and so refused.
    pub(crate) fn was_refused(&self) -> Result<bool, Failure> {
        Ok(self.log()?.lines().any(|line| line.ends_with(REFUSED)))
    }

    /// The calls that it made from its first one on which is not that of a loader or of a language's runtime as it
    /// starts: those read files of the system alone. They are counted, as the watcher counts them.
    ///
    /// # Errors
    /// Where the watcher could not read a path: it would refuse another call than is named.
    pub(crate) fn calls(&self) -> Result<Vec<Call>, Failure> {
        let mut calls: Vec<Call> = Vec::new();
        let log = self.log()?;
        for line in log.lines() {
            let (name, path) = line.split_once(' ').ok_or_else(|| format!("a call {line:?}"))?;
            if path == UNREAD_PATH {
                return Err(format!(
                    "the watcher may not read what path {name} names: it needs CAP_SYS_PTRACE, or to be allowed to \
                     read the memory of its user's processes (kernel.yama.ptrace_scope=0)"
                )
                .into());
            }
            let path = without_session(path);
            let before = calls.iter().filter(|call| call.name == name && call.path == path);
            let nth = before.count() + 1;
            calls.push(Call { name: name.to_owned(), path, nth });
        }
        Ok(calls.into_iter().skip_while(|call| call.path != NO_PATH).collect())
    }

    fn log(&self) -> Result<String, Failure> {
        Ok(std::fs::read_to_string(self.dir.path().join("calls"))?)
    }
}

/// That the calls of a program are seen, and the one refused that is named.
pub(crate) fn check_itself(drivers: &Drivers) -> Result<(), Failure> {
    let watched = Watched::new(None)?;
    let ended = play_shell(&watched, &drivers.refusing)?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(format!("calls cannot be watched here: {}", said.trim()).into());
    }
    let opens = watched.calls()?.into_iter().find(|call| call.path == OPENED);
    let watched = Watched::new(Some(opens.ok_or("a call of a shell is not seen")?))?;
    if play_shell(&watched, &drivers.refusing)?.status.success() || !watched.was_refused()? {
        return Err("a call of a shell is not refused".into());
    }
    Ok(())
}

fn play_shell(watched: &Watched, program: &Path) -> Result<Output, Failure> {
    let words = watched.wrapper(program);
    let (program, words) = words.split_first().ok_or("a program")?;
    Ok(Command::new(program).args(words).args(SHELL).output()?)
}

/// A region's path for any session: the first turn's sessions have other numbers than the next one's.
fn without_session(path: &str) -> String {
    match (path.rfind('-'), path.strip_suffix(".ipcshm")) {
        (Some(dash), Some(_)) => format!("{}-{ANY}.ipcshm", &path[..dash]),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(log: &str) -> Watched {
        let watched = Watched::new(None).expect("a directory");
        std::fs::write(watched.dir.path().join("calls"), log).expect("a log");
        watched
    }

    #[test]
    fn calls_are_counted_from_the_loader_on_and_swept_from_the_first_own_one_on() {
        let log = "openat /etc/one\nopenat /etc/two\nsocket -\nopenat /etc/one\nsocket -\n";
        let call = |name: &str, path: &str, nth| Call { name: name.into(), path: path.into(), nth };
        let calls = watched(log).calls().expect("calls");
        let own = [call("socket", "-", 1), call("openat", "/etc/one", 2), call("socket", "-", 2)];
        assert_eq!(calls, own);
    }

    #[test]
    fn a_call_that_is_never_made_again_is_known() {
        let calls = watched("socket -\nopenat /1\nopenat /2\n").calls().expect("calls");
        let belongings = Belongings { descriptors: 0, threads: 0, rss_kib: 0 };
        let mut learned = Learned::new(calls.clone(), belongings);
        for (place, was_refused) in [(0, false), (1, false), (0, true), (0, false), (1, false)] {
            learned.tried(place, was_refused);
        }
        assert_eq!(learned.never_refused().collect::<Vec<_>>(), [&calls[1]]);
    }

    #[test]
    fn a_path_that_cannot_be_read_is_an_error() {
        let told = watched("openat ?\nsocket -\n").calls().expect_err("an error").to_string();
        assert!(told.contains("CAP_SYS_PTRACE"), "{told}");
    }
}
