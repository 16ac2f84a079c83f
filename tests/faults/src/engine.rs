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

/// In full counts, one turn of so many between two sides may take longer than is promised, and one always may.
const TURNS_OF_ONE_SLOW: usize = 100;

/// So many turns between two sides must all have been slow before anything is said of the promise: fewer say more of a
/// busy machine, on which some in a row are, and more are played until one is not.
const LEAST_SLOW_TURNS: usize = 20;

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
    /// Results that were kept before this was, do not tell.
    #[serde(default)]
    pub(crate) code: Option<Code>,
}

/// Which code was played, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    /// With a plus where files had been changed since.
    pub(crate) commit: String,
    /// In UTC.
    pub(crate) day: String,
}

impl Cell {
    /// Its last turn, or what ended its stage, took so long.
    fn took(&mut self, took: Duration) {
        if took > self.longest.took {
            self.longest = Longest { took, turn: self.times };
        }
    }

    /// How many turns took longer than is promised.
    fn slow(&self, bound: Bound) -> usize {
        self.took_us.iter().filter(|took| bound.is_broken_by(**took)).count()
    }

    /// Whether all did.
    fn is_slow(&self, bound: Bound) -> bool {
        !self.took_us.is_empty() && self.slow(bound) == self.took_us.len()
    }

    /// That more turns took longer than is promised than a busy machine explains, in words.
    fn too_many_slow(&self, bound: Bound, is_full: bool) -> Option<String> {
        let (slow, all) = (self.slow(bound), self.took_us.len());
        let is_too_many = if is_full {
            slow > (all / TURNS_OF_ONE_SLOW).max(1)
        } else {
            self.is_slow(bound) && all >= LEAST_SLOW_TURNS
        };
        is_too_many.then(|| {
            let (sides, what, within) = (self.sides, bound.what, bound.within);
            format!("{sides}: {what} took longer than {within:?} in {slow} of {all} turns")
        })
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
        let above: usize = self.cells.iter().map(|cell| cell.slow(bound)).sum();
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
        let is_full = self.is_full;
        let slow = self.cells.iter().find_map(|cell| cell.too_many_slow(bound, is_full));
        if slow.is_some() || !is_full {
            return slow;
        }
        // Of each language at each end: what one of them does must not hide behind the others.
        Language::ALL.iter().find_map(|language| {
            let at = |is_there: fn(&Sides) -> Language| {
                let cells = self.cells.iter().filter(|cell| is_there(&cell.sides) == *language);
                median(cells.flat_map(|cell| cell.took_us.iter().copied()).collect())
            };
            let worst = at(|sides| sides.client).max(at(|sides| sides.server))?;
            (worst > bound.within).then(|| {
                format!(
                    "{} took {worst:?} at the median with {language}, not {:?}",
                    bound.what, bound.within
                )
            })
        })
    }
}

/// How slow turns may be, in words.
pub(crate) fn slowness() -> String {
    format!(
        "Where a promise names a time, the median of all turns with each language at each end keeps within it, and \
         between each two sides all turns but one in {TURNS_OF_ONE_SLOW}, or a single one."
    )
}

/// So many milliseconds, in as many digits as mean anything.
fn in_ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

fn median(mut times_us: Vec<u64>) -> Option<Duration> {
    times_us.sort_unstable();
    times_us.get(times_us.len() / 2).copied().map(Duration::from_micros)
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
    Played { fault: fault.name.to_owned(), cells, is_full, code: None }
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
    while is_to_go_on(fault, turns, &cell) {
        let turns = turns.max(cell.times + 1);
        if let Err(failure) = play_on_a_stage(drivers, fault, turns, &mut cell) {
            let words = failure.to_string();
            eprintln!("FAILED {}, {sides}, turn {}: {words}", fault.name, cell.times);
            cell.failed += 1;
            cell.words.push(words);
        }
    }
    cell
}

