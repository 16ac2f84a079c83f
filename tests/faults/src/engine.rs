//! Provokes faults: each so many times between each two sides, several sides at a time.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use netipc_bench::Failure;
use serde::{Deserialize, Serialize};

use crate::fault::{Bound, Fault, Language, Sides, each_client};
use crate::stage::{Drivers, Stage};

/// Failed turns between two sides after which the rest of them is not played: each may take as long as
/// patience lasts.
const MOST_FAILURES: u32 = 5;

/// Turns shorter than this one are many: so many at least, in full counts.
const SHORT_TURN: Duration = Duration::from_millis(100);
const LEAST_SHORT_TURNS: u32 = 1000;

/// How long what is to be seen as left over is looked at.
const LEAK_PATIENCE: Duration = Duration::from_millis(20);

/// What came of a fault between two sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) sides: Sides,
    /// Turns that were played.
    pub(crate) times: u32,
    pub(crate) failed: u32,
    /// What went wrong, in words.
    pub(crate) words: Vec<String>,
    /// What the promise speaks about, of each turn that named it.
    pub(crate) took_us: Vec<u64>,
    /// Calls that were answered rightly meanwhile.
    pub(crate) right: u64,
    /// How long all turns took together; results that were kept before this was, do not tell.
    #[serde(default)]
    pub(crate) turns_us: Option<u64>,
    /// The longest turn, or end of a stage: for who watches a run.
    #[serde(skip)]
    pub(crate) longest: Longest,
}

/// What took longest between two sides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Longest {
    pub(crate) took: Duration,
    /// The turn's number.
    pub(crate) turn: u32,
}

/// What came of a fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Played {
    pub(crate) fault: String,
    pub(crate) cells: Vec<Cell>,
    /// Whether it was played in its full counts.
    #[serde(default)]
    pub(crate) is_full: bool,
}

impl Cell {
    /// Its last turn, or what ended its stage, took so long.
    fn took(&mut self, took: Duration) {
        if took > self.longest.took {
            self.longest = Longest { took, turn: self.times };
        }
    }
}

impl Played {
    pub(crate) fn times(&self) -> u32 {
        self.cells.iter().map(|cell| cell.times).sum()
    }

    pub(crate) fn failed(&self) -> u32 {
        self.cells.iter().map(|cell| cell.failed).sum()
    }

    /// What took longest, in words.
    pub(crate) fn longest(&self) -> Option<String> {
        let cell = self.cells.iter().max_by_key(|cell| cell.longest.took)?;
        let Longest { took, turn } = cell.longest;
        Some(format!("{:.1} s between {}, turn {turn}", took.as_secs_f64(), cell.sides))
    }

    /// What the promise speaks about was timed, in words: the median, the longest, and how many were above what is
    /// promised.
    pub(crate) fn took(&self, bound: Bound) -> Option<String> {
        let all = || self.cells.iter().flat_map(|cell| &cell.took_us).copied();
        let longest = in_ms(Duration::from_micros(all().max()?));
        let above = all().filter(|took| Duration::from_micros(*took) > bound.within).count();
        let (median, within, count) =
            (in_ms(median(all().collect())?), in_ms(bound.within), all().count());
        Some(format!(
            "{}: {median} ms at the median, {longest} ms at most, {above} of {count} above {within} ms",
            bound.what
        ))
    }

    /// How long a turn takes, where that is known.
    fn mean_turn(&self) -> Option<Duration> {
        let us: Option<u64> = self.cells.iter().map(|cell| cell.turns_us).sum();
        Some(Duration::from_micros(us? / u64::from(self.times()).max(1)))
    }

    /// That its full counts are few for turns that are so short, in words. Told, and nothing that falls short: how
    /// long a turn takes is also a matter of the machine, and a faster one finds nothing wrong with a promise.
    pub(crate) fn few_for_short_turns(&self) -> Option<String> {
        let (mean, times) = (self.mean_turn()?, self.times());
        let is_whole = self.is_full && self.failed() == 0;
        (is_whole && mean < SHORT_TURN && times < LEAST_SHORT_TURNS).then(|| {
            let mean = in_ms(mean);
            format!("turns of {mean} ms are to be {LEAST_SHORT_TURNS} at least, not {times}")
        })
    }

