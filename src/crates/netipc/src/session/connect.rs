//! The client's half of the handshake, on a socket.
use super::Session;
use crate::{ConnectError, Endpoint, Limits, Profiles};
use netipc_sys::{Abort, Deadline};

/// What a client proposes (spec section 4). Zero means the default everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Profiles that may be used; zero is the baseline alone.
    pub supported_profiles: Profiles,
    /// Those of them that this client would rather use.
    pub preferred_profiles: Profiles,
    /// Limits of requests; granted as they are, or the session is refused. Zero: 1024 bytes, 1 item.
    pub request: Limits,
    /// Limits of responses: a hint. Zero: 1024 bytes, 1 item.
    pub response_hint: Limits,
    /// The longest response payload that this client holds, in bytes, whatever is agreed; a longer
    /// one ends the session. Zero: no ceiling but the agreed limit.
    pub response_ceiling_bytes: u32,
    /// What both ends know.
    pub auth_token: u64,
    /// The longest packet, in bytes; zero is what the socket carries, and never more than that.
    pub packet_size: u32,
}

impl Session {
    /// Connects to the server of an endpoint and agrees on terms with it, by the deadline.
    pub fn connect(
        _endpoint: &Endpoint,
        _proposal: &Proposal,
        _deadline: Deadline,
        _abort: &Abort,
    ) -> Result<Self, ConnectError> {
        todo!()
    }
}
