//! Builds a proc file system and a cgroup tree in a temporary directory.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use netipc_host::{Cgroup, CgroupAnswer, Generation, Host, HostConfig, Label};
use tempfile::TempDir;

pub(crate) struct Fixture {
    directory: TempDir,
    has_tree: bool,
}

impl Fixture {
    /// An empty /proc and an empty cgroup tree.
    pub(crate) fn new() -> Self {
        let fixture = Self::without_tree();
        fs::create_dir(fixture.tree()).unwrap();
        Self { has_tree: true, ..fixture }
    }

    /// An empty /proc whose table of mounts names no cgroup tree.
    pub(crate) fn without_tree() -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir_all(directory.path().join("proc/self")).unwrap();
        let fixture = Self { directory, has_tree: false };
        fixture.mountinfo("");
        fixture
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.directory.path().join("cgroup")
    }

    pub(crate) fn proc(&self) -> PathBuf {
        self.directory.path().join("proc")
    }

    pub(crate) fn mountinfo(&self, text: &str) {
        fs::write(self.proc().join("self/mountinfo"), text).unwrap();
    }

    /// Makes a cgroup and all above it; returns its directory.
    pub(crate) fn cgroup(&self, path: impl AsRef<[u8]>) -> PathBuf {
        let relative = path.as_ref().strip_prefix(b"/").unwrap();
        let directory = self.tree().join(OsStr::from_bytes(relative));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// Makes a process of parent 1 and uid 1000; `cgroup` is the text of its file.
    pub(crate) fn process(&self, pid: u32, comm: &[u8], cgroup: &[u8]) -> PathBuf {
        let directory = self.proc().join(pid.to_string());
        fs::create_dir_all(&directory).unwrap();
        let fields = "S 1 5412 3439 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0";
        let head = format!("{pid} (").into_bytes();
        let tail = format!(") {fields} {} 3133440 413\n", starttime(pid)).into_bytes();
        fs::write(directory.join("stat"), [head, comm.to_vec(), tail].concat()).unwrap();
        fs::write(directory.join("status"), "Name:\tx\nUid:\t1000\t0\t0\t0\n").unwrap();
        fs::write(directory.join("cgroup"), cgroup).unwrap();
        directory
    }

    pub(crate) fn config(&self) -> HostConfig {
        HostConfig { proc_root: self.proc(), cgroup_root: self.has_tree.then(|| self.tree()) }
    }

    /// One scan.
    pub(crate) fn scan(&self) -> Arc<Generation> {
        Host::new(self.config()).current().unwrap()
    }
}

/// The start that [`Fixture::process`] gives a process.
pub(crate) fn starttime(pid: u32) -> u64 {
    94_000 + u64::from(pid)
}

pub(crate) fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

#[track_caller]
pub(crate) fn known(generation: &Generation, path: impl AsRef<[u8]>) -> &Arc<Cgroup> {
    match generation.cgroup(path.as_ref()) {
        CgroupAnswer::Known(cgroup) => cgroup,
        other => panic!("{}: {other:?}", path.as_ref().escape_ascii()),
    }
}

pub(crate) fn paths(generation: &Generation) -> Vec<String> {
    generation.cgroups().iter().map(|c| c.path.escape_ascii().to_string()).collect()
}

pub(crate) fn label(labels: &[Label], key: &str) -> Option<String> {
    let label = labels.iter().find(|label| label.key == key)?;
    Some(label.value.escape_ascii().to_string())
}

/// A clock that stands still until it is told otherwise.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<Instant>>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn now(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    pub(crate) fn host(&self, config: HostConfig) -> Host {
        let clock = self.clone();
        Host::with_clock(config, move || clock.now())
    }
}
