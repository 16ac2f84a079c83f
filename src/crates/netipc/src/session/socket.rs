//! Messages over a packet socket: in chunks, whole, one at a time (spec sections 3 and 6).
//!
//! One system call a packet, when there is room or a packet; nothing is allocated.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};

use netipc_proto::Defect;
use netipc_proto::chunk::{PacketSize, Split};
use netipc_sys::{Abort, Deadline, Look, PacketChannel, RecvError, SOON, Spin, WaitError};

use super::inbox::Inbox;
use super::turn::SendTurn;
use crate::{Header, ReceiveError, SendError};

/// Packets that one look takes at most, so that a peer that sends without end cannot hold a
/// readiness loop.
const PACKETS_PER_LOOK: usize = 64;

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) channel: PacketChannel,
    packet_size: PacketSize,
    turn: SendTurn,
    /// A message went out in part. Written and read in one's turn.
    cut_short: AtomicBool,
}

impl Socket {
    pub(super) fn new(channel: PacketChannel, packet_size: PacketSize) -> Self {
        let cut_short = AtomicBool::new(false);
        Self { channel, packet_size, turn: SendTurn::default(), cut_short }
    }

    /// Sends one message, checked before, whole.
    #[inline]
    pub(super) fn send(
        &self,
        header: &Header,
        payload: &[u8],
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<(), SendError> {
        let packets = Split::new(*header, self.packet_size)
            .map_err(|_| SendError::Malformed(Defect::Length))?;
        let in_chunks = packets.len() > 1;
        let _turn = self.turn.take(deadline, abort).map_err(waiting_ended)?;
        if self.cut_short.load(Ordering::Relaxed) {
            return Err(SendError::Ended);
        }
        for (index, packet) in packets.enumerate() {
            let body = payload.get(packet.payload).unwrap_or_default();
            // A peer that reads without end is not waited for, so the clock is looked at here.
            let sent = if in_chunks && deadline.has_passed() {
                Err(SendError::TimedOut)
            } else {
                self.send_packet(&packet.head, body, deadline, abort)
            };
            if let Err(error) = sent {
                self.cut_short.store(index > 0, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    }

    #[inline]
    fn send_packet(
        &self,
        head: &[u8],
        body: &[u8],
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<(), SendError> {
        let pieces = [IoSlice::new(head), IoSlice::new(body)];
        self.channel.send(&pieces, deadline, abort).map_err(sending_failed)
    }

    /// Receives packets until the inbox has a message.
    #[inline]
    pub(super) fn receive(
        &self,
        inbox: &mut Inbox,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<(), ReceiveError> {
        loop {
            let until = match inbox.gap_left() {
                None => deadline,
                Some(left) => deadline.earlier(Deadline::after(left)),
            };
            let (room, spin) = inbox.room_to_wait()?;
            let received = receive_packet(&self.channel, room, spin, until, abort);
            match received {
                Err(RecvError::TimedOut) => return Err(timed_out(inbox)),
                other => {
                    if take(inbox, other)? {
                        return Ok(());
                    }
                }
            }
            // A peer that sends without end is not waited for, so the clock is looked at here.
            if deadline.has_passed() {
                return Err(ReceiveError::TimedOut);
            }
        }
    }

    /// Looks for a packet as long as that pays, and is not `interrupted`. True when the inbox has a
    /// message. For a wait that [`Inbox::begin_wait`] has allowed to look.
    #[inline]
    pub(super) fn look(
        &self,
        inbox: &mut Inbox,
        mut interrupted: impl FnMut() -> bool,
    ) -> Result<bool, ReceiveError> {
        let (room, spin) = inbox.room_to_wait()?;
        let looked = spin.look(Look::SystemCall, || {
            if interrupted() {
                Some(None)
            } else {
                self.channel.try_recv(room).transpose().map(Some)
            }
        });
        match looked.flatten() {
            Some(received) => take(inbox, received),
            None => Ok(false),
        }
    }

    /// Receives a packet, sleeping in that for a moment at most: where one is expected. True when the
    /// inbox has a message.
    #[inline]
    pub(super) fn receive_soon(&self, inbox: &mut Inbox) -> Result<bool, ReceiveError> {
        match self.channel.recv_soon(inbox.room()?).transpose() {
            Some(received) => take(inbox, received),
            None => Ok(false),
        }
    }

    /// Lets a peer that shares this CPU go first, and receives what it sends. True when the inbox has a
    /// message.
    #[inline]
    pub(super) fn give_way(&self, inbox: &mut Inbox) -> Result<bool, ReceiveError> {
        let (room, spin) = inbox.room_to_wait()?;
        match spin.give_way(|| self.channel.try_recv(room).transpose()) {
            Some(received) => take(inbox, received),
            None => Ok(false),
        }
    }

    /// Receives the packets that are there, until the inbox has a message. True when it has.
    #[inline]
    pub(super) fn try_receive(&self, inbox: &mut Inbox) -> Result<bool, ReceiveError> {
        for _ in 0..PACKETS_PER_LOOK {
            match self.channel.try_recv(inbox.room()?) {
                Ok(None) => {
                    return match timed_out(inbox) {
                        ReceiveError::ChunkGap => Err(ReceiveError::ChunkGap),
                        _ => Ok(false),
                    };
                }
                Ok(Some(len)) => {
                    if take(inbox, Ok(len))? {
                        return Ok(true);
                    }
                }
                Err(error) => {
                    if take(inbox, Err(error))? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

/// Receives one packet: looks for it as long as that pays, then sleeps.
#[inline]
fn receive_packet(
    channel: &PacketChannel,
    room: &mut [u8],
    spin: &mut Spin,
    deadline: Deadline,
    abort: &Abort,
) -> Result<usize, RecvError> {
    if abort.is_set() {
        return Err(RecvError::Aborted);
    }
    if let Some(received) = spin.wait(Look::SystemCall, || channel.try_recv(room).transpose()) {
        return received;
    }
    if let Some(received) = spin.give_way(|| channel.try_recv(room).transpose()) {
        return received;
    }
    if spin.expects_within(SOON)
        && deadline.remaining().is_none_or(|left| left >= SOON)
        && let Some(len) = channel.recv_soon(room)?
    {
        return Ok(len);
    }
    channel.recv(room, deadline, abort)
}

/// Hands what was received to the inbox.
#[inline]
fn take(inbox: &mut Inbox, received: Result<usize, RecvError>) -> Result<bool, ReceiveError> {
    match received {
        Ok(len) => inbox.take(len),
        // As much as there was room for: more than any message may have.
        Err(RecvError::TooLong { max, .. }) => inbox.take(max),
        Err(RecvError::Closed) if inbox.partial_since().is_some() => {
            Err(inbox.end(ReceiveError::BrokenOff))
        }
        Err(RecvError::Closed) => Err(ReceiveError::Closed),
        Err(RecvError::Aborted) => Err(ReceiveError::Aborted),
        Err(RecvError::TimedOut) => Err(ReceiveError::TimedOut),
        Err(RecvError::Os(error)) => Err(ReceiveError::Os(error)),
    }
}

/// Which time has passed: that between two packets of a message ends the session.
fn timed_out(inbox: &mut Inbox) -> ReceiveError {
    if inbox.gap_left().is_some_and(|left| left.is_zero()) {
        inbox.end(ReceiveError::ChunkGap)
    } else {
        ReceiveError::TimedOut
    }
}

fn waiting_ended(error: WaitError) -> SendError {
    match error {
        WaitError::Aborted => SendError::Aborted,
        WaitError::TimedOut => SendError::TimedOut,
        WaitError::Os(error) => SendError::Os(error),
    }
}

#[cold]
pub(super) fn sending_failed(error: netipc_sys::SendError) -> SendError {
    match error {
        netipc_sys::SendError::Aborted => SendError::Aborted,
        netipc_sys::SendError::TimedOut => SendError::TimedOut,
        netipc_sys::SendError::PeerGone => SendError::PeerGone,
        // Every packet has a header.
        netipc_sys::SendError::Empty => SendError::Malformed(Defect::Length),
        netipc_sys::SendError::TooLong { len, max } => SendError::PacketTooLong { len, max },
        netipc_sys::SendError::Os(error) => SendError::Os(error),
    }
}
