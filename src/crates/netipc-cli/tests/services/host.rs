//! A made-up host: a proc file system and a cgroup tree in a temporary directory.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The id of the one container.
pub(crate) const CONTAINER_ID: &str =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Its cgroup.
pub(crate) const CONTAINER: &str =
    "/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";
/// A cgroup whose path is not UTF-8, and its bytes in hexadecimal.
pub(crate) const ODD: &[u8] = b"/odd\xff";
pub(crate) const ODD_HEX: &str = "2f6f6464ff";

pub(crate) struct FixtureHost {
    directory: TempDir,
}

impl FixtureHost {
    /// Six cgroups and six processes, one for each way in which a process can be in a cgroup.
    pub(crate) fn new() -> Self {
        let host = Self::without_tree();
        for path in [CONTAINER.as_bytes(), b"/system.slice/nginx.service", ODD, b"/idle"] {
            host.cgroup(path);
        }
        fs::write(host.cgroup_path(b"/idle").join("cgroup.events"), "populated 0\n").unwrap();
        let big = host.cgroup_path(CONTAINER.as_bytes());
        fs::write(big.join("memory.current"), "52428800\n").unwrap();
        host.process(1, b"init", b"0::/\n");
        host.process(10, b"nginx", b"0::/system.slice/nginx.service\n");
        host.process(11, b"redis", &[b"0::", CONTAINER.as_bytes(), b"\n"].concat());
        host.process(12, b"odd\xff", &[b"0::", ODD, b"\n"].concat());
        host.process(13, b"new", b"0::/not/seen/yet\n");
        host.process(14, b"old", b"0::/gone (deleted)\n");
        host
    }

    /// No process, and no cgroup tree.
    pub(crate) fn without_tree() -> Self {
        let host = Self { directory: TempDir::new().unwrap() };
        fs::create_dir_all(host.proc().join("self")).unwrap();
        fs::write(host.proc().join("self/mountinfo"), "").unwrap();
        host
    }

    pub(crate) fn proc(&self) -> PathBuf {
        self.directory.path().join("proc")
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.directory.path().join("cgroup")
    }

    /// What makes a command read this host.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let shown = |path: &Path| path.to_str().unwrap().to_owned();
        let mut arguments = vec!["--proc-root".to_owned(), shown(&self.proc())];
        if self.tree().exists() {
            arguments.extend(["--cgroup-root".to_owned(), shown(&self.tree())]);
        }
        arguments
    }

    pub(crate) fn process(&self, pid: u32, comm: &[u8], cgroup: &[u8]) {
        let directory = self.proc().join(pid.to_string());
        fs::create_dir_all(&directory).unwrap();
        let head = format!("{pid} (").into_bytes();
        let tail = b") S 7 5412 3439 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 94000 3133440 413\n";
        fs::write(directory.join("stat"), [&head, comm, tail].concat()).unwrap();
        fs::write(directory.join("status"), "Name:\tx\nUid:\t1000\t0\t0\t0\n").unwrap();
        fs::write(directory.join("cgroup"), cgroup).unwrap();
    }

    fn cgroup(&self, path: &[u8]) {
        fs::create_dir_all(self.cgroup_path(path)).unwrap();
    }

    fn cgroup_path(&self, path: &[u8]) -> PathBuf {
        self.tree().join(OsStr::from_bytes(&path[1..]))
    }
}
