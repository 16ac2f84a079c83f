//! One walk over /proc: what the kernel says of every process.
//!
//! Three files a process, opened relative to its directory, so that all three are of the same
//! process even when its pid is given away meanwhile: `stat` (parent, start, name), `status` (real
//! uid; the directory's owner is the effective one, or root) and `cgroup`. Processes that end
//! during the walk are passed over. The crate `procfs` does this job too, but reads names as
//! lossy UTF-8, fails on cgroup paths that are not UTF-8, and parses all fields of all files.
//! Not here: threads, and what a cgroup path means.
//!
//! A process is in one cgroup per hierarchy. Its place here is the first of these that is not the
//! root: the v2 line (`0::`), the v1 hierarchy `name=systemd`, the v1 hierarchy of the controller
//! `memory`. Where v2 is mounted beside v1 and not used, that finds the path that the container
//! runtime made; other v1 hierarchies sort by scheduling class as often as by container.

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::path::Path;

use crate::files::{AsFd, BorrowedFd, Errno, each_directory, open_directory, open_root, read_file};

/// Bytes of a process's name (TASK_COMM_LEN without its NUL).
pub const MAX_COMM_BYTES: usize = 15;

/// Processes of one generation: the kernel's own limit of pids.
pub const MAX_PROCESSES: usize = 4_194_304;

/// Stands for the name of a process that has given itself an empty one, as any process may.
const NAMELESS: &[u8] = b"?";

/// Bytes of a process's file that are read: twelve hierarchies with paths of 4 KiB fit.
const MAX_FILE_BYTES: usize = 65_536;

/// A process's name: 1 to [`MAX_COMM_BYTES`] bytes, any but NUL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm {
    bytes: [u8; MAX_COMM_BYTES],
    len: u8,
}

impl Comm {
    /// Cuts at the first NUL and at the limit: the kernel shows some of its own threads with longer
    /// names.
    fn new(name: &[u8]) -> Self {
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        let name = if name.is_empty() { NAMELESS } else { name };
        let mut bytes = [0; MAX_COMM_BYTES];
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(name) {
            *to = *from;
            len += 1;
        }
        Self { bytes, len }
    }

    /// The name, without a NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// What the files of one process say.
pub(crate) struct Found {
    pub(crate) pid: u32,
    pub(crate) ppid: u32,
    pub(crate) uid: Option<u32>,
    pub(crate) starttime_ticks: u64,
    pub(crate) comm: Comm,
    pub(crate) place: Place,
}

/// Where a process is among the cgroups.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the root of every hierarchy that counts; also where the kernel has no cgroups.
    Root,
    /// In this cgroup of the v2 hierarchy.
    Unified(Box<[u8]>),
    /// In this cgroup of a v1 hierarchy.
    Legacy(Box<[u8]>),
    /// The kernel would not say.
    Unreadable,
}

/// All processes that are visible, by ascending pid.
///
/// # Errors
/// `proc_root` is not a directory that can be read.
pub(crate) fn scan(proc_root: &Path) -> io::Result<Vec<Found>> {
    let refused = |errno: Errno| {
        let error = io::Error::from(errno);
        let text = format!("cannot read processes at {}: {error}", proc_root.display());
        io::Error::new(error.kind(), text)
    };
    let root = open_root(proc_root).map_err(refused)?;
    let mut found = Vec::new();
    let mut text = Vec::new();
    each_directory(&root, |name| {
        if let Some(pid) = pid(name)
            && found.len() < MAX_PROCESSES
        {
            found.extend(read_process(root.as_fd(), name, pid, &mut text));
        }
    })
    .map_err(refused)?;
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

/// None for a process that has ended, or whose `stat` is no `stat`.
fn read_process(root: BorrowedFd<'_>, name: &CStr, pid: u32, text: &mut Vec<u8>) -> Option<Found> {
    let directory = open_directory(root, name).ok()?;
    read_file(&directory, c"stat", MAX_FILE_BYTES, text).ok()?;
    let Stat { comm, ppid, starttime_ticks } = parse_stat(text)?;
    let uid = match read_file(&directory, c"status", MAX_FILE_BYTES, text) {
        Ok(()) => parse_uid(text),
        Err(Errno::SRCH) => return None,
        Err(_) => None,
    };
    let place = match read_file(&directory, c"cgroup", MAX_FILE_BYTES, text) {
        Ok(()) => parse_cgroup(text),
        Err(Errno::SRCH) => return None,
        Err(Errno::NOENT) => Place::Root,
        Err(_) => Place::Unreadable,
    };
    Some(Found { pid, ppid, uid, starttime_ticks, comm, place })
}

fn pid(name: &CStr) -> Option<u32> {
    let name = name.to_str().ok()?;
    name.bytes().all(|b| b.is_ascii_digit()).then(|| name.parse().ok())?
}

#[derive(Debug, PartialEq)]
struct Stat {
    comm: Comm,
    ppid: u32,
    starttime_ticks: u64,
}

/// Fields after the name, counted from 0 at field 3 of proc_pid_stat(5), which is the state.
const PPID_FIELD: usize = 4 - 3;
const STARTTIME_FIELD: usize = 22 - 3;

/// `PID (NAME) STATE PPID …`. The name may hold anything, blanks, line ends and parentheses too;
/// all that follows it is numbers, so it ends at the last parenthesis.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let comm = Comm::new(text.get(open + 1..close)?);
    let fields = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let ppid = fields.nth(PPID_FIELD)?.parse().ok()?;
    let starttime_ticks = fields.nth(STARTTIME_FIELD - PPID_FIELD - 1)?.parse().ok()?;
    Some(Stat { comm, ppid, starttime_ticks })
}

