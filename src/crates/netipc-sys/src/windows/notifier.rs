//! One overlapped operation that nobody waits for: when it ends, the system's thread pool says so.
//!
//! What the operation needs, its record and its bytes, is kept by the operation itself until then,
//! whoever else has let go.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::STATUS_PENDING;
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::Threading::{
    CloseThreadpoolWait, CreateThreadpoolWait, PTP_CALLBACK_INSTANCE, PTP_WAIT, SetThreadpoolWait,
};

use super::handle::{last_error, refused};
use super::kernel_event::KernelEvent;
use super::transfer::{Done, Started};
use crate::SysError;

/// Is told when an operation has ended. Called on a thread of the system's pool: it must not wait, but for another that
/// makes an instance of a pipe.
pub(super) trait Ended: Send + Sync {
    fn ended(&self, done: Done);
}

/// At most one operation at a time.
pub(super) struct Notifier<E> {
    record: UnsafeCell<OVERLAPPED>,
    event: KernelEvent,
    wait: PTP_WAIT,
    state: Mutex<State>,
    owner: E,
}

#[derive(Default)]
struct State {
    pending: bool,
    /// What a writing operation sends; untouched while it is pending.
    bytes: Vec<u8>,
}

// SAFETY: the record is the system's while an operation is pending, which the state tells under its lock,
// and is used under that lock otherwise; the wait object may be used from any thread.
unsafe impl<E: Send + Sync> Send for Notifier<E> {}
// SAFETY: as above.
unsafe impl<E: Send + Sync> Sync for Notifier<E> {}

/// How a start went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It has ended at once, and nobody will be told.
    Done(Done),
    /// Its end will be told.
    Pending,
    /// Another is pending; this one was not started.
    Busy,
}

impl<E: Ended + 'static> Notifier<E> {
    pub(super) fn new(owner: E) -> Result<Arc<Self>, SysError> {
        let event = KernelEvent::new()?;
        let notifier = Arc::new_cyclic(|own: &std::sync::Weak<Self>| {
            let context = own.as_ptr().cast_mut().cast::<c_void>();
            // SAFETY: the callback takes `context` for what it is, this notifier, and is called only
            // while an armed wait keeps that alive.
            let wait = unsafe { CreateThreadpoolWait(Some(fired::<E>), context, std::ptr::null()) };
            let record = UnsafeCell::new(OVERLAPPED::default());
            Self { record, event, wait, state: Mutex::default(), owner }
        });
        if notifier.wait == 0 {
            return Err(refused("create a wait of the thread pool")(last_error()));
        }
        Ok(notifier)
    }

    pub(super) fn is_pending(&self) -> bool {
        self.lock().pending
    }

    /// Starts an operation, if none is pending: `fill` puts into place what it sends, and `start` is given
    /// that.
    pub(super) fn start(
        self: &Arc<Self>,
        fill: impl FnOnce(&mut Vec<u8>),
        start: impl FnOnce(*mut OVERLAPPED, &[u8]) -> Started,
    ) -> Start {
        let mut state = self.lock();
        if state.pending {
            return Start::Busy;
        }
        state.bytes.clear();
        fill(&mut state.bytes);
        let record = self.record.get();
        // SAFETY: nothing is pending, so the record is nobody's but the lock's holder's.
        unsafe { *record = OVERLAPPED { hEvent: self.event.raw(), ..OVERLAPPED::default() } };
        match start(record, &state.bytes) {
            Started::Done => Start::Done(Done::of(record)),
            Started::Refused(error) => Start::Done(Done { error, bytes: 0 }),
            Started::Pending => {
                state.pending = true;
                // Given back by the callback: until then, what the operation uses stays.
                let _kept = Arc::into_raw(Arc::clone(self));
                // SAFETY: both are open as long as `self` is, which the line above sees to; should the
                // event be set already, the callback runs at once.
                unsafe { SetThreadpoolWait(self.wait, self.event.raw(), std::ptr::null()) };
                Start::Pending
            }
        }
    }

    /// How the pending operation has ended, if it has; its owner is still to be told.
    pub(super) fn early(&self) -> Option<Done> {
        let state = self.lock();
        let record = self.record.get();
        const { assert!(std::mem::offset_of!(OVERLAPPED, Internal) == 0) };
        // SAFETY: the number is the first of the record, which is where it was; the system may write it at any
        // time, in one piece, so it is read as it is, once.
        let status = unsafe { record.cast::<usize>().read_volatile() };
        // It is written last.
        (state.pending && status != STATUS_PENDING as usize).then(|| Done::of(record))
    }

    /// Who is told.
    pub(super) const fn owner(&self) -> &E {
        &self.owner
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs on a thread of the pool, once for each wait that was armed.
unsafe extern "system" fn fired<E: Ended + 'static>(
    _instance: PTP_CALLBACK_INSTANCE,
    context: *mut c_void,
    _wait: PTP_WAIT,
    _result: u32,
) {
    // SAFETY: `context` is the notifier, and this reference was given away when the wait was armed.
    let notifier = unsafe { Arc::from_raw(context.cast_const().cast::<Notifier<E>>()) };
    let mut state = notifier.lock();
    // It has ended, as its event is set, and no other has been started, as it is pending.
    let done = Done::of(notifier.record.get());
    state.pending = false;
    drop(state);
    notifier.owner.ended(done);
}

impl<E> Drop for Notifier<E> {
    fn drop(&mut self) {
        if self.wait != 0 {
            // SAFETY: it was made by `new`, and no wait is armed, which would keep `self`.
            unsafe { CloseThreadpoolWait(self.wait) };
        }
    }
}

impl<E> fmt::Debug for Notifier<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}
