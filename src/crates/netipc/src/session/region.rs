//! Messages through a shared region: each whole, requests and answers taking turns (spec section 7).
//!
//! ```text
//!   client   publish ─────▶ receive        this side's turn: `ours`
//!   server      receive ─▶ publish         the peer's turn: nothing may be sent
//! ```
//!
//! An area holds one message, so this side sends only when it is its turn: a client first, and again
//! once it has the answer; a server once it has a request. The socket of the handshake stays open and
//! silent beside it: that it closes is how each side sees the other leave.

use std::sync::atomic::{AtomicBool, Ordering};

use netipc_proto::header::{HEADER_LEN, Header, opcode};
use netipc_proto::{Defect, Status};
use netipc_sys::{Abort, Deadline, Look, PacketChannel, RegionChannel, RegionError, Until};

use super::Role;
use super::inbox::Inbox;
use crate::listener::RegionShare;
use crate::{ReceiveError, SendError};

#[derive(Debug)]
pub(super) struct Region {
    /// Dropped before the socket: a peer that sees that close finds the file gone.
    channel: RegionChannel,
    pub(super) socket: PacketChannel,
    role: Role,
    /// Whose turn it is to send.
    ours: AtomicBool,
    /// The session has ended, by either side.
    over: AtomicBool,
    /// What it takes of the server's budget, given back with the region.
    _share: Option<RegionShare>,
}

/// A region that is ready, for a session that is about to be.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) channel: RegionChannel,
    pub(crate) share: Option<RegionShare>,
}

impl Region {
    pub(super) fn new(socket: PacketChannel, ready: Ready, role: Role) -> Self {
        Self {
            channel: ready.channel,
            socket,
            role,
            ours: AtomicBool::new(role == Role::Client),
            over: AtomicBool::new(false),
            _share: ready.share,
        }
    }

    /// Publishes one message, checked before, whole. Never waits.
    #[inline]
    pub(super) fn publish(&self, head: &[u8; HEADER_LEN], payload: &[u8]) -> Result<(), SendError> {
        if self.over.load(Ordering::Relaxed) {
            return Err(SendError::PeerGone);
        }
        // Acquire and release, for each other: who takes the turn comes after all that was done in it.
        if !self.ours.swap(false, Ordering::AcqRel) {
            return Err(SendError::OutOfTurn);
        }
        self.channel.send(&[head, payload]).map_err(not_published)
    }

    /// Waits for the next message.
    #[inline]
    pub(super) fn receive(
        &self,
        inbox: &mut Inbox,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<(), ReceiveError> {
        if abort.is_set() {
            return Err(ReceiveError::Aborted);
        }
        let is_there = || self.channel.is_ready().then_some(());
        if inbox.spin().wait(Look::Memory, is_there).is_some() && self.try_receive(inbox)? {
            return Ok(());
        }
        let until = Until { deadline, abort: Some(abort), socket: Some(&self.socket) };
        self.wait(inbox, until)
    }

    /// Waits for the next message until [`shutdown`](Self::shutdown), and looks at nothing else: for a
    /// server's thread, whose session another one watches. An idle one makes no wake-up.
    pub(super) fn receive_unwatched(&self, inbox: &mut Inbox) -> Result<(), ReceiveError> {
        self.wait(inbox, Until::ended())
    }

    /// Looks for a message as long as that pays, and is not `interrupted`. True when the inbox has one.
    /// For a wait that [`Inbox::begin_wait`] has allowed to look.
    #[inline]
    pub(super) fn look(
        &self,
        inbox: &mut Inbox,
        mut interrupted: impl FnMut() -> bool,
    ) -> Result<bool, ReceiveError> {
        let looked = inbox
            .spin()
            .look(Look::Memory, || (self.channel.is_ready() || interrupted()).then_some(()));
        if looked.is_some() { self.try_receive(inbox) } else { Ok(false) }
    }

    /// Takes the message that is there. True when one was.
    #[inline]
    pub(super) fn try_receive(&self, inbox: &mut Inbox) -> Result<bool, ReceiveError> {
        let (memory, limit) = inbox.memory()?;
        match self.channel.try_receive(memory, limit) {
            Ok(None) => Ok(false),
            Ok(Some(len)) => self.take(inbox, len).map(|()| true),
            Err(RegionError::TooLong { .. }) => self.take(inbox, limit).map(|()| true),
            Err(error) => Err(self.not_received(inbox, error)),
        }
    }

    /// Ends the session, from any thread: those who wait return.
    pub(super) fn shutdown(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.channel.handle().end();
        self.socket.shutdown();
    }

    #[inline]
    fn wait(&self, inbox: &mut Inbox, until: Until<'_>) -> Result<(), ReceiveError> {
        let _there = inbox.spin().give_way(|| self.channel.is_ready().then_some(()));
        let (memory, limit) = inbox.memory()?;
        match self.channel.receive(memory, limit, until) {
            Ok(len) => self.take(inbox, len),
            // As much as there was room for: more than any message may have.
            Err(RegionError::TooLong { .. }) => self.take(inbox, limit),
            Err(error) => Err(self.not_received(inbox, error)),
        }
    }

    #[inline]
    fn take(&self, inbox: &mut Inbox, len: usize) -> Result<(), ReceiveError> {
        if self.role == Role::Server && inbox.holds_bye(len) {
            self.over.store(true, Ordering::Relaxed);
            return Err(inbox.end(ReceiveError::Closed));
        }
        let taken = inbox.take(len);
        match &taken {
            // What a server finds too long it answers, last of all (spec section 1).
            Ok(_) | Err(ReceiveError::AboveLimit { .. }) => {
                // Release, for the acquire of who sends next.
                self.ours.store(true, Ordering::Release);
            }
            Err(_) => self.over.store(true, Ordering::Relaxed),
        }
        taken.map(drop)
    }

    #[cold]
    fn not_received(&self, inbox: &mut Inbox, error: RegionError) -> ReceiveError {
        match error {
            RegionError::Aborted => ReceiveError::Aborted,
            RegionError::TimedOut => ReceiveError::TimedOut,
            RegionError::PeerGone | RegionError::Ended => {
                self.over.store(true, Ordering::Relaxed);
                ReceiveError::Closed
            }
            RegionError::Os(error) => ReceiveError::Os(error),
            RegionError::Broken(breach) => {
                self.over.store(true, Ordering::Relaxed);
                inbox.end(ReceiveError::BrokenRegion(breach))
            }
            // Two threads receive, which an inbox for each of them allowed: none of them has a session.
            RegionError::Busy | RegionError::Empty | RegionError::TooLong { .. } => {
                inbox.end(ReceiveError::Ended)
            }
        }
    }
}

impl Drop for Region {
    /// A client that leaves an idle session says so in the region, if that does not tell by itself:
    /// servers in the field do not look at the socket.
    fn drop(&mut self) {
        let is_idle = *self.ours.get_mut() && !*self.over.get_mut();
        if self.role == Role::Client && is_idle && !self.channel.tells_of_close() {
            let bye = Header::control(opcode::BYE, Status::OK, 0);
            // The socket, which closes next, says the same.
            let _unsaid = self.channel.send(&[&bye.encode()]);
        }
    }
}

#[cold]
fn not_published(error: RegionError) -> SendError {
    match error {
        RegionError::Os(error) => SendError::Os(error),
        RegionError::Broken(breach) => SendError::BrokenRegion(breach),
        RegionError::Ended | RegionError::PeerGone => SendError::PeerGone,
        // A region's areas hold all that was agreed, and a message has a header at least.
        _ => SendError::Malformed(Defect::Length),
    }
}
