//! One scan of a host: its processes joined to its cgroups, immutable and numbered.
//!
//! Processes are read first, then the cgroup tree: a cgroup made in between has no process here
//! yet, while the other order would show processes in cgroups that nobody knows.
//!
//! Cgroups that are not in the v2 tree but hold processes by another account (a v1 hierarchy, or a
//! v2 one that is not mounted) are taken from the processes: their path is certain, and all that is
//! said of them follows from it. Not here: how long a generation is kept (`host`).

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use crate::cgroups::{self, CgroupTree, MAX_CGROUPS, MAX_DEPTH, MAX_PATH_BYTES, TreeScan};
use crate::host::HostConfig;
use crate::identity::{Identity, Label, MAX_NAME_BYTES, Orchestrator, identify};
use crate::processes::{self, Comm, Place};

/// The options of every cgroup on the wire: the contract gives no bit a meaning, so none is set.
pub const OPTIONS: u32 = 0;

/// What the kernel puts behind the path of a cgroup that was removed under a process.
const DELETED: &[u8] = b" (deleted)";

/// A cgroup of one generation.
#[derive(Debug)]
pub struct Cgroup {
    /// As /proc/PID/cgroup shows it: absolute, at most [`MAX_PATH_BYTES`], any bytes but NUL.
    pub path: Arc<[u8]>,
    /// 1 to [`MAX_NAME_BYTES`](crate::MAX_NAME_BYTES) bytes, without NUL; no two cgroups of a generation share one
    /// as long as their paths are not longer than names may be.
    pub name: Box<[u8]>,
    /// [`name_hash`] of the name.
    pub hash: u32,
    /// Who made it.
    pub orchestrator: Orchestrator,
    /// What its path tells.
    pub labels: Box<[Label]>,
    /// False when the kernel says that no process lives in it or below it.
    pub is_enabled: bool,
    /// Where it was seen.
    pub source: Source,
    /// `memory.current`; None where the memory controller does not watch it.
    pub memory_bytes: Option<u64>,
    /// Processes in it and below it that are visible to this process.
    pub processes: u32,
}

/// Where a cgroup was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the cgroup v2 tree.
    Tree,
    /// Only as the place of a process.
    Processes,
}

/// A process of one generation.
#[derive(Debug)]
pub struct Process {
    /// As in /proc: of this pid namespace.
    pub pid: u32,
    /// Its parent; 0 for none in this namespace.
    pub ppid: u32,
    /// Real uid; None where the kernel does not say.
    pub uid: Option<u32>,
    /// Start, in clock ticks since boot.
    pub starttime_ticks: u64,
    /// Its name.
    pub comm: Comm,
    /// Its cgroup.
    pub cgroup: Membership,
}

/// Which cgroup a process is in (cgroup_status of spec section 10.5).
#[derive(Debug)]
pub enum Membership {
    /// In this one.
    Known(Arc<Cgroup>),
    /// In one that the scan of the tree has not seen: a later generation may know it. The path is
    /// empty if not even that could be read.
    UnknownRetryLater {
        /// As in /proc/PID/cgroup, or empty.
        path: Box<[u8]>,
    },
    /// In one that no generation will know: removed, outside of this cgroup namespace or mount, or
    /// beyond the limits of a scan.
    UnknownPermanent {
        /// As in /proc/PID/cgroup, at least one byte.
        path: Box<[u8]>,
    },
    /// In the root: a process of the host itself.
    HostRoot,
}

/// What is known of a path (status of spec section 10.4).
#[derive(Debug, Clone, Copy)]
pub enum CgroupAnswer<'g> {
    /// This cgroup.
    Known(&'g Arc<Cgroup>),
    /// Not seen by this generation; a later one may.
    UnknownRetryLater,
    /// No generation can know it: not the path of a cgroup, the root, removed, outside of this
    /// cgroup namespace or mount, or beyond the limits of a scan.
    UnknownPermanent,
}

