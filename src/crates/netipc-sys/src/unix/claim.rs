//! Taking an endpoint's name: never from a live server, and of many who try exactly one wins.
//!
//! ```text
//!   {service}.lock   flock'ed by the owner for as long as it owns the name; the file stays
//!   {service}.tmp    the socket before it is published, or a stale one on its way out
//!   {service}.sock   the endpoint: appears listening, with its mode and group, or not at all
//!
//!   lock --> probe --> (stale: set aside) --> bind tmp, mode, group, listen --> link tmp to sock
//! ```
//!
//! # What the lock guards
//!
//! The whole life of the listener, not just the bind. Then
//!
//! - a server that starts while another lives, starts or stops loses at once, without a probe;
//!   nothing it could misread (a stopped process, a full backlog, the moment between bind and
//!   listen) is looked at;
//! - `{service}.tmp` can be one fixed name, one byte shorter than the endpoint's, so that it always
//!   fits `sun_path`. Whoever holds the lock knows that a leftover there is of a dead process, and
//!   removes it: a crash at any point leaves nothing that the next start does not clear;
//! - giving back is safe: the owner looks whether the name is still its own and unlinks it while it
//!   still holds the lock and still listens, so nobody can have taken the name in between.
//!
//! The kernel drops the lock with its holder, however that dies. A lock held only while binding
//! would save one descriptor and lose all three.
//!
//! The price: the loser of two simultaneous starts does not step in when the winner fails a moment
//! later for a reason of its own. It reports "address in use", and whoever started it retries.
//!
//! # Servers that know no lock
//!
//! Peers in the field only probe. So the name is probed too, whoever holds the lock, and published
//! with `link`, which fails on a taken name. Only removing a stale socket can race with them: it is
//! *renamed* aside, and looked at there; if it is not the socket that was probed, another server
//! came in between, and it is put back where it was.
//!
//! An operator (or a cleaner of temporary files) who deletes the lock of a live server lets a second
//! one lock a new file; that one still finds the first by the probe.
//!
//! # Whose the lock is
//!
//! The user's that serves, or it is refused by name: whoever owns a lock can hold it at will, and so
//! decide when the service starts. Root is held to the same rule, though it may open any file: it
//! would else take a lock that an unprivileged user left there to that end.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, chmod, chownat, fchmod,
    flock, fstat, linkat, open, rename, renameat_with, unlink,
};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

use super::endpoint::{FileId, Probe, entry_kind, probe, probe_once, socket_address};
use super::peer::own_uid;
use super::refused;
use crate::{BindError, BindOptions, EntryKind, Holder};

/// The bits of a mode that mean something for a socket.
const MODE_MASK: u32 = 0o777;
/// The lock is its owner's alone: whoever can open it could keep the service from starting.
const LOCK_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// How often a lock that was deleted while being taken is taken anew.
const LOCK_ATTEMPTS: u32 = 8;
/// Endings of the names beside `{service}.sock`. Neither is longer than that.
const SOCKET_ENDING: &[u8] = b".sock";
const LOCK_ENDING: &[u8] = b".lock";
const TEMPORARY_ENDING: &[u8] = b".tmp";

/// A name that is ours, until dropped: then the name is unlinked, if still ours, and unlocked.
#[derive(Debug)]
pub(super) struct Claim {
    /// Absolute: the process may have changed its directory when the name is given back.
    path: PathBuf,
    id: FileId,
    // Dropped after the body of `drop`, so the name goes while it is locked.
    _lock: Lock,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if entry_kind(&self.path) == Ok(Some(Ok(self.id))) {
            // Nothing can be done, nor need be, when it cannot be removed: it is stale from now on.
            let _stays = unlink(&self.path);
        }
    }
}

