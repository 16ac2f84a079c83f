//! Where messages are in a region (spec sections 7 and 9): plain numbers, checked once, used from then on.

use crate::{RegionDefect, RegionSizes};

/// What offsets and capacities are multiples of.
const ALIGN_BYTES: u32 = 64;

/// The place of one direction's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) offset: u32,
    pub(crate) capacity: u32,
}

impl Area {
    /// The first byte behind it. Two 32-bit numbers have room in 64 bits.
    const fn end(self) -> u64 {
        self.offset as u64 + self.capacity as u64
    }

    /// An area as a peer's header has it, behind a header of `header_bytes`.
    fn checked(self, header_bytes: usize) -> Result<Self, RegionDefect> {
        let Self { offset, capacity } = self;
        if (offset as usize) < header_bytes || !offset.is_multiple_of(ALIGN_BYTES) {
            return Err(RegionDefect::Offset { found: offset });
        }
        if capacity == 0 || !capacity.is_multiple_of(ALIGN_BYTES) {
            return Err(RegionDefect::Capacity { found: capacity });
        }
        Ok(self)
    }
}

/// The places of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) request: Area,
    pub(crate) response: Area,
}

impl Layout {
    /// The layout that a server makes: the request area first, behind the header, the response area
    /// behind it. `None` when it would have offsets that no header can hold.
    pub(crate) fn for_sizes(header_bytes: u32, sizes: RegionSizes) -> Option<Self> {
        let request = Area { offset: header_bytes, capacity: capacity_for(sizes.request_bytes)? };
        let offset = u32::try_from(request.end()).ok()?;
        let response = Area { offset, capacity: capacity_for(sizes.response_bytes)? };
        u32::try_from(response.end()).ok()?;
        Some(Self { request, response })
    }

    /// The layout that a peer's header tells of, checked: aligned areas behind the header that do not
    /// overlap, have room for what was agreed, and lie in memory of `len_bytes`.
    pub(crate) fn checked(
        request: Area,
        response: Area,
        header_bytes: usize,
        sizes: RegionSizes,
        len_bytes: u64,
    ) -> Result<Self, RegionDefect> {
        let (request, response) = (request.checked(header_bytes)?, response.checked(header_bytes)?);
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
        let layout = Self { request, response };
        if layout.len_bytes() > len_bytes {
            let needed = layout.len_bytes();
            return Err(RegionDefect::Short { file_bytes: len_bytes, needed });
        }
        Ok(layout)
    }

    /// How long the memory must be, in bytes.
    pub(crate) const fn len_bytes(self) -> u64 {
        let (request, response) = (self.request.end(), self.response.end());
        if request > response { request } else { response }
    }
}

impl RegionSizes {
    /// Bytes of a region with room for these messages; `None` when no region has.
    #[must_use]
    pub fn file_bytes(self) -> Option<u64> {
        let header_bytes = crate::platform::region::HEADER_BYTES as u32;
        Layout::for_sizes(header_bytes, self).map(Layout::len_bytes)
    }
}

/// The least capacity for messages of at most `message_bytes`: that, rounded up to whole lines.
fn capacity_for(message_bytes: usize) -> Option<u32> {
    u32::try_from(message_bytes.max(1)).ok()?.checked_next_multiple_of(ALIGN_BYTES)
}
