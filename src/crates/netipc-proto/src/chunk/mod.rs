//! Messages longer than a packet (spec section 3).
//!
//! ```text
//!  one message:   | header 32 | payload …………………………………………………………… |
//!  its packets:   | header 32 | payload, packet_size - 32 |
//!                 | chunk  32 | payload, packet_size - 32 |
//!                 | chunk  32 | the rest                  |
//! ```
//!
//! [`Split`] says how to send a message, without copying it; [`Reassembly`] puts it together again
//! and believes nothing that it can derive. Sending and receiving are not done here.

mod reassembly;
mod split;

use core::mem::offset_of;

use zerocopy::byteorder::native_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{DecodeError, Defect};
use crate::header::HEADER_LEN;

pub use reassembly::{Incoming, Progress, Reassembly, ReceiveError};
pub use split::{MessageTooLong, Packet, Split};

/// First field of every packet of a message but its first.
pub const CHUNK_MAGIC: u32 = 0x4e43_484b;
/// The only version of the chunk header.
pub const CHUNK_VERSION: u16 = 1;
/// Length of the chunk header, in bytes: that of the message header, so that every packet of a
/// session has the same room.
pub const CHUNK_HEADER_LEN: usize = size_of::<RawChunkHeader>();
/// The longest payload of a message, in bytes: `total_message_len` counts the header too, and has
/// 32 bits.
pub const MAX_PAYLOAD_BYTES: u32 = u32::MAX - HEADER_LEN as u32;

/// The longest packet of a session, in bytes, headers included: above 32, so that every packet has
/// room for payload (spec section 4, step 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketSize(u32);

impl PacketSize {
    /// The smallest that makes any progress.
    pub const MIN: Self = Self(HEADER_LEN as u32 + 1);

    /// So large that no message is split: what carries messages whole.
    pub const MAX: Self = Self(u32::MAX);

    /// `None` at 32 bytes and below.
    #[must_use]
    pub const fn new(bytes: u32) -> Option<Self> {
        if bytes >= Self::MIN.0 { Some(Self(bytes)) } else { None }
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0
    }

    /// Payload bytes of a full packet; at least 1.
    #[inline]
    #[must_use]
    pub const fn room(self) -> u32 {
        self.0 - HEADER_LEN as u32
    }

    /// How many packets a message with such a payload takes; at least 1.
    #[inline]
    #[must_use]
    pub const fn packets_of(self, payload_len: u32) -> u32 {
        if payload_len <= self.room() { 1 } else { payload_len.div_ceil(self.room()) }
    }

    /// Payload bytes in packet `index` of a message with such a payload; 0 past its end.
    #[inline]
    #[must_use]
    pub const fn share_of(self, payload_len: u32, index: u32) -> u32 {
        let before = self.room().saturating_mul(index);
        let rest = payload_len.saturating_sub(before);
        if rest < self.room() { rest } else { self.room() }
    }
}

/// The header of every packet of a message but its first (spec section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// That of the first packet.
    pub message_id: u64,
    /// Header and payload of the whole message, in bytes.
    pub total_message_len: u32,
    /// 1, 2, …: the first packet is 0.
    pub chunk_index: u32,
    /// All packets of the message, the first included.
    pub chunk_count: u32,
    /// Payload bytes in this packet; not 0.
    pub chunk_payload_len: u32,
}