    /// Why it falls short, if it does.
    pub(crate) fn shortcoming(&self, fault: &Fault) -> Option<String> {
        if self.failed() > 0 {
            let words = self.cells.iter().find_map(|cell| {
                cell.words.first().map(|words| format!("{}: {words}", cell.sides))
            });
            let (failed, times) = (self.failed(), self.times());
            return Some(format!("{failed} of {times}: {}", words.unwrap_or_default()));
        }
        let bound = fault.bound?;
        // A few turns say of a busy machine more than of what is promised: of those, the best counts.
        let (typical, name) =
            if self.is_full { (median as Typical, "median") } else { (least as Typical, "best") };
        // Of each language at each end: what one of them does must not hide behind the others.
        Language::ALL.iter().find_map(|language| {
            let at = |is_there: fn(&Sides) -> Language| {
                let cells = self.cells.iter().filter(|cell| is_there(&cell.sides) == *language);
                typical(cells.flat_map(|cell| cell.took_us.iter().copied()).collect())
            };
            let worst = at(|sides| sides.client).max(at(|sides| sides.server))?;
            (worst > bound.within).then(|| {
                format!(
                    "{} took {worst:?} at the {name} with {language}, not {:?}",
                    bound.what, bound.within
                )
            })
        })
    }
}

/// So many milliseconds, in as many digits as mean anything.
fn in_ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

/// What stands for many times, in microseconds.
type Typical = fn(Vec<u64>) -> Option<Duration>;

fn median(mut times_us: Vec<u64>) -> Option<Duration> {
    times_us.sort_unstable();
    times_us.get(times_us.len() / 2).copied().map(Duration::from_micros)
}

fn least(times_us: Vec<u64>) -> Option<Duration> {
    times_us.into_iter().min().map(Duration::from_micros)
}

/// Plays a fault between all its sides, in so many turns altogether.
pub(crate) fn play(
    drivers: &Drivers,
    fault: &Fault,
    turns: u32,
    is_full: bool,
    jobs: usize,
) -> Played {
    let sides: Vec<Sides> = Sides::all().into_iter().filter(fault.sides).collect();
    let each = turns.div_ceil(u32::try_from(sides.len()).unwrap_or(1).max(1));
    let next = AtomicUsize::new(0);
    let cells = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    // Relaxed: only which sides are next; the scope's end publishes the rest.
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(sides) = sides.get(place) else { return };
                    let cell = play_between(drivers, fault, *sides, each);
                    let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
                    cells.push((place, cell));
                }
            });
        }
    });
    let mut cells = cells.into_inner().unwrap_or_else(PoisonError::into_inner);
    cells.sort_by_key(|(place, _)| *place);
    let cells = cells.into_iter().map(|(_, cell)| cell).collect();
    Played { fault: fault.name.to_owned(), cells, is_full }
}

/// That what is to be seen is seen: a client of each language notices answers that are wrong, and a
/// server that holds more than it should is found out.
pub(crate) fn check_itself(drivers: &Drivers) -> Result<(), Failure> {
    for sides in Sides::all().into_iter().filter(each_client) {
        let mut stage = Stage::new(drivers, sides, 1)?;
        let server = stage.start_server(sides.server, &["--wrong-after", "0"], Stdio::inherit());
        let mut server = server?;
        server.expect_ready()?;
        if stage.pair_with(server)?.is_ok() {
            return Err(format!("{sides}: wrong answers are not seen").into());
        }
        let mut stage = Stage::new(drivers, sides, 1)?;
        stage.pair()?;
        if stage.server_settles_within(0, LEAK_PATIENCE).is_ok() {
            return Err(format!("{sides}: a session that is still there is not seen").into());
        }
    }
    Ok(())
}

fn play_between(drivers: &Drivers, fault: &Fault, sides: Sides, turns: u32) -> Cell {
    let mut cell = Cell {
        sides,
        times: 0,
        failed: 0,
        words: Vec::new(),
        took_us: Vec::new(),
        right: 0,
        turns_us: Some(0),
        longest: Longest::default(),
    };
    while cell.times < turns && cell.failed < MOST_FAILURES {
        if let Err(failure) = play_on_a_stage(drivers, fault, turns, &mut cell) {
            let words = failure.to_string();
            eprintln!("FAILED {}, {sides}, turn {}: {words}", fault.name, cell.times);
            cell.failed += 1;
            cell.words.push(words);
        }
    }
    cell
}

