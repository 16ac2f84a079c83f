//! Accepting clients.
//!
//! # When descriptors run out
//!
//! `accept` then fails and leaves the client in the backlog, where it would hang, while the
//! listener stays readable and a readiness loop would spin. So the listener keeps one descriptor in
//! reserve. When the process has no other, it gives up the reserve and accepts one client as
//! [`Accepted::Overflow`]: that one is to be told (BUSY), and closed; the next accept takes the
//! reserve back before anybody else gets the place. While it cannot, accepting says
//! [`AcceptError::Exhausted`] and the caller takes its eyes off the listener until it has closed
//! something.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::claim::{Claim, claim};
use super::wait::wait_ready;
use super::{Abort, PacketChannel, refused};
use crate::{AcceptError, BindError, BindOptions, Deadline, SysError};

/// An endpoint that listens, and owns its name.
///
/// Accepting takes `&self`: several threads may. As a wait object ([`AsFd`]) it is readable when a
/// client waits. Dropping it removes the endpoint's name, if it is still this listener's, and
/// refuses the clients in its backlog; channels that it accepted live on.
#[derive(Debug)]
pub struct Listener {
    // First, so that the name is gone before the socket stops answering.
    _claim: Claim,
    socket: ListeningSocket,
    reserve: Reserve,
}

/// A client that was accepted.
#[derive(Debug)]
pub enum Accepted {
    /// An ordinary one.
    Channel(PacketChannel),
    /// One that has the last descriptor. Tell it that the server is full, and close it soon:
    /// nobody else is accepted until then.
    Overflow(PacketChannel),
}

impl Listener {
    /// Takes the endpoint `path` and listens on it.
    ///
    /// Beside it stand `{service}.lock`, which stays, and for a moment `{service}.tmp`. A socket
    /// whose server is dead is replaced, after 150 ms of asking (spec section 6); nothing else is
    /// ever removed. Of any number of processes and threads that bind one name at once, at most
    /// one succeeds, and one does if nothing foreign is in the way.
    ///
    /// # Errors
    /// Each variant of [`BindError`]; [`BindError::InUse`] says what has the name.
    pub fn bind(path: &Path, options: &BindOptions) -> Result<Self, BindError> {
        let reserve = Reserve::new().map_err(BindError::Os)?;
        let (socket, claim) = claim(path, options)?;
        Ok(Self { _claim: claim, socket: ListeningSocket(socket), reserve })
    }

    /// Accepts one client; waits for one until the deadline.
    ///
    /// # Errors
    /// Each variant of [`AcceptError`].
    pub fn accept(&self, deadline: Deadline, abort: &Abort) -> Result<Accepted, AcceptError> {
        loop {
            if abort.is_set() {
                return Err(AcceptError::Aborted);
            }
            if let Some(accepted) = self.try_accept()? {
                return Ok(accepted);
            }
            wait_ready(self.as_fd(), PollFlags::IN, deadline, abort)?;
        }
    }

    /// Accepts one client if one waits now; `None` if not.
    ///
    /// # Errors
    /// [`AcceptError::Exhausted`] or [`AcceptError::Os`].
    pub fn try_accept(&self) -> Result<Option<Accepted>, AcceptError> {
        self.reserve.restore().map_err(AcceptError::Exhausted)?;
        match self.socket.accept() {
            Ok(channel) => Ok(Some(Accepted::Channel(channel))),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno @ (Errno::MFILE | Errno::NFILE)) => self.accept_overflow(errno),
            Err(errno) => Err(accept_error(errno)),
        }
    }

    #[cold]
    fn accept_overflow(&self, errno: Errno) -> Result<Option<Accepted>, AcceptError> {
        // Held while accepting, so that no other thread restores the reserve in between.
        let mut reserve = self.reserve.lock();
        if reserve.take().is_none() {
            return Err(accept_error(errno));
        }
        self.reserve.spent.store(true, Ordering::Release);
        match self.socket.accept() {
            Ok(channel) => Ok(Some(Accepted::Overflow(channel))),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(accept_error(errno)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.0.as_fd()
    }
}

fn accept_error(errno: Errno) -> AcceptError {
    let error = refused("accept a client")(errno);
    match errno {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => AcceptError::Exhausted(error),
        _ => AcceptError::Os(error),
    }
}

#[derive(Debug)]
struct ListeningSocket(OwnedFd);

impl ListeningSocket {
    fn accept(&self) -> Result<PacketChannel, Errno> {
        loop {
            match accept_with(&self.0, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => return Ok(PacketChannel::new(socket)),
                // A client that left again before its turn: the next, please.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// The descriptor kept for the client that comes when there is no other.
#[derive(Debug)]
struct Reserve {
    descriptor: Mutex<Option<OwnedFd>>,
    /// Whether it was given up, to be seen without the lock on every accept.
    spent: AtomicBool,
}

impl Reserve {
    fn new() -> Result<Self, SysError> {
        Ok(Self {
            descriptor: Mutex::new(Some(spare_descriptor()?)),
            spent: AtomicBool::new(false),
        })
    }

    /// Takes it back if it was given up.
    fn restore(&self) -> Result<(), SysError> {
        // Pairs with the release stores: whoever sees it whole may rely on it.
        if !self.spent.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut descriptor = self.lock();
        if descriptor.is_none() {
            *descriptor = Some(spare_descriptor()?);
        }
        self.spent.store(false, Ordering::Release);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.descriptor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Any descriptor will do; this kind needs neither a file nor a name.
fn spare_descriptor() -> Result<OwnedFd, SysError> {
    eventfd(0, EventfdFlags::CLOEXEC).map_err(refused("keep a descriptor in reserve"))
}
