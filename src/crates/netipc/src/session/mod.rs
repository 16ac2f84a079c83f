//! A session: two peers that have agreed on terms, and the messages between them.
//!
//! ```text
//!   Session ── terms, peer, id           checks what leaves against the terms
//!      │
//!   Transport ── Socket                  splits into packets, sends in turn
//!      │      └─ Region                  whole messages, requests and answers take turns
//!   Inbox                                checks what arrives, puts chunks together
//! ```
//!
//! A session is made only by a completed handshake, so what it has agreed on is always there.
//!
//! What it does **not** do: it chooses no message ids, knows no method, waits for no answer, decodes
//! no payload (a batch's directory included: [`Batch::decode`](crate::batch::Batch::decode)), and
//! never reconnects. [`Pipeline`] matches answers with requests, for clients that want that.

mod connect;
mod drain;
mod inbox;
mod outgoing;
mod pipeline;
mod region;
mod socket;
mod turn;

use std::time::Duration;

use netipc_proto::chunk::{Incoming, PacketSize};
use netipc_proto::{Defect, Direction};
use netipc_sys::{Abort, Deadline, PacketChannel, PeerIdentity, Spin, SpinLimit, SysError};

use crate::{Header, Limits, Message, Profile, Profiles, ReceiveError, SendError, Terms};
use region::Region;
use socket::Socket;

pub use connect::Proposal;
pub(crate) use connect::packet_size;
pub use drain::{Drain, Drained, MAX_DRAIN_BYTES};
pub use inbox::{Inbox, PacketBuffer};
pub use outgoing::Outgoing;
pub use pipeline::Pipeline;
pub(crate) use region::Ready as ReadyRegion;

/// How long a peer may take between two packets of one message.
pub const CHUNK_GAP_TIMEOUT: Duration = Duration::from_secs(5);

/// A session with a peer, made only by a completed handshake: [`Session::connect`], or
/// [`Listener`](crate::Listener).
///
/// Any number of threads may send at once: messages leave whole, one at a time. Receiving takes an
/// [`Inbox`], and a session has one: two that receive at once would tear messages apart. Dropping
/// it closes the connection; the peer still gets what was sent.
///
/// As a wait object (on Unix: `AsFd`) it is readable when there is something to receive, the peer's close
/// included. On shared memory ([`Profile::SHM_HYBRID`]) messages do not travel by the descriptor: it
/// becomes readable only when the peer has left, and a readiness loop cannot wait for messages by it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use netipc::{Abort, Deadline, Endpoint, Header, Listener, ListenerConfig, Proposal, Session};
/// # let directory = tempfile::tempdir()?;
/// # let run_dir = directory.path();
///
/// let endpoint = Endpoint::new(run_dir, "greeter")?;
/// let mut listener = Listener::bind(&endpoint, &ListenerConfig::default())?;
/// let server = std::thread::spawn(move || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     let (never, abort) = (Deadline::never(), Abort::new()?);
///     let session = listener.accept(never, &abort)?;
///     let mut inbox = session.inbox();
///     let request = session.receive(&mut inbox, never, &abort)?;
///     let answer = [b"hello, ", request.payload].concat();
///     session.send(&Header::response(&request.header, answer.len() as u32), &answer, never, &abort)?;
///     Ok(())
/// });
///
/// let (deadline, abort) = (Deadline::after(std::time::Duration::from_secs(5)), Abort::new()?);
/// let session = Session::connect(&endpoint, &Proposal::default(), deadline, &abort)?;
/// let (method, message_id) = (0x0200, 1);
/// session.send(&Header::request(method, message_id, 5), b"world", deadline, &abort)?;
/// let mut inbox = session.inbox();
/// let answer = session.receive(&mut inbox, deadline, &abort)?;
/// assert_eq!((answer.header.message_id, answer.payload), (message_id, &b"hello, world"[..]));
/// # server.join().expect("no panic").expect("no error");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Session {
    transport: Transport,
    agreement: Agreement,
}

/// What a completed handshake leaves behind.
#[derive(Debug)]
pub(crate) struct Agreement {
    pub(crate) role: Role,
    pub(crate) terms: Terms,
    pub(crate) session_id: u64,
    pub(crate) server_supported: Profiles,
    pub(crate) peer: PeerIdentity,
    /// The longest payload that this side holds, in bytes.
    pub(crate) ceiling_bytes: u32,
    /// How long its waits may look for a message before they sleep.
    pub(crate) spin_limit: SpinLimit,
}

/// Which end of the session this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// How messages move. The one place that knows.
#[derive(Debug)]
enum Transport {
    Socket(Socket),
    Region(Region),
}

/// Messages that are never split: those of a region.
const WHOLE: PacketSize = PacketSize::MAX;

