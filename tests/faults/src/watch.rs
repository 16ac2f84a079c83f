//! What a process has, seen from outside, and what lies in a run directory.

use std::path::Path;
use std::time::{Duration, Instant};

use netipc_bench::Failure;

use crate::fault::Language;

/// The pause between two looks. No event tells that another process has closed something.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// What a server in Go makes once, and perhaps only after it has said that it is ready.
const SPARE_GO_DESCRIPTORS: usize = 1;
/// A session's socket.
const SESSION_DESCRIPTORS: usize = 1;
/// In Go also what it waits at for room to send, and for messages: made with the session, so that neither can fail
/// for want of a descriptor.
const GO_SESSION_DESCRIPTORS: usize = 3;
/// Threads that Go's scheduler keeps for later, having needed them for blocking system calls at once.
const SPARE_GO_THREADS: usize = 16;
/// What allocators keep of what was freed.
const SPARE_RSS_KIB: u64 = 24 * 1024;

/// What a process has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belongings {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) rss_kib: u64,
}

impl Belongings {
    /// Those of a process that runs.
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        let count =
            |what| Ok::<_, Failure>(std::fs::read_dir(format!("/proc/{pid}/{what}"))?.count());
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss_kib = rss.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Ok(Self {
            descriptors: count("fd")?,
            threads: count("task")?,
            rss_kib: rss_kib.ok_or("the kernel tells no resident memory")?,
        })
    }

    /// What there is more of than before, in words, if anything.
    pub(crate) fn more_than(&self, before: &Self, language: Language) -> Option<String> {
        let (spare_descriptors, spare_threads) = match language {
            Language::Go => (SPARE_GO_DESCRIPTORS, SPARE_GO_THREADS),
            Language::C | Language::Rust => (0, 0),
        };
        if self.descriptors > before.descriptors + spare_descriptors {
            return Some(format!(
                "{} descriptors, before {}",
                self.descriptors, before.descriptors
            ));
        }
        if self.threads > before.threads + spare_threads {
            return Some(format!("{} threads, before {}", self.threads, before.threads));
        }
        if self.rss_kib > before.rss_kib + SPARE_RSS_KIB {
            return Some(format!("{} KiB resident, before {}", self.rss_kib, before.rss_kib));
        }
        None
    }
}

/// What nobody is blamed for, in words.
pub(crate) fn allowances() -> String {
    format!(
        "What is not counted as more: up to {} MiB resident, which allocators keep of what was freed; in Go also \
         {SPARE_GO_DESCRIPTORS} descriptor, which a process makes once, and up to {SPARE_GO_THREADS} threads, which \
         its scheduler keeps for later. In C and Rust no descriptor and no thread is.",
        SPARE_RSS_KIB / 1024
    )
}

/// How many descriptors a server keeps for each session.
pub(crate) const fn descriptors_of_a_session(language: Language) -> usize {
    match language {
        Language::Go => GO_SESSION_DESCRIPTORS,
        Language::C | Language::Rust => SESSION_DESCRIPTORS,
    }
}

/// The names in a run directory, sorted.
pub(crate) fn names(run_dir: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(run_dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Regions among them.
pub(crate) fn regions(run_dir: &Path) -> Result<usize, Failure> {
    Ok(names(run_dir)?.iter().filter(|name| name.ends_with(".ipcshm")).count())
}

/// Looks until nothing is amiss, and answers how long that took.
pub(crate) fn settles(
    within: Duration,
    mut amiss: impl FnMut() -> Result<Option<String>, Failure>,
) -> Result<Duration, Failure> {
    let start = Instant::now();
    while let Some(what) = amiss()? {
        if start.elapsed() > within {
            return Err(format!("after {within:?} there are still {what}").into());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_tells_what_is_allowed() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = std::fs::read_to_string(readme).expect("a README");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&readme).contains(&allowances()), "{}", allowances());
    }
}
