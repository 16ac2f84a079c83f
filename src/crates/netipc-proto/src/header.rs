//! The message header, 32 bytes, that starts every message (spec section 1).
//!
//! ```text
//!  0        4       6          8     10     12    14                16           20          24
//!  | magic  | vers. | hdr len  | kind| flags| code| transport_status| payload_len| item_count| message_id |
//! ```
//!
//! [`Header::decode`] looks at structure alone. What else a receiver must check depends on who it
//! is and what it waits for: [`Header::check_request`], [`Header::check_response`],
//! [`Header::check_control`]. The directory of a batch is [`crate::batch`]'s, and sizes of packets
//! are [`crate::chunk`]'s.

use zerocopy::byteorder::native_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{DecodeError, Defect};
use crate::status::Status;

/// Length of the message header, in bytes.
pub const HEADER_LEN: usize = size_of::<RawHeader>();
/// First field of every message.
pub const MAGIC: u32 = 0x4e49_5043;
/// The only version of the envelope.
pub const VERSION: u16 = 1;
/// Header flag: the payload is a batch, with a directory (spec section 2).
pub const FLAG_BATCH: u16 = 1;

/// Control opcodes: values of `code` in messages of kind [`Kind::Control`] (spec section 1).
pub mod opcode {
    /// The client's first message.
    pub const HELLO: u16 = 1;
    /// The server's answer to it.
    pub const HELLO_ACK: u16 = 2;
    /// Extension: a client leaves an idle shared-memory session (spec section 7).
    pub const BYE: u16 = 0x0100;
    /// Extension: the first opcode that is only for sessions of an extension profile.
    pub const FIRST_EXTENSION_PROFILE: u16 = 0x0101;
}

/// Method codes: values of `code` in requests and responses (spec section 1).
pub mod method {
    use core::ops::RangeInclusive;

    /// `increment`, a call.
    pub const INCREMENT: u16 = 1;
    /// `cgroups-snapshot`, a snapshot.
    pub const CGROUPS_SNAPSHOT: u16 = 2;
    /// `string-reverse`, a call.
    pub const STRING_REVERSE: u16 = 3;
    /// `cgroups-lookup`, a lookup.
    pub const CGROUPS_LOOKUP: u16 = 4;
    /// `apps-lookup`, a lookup.
    pub const APPS_LOOKUP: u16 = 5;
    /// Codes that are kept free for peers in the field.
    pub const KEPT_FREE: RangeInclusive<u16> = 6..=255;
    /// Extension: codes of services that this project adds.
    pub const ADDED: RangeInclusive<u16> = 0x0100..=u16::MAX;
}

/// What a message is (spec section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Kind {
    /// From client to server.
    Request = 1,
    /// From server to client.
    Response = 2,
    /// Handshake, and [`opcode::BYE`].
    Control = 3,
}

/// The limits of one direction of a session, as agreed in the handshake (spec section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// The longest payload of a message, in bytes, the directory of a batch included.
    pub payload_bytes: u32,
    /// The most items of a batch.
    pub batch_items: u32,
}

/// A decoded message header (spec section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// What the message is.
    pub kind: Kind,
    /// [`FLAG_BATCH`] or 0. Decoding keeps undefined bits; the checks refuse them.
    pub flags: u16,
    /// Method code, or control opcode.
    pub code: u16,
    /// [`Status::OK`] in requests.
    pub status: Status,
    /// Bytes of the whole message after this header.
    pub payload_len: u32,
    /// 1, or the number of items of a batch.
    pub item_count: u32,
    /// Chosen by the client, echoed in the response; 0 in control messages.
    pub message_id: u64,
}

impl Header {
    /// The header of a request with one item.
    #[inline]
    #[must_use]
    pub const fn request(code: u16, message_id: u64, payload_len: u32) -> Self {
        Self {
            kind: Kind::Request,
            flags: 0,
            code,
            status: Status::OK,
            payload_len,
            item_count: 1,
            message_id,
        }
    }

