//! How a message arrives: packet by packet, each compared with what the first one implies.

use alloc::vec::Vec;

use thiserror::Error;

use super::{ChunkHeader, MAX_PAYLOAD_BYTES, PacketSize, offset};
use crate::error::{DecodeError, Defect};
use crate::header::{HEADER_LEN, Header, Limits};
use crate::message::{Direction, Message, exact_payload};

/// What a receiver of a session knows before the first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What is waited for.
    pub direction: Direction,
    /// The agreed packet size.
    pub packet_size: PacketSize,
    /// The agreed limits of this direction: above them the peer is at fault.
    pub limits: Limits,
    /// What this side is willing to hold, in bytes of payload: above it nobody is at fault, and
    /// the message is refused all the same. Servers give their agreed limit; clients, which accept
    /// any limit, their ceiling (spec section 4).
    pub ceiling_bytes: u32,
}

/// Why a packet was refused. The session ends (spec section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReceiveError {
    /// The peer broke the contract.
    #[error(transparent)]
    Violation(#[from] DecodeError),
    /// The message is within what was agreed, and above what this side is willing to hold.
    #[error(
        "the message has {payload_len} bytes, above this side's ceiling of {ceiling_bytes}: raise it"
    )]
    AboveCeiling {
        /// Bytes of payload that the message has.
        payload_len: u32,
        /// The configured ceiling, in bytes.
        ceiling_bytes: u32,
    },
    /// The allocator refused.
    #[error("no memory for a message of {payload_len} bytes")]
    OutOfMemory {
        /// Bytes of payload that the message has.
        payload_len: u32,
    },
}

/// Puts the messages of one direction of a session together (spec section 3).
///
/// Feed it every packet, in order. A message of one packet is checked and handed back where it
/// lies, without a copy. A longer one is gathered in a buffer that is kept for the next: it grows
/// by what arrives, never by what a header claims, and never above the smaller of the agreed limit
/// and the ceiling. After an error the session must end; the half message is dropped.
#[derive(Debug)]
pub struct Reassembly {
    incoming: Incoming,
    partial: Option<Partial>,
    buffer: Vec<u8>,
}

/// What a packet did for the message that it belongs to; see [`Reassembly::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More packets of the message are to come.
    More,
    /// The packet is the whole message: [`Message::in_packet`] opens it.
    InPacket(Header),
    /// The packet was the last one: the payload is [`Reassembly::gathered`].
    Gathered(Header),
}

/// A message of which packets are missing; its payload so far is in the buffer.
#[derive(Clone, Copy, Debug)]
struct Partial {
    header: Header,
    next_index: u32,
    count: u32,
}

impl Reassembly {
    /// A receiver that holds no memory yet.
    #[must_use]
    pub const fn new(incoming: Incoming) -> Self {
        Self { incoming, partial: None, buffer: Vec::new() }
    }

    /// Takes the next packet of the session. `Ok(None)` means that more packets are to come.
    ///
    /// # Errors
    /// The session must end. [`ReceiveError::Violation`] with [`Defect::Limit`], on a server,
    /// means a request above the agreed limit, which is answered
    /// [`LIMIT_EXCEEDED`](crate::Status::LIMIT_EXCEEDED) first.
    #[inline]
    pub fn accept<'a>(&'a mut self, packet: &'a [u8]) -> Result<Option<Message<'a>>, ReceiveError> {
        Ok(match self.advance(packet)? {
            Progress::More => None,
            Progress::InPacket(header) => Some(Message::in_packet(header, packet)),
            Progress::Gathered(header) => Some(Message { header, payload: &self.buffer }),
        })
    }

    /// The same as [`accept`](Self::accept), for those who keep packet and receiver together and
    /// open the message later.
    ///
    /// # Errors
    /// As `accept`.
    #[inline]
    pub fn advance(&mut self, packet: &[u8]) -> Result<Progress, ReceiveError> {
        match self.partial.take() {
            None => self.first(packet),
            Some(partial) => self.next(partial, packet),
        }
    }

