//! A connected pipe: one packet out, one packet in, each a message of the pipe.
//!
//! # A peer that closes
//!
//! What it had sent is received first, then [`RecvError::Closed`]. Sending to it is
//! [`SendError::PeerGone`]. A pipe has no half that could be closed by itself: a peer that is to leave
//! after a last answer leaves because that says so, or because the channel is dropped.

use std::cell::RefCell;
use std::io::IoSlice;
use std::sync::Arc;

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;

use super::handle::refused;
use super::notifier::Start;
use super::peer::{Side, peer_identity};
use super::pipe::{Look, Pipe, means_gone};
use super::source::{WaitSource, Waitable};
use super::transfer::Done;
use super::wait_set::wait_for;
use super::{Abort, PeerIdentity};
use crate::packet::{gather, total_len};
use crate::{Deadline, Interest, RecvError, SOON, SendError, SysError, TrySend, WaitError};

/// Bytes of a pipe's buffers that the system keeps for itself in each packet.
pub const PACKET_OVERHEAD_BYTES: usize = 0;

/// The longest packet, in bytes, and the buffers of a pipe in each direction (spec section 8).
pub(super) const MAX_PACKET_BYTES: usize = 65_536;

/// Packets up to this long are put together on the stack.
const GATHERED_BYTES: usize = 512;
/// What is read at once of the rest of a packet that has no room.
const REST_BYTES: usize = 4096;