    /// The header of the answer to `request`, in kind: a batch is answered by a batch of as many
    /// items (spec section 2).
    #[inline]
    #[must_use]
    pub const fn response(request: &Self, payload_len: u32) -> Self {
        Self { kind: Kind::Response, status: Status::OK, payload_len, ..*request }
    }

    /// The header of an answer to `request` that is not OK: empty payload, one item, no BATCH flag
    /// (spec section 1).
    #[inline]
    #[must_use]
    pub const fn failure(request: &Self, status: Status) -> Self {
        Self { kind: Kind::Response, flags: 0, status, payload_len: 0, item_count: 1, ..*request }
    }

    /// The header of a control message with `payload_len` bytes after it.
    #[inline]
    #[must_use]
    pub const fn control(opcode: u16, status: Status, payload_len: u32) -> Self {
        Self {
            kind: Kind::Control,
            flags: 0,
            code: opcode,
            status,
            payload_len,
            item_count: 1,
            message_id: 0,
        }
    }

    /// This header, marked as that of a batch of `item_count` items.
    #[inline]
    #[must_use]
    pub const fn batch_of(self, item_count: u32) -> Self {
        Self { flags: FLAG_BATCH, item_count, ..self }
    }

    /// Whether the BATCH flag is set.
    #[inline]
    #[must_use]
    pub const fn is_batch(&self) -> bool {
        self.flags & FLAG_BATCH != 0
    }

    /// Reads the header from the start of `message`; bytes after it are not looked at.
    ///
    /// # Errors
    /// `Truncated`, `Magic`, `Version`, `HeaderLen` or `Kind`. Every other rule is for the
    /// `check_…` methods.
    #[inline]
    pub fn decode(message: &[u8]) -> Result<Self, DecodeError> {
        let Ok((raw, _)) = RawHeader::ref_from_prefix(message) else {
            return Err(DecodeError::new(Defect::Truncated, message.len()));
        };
        if raw.magic.get() != MAGIC {
            return Err(DecodeError::new(Defect::Magic, offset::MAGIC));
        }
        if raw.version.get() != VERSION {
            return Err(DecodeError::new(Defect::Version, offset::VERSION));
        }
        if usize::from(raw.header_len.get()) != HEADER_LEN {
            return Err(DecodeError::new(Defect::HeaderLen, offset::HEADER_LEN));
        }
        let kind = match raw.kind.get() {
            1 => Kind::Request,
            2 => Kind::Response,
            3 => Kind::Control,
            _ => return Err(DecodeError::new(Defect::Kind, offset::KIND)),
        };
        Ok(Self {
            kind,
            flags: raw.flags.get(),
            code: raw.code.get(),
            status: Status(raw.transport_status.get()),
            payload_len: raw.payload_len.get(),
            item_count: raw.item_count.get(),
            message_id: raw.message_id.get(),
        })
    }

