//! A session's shared memory: made by the server, attached by the client (spec sections 7 and 9).
//!
//! | file | what |
//! |---|---|
//! | `name` | where a region is found |
//! | `areas` | where messages are in it |
//!
//! What the platform has of it (`unix/region/`, `windows/region/`) makes and maps the memory, sleeps and
//! wakes. How messages move is in `shm/`, apart from all system calls.

mod areas;
mod name;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::platform::region::{Doorbell, Mapping, OwnEntry, Sleeper, attach_once, create};
use crate::shm::{End, Lane, Publisher, Receiver, Refused, Unsent};
use crate::{
    Abort, AttachError, Breach, CreateError, Deadline, PacketChannel, RegionError, RegionSizes,
    WaitError,
};

pub(crate) use areas::{Area, Layout};
pub use name::{ObjectNames, RegionName};

/// How long a region that is missing, or shorter than it says, is waited for. Servers make it before
/// they tell of it; this is for one that has just removed it, which closes the socket as well.
const ATTACH_PATIENCE: Duration = Duration::from_millis(250);
/// The pause between two looks: no event tells of a file that comes to be.
const ATTACH_PAUSE: Duration = Duration::from_millis(10);

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Requests,
    Responses,
}

/// A region as the platform has made it, or attached to it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) mapping: Mapping,
    pub(crate) doorbell: Doorbell,
    /// The server's.
    pub(crate) entry: Option<OwnEntry>,
}

/// What a client knows of the region before it looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) sizes: RegionSizes,
    /// The session's peer. Kernel objects are found by names that only the two know, and opened by those
    /// alone whom their security descriptor admits.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) owner_uid: u32,
}

/// Until when, and while what, a receiver waits.
#[derive(Clone, Copy, Debug)]
pub struct Until<'a> {
    /// The wait's last moment.
    pub deadline: Deadline,
    /// Ends the wait within 25 ms of being triggered.
    pub abort: Option<&'a Abort>,
    /// The session's socket or pipe, whose closing ends the wait within 50 ms: the peer has left.
    pub socket: Option<&'a PacketChannel>,
}

impl Until<'_> {
    /// Waits for a message or the channel's end, however long: for a thread that another one ends.
    #[must_use]
    pub const fn ended() -> Self {
        Self { deadline: Deadline::never(), abort: None, socket: None }
    }
}

/// One end of a region: messages out, messages in, one in flight each way.
///
/// All methods take `&self`; one thread at a time sends, and one receives. Dropping the server's end
/// removes the file, if ending it has not; dropping either end unmaps its memory.
///
/// Nothing here is trusted that the peer can write: whatever that does, calls return what it
/// published, or an error.
#[derive(Debug)]
pub struct RegionChannel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    mapping: Mapping,
    doorbell: Doorbell,
    outgoing: Direction,
    incoming: Direction,
    publisher: Publisher,
    receiver: Receiver,
    end: End<AtomicU32>,
    /// The server's.
    entry: Option<OwnEntry>,
}

/// Memory that a message is received into.
pub trait ReceiveBuffer {
    /// Room for `len` bytes; less when there is no more.
    fn room(&mut self, len: usize) -> &mut [u8];
}

/// As it is.
impl ReceiveBuffer for [u8] {
    fn room(&mut self, _len: usize) -> &mut [u8] {
        self
    }
}

/// Grows to what arrives, and is kept: its length may be more than the message's.
impl ReceiveBuffer for Vec<u8> {
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.len() < len {
            self.resize(len, 0);
        }
        self
    }
}

impl RegionChannel {
    /// Makes a region of this name, for a server. On Linux: a new file of mode 0600, all of it
    /// reserved; what a dead server left at that name is removed first. On Windows: a mapping of the
    /// page file and its events.
    ///
    /// # Errors
    /// Each variant of [`CreateError`]; all but [`CreateError::Taken`] mean that the session goes over
    /// the baseline.
    pub fn create(name: impl Into<RegionName>, sizes: RegionSizes) -> Result<Self, CreateError> {
        let made = create(&name.into(), sizes)?;
        Ok(Self::new(made, Direction::Responses, Direction::Requests))
    }

