//! What the policy of waiting asks the system: what time it is, and whether a peer can run while
//! this thread looks for what it sends.

use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC, the same in all processes of a host. No system call where the
/// kernel lends its clock, which is everywhere but on exotic hardware.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    const NS_PER_S: u64 = 1_000_000_000;
    let now = clock_gettime(ClockId::Monotonic);
    // Never negative: it counts from the start of the host.
    (now.tv_sec as u64).wrapping_mul(NS_PER_S).wrapping_add(now.tv_nsec as u64)
}

/// Whether the machine has more than one CPU at work. Asked once a process: where it is wrong later,
/// waiting costs a little more than it had to.
pub(crate) fn has_several_cpus() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| online_cpus() > 1)
}

#[allow(unsafe_code)]
fn online_cpus() -> libc::c_long {
    // SAFETY: takes a number, returns a number, touches no memory of this program.
    unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }
}
