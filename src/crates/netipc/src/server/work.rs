//! Work that waits for a worker, and how a sleeping worker hears of it.
//!
//! Most requests never come here: the worker that reads one answers it. What comes are parts of
//! batches that others may help with, and what the event loop read while all workers were busy.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use netipc_sys::{Interest, SysError, WaitSet, Waker, WatchMode};

use super::batch::SplitBatch;
use super::served::Served;
use crate::{Header, PacketBuffer};

/// Something for a worker to do.
#[derive(Debug)]
pub(super) enum Job {
    /// A request that was read and not begun.
    Request { served: Arc<Served>, request: PacketBuffer },
    /// A batch that could use help; its parts may all be claimed by now.
    Help(Arc<SharedBatch>),
}

/// A batch in the hands of several workers, and where its answer goes.
#[derive(Debug)]
pub(super) struct SharedBatch {
    pub(super) served: Arc<Served>,
    pub(super) header: Header,
    pub(super) split: SplitBatch,
    /// Items were left, because nobody is to hear the answer.
    pub(super) useless: AtomicBool,
}

/// The queue. Its length is bounded by the requests that sessions may have in flight.
#[derive(Debug)]
pub(super) struct Work {
    jobs: Mutex<VecDeque<Job>>,
    /// Length of the queue, to be looked at without its lock.
    waiting: AtomicUsize,
    /// Raised for ever. Arming it in the workers' wait set, once, wakes exactly one of them.
    signal: Waker,
}

impl Work {
    /// A queue whose signal reports itself in `workers` as `token`.
    pub(super) fn new(workers: &WaitSet, token: u64) -> Result<Self, SysError> {
        let signal = Waker::new()?;
        signal.wake();
        workers.add(&signal, token, Interest::Read, WatchMode::OneShot)?;
        Ok(Self { jobs: Mutex::default(), waiting: AtomicUsize::new(0), signal })
    }

    pub(super) fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut queue = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        queue.extend(jobs);
        self.waiting.store(queue.len(), Ordering::Release);
    }

    pub(super) fn take(&self) -> Option<Job> {
        // Whoever pushes arms the signal afterwards, so a look that is too early costs nothing.
        if self.is_empty() {
            return None;
        }
        let mut queue = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = queue.pop_front();
        self.waiting.store(queue.len(), Ordering::Release);
        job
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Wakes one worker, or keeps the next from falling asleep. Who is woken and leaves work
    /// behind, or leaves for good, wakes the next.
    pub(super) fn wake_one(&self, workers: &WaitSet, token: u64) {
        // It was added when the queue was made and is never removed: nothing can refuse this.
        let _armed = workers.modify(&self.signal, token, Interest::Read, WatchMode::OneShot);
    }
}
