//! A session: two peers that have agreed on terms, and the messages between them.

mod connect;
mod drain;
mod inbox;
mod outgoing;
mod pipeline;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netipc_proto::negotiate::Terms;
use netipc_sys::{Abort, Deadline, PacketChannel, PeerIdentity, SysError};

use crate::{Header, Message, Profiles, ReceiveError, SendError};

pub use connect::Proposal;
pub use drain::{Drain, Drained};
pub use inbox::{Inbox, PacketBuffer};
pub use outgoing::Outgoing;
pub use pipeline::Pipeline;

/// How long a peer may take between two packets of one message.
pub const CHUNK_GAP_TIMEOUT: Duration = Duration::from_secs(5);

/// A session with a peer. Made only by a completed handshake: [`Session::connect`] or
/// [`Listener`](crate::Listener).
#[derive(Debug)]
pub struct Session {
    channel: PacketChannel,
}

impl Session {
    /// Sends one message whole. Waits for its turn and for room until the deadline.
    pub fn send(
        &self,
        _header: &Header,
        _payload: &[u8],
        _deadline: Deadline,
        _abort: &Abort,
    ) -> Result<(), SendError> {
        todo!()
    }

    /// An empty inbox for this session.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        todo!()
    }

    /// Receives one message, borrowed from the inbox until its next use.
    pub fn receive<'i>(
        &self,
        _inbox: &'i mut Inbox,
        _deadline: Deadline,
        _abort: &Abort,
    ) -> Result<Message<'i>, ReceiveError> {
        todo!()
    }

    /// Takes what is there now; `None` when no message is whole yet. Never waits.
    pub fn try_receive<'i>(
        &self,
        _inbox: &'i mut Inbox,
    ) -> Result<Option<Message<'i>>, ReceiveError> {
        todo!()
    }

    /// How many messages may be in flight on this transport; `usize::MAX` on sockets.
    #[must_use]
    pub const fn in_flight_limit(&self) -> usize {
        todo!()
    }

    /// What was agreed.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        todo!()
    }

    /// The server's number for the session: 1, 2, … for its lifetime.
    #[must_use]
    pub const fn id(&self) -> u64 {
        todo!()
    }

    /// What the server could have used: why there is no better profile.
    #[must_use]
    pub const fn server_supported(&self) -> Profiles {
        todo!()
    }

    /// Who is at the other end, as of the handshake.
    #[must_use]
    pub const fn peer(&self) -> &PeerIdentity {
        todo!()
    }

    /// One look, without waiting, whether the peer has left.
    pub fn peer_gone(&self) -> Result<bool, SysError> {
        todo!()
    }

    /// Ends the session in both directions, from any thread: those who wait in `send` or `receive`
    /// return. What was sent is still delivered.
    pub fn shutdown(&self) {
        todo!()
    }

    /// After a final answer: tells the peer that no more comes, and takes what it still sends until
    /// it closes. Bounded in bytes and by the deadline. (A readiness loop uses [`Drain`].)
    pub fn drain(&self, _deadline: Deadline, _abort: &Abort) -> Result<Drained, SysError> {
        todo!()
    }
}

/// Readable when there is something to receive, the peer's close included.
impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}
