//! What benchmarks ask of this system beside a transport (`raw`).

use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, connect, listen, recv, send, socket_with,
};
use rustix::thread::{
    ClockId, CpuSet, Timespec, clock_nanosleep_absolute, sched_getaffinity, sched_setaffinity,
    set_current_timer_slack,
};
use rustix::time::clock_gettime;

use super::refused;
pub use super::shared_lines::{SharedHeader, SharedLines};
use crate::SysError;

const NS_PER_S: u64 = 1_000_000_000;

/// A blocking packet socket with nothing around it.
#[derive(Debug)]
pub struct PlainSocket(OwnedFd);

impl PlainSocket {
    /// The server's end, to be [accepted](Self::accept) on.
    ///
    /// # Errors
    /// The system refused.
    pub fn listen(path: &Path) -> Result<Self, SysError> {
        let os = refused("listen on a plain socket");
        let socket = packet_socket().map_err(os)?;
        bind(&socket, &SocketAddrUnix::new(path).map_err(os)?).map_err(os)?;
        listen(&socket, 1).map_err(os)?;
        Ok(Self(socket))
    }

    /// Waits for the client.
    ///
    /// # Errors
    /// The system refused.
    pub fn accept(self) -> Result<Self, SysError> {
        let accepted = accept_with(&self.0, SocketFlags::CLOEXEC);
        accepted.map(Self).map_err(refused("accept on a plain socket"))
    }

    /// The client's end.
    ///
    /// # Errors
    /// The system refused.
    pub fn connect(path: &Path) -> Result<Self, SysError> {
        let os = refused("connect a plain socket");
        let socket = packet_socket().map_err(os)?;
        connect(&socket, &SocketAddrUnix::new(path).map_err(os)?).map_err(os)?;
        Ok(Self(socket))
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// The system refused.
    pub fn send(&self, packet: &[u8]) -> Result<(), SysError> {
        send(&self.0, packet, SendFlags::NOSIGNAL).map(drop).map_err(refused("send plainly"))
    }

    /// Waits for one packet: its length, which is zero once the peer has left.
    ///
    /// # Errors
    /// The system refused.
    pub fn recv(&self, packet: &mut [u8]) -> Result<usize, SysError> {
        let received = recv(&self.0, packet, RecvFlags::empty());
        received.map(|(len, _)| len).map_err(refused("receive plainly"))
    }
}

fn packet_socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Keeps this process to these CPUs, threads to come included, unless there are none named; and has it woken
/// when it asked to be, and not up to 50 µs later, as is the default.
///
/// # Errors
/// There is no such CPU, or none that this process may use.
pub fn keep_to_cpus(cpus: &[usize]) -> Result<(), SysError> {
    let os = refused("keep to these CPUs");
    set_current_timer_slack(NonZeroU64::new(1)).map_err(os)?;
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        if *cpu >= CpuSet::MAX_CPU {
            return Err(os(Errno::INVAL));
        }
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).map_err(os)
}

/// The CPUs that this process may use.
///
/// # Errors
/// The system refused to tell.
pub fn own_cpus() -> Result<Vec<usize>, SysError> {
    let set = sched_getaffinity(None).map_err(refused("tell which CPUs there are"))?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// CPU time of all threads of this process so far, in nanoseconds.
#[must_use]
pub fn cpu_time_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(NS_PER_S).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Rests in the kernel until [`monotonic_ns`](crate::raw::monotonic_ns) is `at_ns`. Never spins.
pub fn rest_until(at_ns: u64) {
    let at = Timespec {
        tv_sec: i64::try_from(at_ns / NS_PER_S).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(at_ns % NS_PER_S).unwrap_or(0),
    };
    while clock_nanosleep_absolute(ClockId::Monotonic, &at) == Err(Errno::INTR) {}
}

/// Resident memory of this process, in KiB; 0 where the system does not tell.
#[must_use]
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What pretends to be this system, with its version. Nothing does here that could be told.
#[must_use]
pub const fn emulator() -> Option<String> {
    None
}