    /// The payload of the last message of several packets, until the next packet.
    #[inline]
    #[must_use]
    pub fn gathered(&self) -> &[u8] {
        &self.buffer
    }

    /// Exchanges the memory of the last message of several packets, so that it can be kept while
    /// the next ones arrive. `memory` may hold anything: it is reused. Does nothing in the midst of
    /// a message.
    pub const fn exchange(&mut self, memory: &mut Vec<u8>) {
        if self.partial.is_none() {
            core::mem::swap(&mut self.buffer, memory);
        }
    }

    /// Whether a message has begun whose packets have not all arrived: the gap between chunks has
    /// a deadline of its own, and a peer that leaves now has broken off.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives the buffer back, for sessions that stay idle. Does nothing in the midst of a message.
    pub fn release(&mut self) {
        if self.partial.is_none() {
            self.buffer = Vec::new();
        }
    }

    #[inline]
    fn first(&mut self, packet: &[u8]) -> Result<Progress, ReceiveError> {
        let Incoming { direction, packet_size, limits, ceiling_bytes } = self.incoming;
        let header = direction.header(packet, &limits)?;
        if !header.status.is_ok() {
            return Ok(Progress::InPacket(header));
        }
        if header.payload_len > ceiling_bytes {
            let payload_len = header.payload_len;
            return Err(ReceiveError::AboveCeiling { payload_len, ceiling_bytes });
        }
        let payload = exact_payload(packet, packet_size.share_of(header.payload_len, 0))?;
        let count = packet_size.packets_of(header.payload_len);
        if count == 1 {
            return Ok(Progress::InPacket(header));
        }
        if header.payload_len > MAX_PAYLOAD_BYTES {
            // No chunk header could continue it: its total length has no 32-bit value.
            return Err(DecodeError::new(Defect::Length, HEADER_LEN).into());
        }
        self.buffer.clear();
        self.append(payload, header.payload_len)?;
        self.partial = Some(Partial { header, next_index: 1, count });
        Ok(Progress::More)
    }

    fn next(&mut self, partial: Partial, packet: &[u8]) -> Result<Progress, ReceiveError> {
        let Partial { header, next_index, count } = partial;
        let chunk = ChunkHeader::decode(packet)?;
        let share = self.incoming.packet_size.share_of(header.payload_len, next_index);
        let compared = [
            (chunk.message_id == header.message_id, Defect::ChunkSequence, offset::MESSAGE_ID),
            (
                // The sum fits: `first` refuses longer payloads.
                chunk.total_message_len == HEADER_LEN as u32 + header.payload_len,
                Defect::Length,
                offset::TOTAL_MESSAGE_LEN,
            ),
            (chunk.chunk_index == next_index, Defect::ChunkSequence, offset::CHUNK_INDEX),
            (chunk.chunk_count == count, Defect::Count, offset::CHUNK_COUNT),
            (chunk.chunk_payload_len == share, Defect::Length, offset::CHUNK_PAYLOAD_LEN),
        ];
        for (agrees, defect, offset) in compared {
            if !agrees {
                return Err(DecodeError::new(defect, offset).into());
            }
        }
        let payload = exact_payload(packet, share)?;
        self.append(payload, header.payload_len)?;
        if next_index + 1 == count {
            return Ok(Progress::Gathered(header));
        }
        self.partial = Some(Partial { header, next_index: next_index + 1, count });
        Ok(Progress::More)
    }

    /// Appends to the buffer, which doubles as it needs to and stops at the message's own length.
    fn append(&mut self, payload: &[u8], payload_len: u32) -> Result<(), ReceiveError> {
        let needed = self.buffer.len() + payload.len();
        if needed > self.buffer.capacity() {
            let doubled = self.buffer.capacity().saturating_mul(2);
            let wanted = doubled.min(payload_len as usize).max(needed);
            self.buffer
                .try_reserve_exact(wanted - self.buffer.len())
                .map_err(|_| ReceiveError::OutOfMemory { payload_len })?;
        }
        self.buffer.extend_from_slice(payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
