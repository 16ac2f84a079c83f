//! What a run must show, as ratios within that run: the table of floors.

use std::fmt;

use super::plan::{
    BATCH, C, CACHE, CHANGING, FUTEX, GROUPS, IDLE, LINE, MAX, Mode, OTHERS_PACE, PACED, PING_1,
    PING_2, PROCESSES, Rate, SEQPACKET, SNAPSHOT, SPLIT, Work, scenarios_of_c,
};
use super::results::{Outcome, Results};
use crate::work::{Mix, Placement, Transport, name_of};

use Placement::{OneCpu, TwoCpus, Unpinned};
use Transport::{Process, Raw, Shm, Socket};

/// What one core must find in a cache, a second.
const CACHE_LOOKUPS: f64 = 150e6;
/// What a server may hold for an idle session beside its agreed buffers, in bytes.
const SESSION_BYTES: f64 = 65_536.0;

/// The language of Go's driver.
const GO: &str = "go";

/// One floor: a ratio and its bound.
#[derive(Clone, Debug)]
pub(crate) struct Floor {
    pub(crate) name: String,
    pub(crate) figure: Term,
    pub(crate) of: Term,
    pub(crate) bound: Bound,
}

/// On which side of a ratio it is good to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A number of a run.
#[derive(Clone, Debug)]
pub(crate) enum Term {
    /// The same of another language, which speaks with itself.
    Of(&'static str, Box<Self>),
    /// Calls a second.
    Rate(Key),
    /// CPUs that both processes kept busy.
    Cpu(Key),
    /// The median latency.
    P50(Key),
    /// What a server's memory grew by for a session.
    Memory(Key),
    /// What a session has agreed on, in bytes.
    Agreed(Key),
    Number(f64),
    Times(f64, Box<Self>),
    Plus(Box<Self>, Box<Self>),
    Better(Box<Self>, Box<Self>),
}

/// Which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    work: Work,
    transport: Transport,
    placement: Placement,
    rate: Rate,
}

/// A floor against a run.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) floor: Floor,
    /// The ratio; nothing where a row of it was not measured.
    pub(crate) figure: Option<f64>,
}

impl Check {
    /// Nothing where it was not measured.
    pub(crate) fn passed(&self) -> Option<bool> {
        self.figure.map(|figure| match self.floor.bound {
            Bound::AtLeast(floor) => figure >= floor,
            Bound::AtMost(ceiling) => figure <= ceiling,
        })
    }
}

/// All floors against a run.
pub(crate) fn checks(results: &Results) -> Vec<Check> {
    let check = |floor: Floor| {
        let figure = match (floor.figure.value(results), floor.of.value(results)) {
            (Some(figure), Some(of)) if of > 0.0 => Some(figure / of),
            _ => None,
        };
        Check { floor, figure }
    };
    floors(results.run.mode).into_iter().map(check).collect()
}

fn floors(mode: Mode) -> Vec<Floor> {
    let mut floors = Vec::new();
    let mut add = |name: &str, figure, of, bound| {
        floors.push(Floor { name: name.to_owned(), figure, of, bound });
    };
    ping_pong(&mut add);
    others_at_most(&mut add);
    paced(&mut add);
    for transport in [Socket, Shm] {
        for placement in Placement::ALL {
            add(
                "Level 2 over Level 1, time a call",
                rate(PING_1, transport, placement),
                rate(PING_2, transport, placement),
                Bound::AtMost(1.10),
            );
        }
    }
    let lookups = rate(CACHE, Process, OneCpu);
    add("cache lookups", lookups, Term::Number(CACHE_LOOKUPS), Bound::AtLeast(1.0));
    for transport in [Socket, Shm] {
        let idle = Key { work: IDLE, transport, placement: Unpinned, rate: MAX };
        let agreed = Term::Plus(Term::Number(SESSION_BYTES).into(), Term::Agreed(idle).into());
        add("memory of an idle session", Term::Memory(idle), agreed, Bound::AtMost(1.0));
    }
    go(&mut add);
    for (work, transport, placement) in scenarios_of_c(mode) {
        let of = rate(work, transport, placement);
        add("C, rate", Term::Of(C, of.clone().into()), of, Bound::AtLeast(0.95));
    }
    floors
}

type Add<'a> = &'a mut dyn FnMut(&str, Term, Term, Bound);