impl ChunkHeader {
    /// Reads the header from the start of `packet`; bytes after it are not looked at. Whether the
    /// chunk continues a message is [`Reassembly`]'s to say.
    ///
    /// # Errors
    /// `Truncated`, `Magic`, `Version`, `Flags`, or `Length` for an empty chunk.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let Ok((raw, _)) = RawChunkHeader::ref_from_prefix(packet) else {
            return Err(DecodeError::new(Defect::Truncated, packet.len()));
        };
        if raw.magic.get() != CHUNK_MAGIC {
            return Err(DecodeError::new(Defect::Magic, offset_of!(RawChunkHeader, magic)));
        }
        if raw.version.get() != CHUNK_VERSION {
            return Err(DecodeError::new(Defect::Version, offset_of!(RawChunkHeader, version)));
        }
        if raw.flags.get() != 0 {
            return Err(DecodeError::new(Defect::Flags, offset_of!(RawChunkHeader, flags)));
        }
        if raw.chunk_payload_len.get() == 0 {
            return Err(DecodeError::new(Defect::Length, offset::CHUNK_PAYLOAD_LEN));
        }
        Ok(Self {
            message_id: raw.message_id.get(),
            total_message_len: raw.total_message_len.get(),
            chunk_index: raw.chunk_index.get(),
            chunk_count: raw.chunk_count.get(),
            chunk_payload_len: raw.chunk_payload_len.get(),
        })
    }

    /// The 32 bytes of this header.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; CHUNK_HEADER_LEN] {
        zerocopy::transmute!(RawChunkHeader {
            magic: CHUNK_MAGIC.into(),
            version: CHUNK_VERSION.into(),
            flags: 0.into(),
            message_id: self.message_id.into(),
            total_message_len: self.total_message_len.into(),
            chunk_index: self.chunk_index.into(),
            chunk_count: self.chunk_count.into(),
            chunk_payload_len: self.chunk_payload_len.into(),
        })
    }
}

/// The layout of the chunk header.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawChunkHeader {
    magic: U32,
    version: U16,
    flags: U16,
    message_id: U64,
    total_message_len: U32,
    chunk_index: U32,
    chunk_count: U32,
    chunk_payload_len: U32,
}

/// Where the fields are that [`Reassembly`] compares, in bytes from the start of the packet.
mod offset {
    use core::mem::offset_of;

    use super::RawChunkHeader;

    pub(super) const MESSAGE_ID: usize = offset_of!(RawChunkHeader, message_id);
    pub(super) const TOTAL_MESSAGE_LEN: usize = offset_of!(RawChunkHeader, total_message_len);
    pub(super) const CHUNK_INDEX: usize = offset_of!(RawChunkHeader, chunk_index);
    pub(super) const CHUNK_COUNT: usize = offset_of!(RawChunkHeader, chunk_count);
    pub(super) const CHUNK_PAYLOAD_LEN: usize = offset_of!(RawChunkHeader, chunk_payload_len);
}

const _: () = assert!(CHUNK_HEADER_LEN == HEADER_LEN);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_needs_room_for_payload() {
        assert_eq!(PacketSize::new(0), None);
        assert_eq!(PacketSize::new(32), None);
        assert_eq!(PacketSize::new(33).map(PacketSize::room), Some(1));
    }

    #[test]
    fn the_shares_of_a_message_sum_up_at_every_edge() {
        for (bytes, payload_len, packets) in [
            (64, 0, 1),
            (64, 31, 1),
            (64, 32, 1),
            (64, 33, 2),
            (64, 64, 2),
            (64, 65, 3),
            (33, 5, 5),
        ] {
            let size = PacketSize::new(bytes).unwrap();
            assert_eq!(size.packets_of(payload_len), packets, "{payload_len} in {bytes}");
            let sum: u32 = (0..packets).map(|i| size.share_of(payload_len, i)).sum();
            assert_eq!(sum, payload_len);
            assert_eq!(size.share_of(payload_len, packets), 0);
        }
    }

    #[test]
    fn the_largest_message_does_not_overflow() {
        let size = PacketSize::MIN;
        assert_eq!(size.packets_of(u32::MAX), u32::MAX);
        assert_eq!(size.share_of(u32::MAX, u32::MAX - 1), 1);
        assert_eq!(size.share_of(u32::MAX, u32::MAX), 0);
        let size = PacketSize::new(u32::MAX).unwrap();
        assert_eq!(size.packets_of(u32::MAX), 2);
        assert_eq!(size.share_of(u32::MAX, 1), 32);
        assert_eq!(size.share_of(u32::MAX, 2), 0);
    }
}