/// Whether turns are left, or those that were played are too few to say that the promise is broken, and none says that
/// it holds.
fn is_to_go_on(fault: &Fault, turns: u32, cell: &Cell) -> bool {
    let is_slow = fault.bound.is_some_and(|bound| cell.is_slow(bound));
    let is_undecided = is_slow && cell.took_us.len() < LEAST_SLOW_TURNS;
    cell.failed < MOST_FAILURES && (cell.times < turns || is_undecided)
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
        Played { fault: FAULT.name.to_owned(), cells, is_full: true, code: None }
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
    fn times_above_the_promise_are_told() {
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
    }

    const SLOW_US: u64 = WITHIN.as_micros() as u64 + 1;

    /// So many turns between each two sides, of which these places have so many slow ones.
    fn timed(each: usize, slow: &[(usize, usize)], is_full: bool) -> Played {
        let mut played = Played { is_full, ..played(LEAST_SHORT_TURNS, WITHIN) };
        played.cells = Sides::all()
            .into_iter()
            .map(|sides| Cell { sides, took_us: vec![1_000; each], ..played.cells[0].clone() })
            .collect();
        for (place, slow) in slow {
            played.cells[*place].took_us[..*slow].fill(SLOW_US);
        }
        played
    }

    #[test]
    fn of_full_counts_one_turn_in_a_hundred_may_be_slow_between_any_two_sides() {
        let shortcoming = |each, slow: &[_]| timed(each, slow, true).shortcoming(&FAULT);
        // One always may, between each two.
        let one_each: Vec<_> = (0..Sides::all().len()).map(|place| (place, 1)).collect();
        assert_eq!(shortcoming(6, &one_each), None);
        assert_eq!(shortcoming(200, &[(0, 2)]), None);
        for (each, slow) in [(6, 2), (199, 2), (200, 3)] {
            let words = shortcoming(each, &[(4, slow)]).expect("a shortcoming");
            let sides = Sides::all()[4];
            let said = format!("{sides}: a call took longer than 50ms in {slow} of {each} turns");
            assert_eq!(words, said);
        }
    }

    #[test]
    fn of_full_counts_the_median_is_judged_of_each_language_at_each_end() {
        // With a single turn each none is too many: it is the languages together that are slow.
        let clients_in_go = |sides: &Sides| sides.client == Language::Go;
        let slow: Vec<_> = (0..Sides::all().len())
            .filter(|place| clients_in_go(&Sides::all()[*place]))
            .map(|place| (place, 1))
            .collect();
        let words = timed(1, &slow, true).shortcoming(&FAULT).expect("a shortcoming");
        assert!(words.contains("at the median with Go"), "{words}");
        assert_eq!(timed(1, &slow[..2], true).shortcoming(&FAULT), None);
    }

    #[test]
    fn of_reduced_counts_not_all_turns_between_two_sides_may_be_slow() {
        let shortcoming = |each, slow| timed(each, &[(4, slow)], false).shortcoming(&FAULT);
        assert_eq!(shortcoming(5, 4), None);
        assert_eq!(shortcoming(LEAST_SLOW_TURNS, LEAST_SLOW_TURNS - 1), None);
        let words = shortcoming(LEAST_SLOW_TURNS, LEAST_SLOW_TURNS).expect("a shortcoming");
        let sides = Sides::all()[4];
        assert_eq!(words, format!("{sides}: a call took longer than 50ms in 20 of 20 turns"));
        // Where that are too few to say anything, more are played.
        assert_eq!(shortcoming(1, 1), None);
        assert_eq!(shortcoming(LEAST_SLOW_TURNS - 1, LEAST_SLOW_TURNS - 1), None);
    }

    #[test]
    fn turns_that_are_all_slow_are_followed_by_more_until_they_say_something() {
        let cell = |took_us: &[u64], failed| Cell {
            times: took_us.len() as u32,
            took_us: took_us.to_vec(),
            failed,
            ..played(2, WITHIN).cells[0].clone()
        };
        let goes_on = |turns, cell: &Cell| is_to_go_on(&FAULT, turns, cell);
        assert!(goes_on(1, &cell(&[], 0)) && !goes_on(1, &cell(&[1_000], 0)));
        assert!(goes_on(1, &cell(&[SLOW_US], 0)) && goes_on(2, &cell(&[SLOW_US; 2], 0)));
        assert!(!goes_on(1, &cell(&[SLOW_US; LEAST_SLOW_TURNS], 0)));
        assert!(!goes_on(1, &cell(&[SLOW_US, 1_000], 0)));
        assert!(!goes_on(1, &cell(&[SLOW_US], MOST_FAILURES)));
        let without = Fault { bound: None, ..FAULT };
        assert!(!is_to_go_on(&without, 1, &cell(&[SLOW_US], 0)));
    }
}
