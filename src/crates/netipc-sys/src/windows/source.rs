//! What can be waited for, and who is told that it may be ready.
//!
//! Windows tells nobody that a pipe is ready. So readiness is kept here, as epoll keeps it: a source can
//! be asked what it shows now ([`Pollable::poll`]), which also has it tell its watchers when that changes
//! ([`Watchers::notify`]); a watcher is a place in a wait set.
//!
//! Locks are taken in this order, and none is held beyond: an outer set's, an inner set's, a source's own.
//! A source's watchers are locked before a set, never the other way round.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::wait_set::SetCore;
use crate::Interest;

/// What a source shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) closed: bool,
}

impl Shown {
    pub(super) const READABLE: Self = Self { readable: true, writable: false, closed: false };

    /// What of it somebody with this interest is told.
    pub(super) const fn of_interest(self, interest: Interest) -> Option<Self> {
        let (read, write) = (interest.reads(), interest.writes());
        let told = Self {
            readable: self.readable && read,
            writable: self.writable && write,
            closed: self.closed && (read || write),
        };
        if told.readable || told.writable || told.closed { Some(told) } else { None }
    }
}

/// See the module's text.
pub(super) trait Pollable: Send + Sync {
    /// What it shows now. Whatever of `interest` it does not show, it tells its watchers of when it does.
    fn poll(&self, interest: Interest) -> Shown;
    /// Who is told.
    fn watchers(&self) -> &Watchers;
}

/// Something that [`WaitSet`](crate::WaitSet) and [`wait_readable`](crate::wait_readable) can wait for: a
/// channel, a listener, a wait set, a waker, an abort handle, and what lends one of them
/// ([`wait_object!`](crate::wait_object)).
pub trait Waitable {
    /// What is waited for.
    fn wait_source(&self) -> WaitSource;
}

impl<T: Waitable + ?Sized> Waitable for &T {
    fn wait_source(&self) -> WaitSource {
        T::wait_source(self)
    }
}

/// None: a pipe tells nobody that it is ready, so there is no handle that a loop of somebody else could wait
/// for (docs/adr/0012).
pub fn descriptor_number(_source: &impl Waitable) -> Option<i32> {
    None
}

/// What is waited for. Opaque: only this crate makes and uses it.
#[derive(Clone)]
pub struct WaitSource(pub(super) Arc<dyn Pollable>);

impl WaitSource {
    /// Its name in wait sets. It leaves all of them before its memory is used again.
    pub(super) fn id(&self) -> SourceId {
        SourceId::of(Arc::as_ptr(&self.0))
    }
}

impl fmt::Debug for WaitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaitSource").field(&self.id()).finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SourceId(usize);

impl SourceId {
    pub(super) fn of<T: ?Sized>(source: *const T) -> Self {
        Self(source.cast::<()>().addr())
    }
}

/// The wait sets that a source is in.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<Vec<Weak<SetCore>>>);

impl Watchers {
    /// The source may be ready.
    pub(super) fn notify(&self, id: SourceId) {
        for set in self.lock().iter().filter_map(Weak::upgrade) {
            set.may_be_ready(id);
        }
    }

    pub(super) fn add(&self, set: &Arc<SetCore>) {
        let mut sets = self.lock();
        // Sets that are gone leave their place to others.
        sets.retain(|set| set.strong_count() > 0);
        sets.push(Arc::downgrade(set));
    }

    pub(super) fn remove(&self, set: &SetCore) {
        self.lock().retain(|watcher| !std::ptr::eq(watcher.as_ptr(), set));
    }

    /// Takes the source out of all sets: it is gone.
    pub(super) fn leave_all(&self, id: SourceId) {
        let sets = std::mem::take(&mut *self.lock());
        for set in sets.iter().filter_map(Weak::upgrade) {
            set.forget(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<SetCore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a type one that [`WaitSet`](crate::WaitSet) and [`wait_readable`](crate::wait_readable) can wait
/// for, as what it lends: `wait_object!(Session, |session| session.channel())`.
#[macro_export]
macro_rules! wait_object {
    ($type:ty, |$value:ident| $lent:expr) => {
        impl $crate::Waitable for $type {
            fn wait_source(&self) -> $crate::WaitSource {
                let $value = self;
                $crate::Waitable::wait_source($lent)
            }
        }
    };
}
