//! A message on its way out, for a readiness loop that must never wait.

use std::io::IoSlice;
use std::iter::Peekable;

use netipc_proto::Defect;
use netipc_proto::chunk::Split;
use netipc_sys::TrySend;

use super::socket::sending_failed;
use super::{Session, Transport};
use crate::{Header, SendError};

/// Packets that one look sends at most, so that a peer which reads as fast as this side sends, in
/// packets of a byte each, cannot hold a readiness loop.
const PACKETS_PER_LOOK: usize = 64;

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
    /// The caller's fault: [`SendError::AboveLimit`] or [`SendError::Malformed`].
    #[inline]
    pub fn outgoing(&self, header: &Header, payload: &[u8]) -> Result<Outgoing, SendError> {
        self.check_outgoing(header, payload)?;
        let split = Split::new(*header, self.packet_size())
            .map_err(|_too_long| SendError::Malformed(Defect::Length))?;
        Ok(Outgoing { packets: split.peekable() })
    }

    /// Sends what there is room for now, 64 packets at most; true once all of the message is out.
    /// Never waits: the session is writable when more can be sent. The caller sends each message to
    /// its end before the next, one at a time, and does not mix this with [`Session::send`]. On
    /// shared memory there is always room for the one message that may be in flight.
    ///
    /// # Errors
    /// As [`Session::send`], without the waiting. When a part of the message was out, the session
    /// must end.
    #[inline]
    pub fn try_send(&self, message: &mut Outgoing, payload: &[u8]) -> Result<bool, SendError> {
        for _ in 0..PACKETS_PER_LOOK {
            let Some(packet) = message.packets.peek() else { return Ok(true) };
            let body = payload.get(packet.payload.clone()).unwrap_or_default();
            let sent = match &self.transport {
                Transport::Socket(socket) => {
                    let pieces = [IoSlice::new(&packet.head), IoSlice::new(body)];
                    socket.channel.try_send(&pieces).map_err(sending_failed)?
                }
                Transport::Region(region) => {
                    region.publish(&packet.head, body)?;
                    TrySend::Sent
                }
            };
            match sent {
                TrySend::Sent => message.packets.next(),
                TrySend::NoRoom => return Ok(false),
            };
        }
        Ok(message.packets.peek().is_none())
    }
}