thread_local! {
    /// Where this thread puts longer packets together: a message is written in one piece.
    static PACKET: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connected pipe of message type.
///
/// Packets keep their boundaries and their order; a packet goes out whole or not at all. Sending
/// and receiving take `&self`: any number of threads may do both at once, each packet goes to one
/// of them. Dropping it closes the connection: the peer still gets what [`send`](Self::send) sent.
///
/// As a wait object ([`Waitable`]): readable when a packet, or the peer's close, can be received.
#[derive(Debug)]
pub struct PacketChannel {
    pipe: Arc<Pipe>,
    side: Side,
}

impl PacketChannel {
    pub(super) const fn new(pipe: Arc<Pipe>, side: Side) -> Self {
        Self { pipe, side }
    }

    /// Sends one packet, given in pieces, whole; waits for room until the deadline.
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
        check_len(pieces)?;
        if abort.is_set() {
            return Err(SendError::Aborted);
        }
        // After what was begun before it.
        while self.pipe.is_writing() {
            wait_for(self, Interest::Write, deadline, abort)?;
        }
        let mut room = [0; GATHERED_BYTES];
        if let Some(packet) = gather(pieces, &mut room) {
            return sent(self.pipe.write(packet, deadline, abort)?);
        }
        PACKET.with_borrow_mut(|packet| {
            fill(packet, pieces);
            sent(self.pipe.write(packet, deadline, abort)?)
        })
    }

    /// Sends one packet whole if there is room for it now, which there is unless the one before it is
    /// still waiting for the peer.
    ///
    /// # Errors
    /// As [`send`](Self::send), without the waiting.
    pub fn try_send(&self, pieces: &[IoSlice<'_>]) -> Result<TrySend, SendError> {
        check_len(pieces)?;
        match self.pipe.begin_write(|packet| fill(packet, pieces)).map_err(SendError::Os)? {
            Start::Busy => Ok(TrySend::NoRoom),
            Start::Pending => Ok(TrySend::Sent),
            Start::Done(done) => sent(done).map(|()| TrySend::Sent),
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
        if abort.is_set() {
            return Err(RecvError::Aborted);
        }
        if self.pipe.has_emptied() {
            return Err(RecvError::Closed);
        }
        let done = self.pipe.read(buffer, deadline, Some(abort))?;
        self.received(done, buffer.len())
    }

    /// Receives one packet, sleeping for [`SOON`] at most; `None` if none came.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv).
    pub fn recv_soon(&self, buffer: &mut [u8]) -> Result<Option<usize>, RecvError> {
        if self.pipe.has_emptied() {
            return Err(RecvError::Closed);
        }
        match self.pipe.read(buffer, Deadline::after(SOON), None) {
            Ok(done) => self.received(done, buffer.len()).map(Some),
            Err(WaitError::TimedOut) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Receives one packet if one is there now; `None` if not.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), without the waiting.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<Option<usize>, RecvError> {
        match self.pipe.look() {
            Look::Nothing => return Ok(None),
            Look::Message(_) => {}
            Look::Gone => return Err(RecvError::Closed),
            Look::Refused(error) => {
                return Err(RecvError::Os(refused("look for a packet")(error)));
            }
        }
        // Another thread may take it first.
        match self.pipe.read(buffer, Deadline::passed(), None) {
            Ok(done) => self.received(done, buffer.len()).map(Some),
            Err(WaitError::TimedOut) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// One look, without waiting, whether the peer has closed its end and all that it sent has been
    /// received. Consumes nothing.
    ///
    /// # Errors
    /// The system refused to look.
    pub fn peer_gone(&self) -> Result<bool, SysError> {
        match self.pipe.look() {
            Look::Gone => Ok(true),
            Look::Nothing | Look::Message(_) => Ok(false),
            Look::Refused(error) => Err(refused("look at a pipe")(error)),
        }
    }

    /// Sleeps until the peer has closed its end, or sent something.
    pub(crate) fn wait_gone(&self, deadline: Deadline, abort: &Abort) -> Result<(), WaitError> {
        self.pipe.read(&mut [], deadline, Some(abort)).map(drop)
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// The system refused to tell.
    pub fn peer(&self) -> Result<PeerIdentity, SysError> {
        peer_identity(&self.pipe, self.side)
    }

    /// The longest packet that can be sent, in bytes (spec section 8).
    ///
    /// # Errors
    /// None here.
    pub const fn max_packet_size(&self) -> Result<usize, SysError> {
        Ok(MAX_PACKET_BYTES)
    }

    /// Does nothing: a pipe cannot be closed in one direction. On other platforms the peer receives the
    /// close after what was sent.
    pub const fn finish_sending(&self) {}

    /// Closes the connection while the channel stays: those who wait in [`send`](Self::send) or
    /// [`recv`](Self::recv) return, in any thread. The peer receives what was sent and then the close.
    pub fn shutdown(&self) {
        self.pipe.close();
    }

    fn received(&self, done: Done, max: usize) -> Result<usize, RecvError> {
        match done {
            Done { error: 0, bytes: 0 } => {
                self.pipe.empty_message_came();
                Err(RecvError::Closed)
            }
            Done { error: 0, bytes } => Ok(bytes),
            Done { error: ERROR_MORE_DATA, bytes } => {
                let len = bytes.saturating_add(self.drop_rest()?);
                Err(RecvError::TooLong { len, max })
            }
            Done { error, .. } if means_gone(error) => Err(RecvError::Closed),
            Done { error, .. } => Err(RecvError::Os(refused("receive a packet")(error))),
        }
    }

    /// Reads and drops what is left of a packet: how many bytes that was. It is there already.
    #[cold]
    fn drop_rest(&self) -> Result<usize, RecvError> {
        let mut rest = [0; REST_BYTES];
        let mut dropped = 0_usize;
        loop {
            let done = self.pipe.read(&mut rest, Deadline::after(SOON), None)?;
            dropped = dropped.saturating_add(done.bytes);
            if done.error != ERROR_MORE_DATA {
                return Ok(dropped);
            }
        }
    }
}

impl Waitable for PacketChannel {
    fn wait_source(&self) -> WaitSource {
        WaitSource(Arc::<Pipe>::clone(&self.pipe))
    }
}

impl Drop for PacketChannel {
    fn drop(&mut self) {
        self.pipe.leave_wait_sets();
        self.pipe.close();
    }
}

fn check_len(pieces: &[IoSlice<'_>]) -> Result<(), SendError> {
    match total_len(pieces) {
        0 => Err(SendError::Empty),
        len if len > MAX_PACKET_BYTES => Err(SendError::TooLong { len, max: MAX_PACKET_BYTES }),
        _ => Ok(()),
    }
}

fn fill(packet: &mut Vec<u8>, pieces: &[IoSlice<'_>]) {
    packet.clear();
    for piece in pieces {
        packet.extend_from_slice(piece);
    }
}

fn sent(done: Done) -> Result<(), SendError> {
    match done.error {
        0 => Ok(()),
        error if means_gone(error) => Err(SendError::PeerGone),
        error => Err(SendError::Os(refused("send a packet")(error))),
    }
}
