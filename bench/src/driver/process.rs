//! What a process knows of itself: its CPUs, its clocks, its memory; and what it says to its runner.

use std::io::{BufRead, Write};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::thread::{
    ClockId, CpuSet, Timespec, clock_nanosleep_absolute, sched_setaffinity, set_current_timer_slack,
};
use rustix::time::clock_gettime;

use crate::Failure;
use crate::lines::Line;

const NS_PER_S: u64 = 1_000_000_000;

/// Before anything else: keep to these CPUs, threads to come included, and wake up when asked to and
/// not up to 50 µs later, as is the default.
pub(super) fn settle(cpus: &[usize]) -> Result<(), Failure> {
    set_current_timer_slack(NonZeroU64::new(1))?;
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        if *cpu >= CpuSet::MAX_CPU {
            return Err(format!("there is no CPU {cpu}").into());
        }
        set.set(*cpu);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// CPU time of all threads of this process so far, in nanoseconds: what rusage says, less rounded.
pub(super) fn cpu_ns() -> u64 {
    in_ns(clock_gettime(ClockId::ProcessCPUTime))
}

/// The clock that [`rest_until`] goes by, in nanoseconds.
pub(super) fn monotonic_ns() -> u64 {
    in_ns(clock_gettime(ClockId::Monotonic))
}

/// Rests in the kernel until [`monotonic_ns`] is `at_ns`. Never spins.
pub(super) fn rest_until(at_ns: u64) {
    let at = Timespec {
        tv_sec: i64::try_from(at_ns / NS_PER_S).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(at_ns % NS_PER_S).unwrap_or(0),
    };
    while clock_nanosleep_absolute(ClockId::Monotonic, &at) == Err(rustix::io::Errno::INTR) {}
}

/// Resident memory of this process, in KiB; 0 where the system does not tell.
pub(super) fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// One line to the runner.
pub(super) fn say(line: &Line) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// The next word of the runner; `None` when it wants no more.
pub(super) fn hear() -> Result<Option<String>, Failure> {
    let mut word = String::new();
    let len = std::io::stdin().lock().read_line(&mut word)?;
    Ok((len > 0).then(|| word.trim().to_owned()))
}

/// Dies in the next publication through shared memory, after the step that the word names.
#[cfg(feature = "failpoints")]
pub(super) fn die_after(word: &str) -> Result<(), Failure> {
    let step = word.trim_start_matches(crate::lines::DIE).trim();
    if !netipc_sys::failpoints::STEPS.contains(&step) {
        return Err(format!("there is no step {step}").into());
    }
    netipc_sys::failpoints::die_after(step);
    say(&Line::Ready)
}

/// How fast this CPU runs, by a chain of steps of which each needs the one before: a multiplication
/// (3 cycles on every x86-64 of the last decade) and an exclusive or (1). 0 on other CPUs.
pub(super) fn clock_hz() -> f64 {
    const STEPS: u64 = 500_000;
    const CYCLES_PER_STEP: f64 = 4.0;
    const TRIES: usize = 20;
    if !cfg!(target_arch = "x86_64") {
        return 0.0;
    }
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let start = Instant::now();
        let mut value = std::hint::black_box(3_u64);
        let factor = std::hint::black_box(0x9E37_79B9_7F4A_7C15_u64);
        for _ in 0..STEPS {
            value = value.wrapping_mul(factor) ^ factor;
        }
        std::hint::black_box(value);
        best = best.min(start.elapsed());
    }
    STEPS as f64 * CYCLES_PER_STEP / best.as_secs_f64()
}

fn in_ns(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(NS_PER_S).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
