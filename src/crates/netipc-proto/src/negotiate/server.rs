//! The server's half: one decision, in the order of spec section 4.

use subtle::ConstantTimeEq;
use thiserror::Error;

use super::Terms;
use crate::chunk::PacketSize;
use crate::error::{DecodeError, Defect};
use crate::header::{HEADER_LEN, Header, Limits, opcode};
use crate::hello::{HELLO_ACK_MESSAGE_LEN, Hello, HelloAck};
use crate::message::exact_payload;
use crate::profile::{Profile, Profiles};
use crate::status::Status;

/// What a server grants.
#[derive(Clone, Copy, derive_more::Debug, PartialEq, Eq)]
pub struct Policy {
    /// Profiles that the server can use.
    pub supported: Profiles,
    /// Those of them that it would rather use.
    pub preferred: Profiles,
    /// The longest request payload that it grants, in bytes.
    pub max_request_payload_bytes: u32,
    /// Its current limit of response payloads, in bytes; see [`crate::growth`].
    pub response_payload_bytes: u32,
    /// What both ends know.
    #[debug("(secret)")]
    pub auth_token: u64,
    /// The longest packet that it can send, in bytes, headers included.
    pub packet_size: u32,
}

/// What a server knows of the peer and of itself as a HELLO arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Whether the access policy admits the peer's user.
    pub admitted: bool,
    /// Whether the peer's user could open a region of mode 0600 that the server makes.
    pub can_open_regions: bool,
    /// Whether the server may have one session more.
    pub session_free: bool,
}

/// What a server has agreed to. Only [`negotiate`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    terms: Terms,
    server_supported: Profiles,
    intersection: Profiles,
    client_preferred: Profiles,
    server_preferred: Profiles,
}

/// Why a server refuses a session. Its message is sent out completely before the server closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// The message is not a HELLO as the contract wants it.
    #[error("malformed HELLO: {0}")]
    Malformed(DecodeError),
    /// The peer speaks another version of the envelope or of HELLO.
    #[error("the peer speaks another version: {0}")]
    OtherVersion(DecodeError),
    /// No profile in common.
    #[error("no profile in common: the peer has {offered}, this server {supported}")]
    NoCommonProfile {
        /// What the peer offered.
        offered: Profiles,
        /// What this server may use with that peer.
        supported: Profiles,
    },
    /// The access policy does not admit the peer's user.
    #[error("the peer's user is not admitted")]
    NotAdmitted,
    /// The peer's token is another.
    #[error("the peer's token is another")]
    WrongToken,
    /// The peer wants to send longer requests than the server takes.
    #[error("the peer asks for requests of {asked} bytes, above this server's maximum of {max}")]
    RequestLimit {
        /// What the peer asked for, in bytes.
        asked: u32,
        /// What the server grants, in bytes.
        max: u32,
    },
    /// Packets would have no room for payload.
    #[error("packets of {bytes} bytes have no room for payload")]
    PacketSize {
        /// The smaller of both sides' packet sizes, in bytes.
        bytes: u32,
    },
    /// The region of the only common profile cannot be made now.
    #[error("shared memory, all that the peer offers, cannot be had now")]
    NoRegion,
    /// All sessions are taken.
    #[error("all sessions are taken")]
    SessionsTaken,
}

