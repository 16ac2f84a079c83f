//! Sleeping until a peer publishes, and waking one that sleeps: auto-reset events, or none.
//!
//! # How a sleep ends for sure
//!
//! By a message: the flag of who sleeps is set before its last look, and the event that is set for it stays
//! set until somebody is woken. By [`RegionHandle::end`](crate::RegionHandle::end): the region's events are
//! the peer's to reset, so a sleep is on an event of this process as well. By the peer's leaving, which it
//! says in the region, and by the event; a peer that is killed says nothing: then the session's pipe tells,
//! at which a client looks every [`WATCH_SLICE`] while a call waits, and for a server another thread.
//!
//! Without events (profile 0x04) nobody sleeps: who waits looks, and lets others run now and then.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::mapping::Mapping;
use crate::platform::kernel_event::{KernelEvent, wait_any};
use crate::region::Direction;
use crate::shm::{Event, Flagged};
use crate::{Abort, Deadline, RegionError, SysError, Until};

/// How long a wait does not look at its pipe.
const WATCH_SLICE: Duration = Duration::from_millis(25);
/// Looks of who does not sleep between two at everything else (spec section 9).
const LOOKS_PER_TURN: u32 = 1024;

const CLOSED: u32 = 1;

/// The events of a region, by what this end does with them; none where nobody sleeps.
#[derive(Debug)]
pub(super) struct Bells {
    /// Wakes the peer.
    pub(super) ring: Option<KernelEvent>,
    /// Wakes this end.
    pub(super) hear: Option<KernelEvent>,
}

/// What wakes who waits for a message.
pub(crate) type Doorbell = Flagged<Ringer>;

/// The system's part of it.
#[derive(Debug)]
pub(crate) struct Ringer {
    bells: Bells,
    /// Set once this end is ended.
    own: KernelEvent,
    incoming: Direction,
}

impl Doorbell {
    /// An end that is closed says so in the region.
    pub(crate) const TELLS_OF_CLOSE: bool = true;

    pub(super) fn new(bells: Bells, incoming: Direction) -> Result<Self, SysError> {
        Ok(Self(Ringer { bells, own: KernelEvent::new()?, incoming }))
    }

    /// Tells the peer that this end is closed. Once or more often.
    pub(crate) fn say_closed(&self, mapping: &Mapping, outgoing: Direction) {
        // Release, for the acquire of who looks: what was published before is found. The event orders it
        // for who sleeps.
        mapping.closed(outgoing).store(CLOSED, Ordering::Release);
        self.0.ring();
    }
}

impl Event for Ringer {
    fn ring(&self) {
        if let Some(event) = &self.bells.ring {
            event.set();
        }
    }

    fn ring_own(&self) {
        self.own.set();
    }
}

/// One wait: its sleeps, one after the other.
#[derive(Debug)]
pub(crate) struct Sleeper<'a> {
    until: Until<'a>,
    mapping: &'a Mapping,
    ringer: &'a Ringer,
    has_slept: bool,
    looks: u32,
}

impl<'a> Sleeper<'a> {
    pub(crate) const fn new(
        until: Until<'a>,
        mapping: &'a Mapping,
        doorbell: &'a Doorbell,
    ) -> Self {
        Self { until, mapping, ringer: &doorbell.0, has_slept: false, looks: 0 }
    }

    /// Sleeps until the bell is rung. May return early.
    pub(crate) fn doze(
        &mut self,
        _flag: &AtomicU32,
        _number: u32,
        _own: &AtomicU32,
    ) -> Result<(), RegionError> {
        let Some(hear) = &self.ringer.bells.hear else { return self.look_on() };
        self.look_around()?;
        let Until { deadline, abort, socket } = self.until;
        let slice = match socket {
            Some(_) => deadline.earlier(Deadline::after(WATCH_SLICE)),
            None => deadline,
        };
        let (own, hear) = (self.ringer.own.raw(), hear.raw());
        let slept = match abort {
            Some(abort) => wait_any(&[abort.raw(), own, hear], slice),
            None => wait_any(&[own, hear], slice),
        };
        slept.map(drop).map_err(RegionError::Os)
    }

    /// What a look costs that finds nothing.
    fn look_on(&mut self) -> Result<(), RegionError> {
        self.looks += 1;
        if self.looks < LOOKS_PER_TURN {
            std::hint::spin_loop();
            return Ok(());
        }
        self.looks = 0;
        std::thread::yield_now();
        self.look_around()
    }

    /// Whether anything else ends the wait.
    fn look_around(&mut self) -> Result<(), RegionError> {
        let Until { deadline, abort, socket } = self.until;
        if abort.is_some_and(Abort::is_set) {
            return Err(RegionError::Aborted);
        }
        // Acquire, for the release of who closed: the last look finds what was published before.
        if self.mapping.closed(self.ringer.incoming).load(Ordering::Acquire) != 0 {
            return Err(RegionError::PeerGone);
        }
        if deadline.has_passed() {
            return Err(RegionError::TimedOut);
        }
        // Not before the first sleep: messages come more often than peers leave.
        if std::mem::replace(&mut self.has_slept, true)
            && let Some(socket) = socket
            && socket.peer_gone().map_err(RegionError::Os)?
        {
            return Err(RegionError::PeerGone);
        }
        Ok(())
    }
}
