//! Sleeping until a peer publishes, and waking one that sleeps: futexes.
//!
//! # How a sleep ends for sure
//!
//! By a message: the publisher changes the signal, then wakes; the kernel lets nobody sleep on a word
//! that no longer holds what he saw. By [`RegionHandle::end`](crate::RegionHandle::end): the signal is
//! the peer's to write, and a hostile one can write back what the sleeper saw, take the wake-up with
//! sleepers of its own, or move the sleeper to another word (`FUTEX_REQUEUE`). So a sleep that may
//! be long is on two words at once (`futex_waitv`), the second of which is this process' own and out
//! of any peer's reach.
//!
//! That call costs more than the plain one, and a busy session would pay it for each message: so the
//! first sleep is a plain one of at most [`FIRST_SLEEP`], and only he who still waits then takes the
//! long one. An idle session makes one system call more, once. Where the kernel has no `futex_waitv`
//! (before Linux 5.16, and in some sandboxes) the long sleep is cut into pieces of [`BLIND_SLEEP`].
//!
//! A client's sleep is watched instead: in pieces of [`WATCH_SLICE`] it looks at its socket, by which
//! the peer's death shows, and at its abort handle. That is while a call waits, and at no other time.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::thread::{ClockId, futex};

use super::mapping::Mapping;
use crate::platform::refused;
use crate::region::Direction;
use crate::shm::{Futex, Signalled};
use crate::{Abort, Breach, Deadline, RegionError, Until};

/// How long a wait looks at neither its socket nor its abort handle.
pub(super) const WATCH_SLICE: Duration = Duration::from_millis(25);
/// How long a sleep is that the peer's words alone end.
const FIRST_SLEEP: Duration = Duration::from_millis(25);
/// The same where the kernel offers no better.
const BLIND_SLEEP: Duration = Duration::from_secs(1);

/// One wait: its sleeps, one after the other.
#[derive(Debug)]
pub(crate) struct Sleeper<'a> {
    until: Until<'a>,
    has_slept: bool,
}

impl<'a> Sleeper<'a> {
    pub(crate) const fn new(until: Until<'a>, _mapping: &Mapping, _doorbell: &Doorbell) -> Self {
        Self { until, has_slept: false }
    }

    /// Sleeps while `signal` holds `heard`, and `own` zero. May return early.
    pub(crate) fn doze(
        &mut self,
        signal: &AtomicU32,
        heard: u32,
        own: &AtomicU32,
    ) -> Result<(), RegionError> {
        let Until { deadline, abort, socket } = self.until;
        if abort.is_some_and(Abort::is_set) {
            return Err(RegionError::Aborted);
        }
        if deadline.has_passed() {
            return Err(RegionError::TimedOut);
        }
        // Not before the first sleep: messages come more often than peers leave.
        let is_first = !std::mem::replace(&mut self.has_slept, true);
        if let (false, Some(socket)) = (is_first, socket)
            && socket.peer_gone().map_err(RegionError::Os)?
        {
            return Err(RegionError::PeerGone);
        }
        let slept = if abort.is_some() || socket.is_some() {
            sleep_at_most(signal, heard, WATCH_SLICE, deadline)
        } else if is_first {
            sleep_at_most(signal, heard, FIRST_SLEEP, deadline)
        } else {
            match sleep_on_both(signal, heard, own, deadline) {
                Err(Errno::NOSYS | Errno::PERM) => {
                    sleep_at_most(signal, heard, BLIND_SLEEP, deadline)
                }
                slept => slept,
            }
        };
        match slept {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
            // The word is gone.
            Err(Errno::FAULT) => Err(RegionError::Broken(Breach::CutOff)),
            Err(errno) => Err(RegionError::Os(refused("wait for a message")(errno))),
        }
    }
}

/// The plain sleep, of `most` at most.
fn sleep_at_most(
    signal: &AtomicU32,
    heard: u32,
    most: Duration,
    deadline: Deadline,
) -> Result<(), Errno> {
    let most = deadline.remaining().map_or(most, |left| left.min(most));
    // Never a private one: the waker is another process (spec section 7).
    futex::wait(signal, futex::Flags::empty(), heard, Some(&timespec(most)))
}

/// The sleep that no peer can keep this process in.
fn sleep_on_both(
    signal: &AtomicU32,
    heard: u32,
    own: &AtomicU32,
    deadline: Deadline,
) -> Result<(), Errno> {
    let shared = waiter(signal, heard, futex::WaitFlags::SIZE_U32);
    let private = waiter(own, 0, futex::WaitFlags::SIZE_U32 | futex::WaitFlags::PRIVATE);
    // This call wants the moment, not the length.
    let end = match deadline.remaining() {
        None => None,
        Some(left) => {
            let now = rustix::time::clock_gettime(ClockId::Monotonic);
            Some(now.checked_add(timespec(left)).unwrap_or(now))
        }
    };
    let flags = futex::WaitvFlags::empty();
    futex::waitv(&[shared, private], flags, end.as_ref(), ClockId::Monotonic).map(|_woken_by| ())
}

fn waiter(word: &AtomicU32, expected: u32, flags: futex::WaitFlags) -> futex::Wait {
    let mut waiter = futex::Wait::new();
    waiter.val = expected.into();
    waiter.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
    waiter.flags = flags;
    waiter
}

fn timespec(length: Duration) -> Timespec {
    Timespec {
        tv_sec: length.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: length.subsec_nanos().into(),
    }
}

/// What wakes who waits for a message.
pub(crate) type Doorbell = Signalled<Futexes>;

impl Doorbell {
    /// Only the session's socket tells that an end has left.
    pub(crate) const TELLS_OF_CLOSE: bool = false;

    /// Nothing: see above.
    #[allow(clippy::unused_self)]
    pub(crate) const fn say_closed(&self, _mapping: &Mapping, _outgoing: Direction) {}
}

pub(super) const fn doorbell() -> Doorbell {
    Signalled(Futexes)
}

/// Wakes by futexes. A wake-up has no failure but that of a word which is not mapped.
#[derive(Debug)]
pub(crate) struct Futexes;

/// All of them: the kernel takes a signed number.
const EVERYBODY: u32 = i32::MAX as u32;

impl Futex<AtomicU32> for Futexes {
    #[inline]
    fn wake_peer(&self, word: &AtomicU32) {
        let _woken = futex::wake(word, futex::Flags::empty(), 1);
    }

    fn wake_all(&self, word: &AtomicU32, own: &AtomicU32) {
        let _woken = futex::wake(word, futex::Flags::empty(), EVERYBODY);
        let _woken = futex::wake(own, futex::Flags::PRIVATE, EVERYBODY);
    }

    #[cfg(feature = "failpoints")]
    fn reached(&self, step: crate::shm::Step) {
        crate::failpoints::reached(step);
    }
}
