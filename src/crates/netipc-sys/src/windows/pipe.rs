//! One end of a pipe: reading, writing, looking, and telling when it is ready.
//!
//! A pipe says nothing by itself, so somebody has to ask: the **probe** is a read of no bytes, which ends
//! when there is a message, and leaves that where it is. It is outstanding while, and only while, a wait
//! set waits for the pipe; who waits for one packet alone reads that, with no probe.
#![allow(unsafe_code)]

use std::os::windows::io::OwnedHandle;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_INVALID_HANDLE, ERROR_MORE_DATA, ERROR_NO_DATA,
    ERROR_OPERATION_ABORTED, ERROR_PIPE_NOT_CONNECTED,
};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::CancelIoEx;
use windows_sys::Win32::System::Pipes::PeekNamedPipe;

use super::Abort;
use super::handle::{last_error, raw};
use super::notifier::{Ended, Notifier, Start};
use super::source::{Pollable, Shown, SourceId, Watchers};
use super::transfer::{Done, File, Started, start_on, transfer};
use crate::{Deadline, Interest, SysError, WaitError};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Pipe {
    file: File,
    /// The peer has sent an empty message, which means the same as closing its end.
    emptied: AtomicBool,
    probe: OnceLock<Arc<Notifier<Told>>>,
    sender: OnceLock<Arc<Notifier<Told>>>,
    watchers: Watchers,
    own: Weak<Self>,
}

/// Whether the peer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing to read.
    Nothing,
    /// A message, whose rest has so many bytes.
    Message(usize),
    /// The peer has left, and nothing that it sent is left.
    Gone,
    /// The system refused to look.
    Refused(u32),
}

/// Tells the pipe that its probe, or what it sends, has ended.
#[derive(Debug)]
pub(super) struct Told {
    pipe: Weak<Pipe>,
    reads: bool,
}

impl Ended for Told {
    fn ended(&self, done: Done) {
        let Some(pipe) = self.pipe.upgrade() else { return };
        if self.reads && done.error == 0 {
            pipe.emptied.store(true, Ordering::Release);
        }
        // Whatever came of it: who waits asks again.
        pipe.watchers.notify(SourceId::of(&raw const *pipe));
    }
}

/// Whether an error means that there is no peer (any more).
pub(super) const fn means_gone(error: u32) -> bool {
    matches!(
        error,
        ERROR_BROKEN_PIPE
            | ERROR_NO_DATA
            | ERROR_PIPE_NOT_CONNECTED
            // Of those who were waiting when this end was closed, and who came later.
            | ERROR_OPERATION_ABORTED
            | ERROR_INVALID_HANDLE
    )
}