/// Takes the name `path`: returns the socket, listening, and the claim to its name.
pub(super) fn claim(path: &Path, options: &BindOptions) -> Result<(OwnedFd, Claim), BindError> {
    socket_address(path)?;
    let lock = Lock::take(&sibling(path, LOCK_ENDING))?;
    let temporary = sibling(path, TEMPORARY_ENDING);
    clear_leftover(&temporary)?;
    clear_stale(path, &temporary)?;
    let socket = bound_socket(&temporary, options.mode)?;
    let _unlinked_on_return = TemporaryName(&temporary);
    let id = set_access(&temporary, options)?;
    listen(&socket, i32::from(options.backlog))
        .map_err(|errno| bind_error("listen on the endpoint", errno))?;
    publish(&temporary, path)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok((socket, Claim { path, id, _lock: lock }))
}

/// The flock of an endpoint.
#[derive(Debug)]
struct Lock(OwnedFd);

impl Lock {
    fn take(path: &Path) -> Result<Self, BindError> {
        for _ in 0..LOCK_ATTEMPTS {
            let file = Self::open(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::AGAIN) => return Err(in_use(path, Holder::LockHolder)),
                Err(errno) => return Err(bind_error("lock the endpoint", errno)),
            }
            let locked = fstat(&file).map_err(|errno| bind_error("lock the endpoint", errno))?;
            let lock = Self(file);
            // A file that was deleted since it was opened locks nothing.
            match rustix::fs::lstat(path) {
                Ok(named) if FileId::of(&named) == FileId::of(&locked) => return Ok(lock),
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(bind_error("lock the endpoint", errno)),
            }
        }
        Err(in_use(path, Holder::LockHolder))
    }

    fn open(path: &Path) -> Result<OwnedFd, BindError> {
        let error = |errno| bind_error("create the endpoint's lock", errno);
        // NONBLOCK: a named pipe at the name must not hold us up.
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match open(path, flags | OFlags::CREATE | OFlags::EXCL, LOCK_MODE) {
            Ok(file) => {
                // The umask may have taken bits that the next start of this service needs.
                fchmod(&file, LOCK_MODE).map_err(error)?;
                file
            }
            Err(Errno::EXIST) => match open(path, flags, Mode::empty()) {
                Ok(file) => file,
                // A symbolic link, a socket, a directory: not a lock of ours.
                Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
                    return Err(in_use(path, Holder::Foreign(kind_at(path))));
                }
                // Deleted in between: as good as held by whoever is busy here.
                Err(Errno::NOENT) => return Err(in_use(path, Holder::LockHolder)),
                Err(Errno::ACCESS) => return Err(in_use(path, Holder::AnotherUser)),
                Err(errno) => return Err(error(errno)),
            },
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(BindError::NoDirectory),
            Err(errno) => return Err(error(errno)),
        };
        let stat = fstat(&file).map_err(error)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(in_use(path, Holder::Foreign(kind_at(path))));
        }
        // Openable or not: its owner can lock it whenever the service is to start. Root, who can
        // open every file, is no exception.
        if stat.st_uid != own_uid() {
            return Err(in_use(path, Holder::AnotherUser));
        }
        Ok(file)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that is being forked holds a copy until its exec.
        let _closing_does_it_then = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Removes `{service}.tmp`, once our socket is there, on every way out.
struct TemporaryName<'a>(&'a Path);

impl Drop for TemporaryName<'_> {
    fn drop(&mut self) {
        // Should this fail, the next start clears it.
        let _stays = unlink(self.0);
    }
}

/// Removes what a crashed predecessor left at the temporary name; it held the lock that we hold.
fn clear_leftover(temporary: &Path) -> Result<(), BindError> {
    match probe_once(temporary).map_err(|error| in_use(temporary, Holder::Unknown(error)))? {
        Probe::Absent => Ok(()),
        Probe::Refused(_) => remove(temporary),
        found => Err(in_use(temporary, holder(&found))),
    }
}

/// Frees the endpoint's name if a dead server left it.
fn clear_stale(path: &Path, aside: &Path) -> Result<(), BindError> {
    let stale = match probe(path).map_err(|error| in_use(path, Holder::Unknown(error)))? {
        Probe::Absent => return Ok(()),
        Probe::Refused(id) => id,
        found => return Err(in_use(path, holder(&found))),
    };
    set_aside(path, aside, stale)
}

