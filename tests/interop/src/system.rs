//! What differs between the systems that the matrix is played on.

use crate::rows::{OFFERS, Offers, ROWS, Row, Transport, WINDOWS_OFFERS};

/// A system.
#[derive(Debug)]
pub(crate) struct System {
    /// What is offered there.
    pub(crate) offers: &'static [Offers],
    /// The report that is kept.
    pub(crate) report: &'static str,
    /// The command that plays it.
    pub(crate) command: &'static str,
    title: &'static str,
    /// What plays all of it again.
    played: &'static str,
    /// Whether the report has some rows that stand for all.
    pub(crate) is_brief: bool,
    baseline: &'static str,
    /// What the report says of the system alone.
    remark: &'static str,
    /// Whether of several servers of one name one wins here, as it must.
    has_races: bool,
}

/// Where the matrix was at home first.
pub(crate) static LINUX: System = System {
    offers: &OFFERS,
    report: "docs/interop.md",
    command: "tools/interop",
    title: "Every language with every other",
    played: "`make test` plays it all again and compares.",
    is_brief: false,
    baseline: "the socket",
    remark: "",
    has_races: true,
};

/// Programs for Windows, run by Wine.
pub(crate) static WINDOWS: System = System {
    offers: &WINDOWS_OFFERS,
    report: "docs/interop-windows.md",
    command: "tools/interop --windows --brief",
    title: "Every language with every other, on Windows",
    played: "`make test` plays it all again and compares.",
    is_brief: true,
    baseline: "a pipe",
    remark: "
Programs are built for Windows, and run by Wine: what that does otherwise than Windows is [written
down](platform/windows.md#what-wine-does-otherwise). That of several servers of one name one wins is for
Windows to enforce, which Wine does not, so it is not in here. These are some rows that stand for all, of each
service and each way to ask; `make test-full` plays all rows that [Linux has](interop.md), each of them here too.
",
    has_races: false,
};

impl System {
    /// The rows that the report has.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| !self.is_brief || row.is_brief())
    }

    /// Those that have one transport and no other.
    pub(crate) fn plain_offers(&self) -> impl Iterator<Item = &'static Offers> {
        let offers: &'static [Offers] = self.offers;
        offers.iter().filter(|offers| offers.client == offers.server)
    }

    /// Those with which servers of one name start at once.
    pub(crate) fn race_offers(&self) -> Option<&'static Offers> {
        self.offers.first().filter(|_| self.has_races)
    }

    /// What sessions are over, in the report's words.
    pub(crate) const fn name_of(&self, transport: Transport) -> &'static str {
        match transport {
            Transport::Baseline => self.baseline,
            Transport::SharedMemory => "shared memory",
            Transport::Busywait => "shared memory in which nobody sleeps",
        }
    }

    /// What the report begins with.
    pub(crate) fn head(&self) -> String {
        let Self { title, command, played, baseline, remark, .. } = self;
        format!(
            "# {title}

Written by `{command} --write`; {played} Each cell is real
processes of its own: a client of the first language, a server of the second, a run directory. The client
verifies every field of every answer against what it knows itself ([how](../tests/interop/README.md)), and
the server's handlers must have been called once for each request that was answered.

- **Longer than a packet** is cut into chunks over {baseline}, and one whole message in shared memory. Most of
  these rows need more than sessions begin with, so limits grow on the way.
- **In packets of 256 bytes**: the client proposes that at Level 1, and everything longer is in chunks.
- **Split**: each lookup takes several requests.
- **Server came back**: a server of the second language is ended and started again in each other language,
  and in its own in between, while one client goes on. A cache keeps what it has meanwhile, and its
  refresh fails.
- Batches are of increment and string-reverse, split are lookups, a cache is of cgroups-snapshot: the contract
  has none of the others.
{remark}"
        )
    }
}
