//! Opening a region that the server made: the client's side (spec section 7).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::mapping::Mapping;
use super::stale::read_header;
use crate::error::WaitError;
use crate::platform::refused;
use crate::platform::wait::wait_ready;
use crate::{Abort, AttachError, Deadline, EntryKind, PacketChannel, RegionDefect, RegionSizes};

/// How long a region that is missing, or shorter than it says, is waited for. Servers make it before
/// they tell of it; this is for one that has just removed it, which closes the socket as well.
const ATTACH_PATIENCE: Duration = Duration::from_millis(250);
/// The pause between two looks: no event tells of a file that comes to be.
const ATTACH_PAUSE: Duration = Duration::from_millis(10);

/// What a region must be to be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) sizes: RegionSizes,
    pub(super) owner_uid: u32,
}

/// Tries until the region is ready, patience is at its end, or the wait is.
pub(super) fn attach(
    path: &Path,
    expected: Expected,
    socket: &PacketChannel,
    deadline: Deadline,
    abort: &Abort,
) -> Result<Mapping, AttachError> {
    let patience = Deadline::after(ATTACH_PATIENCE).earlier(deadline);
    loop {
        let not_ready = match attach_once(path, expected) {
            Err(error @ AttachError::NotReady(_)) => error,
            done => return done,
        };
        let pause = Deadline::after(ATTACH_PAUSE).earlier(patience);
        match wait_ready(socket.as_fd(), PollFlags::RDHUP, pause, abort) {
            Err(WaitError::TimedOut) if deadline.has_passed() => return Err(AttachError::TimedOut),
            Err(WaitError::TimedOut) if !patience.has_passed() => {}
            // The server has left, or never had it.
            Ok(()) | Err(WaitError::TimedOut) => return Err(not_ready),
            Err(WaitError::Aborted) => return Err(AttachError::Aborted),
            Err(WaitError::Os(error)) => return Err(AttachError::Os(error)),
        }
    }
}

fn attach_once(path: &Path, expected: Expected) -> Result<Mapping, AttachError> {
    let file = open_region(path)?;
    let stat = fstat(&file).map_err(|errno| os("examine a region", errno))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some(EntryKind::Directory),
        FileType::Fifo => Some(EntryKind::Fifo),
        FileType::CharacterDevice | FileType::BlockDevice => Some(EntryKind::Device),
        _ => Some(EntryKind::Unknown),
    };
    if let Some(kind) = kind {
        return Err(AttachError::Invalid(RegionDefect::Foreign(kind)));
    }
    if stat.st_uid != expected.owner_uid {
        let (found, expected) = (stat.st_uid, expected.owner_uid);
        return Err(AttachError::Invalid(RegionDefect::Owner { found, expected }));
    }
    // Read, not mapped: what is checked is what is used, whatever the peer writes meanwhile.
    let header = read_header(&file).map_err(|errno| os("read a region's header", errno))?;
    let file_bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let Some(header) = header else {
        let needed = super::layout::HEADER_BYTES as u64;
        return Err(AttachError::NotReady(RegionDefect::Short { file_bytes, needed }));
    };
    let layout = match header.check(expected.sizes, file_bytes) {
        Ok(layout) => layout,
        Err(defect @ RegionDefect::Short { .. }) => return Err(AttachError::NotReady(defect)),
        Err(defect) => return Err(AttachError::Invalid(defect)),
    };
    Mapping::new(file.as_fd(), layout).map_err(|error| os_error(error.code(), error))
}

fn open_region(path: &Path) -> Result<OwnedFd, AttachError> {
    // Without waiting and without a terminal, whatever it turns out to be.
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match open(path, flags | OFlags::NOCTTY, Mode::empty()) {
        Ok(file) => Ok(file),
        Err(Errno::NOENT) => Err(AttachError::NotReady(RegionDefect::Missing)),
        Err(Errno::LOOP) => Err(AttachError::Invalid(RegionDefect::Foreign(EntryKind::Symlink))),
        Err(Errno::ISDIR) => Err(AttachError::Invalid(RegionDefect::Foreign(EntryKind::Directory))),
        Err(Errno::NXIO | Errno::NODEV) => {
            Err(AttachError::Invalid(RegionDefect::Foreign(EntryKind::Unknown)))
        }
        Err(errno) => Err(os("open a region", errno)),
    }
}

fn os(operation: &'static str, errno: Errno) -> AttachError {
    os_error(errno.raw_os_error(), refused(operation)(errno))
}

const fn os_error(code: i32, error: crate::SysError) -> AttachError {
    match code {
        libc::EACCES | libc::EPERM => AttachError::Denied,
        libc::EMFILE | libc::ENFILE | libc::ENOMEM => AttachError::Exhausted(error),
        _ => AttachError::Os(error),
    }
}