/// Moves `path` to `aside` and removes it there, if it is `stale`; if not, moves it back.
fn set_aside(path: &Path, aside: &Path, stale: FileId) -> Result<(), BindError> {
    match rename(path, aside) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(bind_error("remove the stale endpoint", errno)),
    }
    if entry_kind(aside) == Ok(Some(Ok(stale))) {
        return remove(aside);
    }
    // Not what was probed: a server without the lock bound the name in between. Put it back.
    match renameat_with(CWD, aside, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Err(in_use(path, Holder::LiveServer)),
        Err(errno) => Err(bind_error("put back another server's endpoint", errno)),
    }
}

fn remove(path: &Path) -> Result<(), BindError> {
    match unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(bind_error("remove the stale endpoint", errno)),
    }
}

/// Binds a socket to a name that nobody knows, where it does not listen yet.
fn bound_socket(temporary: &Path, mode: u32) -> Result<OwnedFd, BindError> {
    let address = socket_address(temporary)?;
    let failed = |errno| bind_error("create the endpoint", errno);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(failed)?;
    // The kernel gives the file the socket's mode less the umask: never more than asked.
    fchmod(&socket, Mode::from_raw_mode(mode & MODE_MASK)).map_err(failed)?;
    bind(&socket, &address).map_err(|errno| match errno {
        Errno::ADDRINUSE => in_use(temporary, Holder::Foreign(kind_at(temporary))),
        errno => failed(errno),
    })?;
    Ok(socket)
}

/// Sets group and mode of the file itself: a link put in its place is not followed.
fn set_access(path: &Path, options: &BindOptions) -> Result<FileId, BindError> {
    let failed = |errno| bind_error("set the endpoint's mode", errno);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(failed)?;
    let stat = fstat(&file).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(in_use(path, Holder::Foreign(kind_at(path))));
    }
    if let Some(group) = options.group {
        chownat(&file, "", None, Some(Gid::from_raw(group)), AtFlags::EMPTY_PATH)
            .map_err(|errno| bind_error("set the endpoint's group", errno))?;
    }
    let mode = options.mode & MODE_MASK;
    if stat.st_mode & MODE_MASK != mode {
        // Older kernels change the mode of such a descriptor by its name in /proc only.
        let own_name = format!("/proc/self/fd/{}", file.as_raw_fd());
        chmod(own_name, Mode::from_raw_mode(mode)).map_err(failed)?;
    }
    Ok(FileId::of(&stat))
}

/// Gives the socket its name for all to see, unless something came to have it in between.
fn publish(temporary: &Path, path: &Path) -> Result<(), BindError> {
    match linkat(CWD, temporary, CWD, path, AtFlags::empty()) {
        Ok(()) => Ok(()),
        Err(errno) => Err(publish_error(path, errno)),
    }
}

fn publish_error(path: &Path, errno: Errno) -> BindError {
    match errno {
        Errno::EXIST => in_use(path, Holder::LiveServer),
        // A missing right is ACCESS: the socket to be linked is ours. Which of these a file system
        // without hard links says is up to its driver.
        Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS => {
            BindError::NoHardLinks { path: path.to_owned() }
        }
        errno => bind_error("publish the endpoint", errno),
    }
}

/// `{service}.sock` with another ending. A path without `.sock` just gets the ending.
fn sibling(path: &Path, ending: &[u8]) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let stem = bytes.strip_suffix(SOCKET_ENDING).unwrap_or(bytes);
    PathBuf::from(OsString::from_vec([stem, ending].concat()))
}

fn holder(found: &Probe) -> Holder {
    match found {
        Probe::Foreign(kind) => Holder::Foreign(*kind),
        Probe::Denied => Holder::AnotherUser,
        Probe::Absent | Probe::Live(_) | Probe::Refused(_) => Holder::LiveServer,
    }
}

fn kind_at(path: &Path) -> EntryKind {
    match entry_kind(path) {
        Ok(Some(Err(kind))) => kind,
        Ok(Some(Ok(_))) => EntryKind::OtherSocket,
        Ok(None) | Err(_) => EntryKind::Unknown,
    }
}

