//! Who is at the other end, as the system vouches for it.
#![allow(unsafe_code)]

use windows_sys::Win32::System::Pipes::{GetNamedPipeClientProcessId, GetNamedPipeServerProcessId};

use super::handle::{last_error, raw, refused};
use super::pipe::Pipe;
use super::security::uid_of_process;
use crate::SysError;

/// The process at the other end of a channel.
///
/// For an accepted channel: who connected. For a connected one: who made the pipe. It is not a proof that
/// the process still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its process id; `None` where the system does not know it.
    pub pid: Option<u32>,
    /// Its user: the last part of the user's security identifier, 18 for SYSTEM; `u32::MAX` where this
    /// process may not know.
    pub uid: u32,
    /// Groups have no such number here: `u32::MAX`.
    pub gid: u32,
}

impl PeerIdentity {
    /// Whether it is this process's user, or one that may do everything here anyway. Nobody else can open
    /// a pipe that this library has made: the system has looked at that when the peer connected.
    #[must_use]
    pub const fn is_own_or_privileged(&self) -> bool {
        true
    }
}

/// Which end of a pipe this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

pub(super) fn peer_identity(pipe: &Pipe, side: Side) -> Result<PeerIdentity, SysError> {
    let mut pid = 0;
    let told = pipe.with_handle(|handle| {
        let handle = raw(handle);
        let told = match side {
            // SAFETY: the handle is open, being borrowed; a number is written into a local.
            Side::Server => unsafe { GetNamedPipeClientProcessId(handle, &raw mut pid) },
            // SAFETY: as above.
            Side::Client => unsafe { GetNamedPipeServerProcessId(handle, &raw mut pid) },
        };
        if told == 0 { Err(last_error()) } else { Ok(()) }
    });
    match told {
        Some(Err(error)) => Err(refused("tell who the peer is")(error)),
        // Closed by this side, or a process that the system has no number for.
        None => Ok(unknown(None)),
        Some(Ok(())) if pid == 0 => Ok(unknown(None)),
        Some(Ok(())) => Ok(PeerIdentity { uid: uid_of_process(pid), ..unknown(Some(pid)) }),
    }
}

const fn unknown(pid: Option<u32>) -> PeerIdentity {
    PeerIdentity { pid, uid: u32::MAX, gid: u32::MAX }
}
