//! Where things are in the header of a region (spec section 9).

use crate::region::{Area, Layout};
use crate::{RegionDefect, RegionSizes};

/// The header's bytes.
pub(crate) const HEADER_BYTES: usize = 128;

pub(super) const MAGIC: u32 = 0x4e53_5748;
pub(super) const VERSION: u32 = 3;
/// Written for peers in the field.
pub(super) const SPIN_TRIES: u32 = 1024;

/// Offsets of the header's fields, in bytes.
pub(super) mod field {
    pub(in super::super) const MAGIC: usize = 0;
    pub(in super::super) const VERSION: usize = 4;
    pub(in super::super) const HEADER_LEN: usize = 8;
    pub(in super::super) const PROFILE: usize = 12;
    pub(in super::super) const REQUEST_OFFSET: usize = 16;
    pub(in super::super) const REQUEST_CAPACITY: usize = 20;
    pub(in super::super) const RESPONSE_OFFSET: usize = 24;
    pub(in super::super) const RESPONSE_CAPACITY: usize = 28;
    pub(in super::super) const SPIN_TRIES: usize = 32;
    pub(in super::super) const REQ_LEN: usize = 36;
    pub(in super::super) const RESP_LEN: usize = 40;
    pub(in super::super) const REQ_CLIENT_CLOSED: usize = 44;
    pub(in super::super) const REQ_SERVER_WAITING: usize = 48;
    pub(in super::super) const RESP_SERVER_CLOSED: usize = 52;
    pub(in super::super) const RESP_CLIENT_WAITING: usize = 56;
    pub(in super::super) const REQ_SEQ: usize = 64;
    pub(in super::super) const RESP_SEQ: usize = 72;
}

/// Checks everything that a client checks before it uses a region of `len_bytes`. `read` reads a number of
/// the header, which the peer can write: each is read once.
pub(super) fn check(
    read: impl Fn(usize) -> u32,
    profile: u32,
    sizes: RegionSizes,
    len_bytes: u64,
) -> Result<Layout, RegionDefect> {
    let (magic, version) = (read(field::MAGIC), read(field::VERSION));
    let header_len = read(field::HEADER_LEN);
    if magic != MAGIC {
        return Err(RegionDefect::Magic { found: magic });
    }
    let short = |number| u16::try_from(number).unwrap_or(u16::MAX);
    if version != VERSION {
        return Err(RegionDefect::Version { found: short(version) });
    }
    if header_len as usize != HEADER_BYTES {
        return Err(RegionDefect::HeaderLen { found: short(header_len) });
    }
    let found = read(field::PROFILE);
    if found != profile {
        return Err(RegionDefect::Profile { found, expected: profile });
    }
    let area = |offset, capacity| Area { offset: read(offset), capacity: read(capacity) };
    let request = area(field::REQUEST_OFFSET, field::REQUEST_CAPACITY);
    let response = area(field::RESPONSE_OFFSET, field::RESPONSE_CAPACITY);
    Layout::checked(request, response, HEADER_BYTES, sizes, len_bytes)
}