    /// Attaches to the region of this name, for a client, after the server has told of it. A file must
    /// be a regular one of the user `owner_uid`, the session's peer, and no link. One that is missing or
    /// short is waited for, for 250 ms, until the deadline, and while `socket` is open.
    ///
    /// # Errors
    /// Each variant of [`AttachError`].
    pub fn attach(
        name: impl Into<RegionName>,
        sizes: RegionSizes,
        owner_uid: u32,
        socket: &PacketChannel,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<Self, AttachError> {
        let expected = Expected { sizes, owner_uid };
        let made = attach(&name.into(), expected, socket, deadline, abort)?;
        Ok(Self::new(made, Direction::Requests, Direction::Responses))
    }

    fn new(made: Made, outgoing: Direction, incoming: Direction) -> Self {
        let Made { mapping, doorbell, entry } = made;
        let out = mapping.lane(outgoing);
        let publisher =
            Publisher::new(out.seq.load(Ordering::Acquire), out.alarm.load(Ordering::Relaxed));
        let receiver = Receiver::new(mapping.lane(incoming).seq.load(Ordering::Acquire));
        let end = End::new(AtomicU32::new(0));
        Self(Arc::new(Shared {
            mapping,
            doorbell,
            outgoing,
            incoming,
            publisher,
            receiver,
            end,
            entry,
        }))
    }

    /// Sends the message that `pieces` make up. Never waits: the caller sees to it that the last
    /// message in this direction was answered.
    ///
    /// # Errors
    /// [`RegionError::Empty`], [`RegionError::TooLong`] or [`RegionError::Busy`]: nothing was sent.
    /// [`RegionError::Broken`] when the region's file was cut off.
    #[inline]
    pub fn send(&self, pieces: &[&[u8]]) -> Result<(), RegionError> {
        let Shared { mapping, doorbell, outgoing, publisher, .. } = &*self.0;
        let sent = publisher.publish(&mapping.lane(*outgoing), pieces, doorbell);
        self.0.unless_lost()?;
        sent.map_err(|unsent| match unsent {
            Unsent::Empty => RegionError::Empty,
            Unsent::TooLong { len, max } => RegionError::TooLong { len, max },
            Unsent::Busy => RegionError::Busy,
        })
    }

    /// Receives a message if one is there: its length. One load when there is none.
    ///
    /// `limit` is the longest message that may come, in bytes, its header included.
    ///
    /// # Errors
    /// [`RegionError::Broken`]: drop the channel. [`RegionError::TooLong`], [`RegionError::Busy`].
    #[inline]
    pub fn try_receive<B: ReceiveBuffer + ?Sized>(
        &self,
        buffer: &mut B,
        limit: usize,
    ) -> Result<Option<usize>, RegionError> {
        let Shared { receiver, doorbell, .. } = &*self.0;
        match receiver.take(&self.0.lane_in(), limit, doorbell, |len| buffer.room(len)) {
            // A lost region reads as zeros, which is nothing new at first: waiting looks closer.
            Ok(None) => Ok(None),
            taken => self.0.unless_lost().and(taken.map_err(refused_by)),
        }
    }

    /// Whether [`try_receive`](Self::try_receive) would find a message, or a violation. One load.
    #[inline]
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.receiver.is_ready(&self.0.lane_in())
    }

    /// Receives a message, asleep until one comes: at once, without spinning. A message that is there
    /// comes before whatever would end the wait.
    ///
    /// # Errors
    /// As [`try_receive`](Self::try_receive); and [`RegionError::Ended`], [`RegionError::Aborted`],
    /// [`RegionError::PeerGone`], [`RegionError::TimedOut`], [`RegionError::Os`] when the wait ends
    /// without a message. After [`RegionError::TimedOut`] and [`RegionError::Aborted`] receiving may
    /// go on.
    pub fn receive<B: ReceiveBuffer + ?Sized>(
        &self,
        buffer: &mut B,
        limit: usize,
        until: Until<'_>,
    ) -> Result<usize, RegionError> {
        loop {
            if let Some(len) = self.try_receive(buffer, limit)? {
                return Ok(len);
            }
            match self.wait(until) {
                Ok(()) => {}
                // What the peer published before it left comes first.
                Err(error) => return self.try_receive(buffer, limit)?.ok_or(error),
            }
        }
    }