fn ping_pong(add: Add<'_>) {
    let shm = |placement| rate(PING_2, Shm, placement);
    let name = "shared memory ping-pong";
    add(name, shm(TwoCpus), rate(LINE, Raw, TwoCpus), Bound::AtLeast(0.40));
    // The line above carries payload and sequence at once, which the contract's header cannot.
    let apart = "shared memory ping-pong, lines apart";
    add(apart, shm(TwoCpus), rate(SPLIT, Raw, TwoCpus), Bound::AtLeast(0.40));
    add(name, shm(Unpinned), shm(TwoCpus), Bound::AtLeast(0.80));
    add(name, shm(OneCpu), rate(FUTEX, Raw, OneCpu), Bound::AtLeast(0.80));

    let socket = |placement| rate(PING_2, Socket, placement);
    let blocking = |placement| rate(SEQPACKET, Raw, placement);
    let name = "socket ping-pong";
    add(name, socket(TwoCpus), blocking(TwoCpus), Bound::AtLeast(10.0));
    add(name, socket(OneCpu), blocking(OneCpu), Bound::AtLeast(0.95));
    let floors = Term::Better(
        Term::Times(10.0, blocking(TwoCpus).into()).into(),
        Term::Times(0.95, blocking(OneCpu).into()).into(),
    );
    add("socket ping-pong, floors", socket(Unpinned), floors, Bound::AtLeast(1.0));
    let figures = Term::Better(socket(TwoCpus).into(), socket(OneCpu).into());
    add("socket ping-pong, figures", socket(Unpinned), figures, Bound::AtLeast(1.0));
}

fn others_at_most(add: Add<'_>) {
    for (name, work) in [("batches on two CPUs", BATCH), ("snapshot refresh on two CPUs", SNAPSHOT)]
    {
        for transport in [Socket, Shm] {
            let [two, one] = [TwoCpus, OneCpu].map(|placement| rate(work, transport, placement));
            add(name, two, one, Bound::AtLeast(1.0));
        }
    }
    let works = [
        ("snapshot refresh", SNAPSHOT),
        ("snapshot refresh, changed", CHANGING),
        ("16-key lookup", GROUPS),
        ("16-key lookup, no labels", GROUPS.mix(Mix::Plain)),
        ("16-key lookup", PROCESSES),
    ];
    for (name, work) in works {
        for placement in Placement::ALL {
            let ping = rate(PING_2, Shm, placement);
            add(name, rate(work, Shm, placement), ping, Bound::AtLeast(0.60));
        }
    }
}

fn paced(add: Add<'_>) {
    for rate in PACED {
        for placement in Placement::ALL {
            let key = |work, transport| Key { work, transport, placement, rate };
            let blocking = key(SEQPACKET, Raw);
            let [socket, shm] = [Socket, Shm].map(|transport| key(PING_2, transport));
            for paced in [socket, shm] {
                let cpu = Term::Cpu(blocking);
                add("paced, CPU", Term::Cpu(paced), cpu, Bound::AtMost(1.1));
                let p50 = Term::P50(blocking);
                add("paced, median latency", Term::P50(paced), p50, Bound::AtMost(1.0));
            }
            let (figure, of) = (Term::Cpu(shm), Term::Cpu(socket));
            add("paced, CPU of shared memory", figure, of, Bound::AtMost(1.0));
        }
    }
}

/// Go against the first language.
fn go(add: Add<'_>) {
    let mut add = |name: &str, of: Term, bound| {
        add(name, Term::Of(GO, of.clone().into()), of, bound);
    };
    for placement in Placement::ALL {
        let name = "Go, socket ping-pong";
        add(name, rate(PING_2, Socket, placement), Bound::AtLeast(0.75));
        let name = "Go, shared memory ping-pong";
        add(name, rate(PING_2, Shm, placement), Bound::AtLeast(0.65));
        for transport in [Socket, Shm] {
            let paced = Key { work: PING_2, transport, placement, rate: OTHERS_PACE };
            add("Go, paced, CPU", Term::Cpu(paced), Bound::AtMost(1.5));
        }
    }
    add("Go, cache lookups", rate(CACHE, Process, OneCpu), Bound::AtLeast(0.70));
}

const fn rate(work: Work, transport: Transport, placement: Placement) -> Term {
    Term::Rate(Key { work, transport, placement, rate: MAX })
}

