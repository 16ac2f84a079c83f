//! The client's half of the handshake (spec section 4), on a socket: connect, HELLO, HELLO_ACK.
//! What is proposed and what an answer is worth is netipc-proto's to say.

use std::io::IoSlice;

use netipc_proto::hello::{Hello, MAX_HANDSHAKE_MESSAGE_LEN};
use netipc_proto::negotiate::{Accepted, check_reply, limits_or_default};
use netipc_sys::{
    Abort, AttachError, Deadline, PacketChannel, RecvError, RegionChannel, RegionDefect, SendError,
    SpinLimit, SysError,
};

use super::{Agreement, ReadyRegion, Role, Session};
use crate::listener::region_sizes;
use crate::{ConnectError, Endpoint, Limits, PLATFORM, Profiles};

/// What a client proposes (spec section 4). Zero means the default everywhere.
#[derive(Clone, Copy, derive_more::Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Profiles that may be used; the baseline always is, and what this platform lacks is left out.
    pub supported_profiles: Profiles,
    /// Those of them that this client would rather use.
    pub preferred_profiles: Profiles,
    /// Limits of requests: granted as they are, or the session is refused. Default: 1024 bytes,
    /// 1 item.
    pub request: Limits,
    /// Limits of responses, a hint: servers go by their own. Default: 1024 bytes, 1 item.
    pub response_hint: Limits,
    /// The longest response payload that this client holds, in bytes, whatever is agreed; a longer
    /// one ends the session. Default: none but the agreed limit.
    pub response_ceiling_bytes: u32,
    /// What both ends know.
    #[debug("(secret)")]
    pub auth_token: u64,
    /// The longest packet, in bytes, headers included. Default: what the socket carries, and never
    /// more than that.
    pub packet_size: u32,
    /// How long a wait for a message may look for it before it sleeps, at most.
    pub spin_limit: SpinLimit,
}

impl Session {
    /// Connects to the server of an endpoint and agrees on terms with it, all by the deadline.
    ///
    /// Where shared memory is agreed on, its region is attached to before this returns; one that is
    /// not there yet is waited for a while.
    ///
    /// # Errors
    /// Each variant of [`ConnectError`]; [`ConnectError::met`] is what decides when to try again.
    pub fn connect(
        endpoint: &Endpoint,
        proposal: &Proposal,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<Self, ConnectError> {
        let channel = netipc_sys::connect(endpoint.socket_path(), deadline, abort)?;
        let peer = channel.peer()?;
        let packet_size = packet_size(&channel, proposal.packet_size)?;
        let accepted = shake_hands(&channel, &proposal.hello(packet_size), deadline, abort)?;
        let region = if accepted.terms().profile.is_shared_memory() {
            Some(attach(endpoint, proposal, &accepted, &channel, peer.uid, deadline, abort)?)
        } else {
            None
        };
        let agreement = Agreement {
            role: Role::Client,
            terms: *accepted.terms(),
            session_id: accepted.session_id(),
            server_supported: accepted.server_supported(),
            peer,
            ceiling_bytes: match proposal.response_ceiling_bytes {
                0 => u32::MAX,
                ceiling_bytes => ceiling_bytes,
            },
            spin_limit: proposal.spin_limit,
        };
        Ok(Self::new(channel, region, agreement))
    }
}

impl Proposal {
    /// As it travels, with every default resolved.
    fn hello(&self, packet_size: u32) -> Hello {
        let supported = PLATFORM.supported(self.supported_profiles);
        Hello {
            supported,
            preferred: self.preferred_profiles & supported,
            request: limits_or_default(self.request),
            response_hint: limits_or_default(self.response_hint),
            auth_token: self.auth_token,
            packet_size,
        }
    }
}

/// The packet size of one side: what was configured, or what the socket carries, and never more
/// than that: peers in the field propose packets that cannot be sent (spec section 6).
pub(crate) fn packet_size(channel: &PacketChannel, configured: u32) -> Result<u32, SysError> {
    let carried = u32::try_from(channel.max_packet_size()?).unwrap_or(u32::MAX);
    Ok(if configured == 0 { carried } else { configured.min(carried) })
}

/// Attaches to the region of a session that was just granted (spec section 7).
fn attach(
    endpoint: &Endpoint,
    proposal: &Proposal,
    accepted: &Accepted,
    socket: &PacketChannel,
    server_uid: u32,
    deadline: Deadline,
    abort: &Abort,
) -> Result<ReadyRegion, ConnectError> {
    let name = endpoint
        .region_name(proposal.auth_token, accepted.terms().profile, accepted.session_id())
        .map_err(|_too_long| AttachError::NotReady(RegionDefect::Missing))?;
    let sizes = region_sizes(accepted.terms());
    match RegionChannel::attach(name, sizes, server_uid, socket, deadline, abort) {
        Ok(channel) => Ok(ReadyRegion { channel, share: None }),
        Err(AttachError::Aborted) => Err(ConnectError::Aborted),
        Err(AttachError::TimedOut) => Err(ConnectError::TimedOut),
        // Both are gone: that is a server which is full or dead, and nothing against shared memory.
        Err(AttachError::NotReady(_)) if socket.peer_gone()? => Err(ConnectError::RegionVanished),
        Err(error) => Err(error.into()),
    }
}

fn shake_hands(
    channel: &PacketChannel,
    hello: &Hello,
    deadline: Deadline,
    abort: &Abort,
) -> Result<Accepted, ConnectError> {
    match channel.send(&[IoSlice::new(&hello.message())], deadline, abort) {
        // A server that left may have said why before: receive in any case.
        Ok(()) | Err(SendError::PeerGone) => {}
        Err(SendError::Aborted) => return Err(ConnectError::Aborted),
        Err(SendError::TimedOut) => return Err(ConnectError::TimedOut),
        Err(SendError::Os(error)) => return Err(error.into()),
        // A handshake message has bytes, and fewer than any socket carries: the first packet that
        // a socket refuses would be the server's doing.
        Err(SendError::Empty | SendError::TooLong { .. }) => return Err(ConnectError::Closed),
    }
    // One byte more than is allowed shows a longer answer.
    let mut answer = [0; MAX_HANDSHAKE_MESSAGE_LEN + 1];
    let len = match channel.recv(&mut answer, deadline, abort) {
        Ok(len) => len,
        Err(RecvError::TooLong { max, .. }) => max,
        Err(RecvError::Closed) => return Err(ConnectError::Closed),
        Err(RecvError::TimedOut) => return Err(ConnectError::TimedOut),
        Err(RecvError::Aborted) => return Err(ConnectError::Aborted),
        Err(RecvError::Os(error)) => return Err(error.into()),
    };
    Ok(check_reply(hello, answer.get(..len).unwrap_or_default())?)
}
