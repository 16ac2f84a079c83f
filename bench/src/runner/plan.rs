//! Which rows are measured, and for how long.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::work::{Mix, Placement, Scenario, Transport, name_of};

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// What the floors need, each row for a moment: within three minutes.
    Quick,
    /// The same, and who meets whom as fast as it goes: within a quarter of an hour.
    Pairs,
    /// The same rows for longer, more often, and between all languages at all rates.
    Core,
    /// Everything.
    Full,
}

/// How long and how often a row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Effort {
    pub(crate) repetitions: usize,
    pub(crate) seconds: f64,
    pub(crate) warmup_seconds: f64,
    /// Of the separate run under strace.
    pub(crate) strace_seconds: f64,
}

impl Mode {
    pub(crate) const fn effort(self) -> Effort {
        match self {
            Self::Quick => {
                Effort { repetitions: 3, seconds: 0.25, warmup_seconds: 0.06, strace_seconds: 0.1 }
            }
            Self::Pairs => {
                Effort { repetitions: 3, seconds: 0.2, warmup_seconds: 0.05, strace_seconds: 0.1 }
            }
            Self::Core => {
                Effort { repetitions: 5, seconds: 1.0, warmup_seconds: 0.2, strace_seconds: 0.2 }
            }
            Self::Full => {
                Effort { repetitions: 3, seconds: 1.0, warmup_seconds: 0.2, strace_seconds: 0.2 }
            }
        }
    }
}

/// Calls a second, all clients together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Rate {
    PerSecond(u32),
    Max(Max),
}

/// The word for as fast as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Max {
    Max,
}

pub(crate) const MAX: Rate = Rate::Max(Max::Max);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(rate) => rate.fmt(f),
            Self::Max(Max::Max) => f.write_str("max"),
        }
    }
}

/// A language that has a driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Language {
    pub(crate) name: String,
    /// What its driver plays.
    pub(crate) scenarios: Vec<Scenario>,
}

/// One row: what is measured, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) transport: Transport,
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) placement: Placement,
    pub(crate) rate: Rate,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, transport, client, server, placement, rate } = self;
        let (transport, placement) = (name_of(*transport), name_of(*placement));
        write!(f, "{work} {transport} {client}→{server} {placement} {rate}")
    }
}

/// A scenario with its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Work {
    pub(crate) scenario: Scenario,
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) mix: Mix,
    pub(crate) clients: u32,
}

impl Work {
    pub(crate) const fn of(scenario: Scenario) -> Self {
        Self { scenario, items: 1, bytes: 0, mix: Mix::Known, clients: 1 }
    }

    pub(crate) const fn items(self, items: usize) -> Self {
        Self { items, ..self }
    }

    const fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    pub(crate) const fn mix(self, mix: Mix) -> Self {
        Self { mix, ..self }
    }

    pub(crate) const fn clients(self, clients: u32) -> Self {
        Self { clients, ..self }
    }

    const fn is_lookup(self) -> bool {
        matches!(
            self.scenario,
            Scenario::CgroupsLookup
                | Scenario::AppsLookup
                | Scenario::AsnLookup
                | Scenario::CodecCgroupsLookup
                | Scenario::CodecAppsLookup
        )
    }
}

/// The scenario's name in results.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name_of(self.scenario))?;
        if self.items > 1 {
            write!(f, "-{}", self.items)?;
        }
        if self.bytes > 0 {
            write!(f, "-{}", self.bytes)?;
        }
        if self.is_lookup() {
            write!(f, "-{}", name_of(self.mix))?;
        }
        if self.clients > 1 {
            write!(f, "-{}-clients", self.clients)?;
        }
        Ok(())
    }
}

/// The most items of a batch, and those of the small snapshot, lookups and cache.
pub(crate) const BATCH_ITEMS: usize = 1_000;
pub(crate) const FEW_ITEMS: usize = 16;
/// Sessions that idle on one server.
pub(crate) const IDLE_SESSIONS: u32 = 64;

