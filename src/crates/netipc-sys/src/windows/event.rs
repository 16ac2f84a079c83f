//! Events that one thread raises and others sleep on: [`Abort`] and [`Waker`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use windows_sys::Win32::Foundation::HANDLE;

use super::kernel_event::KernelEvent;
use super::source::{Pollable, Shown, WaitSource, Waitable, Watchers};
use crate::{Interest, SysError};

/// Ends the calls that wait with it, from any thread, and refuses later ones until cleared.
///
/// Clones are the same handle. It stays set until [`clear`](Self::clear): a call that starts a
/// moment after [`trigger`](Self::trigger) is refused as well, so an abort cannot be missed by
/// coming early. As a wait object it is readable while it is set.
#[derive(Clone, Debug)]
pub struct Abort(Arc<AbortState>);

#[derive(Debug)]
struct AbortState {
    flag: Flag,
    /// For those who wait in the kernel. Set exactly while the flag is, except between two lines under
    /// `changing`.
    event: KernelEvent,
    /// Held by those who change both of the above, so that they cannot come to disagree.
    changing: Mutex<()>,
}

impl Abort {
    /// A handle that is not set.
    ///
    /// # Errors
    /// No handle or memory for it.
    pub fn new() -> Result<Self, SysError> {
        let event = KernelEvent::new()?;
        let state = AbortState { flag: Flag::default(), event, changing: Mutex::new(()) };
        Ok(Self(Arc::new(state)))
    }

    /// Sets it: every call that waits with it returns "aborted", now and until it is cleared.
    pub fn trigger(&self) {
        let changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the event, so that whoever is woken finds it set.
        let is_new = self.0.flag.raise();
        self.0.event.set();
        drop(changing);
        if is_new {
            self.0.flag.watchers.notify(self.wait_source().id());
        }
    }

    /// Unsets it. Clear only once the calls that were to end have returned: one that has not yet
    /// been woken goes on waiting.
    pub fn clear(&self) {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.event.reset();
        self.0.flag.lower();
    }

    /// Whether it is set. Makes no system call.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.flag.is_raised()
    }

    pub(super) fn raw(&self) -> HANDLE {
        self.0.event.raw()
    }
}

impl Waitable for Abort {
    fn wait_source(&self) -> WaitSource {
        WaitSource(Arc::<AbortState>::clone(&self.0))
    }
}

impl Pollable for AbortState {
    fn poll(&self, _interest: Interest) -> Shown {
        self.flag.shown()
    }

    fn watchers(&self) -> &Watchers {
        &self.flag.watchers
    }
}

/// Wakes the thread that sleeps in a [`WaitSet`](crate::WaitSet) which holds it.
///
/// Clones are the same waker. Wakes that come before the sleeper looks are merged into one: the
/// sleeper calls [`reset`](Self::reset) first and then looks at everything it may have been woken
/// for.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Flag>);

impl Waker {
    /// A waker that has not been used.
    ///
    /// # Errors
    /// None here; on other platforms it needs a descriptor.
    pub fn new() -> Result<Self, SysError> {
        Ok(Self(Arc::default()))
    }

    /// Makes it readable until [`reset`](Self::reset).
    pub fn wake(&self) {
        if self.0.raise() {
            self.0.watchers.notify(self.wait_source().id());
        }
    }

    /// Makes it unreadable again.
    pub fn reset(&self) {
        self.0.lower();
    }
}

impl Waitable for Waker {
    fn wait_source(&self) -> WaitSource {
        WaitSource(Arc::<Flag>::clone(&self.0))
    }
}

/// A flag that can be waited for.
#[derive(Debug, Default)]
struct Flag {
    raised: AtomicBool,
    watchers: Watchers,
}

impl Flag {
    /// Whether that was new: then the watchers are to be told.
    fn raise(&self) -> bool {
        // Pairs with the loads of `is_raised`: what the raising thread wrote before is seen. Who asks
        // under the lock of a set has either seen this, or is told afterwards.
        !self.raised.swap(true, Ordering::AcqRel)
    }

    fn lower(&self) {
        // An exchange: what was raised before, and is taken back by this, is seen by who goes on to look
        // at what it was raised for.
        self.raised.swap(false, Ordering::AcqRel);
    }

    fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    fn shown(&self) -> Shown {
        Shown { readable: self.is_raised(), ..Shown::default() }
    }
}

impl Pollable for Flag {
    fn poll(&self, _interest: Interest) -> Shown {
        self.shown()
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}
