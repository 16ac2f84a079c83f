//! Events that one thread raises and others sleep on: [`Abort`] and [`Waker`], both an eventfd.
//!
//! An eventfd is level-triggered: while its counter is not zero, every poll that includes it
//! returns at once. So a raised event wakes any number of waiters, and those who come later too,
//! until it is lowered.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, retry_on_intr, write};

use super::refused;
use crate::SysError;

/// Ends the calls that wait with it, from any thread, and refuses later ones until cleared.
///
/// Clones are the same handle. It stays set until [`clear`](Self::clear): a call that starts a
/// moment after [`trigger`](Self::trigger) is refused as well, so an abort cannot be missed by
/// coming early. Its descriptor is readable while it is set, for wait sets of the caller's own.
///
/// Not for signal handlers: triggering takes a lock.
#[derive(Clone, Debug)]
pub struct Abort(Arc<AbortState>);

#[derive(Debug)]
struct AbortState {
    /// Readable exactly while `set` is true, except between two lines under `changing`.
    event: EventFd,
    set: AtomicBool,
    /// Held by those who change both of the above, so that they cannot come to disagree.
    changing: Mutex<()>,
}

impl Abort {
    /// A handle that is not set.
    ///
    /// # Errors
    /// No descriptor or memory for it.
    pub fn new() -> Result<Self, SysError> {
        let event = EventFd::new()?;
        let state = AbortState { event, set: AtomicBool::new(false), changing: Mutex::new(()) };
        Ok(Self(Arc::new(state)))
    }

    /// Sets it: every call that waits with it returns "aborted", now and until it is cleared.
    pub fn trigger(&self) {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the event, so that whoever is woken finds it set.
        self.0.set.store(true, Ordering::Release);
        self.0.event.raise();
    }

    /// Unsets it. Clear only once the calls that were to end have returned: one that has not yet
    /// been woken goes on waiting.
    pub fn clear(&self) {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.event.lower();
        self.0.set.store(false, Ordering::Release);
    }

    /// Whether it is set. Makes no system call.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // Pairs with the stores above: what the aborting thread wrote before is seen.
        self.0.set.load(Ordering::Acquire)
    }
}

impl AsFd for Abort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.0.as_fd()
    }
}

/// Wakes the thread that sleeps in a [`WaitSet`](crate::WaitSet) which holds this descriptor.
///
/// Clones are the same waker. Wakes that come before the sleeper looks are merged into one: the
/// sleeper calls [`reset`](Self::reset) first and then looks at everything it may have been woken
/// for.
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// A waker that has not been used.
    ///
    /// # Errors
    /// No descriptor or memory for it.
    pub fn new() -> Result<Self, SysError> {
        Ok(Self(Arc::new(EventFd::new()?)))
    }

    /// Makes the descriptor readable until [`reset`](Self::reset).
    pub fn wake(&self) {
        self.0.raise();
    }

    /// Makes it unreadable again.
    pub fn reset(&self) {
        self.0.lower();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

/// An eventfd, used as a flag.
#[derive(Debug)]
struct EventFd(OwnedFd);

impl EventFd {
    fn new() -> Result<Self, SysError> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map(Self)
            .map_err(refused("create an event"))
    }

    /// The counter's only failure is being full, and then it is raised already.
    fn raise(&self) {
        let _full = retry_on_intr(|| write(&self.0, &1_u64.to_ne_bytes()));
    }

    /// One read takes the whole counter; its only failure is that there was nothing to take.
    fn lower(&self) {
        let _zero = retry_on_intr(|| read(&self.0, &mut [0_u8; size_of::<u64>()]));
    }
}
