//! How calls are timed: one loop as fast as it goes, one paced by resting.
//!
//! Reading the clock takes a tenth of what a cache line takes from CPU to CPU and back, so at a high
//! rate only every so manieth call is timed, alike for limits and for netipc. Its latency is that of
//! one call in any case.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Rate;
use super::process::{monotonic_ns, rest_until};
use crate::Failure;

/// Three significant digits: what is shown is off by one in a thousand at most.
const SIGNIFICANT_DIGITS: u8 = 3;
/// A call that took longer is counted as this long: far above every timeout.
const MOST: Duration = Duration::from_secs(100);
/// More calls than these are not timed each.
const TIMED_PER_SECOND: f64 = 100_000.0;
/// However fast calls are, one in so many is timed, and the loop's end is looked at then.
const MOST_CALLS_PER_TIMING: u64 = 64;
const NS_PER_S: f64 = 1e9;

/// What a client's calls came to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// Calls, as the scenario counts them.
    pub(super) calls: u64,
    /// Requests that the server handled for them.
    pub(super) requests: u64,
    /// What they were about.
    pub(super) items: u64,
}

impl Answered {
    /// Calls of which each is one request, about one thing.
    pub(super) const fn singly(calls: u64) -> Self {
        Self { calls, requests: calls, items: calls }
    }
}

/// A client that is called again and again, and verifies every answer.
pub(super) trait Caller {
    /// In how many parts of a nanosecond latencies are recorded: more where calls are that short.
    const TICKS_PER_NS: u32 = 1;
    /// Calls that one turn makes: more where one alone cannot be timed.
    fn calls_per_turn(&self) -> u32 {
        1
    }

    /// One turn. Answers how long its call took where that is not the time of the turn itself.
    fn turn(&mut self) -> Result<Option<Duration>, Failure>;

    /// Takes the answers that are still to come.
    fn settle(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Answers have this generation from now on, where they have one.
    fn expect_generation(&mut self, _generation: u64) {}

    /// Nobody serves: sees that this is told, and that what is known by then is kept.
    fn expect_nobody(&mut self) -> Result<(), Failure> {
        Err("this scenario keeps nothing that it could have without its server".into())
    }

    /// Connects anew where the server has left; what does so with every turn has nothing to do here.
    fn refresh(&mut self) {}

    /// What all turns so far came to.
    fn answered(&self) -> Answered;
}

/// Latencies of calls.
#[derive(Debug)]
pub(super) struct Latencies {
    ticks: Histogram<u64>,
    ticks_per_ns: u32,
}

impl Latencies {
    pub(super) fn new(ticks_per_ns: u32) -> Result<Self, Failure> {
        let most = MOST.as_nanos() as u64 * u64::from(ticks_per_ns);
        Ok(Self { ticks: Histogram::new_with_max(most, SIGNIFICANT_DIGITS)?, ticks_per_ns })
    }

    /// What a turn of so many calls took.
    pub(super) fn record(&mut self, turn: Duration, calls: u32) {
        let ticks = turn.as_nanos().saturating_mul(self.ticks_per_ns.into());
        let ticks = ticks / u128::from(calls.max(1));
        self.ticks.saturating_record(u64::try_from(ticks).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        Ok(self.ticks.add(&other.ticks)?)
    }

    pub(super) fn percentile_ns(&self, percentile: f64) -> f64 {
        self.in_ns(self.ticks.value_at_percentile(percentile))
    }

    pub(super) fn max_ns(&self) -> f64 {
        self.in_ns(self.ticks.max())
    }

    pub(super) fn timed(&self) -> u64 {
        self.ticks.len()
    }

    fn in_ns(&self, ticks: u64) -> f64 {
        ticks as f64 / f64::from(self.ticks_per_ns)
    }
}

/// How a client's loop is to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Of this client alone.
    pub(super) rate: Rate,
    /// Which of several clients this is, and of how many: they call one after the other.
    pub(super) place: (usize, usize),
}

/// Calls for so long, and takes all answers. Answers how long that took.
pub(super) fn run<C: Caller>(
    caller: &mut C,
    pace: Pace,
    time: Duration,
    turns_per_timing: u64,
    latencies: &mut Latencies,
) -> Result<Duration, Failure> {
    let start = Instant::now();
    match pace.rate {
        Rate::Max => as_fast_as_it_goes(caller, time, turns_per_timing, latencies)?,
        Rate::PerSecond(rate) => paced(caller, pace.place, time, rate, latencies)?,
    }
    caller.settle()?;
    Ok(start.elapsed())
}

/// One turn in how many to time, from what a warm-up came to.
pub(super) fn turns_per_timing(turns: u64, time: Duration) -> u64 {
    let per_second = turns as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE);
    ((per_second / TIMED_PER_SECOND) as u64).clamp(1, MOST_CALLS_PER_TIMING)
}

