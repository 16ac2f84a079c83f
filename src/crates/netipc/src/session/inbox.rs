//! Where the messages of a session arrive.
//!
//! An inbox holds what has arrived of an unfinished message, and room for one packet. Both are made
//! when first needed, kept, and bounded by what was agreed; a longer packet is a violation, seen by
//! one byte of room that no packet may reach.

use std::time::{Duration, Instant};

use netipc_proto::chunk::{Incoming, Progress, Reassembly, ReceiveError as Refused};
use netipc_proto::header::HEADER_LEN;
use netipc_proto::{DecodeError, Defect};
use netipc_sys::{SOON, Spin};

use super::CHUNK_GAP_TIMEOUT;
use crate::{Header, Message, ReceiveError};

/// Memory for one packet, or one message, of any session: it grows as needed and is kept. Lent with
/// [`Inbox::exchange_buffer`], filled with [`Inbox::hand_over`].
#[derive(Debug, Default)]
pub struct PacketBuffer {
    bytes: Vec<u8>,
    /// What was handed over.
    held: Option<Held>,
}

/// A message in its memory.
#[derive(Clone, Copy, Debug)]
enum Held {
    /// As the packet that it came in.
    InPacket { header: Header, packet_len: usize },
    /// Its payload alone.
    Gathered(Header),
}

impl PacketBuffer {
    /// The message that was handed over; `None` if none was, or the buffer was lent since.
    #[must_use]
    pub fn message(&self) -> Option<Message<'_>> {
        match self.held? {
            Held::InPacket { header, packet_len } => {
                Some(Message::in_packet(header, self.bytes.get(..packet_len)?))
            }
            Held::Gathered(header) => Some(Message { header, payload: &self.bytes }),
        }
    }
}

/// What arrives on one session. Made by [`Session::inbox`](super::Session::inbox), and for that
/// session only.
///
/// Memory: one packet of the agreed size (less where no message is as long), and one message of at
/// most the smaller of the agreed limit and this side's ceiling, when messages come in chunks. On
/// shared memory, where they come whole: the longest that came, and no more than that one message.
#[derive(Debug)]
pub struct Inbox {
    reassembly: Reassembly,
    packet: PacketBuffer,
    room: usize,
    state: State,
    /// Set while, and only while, the reassembly is partial.
    partial_since: Option<Instant>,
    /// What was learnt of waiting for this session's peer.
    spin: Spin,
}

/// What the last packet came to.
#[derive(Clone, Copy, Debug)]
enum State {
    /// No message, or an unfinished one.
    Waiting,
    /// A message, in the packet buffer or in the reassembly's.
    Whole(Held),
    /// An error that ends the session.
    Ended,
}

impl Inbox {
    pub(super) fn new(incoming: Incoming, spin: Spin) -> Self {
        let longest = incoming.limits.payload_bytes.min(incoming.ceiling_bytes) as usize;
        let packet_size = incoming.packet_size.bytes() as usize;
        // The one byte more is how a longer packet shows.
        let room = packet_size.min(longest.saturating_add(HEADER_LEN)).saturating_add(1);
        Self {
            reassembly: Reassembly::new(incoming),
            packet: PacketBuffer::default(),
            room,
            state: State::Waiting,
            partial_since: None,
            spin,
        }
    }

