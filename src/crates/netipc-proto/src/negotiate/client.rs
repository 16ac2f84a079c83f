//! The client's half: what a server's answer is worth (spec section 4).

use thiserror::Error;

use super::Terms;
use crate::chunk::PacketSize;
use crate::error::DecodeError;
use crate::header::{HEADER_LEN, Header, Limits, opcode};
use crate::hello::{Hello, HelloAck};
use crate::message::exact_payload;
use crate::profile::Profiles;
use crate::status::Status;

/// What a server has granted, checked against what was proposed. Only [`check_reply`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    terms: Terms,
    server_supported: Profiles,
    session_id: u64,
}

impl Accepted {
    /// What the session goes by.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What the server could have used: why the session has no better profile.
    #[must_use]
    pub const fn server_supported(&self) -> Profiles {
        self.server_supported
    }

    /// The server's number for the session, part of its region's name.
    #[must_use]
    pub const fn session_id(&self) -> u64 {
        self.session_id
    }
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The server refused, and says why.
    #[error("the server refused the session: {0}{why}", why = cause(*.0))]
    Rejected(Status),
    /// The server's answer is not a HELLO_ACK as the contract wants it.
    #[error("malformed HELLO_ACK: {0}")]
    Malformed(#[from] DecodeError),
    /// The server granted something else than was proposed.
    #[error("the server's HELLO_ACK does not answer the proposal: {0}")]
    Contradiction(ReplyDefect),
}

/// What a status means in answer to HELLO, and what helps; nothing for those it does not have there.
const fn cause(status: Status) -> &'static str {
    match status {
        Status::BAD_ENVELOPE => ": it finds HELLO malformed",
        Status::AUTH_FAILED => ": another token, or a user that it does not admit",
        Status::INCOMPATIBLE => ": another version of the contract, or a packet size too small",
        Status::UNSUPPORTED => ": no profile in common",
        Status::LIMIT_EXCEEDED => ": it takes no requests as long as proposed",
        Status::BUSY => ": it has all the sessions that it may have; try later",
        _ => "",
    }
}

/// How an answer contradicts the proposal (spec section 4): the server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyDefect {
    /// The selected profile is not exactly one bit that was offered.
    #[error("it selects profile {selected}, offered were {offered}")]
    Profile {
        /// What the server selected.
        selected: Profiles,
        /// What was offered.
        offered: Profiles,
    },
    /// The request limits are not those that were proposed.
    #[error(
        "it grants requests of {} bytes and {} items, proposed were {} and {}",
        .granted.payload_bytes, .granted.batch_items, .proposed.payload_bytes, .proposed.batch_items
    )]
    RequestLimits {
        /// What the server granted.
        granted: Limits,
        /// What was proposed.
        proposed: Limits,
    },
    /// The packet size is above the proposal, or too small for any payload.
    #[error("it grants packets of {granted} bytes, proposed were {proposed}")]
    PacketSize {
        /// What the server granted, in bytes.
        granted: u32,
        /// What was proposed, in bytes.
        proposed: u32,
    },
}

/// Judges the answer to `proposal`. `message` is one whole packet as received.
///
/// # Errors
/// The [`Refusal`]: the connection is closed, and [`crate::retry`] says what comes then.
pub fn check_reply(proposal: &Hello, message: &[u8]) -> Result<Accepted, Refusal> {
    let header = Header::decode(message)?;
    header.check_control(opcode::HELLO_ACK)?;
    if !header.status.is_ok() {
        return Err(Refusal::Rejected(header.status));
    }
    let payload = exact_payload(message, header.payload_len)?;
    let ack = HelloAck::decode(payload).map_err(|error| error.shifted(HEADER_LEN))?;
    let terms = check_terms(proposal, &ack).map_err(Refusal::Contradiction)?;
    let HelloAck { server_supported, session_id, .. } = ack;
    Ok(Accepted { terms, server_supported, session_id })
}

fn check_terms(proposal: &Hello, ack: &HelloAck) -> Result<Terms, ReplyDefect> {
    let profile = ack
        .selected
        .single()
        .filter(|_| proposal.supported.contains(ack.selected))
        .ok_or(ReplyDefect::Profile { selected: ack.selected, offered: proposal.supported })?;
    if ack.request != proposal.request {
        let (granted, proposed) = (ack.request, proposal.request);
        return Err(ReplyDefect::RequestLimits { granted, proposed });
    }
    let packet_size = PacketSize::new(ack.packet_size)
        .filter(|granted| granted.bytes() <= proposal.packet_size)
        .ok_or(ReplyDefect::PacketSize {
            granted: ack.packet_size,
            proposed: proposal.packet_size,
        })?;
    Ok(Terms { profile, request: ack.request, response: ack.response, packet_size })
}