/// `Uid:\tREAL\tEFFECTIVE…`. The name's line comes earlier, but its line ends are escaped, so it
/// cannot pose as this one.
fn parse_uid(text: &[u8]) -> Option<u32> {
    let line = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// Lines of `HIERARCHY:CONTROLLERS:PATH`; a path may hold colons, but no line end.
fn parse_cgroup(text: &[u8]) -> Place {
    let (mut unified, mut systemd, mut memory) = (None, None, None);
    for line in text.split(|b| *b == b'\n') {
        let mut parts = line.splitn(3, |b| *b == b':');
        let (Some(hierarchy), Some(controllers), Some(path)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if !path.starts_with(b"/") || path == b"/" {
            continue;
        }
        let slot = match (hierarchy, controllers) {
            (b"0", b"") => &mut unified,
            (_, b"name=systemd") => &mut systemd,
            (_, list) if list.split(|b| *b == b',').any(|c| c == b"memory") => &mut memory,
            _ => continue,
        };
        *slot = Some(path);
    }
    match (unified, systemd.or(memory)) {
        (Some(path), _) => Place::Unified(path.into()),
        (None, Some(path)) => Place::Legacy(path.into()),
        (None, None) => Place::Root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAIL: &str = "S 7 5412 3439 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 94464 3133440 413";

    fn stat(comm: &[u8]) -> Vec<u8> {
        [b"42 (".as_slice(), comm, b") ", TAIL.as_bytes(), b"\n"].concat()
    }

    #[test]
    fn stat_gives_name_parent_and_start() {
        let expected = Stat { comm: Comm::new(b"cat"), ppid: 7, starttime_ticks: 94464 };
        assert_eq!(parse_stat(&stat(b"cat")), Some(expected));
    }

    #[test]
    fn hostile_names_do_not_move_the_fields() {
        let names: [&[u8]; 6] =
            [b"a b", b") S 1 2 3", b"((", b"x\n9 (y) Z", b"\xff\xfe", b"a) R 0 ("];
        for name in names {
            let parsed = parse_stat(&stat(name)).unwrap();
            assert_eq!(parsed.comm.as_bytes(), name);
            assert_eq!((parsed.ppid, parsed.starttime_ticks), (7, 94464));
        }
    }

    #[test]
    fn names_are_1_to_15_bytes() {
        assert_eq!(Comm::new(b"").as_bytes(), b"?");
        assert_eq!(Comm::new(b"\0abc").as_bytes(), b"?");
        assert_eq!(Comm::new(b"123456789012345").as_bytes(), b"123456789012345");
        assert_eq!(Comm::new(b"kworker/u8:0-events_unbound").as_bytes(), b"kworker/u8:0-ev");
    }

    #[test]
    fn what_is_no_stat_is_refused() {
        let cases: [&[u8]; 7] = [
            b"",
            b"42",
            b"42 (cat",
            b"42 (cat)",
            b"42 (cat) S 7 1 1",
            b"42 )cat( S 7",
            b"42 (cat) S -7 5412 3439 0 -1 4 98 0 0 0 0 0 0 0 20 0 1 0 94464",
        ];
        for case in cases {
            assert_eq!(parse_stat(case), None, "{}", case.escape_ascii());
        }
    }

    #[test]
    fn the_real_uid_is_the_first() {
        let text =
            b"Name:\tUid:\\n\nUmask:\t0022\nPPid:\t1\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n";
        assert_eq!(parse_uid(text), Some(1000));
        assert_eq!(parse_uid(b"Name:\tx\n"), None);
        assert_eq!(parse_uid(b"Uid:\t-1\n"), None);
    }

    #[test]
    fn the_place_is_the_first_that_is_not_the_root() {
        let cases: [(&[u8], Place); 9] = [
            (b"0::/a:b/c\n", Place::Unified((*b"/a:b/c").into())),
            (b"0::/\n", Place::Root),
            (b"", Place::Root),
            (b"garbage\n::\n5:memory\n0::relative\n", Place::Root),
            (b"4:memory:/m\n1:name=systemd:/s\n0::/u\n", Place::Unified((*b"/u").into())),
            (b"4:memory:/m\n1:name=systemd:/s\n0::/\n", Place::Legacy((*b"/s").into())),
            (b"4:memory:/m\n1:name=systemd:/\n0::/\n", Place::Legacy((*b"/m").into())),
            (b"4:hugetlb,memory:/m\n", Place::Legacy((*b"/m").into())),
            (b"3:cpuset:/foreground\n2:cpu,cpuacct:/bg\n0::/\n", Place::Root),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_cgroup(text), expected, "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse_stat(&bytes);
            parse_uid(&bytes);
            parse_cgroup(&bytes);
        }

        #[test]
        fn any_stat_like_bytes_are_survived(bytes in "[0-9() \n\u{0}S-]{0,120}") {
            parse_stat(bytes.as_bytes());
        }

        #[test]
        fn any_name_leaves_the_fields_alone(name in prop::collection::vec(any::<u8>(), 0..=15)) {
            let parsed = parse_stat(&stat(&name)).unwrap();
            prop_assert_eq!((parsed.ppid, parsed.starttime_ticks), (7, 94464));
            prop_assert!((1..=15).contains(&parsed.comm.as_bytes().len()));
        }
    }
}
