//! A connected packet socket: one packet out, one packet in.
//!
//! # A peer that closes
//!
//! Closing a socket that has unread packets makes the kernel report ECONNRESET at the other end,
//! once, before what is still queued there (spec section 6). So:
//!
//! - receiving takes that report and reads on: it yields every packet that the peer sent, then
//!   [`RecvError::Closed`]. There is no "reset" to handle.
//! - the kernel tells of the close, too, where packet and close came while it looked: receiving
//!   looks once more.
//! - sending to a peer that closed is [`SendError::PeerGone`]. A client that gets it **receives
//!   once more** before it judges: the server's final answer (a refusal, say) may be queued.
//! - a server that has sent a final answer calls [`PacketChannel::drain`] before it lets go, so
//!   that the answer is not overtaken at peers that do not read once more.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::PollFlags;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown, sockopt,
};

use super::peer::peer_identity;
use super::wait::{look, wait_ready};
use super::{Abort, PeerIdentity, refused};
use crate::packet::{gather, total_len};
use crate::{Deadline, RecvError, SOON, SendError, SysError, TrySend, WaitError};

/// Bytes of `SO_SNDBUF` that the kernel keeps for itself in each packet: one packet carries
/// `SO_SNDBUF` less these (spec section 6).
pub const PACKET_OVERHEAD_BYTES: usize = 32;

/// Packets up to this long are put together here: that the kernel gathers one from pieces costs it
/// more than such a copy (measured: 0.2 us).
const GATHERED_BYTES: usize = 512;

/// A connected `AF_UNIX`/`SOCK_SEQPACKET` socket.
///
/// Packets keep their boundaries and their order; a packet goes out whole or not at all. Sending
/// and receiving take `&self`: any number of threads may do both at once, each packet goes to one
/// of them. Dropping it closes the connection: the peer still gets what was sent.
///
/// As a wait object ([`AsFd`]): readable when a packet, or the peer's close, can be received.
#[derive(Debug)]
pub struct PacketChannel {
    socket: OwnedFd,
    /// The socket is set up for receiving to sleep in it.
    may_sleep: AtomicBool,
}