/// One scan of a host.
#[derive(Debug)]
pub struct Generation {
    number: u64,
    tree: CgroupTree,
    cgroups: Cgroups,
    processes: Vec<Process>,
    process_index: HashMap<u32, usize>,
    is_systemd: bool,
}

impl Generation {
    pub(crate) fn scan(config: &HostConfig, number: u64) -> io::Result<Self> {
        let found = processes::scan(&config.proc_root)?;
        let TreeScan { tree, found: in_tree, prefix } =
            cgroups::scan(config.cgroup_root.as_deref(), &config.proc_root);
        let is_tree_absent = matches!(tree, CgroupTree::Absent { .. });
        let cgroups = Cgroups::join(prefix, in_tree, &found, is_tree_absent);
        let is_systemd =
            cgroups.list.iter().any(|cgroup| cgroup.orchestrator == Orchestrator::Systemd);
        let processes: Vec<Process> =
            found.into_iter().map(|process| cgroups.place(process)).collect();
        let process_index =
            processes.iter().enumerate().map(|(at, process)| (process.pid, at)).collect();
        Ok(Self { number, tree, cgroups, processes, process_index, is_systemd })
    }

    /// Never zero; each scan of a [`crate::Host`] has the number after the last one's.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What became of the cgroup v2 tree.
    pub fn tree(&self) -> &CgroupTree {
        &self.tree
    }

    /// Whether systemd manages cgroups here.
    pub fn is_systemd(&self) -> bool {
        self.is_systemd
    }

    /// All cgroups but the root, by path.
    pub fn cgroups(&self) -> &[Arc<Cgroup>] {
        &self.cgroups.list
    }

    /// The cgroup with exactly this path, in O(1).
    pub fn cgroup(&self, path: &[u8]) -> CgroupAnswer<'_> {
        match self.cgroups.get(path) {
            Some(cgroup) => CgroupAnswer::Known(cgroup),
            None if self.cgroups.is_within_reach(path) => CgroupAnswer::UnknownRetryLater,
            None => CgroupAnswer::UnknownPermanent,
        }
    }

    /// All visible processes, by pid.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The process with this pid, in O(1).
    pub fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.get(*self.process_index.get(&pid)?)
    }
}

/// FNV-1, 32 bits, of a cgroup's name: what peers in the field use (spec section 10.3).
pub fn name_hash(name: &[u8]) -> u32 {
    const BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    name.iter().fold(BASIS, |hash, byte| hash.wrapping_mul(PRIME) ^ u32::from(*byte))
}

#[derive(Debug)]
struct Cgroups {
    list: Vec<Arc<Cgroup>>,
    index: HashMap<Arc<[u8]>, usize>,
    /// What the path of everything in the tree starts with.
    prefix: Vec<u8>,
}

impl Cgroups {
    fn join(
        prefix: Vec<u8>,
        in_tree: Vec<cgroups::Found>,
        processes: &[processes::Found],
        is_tree_absent: bool,
    ) -> Self {
        let mut list: Vec<Cgroup> = in_tree.into_iter().map(from_tree).collect();
        let mut seen: HashSet<Arc<[u8]>> = list.iter().map(|c| Arc::clone(&c.path)).collect();
        for process in processes {
            let path = match &process.place {
                Place::Legacy(path) => path,
                Place::Unified(path) if is_tree_absent => path,
                _ => continue,
            };
            if list.len() < MAX_CGROUPS && is_plain(path) && !seen.contains(&**path) {
                let cgroup = from_process(path);
                seen.insert(Arc::clone(&cgroup.path));
                list.push(cgroup);
            }
        }
        list.sort_by(|a, b| a.path.cmp(&b.path));
        make_names_unique(&mut list);
        let index =
            list.iter().enumerate().map(|(at, cgroup)| (Arc::clone(&cgroup.path), at)).collect();
        count_processes(&mut list, &index, processes);
        Self { list: list.into_iter().map(Arc::new).collect(), index, prefix }
    }

