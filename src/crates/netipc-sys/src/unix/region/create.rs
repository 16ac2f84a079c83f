//! Making a region: the server's side (spec section 7).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Mode, OFlags, Stat, fallocate, fchmod, fstat, open, statat,
    unlink,
};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::layout::{HEADER_BYTES, MAGIC, VERSION, field};
use super::mapping::Mapping;
use super::sleep::doorbell;
use super::stale::{Leftover, clear};
use crate::platform::refused;
use crate::region::{Area, Layout, Made};
use crate::{CreateError, RegionName, RegionSizes, SysError};

/// Read and write for its owner, nothing for anybody else.
const REGION_MODE: u32 = 0o600;

/// How often a name is cleared of what dead servers left before it counts as taken.
const CLEARINGS: usize = 3;

/// The entry of a region that this process made: removed when dropped at the latest, unless another file
/// has taken its name by then.
#[derive(Debug)]
pub(crate) struct OwnEntry {
    path: PathBuf,
    /// As long as the file is mapped, no other has its number.
    device_and_inode: (u64, u64),
    /// Or is being removed. Looking whose the name is and unlinking it are two steps: a second one who does that could
    /// unlink a successor's.
    removed: AtomicBool,
}

impl OwnEntry {
    /// Once or more often.
    pub(crate) fn remove(&self) {
        // Relaxed: nothing else comes with it.
        if self.removed.swap(true, Ordering::Relaxed) {
            return;
        }
        let there = statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|stat| device_and_inode(&stat) == self.device_and_inode) {
            let _removed = unlink(&self.path);
        }
    }
}

impl Drop for OwnEntry {
    fn drop(&mut self) {
        self.remove();
    }
}

// The fields' types differ between architectures.
#[allow(clippy::unnecessary_cast)]
const fn device_and_inode(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// Makes the file, reserves all of it, maps it and fills its header in.
pub(crate) fn create(name: &RegionName, sizes: RegionSizes) -> Result<Made, CreateError> {
    let RegionName::File(path) = name else {
        return Err(os("use a region that is no file", Errno::OPNOTSUPP));
    };
    let layout = Layout::for_sizes(HEADER_BYTES as u32, sizes).ok_or(CreateError::TooLarge)?;
    let file = open_new(path)?;
    let stat = fstat(&file).map_err(|errno| os("examine a region", errno))?;
    let entry = OwnEntry {
        path: path.clone(),
        device_and_inode: device_and_inode(&stat),
        removed: AtomicBool::new(false),
    };
    // Whatever the umask.
    let mode = Mode::from_raw_mode(REGION_MODE);
    fchmod(&file, mode).map_err(|errno| os("set the mode of a region", errno))?;
    reserve(&file, layout.len_bytes())?;
    let mapping = Mapping::new(file.as_fd(), layout).map_err(CreateError::from)?;
    fill_in(&mapping, layout);
    Ok(Made { mapping, doorbell: doorbell(), entry: Some(entry) })
}

fn open_new(path: &Path) -> Result<OwnedFd, CreateError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    for _ in 0..CLEARINGS {
        match open(path, flags, Mode::from_raw_mode(REGION_MODE)) {
            Ok(file) => return Ok(file),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(os("create a region", errno)),
        }
        let found = clear(path).map_err(|errno| os("examine what is at a region's name", errno))?;
        if found == Leftover::Kept {
            break;
        }
    }
    Err(CreateError::Taken)
}

/// Reserves every byte: a full disk is an error here and now, and no fault later. What is reserved
/// reads as zeros.
fn reserve(file: &OwnedFd, len_bytes: u64) -> Result<(), CreateError> {
    // Asking for more would be answered by a signal that ends the process.
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| len_bytes > limit) {
        return Err(os("reserve a region", Errno::FBIG));
    }
    rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, len_bytes))
        .map_err(|errno| os("reserve a region", errno))
}

/// Fills in the header of a region that is all zeros. No client knows of it yet.
fn fill_in(mapping: &Mapping, layout: Layout) {
    let [v0, v1] = VERSION.to_ne_bytes();
    let [h0, h1] = (HEADER_BYTES as u16).to_ne_bytes();
    let pid = rustix::process::getpid().as_raw_pid().cast_unsigned();
    let put = |offset, value| mapping.short(offset).store(value, Ordering::Relaxed);
    for (Area { offset, capacity }, at) in
        [(layout.request, field::REQUEST_OFFSET), (layout.response, field::RESPONSE_OFFSET)]
    {
        put(at, offset);
        put(at + size_of::<u32>(), capacity);
    }
    put(field::VERSION, u32::from_ne_bytes([v0, v1, h0, h1]));
    put(field::OWNER_PID, pid);
    put(field::MAGIC, MAGIC);
    // Last: with it the region counts as one that lives. Release, for the client who reads it (by a
    // system call, after HELLO_ACK told of it, which orders it all anyway).
    mapping.short(field::OWNER_GENERATION).store(next_generation(), Ordering::Release);
}

/// Numbers the regions of this process; never zero.
fn next_generation() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1)
}

fn os(operation: &'static str, errno: Errno) -> CreateError {
    refused(operation)(errno).into()
}

impl From<SysError> for CreateError {
    fn from(error: SysError) -> Self {
        match Errno::from_raw_os_error(error.code()) {
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Self::NoRoom(error),
            Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV => Self::Unsupported(error),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Exhausted(error),
            _ => Self::Os(error),
        }
    }
}
