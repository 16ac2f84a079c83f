//! Who is at the other end, as the kernel vouches for it.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::SysError;

/// The process at the other end of a channel (`SO_PEERCRED`).
///
/// For an accepted channel: who connected, as of that moment. For a connected one: who called
/// `listen`. The kernel recorded it then: it is not a proof that the process still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its process id as this process would name it; `None` when it lives in a pid namespace that
    /// is not visible from here (another container).
    pub pid: Option<u32>,
    /// Its effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
}

/// The user that may do everything.
const ROOT_UID: u32 = 0;

impl PeerIdentity {
    /// Whether it is this process's user, or one that may do everything here anyway.
    #[must_use]
    pub fn is_own_or_privileged(&self) -> bool {
        self.uid == own_uid() || self.uid == ROOT_UID
    }
}

/// The effective user id of this process: what a peer sees as [`PeerIdentity::uid`].
#[must_use]
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Asks the kernel who is at the other end of `socket`.
///
/// Not by rustix, whose `UCred` holds a pid that cannot be zero: the kernel gives zero for a peer
/// of a foreign pid namespace, and a zero there is undefined behaviour.
#[allow(unsafe_code)]
pub(super) fn peer_identity(socket: BorrowedFd<'_>) -> Result<PeerIdentity, SysError> {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len_bytes = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open for the whole call, being borrowed; both pointers come from
    // live, exclusively held locals; the kernel writes at most `len_bytes` bytes, the size of the
    // first local, whose every bit pattern is a valid value.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut len_bytes,
        )
    };
    if result != 0 {
        let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        return Err(SysError::new("tell who the peer is", code));
    }
    let pid = u32::try_from(credentials.pid).ok().filter(|pid| *pid != 0);
    Ok(PeerIdentity { pid, uid: credentials.uid, gid: credentials.gid })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, socketpair};

    use super::*;

    #[test]
    fn a_peer_of_this_process_is_this_process() {
        let (one, _other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a pair");
        let peer = peer_identity(one.as_fd()).expect("credentials");
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.uid, own_uid());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    }

    /// The kernel gives pid 0 here, as it does for a peer of a foreign pid namespace.
    #[test]
    fn an_invisible_peer_has_no_pid() {
        let alone =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a socket");
        assert_eq!(peer_identity(alone.as_fd()).expect("credentials").pid, None);
    }

    #[test]
    fn what_is_no_socket_is_an_error() {
        let file = std::fs::File::open("/dev/null").expect("open");
        let error = peer_identity(file.as_fd()).expect_err("no socket");
        assert_eq!(error.code(), libc::ENOTSOCK);
    }
}