/// Turns on one stage, until one fails or all are played. What a failed turn was played on is gone then.
fn play_on_a_stage(
    drivers: &Drivers,
    fault: &Fault,
    turns: u32,
    cell: &mut Cell,
) -> Result<(), Failure> {
    // Other harm between other sides, and the same again in the next run.
    let seed = fault
        .name
        .bytes()
        .chain(cell.sides.to_string().bytes())
        .fold(u64::from(cell.times).wrapping_add(0x9E37_79B9_7F4A_7C15), |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    let mut stage = Stage::new(drivers, cell.sides, seed)?;
    while cell.times < turns {
        cell.times += 1;
        let start = Instant::now();
        let turn = (fault.turn)(&mut stage);
        let turn_took = start.elapsed();
        cell.took(turn_took);
        cell.turns_us = cell.turns_us.map(|us| us + turn_took.as_micros() as u64);
        cell.right += std::mem::take(&mut stage.right);
        if let Some(took) = turn? {
            cell.took_us.push(took.as_micros() as u64);
        }
    }
    let start = Instant::now();
    let finished = stage.finish();
    cell.took(start.elapsed());
    cell.right += stage.right;
    finished
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Counts, anyone};

    const WITHIN: Duration = Duration::from_millis(50);
    const FAULT: Fault = Fault {
        name: "none",
        promise: "",
        how: "",
        sides: anyone,
        counts: Counts { quick: 1, full: 1 },
        bound: Some(Bound { what: "a call", within: WITHIN }),
        turn: |_| Ok(None),
    };

    /// A full run of so many turns, all of them right, each of which took so long.
    fn played(times: u32, turn: Duration) -> Played {
        let cell = |sides| Cell {
            sides,
            times: times / 2,
            failed: 0,
            words: Vec::new(),
            took_us: vec![1_000, 2_000, 3_000],
            right: 0,
            turns_us: Some(turn.as_micros() as u64 * u64::from(times / 2)),
            longest: Longest::default(),
        };
        let cells = Sides::all().into_iter().take(2).map(cell).collect();
        Played { fault: FAULT.name.to_owned(), cells, is_full: true }
    }

    #[test]
    fn short_turns_that_are_fewer_than_a_thousand_are_told() {
        let short = SHORT_TURN - Duration::from_millis(1);
        let few = played(LEAST_SHORT_TURNS - 2, short);
        let words = few.few_for_short_turns();
        assert_eq!(words.as_deref(), Some("turns of 99 ms are to be 1000 at least, not 998"));
        // A machine that is faster than the one that the counts were chosen on is no reason to fail.
        assert_eq!(few.shortcoming(&FAULT), None);
        assert_eq!(played(LEAST_SHORT_TURNS, short).few_for_short_turns(), None);
        assert_eq!(played(50, SHORT_TURN).few_for_short_turns(), None);
        // Of reduced counts, and of results that do not tell, it is not asked.
        let reduced = Played { is_full: false, ..played(50, short) };
        assert_eq!(reduced.few_for_short_turns(), None);
        let mut unknown = played(50, short);
        unknown.cells[1].turns_us = None;
        assert_eq!(unknown.few_for_short_turns(), None);
    }

    #[test]
    fn times_above_the_promise_are_told_and_their_median_judged() {
        let bound = FAULT.bound.expect("one");
        let mut played = played(LEAST_SHORT_TURNS, WITHIN);
        assert_eq!(
            played.took(bound).as_deref(),
            Some("a call: 2.0 ms at the median, 3.0 ms at most, 0 of 6 above 50 ms")
        );
        played.cells[0].took_us[2] = 50_000;
        played.cells[1].took_us[2] = 50_001;
        assert_eq!(
            played.took(bound).as_deref(),
            Some("a call: 2.0 ms at the median, 50 ms at most, 1 of 6 above 50 ms")
        );
        assert_eq!(played.shortcoming(&FAULT), None);
        played.cells[1].took_us[1] = 50_001;
        assert!(played.shortcoming(&FAULT).is_some_and(|words| words.contains("at the median")));
    }
}