    /// The 32 bytes of this header.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        zerocopy::transmute!(RawHeader {
            magic: MAGIC.into(),
            version: VERSION.into(),
            header_len: (HEADER_LEN as u16).into(),
            kind: (self.kind as u16).into(),
            flags: self.flags.into(),
            code: self.code.into(),
            transport_status: self.status.0.into(),
            payload_len: self.payload_len.into(),
            item_count: self.item_count.into(),
            message_id: self.message_id.into(),
        })
    }

    /// What a server checks in a request beyond structure (spec section 1).
    ///
    /// # Errors
    /// Any violation ends the session. `Defect::Limit` alone is answered with
    /// [`Status::LIMIT_EXCEEDED`] first; it is given only when nothing else is wrong.
    #[inline]
    pub fn check_request(&self, limits: &Limits) -> Result<(), DecodeError> {
        if self.kind != Kind::Request {
            return Err(DecodeError::new(Defect::Kind, offset::KIND));
        }
        if !self.status.is_ok() {
            return Err(DecodeError::new(Defect::Status, offset::STATUS));
        }
        self.check_counts(limits)
    }

    /// What a client checks in a response beyond structure (spec section 1). When its status is
    /// not OK, flags, item count and payload are not looked at: some peers leave those of the
    /// request in place.
    ///
    /// Whether `message_id` is in flight is for [`crate::inflight`].
    ///
    /// # Errors
    /// Any violation ends the session.
    #[inline]
    pub fn check_response(&self, limits: &Limits) -> Result<(), DecodeError> {
        if self.kind != Kind::Response {
            return Err(DecodeError::new(Defect::Kind, offset::KIND));
        }
        if !self.status.is_ok() {
            return Ok(());
        }
        self.check_counts(limits)
    }

    /// What both sides check in a control message: its opcode, no flags, one item, message id 0
    /// (spec sections 4 and 7). When the status is not OK, none but the opcode is looked at;
    /// whether a status may be there at all, and how long the payload is, depends on the opcode and
    /// is the caller's to judge.
    ///
    /// # Errors
    /// `Kind`, `Code`, `Flags` or `Count`; a message id that is not 0 is `Reserved`.
    pub fn check_control(&self, opcode: u16) -> Result<(), DecodeError> {
        if self.kind != Kind::Control {
            return Err(DecodeError::new(Defect::Kind, offset::KIND));
        }
        if self.code != opcode {
            return Err(DecodeError::new(Defect::Code, offset::CODE));
        }
        if !self.status.is_ok() {
            return Ok(());
        }
        if self.flags != 0 {
            return Err(DecodeError::new(Defect::Flags, offset::FLAGS));
        }
        if self.item_count != 1 {
            return Err(DecodeError::new(Defect::Count, offset::ITEM_COUNT));
        }
        if self.message_id != 0 {
            return Err(DecodeError::new(Defect::Reserved, offset::MESSAGE_ID));
        }
        Ok(())
    }

    /// Whether this is the [`opcode::BYE`] that a client may send on a shared-memory session: no
    /// payload, status OK, message id 0, one item (spec section 7). Any other control message
    /// after the handshake is a violation.
    #[must_use]
    pub fn is_bye(&self) -> bool {
        self.status.is_ok() && self.payload_len == 0 && self.check_control(opcode::BYE).is_ok()
    }

    /// Flags, item count and limits, in this order, so that `Limit` means: nothing else is wrong.
    #[inline]
    fn check_counts(&self, limits: &Limits) -> Result<(), DecodeError> {
        if self.flags & !FLAG_BATCH != 0 {
            return Err(DecodeError::new(Defect::Flags, offset::FLAGS));
        }
        if self.item_count == 0 || (self.item_count != 1 && !self.is_batch()) {
            return Err(DecodeError::new(Defect::Count, offset::ITEM_COUNT));
        }
        if self.payload_len > limits.payload_bytes {
            return Err(DecodeError::new(Defect::Limit, offset::PAYLOAD_LEN));
        }
        if self.is_batch() && self.item_count > limits.batch_items {
            return Err(DecodeError::new(Defect::Limit, offset::ITEM_COUNT));
        }
        Ok(())
    }
}

/// The layout of the header in a message.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawHeader {
    magic: U32,
    version: U16,
    header_len: U16,
    kind: U16,
    flags: U16,
    code: U16,
    transport_status: U16,
    payload_len: U32,
    item_count: U32,
    message_id: U64,
}

/// Where the fields are, in bytes from the start of the message, for errors.
pub(crate) mod offset {
    use core::mem::offset_of;

    use super::RawHeader;

    pub(super) const MAGIC: usize = offset_of!(RawHeader, magic);
    pub(super) const VERSION: usize = offset_of!(RawHeader, version);
    pub(super) const HEADER_LEN: usize = offset_of!(RawHeader, header_len);
    pub(super) const KIND: usize = offset_of!(RawHeader, kind);
    pub(super) const FLAGS: usize = offset_of!(RawHeader, flags);
    pub(super) const CODE: usize = offset_of!(RawHeader, code);
    pub(crate) const STATUS: usize = offset_of!(RawHeader, transport_status);
    pub(super) const PAYLOAD_LEN: usize = offset_of!(RawHeader, payload_len);
    pub(super) const ITEM_COUNT: usize = offset_of!(RawHeader, item_count);
    pub(super) const MESSAGE_ID: usize = offset_of!(RawHeader, message_id);
}

