//! Run directories, bare sockets for peers of another making, and what threads do.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use tempfile::TempDir;

use super::LONG;

/// A run directory with room for one endpoint.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("svc.sock")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.path().join("svc.lock")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.dir.path().join("svc.tmp")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.dir.path())
            .expect("readable")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }
}

/// A socket bound to `path` that does not listen: what a dead server leaves when dropped, and what
/// a starting one has for a moment.
pub(crate) fn bare_socket(path: &Path, kind: SocketType) -> OwnedFd {
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("one");
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).expect("an address")).expect("bound");
    socket
}

pub(crate) fn leave_stale_socket(path: &Path) {
    drop(bare_socket(path, SocketType::SEQPACKET));
}

/// How often this thread has gone to sleep.
pub(crate) fn sleeps_of_this_thread() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc");
    status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .and_then(|count| count.trim().parse().ok())
        .expect("a count")
}

/// Returns once the thread `tid` of this process sleeps in the kernel.
pub(crate) fn until_asleep(tid: i32) {
    let stat = format!("/proc/self/task/{tid}/stat");
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(&stat).expect("the thread lives");
        let state = text.rsplit(") ").next().and_then(|rest| rest.chars().next());
        if state == Some('S') {
            return;
        }
        assert!(start.elapsed() < LONG, "the thread never slept: {text}");
        std::thread::yield_now();
    }
}

/// Runs `work` in another thread, and returns once that sleeps in the kernel.
pub(crate) fn asleep_in<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let (say, hear) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        say.send(rustix::thread::gettid().as_raw_nonzero().get()).expect("heard");
        work()
    });
    until_asleep(hear.recv().expect("a thread id"));
    thread
}