fn as_fast_as_it_goes<C: Caller>(
    caller: &mut C,
    time: Duration,
    turns_per_timing: u64,
    latencies: &mut Latencies,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut now = start;
    while now - start < time {
        let mut before = now;
        if turns_per_timing > 1 {
            for _ in 1..turns_per_timing {
                caller.turn()?;
            }
            before = Instant::now();
        }
        let own = caller.turn()?;
        now = Instant::now();
        latencies.record(own.unwrap_or(now - before), caller.calls_per_turn());
    }
    Ok(())
}

/// Calls at fixed times, whatever the calls take: late ones follow at once.
fn paced<C: Caller>(
    caller: &mut C,
    (place, places): (usize, usize),
    time: Duration,
    rate: f64,
    latencies: &mut Latencies,
) -> Result<(), Failure> {
    let interval_ns = NS_PER_S / rate;
    let start_ns = monotonic_ns();
    let end_ns = start_ns.saturating_add(time.as_nanos() as u64);
    let first_ns = interval_ns * place as f64 / places as f64;
    for count in 0_u64.. {
        let at_ns = start_ns.saturating_add((first_ns + interval_ns * count as f64) as u64);
        if at_ns >= end_ns {
            break;
        }
        let now_ns = monotonic_ns();
        if now_ns >= end_ns && count > 0 {
            // Cannot keep up: the throughput shows it. (One call is made however late it is.)
            return Ok(());
        }
        if now_ns < at_ns {
            rest_until(at_ns);
        }
        let before = Instant::now();
        let own = caller.turn()?;
        latencies.record(own.unwrap_or(before.elapsed()), caller.calls_per_turn());
    }
    rest_until(end_ns);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its turns, and takes as long as it is told for each.
    struct Counting {
        turns: u64,
        settled: bool,
    }

    impl Caller for Counting {
        fn turn(&mut self) -> Result<Option<Duration>, Failure> {
            self.turns += 1;
            Ok(Some(Duration::from_nanos(500)))
        }

        fn settle(&mut self) -> Result<(), Failure> {
            self.settled = true;
            Ok(())
        }

        fn answered(&self) -> Answered {
            Answered { calls: self.turns, ..Answered::default() }
        }
    }

    fn run_for(rate: Rate, time_ms: u64, turns_per_timing: u64) -> (Counting, Latencies, Duration) {
        let mut caller = Counting { turns: 0, settled: false };
        let mut latencies = Latencies::new(1).unwrap();
        let pace = Pace { rate, place: (0, 1) };
        let time = Duration::from_millis(time_ms);
        let took = run(&mut caller, pace, time, turns_per_timing, &mut latencies).unwrap();
        assert!(took >= time && caller.settled);
        (caller, latencies, took)
    }

    #[test]
    fn every_turn_is_timed_or_one_in_so_many() {
        let (caller, latencies, _) = run_for(Rate::Max, 5, 1);
        assert_eq!(latencies.timed(), caller.turns);
        let (caller, latencies, _) = run_for(Rate::Max, 5, 64);
        assert_eq!(latencies.timed() * 64, caller.turns);
        assert!((latencies.percentile_ns(50.0) - 500.0).abs() < 1.0);
    }

    #[test]
    fn a_paced_loop_makes_as_many_calls_as_its_rate_says_and_lasts_as_long_as_asked() {
        let (caller, latencies, took) = run_for(Rate::PerSecond(1_000.0), 50, 1);
        // Fewer only where this process had no CPU for a while.
        assert!(caller.turns <= 50 && caller.turns > 0, "{}", caller.turns);
        assert_eq!(latencies.timed(), caller.turns);
        assert!(took >= Duration::from_millis(50));
    }

    #[test]
    fn calls_are_timed_each_until_there_are_too_many() {
        let second = Duration::from_secs(1);
        assert_eq!(turns_per_timing(0, second), 1);
        assert_eq!(turns_per_timing(50_000, second), 1);
        assert_eq!(turns_per_timing(1_000_000, second), 10);
        assert_eq!(turns_per_timing(u64::MAX, second), 64);
        assert_eq!(turns_per_timing(5, Duration::ZERO), 64);
    }

    #[test]
    fn short_calls_are_recorded_in_parts_of_a_nanosecond() {
        let mut latencies = Latencies::new(1_000).unwrap();
        latencies.record(Duration::from_nanos(650), 100);
        assert!((latencies.percentile_ns(50.0) - 6.5).abs() < 0.01);
    }
}