pub(crate) const PING_1: Work = Work::of(Scenario::PingLevel1);
pub(crate) const PING_2: Work = Work::of(Scenario::PingLevel2);
pub(crate) const BATCH: Work = Work::of(Scenario::Batch).items(BATCH_ITEMS);
pub(crate) const SNAPSHOT: Work = Work::of(Scenario::Snapshot).items(FEW_ITEMS);
pub(crate) const CHANGING: Work = Work::of(Scenario::SnapshotChanging).items(FEW_ITEMS);
pub(crate) const GROUPS: Work = Work::of(Scenario::CgroupsLookup).items(FEW_ITEMS);
pub(crate) const PROCESSES: Work = Work::of(Scenario::AppsLookup).items(FEW_ITEMS);
pub(crate) const CACHE: Work = Work::of(Scenario::Cache).items(FEW_ITEMS);
pub(crate) const IDLE: Work = Work::of(Scenario::Idle).clients(IDLE_SESSIONS);
pub(crate) const LINE: Work = Work::of(Scenario::RawLine);
pub(crate) const SPLIT: Work = Work::of(Scenario::RawLineSplit);
pub(crate) const SEQPACKET: Work = Work::of(Scenario::RawSeqpacket);
pub(crate) const FUTEX: Work = Work::of(Scenario::RawFutex);

pub(crate) const PACED: [Rate; 2] = [Rate::PerSecond(1_000), Rate::PerSecond(10_000)];
/// What languages beside the first have floors of.
const OTHERS_FLOORS: [(Work, Rate); 3] = [(PING_2, MAX), (PING_2, OTHERS_PACE), (CACHE, MAX)];
/// How often other languages call where their CPU time has a floor.
pub(crate) const OTHERS_PACE: Rate = Rate::PerSecond(10_000);
/// The language whose library is the first one's behind another interface: it has floors of every scenario.
pub(crate) const C: &str = "c";
const TEN_THOUSAND: &[Rate] = &[MAX, Rate::PerSecond(10_000)];
const ALL_RATES: &[Rate] =
    &[MAX, Rate::PerSecond(100_000), Rate::PerSecond(10_000), Rate::PerSecond(1_000)];
const TO_TEN_THOUSAND: &[Rate] = &[MAX, Rate::PerSecond(10_000), Rate::PerSecond(1_000)];
const ONLY_MAX: &[Rate] = &[MAX];

/// The rows of a mode, over these transports, between drivers of these languages, as far as both
/// drivers of a row play its scenario.
pub(crate) fn rows(mode: Mode, transports: &[Transport], languages: &[Language]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add =
        |work: Work, transport, placement, rates: &[Rate], client: &Language, server: &Language| {
            if ![client, server].iter().all(|driver| driver.scenarios.contains(&work.scenario)) {
                return;
            }
            rows.extend(rates.iter().map(|rate| Row {
                work,
                transport,
                client: client.name.clone(),
                server: server.name.clone(),
                placement,
                rate: *rate,
            }));
        };
    let Some(first) = languages.first() else { return Vec::new() };
    for placement in Placement::ALL {
        for (work, rates) in limits(mode) {
            add(work, Transport::Raw, placement, rates, first, first);
        }
        for transport in transports {
            for (work, rates) in over_transport(mode, *transport) {
                for client in languages {
                    for server in languages {
                        let rates: Vec<_> = (rates.iter().copied())
                            .filter(|rate| {
                                is_measured(mode, first, (work, placement, *rate), client, server)
                            })
                            .collect();
                        add(work, *transport, placement, &rates, client, server);
                    }
                }
            }
        }
    }
    for language in languages {
        for work in in_process(mode) {
            if is_measured(mode, first, (work, Placement::OneCpu, MAX), language, language) {
                add(work, Transport::Process, Placement::OneCpu, ONLY_MAX, language, language);
            }
        }
        for transport in transports {
            if is_measured(mode, first, (IDLE, Placement::Unpinned, MAX), language, language) {
                add(IDLE, *transport, Placement::Unpinned, ONLY_MAX, language, language);
            }
        }
    }
    rows
}