    /// Sleeps until there is something to receive.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), without those of receiving.
    pub fn wait(&self, until: Until<'_>) -> Result<(), RegionError> {
        let Shared { receiver, end, doorbell, .. } = &*self.0;
        let mut sleeper = Sleeper::new(until, &self.0.mapping, doorbell);
        let doze = |signal: &AtomicU32, heard, own: &AtomicU32| {
            let dozed = sleeper.doze(signal, heard, own);
            self.0.unless_lost().and(dozed)
        };
        match receiver.wait(&self.0.lane_in(), end, doorbell, doze)? {
            true => Ok(()),
            false => Err(RegionError::Ended),
        }
    }

    /// A handle that ends this channel from any thread.
    #[must_use]
    pub fn handle(&self) -> RegionHandle {
        RegionHandle(Arc::downgrade(&self.0))
    }

    /// Whether the region itself tells the peer when this end is closed.
    #[must_use]
    pub const fn tells_of_close(&self) -> bool {
        Doorbell::TELLS_OF_CLOSE
    }

    /// Bytes of shared memory.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.0.mapping.len_bytes()
    }
}

/// Ends a channel from another thread. Keeps nothing of it alive.
#[derive(Clone, Debug)]
pub struct RegionHandle(Weak<Shared>);

impl RegionHandle {
    /// Makes the channel's [`receive`](RegionChannel::receive) return [`RegionError::Ended`], now and
    /// from now on, whatever the peer does; sending is not affected. At the server's end, it removes the
    /// file, which so does not wait for threads that still have the channel. Does nothing once the
    /// channel is gone. Never waits.
    pub fn end(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.end.come(&shared.lane_in(), &shared.doorbell);
            shared.say_closed();
            if let Some(entry) = &shared.entry {
                entry.remove();
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.say_closed();
    }
}

impl Shared {
    /// Tells the peer, where the region can, that this end is closed.
    fn say_closed(&self) {
        self.doorbell.say_closed(&self.mapping, self.outgoing);
    }

    #[inline]
    fn unless_lost(&self) -> Result<(), RegionError> {
        if self.mapping.is_lost() { Err(RegionError::Broken(Breach::CutOff)) } else { Ok(()) }
    }

    #[inline]
    fn lane_in(&self) -> Lane<'_, AtomicU64, AtomicU32> {
        self.mapping.lane(self.incoming)
    }
}

/// Tries until the region is ready, patience is at its end, or the wait is.
fn attach(
    name: &RegionName,
    expected: Expected,
    socket: &PacketChannel,
    deadline: Deadline,
    abort: &Abort,
) -> Result<Made, AttachError> {
    let patience = Deadline::after(ATTACH_PATIENCE).earlier(deadline);
    loop {
        let not_ready = match attach_once(name, expected) {
            Err(error @ AttachError::NotReady(_)) => error,
            done => return done,
        };
        let pause = Deadline::after(ATTACH_PAUSE).earlier(patience);
        match socket.wait_gone(pause, abort) {
            Err(WaitError::TimedOut) if deadline.has_passed() => return Err(AttachError::TimedOut),
            Err(WaitError::TimedOut) if !patience.has_passed() => {}
            // The server has left, or never had it.
            Ok(()) | Err(WaitError::TimedOut) => return Err(not_ready),
            Err(WaitError::Aborted) => return Err(AttachError::Aborted),
            Err(WaitError::Os(error)) => return Err(AttachError::Os(error)),
        }
    }
}

#[cold]
fn refused_by(refused: Refused) -> RegionError {
    match refused {
        Refused::Sequence { seen, found } => RegionError::Broken(Breach::Sequence { seen, found }),
        Refused::Length { len, capacity } => RegionError::Broken(Breach::Length { len, capacity }),
        Refused::TooLong { len, max } => RegionError::TooLong { len, max },
        Refused::Busy => RegionError::Busy,
    }
}
