//! Opening and reading the small files of /proc and of a cgroup tree, each bounded.
//!
//! Everything below a root is opened relative to its directory and without following links: what is
//! read is then part of the tree that was opened, whatever is renamed meanwhile, and a directory of
//! a process that has ended answers with an error instead of its successor's data. The roots
//! themselves are configuration, so links in them are followed. Not here: what the bytes mean.

use std::ffi::{CStr, CString, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir, openat};
use rustix::io::{Result, read};

pub(crate) use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub(crate) use rustix::io::Errno;

/// Bytes asked of the kernel for one file at first: more than any file of a common process takes.
const FIRST_READ_BYTES: usize = 4096;

/// Bytes for directory entries in one call: a hundred or so of them.
const ENTRIES_BYTES: usize = 8192;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// NONBLOCK: in a tree that somebody made by hand a name may be a pipe without a writer.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

pub(crate) fn open_root(path: &Path) -> Result<OwnedFd> {
    openat(CWD, path, DIRECTORY, Mode::empty())
}

pub(crate) fn open_directory(parent: impl AsFd, name: &CStr) -> Result<OwnedFd> {
    openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Replaces `text` by the file's bytes, at most `max_bytes` of them.
///
/// One short read ends it: the kernel makes each of the files that are read here in one piece, and
/// gives all of a piece that there is room for.
pub(crate) fn read_file(
    parent: impl AsFd,
    name: &CStr,
    max_bytes: usize,
    text: &mut Vec<u8>,
) -> Result<()> {
    text.clear();
    let file = openat(parent, name, FILE, Mode::empty())?;
    loop {
        text.reserve(FIRST_READ_BYTES);
        let room = text.capacity() - text.len();
        let got = read(&file, spare_capacity(text))?;
        if text.len() >= max_bytes {
            text.truncate(max_bytes);
            return Ok(());
        }
        if got < room {
            return Ok(());
        }
    }
}

/// Calls `each` with the name of every entry that is, or may be, a directory; `.` and `..` are not.
pub(crate) fn each_directory(directory: impl AsFd, mut each: impl FnMut(&CStr)) -> Result<()> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); ENTRIES_BYTES];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let is_candidate = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
        if is_candidate && name != c"." && name != c".." {
            each(name);
        }
    }
    Ok(())
}

pub(crate) fn directories(directory: impl AsFd) -> Result<Vec<CString>> {
    let mut names = Vec::new();
    each_directory(directory, |name| names.push(name.to_owned()))?;
    Ok(names)
}

/// Whether the error says that what was opened is gone, or never was a directory: a scan of a
/// living tree meets both all the time.
pub(crate) fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NODEV | Errno::SRCH | Errno::NOTDIR | Errno::LOOP)
}

pub(crate) fn name_of(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}
