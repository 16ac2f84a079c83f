//! What benchmarks ask of this system beside a transport (`raw`).
#![allow(unsafe_code)]

mod lines;
mod plain;

use std::ffi::CStr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, FILETIME};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessAffinityMask, GetProcessTimes, SetProcessAffinityMask,
};

use super::handle::{last_error, refused, wide};
use super::monotonic_ns;
use crate::SysError;

pub use lines::SharedLines;
pub use plain::PlainSocket;

const BYTES_PER_KIB: u64 = 1024;
/// Of the system's clocks of processes.
const NS_PER_TICK: u64 = 100;

/// Keeps this process to these CPUs, threads to come included, unless there are none named.
///
/// # Errors
/// There is no such CPU, or none that this process may use.
pub fn keep_to_cpus(cpus: &[usize]) -> Result<(), SysError> {
    if cpus.is_empty() {
        return Ok(());
    }
    let os = refused("keep to these CPUs");
    let mut mask = 0_usize;
    for cpu in cpus {
        let bit = u32::try_from(*cpu).ok().and_then(|cpu| 1_usize.checked_shl(cpu));
        mask |= bit.ok_or_else(|| os(ERROR_INVALID_PARAMETER))?;
    }
    let process = own_process();
    // SAFETY: the handle is that of this process, which needs no closing.
    let kept = unsafe { SetProcessAffinityMask(process, mask) };
    if kept == 0 { Err(os(last_error())) } else { Ok(()) }
}

/// The CPUs that this process may use, of those of its group, which has 64 at most.
///
/// # Errors
/// The system refused to tell.
pub fn own_cpus() -> Result<Vec<usize>, SysError> {
    let (mut own, mut all) = (0_usize, 0_usize);
    let process = own_process();
    // SAFETY: as for `SetProcessAffinityMask`; two numbers are written, into locals.
    let told = unsafe { GetProcessAffinityMask(process, &raw mut own, &raw mut all) };
    if told == 0 {
        return Err(refused("tell which CPUs there are")(last_error()));
    }
    Ok((0..usize::BITS as usize).filter(|cpu| own >> cpu & 1 == 1).collect())
}

/// CPU time of all threads of this process so far, in nanoseconds, which the system counts in units of 100, and
/// may bring up to date every 16 ms only; 0 where it does not tell.
#[must_use]
pub fn cpu_time_ns() -> u64 {
    let [mut begun, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    let process = own_process();
    // SAFETY: as for `GetProcessAffinityMask`, with four times.
    let told = unsafe {
        GetProcessTimes(process, &raw mut begun, &raw mut ended, &raw mut kernel, &raw mut user)
    };
    if told == 0 { 0 } else { (ticks(kernel) + ticks(user)) * NS_PER_TICK }
}

const fn ticks(time: FILETIME) -> u64 {
    (time.dwHighDateTime as u64) << u32::BITS | time.dwLowDateTime as u64
}

/// Rests until [`monotonic_ns`] is `at_ns`, by the timers of the standard library. Never spins.
pub fn rest_until(at_ns: u64) {
    loop {
        let left_ns = at_ns.saturating_sub(monotonic_ns());
        if left_ns == 0 {
            return;
        }
        std::thread::sleep(Duration::from_nanos(left_ns));
    }
}

/// Resident memory of this process, in KiB; 0 where the system does not tell.
#[must_use]
pub fn resident_kib() -> u64 {
    const BYTES: u32 = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: BYTES, ..PROCESS_MEMORY_COUNTERS::default() };
    let process = own_process();
    // SAFETY: as for `GetProcessAffinityMask`; at most as many bytes are written as the local has.
    let told = unsafe { K32GetProcessMemoryInfo(process, &raw mut counters, BYTES) };
    if told == 0 { 0 } else { counters.WorkingSetSize as u64 / BYTES_PER_KIB }
}

/// What pretends to be this system, with its version: Wine says so by a function of its own.
#[must_use]
pub fn emulator() -> Option<String> {
    type Version = unsafe extern "C" fn() -> *const std::ffi::c_char;
    let library = wide("ntdll.dll")?;
    // SAFETY: the name has a NUL at its end; the library is part of every process, and stays.
    let library = unsafe { GetModuleHandleW(library.as_ptr()) };
    // SAFETY: the name has a NUL at its end; no library gives nothing.
    let function = unsafe { GetProcAddress(library, c"wine_get_version".as_ptr().cast()) }?;
    // SAFETY: who has a function of this name has it so: it takes nothing, and returns a text.
    let version =
        unsafe { std::mem::transmute::<unsafe extern "system" fn() -> isize, Version>(function) };
    // SAFETY: as above.
    let version = unsafe { version() };
    if version.is_null() {
        return Some("Wine".to_owned());
    }
    // SAFETY: the text has a NUL at its end, and is a constant of the library's.
    let version = unsafe { CStr::from_ptr(version) };
    Some(format!("Wine {}", version.to_string_lossy()))
}

fn own_process() -> windows_sys::Win32::Foundation::HANDLE {
    // SAFETY: returns a constant.
    unsafe { GetCurrentProcess() }
}

/// A name that no other path has, for an object of the kernel.
fn mangled(path: &std::path::Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("netipc-bench-{hash:016x}")
}
