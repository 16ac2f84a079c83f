//! Which of the contract's names and rules a platform follows: data, so that who is above this crate
//! needs no `cfg`.

use std::path::PathBuf;

/// What kind of system this is, as far as the contract knows kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Packet sockets in the file system, and shared memory.
    Linux,
    /// Packet sockets in the file system.
    Unix,
    /// Named pipes and kernel objects.
    Windows,
}

/// The path that has these bytes. Where paths are not bytes, those that no path has are replaced: such
/// a path names nothing.
#[must_use]
#[cfg_attr(not(unix), allow(clippy::needless_pass_by_value))]
pub fn path_from_bytes(bytes: Vec<u8>) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        PathBuf::from(std::ffi::OsString::from_vec(bytes))
    }
    #[cfg(not(unix))]
    {
        PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
    }
}
