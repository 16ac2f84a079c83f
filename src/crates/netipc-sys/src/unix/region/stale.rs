//! Regions that dead servers left, told from live ones (spec section 7).
//!
//! Live is a region whose owner is alive, which takes some care: pids are reused, a dead process
//! keeps its pid until its parent has asked for it, and what cannot be found out counts as alive.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, StatxFlags, fstat, open, openat, statat, statx, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::layout::{HEADER_BYTES, Header};
use crate::SysError;
use crate::platform::endpoint::FileId;
use crate::platform::refused;

/// An owner that started later than this after its file was made is another process with its pid.
const START_MARGIN_NS: i128 = 2 * NS_PER_S;
const NS_PER_S: i128 = 1_000_000_000;

/// Where `/proc/{pid}/stat` has what, counted from the field behind the name in parentheses.
const STAT_STATE: usize = 0;
const STAT_START_TICKS: usize = 19;

/// Removes the regions in `run_dir` that dead servers left, and returns how many those were. Looks at
/// the names alone for which `is_region` says that they are regions of the caller's service, and
/// removes regular files only.
///
/// For a server that has just won its endpoint: nobody else makes regions of that name then.
///
/// # Errors
/// The system refused to look at something (no descriptors, say): nothing was removed.
pub fn remove_stale_regions(
    run_dir: &Path,
    is_region: impl Fn(&[u8]) -> bool,
) -> Result<usize, SysError> {
    let os = refused("look for stale regions");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = open(run_dir, flags, Mode::empty()).map_err(os)?;
    let mut stale = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir).map_err(os)? {
        let entry = entry.map_err(os)?;
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
        if !is_region(name.as_bytes()) {
            continue;
        }
        if let Leftover::Stale(id) = examine(dir.as_fd(), name.as_ref()).map_err(os)? {
            stale.push((name.to_owned(), id));
        }
    }
    // Only now, when all of it has been looked at.
    Ok(stale.iter().filter(|(name, id)| remove(dir.as_fd(), name.as_ref(), *id)).count())
}

/// What stands at a region's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leftover {
    /// Nothing, by now.
    Gone,
    /// A dead server's.
    Stale(FileId),
    /// A live server's, or one of which that is not known, or no regular file: left alone.
    Kept,
}

/// Looks at `name`. An error means that nothing was found out.
pub(super) fn examine(dir: BorrowedFd<'_>, name: &Path) -> Result<Leftover, Errno> {
    // Without waiting for a writer, should it be a named pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(dir, name, flags | OFlags::NOCTTY, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Leftover::Gone),
        Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => return Err(errno),
        // A link, a socket, another user's…
        Err(_) => return Ok(Leftover::Kept),
    };
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(Leftover::Kept);
    }
    let is_live = match read_header(&file)?.as_ref().and_then(Header::owner) {
        Some(pid) => owner_lives(pid, made_ns(&file)?)?,
        None => false,
    };
    Ok(if is_live { Leftover::Kept } else { Leftover::Stale(FileId::of(&stat)) })
}

/// Unlinks `name` if it still is the file that was examined.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &Path, id: FileId) -> bool {
    let same = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|now| FileId::of(&now) == id);
    same && unlinkat(dir, name, AtFlags::empty()).is_ok()
}

/// The same two steps for one path. `Gone` when nothing is in the way any more.
pub(super) fn clear(path: &Path) -> Result<Leftover, Errno> {
    Ok(match examine(CWD, path)? {
        Leftover::Stale(id) if remove(CWD, path, id) => Leftover::Gone,
        Leftover::Stale(_) => Leftover::Kept,
        found => found,
    })
}

/// The header of a region's file, as it is now; `None` if the file is shorter.
pub(super) fn read_header(file: &OwnedFd) -> Result<Option<Header>, Errno> {
    let mut bytes = [0; HEADER_BYTES];
    let mut filled = 0;
    while filled < HEADER_BYTES {
        let at = filled as u64;
        match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut bytes[filled..], at))? {
            0 => return Ok(None),
            more => filled += more,
        }
    }
    Ok(Some(Header::new(bytes)))
}

/// When the file was made, in nanoseconds of the wall clock: its birth, where the file system knows
/// it, and at the latest when it was last written.
fn made_ns(file: &OwnedFd) -> Result<i128, Errno> {
    let stat = fstat(file)?;
    let modified = nanoseconds(i128::from(stat.st_mtime), i128::from(stat.st_mtime_nsec));
    let born = match statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME) {
        Ok(told) if told.stx_mask & StatxFlags::BTIME.bits() != 0 => {
            nanoseconds(told.stx_btime.tv_sec.into(), told.stx_btime.tv_nsec.into())
        }
        _ => modified,
    };
    Ok(born.min(modified))
}

/// Whether the process `pid` runs, and may have made a file at `made_ns`.
fn owner_lives(pid: i32, made_ns: i128) -> Result<bool, Errno> {
    let Some(process) = Pid::from_raw(pid) else { return Ok(false) };
    if test_kill_process(process) == Err(Errno::SRCH) {
        return Ok(false);
    }
    let stat = match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) => match Errno::from_io_error(&error) {
            Some(errno @ (Errno::MFILE | Errno::NFILE)) => return Err(errno),
            // It has just gone, or it is hidden: unclear.
            _ => return Ok(true),
        },
    };
    let text = String::from_utf8_lossy(&stat);
    // The name may hold anything, parentheses too.
    let Some((_, behind_name)) = text.rsplit_once(") ") else { return Ok(true) };
    let field = |index| behind_name.split_ascii_whitespace().nth(index);
    if matches!(field(STAT_STATE), Some("Z" | "X" | "x")) {
        return Ok(false);
    }
    let start_ticks = field(STAT_START_TICKS).and_then(|ticks| ticks.parse::<u64>().ok());
    Ok(start_ticks.is_none_or(|ticks| started_ns(ticks) <= made_ns + START_MARGIN_NS))
}

/// A moment in clock ticks since boot, in nanoseconds of the wall clock.
fn started_ns(ticks: u64) -> i128 {
    let ticks_per_s = i128::from(rustix::param::clock_ticks_per_second()).max(1);
    let since_boot = i128::from(ticks) * NS_PER_S / ticks_per_s;
    let [wall, boot] = [ClockId::Realtime, ClockId::Boottime].map(|clock| {
        let now = clock_gettime(clock);
        nanoseconds(now.tv_sec.into(), now.tv_nsec.into())
    });
    wall - boot + since_boot
}

const fn nanoseconds(seconds: i128, nanoseconds: i128) -> i128 {
    seconds * NS_PER_S + nanoseconds
}
