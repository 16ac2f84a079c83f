//! How a message leaves: as one packet, or as several.

use core::iter::FusedIterator;
use core::ops::Range;

use thiserror::Error;

use super::{ChunkHeader, MAX_PAYLOAD_BYTES, PacketSize};
use crate::header::{HEADER_LEN, Header};

/// The packets of one message, in the order in which they are sent. Nothing is copied: each packet
/// is 32 bytes made here and a range of the caller's payload, to be sent together.
#[derive(Clone, Debug)]
pub struct Split {
    header: Header,
    packet_size: PacketSize,
    count: u32,
    next: u32,
}

/// One packet of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The message header, or a chunk header.
    pub head: [u8; HEADER_LEN],
    /// The part of the payload that follows it.
    pub payload: Range<usize>,
}

/// The message needs several packets, and their headers cannot say its length. Only payloads above
/// [`MAX_PAYLOAD_BYTES`] can do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a payload of {payload_len} bytes is too long to be sent in chunks")]
pub struct MessageTooLong {
    /// What `header.payload_len` said, in bytes.
    pub payload_len: u32,
}

impl Split {
    /// The packets of the message with this header, whose `payload_len` is the length of the
    /// caller's payload.
    ///
    /// # Errors
    /// The caller's fault: the payload is above [`MAX_PAYLOAD_BYTES`] and does not fit one packet.
    #[inline]
    pub fn new(header: Header, packet_size: PacketSize) -> Result<Self, MessageTooLong> {
        let count = packet_size.packets_of(header.payload_len);
        if count > 1 && header.payload_len > MAX_PAYLOAD_BYTES {
            return Err(MessageTooLong { payload_len: header.payload_len });
        }
        Ok(Self { header, packet_size, count, next: 0 })
    }

    /// All packets of the message, those already taken included.
    #[must_use]
    pub const fn packet_count(&self) -> u32 {
        self.count
    }
}

impl Iterator for Split {
    type Item = Packet;

    #[inline]
    fn next(&mut self) -> Option<Packet> {
        if self.next == self.count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let payload_len = self.header.payload_len;
        let share = self.packet_size.share_of(payload_len, index);
        // Inside the payload, so inside u32.
        let start = self.packet_size.room() * index;
        let head = if index == 0 {
            self.header.encode()
        } else {
            let chunk = ChunkHeader {
                message_id: self.header.message_id,
                total_message_len: HEADER_LEN as u32 + payload_len,
                chunk_index: index,
                chunk_count: self.count,
                chunk_payload_len: share,
            };
            chunk.encode()
        };
        Some(Packet { head, payload: start as usize..(start + share) as usize })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = (self.count - self.next) as usize;
        (rest, Some(rest))
    }
}

impl ExactSizeIterator for Split {}

impl FusedIterator for Split {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_is_one_packet_with_its_own_header() {
        let header = Header::request(2, 5, 10);
        let mut split = Split::new(header, PacketSize::new(64).unwrap()).unwrap();
        assert_eq!(split.len(), 1);
        assert_eq!(split.next(), Some(Packet { head: header.encode(), payload: 0..10 }));
        assert_eq!(split.next(), None);
        assert_eq!(split.next(), None);
    }

    #[test]
    fn a_message_whose_length_has_no_place_is_refused() {
        let header = Header::request(2, 5, MAX_PAYLOAD_BYTES + 1);
        let error = Split::new(header, PacketSize::new(4096).unwrap()).unwrap_err();
        assert_eq!(error.payload_len, u32::MAX - 31);
        let header = Header::request(2, 5, MAX_PAYLOAD_BYTES);
        let last = Split::new(header, PacketSize::new(1 << 31).unwrap()).unwrap().last().unwrap();
        assert_eq!(last.payload.end, MAX_PAYLOAD_BYTES as usize);
    }
}
