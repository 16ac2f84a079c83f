//! What the policy of waiting asks the system: what time it is, and whether a peer can run while this
//! thread looks for what it sends.
#![allow(unsafe_code)]

use std::sync::OnceLock;

use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};

/// Nanoseconds of the performance counter, the same in all processes of a host. No system call where
/// the processor's counter is steady, which is everywhere but on exotic hardware.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    const NS_PER_S: u128 = 1_000_000_000;
    static FREQUENCY_HZ: OnceLock<u64> = OnceLock::new();
    let frequency_hz = *FREQUENCY_HZ.get_or_init(|| {
        let mut hz = 0;
        // SAFETY: writes a number into a local.
        let _never_fails = unsafe { QueryPerformanceFrequency(&raw mut hz) };
        hz.unsigned_abs().max(1)
    });
    let mut ticks = 0;
    // SAFETY: writes a number into a local.
    let _never_fails = unsafe { QueryPerformanceCounter(&raw mut ticks) };
    // Never negative: it counts from the start of the host.
    (u128::from(ticks.unsigned_abs()) * NS_PER_S / u128::from(frequency_hz)) as u64
}

/// Whether the machine has more than one CPU at work. Asked once a process: where it is wrong later,
/// waiting costs a little more than it had to.
pub(crate) fn has_several_cpus() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| std::thread::available_parallelism().map_or(1, Into::into) > 1_usize)
}