impl Term {
    /// Of the first language, unless the term says another.
    fn value(&self, results: &Results) -> Option<f64> {
        self.value_of(results, &results.run.languages.first()?.name)
    }

    fn value_of(&self, results: &Results, language: &str) -> Option<f64> {
        let value = |term: &Self| term.value_of(results, language);
        let find = |key: &Key| key.find(results, language);
        Some(match self {
            Self::Of(language, term) => term.value_of(results, language)?,
            Self::Rate(key) => find(key)?.throughput,
            Self::Cpu(key) => find(key)?.cpu(),
            Self::P50(key) => find(key)?.p50_ns,
            Self::Memory(key) => find(key)?.bytes_per_client,
            Self::Agreed(key) => find(key)?.agreed_bytes as f64,
            Self::Number(number) => *number,
            Self::Times(factor, term) => factor * value(term)?,
            Self::Plus(one, other) => value(one)? + value(other)?,
            Self::Better(one, other) => value(one)?.max(value(other)?),
        })
    }
}

impl Key {
    /// The row of a language with itself.
    fn find<'a>(self, results: &'a Results, language: &str) -> Option<&'a Outcome> {
        results.rows.iter().find(|row| {
            row.scenario == self.work.to_string()
                && row.transport == self.transport
                && row.placement == self.placement
                && row.rate == self.rate
                && row.client == language
                && row.server == language
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, transport, placement, rate } = self;
        if !matches!(transport, Raw | Process) {
            write!(f, "{} ", name_of(*transport))?;
        }
        write!(f, "{work}, {}", name_of(*placement))?;
        if let Rate::PerSecond(rate) = rate { write!(f, ", {rate}/s") } else { Ok(()) }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(language, term) => write!(f, "{language} {term}"),
            Self::Rate(key) => write!(f, "rate({key})"),
            Self::Cpu(key) => write!(f, "cpu({key})"),
            Self::P50(key) => write!(f, "p50({key})"),
            Self::Memory(key) => write!(f, "memory({key})"),
            Self::Agreed(key) => write!(f, "agreed({key})"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Times(factor, term) => write!(f, "{factor} × {term}"),
            Self::Plus(one, other) => write!(f, "({one} + {other})"),
            Self::Better(one, other) => write!(f, "max({one}; {other})"),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(floor) => write!(f, "≥ {floor:.2}"),
            Self::AtMost(ceiling) => write!(f, "≤ {ceiling:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::canned;
    use super::*;

    #[test]
    fn every_floor_finds_its_rows_in_every_mode() {
        for check in checks(&canned()) {
            assert!(check.figure.is_some(), "{} / {}", check.floor.figure, check.floor.of);
        }
    }

    #[test]
    fn figures_are_ratios_of_the_runs_own_rows() {
        let results = canned();
        let figure = |name: &str, figure: &str| {
            let all = checks(&results);
            let found = all.iter().find(|check| {
                check.floor.name == name && check.floor.figure.to_string().contains(figure)
            });
            let check = found.expect("a floor");
            (check.figure.expect("measured"), check.passed().expect("measured"))
        };
        assert_eq!(figure("shared memory ping-pong", "two-cpus"), (0.5, true));
        assert_eq!(figure("shared memory ping-pong", "one-cpu"), (0.5, false));
        assert_eq!(figure("socket ping-pong", "one-cpu"), (0.25, false));
        assert_eq!(figure("paced, CPU of shared memory", "1000/s"), (1.0, true));
        assert_eq!(figure("socket ping-pong, figures", "unpinned"), (1.0, true));
        let (memory, passed) = figure("memory of an idle session", "shm");
        assert!(passed && (memory - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(figure("Go, socket ping-pong", "one-cpu"), (0.5, false));
        assert_eq!(figure("Go, paced, CPU", "shm"), (1.0, true));
        assert_eq!(figure("C, rate", "codec-apps-lookup"), (1.0, true));
        let (lookups, passed) = figure("cache lookups", "cache-16");
        assert!(passed && (lookups - 200.0 / 150.0).abs() < 1e-9);
    }

    #[test]
    fn a_floor_without_its_row_is_neither_passed_nor_missed() {
        let mut results = canned();
        results.rows.retain(|row| row.transport != Shm);
        let checks = checks(&results);
        let shm = checks.iter().find(|check| check.floor.name.starts_with("shared memory"));
        assert_eq!(shm.expect("a floor").passed(), None);
    }
}
