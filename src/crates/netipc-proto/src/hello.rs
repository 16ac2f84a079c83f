//! The payloads of the two handshake messages (spec section 4): layout only. What the values mean
//! and which are refused is [`crate::negotiate`]'s.

use core::mem::offset_of;

use zerocopy::byteorder::native_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{DecodeError, Defect};
use crate::header::{HEADER_LEN, Header, Limits, opcode};
use crate::profile::Profiles;
use crate::status::Status;

/// Length of the HELLO payload, in bytes.
pub const HELLO_LEN: usize = size_of::<RawHello>();
/// Length of the HELLO_ACK payload, in bytes.
pub const HELLO_ACK_LEN: usize = size_of::<RawHelloAck>();
/// Length of a whole HELLO message, in bytes.
pub const HELLO_MESSAGE_LEN: usize = HEADER_LEN + HELLO_LEN;
/// Length of a whole HELLO_ACK message, in bytes.
pub const HELLO_ACK_MESSAGE_LEN: usize = HEADER_LEN + HELLO_ACK_LEN;
/// The longest handshake message, in bytes (spec section 4): what a receive buffer must hold, plus
/// one byte to notice a longer one.
pub const MAX_HANDSHAKE_MESSAGE_LEN: usize = 128;
/// `layout_version` of both payloads.
pub const LAYOUT_VERSION: u16 = 1;

/// What a client proposes (spec section 4).
#[derive(Clone, Copy, derive_more::Debug, PartialEq, Eq)]
pub struct Hello {
    /// Profiles that the client can use.
    pub supported: Profiles,
    /// Those of them that it would rather use.
    pub preferred: Profiles,
    /// The limits of its requests; granted as they are or not at all.
    pub request: Limits,
    /// The limits of responses that it would like; servers go by their own.
    pub response_hint: Limits,
    /// What both ends know.
    #[debug("(secret)")]
    pub auth_token: u64,
    /// The longest packet that the client can send, in bytes, headers included.
    pub packet_size: u32,
}

/// What a server grants (spec section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloAck {
    /// Profiles that the server can use.
    pub server_supported: Profiles,
    /// Profiles that this session could have used.
    pub intersection: Profiles,
    /// The profile of this session: one bit.
    pub selected: Profiles,
    /// The limits of requests: those of the proposal.
    pub request: Limits,
    /// The limits of responses.
    pub response: Limits,
    /// The longest packet of this session, in bytes, headers included.
    pub packet_size: u32,
    /// 1, 2, … for the server's lifetime.
    pub session_id: u64,
}

impl Hello {
    /// Reads the payload of a HELLO message: exactly 44 bytes.
    ///
    /// # Errors
    /// `Truncated`, `Trailing`, `Layout`, `Flags`, `Reserved`, or `ZeroLimit`: none of the four
    /// limits may be 0.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        check_layout_version(payload)?;
        let raw: &RawHello = exactly(payload)?;
        if raw.flags.get() != 0 {
            return Err(DecodeError::new(Defect::Flags, offset_of!(RawHello, flags)));
        }
        if raw.reserved.get() != 0 {
            let offset = offset_of!(RawHello, reserved);
            return Err(DecodeError::new(Defect::Reserved, offset));
        }
        let limits = [
            (raw.max_request_payload_bytes, offset_of!(RawHello, max_request_payload_bytes)),
            (raw.max_request_batch_items, offset_of!(RawHello, max_request_batch_items)),
            (raw.max_response_payload_bytes, offset_of!(RawHello, max_response_payload_bytes)),
            (raw.max_response_batch_items, offset_of!(RawHello, max_response_batch_items)),
        ];
        for (limit, offset) in limits {
            if limit.get() == 0 {
                return Err(DecodeError::new(Defect::ZeroLimit, offset));
            }
        }
        Ok(Self {
            supported: Profiles(raw.supported_profiles.get()),
            preferred: Profiles(raw.preferred_profiles.get()),
            request: Limits {
                payload_bytes: raw.max_request_payload_bytes.get(),
                batch_items: raw.max_request_batch_items.get(),
            },
            response_hint: Limits {
                payload_bytes: raw.max_response_payload_bytes.get(),
                batch_items: raw.max_response_batch_items.get(),
            },
            auth_token: raw.auth_token.get(),
            packet_size: raw.packet_size.get(),
        })
    }

    /// The 44 bytes of this payload. The limits are written as they are: a caller resolves zeros
    /// to defaults before (see [`crate::negotiate`]).
    #[must_use]
    pub fn encode(&self) -> [u8; HELLO_LEN] {
        zerocopy::transmute!(RawHello {
            layout_version: LAYOUT_VERSION.into(),
            flags: 0.into(),
            supported_profiles: self.supported.0.into(),
            preferred_profiles: self.preferred.0.into(),
            max_request_payload_bytes: self.request.payload_bytes.into(),
            max_request_batch_items: self.request.batch_items.into(),
            max_response_payload_bytes: self.response_hint.payload_bytes.into(),
            max_response_batch_items: self.response_hint.batch_items.into(),
            reserved: 0.into(),
            auth_token: self.auth_token.into(),
            packet_size: self.packet_size.into(),
        })
    }

    /// The whole message: the first that a client sends after connecting.
    #[must_use]
    pub fn message(&self) -> [u8; HELLO_MESSAGE_LEN] {
        let header = Header::control(opcode::HELLO, Status::OK, HELLO_LEN as u32);
        zerocopy::transmute!(Message { header: header.encode(), payload: self.encode() })
    }
}