impl PacketChannel {
    /// `socket` is connected, non-blocking and close-on-exec.
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, may_sleep: AtomicBool::new(false) }
    }

    /// Sends one packet, given in pieces, whole; waits for room until the deadline.
    ///
    /// Never raises SIGPIPE.
    ///
    /// # Errors
    /// Each variant of [`SendError`]; nothing was sent then. After [`SendError::PeerGone`], receive
    /// once more before judging (see the module's text).
    pub fn send(
        &self,
        pieces: &[IoSlice<'_>],
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<(), SendError> {
        loop {
            if abort.is_set() {
                return Err(SendError::Aborted);
            }
            match self.try_send(pieces)? {
                TrySend::Sent => return Ok(()),
                TrySend::NoRoom => wait_ready(self.as_fd(), PollFlags::OUT, deadline, abort)?,
            }
        }
    }

    /// Sends one packet whole if there is room for it now.
    ///
    /// # Errors
    /// As [`send`](Self::send), without the waiting.
    pub fn try_send(&self, pieces: &[IoSlice<'_>]) -> Result<TrySend, SendError> {
        if pieces.iter().all(|piece| piece.is_empty()) {
            return Err(SendError::Empty);
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let mut gathered = [0; GATHERED_BYTES];
        let gathered = gather(pieces, &mut gathered);
        loop {
            let sent = match gathered {
                Some(packet) => send(&self.socket, packet, flags),
                None => sendmsg(&self.socket, pieces, &mut SendAncillaryBuffer::default(), flags),
            };
            return match sent {
                // All of it: a packet socket sends no part of a packet.
                Ok(_len) => Ok(TrySend::Sent),
                Err(Errno::AGAIN) => Ok(TrySend::NoRoom),
                Err(Errno::INTR) => continue,
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Err(SendError::PeerGone),
                Err(Errno::MSGSIZE) => Err(self.too_long(pieces)),
                Err(errno) => Err(SendError::Os(refused("send a packet")(errno))),
            };
        }
    }

    /// Receives one packet into `buffer` and returns its length, which is never zero; waits for
    /// one until the deadline.
    ///
    /// # Errors
    /// Each variant of [`RecvError`]. A packet longer than `buffer` is consumed and reported as
    /// [`RecvError::TooLong`] with its real length. What a peer sent before it closed comes before
    /// [`RecvError::Closed`].
    pub fn recv(
        &self,
        buffer: &mut [u8],
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<usize, RecvError> {
        loop {
            if abort.is_set() {
                return Err(RecvError::Aborted);
            }
            if let Some(len) = self.try_recv(buffer)? {
                return Ok(len);
            }
            wait_ready(self.as_fd(), PollFlags::IN, deadline, abort)?;
        }
    }

    /// Receives one packet, sleeping for [`SOON`] at most; `None` if none came, or a signal did. For
    /// one that is expected: the sleep is inside the receive, one system call in all, where nothing
    /// but a packet or the peer's close ends it early.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv).
    pub fn recv_soon(&self, buffer: &mut [u8]) -> Result<Option<usize>, RecvError> {
        // Nothing hangs on the order: two that come first both do it.
        if !self.may_sleep.load(Ordering::Relaxed) {
            let os = |errno| RecvError::Os(refused("let receiving sleep")(errno));
            sockopt::set_socket_timeout(&self.socket, sockopt::Timeout::Recv, Some(SOON))
                .map_err(os)?;
            // All other calls say for themselves that they do not wait.
            ioctl_fionbio(&self.socket, false).map_err(os)?;
            self.may_sleep.store(true, Ordering::Relaxed);
        }
        self.recv_with(buffer, RecvFlags::empty())
    }

    /// Receives one packet if one is there now; `None` if not.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), without the waiting.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Option<usize>, RecvError> {
        self.recv_with(buffer, RecvFlags::DONTWAIT)
    }

    #[inline]
    fn recv_with(&self, buffer: &mut [u8], flags: RecvFlags) -> Result<Option<usize>, RecvError> {
        let max = buffer.len();
        // With TRUNC the kernel returns the packet's real length, whatever fits.
        let flags = flags | RecvFlags::TRUNC;
        let (mut was_reset, mut was_closed) = (false, false);
        loop {
            return match recv(&self.socket, &mut *buffer, flags) {
                // The kernel looks for a packet, and then for a close: both may have come in between.
                Ok((_, 0)) if !was_closed && self.peer_gone() == Ok(true) => {
                    was_closed = true;
                    continue;
                }
                Ok((_, 0)) => Err(RecvError::Closed),
                Ok((_, len)) if len > max => Err(RecvError::TooLong { len, max }),
                Ok((_, len)) => Ok(Some(len)),
                Err(Errno::AGAIN) => Ok(None),
                Err(Errno::INTR) if flags.contains(RecvFlags::DONTWAIT) => continue,
                Err(Errno::INTR) => Ok(None),
                Err(Errno::CONNRESET) if !was_reset => {
                    was_reset = true;
                    continue;
                }
                Err(Errno::CONNRESET) => Err(RecvError::Closed),
                Err(errno) => Err(RecvError::Os(refused("receive a packet")(errno))),
            };
        }
    }

    /// One look, without waiting, whether the peer has closed its end. Consumes nothing: packets
    /// that it sent before can still be received.
    ///
    /// # Errors
    /// The system refused to look.
    pub fn peer_gone(&self) -> Result<bool, SysError> {
        let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::RDHUP;
        let shown = look(self.as_fd(), PollFlags::RDHUP).map_err(refused("look at a socket"))?;
        Ok(shown.intersects(gone))
    }

    /// Sleeps until the peer has closed its end.
    pub(crate) fn wait_gone(&self, deadline: Deadline, abort: &Abort) -> Result<(), WaitError> {
        wait_ready(self.as_fd(), PollFlags::RDHUP, deadline, abort)
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// The system refused to tell.
    pub fn peer(&self) -> Result<PeerIdentity, SysError> {
        peer_identity(self.as_fd())
    }

    /// The longest packet that can be sent, in bytes: `SO_SNDBUF` − 32 (spec section 6).
    ///
    /// # Errors
    /// The system refused to tell.
    pub fn max_packet_size(&self) -> Result<usize, SysError> {
        let buffer_bytes = sockopt::socket_send_buffer_size(&self.socket)
            .map_err(refused("tell the size of the send buffer"))?;
        Ok(buffer_bytes.saturating_sub(PACKET_OVERHEAD_BYTES))
    }

    /// Sends no more: the peer receives what was sent and then the close, and may still send.
    pub fn finish_sending(&self) {
        // Its only failure is that the peer has left already.
        let _gone = shutdown(&self.socket, Shutdown::Write);
    }

    /// Closes the connection in both directions while the descriptor stays: those who wait in
    /// [`send`](Self::send) or [`recv`](Self::recv) return, in any thread. The peer receives what
    /// was sent and then the close.
    pub fn shutdown(&self) {
        let _gone = shutdown(&self.socket, Shutdown::Both);
    }

    #[cold]
    fn too_long(&self, pieces: &[IoSlice<'_>]) -> SendError {
        let len = total_len(pieces);
        match self.max_packet_size() {
            Ok(max) => SendError::TooLong { len, max },
            Err(error) => SendError::Os(error),
        }
    }
}

impl AsFd for PacketChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
