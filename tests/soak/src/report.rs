//! What a soak came to, in words.

use std::fmt::Write as _;
use std::time::Duration;

use crate::samples::{Sample, Watched, allowances};
use crate::stage::Outcome;

/// All stages together.
pub(crate) struct Report<'a> {
    time: Duration,
    stages: &'a [Outcome],
}

impl<'a> Report<'a> {
    pub(crate) const fn new(time: Duration, stages: &'a [Outcome]) -> Self {
        Self { time, stages }
    }

    /// Whoever has more than it had.
    pub(crate) fn growth(&self) -> impl Iterator<Item = String> {
        self.stages.iter().flat_map(|stage| {
            let grown = stage.watched.iter().filter_map(Watched::growth);
            grown.map(|growth| format!("{}: {growth}", stage.name))
        })
    }

    pub(crate) fn summary(&self) -> String {
        let sum = |field: fn(&Outcome) -> u64| self.stages.iter().map(field).sum::<u64>();
        format!(
            "{} stages for {} s: {} calls answered, {} items verified, none wrong; {} lost while a server was away; \
             {} servers and {} clients ended and replaced\n",
            self.stages.len(),
            self.time.as_secs(),
            sum(|stage| stage.calls),
            sum(|stage| stage.items),
            sum(|stage| stage.lost),
            sum(|stage| stage.servers_ended),
            sum(|stage| stage.clients_ended),
        )
    }

    /// docs/soak.md, of a soak of this code.
    pub(crate) fn page(&self, code: &str) -> String {
        let mut page = format!("{PREFACE} {}\n\n", allowances());
        page.push_str(&self.summary());
        let _infallible = writeln!(page, "\nPlayed at {code}.");
        page.push_str(
            "\n| stage | calls | items verified | lost | servers ended | clients ended | most files | files left |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for stage in self.stages {
            let _infallible = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                stage.name,
                stage.calls,
                stage.items,
                stage.lost,
                stage.servers_ended,
                stage.clients_ended,
                stage.most_files,
                stage.files_left,
            );
        }
        page.push_str(
            "\n| who stays | stage | looks | KiB resident | threads | descriptors |\n|---|---|--:|--:|--:|--:|\n",
        );
        for stage in self.stages {
            for watched in &stage.watched {
                let (early, late) = (watched.early(), watched.late());
                let change =
                    |field: fn(&Sample) -> u64| format!("{} → {}", field(&early), field(&late));
                let _infallible = writeln!(
                    page,
                    "| {} in {} | {} | {} | {} | {} | {} |",
                    watched.what,
                    watched.language,
                    stage.name,
                    watched.looks(),
                    change(|sample| sample.rss_kib),
                    change(|sample| sample.threads),
                    change(|sample| sample.descriptors),
                );
            }
        }
        page
    }
}

const PREFACE: &str = "\
# The soak

Written by `make soak`, which fails, and writes nothing, where an answer is wrong, a call is lost though its
server stayed, a process ends badly or has grown, or files are left. What is played: `tests/soak/src/stage.rs`.
C, Go and Rust ask each other for every service, on both transports; every two seconds a server, or a client, of
each stage is ended (told to, by SIGTERM, by SIGKILL, in turn) while calls are on their way, and replaced. Calls
that fail meanwhile because nobody serves are counted as lost; every answer that comes is verified, all of it.

Of those who stay, the figures are medians: of the second quarter of the time, when they are warm, and of the
last.";