fn in_use(path: &Path, by: Holder) -> BindError {
    BindError::InUse { path: path.to_owned(), by }
}

fn bind_error(operation: &'static str, errno: Errno) -> BindError {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => BindError::Denied { operation },
        errno => BindError::Os(refused(operation)(errno)),
    }
}

/// The moments between two steps, where only a server that knows no lock can come in.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::DEFAULT_MODE;
    use crate::{Abort, Deadline, connect};

    fn id_of(path: &Path) -> FileId {
        entry_kind(path).expect("looked").expect("there").expect("a socket")
    }

    fn live_server(path: &Path) -> OwnedFd {
        let socket = bound_socket(path, DEFAULT_MODE).expect("bound");
        listen(&socket, 1).expect("listening");
        socket
    }

    fn answers(path: &Path) -> bool {
        connect(path, Deadline::never(), &Abort::new().expect("one")).is_ok()
    }

    #[test]
    fn a_server_that_came_after_the_probe_is_put_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, aside) = (dir.path().join("svc.sock"), dir.path().join("svc.tmp"));
        drop(bound_socket(&path, DEFAULT_MODE).expect("bound"));
        let stale = id_of(&path);
        // Kept under another name, so that its inode number is not used again.
        rename(&path, dir.path().join("old")).expect("moved");
        let _server = live_server(&path);
        assert_eq!(set_aside(&path, &aside, stale), Err(in_use(&path, Holder::LiveServer)));
        assert!(answers(&path));
        assert_eq!(entry_kind(&aside), Ok(None));
    }

    #[test]
    fn what_came_after_the_probe_and_is_no_socket_is_put_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, aside) = (dir.path().join("svc.sock"), dir.path().join("svc.tmp"));
        drop(bound_socket(&path, DEFAULT_MODE).expect("bound"));
        let stale = id_of(&path);
        // Kept under another name, so that its inode number is not used again.
        rename(&path, dir.path().join("old")).expect("moved");
        std::fs::write(&path, "precious").expect("written");
        set_aside(&path, &aside, stale).expect_err("not stale");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "precious");
    }

    #[test]
    fn the_stale_socket_itself_is_removed_and_a_vanished_one_is_no_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, aside) = (dir.path().join("svc.sock"), dir.path().join("svc.tmp"));
        drop(bound_socket(&path, DEFAULT_MODE).expect("bound"));
        let stale = id_of(&path);
        assert_eq!(set_aside(&path, &aside, stale), Ok(()));
        assert_eq!(entry_kind(&path), Ok(None));
        assert_eq!(entry_kind(&aside), Ok(None));
        assert_eq!(set_aside(&path, &aside, stale), Ok(()));
    }

    #[test]
    fn a_server_that_came_before_the_link_has_won() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, temporary) = (dir.path().join("svc.sock"), dir.path().join("svc.tmp"));
        let _ours = live_server(&temporary);
        let _theirs = live_server(&path);
        let theirs = id_of(&path);
        assert_eq!(publish(&temporary, &path), Err(in_use(&path, Holder::LiveServer)));
        assert_eq!(id_of(&path), theirs);
    }

    #[test]
    fn a_file_system_without_hard_links_is_named() {
        let path = Path::new("/mnt/stick/svc.sock");
        for errno in [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS] {
            let error = publish_error(path, errno);
            assert_eq!(error, BindError::NoHardLinks { path: path.to_owned() });
            let text = error.to_string();
            assert!(text.contains("no hard links") && text.contains("/mnt/stick"), "{text}");
        }
        let operation = "publish the endpoint";
        assert_eq!(publish_error(path, Errno::ACCESS), BindError::Denied { operation });
    }

    #[test]
    fn a_lock_ends_although_a_forked_child_has_a_copy() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("svc.lock");
        let lock = Lock::take(&path).expect("free");
        let _copy = rustix::io::fcntl_dupfd_cloexec(&lock.0, 0).expect("a copy");
        let taken = Lock::take(&path).map(|_| ());
        assert_eq!(taken, Err(in_use(&path, Holder::LockHolder)));
        drop(lock);
        Lock::take(&path).expect("free again");
    }
}
