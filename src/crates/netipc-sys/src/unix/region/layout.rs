//! Where things are in a region (spec section 7): plain numbers, checked once, used from then on.

use crate::{RegionDefect, RegionSizes};

/// The header's bytes: one cache line, words of both directions in it.
pub(super) const HEADER_BYTES: usize = 64;
/// What offsets and capacities are multiples of.
pub(super) const ALIGN_BYTES: u32 = 64;

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

/// The place of one direction's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) offset: u32,
    pub(super) capacity: u32,
}

impl Area {
    /// The first byte behind it. Two 32-bit numbers have room in 64 bits.
    const fn end(self) -> u64 {
        self.offset as u64 + self.capacity as u64
    }
}

/// The places of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) request: Area,
    pub(super) response: Area,
}

impl Layout {
    /// The layout that a server makes: the request area first, the response area behind it. `None`
    /// when it would have offsets that no header can hold.
    pub(super) fn for_sizes(sizes: RegionSizes) -> Option<Self> {
        let request =
            Area { offset: HEADER_BYTES as u32, capacity: capacity_for(sizes.request_bytes)? };
        let offset = u32::try_from(request.end()).ok()?;
        let response = Area { offset, capacity: capacity_for(sizes.response_bytes)? };
        u32::try_from(response.end()).ok()?;
        Some(Self { request, response })
    }

    /// How long the file must be, in bytes.
    pub(super) const fn len_bytes(self) -> u64 {
        let (request, response) = (self.request.end(), self.response.end());
        if request > response { request } else { response }
    }
}

impl RegionSizes {
    /// Bytes of the file of a region with room for these messages; `None` when no region has.
    #[must_use]
    pub fn file_bytes(self) -> Option<u64> {
        Layout::for_sizes(self).map(Layout::len_bytes)
    }
}

/// The least capacity for messages of at most `message_bytes`: that, rounded up to whole lines.
fn capacity_for(message_bytes: usize) -> Option<u32> {
    u32::try_from(message_bytes.max(1)).ok()?.checked_next_multiple_of(ALIGN_BYTES)
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
        let layout = Layout {
            request: self.area(field::REQUEST_OFFSET, field::REQUEST_CAPACITY)?,
            response: self.area(field::RESPONSE_OFFSET, field::RESPONSE_CAPACITY)?,
        };
        let (request, response) = (layout.request, layout.response);
        if request.end() > u64::from(response.offset) && response.end() > u64::from(request.offset)
        {
            return Err(RegionDefect::Overlap);
        }
        for (area, wanted) in [(request, sizes.request_bytes), (response, sizes.response_bytes)] {
            let least =
                capacity_for(wanted).ok_or(RegionDefect::Capacity { found: area.capacity })?;
            if area.capacity < least {
                return Err(RegionDefect::Capacity { found: area.capacity });
            }
        }
        if layout.len_bytes() > file_bytes {
            return Err(RegionDefect::Short { file_bytes, needed: layout.len_bytes() });
        }
        Ok(layout)
    }

    /// Whose it is, as the header says: `None` for nobody's.
    pub(super) fn owner(&self) -> Option<i32> {
        let is_region = self.u32(field::MAGIC) == MAGIC;
        let pid = i32::from_ne_bytes(self.bytes(field::OWNER_PID));
        (is_region && pid > 0 && self.u32(field::OWNER_GENERATION) != 0).then_some(pid)
    }

    fn area(&self, offset: usize, capacity: usize) -> Result<Area, RegionDefect> {
        let (offset, capacity) = (self.u32(offset), self.u32(capacity));
        if (offset as usize) < HEADER_BYTES || !offset.is_multiple_of(ALIGN_BYTES) {
            return Err(RegionDefect::Offset { found: offset });
        }
        if capacity == 0 || !capacity.is_multiple_of(ALIGN_BYTES) {
            return Err(RegionDefect::Capacity { found: capacity });
        }
        Ok(Area { offset, capacity })
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
