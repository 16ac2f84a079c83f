//! What a process has, looked at again and again, and whether it became more.

use std::fmt::{self, Display, Formatter};

use netipc_bench::Failure;

/// Resident memory may grow by this much, in KiB, and by one part in so many of what it was: allocators and
/// Go's collector keep what they may need again.
const RSS_SLACK_KIB: u64 = 2_048;
const RSS_SLACK_PART: u64 = 8;
/// Threads may become more by so many: Go starts one where another one is in the kernel for a while.
const THREADS_SLACK: u64 = 3;
/// Fewer samples say nothing of growth.
const LEAST_SAMPLES: usize = 8;

/// What counts as no growth, in words.
pub(crate) fn allowances() -> String {
    format!(
        "What does not count as growth: up to {} MiB resident, or one part in {RSS_SLACK_PART} of what it was, \
         whichever is more, which allocators and Go's collector keep, and up to {THREADS_SLACK} threads, which Go \
         starts. Every descriptor counts.",
        RSS_SLACK_KIB / 1024
    )
}

/// What a process has at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) rss_kib: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
}

impl Sample {
    /// Looks at a process that lives.
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| -> Result<u64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.ok_or_else(|| format!("the kernel does not tell {name}"))?.parse()?)
        };
        Ok(Self {
            rss_kib: field("VmRSS:")?,
            threads: field("Threads:")?,
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        })
    }

    /// That of each which half of the samples are not above.
    fn median(samples: &[Self]) -> Self {
        let of = |field: fn(&Self) -> u64| {
            let mut values: Vec<u64> = samples.iter().map(field).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or(0)
        };
        Self {
            rss_kib: of(|sample| sample.rss_kib),
            threads: of(|sample| sample.threads),
            descriptors: of(|sample| sample.descriptors),
        }
    }
}

/// A process that stays, and what it had from time to time.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) what: String,
    pub(crate) language: String,
    samples: Vec<Sample>,
}

impl Watched {
    pub(crate) fn new(what: &str, language: &str) -> Self {
        Self { what: what.to_owned(), language: language.to_owned(), samples: Vec::new() }
    }

    pub(crate) fn look(&mut self, pid: u32) -> Result<(), Failure> {
        self.samples.push(Sample::of(pid)?);
        Ok(())
    }

    pub(crate) fn looks(&self) -> usize {
        self.samples.len()
    }

    /// What it had once it was warm: the median of the second quarter of the time.
    pub(crate) fn early(&self) -> Sample {
        let quarter = self.samples.len() / 4;
        Sample::median(&self.samples[quarter..2 * quarter])
    }

    /// What it had in the end: the median of the last quarter.
    pub(crate) fn late(&self) -> Sample {
        Sample::median(&self.samples[self.samples.len() - self.samples.len() / 4..])
    }

    /// What became more, if anything.
    pub(crate) fn growth(&self) -> Option<Growth> {
        let (early, late) = (self.early(), self.late());
        let rss = early.rss_kib + RSS_SLACK_KIB.max(early.rss_kib / RSS_SLACK_PART);
        let is_more = late.rss_kib > rss
            || late.threads > early.threads + THREADS_SLACK
            || late.descriptors > early.descriptors;
        let what = format!("{} in {}", self.what, self.language);
        (is_more && self.looks() >= LEAST_SAMPLES).then_some(Growth { what, early, late })
    }
}

/// That a process has more than it had.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    what: String,
    early: Sample,
    late: Sample,
}

impl Display for Growth {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { what, early, late } = self;
        write!(
            f,
            "{what} has grown: from {} to {} KiB, from {} to {} threads, from {} to {} descriptors",
            early.rss_kib,
            late.rss_kib,
            early.threads,
            late.threads,
            early.descriptors,
            late.descriptors
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(sample: impl Fn(u64) -> Sample) -> Watched {
        let samples = (0..40).map(sample).collect();
        Watched { samples, ..Watched::new("a server", "Rust") }
    }

    const STILL: Sample = Sample { rss_kib: 4_000, threads: 5, descriptors: 12 };

    #[test]
    fn what_stays_as_it_is_has_not_grown_nor_what_only_grew_while_it_became_warm() {
        assert!(watched(|_| STILL).growth().is_none());
        let warming = |at: u64| Sample { rss_kib: 4_000 + at.min(9) * 1_000, ..STILL };
        assert!(watched(warming).growth().is_none());
        let noisy = |at: u64| Sample { descriptors: 12 + at % 2, ..STILL };
        assert!(watched(noisy).growth().is_none());
    }

    #[test]
    fn a_leak_of_anything_is_seen() {
        assert!(watched(|at| Sample { rss_kib: 4_000 + at * 120, ..STILL }).growth().is_some());
        assert!(watched(|at| Sample { threads: 5 + at / 4, ..STILL }).growth().is_some());
        assert!(watched(|at| Sample { descriptors: 12 + at / 20, ..STILL }).growth().is_some());
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let mut watched = Watched::new("this", "Rust");
        watched.look(std::process::id()).unwrap();
        let sample = watched.samples[0];
        assert!(sample.rss_kib > 0 && sample.threads > 0 && sample.descriptors > 2, "{sample:?}");
        assert!(watched.look(0).is_err());
    }
}