impl Session {
    /// `region` is there exactly where the agreed profile needs one.
    pub(crate) fn new(
        channel: PacketChannel,
        region: Option<ReadyRegion>,
        agreement: Agreement,
    ) -> Self {
        let transport = match region {
            Some(region) => Transport::Region(Region::new(channel, region, agreement.role)),
            None => Transport::Socket(Socket::new(channel, agreement.terms.packet_size)),
        };
        Self { transport, agreement }
    }

    /// Sends one message, whole, in as many packets as it takes. Waits for its turn and for room
    /// until the deadline.
    ///
    /// `header.payload_len` is the length of `payload`. A client sends requests, a server
    /// responses, both within what was agreed (spec section 1). Where
    /// [`in_flight_limit`](Self::in_flight_limit) is 1, they take turns, and nothing waits.
    ///
    /// # Errors
    /// Each variant of [`SendError`]. When a part of the message was out, later calls give
    /// [`SendError::Ended`]: drop the session.
    #[inline]
    pub fn send(
        &self,
        header: &Header,
        payload: &[u8],
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<(), SendError> {
        self.check_outgoing(header, payload)?;
        match &self.transport {
            Transport::Socket(socket) => socket.send(header, payload, deadline, abort),
            Transport::Region(_) if abort.is_set() => Err(SendError::Aborted),
            Transport::Region(region) => region.publish(&header.encode(), payload),
        }
    }

    /// An empty inbox for this session.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        let Agreement { role, terms, ceiling_bytes, spin_limit, .. } = &self.agreement;
        let (direction, limits) = match role {
            Role::Client => (Direction::Responses, terms.response),
            Role::Server => (Direction::Requests, terms.request),
        };
        let packet_size = self.packet_size();
        let incoming = Incoming { direction, packet_size, limits, ceiling_bytes: *ceiling_bytes };
        Inbox::new(incoming, Spin::new(*spin_limit))
    }

    /// Receives one message, which lies in `inbox` until that is used again. Waits until the
    /// deadline, and for the rest of a message that has begun at most [`CHUNK_GAP_TIMEOUT`] a
    /// packet.
    ///
    /// # Errors
    /// Each variant of [`ReceiveError`]. After [`ReceiveError::TimedOut`] and
    /// [`ReceiveError::Aborted`] receiving may go on.
    #[inline]
    pub fn receive<'i>(
        &self,
        inbox: &'i mut Inbox,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<Message<'i>, ReceiveError> {
        match &self.transport {
            Transport::Socket(socket) => socket.receive(inbox, deadline, abort)?,
            Transport::Region(region) => region.receive(inbox, deadline, abort)?,
        }
        inbox.message().ok_or(ReceiveError::Ended)
    }

    /// [`receive`](Self::receive) without a deadline or an abort, until [`shutdown`](Self::shutdown):
    /// for a thread of a server, for which another thread watches the session's descriptor. On shared
    /// memory it makes no wake-up while it waits. On sockets it takes what is there, at most.
    pub(crate) fn receive_unwatched(&self, inbox: &mut Inbox) -> Result<bool, ReceiveError> {
        match &self.transport {
            Transport::Socket(socket) => socket.try_receive(inbox),
            Transport::Region(region) => region.receive_unwatched(inbox).map(|()| true),
        }
    }