impl HelloAck {
    /// Reads the payload of a HELLO_ACK message whose status is OK: exactly 48 bytes. (The payload
    /// of one that is not OK is not looked at.)
    ///
    /// # Errors
    /// `Truncated`, `Trailing`, `Layout`, `Flags` or `Reserved`.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        check_layout_version(payload)?;
        let raw: &RawHelloAck = exactly(payload)?;
        if raw.flags.get() != 0 {
            return Err(DecodeError::new(Defect::Flags, offset_of!(RawHelloAck, flags)));
        }
        if raw.reserved.get() != 0 {
            let offset = offset_of!(RawHelloAck, reserved);
            return Err(DecodeError::new(Defect::Reserved, offset));
        }
        Ok(Self {
            server_supported: Profiles(raw.server_supported_profiles.get()),
            intersection: Profiles(raw.intersection_profiles.get()),
            selected: Profiles(raw.selected_profile.get()),
            request: Limits {
                payload_bytes: raw.agreed_max_request_payload_bytes.get(),
                batch_items: raw.agreed_max_request_batch_items.get(),
            },
            response: Limits {
                payload_bytes: raw.agreed_max_response_payload_bytes.get(),
                batch_items: raw.agreed_max_response_batch_items.get(),
            },
            packet_size: raw.agreed_packet_size.get(),
            session_id: raw.session_id.get(),
        })
    }

    /// The 48 bytes of this payload.
    #[must_use]
    pub fn encode(&self) -> [u8; HELLO_ACK_LEN] {
        zerocopy::transmute!(RawHelloAck {
            layout_version: LAYOUT_VERSION.into(),
            flags: 0.into(),
            server_supported_profiles: self.server_supported.0.into(),
            intersection_profiles: self.intersection.0.into(),
            selected_profile: self.selected.0.into(),
            agreed_max_request_payload_bytes: self.request.payload_bytes.into(),
            agreed_max_request_batch_items: self.request.batch_items.into(),
            agreed_max_response_payload_bytes: self.response.payload_bytes.into(),
            agreed_max_response_batch_items: self.response.batch_items.into(),
            agreed_packet_size: self.packet_size.into(),
            reserved: 0.into(),
            session_id: self.session_id.into(),
        })
    }

    /// The whole message of an accepted handshake.
    #[must_use]
    pub fn message(&self) -> [u8; HELLO_ACK_MESSAGE_LEN] {
        ack_message(Status::OK, self.encode())
    }

    /// The whole message of a refused handshake: the status, and a payload of zeros but for its
    /// layout version (spec section 4).
    #[must_use]
    pub fn rejection_message(status: Status) -> [u8; HELLO_ACK_MESSAGE_LEN] {
        let mut payload = [0; HELLO_ACK_LEN];
        let [first, second] = LAYOUT_VERSION.to_ne_bytes();
        payload[0] = first;
        payload[1] = second;
        ack_message(status, payload)
    }
}

fn ack_message(status: Status, payload: [u8; HELLO_ACK_LEN]) -> [u8; HELLO_ACK_MESSAGE_LEN] {
    let header = Header::control(opcode::HELLO_ACK, status, HELLO_ACK_LEN as u32);
    zerocopy::transmute!(Message { header: header.encode(), payload })
}

/// The version comes before the length: another version may well have another length, and is
/// answered differently (spec section 4, step 1).
fn check_layout_version(payload: &[u8]) -> Result<(), DecodeError> {
    let Ok((version, _)) = U16::ref_from_prefix(payload) else {
        return Err(DecodeError::new(Defect::Truncated, payload.len()));
    };
    if version.get() != LAYOUT_VERSION {
        return Err(DecodeError::new(Defect::Layout, 0));
    }
    Ok(())
}

