//! How long calls take: run one after the other, every one of them timed.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::table::grouped;

/// Three significant digits: what is shown of a latency is off by one in a thousand at most.
const SIGNIFICANT_DIGITS: u8 = 3;
/// A call that took longer is counted as this long: far above every timeout.
const MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// The percentiles that are shown beside the least and the most.
pub(crate) const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// When to stop calling.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After so many calls.
    Calls(u64),
    /// After the call in which so much time has passed.
    Elapsed(Duration),
}

/// What calls took.
#[derive(Debug)]
pub(crate) struct Latencies {
    nanoseconds: Histogram<u64>,
    elapsed: Duration,
}

/// Calls until it is enough, or one fails. `each` hears how many there were so far.
pub(crate) fn measure(
    until: Until,
    mut call: impl FnMut() -> Result<(), Failure>,
    mut each: impl FnMut(u64),
) -> Result<Latencies, Failure> {
    // Fails only for bounds that no histogram has.
    let mut nanoseconds = Histogram::new_with_max(nanoseconds_of(MOST), SIGNIFICANT_DIGITS)
        .map_err(|error| Failure::Failed(format!("no histogram: {error}")))?;
    let start = Instant::now();
    let mut before = start;
    loop {
        call()?;
        let now = Instant::now();
        nanoseconds.saturating_record(nanoseconds_of(now - before));
        each(nanoseconds.len());
        let is_enough = match until {
            Until::Calls(count) => nanoseconds.len() >= count,
            Until::Elapsed(time) => now - start >= time,
        };
        if is_enough {
            return Ok(Latencies { nanoseconds, elapsed: now - start });
        }
        before = Instant::now();
    }
}

impl Latencies {
    pub(crate) fn calls(&self) -> u64 {
        self.nanoseconds.len()
    }

    pub(crate) const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// One after the other.
    pub(crate) fn calls_per_second(&self) -> u64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { (self.calls() as f64 / seconds).round() as u64 } else { 0 }
    }

    pub(crate) fn percentile_us(&self, percentile: f64) -> f64 {
        microseconds(self.nanoseconds.value_at_percentile(percentile))
    }

    pub(crate) fn max_us(&self) -> f64 {
        microseconds(self.nanoseconds.max())
    }

    pub(crate) fn min_us(&self) -> f64 {
        microseconds(self.nanoseconds.min())
    }

    pub(crate) fn json(&self) -> Value {
        let mut latency = json!({ "min": self.min_us(), "max": self.max_us() });
        for (name, percentile) in PERCENTILES {
            latency[name] = self.percentile_us(percentile).into();
        }
        json!({
            "calls": self.calls(),
            "seconds": self.elapsed.as_secs_f64(),
            "calls_per_second": self.calls_per_second(),
            "latency_us": latency,
        })
    }
}

/// `12.3`, or `1,234` where tenths say nothing.
pub(crate) fn shown_us(microseconds: f64) -> String {
    const NO_TENTHS_FROM_US: f64 = 1000.0;
    if microseconds < NO_TENTHS_FROM_US {
        format!("{microseconds:.1}")
    } else {
        grouped(microseconds.round() as u64)
    }
}

fn nanoseconds_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_calls_as_were_asked_are_made_and_counted() {
        let (mut made, mut heard) = (0, 0);
        let call = || {
            made += 1;
            Ok(())
        };
        let latencies = measure(Until::Calls(100), call, |count| heard = count).unwrap();
        assert_eq!((made, heard, latencies.calls()), (100, 100, 100));
        assert!(latencies.min_us() <= latencies.percentile_us(50.0));
        assert!(latencies.percentile_us(50.0) <= latencies.max_us());
    }

    #[test]
    fn a_latency_is_what_the_call_took() {
        const TIME: Duration = Duration::from_millis(2);
        let busy = || {
            let start = Instant::now();
            while start.elapsed() < TIME {
                std::hint::spin_loop();
            }
            Ok(())
        };
        let latencies = measure(Until::Calls(3), busy, |_| ()).unwrap();
        let within = latencies.elapsed().as_secs_f64() * 1e6;
        for shown in [latencies.min_us(), latencies.percentile_us(50.0), latencies.max_us()] {
            // The histogram may be off by one in a thousand.
            assert!(shown >= 1_990.0 && shown <= within * 1.01, "{shown} of {within}");
        }
    }

    #[test]
    fn time_ends_it_after_a_call_and_a_failure_at_once() {
        let latencies = measure(Until::Elapsed(Duration::ZERO), || Ok(()), |_| ()).unwrap();
        assert_eq!(latencies.calls(), 1);
        let failed = || Err(Failure::Failed("it".into()));
        assert!(measure(Until::Calls(9), failed, |_| ()).is_err());
    }
}