/// Whether a mode has this row of these two languages. A quick run has all rows of the first language,
/// and of each other one with itself what its floors need; a run of pairs has who meets whom as well, at
/// the highest rate; longer ones have everything.
fn is_measured(
    mode: Mode,
    first: &Language,
    (work, placement, rate): (Work, Placement, Rate),
    client: &Language,
    server: &Language,
) -> bool {
    let is_of_its_floors = || match client.name.as_str() {
        C => {
            scenarios_of_c(mode).iter().any(|(of_c, _, at)| (*of_c, *at) == (work, placement))
                && rate == MAX
        }
        _ => OTHERS_FLOORS.contains(&(work, rate)),
    };
    let is_quick = client == server && (client == first || is_of_its_floors());
    match mode {
        Mode::Quick => is_quick,
        Mode::Pairs => is_quick || rate == MAX,
        Mode::Core | Mode::Full => true,
    }
}

/// What C is held against the first language in: every scenario of a mode, once.
pub(crate) fn scenarios_of_c(mode: Mode) -> Vec<(Work, Transport, Placement)> {
    let over = |transport| {
        let works = over_transport(mode, transport).into_iter();
        works.map(move |(work, _)| (work, transport, Placement::TwoCpus))
    };
    let mut all: Vec<_> = [Transport::Socket, Transport::Shm].into_iter().flat_map(over).collect();
    let in_process = in_process(mode).into_iter();
    all.extend(in_process.map(|work| (work, Transport::Process, Placement::OneCpu)));
    all
}

/// The limits of the machine, at the rates that something is held against them.
fn limits(mode: Mode) -> Vec<(Work, &'static [Rate])> {
    let rates = if mode == Mode::Full { ALL_RATES } else { TO_TEN_THOUSAND };
    vec![(LINE, ONLY_MAX), (SPLIT, ONLY_MAX), (SEQPACKET, rates), (FUTEX, rates)]
}

fn over_transport(mode: Mode, transport: Transport) -> Vec<(Work, &'static [Rate])> {
    let full = mode == Mode::Full;
    let ping_rates = if full { ALL_RATES } else { TO_TEN_THOUSAND };
    let rates = if full { TO_TEN_THOUSAND } else { TEN_THOUSAND };
    let mut works = vec![
        (PING_1, ping_rates),
        (PING_2, ping_rates),
        (BATCH, rates),
        (SNAPSHOT, rates),
        (CHANGING, ONLY_MAX),
        (GROUPS, rates),
        (PROCESSES, rates),
        (GROUPS.mix(Mix::Plain), ONLY_MAX),
    ];
    if !full {
        return works;
    }
    works.extend(
        [32, 256, 4_096, 65_536]
            .map(|bytes| (Work::of(Scenario::Reverse).bytes(bytes), TO_TEN_THOUSAND)),
    );
    works.push((Work::of(Scenario::Fetch).items(FEW_ITEMS), ONLY_MAX));
    works.push((SNAPSHOT.items(1_000), &[MAX, Rate::PerSecond(1_000)]));
    for lookup in [GROUPS, PROCESSES] {
        works.push((lookup.mix(Mix::Unknown), TO_TEN_THOUSAND));
        works.push((lookup.items(256).mix(Mix::Mixed), &[MAX, Rate::PerSecond(1_000)]));
        works.push((lookup.items(8_192), ONLY_MAX));
        works.push((lookup.items(32_768), ONLY_MAX));
    }
    if transport == Transport::Socket {
        works.push((Work::of(Scenario::Pipeline), ONLY_MAX));
        works.push((Work::of(Scenario::PipelineBatch).items(BATCH_ITEMS), ONLY_MAX));
    }
    works.extend([8, 64, 256].map(|clients| (PING_2.clients(clients), TO_TEN_THOUSAND)));
    works
}

