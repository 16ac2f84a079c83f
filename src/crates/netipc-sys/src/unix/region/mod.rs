//! A session's shared memory: made by the server, attached by the client (spec section 7).
//!
//! | file | what |
//! |---|---|
//! | `create` | making the file, and removing it |
//! | `attach` | opening it, and believing nothing |
//! | `stale` | what dead servers left |
//! | `layout` | where things are in it |
//! | `mapping` | its memory, as cells: the unsafe code |
//! | `fault` | surviving a file that is cut off |
//! | `sleep` | waiting and waking: futexes |
//!
//! How messages move is in `shm/`, apart from the system calls here.

mod attach;
mod create;
mod fault;
mod layout;
mod mapping;
mod sleep;
mod stale;

use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use attach::Expected;
use create::OwnEntry;
use mapping::{Direction, Mapping};
use sleep::{Futexes, Sleeper};

use super::PacketChannel;
use crate::shm::{End, Lane, Publisher, Receiver, Refused, Unsent};
use crate::{Abort, AttachError, Breach, CreateError, Deadline, RegionError, RegionSizes};

pub use fault::unblock_faults;
pub use sleep::Until;
pub use stale::remove_stale_regions;

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
    /// Makes a region at `path`, for a server: a new file of mode 0600, all of it reserved. What a
    /// dead server left at that name is removed first.
    ///
    /// # Errors
    /// Each variant of [`CreateError`]; all but [`CreateError::Taken`] mean that the session goes over
    /// the baseline.
    pub fn create(path: &Path, sizes: RegionSizes) -> Result<Self, CreateError> {
        let (mapping, entry) = create::create(path, sizes)?;
        Ok(Self::new(mapping, Direction::Responses, Direction::Requests, Some(entry)))
    }

    /// Attaches to the region at `path`, for a client, after the server has told of it. It must be a
    /// regular file of the user `owner_uid`, the session's peer, and no link. One that is missing or
    /// short is waited for, for 250 ms, until the deadline, and while `socket` is open.
    ///
    /// # Errors
    /// Each variant of [`AttachError`].
    pub fn attach(
        path: &Path,
        sizes: RegionSizes,
        owner_uid: u32,
        socket: &PacketChannel,
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<Self, AttachError> {
        let mapping = attach::attach(path, Expected { sizes, owner_uid }, socket, deadline, abort)?;
        Ok(Self::new(mapping, Direction::Requests, Direction::Responses, None))
    }

    fn new(
        mapping: Mapping,
        outgoing: Direction,
        incoming: Direction,
        entry: Option<OwnEntry>,
    ) -> Self {
        let out = mapping.lane(outgoing);
        let publisher =
            Publisher::new(out.seq.load(Ordering::Acquire), out.signal.load(Ordering::Relaxed));
        let receiver = Receiver::new(mapping.lane(incoming).seq.load(Ordering::Acquire));
        let end = End::new(AtomicU32::new(0));
        Self(Arc::new(Shared { mapping, outgoing, incoming, publisher, receiver, end, entry }))
    }

    /// Sends the message that `pieces` make up. Never waits: the caller sees to it that the last
    /// message in this direction was answered.
    ///
    /// # Errors
    /// [`RegionError::Empty`], [`RegionError::TooLong`] or [`RegionError::Busy`]: nothing was sent.
    /// [`RegionError::Broken`] when the region's file was cut off.
    #[inline]
    pub fn send(&self, pieces: &[&[u8]]) -> Result<(), RegionError> {
        let Shared { mapping, outgoing, publisher, .. } = &*self.0;
        let sent = publisher.publish(&mapping.lane(*outgoing), pieces, &Futexes);
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
        match self.0.receiver.take(&self.0.lane_in(), limit, |len| buffer.room(len)) {
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
        let Shared { receiver, end, .. } = &*self.0;
        let mut sleeper = Sleeper::new(until);
        let doze = |signal: &AtomicU32, heard, own: &AtomicU32| {
            let dozed = sleeper.doze(signal, heard, own);
            self.0.unless_lost().and(dozed)
        };
        match receiver.wait(&self.0.lane_in(), end, doze)? {
            true => Ok(()),
            false => Err(RegionError::Ended),
        }
    }

    /// A handle that ends this channel from any thread.
    #[must_use]
    pub fn handle(&self) -> RegionHandle {
        RegionHandle(Arc::downgrade(&self.0))
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
            shared.end.come(shared.lane_in().signal, &Futexes);
            if let Some(entry) = &shared.entry {
                entry.remove();
            }
        }
    }
}

impl Shared {
    #[inline]
    fn unless_lost(&self) -> Result<(), RegionError> {
        if self.mapping.is_lost() { Err(RegionError::Broken(Breach::CutOff)) } else { Ok(()) }
    }

    #[inline]
    fn lane_in(&self) -> Lane<'_, AtomicU64, AtomicU32> {
        self.mapping.lane(self.incoming)
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
