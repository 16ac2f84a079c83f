//! A whole message as received, checked for its direction (spec section 1).

use crate::error::{DecodeError, Defect};
use crate::header::{HEADER_LEN, Header, Limits};

/// What a receiver waits for, which decides what it checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// A server waits for requests.
    Requests,
    /// A client waits for responses.
    Responses,
}

/// A received message: header and payload. The payload of a response that is not OK is empty here,
/// whatever the peer sent with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The header, checked for the direction.
    pub header: Header,
    /// The payload, as long as the header says. For a batch, see [`crate::batch::Batch`].
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Opens a packet that is a whole message, of which this is the header, checked before
    /// ([`Progress::InPacket`](crate::chunk::Progress::InPacket)).
    #[inline]
    #[must_use]
    pub fn in_packet(header: Header, packet: &'a [u8]) -> Self {
        let payload_len = if header.status.is_ok() { header.payload_len as usize } else { 0 };
        let payload = packet.get(HEADER_LEN..HEADER_LEN + payload_len).unwrap_or_default();
        Self { header, payload }
    }
}

impl Direction {
    /// Decodes and checks the header at the start of `bytes` (spec section 1).
    ///
    /// # Errors
    /// As [`Header::decode`], [`Header::check_request`] and [`Header::check_response`] say.
    #[inline]
    pub fn header(self, bytes: &[u8], limits: &Limits) -> Result<Header, DecodeError> {
        let header = Header::decode(bytes)?;
        match self {
            Self::Requests => header.check_request(limits)?,
            Self::Responses => header.check_response(limits)?,
        }
        Ok(header)
    }

    /// Opens `bytes`, which must be one whole message: what shared memory carries (spec section 7).
    ///
    /// # Errors
    /// As [`Direction::header`]; `Truncated` or `Trailing` when the payload is not exactly as long
    /// as the header says.
    #[inline]
    pub fn message<'a>(self, bytes: &'a [u8], limits: &Limits) -> Result<Message<'a>, DecodeError> {
        let header = self.header(bytes, limits)?;
        if header.status.is_ok() {
            exact_payload(bytes, header.payload_len)?;
        }
        Ok(Message::in_packet(header, bytes))
    }
}

/// What follows the 32 bytes of a packet's header, which must be `len` bytes.
#[inline]
pub(crate) fn exact_payload(packet: &[u8], len: u32) -> Result<&[u8], DecodeError> {
    let Some(payload) = packet.get(HEADER_LEN..) else {
        return Err(DecodeError::new(Defect::Truncated, packet.len()));
    };
    let expected = len as usize;
    if payload.len() < expected {
        return Err(DecodeError::new(Defect::Truncated, packet.len()));
    }
    if payload.len() > expected {
        return Err(DecodeError::new(Defect::Trailing, HEADER_LEN + expected));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    const LIMITS: Limits = Limits { payload_bytes: 8, batch_items: 1 };

    fn message(header: Header, payload: &[u8]) -> alloc::vec::Vec<u8> {
        [&header.encode()[..], payload].concat()
    }

    #[test]
    fn a_whole_message_is_as_long_as_it_says() {
        let good = message(Header::request(1, 1, 3), b"abc");
        let opened = Direction::Requests.message(&good, &LIMITS).unwrap();
        assert_eq!(opened.payload, b"abc");
        let short = Direction::Requests.message(&good[..34], &LIMITS).unwrap_err();
        assert_eq!(short, DecodeError::new(Defect::Truncated, 34));
        let long = message(Header::request(1, 1, 3), b"abcd");
        let long = Direction::Requests.message(&long, &LIMITS).unwrap_err();
        assert_eq!(long, DecodeError::new(Defect::Trailing, 35));
    }

    #[test]
    fn directions_do_not_mix() {
        let request = message(Header::request(1, 1, 0), b"");
        let error = Direction::Responses.message(&request, &LIMITS).unwrap_err();
        assert_eq!(error.defect, Defect::Kind);
    }

    #[test]
    fn a_failed_response_has_no_payload_whatever_came_with_it() {
        let failed = Header {
            status: Status::INTERNAL_ERROR,
            payload_len: 70,
            ..Header::response(&Header::request(1, 1, 0).batch_of(9), 0)
        };
        let bytes = message(failed, b"left over");
        let opened = Direction::Responses.message(&bytes, &LIMITS).unwrap();
        assert_eq!((opened.header.status, opened.payload), (Status::INTERNAL_ERROR, &b""[..]));
    }
}