fn in_process(mode: Mode) -> Vec<Work> {
    let (groups, processes) = (
        Work::of(Scenario::CodecCgroupsLookup).items(FEW_ITEMS),
        Work::of(Scenario::CodecAppsLookup).items(FEW_ITEMS),
    );
    let load = Work::of(Scenario::CacheLoad).items(FEW_ITEMS);
    let mut works = vec![CACHE, load, groups, processes];
    if mode == Mode::Full {
        works.push(CACHE.items(10_000));
        for codec in [groups, processes] {
            works.push(codec.mix(Mix::Unknown));
            works.push(codec.items(256).mix(Mix::Mixed));
            works.extend([8_192, 32_768].map(|items| codec.items(items)));
        }
    }
    works
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    const BOTH: &[Transport] = &[Transport::Socket, Transport::Shm];

    /// A language whose driver plays everything.
    pub(crate) fn whole(name: &str) -> Language {
        Language { name: name.to_owned(), scenarios: Scenario::value_variants().to_vec() }
    }

    fn of(mode: Mode, languages: &[&str]) -> Vec<Row> {
        let languages: Vec<_> = languages.iter().map(|name| whole(name)).collect();
        rows(mode, BOTH, &languages)
    }

    #[test]
    fn no_row_is_there_twice_and_larger_modes_have_all_of_smaller_ones() {
        let sets = |languages: &[&str]| {
            [Mode::Quick, Mode::Pairs, Mode::Core, Mode::Full].map(|mode| {
                let rows = of(mode, languages);
                let set: HashSet<_> = rows.iter().map(ToString::to_string).collect();
                assert_eq!(set.len(), rows.len(), "{mode:?}");
                set
            })
        };
        let alone = sets(&["rust"]);
        assert!(alone[0] == alone[1] && alone[1] == alone[2]);
        let together = sets(&["rust", "c", "go"]);
        assert!(together.windows(2).all(|pair| pair[0].is_subset(&pair[1])));
    }

    #[test]
    fn short_runs_are_short() {
        /// Starting two processes, making a session, ending both.
        const OVERHEAD: Duration = Duration::from_millis(60);
        const MINUTE: Duration = Duration::from_secs(60);
        for (mode, most) in [(Mode::Quick, 3 * MINUTE), (Mode::Pairs, 15 * MINUTE)] {
            let effort = mode.effort();
            let rows = of(mode, &["rust", "c", "go"]);
            let runs = u32::try_from(rows.len() * effort.repetitions).unwrap();
            let time = Duration::from_secs_f64(effort.seconds + effort.warmup_seconds);
            assert!((time + OVERHEAD) * runs < most, "{mode:?}: {runs} runs");
        }
    }

    #[test]
    fn drivers_of_two_languages_meet_each_way() {
        let mut languages = [whole("rust"), whole("go")];
        languages[1].scenarios.retain(|scenario| *scenario != Scenario::PingLevel1);
        let rows = rows(Mode::Core, &[Transport::Socket], &languages);
        for (client, server) in [("rust", "go"), ("go", "rust"), ("go", "go"), ("rust", "rust")] {
            let is_ping =
                |row: &&Row| row.work == PING_2 && row.client == client && row.server == server;
            assert_eq!(rows.iter().filter(is_ping).count(), 9, "{client} {server}");
        }
        let of_rust_alone = |row: &Row| row.transport == Transport::Raw || row.work == PING_1;
        let is_of_rust = |row: &Row| row.client == "rust" && row.server == "rust";
        assert!(rows.iter().all(|row| !of_rust_alone(row) || is_of_rust(row)));
    }

    #[test]
    fn a_quick_run_has_of_other_languages_what_their_floors_need() {
        let rows = of(Mode::Quick, &["rust", "go"]);
        let of_go: Vec<_> =
            rows.iter().filter(|row| row.client == "go" || row.server == "go").collect();
        let pings = 2 * BOTH.len() * Placement::ALL.len();
        assert_eq!(of_go.len(), pings + 1, "and the cache");
        assert!(of_go.iter().all(|row| row.client == row.server));
        assert_eq!(rows.len() - of_go.len(), of(Mode::Quick, &["rust"]).len());
    }

    #[test]
    fn a_quick_run_has_every_scenario_of_c_once() {
        let rows = of(Mode::Quick, &["rust", "c"]);
        let of_c: Vec<_> = rows.iter().filter(|row| row.client == C || row.server == C).collect();
        assert_eq!(of_c.len(), scenarios_of_c(Mode::Quick).len());
        assert!(of_c.iter().all(|row| row.client == row.server && row.rate == MAX));
    }

    #[test]
    fn a_rate_is_a_word_or_a_number() {
        assert_eq!(serde_json::to_string(&MAX).unwrap(), "\"max\"");
        assert_eq!(serde_json::to_string(&Rate::PerSecond(10)).unwrap(), "10");
        assert_eq!(serde_json::from_str::<Rate>("\"max\"").unwrap(), MAX);
        assert_eq!(serde_json::from_str::<Rate>("1000").unwrap(), Rate::PerSecond(1_000));
    }
}