impl Pipe {
    pub(super) fn new(handle: OwnedHandle) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            file: RwLock::new(Some(handle)),
            emptied: AtomicBool::new(false),
            probe: OnceLock::new(),
            sender: OnceLock::new(),
            watchers: Watchers::default(),
            own: own.clone(),
        })
    }

    /// Reads one message, or its front.
    pub(super) fn read(
        &self,
        buffer: &mut [u8],
        deadline: Deadline,
        abort: Option<&Abort>,
    ) -> Result<Done, WaitError> {
        let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        transfer(&self.file, deadline, abort, |handle, record| {
            // SAFETY: the buffer is exclusively borrowed and as long as `len` at least, and like the
            // record it stays until the operation has ended, as `transfer` sees to.
            Started::of(unsafe {
                ReadFile(handle, buffer.as_mut_ptr(), len, std::ptr::null_mut(), record)
            })
        })
    }

    /// Writes one message.
    pub(super) fn write(
        &self,
        message: &[u8],
        deadline: Deadline,
        abort: &Abort,
    ) -> Result<Done, WaitError> {
        let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
        transfer(&self.file, deadline, Some(abort), |handle, record| {
            // SAFETY: the message is borrowed and as long as `len` at least, and like the record it stays
            // until the operation has ended, as `transfer` sees to.
            Started::of(unsafe {
                WriteFile(handle, message.as_ptr(), len, std::ptr::null_mut(), record)
            })
        })
    }

    /// Has a message written without waiting for that; `fill` says which. [`Start::Busy`] while the last
    /// is on its way.
    pub(super) fn begin_write(&self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<Start, SysError> {
        let sender = self.notifier(&self.sender, false)?;
        Ok(sender.start(fill, |record, bytes| {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            start_on(&self.file, |handle| {
                // SAFETY: the bytes and the record are the notifier's, which keeps both until the
                // operation has ended.
                Started::of(unsafe {
                    WriteFile(handle, bytes.as_ptr(), len, std::ptr::null_mut(), record)
                })
            })
        }))
    }

    /// Whether what was begun to be written is not taken yet.
    pub(super) fn is_writing(&self) -> bool {
        self.sender.get().is_some_and(|sender| sender.is_pending())
    }

    /// What there is to read, without taking it.
    pub(super) fn look(&self) -> Look {
        if self.has_emptied() {
            return Look::Gone;
        }
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = &*file else { return Look::Gone };
        let (mut available, mut left) = (0, 0);
        // SAFETY: the handle is open while it is locked; without a buffer, two numbers are written, into
        // locals.
        let looked = unsafe {
            PeekNamedPipe(
                raw(handle),
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
                &raw mut available,
                &raw mut left,
            )
        };
        match looked {
            0 if means_gone(last_error()) => Look::Gone,
            0 => Look::Refused(last_error()),
            _ if available == 0 => Look::Nothing,
            _ => Look::Message(left as usize),
        }
    }

    /// The peer has sent an empty message: nothing is read any more.
    pub(super) fn empty_message_came(&self) {
        self.emptied.store(true, Ordering::Release);
    }

    pub(super) fn has_emptied(&self) -> bool {
        // Pairs with the stores: what came before the empty message was read before it.
        self.emptied.load(Ordering::Acquire)
    }

    /// Closes this end, whoever uses it: they find the peer gone. What the system has taken of what was
    /// sent can still be read at the other end.
    pub(super) fn close(&self) {
        let mut file = self.file.write().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = file.take() else { return };
        // SAFETY: the handle is open: it was just taken from its owner, and goes at the end of this
        // function.
        let _unless_none = unsafe { CancelIoEx(raw(&handle), std::ptr::null()) };
        drop(handle);
        drop(file);
        self.watchers.notify(SourceId::of(&raw const *self));
    }

    /// For calls that want the handle for a moment; `None` once closed.
    pub(super) fn with_handle<T>(&self, call: impl FnOnce(&OwnedHandle) -> T) -> Option<T> {
        self.file.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(call)
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn leave_wait_sets(&self) {
        self.watchers.leave_all(SourceId::of(&raw const *self));
    }

    fn notifier<'n>(
        &self,
        slot: &'n OnceLock<Arc<Notifier<Told>>>,
        reads: bool,
    ) -> Result<&'n Arc<Notifier<Told>>, SysError> {
        if let Some(notifier) = slot.get() {
            return Ok(notifier);
        }
        let notifier = Notifier::new(Told { pipe: self.own.clone(), reads })?;
        Ok(slot.get_or_init(|| notifier))
    }

    /// Whether there is something to read; if not, the watchers are told when there is.
    fn poll_read(&self) -> Shown {
        const GONE: Shown = Shown { readable: true, writable: false, closed: true };
        match self.look() {
            Look::Nothing => {}
            Look::Message(_) => return Shown::READABLE,
            Look::Gone | Look::Refused(_) => return GONE,
        }
        let Ok(probe) = self.notifier(&self.probe, true) else { return GONE };
        let started = probe.start(
            |_nothing| {},
            |record, bytes| {
                start_on(&self.file, |handle| {
                    let nowhere = bytes.as_ptr().cast_mut();
                    // SAFETY: nothing is written to the buffer, which has no length; the record is the
                    // notifier's, which keeps it until the operation has ended.
                    Started::of(unsafe {
                        ReadFile(handle, nowhere, 0, std::ptr::null_mut(), record)
                    })
                })
            },
        );
        match started {
            Start::Pending | Start::Busy => Shown::default(),
            Start::Done(Done { error: ERROR_MORE_DATA, .. }) => Shown::READABLE,
            Start::Done(Done { error: 0, .. }) => {
                self.empty_message_came();
                GONE
            }
            Start::Done(_) => GONE,
        }
    }
}

impl Pollable for Pipe {
    fn poll(&self, interest: Interest) -> Shown {
        let mut shown = if interest.reads() { self.poll_read() } else { Shown::default() };
        if interest.writes() {
            shown.writable = !self.is_writing();
            shown.closed |= matches!(self.look(), Look::Gone);
        }
        shown
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}