/// `payload` as a `T`, which must take all of it.
fn exactly<T: FromBytes + KnownLayout + Immutable + Unaligned>(
    payload: &[u8],
) -> Result<&T, DecodeError> {
    match T::ref_from_prefix(payload) {
        Err(_) => Err(DecodeError::new(Defect::Truncated, payload.len())),
        Ok((_, rest)) if !rest.is_empty() => {
            Err(DecodeError::new(Defect::Trailing, size_of::<T>()))
        }
        Ok((raw, _)) => Ok(raw),
    }
}

/// A header and the payload after it.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Message<const N: usize> {
    header: [u8; HEADER_LEN],
    payload: [u8; N],
}

/// The layout of HELLO.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawHello {
    layout_version: U16,
    flags: U16,
    supported_profiles: U32,
    preferred_profiles: U32,
    max_request_payload_bytes: U32,
    max_request_batch_items: U32,
    max_response_payload_bytes: U32,
    max_response_batch_items: U32,
    reserved: U32,
    auth_token: U64,
    packet_size: U32,
}

/// The layout of HELLO_ACK.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawHelloAck {
    layout_version: U16,
    flags: U16,
    server_supported_profiles: U32,
    intersection_profiles: U32,
    selected_profile: U32,
    agreed_max_request_payload_bytes: U32,
    agreed_max_request_batch_items: U32,
    agreed_max_response_payload_bytes: U32,
    agreed_max_response_batch_items: U32,
    agreed_packet_size: U32,
    reserved: U32,
    session_id: U64,
}

const _: () = assert!(HELLO_LEN == 44 && HELLO_ACK_LEN == 48);
const _: () = assert!(HELLO_ACK_MESSAGE_LEN <= MAX_HANDSHAKE_MESSAGE_LEN);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { payload_bytes: 1024, batch_items: 1 };
    const HELLO: Hello = Hello {
        supported: Profiles(3),
        preferred: Profiles(2),
        request: LIMITS,
        response_hint: LIMITS,
        auth_token: 7,
        packet_size: 4096,
    };

    fn defect<T>(result: Result<T, DecodeError>) -> Option<(Defect, usize)> {
        result.err().map(|e| (e.defect, e.offset))
    }

    #[test]
    fn the_token_is_not_shown() {
        let secret = Hello { auth_token: 987_654_321, ..HELLO };
        let shown = alloc::format!("{secret:?}");
        assert!(shown.contains("auth_token: (secret)"), "{shown}");
        assert!(!shown.contains("987654321"), "{shown}");
    }

    #[test]
    fn hello_is_exact_in_length() {
        let bytes = HELLO.encode();
        assert_eq!(Hello::decode(&bytes), Ok(HELLO));
        for len in 0..HELLO_LEN {
            assert_eq!(defect(Hello::decode(&bytes[..len])), Some((Defect::Truncated, len)));
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(defect(Hello::decode(&longer)), Some((Defect::Trailing, 44)));
    }

    #[test]
    fn no_limit_of_a_hello_may_be_zero() {
        let zeros = [
            (Hello { request: Limits { payload_bytes: 0, ..LIMITS }, ..HELLO }, 12),
            (Hello { request: Limits { batch_items: 0, ..LIMITS }, ..HELLO }, 16),
            (Hello { response_hint: Limits { payload_bytes: 0, ..LIMITS }, ..HELLO }, 20),
            (Hello { response_hint: Limits { batch_items: 0, ..LIMITS }, ..HELLO }, 24),
        ];
        for (hello, offset) in zeros {
            let found = defect(Hello::decode(&hello.encode()));
            assert_eq!(found, Some((Defect::ZeroLimit, offset)));
        }
    }

    #[test]
    fn ack_refuses_trailing_and_reserved_bytes() {
        let ack = HelloAck {
            server_supported: Profiles(1),
            intersection: Profiles(1),
            selected: Profiles(1),
            request: LIMITS,
            response: LIMITS,
            packet_size: 4096,
            session_id: u64::MAX,
        };
        let bytes = ack.encode();
        assert_eq!(HelloAck::decode(&bytes), Ok(ack));
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(defect(HelloAck::decode(&longer)), Some((Defect::Trailing, 48)));
        let mut reserved = bytes;
        reserved[39] = 1;
        assert_eq!(defect(HelloAck::decode(&reserved)), Some((Defect::Reserved, 36)));
    }

    #[test]
    fn an_unknown_layout_is_seen_before_the_length() {
        let mut longer = HELLO.encode().to_vec();
        longer.extend_from_slice(&[0; 8]);
        longer[..2].copy_from_slice(&2_u16.to_ne_bytes());
        assert_eq!(defect(Hello::decode(&longer)), Some((Defect::Layout, 0)));
    }
}