const _: () = assert!(HEADER_LEN == 32);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { payload_bytes: 100, batch_items: 4 };

    fn defect(result: Result<(), DecodeError>) -> Option<Defect> {
        result.err().map(|e| e.defect)
    }

    #[test]
    fn a_request_is_checked_against_its_direction() {
        let good = Header::request(7, 1, 100);
        assert_eq!(good.check_request(&LIMITS), Ok(()));
        assert_eq!(good.batch_of(4).check_request(&LIMITS), Ok(()));
        let cases = [
            (Header { kind: Kind::Response, ..good }, Defect::Kind),
            (Header { kind: Kind::Control, ..good }, Defect::Kind),
            (Header { status: Status::BUSY, ..good }, Defect::Status),
            (Header { flags: 2, ..good }, Defect::Flags),
            (Header { flags: 0x8001, ..good }, Defect::Flags),
            (Header { item_count: 0, ..good }, Defect::Count),
            (Header { item_count: 2, ..good }, Defect::Count),
            (good.batch_of(0), Defect::Count),
            (good.batch_of(5), Defect::Limit),
            (Header { payload_len: 101, ..good }, Defect::Limit),
            // A request that is wrong in two ways is not answered LIMIT_EXCEEDED.
            (Header { payload_len: 101, flags: 4, ..good }, Defect::Flags),
        ];
        for (header, expected) in cases {
            assert_eq!(defect(header.check_request(&LIMITS)), Some(expected), "{header:?}");
        }
    }

    #[test]
    fn one_item_without_a_batch_is_fine_whatever_the_batch_limit() {
        let limits = Limits { payload_bytes: 8, batch_items: 0 };
        assert_eq!(Header::request(1, 1, 8).check_request(&limits), Ok(()));
    }

    #[test]
    fn a_failed_response_may_carry_the_requests_flags_and_counts() {
        let batch = Header::request(1, 9, 50).batch_of(3);
        let sloppy =
            Header { status: Status::INTERNAL_ERROR, ..Header::response(&batch, u32::MAX) };
        assert_eq!(sloppy.check_response(&LIMITS), Ok(()));
        let lying = Header { status: Status::OK, ..sloppy };
        assert_eq!(defect(lying.check_response(&LIMITS)), Some(Defect::Limit));
        let request = Header { kind: Kind::Request, ..sloppy };
        assert_eq!(defect(request.check_response(&LIMITS)), Some(Defect::Kind));
    }

    #[test]
    fn answers_echo_their_request() {
        let batch = Header::request(3, 77, 50).batch_of(3);
        let answer = Header::response(&batch, 60);
        assert_eq!((answer.code, answer.message_id, answer.item_count), (3, 77, 3));
        assert!(answer.is_batch());
        let failure = Header::failure(&batch, Status::LIMIT_EXCEEDED);
        assert_eq!((failure.code, failure.message_id, failure.item_count), (3, 77, 1));
        assert_eq!((failure.is_batch(), failure.payload_len), (false, 0));
    }

    #[test]
    fn bye_is_exact() {
        let bye = Header::control(opcode::BYE, Status::OK, 0);
        assert!(bye.is_bye());
        for other in [
            Header { code: opcode::HELLO, ..bye },
            Header { kind: Kind::Request, ..bye },
            Header { message_id: 1, ..bye },
            Header { item_count: 0, ..bye },
            Header { payload_len: 1, ..bye },
            Header { flags: 1, ..bye },
            Header { status: Status::BUSY, ..bye },
        ] {
            assert!(!other.is_bye(), "{other:?}");
        }
    }
}
