//! A message on its way out, for a readiness loop that must never wait.

use std::io::IoSlice;
use std::iter::Peekable;

use netipc_proto::Defect;
use netipc_proto::chunk::Split;
use netipc_sys::TrySend;

use super::Session;
use crate::{Header, SendError};

/// One message, of which some packets may be out already. Its payload is the caller's, who gives
/// the same bytes each time.
#[derive(Debug)]
pub struct Outgoing {
    packets: Peekable<Split>,
}

impl Session {
    /// Begins a message to be sent by [`Session::try_send`]; nothing is sent yet.
    ///
    /// # Errors
    /// The caller's fault: [`SendError::Malformed`] for a payload too long for its chunks.
    pub fn outgoing(&self, header: &Header) -> Result<Outgoing, SendError> {
        let split = Split::new(*header, self.terms().packet_size)
            .map_err(|_too_long| SendError::Malformed(Defect::Length))?;
        Ok(Outgoing { packets: split.peekable() })
    }

    /// Sends what there is room for now; true once all of the message is out. Never waits: the
    /// session is writable when there is room again. The caller keeps messages apart, sends each
    /// to its end before the next, and does not mix this with [`Session::send`] from other threads.
    ///
    /// # Errors
    /// As [`Session::send`], without the waiting. After an error within a message the session must
    /// end.
    pub fn try_send(&self, message: &mut Outgoing, payload: &[u8]) -> Result<bool, SendError> {
        while let Some(packet) = message.packets.peek() {
            let Some(part) = payload.get(packet.payload.clone()) else {
                return Err(SendError::Malformed(Defect::Length));
            };
            let pieces = [IoSlice::new(&packet.head), IoSlice::new(part)];
            match self.channel.try_send(&pieces) {
                Ok(TrySend::Sent) => {
                    message.packets.next();
                }
                Ok(TrySend::NoRoom) => return Ok(false),
                Err(netipc_sys::SendError::PeerGone) => return Err(SendError::PeerGone),
                Err(netipc_sys::SendError::Os(error)) => return Err(SendError::Os(error)),
                // Packets have the agreed size, which the socket carries, and are never empty.
                Err(_) => return Err(SendError::Malformed(Defect::Length)),
            }
        }
        Ok(true)
    }
}
