//! What a process knows of itself: its CPUs, its clocks, its memory; and what it says to its runner.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

pub(super) use netipc_sys::raw::{
    cpu_time_ns as cpu_ns, monotonic_ns, resident_kib as rss_kib, rest_until,
};

use crate::Failure;
use crate::lines::Line;

/// Before anything else: keep to these CPUs, threads to come included.
pub(super) fn settle(cpus: &[usize]) -> Result<(), Failure> {
    Ok(netipc_sys::raw::keep_to_cpus(cpus)?)
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