    fn get(&self, path: &[u8]) -> Option<&Arc<Cgroup>> {
        self.list.get(*self.index.get(path)?)
    }

    fn place(&self, found: processes::Found) -> Process {
        let cgroup = match found.place {
            Place::Root => Membership::HostRoot,
            Place::Unreadable => Membership::UnknownRetryLater { path: Box::default() },
            Place::Unified(path) | Place::Legacy(path) => match self.get(&path) {
                Some(cgroup) => Membership::Known(Arc::clone(cgroup)),
                None if self.is_within_reach(&path) => Membership::UnknownRetryLater { path },
                None => Membership::UnknownPermanent { path },
            },
        };
        Process {
            pid: found.pid,
            ppid: found.ppid,
            uid: found.uid,
            starttime_ticks: found.starttime_ticks,
            comm: found.comm,
            cgroup,
        }
    }

    /// Whether a scan could find a cgroup of this path if there were one.
    fn is_within_reach(&self, path: &[u8]) -> bool {
        let below = path.strip_prefix(self.prefix.as_slice()).filter(|rest| rest.starts_with(b"/"));
        let depth = below.map(|rest| rest.iter().filter(|b| **b == b'/').count());
        is_plain(path) && depth.is_some_and(|depth| depth <= MAX_DEPTH)
    }
}

/// Whether it is the path of a cgroup that is, and is ours to see. (A cgroup may really be called
/// `x (deleted)`: then the scan has found it before anybody asks here.)
fn is_plain(path: &[u8]) -> bool {
    let is_outside = path == b"/.." || path.starts_with(b"/../");
    let is_path = path.len() > 1 && path.starts_with(b"/") && path.len() <= MAX_PATH_BYTES;
    is_path && !is_outside && !path.ends_with(DELETED) && !path.contains(&0)
}

fn from_tree(found: cgroups::Found) -> Cgroup {
    describe(found.path.into(), found.populated, Source::Tree, found.memory_bytes)
}

fn from_process(path: &[u8]) -> Cgroup {
    describe(path.into(), true, Source::Processes, None)
}

fn describe(
    path: Arc<[u8]>,
    is_enabled: bool,
    source: Source,
    memory_bytes: Option<u64>,
) -> Cgroup {
    let Identity { orchestrator, name, labels } = identify(&path);
    Cgroup {
        hash: name_hash(&name),
        name: name.into(),
        orchestrator,
        labels: labels.into(),
        path,
        is_enabled,
        source,
        memory_bytes,
        processes: 0,
    }
}

/// Readers of a snapshot tell cgroups apart by name. The first by path keeps a name; another that
/// would have it too is named by its whole path, for no other kind of name starts with `/`.
fn make_names_unique(by_path: &mut [Cgroup]) {
    let mut taken: HashSet<Box<[u8]>> = HashSet::with_capacity(by_path.len());
    for cgroup in by_path {
        if !taken.insert(cgroup.name.clone()) && cgroup.path.len() <= MAX_NAME_BYTES {
            cgroup.name = Box::from(&*cgroup.path);
            cgroup.hash = name_hash(&cgroup.name);
        }
    }
}

/// Each process counts for its cgroup and for all above it.
fn count_processes(
    list: &mut [Cgroup],
    index: &HashMap<Arc<[u8]>, usize>,
    processes: &[processes::Found],
) {
    for process in processes {
        let (Place::Unified(path) | Place::Legacy(path)) = &process.place else { continue };
        let inner = path.iter().enumerate().skip(1).filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        for end in inner.chain([path.len()]) {
            let at = path.get(..end).and_then(|above| index.get(above));
            if let Some(cgroup) = at.and_then(|at| list.get_mut(*at)) {
                cgroup.processes = cgroup.processes.saturating_add(1);
            }
        }
    }
}
