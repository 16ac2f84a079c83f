//! After a final answer: waiting for the peer to leave, in a readiness loop (spec section 6).

use netipc_sys::{PacketChannel, RecvError, SysError};

use super::Session;

pub use netipc_sys::Drained;

/// What a peer may still send after a final answer, in bytes, before it is let go: enough for the
/// rest of a long request, so that a client that sends before it reads comes to read the answer.
pub const MAX_DRAIN_BYTES: usize = 16 << 20;

/// Packets that one look drops at most, so that no peer can hold a readiness loop.
const PACKETS_PER_LOOK: usize = 64;
/// The piece of a packet that is looked at; the kernel drops its rest.
const PIECE_BYTES: usize = 1;

/// Drops what a peer still sends after a final answer, for a readiness loop that must not wait in
/// [`Session::drain`]. The time that it may take is the loop's to keep.
#[derive(Debug)]
pub struct Drain {
    left_bytes: usize,
}

impl Drain {
    /// Tells the peer that no more comes.
    #[must_use]
    pub fn begin(session: &Session) -> Self {
        Self::of(session.channel(), MAX_DRAIN_BYTES)
    }

    /// Drops what is there now. `Some` when the session may be dropped; `None` when it is to be
    /// called again once the session is readable.
    ///
    /// # Errors
    /// The system refused to receive.
    pub fn advance(&mut self, session: &Session) -> Result<Option<Drained>, SysError> {
        self.advance_on(session.channel())
    }

    pub(crate) fn of(channel: &PacketChannel, max_bytes: usize) -> Self {
        channel.finish_sending();
        Self { left_bytes: max_bytes }
    }

    pub(crate) fn advance_on(
        &mut self,
        channel: &PacketChannel,
    ) -> Result<Option<Drained>, SysError> {
        let mut piece = [0_u8; PIECE_BYTES];
        for _ in 0..PACKETS_PER_LOOK {
            let len = match channel.try_recv(&mut piece) {
                Ok(Some(len)) | Err(RecvError::TooLong { len, .. }) => len,
                // The last two are of calls that wait.
                Ok(None) | Err(RecvError::Aborted | RecvError::TimedOut) => return Ok(None),
                Err(RecvError::Closed) => return Ok(Some(Drained::PeerClosed)),
                Err(RecvError::Os(error)) => return Err(error),
            };
            let Some(left) = self.left_bytes.checked_sub(len) else {
                return Ok(Some(Drained::TooMuch));
            };
            self.left_bytes = left;
        }
        Ok(None)
    }
}
