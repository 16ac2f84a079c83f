//! Systems other than Linux have no /proc and no cgroup tree of its making: there is nothing to open, and
//! whoever tries is told so. The same names as in `files.rs`, so that what reads trees compiles.
#![allow(clippy::needless_pass_by_value)]

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::path::Path;

/// What the system says: that it has no such files. The others are what Linux says of single files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::upper_case_acronyms, dead_code)]
pub(crate) enum Errno {
    Unsupported,
    SRCH,
    NOENT,
}

impl From<Errno> for io::Error {
    fn from(_errno: Errno) -> Self {
        Self::new(io::ErrorKind::Unsupported, "this system has no such files: Linux has")
    }
}

/// A directory that was opened: there is none.
#[derive(Debug)]
pub(crate) enum OwnedFd {}

#[derive(Clone, Copy, Debug)]
pub(crate) struct BorrowedFd<'d>(&'d OwnedFd);

pub(crate) trait AsFd {
    fn as_fd(&self) -> BorrowedFd<'_>;
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        BorrowedFd(self)
    }
}

impl AsFd for BorrowedFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        *self
    }
}

impl<T: AsFd> AsFd for &T {
    fn as_fd(&self) -> BorrowedFd<'_> {
        T::as_fd(self)
    }
}

pub(crate) const fn open_root(_path: &Path) -> Result<OwnedFd, Errno> {
    Err(Errno::Unsupported)
}

pub(crate) fn open_directory(parent: impl AsFd, _name: &CStr) -> Result<OwnedFd, Errno> {
    match *parent.as_fd().0 {}
}

pub(crate) fn read_file(
    parent: impl AsFd,
    _name: &CStr,
    _max_bytes: usize,
    _text: &mut Vec<u8>,
) -> Result<(), Errno> {
    match *parent.as_fd().0 {}
}

pub(crate) fn each_directory(directory: impl AsFd, _each: impl FnMut(&CStr)) -> Result<(), Errno> {
    match *directory.as_fd().0 {}
}

pub(crate) fn directories(directory: impl AsFd) -> Result<Vec<CString>, Errno> {
    match *directory.as_fd().0 {}
}

pub(crate) const fn is_gone(_error: Errno) -> bool {
    false
}

pub(crate) fn name_of(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
