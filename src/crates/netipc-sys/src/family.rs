//! Which of the contract's names and rules a platform follows: data, so that who is above this crate
//! needs no `cfg`.

use std::path::{Path, PathBuf};

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

/// The path that is these bytes, as they are; `None` where paths are no bytes and these are not UTF-8.
#[must_use]
pub fn path_of_bytes(bytes: &[u8]) -> Option<&Path> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Some(Path::new(std::ffi::OsStr::from_bytes(bytes)))
    }
    #[cfg(not(unix))]
    {
        std::str::from_utf8(bytes).ok().map(Path::new)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_path_as_they_are_or_none() {
        let path = path_of_bytes(b"/run//x/").expect("UTF-8");
        assert_eq!(path.as_os_str().as_encoded_bytes(), b"/run//x/");
        // In ISO 8859-1.
        assert_eq!(path_of_bytes(b"/\xe4").is_some(), cfg!(unix));
    }
}