    /// The message that was received last, once more. `None` before the first, once receiving goes
    /// on, and after an error.
    #[inline]
    #[must_use]
    pub fn message(&self) -> Option<Message<'_>> {
        match self.state {
            State::Whole(Held::InPacket { header, packet_len }) => {
                Some(Message::in_packet(header, self.packet.bytes.get(..packet_len)?))
            }
            State::Whole(Held::Gathered(header)) => {
                Some(Message { header, payload: self.reassembly.gathered() })
            }
            State::Waiting | State::Ended => None,
        }
    }

    /// When the last packet of an unfinished message came; `None` when none is in the making.
    /// [`CHUNK_GAP_TIMEOUT`] later, receiving gives [`ReceiveError::ChunkGap`].
    #[must_use]
    pub const fn partial_since(&self) -> Option<Instant> {
        self.partial_since
    }

    /// Exchanges the memory for a packet, so that a thread that serves many sessions lends each the
    /// same buffer, and takes it back: an idle session then holds none. The last message is gone;
    /// an unfinished one stays.
    pub const fn exchange_buffer(&mut self, buffer: &mut PacketBuffer) {
        buffer.held = None;
        std::mem::swap(&mut self.packet, buffer);
        if let State::Whole(_) = self.state {
            self.state = State::Waiting;
        }
    }

    /// Moves the last message into `buffer`, memory and all, for another thread to handle while
    /// this inbox receives the next; nothing is copied, and the inbox gets the memory that the
    /// buffer had. False, and nothing is done, when there is no message.
    pub const fn hand_over(&mut self, buffer: &mut PacketBuffer) -> bool {
        let State::Whole(held) = self.state else { return false };
        match held {
            Held::InPacket { .. } => std::mem::swap(&mut self.packet.bytes, &mut buffer.bytes),
            Held::Gathered(_) => self.reassembly.exchange(&mut buffer.bytes),
        }
        buffer.held = Some(held);
        self.state = State::Waiting;
        true
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.packet.bytes.capacity() + self.reassembly.held_bytes()
    }

    /// Gives memory back, for a session that stays idle. An unfinished message stays.
    pub fn release(&mut self) {
        self.packet = PacketBuffer::default();
        self.reassembly.release();
        if !matches!(self.state, State::Ended) {
            self.state = State::Waiting;
        }
    }

    /// Room for the next packet; the last message is gone.
    #[inline]
    pub(super) fn room(&mut self) -> Result<&mut [u8], ReceiveError> {
        self.room_to_wait().map(|(room, _spin)| room)
    }

    /// [`room`](Self::room), and how long to look before sleeping.
    #[inline]
    pub(super) fn room_to_wait(&mut self) -> Result<(&mut [u8], &mut Spin), ReceiveError> {
        self.go_on()?;
        let bytes = &mut self.packet.bytes;
        if bytes.len() < self.room {
            bytes.resize(self.room, 0);
        }
        // Exactly the room of this session: a lent buffer may have more.
        Ok((bytes.get_mut(..self.room).unwrap_or_default(), &mut self.spin))
    }

    /// Memory for the next message, which may grow up to the length that is given with it; the last
    /// message is gone. It grows to what arrives, not to what may.
    #[inline]
    pub(super) fn memory(&mut self) -> Result<(&mut Vec<u8>, usize), ReceiveError> {
        self.go_on()?;
        Ok((&mut self.packet.bytes, self.room))
    }

    #[inline]
    const fn go_on(&mut self) -> Result<(), ReceiveError> {
        if let State::Ended = self.state {
            return Err(ReceiveError::Ended);
        }
        self.state = State::Waiting;
        Ok(())
    }

    /// A wait for the next message begins: whether it may look for it before it sleeps.
    #[inline]
    pub(crate) fn begin_wait(&mut self) -> bool {
        self.spin.begin()
    }

    /// Whether messages have come so close to each other of late that the next is likely to come
    /// before a short sleep is over.
    #[inline]
    pub(crate) fn expects_soon(&self) -> bool {
        self.partial_since.is_none() && self.spin.expects_within(SOON)
    }

    /// Whether the peer seems to share this CPU: it answers if it is let run.
    #[inline]
    pub(crate) fn peer_shares_cpu(&self) -> bool {
        self.partial_since.is_none() && self.spin.shares_cpu()
    }

    /// How long to look before sleeping.
    #[inline]
    pub(super) const fn spin(&mut self) -> &mut Spin {
        &mut self.spin
    }

    /// Whether the packet that was received into the room is a BYE (spec section 7).
    #[inline]
    pub(super) fn holds_bye(&self, len: usize) -> bool {
        len == HEADER_LEN
            && Header::decode(self.packet.bytes.get(..len).unwrap_or_default())
                .is_ok_and(|header| header.is_bye())
    }

    /// Takes the packet that was received into the room, `len` bytes of it. True when a message is
    /// whole.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<bool, ReceiveError> {
        let packet = self.packet.bytes.get(..len).unwrap_or_default();
        let progress = match self.reassembly.advance(packet) {
            Ok(progress) => progress,
            Err(refused) => {
                let error = refusal(refused, packet);
                return Err(self.end(error));
            }
        };
        self.partial_since = None;
        self.state = match progress {
            Progress::More => {
                self.partial_since = Some(Instant::now());
                return Ok(false);
            }
            Progress::InPacket(header) => State::Whole(Held::InPacket { header, packet_len: len }),
            Progress::Gathered(header) => State::Whole(Held::Gathered(header)),
        };
        Ok(true)
    }

    /// What is left of the gap between two packets of a message; `None` when none is in the making.
    pub(super) fn gap_left(&self) -> Option<Duration> {
        self.partial_since.map(|since| CHUNK_GAP_TIMEOUT.saturating_sub(since.elapsed()))
    }

    /// Records that the session has ended, by this error.
    #[cold]
    pub(super) fn end(&mut self, error: ReceiveError) -> ReceiveError {
        self.state = State::Ended;
        self.partial_since = None;
        error
    }
}

/// The reassembly's verdict as this level's error. An over-long message keeps its header: a server
/// answers it.
#[cold]
fn refusal(refused: Refused, packet: &[u8]) -> ReceiveError {
    match refused {
        Refused::Violation(error) => over_limit(error, packet).unwrap_or(error.into()),
        Refused::AboveCeiling { .. } | Refused::OutOfMemory { .. } => {
            ReceiveError::TooLarge(refused)
        }
    }
}

fn over_limit(error: DecodeError, packet: &[u8]) -> Option<ReceiveError> {
    if error.defect != Defect::Limit {
        return None;
    }
    let header = Header::decode(packet).ok()?;
    Some(ReceiveError::AboveLimit { header, error })
}
