//! What is asked of a [`WaitSet`](crate::WaitSet), and what it answers: the same on every platform.

use std::fmt;

/// What something is watched for. The peer's close is reported with all but
/// [`Nothing`](Self::Nothing), errors always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing for now, not even the peer's close; a failure is still reported.
    Nothing,
    /// A packet, a client or a wake-up to take.
    Read,
    /// Room to send.
    Write,
    /// Either.
    ReadWrite,
}

#[cfg(windows)]
impl Interest {
    pub(crate) const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// How often something reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// As long as it is ready, every wait reports it.
    Level,
    /// Once; then it is silent, errors included, until [`WaitSet::modify`](crate::WaitSet::modify) arms it again.
    OneShot,
}

/// Something that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The number it was added with.
    pub token: u64,
    /// There is something to take (a packet, a client, or the close itself).
    pub readable: bool,
    /// There is room to send.
    pub writable: bool,
    /// The peer closed its end, or the source failed: receiving says which.
    pub closed: bool,
}

/// The most events of one wait.
pub(crate) const MAX_EVENTS_PER_WAIT: usize = 256;

/// Room for the events of one wait; made once and used again.
pub struct Events {
    events: Vec<Event>,
    capacity: usize,
}

impl Events {
    /// Room for `capacity` events a wait (at least one, at most 256: the rest comes with the next).
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, MAX_EVENTS_PER_WAIT);
        Self { events: Vec::with_capacity(capacity), capacity }
    }

    /// The events of the last wait.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.events.iter().copied()
    }

    /// How many the last wait brought.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// The most that one wait may bring.
    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn extend(&mut self, events: impl IntoIterator<Item = Event>) {
        self.events.extend(events);
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.events.clear();
    }

    /// Whether the last wait brought none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