/// Decides on the first message of a client, in the order of spec section 4. `message` is one whole
/// packet as received; a receiver whose buffer could not hold it passes what it has, which is then
/// too long.
///
/// # Errors
/// The [`Rejection`] to answer with.
pub fn negotiate(message: &[u8], policy: &Policy, peer: &Peer) -> Result<Agreed, Rejection> {
    let hello = decode(message)?;

    let common = hello.supported & policy.supported;
    let no_common_profile =
        |supported| Rejection::NoCommonProfile { offered: hello.supported, supported };
    if common.is_empty() {
        return Err(no_common_profile(policy.supported));
    }
    if !peer.admitted {
        return Err(Rejection::NotAdmitted);
    }
    if !bool::from(hello.auth_token.ct_eq(&policy.auth_token)) {
        return Err(Rejection::WrongToken);
    }
    let asked = hello.request.payload_bytes;
    let max = policy.max_request_payload_bytes;
    if asked > max {
        return Err(Rejection::RequestLimit { asked, max });
    }
    let bytes = hello.packet_size.min(policy.packet_size);
    let packet_size = PacketSize::new(bytes).ok_or(Rejection::PacketSize { bytes })?;

    let intersection =
        if peer.can_open_regions { common } else { common.without(Profiles::SHARED_MEMORY) };
    // That the peer's user is another is a permanent cause, so this is not BUSY.
    let profile = select(intersection, hello.preferred, policy.preferred)
        .ok_or_else(|| no_common_profile(policy.supported.without(Profiles::SHARED_MEMORY)))?;
    if !peer.session_free {
        return Err(Rejection::SessionsTaken);
    }
    let response = Limits {
        payload_bytes: policy.response_payload_bytes,
        batch_items: hello.request.batch_items,
    };
    Ok(Agreed {
        terms: Terms { profile, request: hello.request, response, packet_size },
        server_supported: policy.supported,
        intersection,
        client_preferred: hello.preferred,
        server_preferred: policy.preferred,
    })
}

impl Agreed {
    /// What the session goes by.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The same without shared memory, when its region cannot be made (spec section 4, step 9).
    ///
    /// # Errors
    /// [`Rejection::NoRegion`] when the peer offers nothing else.
    pub fn without_shared_memory(self) -> Result<Self, Rejection> {
        let intersection = self.intersection.without(Profiles::SHARED_MEMORY);
        let profile = select(intersection, self.client_preferred, self.server_preferred)
            .ok_or(Rejection::NoRegion)?;
        Ok(Self { terms: Terms { profile, ..self.terms }, intersection, ..self })
    }

    /// The answer to the client. A shared-memory profile is acknowledged only when its region is
    /// there and ready.
    #[must_use]
    pub fn message(&self, session_id: u64) -> [u8; HELLO_ACK_MESSAGE_LEN] {
        let ack = HelloAck {
            server_supported: self.server_supported,
            intersection: self.intersection,
            selected: self.terms.profile.into(),
            request: self.terms.request,
            response: self.terms.response,
            packet_size: self.terms.packet_size.bytes(),
            session_id,
        };
        ack.message()
    }
}

impl Rejection {
    /// The status that tells the client (spec section 4). `AUTH_FAILED`, `UNSUPPORTED` and
    /// `INCOMPATIBLE` make clients give up, so they stand for permanent causes only.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Malformed(_) => Status::BAD_ENVELOPE,
            Self::OtherVersion(_) | Self::PacketSize { .. } => Status::INCOMPATIBLE,
            Self::NoCommonProfile { .. } => Status::UNSUPPORTED,
            Self::NotAdmitted | Self::WrongToken => Status::AUTH_FAILED,
            Self::RequestLimit { .. } => Status::LIMIT_EXCEEDED,
            Self::NoRegion | Self::SessionsTaken => Status::BUSY,
        }
    }

    /// The answer to the client.
    #[must_use]
    pub fn message(&self) -> [u8; HELLO_ACK_MESSAGE_LEN] {
        HelloAck::rejection_message(self.status())
    }
}

/// Step 1: the message, whole and exact. A strange version is told apart from nonsense, so that
/// the client knows whether trying again can help.
fn decode(message: &[u8]) -> Result<Hello, Rejection> {
    let rejection = |error: DecodeError| match error.defect {
        Defect::Version | Defect::Layout => Rejection::OtherVersion(error),
        _ => Rejection::Malformed(error),
    };
    let header = Header::decode(message).map_err(rejection)?;
    if !header.status.is_ok() {
        let error = DecodeError::new(Defect::Status, crate::header::offset::STATUS);
        return Err(Rejection::Malformed(error));
    }
    header.check_control(opcode::HELLO).map_err(rejection)?;
    let payload = exact_payload(message, header.payload_len).map_err(rejection)?;
    Hello::decode(payload).map_err(|error| rejection(error.shifted(HEADER_LEN)))
}

/// Steps 8 and 9: the highest bit that both prefer, else the highest that both have.
fn select(
    intersection: Profiles,
    client_preferred: Profiles,
    server_preferred: Profiles,
) -> Option<Profile> {
    (intersection & client_preferred & server_preferred)
        .highest()
        .or_else(|| intersection.highest())
}
