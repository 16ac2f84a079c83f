//! One walk over the mounted cgroup v2 tree: which cgroups there are, and what their files say.
//!
//! The tree lives while it is read: a directory that vanishes is not an error and not an omission.
//! Links are not followed, names are bytes. Depth, length and number are bounded; what is left out
//! is counted. Not here: what a path means (`identity`), and who lives in a cgroup (`processes`).

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files::{
    AsFd, BorrowedFd, Errno, OwnedFd, directories, is_gone, open_directory, open_root, read_file,
};
use crate::mounts::{Mount, unified_mounts};

/// Levels of the tree that a scan enters. Each level entered holds one descriptor.
pub const MAX_DEPTH: usize = 32;

/// Cgroups of one generation: what one lookup call may ask for by default (spec section 11).
pub const MAX_CGROUPS: usize = 65_536;

/// Bytes of a cgroup's path. Kernels write none in /proc that is longer.
pub const MAX_PATH_BYTES: usize = 4_095;

/// Bytes of a cgroup's file that are read: each that is read here is a few short lines.
const MAX_FILE_BYTES: usize = 4_096;

/// What became of the cgroup v2 tree in one scan.
#[derive(Debug)]
pub enum CgroupTree {
    /// There is none to scan.
    Absent {
        /// Why there is none.
        why: Absence,
    },
    /// It is there, and holds no cgroup but its root.
    Empty {
        /// Where it was found.
        root: PathBuf,
    },
    /// It was scanned.
    Present {
        /// Where it was found.
        root: PathBuf,
        /// What the scan left out.
        omitted: Omitted,
    },
}

