//! Where things are in the header of a region (spec section 7).

use crate::region::{Area, Layout};
use crate::{RegionDefect, RegionSizes};

/// The header's bytes: one cache line, words of both directions in it.
pub(crate) const HEADER_BYTES: usize = 64;

pub(super) const MAGIC: u32 = 0x4e53_484d;
pub(super) const VERSION: u16 = 3;

/// Offsets of the header's fields, in bytes.
pub(super) mod field {
    pub(in super::super) const MAGIC: usize = 0;
    pub(in super::super) const VERSION: usize = 4;
    pub(in super::super) const HEADER_LEN: usize = 6;
    pub(in super::super) const OWNER_PID: usize = 8;
    pub(in super::super) const OWNER_GENERATION: usize = 12;
    pub(in super::super) const REQUEST_OFFSET: usize = 16;
    pub(in super::super) const REQUEST_CAPACITY: usize = 20;
    pub(in super::super) const RESPONSE_OFFSET: usize = 24;
    pub(in super::super) const RESPONSE_CAPACITY: usize = 28;
    pub(in super::super) const REQ_SEQ: usize = 32;
    pub(in super::super) const RESP_SEQ: usize = 40;
    pub(in super::super) const REQ_LEN: usize = 48;
    pub(in super::super) const RESP_LEN: usize = 52;
    pub(in super::super) const REQ_SIGNAL: usize = 56;
    pub(in super::super) const RESP_SIGNAL: usize = 60;
}

/// A header as it was read, once, into memory of this process.
pub(super) struct Header([u8; HEADER_BYTES]);

impl Header {
    pub(super) const fn new(bytes: [u8; HEADER_BYTES]) -> Self {
        Self(bytes)
    }

    /// Checks everything that a client checks before it uses a region of `file_bytes`, but whose it is.
    pub(super) fn check(
        &self,
        sizes: RegionSizes,
        file_bytes: u64,
    ) -> Result<Layout, RegionDefect> {
        let (magic, version) = (self.u32(field::MAGIC), self.u16(field::VERSION));
        let header_len = self.u16(field::HEADER_LEN);
        if magic != MAGIC {
            return Err(RegionDefect::Magic { found: magic });
        }
        if version != VERSION {
            return Err(RegionDefect::Version { found: version });
        }
        if usize::from(header_len) != HEADER_BYTES {
            return Err(RegionDefect::HeaderLen { found: header_len });
        }
        let request = self.area(field::REQUEST_OFFSET, field::REQUEST_CAPACITY);
        let response = self.area(field::RESPONSE_OFFSET, field::RESPONSE_CAPACITY);
        Layout::checked(request, response, HEADER_BYTES, sizes, file_bytes)
    }

    /// Whose it is, as the header says: `None` for nobody's.
    pub(super) fn owner(&self) -> Option<i32> {
        let is_region = self.u32(field::MAGIC) == MAGIC;
        let pid = i32::from_ne_bytes(self.bytes(field::OWNER_PID));
        (is_region && pid > 0 && self.u32(field::OWNER_GENERATION) != 0).then_some(pid)
    }

    fn area(&self, offset: usize, capacity: usize) -> Area {
        Area { offset: self.u32(offset), capacity: self.u32(capacity) }
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.bytes(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(at))
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.0[at + index])
    }
}