    /// Takes what is there now, without waiting. `None` when no message is whole yet: what did
    /// arrive is in `inbox`, and the session is readable when there is more.
    ///
    /// On shared memory this looks at the memory alone: that the peer has left without a goodbye is for
    /// [`peer_gone`](Self::peer_gone) to tell, and for `receive`.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), without the waiting: [`ReceiveError::ChunkGap`] when the rest
    /// of a message is overdue.
    #[inline]
    pub fn try_receive<'i>(
        &self,
        inbox: &'i mut Inbox,
    ) -> Result<Option<Message<'i>>, ReceiveError> {
        let whole = match &self.transport {
            Transport::Socket(socket) => socket.try_receive(inbox)?,
            Transport::Region(region) => region.try_receive(inbox)?,
        };
        Ok(if whole { inbox.message() } else { None })
    }

    /// After [`Inbox::begin_wait`] has allowed it, looks for a message as long as that pays and is
    /// not `interrupted`. `None`: sleep now, or do what interrupted it.
    #[inline]
    pub(crate) fn look<'i>(
        &self,
        inbox: &'i mut Inbox,
        interrupted: impl FnMut() -> bool,
    ) -> Result<Option<Message<'i>>, ReceiveError> {
        let whole = match &self.transport {
            Transport::Socket(socket) => socket.look(inbox, interrupted)?,
            Transport::Region(region) => region.look(inbox, interrupted)?,
        };
        Ok(if whole { inbox.message() } else { None })
    }

    /// Receives a message that [`Inbox::expects_soon`], sleeping for 10 ms at most; nothing but a
    /// message or the session's end is noticed meanwhile. For sockets; on shared memory it takes what
    /// is there.
    #[inline]
    pub(crate) fn receive_soon<'i>(
        &self,
        inbox: &'i mut Inbox,
    ) -> Result<Option<Message<'i>>, ReceiveError> {
        let whole = match &self.transport {
            Transport::Socket(socket) => socket.receive_soon(inbox)?,
            Transport::Region(region) => region.try_receive(inbox)?,
        };
        Ok(if whole { inbox.message() } else { None })
    }

    /// Lets a peer that shares this CPU go first, and receives what it sends then. On shared memory it
    /// takes what is there: receiving itself gives way.
    #[inline]
    pub(crate) fn give_way<'i>(
        &self,
        inbox: &'i mut Inbox,
    ) -> Result<Option<Message<'i>>, ReceiveError> {
        let whole = match &self.transport {
            Transport::Socket(socket) => socket.give_way(inbox)?,
            Transport::Region(region) => region.try_receive(inbox)?,
        };
        Ok(if whole { inbox.message() } else { None })
    }

    /// How many messages may be in flight in one direction; `usize::MAX` on sockets, where room
    /// alone limits it, and 1 on shared memory: a second message is refused with
    /// [`SendError::OutOfTurn`], and nothing is pipelined.
    #[must_use]
    pub const fn in_flight_limit(&self) -> usize {
        match self.transport {
            Transport::Socket(_) => usize::MAX,
            Transport::Region(_) => 1,
        }
    }

    /// How messages move, for the session's whole life.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.agreement.terms.profile
    }

    /// What was agreed: profile, limits, packet size.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.agreement.terms
    }

    /// The server's number for the session: 1, 2, … for the server's lifetime.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.agreement.session_id
    }

    /// What the server could have used: why the session has no better profile.
    #[must_use]
    pub const fn server_supported(&self) -> Profiles {
        self.agreement.server_supported
    }

    /// Who is at the other end, as the kernel recorded it when the connection was made.
    #[must_use]
    pub const fn peer(&self) -> &PeerIdentity {
        &self.agreement.peer
    }

    /// One look, without waiting, whether the peer has left. Messages that it sent before can still
    /// be received.
    ///
    /// # Errors
    /// The system refused to look.
    pub fn peer_gone(&self) -> Result<bool, SysError> {
        self.channel().peer_gone()
    }

    /// Ends the session, from any thread, as often as one likes: those who wait in [`send`](Self::send)
    /// or [`receive`](Self::receive) return, with [`SendError::PeerGone`] and [`ReceiveError::Closed`],
    /// and no later one waits. The peer still gets what was sent.
    pub fn shutdown(&self) {
        match &self.transport {
            Transport::Socket(socket) => socket.channel.shutdown(),
            Transport::Region(region) => region.shutdown(),
        }
    }

    /// After a final answer: tells the peer that no more comes, and drops what it still sends until
    /// it leaves, so that the answer is not overtaken by a reset (spec section 6). At most
    /// [`MAX_DRAIN_BYTES`], until the deadline. A readiness loop uses [`Drain`].
    ///
    /// # Errors
    /// The system refused to receive.
    pub fn drain(&self, deadline: Deadline, abort: &Abort) -> Result<Drained, SysError> {
        self.channel().finish_sending();
        self.channel().drain(MAX_DRAIN_BYTES, deadline, abort)
    }

    const fn channel(&self) -> &PacketChannel {
        match &self.transport {
            Transport::Socket(socket) => &socket.channel,
            Transport::Region(region) => &region.socket,
        }
    }

    /// Into what pieces messages are split here.
    const fn packet_size(&self) -> PacketSize {
        match &self.transport {
            Transport::Socket(_) => self.agreement.terms.packet_size,
            Transport::Region(_) => WHOLE,
        }
    }

    /// Nobody sends what the peer would have to refuse (spec section 1).
    #[inline]
    fn check_outgoing(&self, header: &Header, payload: &[u8]) -> Result<(), SendError> {
        let Agreement { role, terms, .. } = &self.agreement;
        let (checked, limits) = match role {
            Role::Client => (header.check_request(&terms.request), &terms.request),
            Role::Server => (header.check_response(&terms.response), &terms.response),
        };
        if let Err(error) = checked {
            return Err(cannot_send(header, error.defect, limits));
        }
        if payload.len() != header.payload_len as usize {
            return Err(SendError::Malformed(Defect::Length));
        }
        if !header.status.is_ok() && *header != Header::failure(header, header.status) {
            return Err(SendError::Malformed(Defect::Status));
        }
        Ok(())
    }
}

netipc_sys::wait_object!(Session, |session| session.channel());

#[cold]
const fn cannot_send(header: &Header, defect: Defect, limits: &Limits) -> SendError {
    match defect {
        Defect::Limit => SendError::AboveLimit {
            payload_len: header.payload_len,
            item_count: header.item_count,
            limits: *limits,
        },
        defect => SendError::Malformed(defect),
    }
}