/// Why a host shows no cgroup v2 tree.
#[derive(Debug, Error)]
pub enum Absence {
    /// No cgroup2 file system is mounted: a host with cgroup v1 only, or none.
    #[error("no cgroup2 file system is mounted here")]
    NotMounted,
    /// The table of mounts cannot be read.
    #[error("cannot read the table of mounts, {path}: {source}")]
    MountTable {
        /// The file that was tried.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The root cannot be read as a directory.
    #[error("cannot read the cgroup tree at {root}: {source}")]
    Unreadable {
        /// The root, as configured or as mounted.
        root: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Cgroups that a scan saw and left out, by cause; what lies below them is not counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Omitted {
    /// Deeper than [`MAX_DEPTH`].
    pub too_deep: u64,
    /// With a path of more than [`MAX_PATH_BYTES`].
    pub path_too_long: u64,
    /// Beyond [`MAX_CGROUPS`].
    pub too_many: u64,
    /// Not readable by this process.
    pub unreadable: u64,
}

/// What the files of one cgroup say.
#[derive(Debug)]
pub(crate) struct Found {
    /// As in /proc/PID/cgroup: absolute, without the mount point.
    pub(crate) path: Vec<u8>,
    /// False when the kernel says that no process lives in it or below.
    pub(crate) populated: bool,
    /// None where the memory controller does not watch it.
    pub(crate) memory_bytes: Option<u64>,
}

/// The outcome of one walk.
pub(crate) struct TreeScan {
    pub(crate) tree: CgroupTree,
    pub(crate) found: Vec<Found>,
    /// What the path of every cgroup of this tree starts with; empty for a whole hierarchy.
    pub(crate) prefix: Vec<u8>,
}

impl TreeScan {
    fn absent(why: Absence) -> Self {
        Self { tree: CgroupTree::Absent { why }, found: Vec::new(), prefix: Vec::new() }
    }
}

/// Scans the tree at `root`, or else the one that the mount table under `proc_root` names.
pub(crate) fn scan(root: Option<&Path>, proc_root: &Path) -> TreeScan {
    let candidates = match root {
        Some(root) => vec![Mount { point: root.to_owned(), prefix: Vec::new() }],
        None => {
            let path = proc_root.join("self/mountinfo");
            match std::fs::read(&path) {
                Ok(table) => unified_mounts(&table),
                Err(source) => return TreeScan::absent(Absence::MountTable { path, source }),
            }
        }
    };
    let mut why = Absence::NotMounted;
    for mount in candidates {
        match open_root(&mount.point).and_then(|fd| walk(&fd, &mount.prefix, &LIMITS)) {
            Ok((found, omitted)) => return outcome(mount, found, omitted),
            Err(errno) => why = Absence::Unreadable { root: mount.point, source: errno.into() },
        }
    }
    TreeScan::absent(why)
}

fn outcome(mount: Mount, found: Vec<Found>, omitted: Omitted) -> TreeScan {
    let root = mount.point;
    let tree = if found.is_empty() && omitted == Omitted::default() {
        CgroupTree::Empty { root }
    } else {
        CgroupTree::Present { root, omitted }
    };
    TreeScan { tree, found, prefix: mount.prefix }
}

struct Limits {
    depth: usize,
    cgroups: usize,
    path_bytes: usize,
}

const LIMITS: Limits =
    Limits { depth: MAX_DEPTH, cgroups: MAX_CGROUPS, path_bytes: MAX_PATH_BYTES };

/// The error is that of the root alone: below it, whatever cannot be read is passed over.
fn walk(root: &OwnedFd, prefix: &[u8], limits: &Limits) -> Result<(Vec<Found>, Omitted), Errno> {
    let children = directories(root)?;
    let mut walk = Walk {
        limits,
        found: Vec::new(),
        omitted: Omitted::default(),
        path: prefix.to_vec(),
        text: Vec::new(),
    };
    if !prefix.is_empty() {
        walk.describe(root.as_fd());
    }
    walk.children(root.as_fd(), children, 1);
    Ok((walk.found, walk.omitted))
}

struct Walk<'l> {
    limits: &'l Limits,
    found: Vec<Found>,
    omitted: Omitted,
    /// Path of the cgroup being visited.
    path: Vec<u8>,
    /// Space for a file's text, reused.
    text: Vec<u8>,
}

impl Walk<'_> {
    fn children(&mut self, parent: BorrowedFd<'_>, names: Vec<CString>, depth: usize) {
        for name in names {
            let parent_bytes = self.path.len();
            self.path.push(b'/');
            self.path.extend_from_slice(name.as_bytes());
            if depth > self.limits.depth {
                self.omitted.too_deep += 1;
            } else if self.path.len() > self.limits.path_bytes {
                self.omitted.path_too_long += 1;
            } else if self.found.len() >= self.limits.cgroups {
                self.omitted.too_many += 1;
            } else if let Err(errno) = self.visit(parent, &name, depth) {
                self.omitted.unreadable += u64::from(!is_gone(errno));
            }
            self.path.truncate(parent_bytes);
        }
    }

    fn visit(&mut self, parent: BorrowedFd<'_>, name: &CString, depth: usize) -> Result<(), Errno> {
        let directory = open_directory(parent, name)?;
        let names = directories(&directory)?;
        self.describe(directory.as_fd());
        self.children(directory.as_fd(), names, depth + 1);
        Ok(())
    }

    fn describe(&mut self, directory: BorrowedFd<'_>) {
        let text = &mut self.text;
        let populated = match read_file(directory, c"cgroup.events", MAX_FILE_BYTES, text) {
            Ok(()) => !text.split(|b| *b == b'\n').any(|line| line == b"populated 0"),
            Err(_) => true,
        };
        let memory_bytes = match read_file(directory, c"memory.current", MAX_FILE_BYTES, text) {
            Ok(()) => number(text),
            Err(_) => None,
        };
        self.found.push(Found { path: self.path.clone(), populated, memory_bytes });
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim_ascii_end().parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn walk_paths(root: &Path, limits: &Limits) -> (Vec<String>, Omitted) {
        let (found, omitted) = walk(&open_root(root).unwrap(), b"", limits).unwrap();
        let mut paths: Vec<_> =
            found.into_iter().map(|f| String::from_utf8(f.path).unwrap()).collect();
        paths.sort();
        (paths, omitted)
    }

    #[test]
    fn each_limit_leaves_out_and_counts() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b/c")).unwrap();
        fs::create_dir_all(root.path().join("d")).unwrap();

        let deep = Limits { depth: 2, ..LIMITS };
        let (paths, omitted) = walk_paths(root.path(), &deep);
        assert_eq!(paths, ["/a", "/a/b", "/d"]);
        assert_eq!(omitted, Omitted { too_deep: 1, ..Omitted::default() });

        let long = Limits { path_bytes: 4, ..LIMITS };
        let (paths, omitted) = walk_paths(root.path(), &long);
        assert_eq!(paths, ["/a", "/a/b", "/d"]);
        assert_eq!(omitted, Omitted { path_too_long: 1, ..Omitted::default() });

        let few = Limits { cgroups: 4, ..LIMITS };
        assert_eq!(walk_paths(root.path(), &few).1, Omitted::default());
        let few = Limits { cgroups: 1, ..LIMITS };
        let (paths, omitted) = walk_paths(root.path(), &few);
        assert_eq!(paths.len(), 1);
        assert!(omitted.too_many >= 1, "{omitted:?}");
    }

    #[test]
    fn links_and_pipes_are_neither_followed_nor_waited_for() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("real")).unwrap();
        symlink("real", root.path().join("link")).unwrap();
        symlink("..", root.path().join("real/up")).unwrap();
        let pipe = root.path().join("real/memory.current");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        assert_eq!(walk_paths(root.path(), &LIMITS), (vec!["/real".into()], Omitted::default()));
        // A link that took the place of a directory after its entry was read.
        let parent = open_root(root.path()).unwrap();
        assert!(is_gone(open_directory(&parent, c"link").unwrap_err()));
    }

    #[test]
    fn a_directory_that_vanished_is_no_omission() {
        let root = tempfile::tempdir().unwrap();
        let gone = root.path().join("gone");
        fs::create_dir(&gone).unwrap();
        let (parent, child) = (open_root(root.path()).unwrap(), open_root(&gone).unwrap());
        fs::remove_dir(&gone).unwrap();
        assert!(is_gone(open_directory(&parent, c"gone").unwrap_err()));
        // Removed between its opening and its reading.
        assert!(
            directories(&child).is_ok_and(|names| names.is_empty())
                || directories(&child).is_err_and(is_gone)
        );

        let mut walk = Walk {
            limits: &LIMITS,
            found: Vec::new(),
            omitted: Omitted::default(),
            path: Vec::new(),
            text: Vec::new(),
        };
        walk.children(parent.as_fd(), vec![c"gone".into(), c"never".into()], 1);
        assert!(walk.found.is_empty());
        assert_eq!(walk.omitted, Omitted::default());
    }

    #[test]
    fn the_mounted_cgroup_itself_is_listed_when_it_is_a_part() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("inner")).unwrap();
        let (found, _) = walk(&open_root(root.path()).unwrap(), b"/docker/ab", &LIMITS).unwrap();
        let paths: Vec<_> = found.into_iter().map(|f| f.path).collect();
        assert_eq!(paths, [b"/docker/ab".to_vec(), b"/docker/ab/inner".to_vec()]);
    }
}
