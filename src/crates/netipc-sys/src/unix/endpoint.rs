//! What stands at an endpoint's path, found out without disturbing it.
//!
//! The probe (spec section 6) looks at the entry's kind, then connects without blocking. A socket
//! that refuses is asked again, because a live server refuses too between its `bind` and its
//! `listen`: only one that refuses every time is stale.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, Stat, statat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::wait::pause;
use super::{PacketChannel, refused};
use crate::{EndpointState, EntryKind, InspectError, PathError, SysError};

/// The longest path of an endpoint, in bytes (spec section 5): `sun_path` less its NUL.
pub const MAX_SOCKET_PATH_BYTES: usize = 107;

/// How often a refusing socket is asked again before it counts as stale (spec section 6).
const REFUSED_RETRIES: u32 = 3;
/// The contract's own pause before each of these.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Looks at what stands at `path`, as a server does before it binds, and changes nothing.
///
/// Takes 150 ms when the socket is stale (or between `bind` and `listen`); otherwise does not wait.
///
/// # Errors
/// The path cannot name an endpoint, or the system refused to look (no descriptors, say): nothing
/// is known then.
pub fn inspect_endpoint(path: &Path) -> Result<EndpointState, InspectError> {
    socket_address(path)?;
    Ok(match probe(path).map_err(InspectError::Os)? {
        Probe::Absent => EndpointState::Absent,
        Probe::Live(Some(channel)) => EndpointState::Live(channel),
        Probe::Live(None) => EndpointState::LiveBusy,
        Probe::Refused(_) => EndpointState::Stale,
        Probe::Foreign(kind) => EndpointState::Foreign(kind),
        Probe::Denied => EndpointState::Denied,
    })
}

/// Tells one socket file from another that later stands at the same name.
///
/// An inode number is reused as soon as its file is gone; its time of modification, which for a
/// socket is that of its making, tells the two apart. (Renaming and linking leave it alone.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

impl FileId {
    // The fields' types differ between architectures.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        }
    }
}

/// What a probe found. `Refused` names the very file that refused.
#[derive(Debug)]
pub(super) enum Probe {
    Absent,
    Live(Option<PacketChannel>),
    Refused(FileId),
    Foreign(EntryKind),
    Denied,
}

/// The whole probe: `Refused` has refused for 150 ms.
pub(super) fn probe(path: &Path) -> Result<Probe, SysError> {
    for _ in 0..REFUSED_RETRIES {
        match probe_once(path)? {
            Probe::Refused(_) => pause(REFUSED_PAUSE),
            found => return Ok(found),
        }
    }
    probe_once(path)
}

/// One look and one attempt to connect. An error means that nothing was found out.
pub(super) fn probe_once(path: &Path) -> Result<Probe, SysError> {
    let os = refused("examine an endpoint");
    let id = match entry_kind(path).map_err(os)? {
        None => return Ok(Probe::Absent),
        Some(Err(kind)) => return Ok(Probe::Foreign(kind)),
        Some(Ok(id)) => id,
    };
    let address = SocketAddrUnix::new(path).map_err(os)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(os)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => Ok(Probe::Live(Some(PacketChannel::new(socket)))),
        Err(Errno::AGAIN | Errno::INPROGRESS | Errno::INTR | Errno::TIMEDOUT) => {
            Ok(Probe::Live(None))
        }
        Err(Errno::CONNREFUSED) => Ok(Probe::Refused(id)),
        Err(Errno::NOENT) => Ok(Probe::Absent),
        Err(Errno::PROTOTYPE) => Ok(Probe::Foreign(EntryKind::OtherSocket)),
        Err(Errno::ACCESS | Errno::PERM) => Ok(Probe::Denied),
        Err(errno) => Err(os(errno)),
    }
}

/// What is at `path`, links not followed: nothing, a socket file, or something else.
pub(super) fn entry_kind(path: &Path) -> Result<Option<Result<FileId, EntryKind>>, Errno> {
    let stat = match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Socket => Ok(FileId::of(&stat)),
        FileType::RegularFile => Err(EntryKind::RegularFile),
        FileType::Directory => Err(EntryKind::Directory),
        FileType::Symlink => Err(EntryKind::Symlink),
        FileType::Fifo => Err(EntryKind::Fifo),
        FileType::CharacterDevice | FileType::BlockDevice => Err(EntryKind::Device),
        FileType::Unknown => Err(EntryKind::Unknown),
    }))
}

/// The address of an endpoint, if `path` can be one.
pub(super) fn socket_address(path: &Path) -> Result<SocketAddrUnix, PathError> {
    let bytes = path.as_os_str().as_bytes();
    if path.file_name().is_none() || bytes.ends_with(b"/") {
        return Err(PathError::Empty);
    }
    if bytes.contains(&0) {
        return Err(PathError::Nul);
    }
    let too_long = PathError::TooLong { len: bytes.len(), max: MAX_SOCKET_PATH_BYTES };
    if bytes.len() > MAX_SOCKET_PATH_BYTES {
        return Err(too_long);
    }
    // Refuses only what is too long, which was refused above.
    SocketAddrUnix::new(path).map_err(|_| too_long)
}
