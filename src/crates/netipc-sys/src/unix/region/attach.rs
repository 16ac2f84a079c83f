//! Opening a region that the server made: the client's side (spec section 7).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::mapping::Mapping;
use super::sleep::doorbell;
use super::stale::read_header;
use crate::platform::refused;
use crate::region::{Expected, Made};
use crate::{AttachError, EntryKind, RegionDefect, RegionName};

/// One look at what is at the region's name.
pub(crate) fn attach_once(name: &RegionName, expected: Expected) -> Result<Made, AttachError> {
    let RegionName::File(path) = name else {
        return Err(AttachError::NotReady(RegionDefect::Missing));
    };
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
    let mapping =
        Mapping::new(file.as_fd(), layout).map_err(|error| os_error(error.code(), error))?;
    Ok(Made { mapping, doorbell: doorbell(), entry: None })
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
