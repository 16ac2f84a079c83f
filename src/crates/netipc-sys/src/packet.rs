//! What sending and receiving packets is on every platform, beside the system calls.

use std::io::IoSlice;
use std::time::Duration;

use crate::{Abort, Deadline, PacketChannel, RecvError, SysError};

/// How long [`PacketChannel::recv_soon`] sleeps, at most, rounded up to the kernel's ticks: an abort
/// is to be noticed within 50 ms.
pub const SOON: Duration = Duration::from_millis(10);

/// The piece of a packet that draining looks at; the kernel drops the rest of the packet.
const DRAIN_PIECE_BYTES: usize = 1;

/// What [`PacketChannel::try_send`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum TrySend {
    /// The packet is on its way.
    Sent,
    /// The peer has not read enough to make room; nothing was sent. The descriptor becomes
    /// writable when there is.
    NoRoom,
}

/// How [`PacketChannel::drain`] ended. Whichever it is, the channel may be closed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The peer closed: it has seen everything.
    PeerClosed,
    /// The peer sent more than it was granted.
    TooMuch,
    /// The peer did not close before the deadline.
    TimedOut,
    /// The abort handle was set.
    Aborted,
}

impl PacketChannel {
    /// Receives and drops what comes until the peer closes: at most `max_bytes`, until the
    /// deadline. For after a final answer (spec section 6).
    ///
    /// Waits, so it is for a thread that may; a readiness loop calls [`try_recv`](Self::try_recv)
    /// with a buffer of one byte and counts the lengths (of [`RecvError::TooLong`], too).
    ///
    /// # Errors
    /// The system refused to receive.
    pub fn drain(
        &self,
        max_bytes: usize,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<Drained, SysError> {
        let mut left_bytes = max_bytes;
        let mut piece = [0_u8; DRAIN_PIECE_BYTES];
        loop {
            let len = match self.recv(&mut piece, deadline, abort) {
                Ok(len) | Err(RecvError::TooLong { len, .. }) => len,
                Err(RecvError::Closed) => return Ok(Drained::PeerClosed),
                Err(RecvError::TimedOut) => return Ok(Drained::TimedOut),
                Err(RecvError::Aborted) => return Ok(Drained::Aborted),
                Err(RecvError::Os(error)) => return Err(error),
            };
            let Some(left) = left_bytes.checked_sub(len) else { return Ok(Drained::TooMuch) };
            // Packets that are there at once would be taken without a look at the clock.
            if deadline.has_passed() {
                return Ok(Drained::TimedOut);
            }
            left_bytes = left;
        }
    }
}

/// The packet in one piece, if it is short enough for `room`.
#[inline]
pub(crate) fn gather<'r>(pieces: &[IoSlice<'_>], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut len = 0;
    for piece in pieces {
        let end = piece.len().checked_add(len)?;
        room.get_mut(len..end)?.copy_from_slice(piece);
        len = end;
    }
    room.get(..len)
}

/// Bytes of all pieces together.
pub(crate) fn total_len(pieces: &[IoSlice<'_>]) -> usize {
    pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()))
}
