//! Many descriptors, one sleeping thread: epoll.
//!
//! An idle descriptor in the set costs the kernel some memory and nothing else: no system call, no
//! wake-up. With [`WatchMode::OneShot`] several threads may wait on one set: each event goes to one of
//! them, and its descriptor stays silent until that thread arms it again.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll;
use rustix::io::Errno;

use super::refused;
use super::wait::timespec;
use crate::watch::MAX_EVENTS_PER_WAIT;
use crate::{Deadline, Event, Events, Interest, SysError, WatchMode};

/// A set of descriptors to sleep on.
///
/// A descriptor must be removed before it is closed where a copy of it may live on (the kernel
/// forgets it by itself only with the last copy). All methods take `&self` and may run while other
/// threads wait.
#[derive(Debug)]
pub struct WaitSet(OwnedFd);

impl WaitSet {
    /// An empty set.
    ///
    /// # Errors
    /// No descriptor or memory for it.
    pub fn new() -> Result<Self, SysError> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Self).map_err(refused("create a wait set"))
    }

    /// Adds a descriptor, which reports itself as `token`.
    ///
    /// # Errors
    /// It is in the set already, or there is no memory for it, or no more of this user's watches.
    pub fn add(
        &self,
        source: impl AsFd,
        token: u64,
        interest: Interest,
        mode: WatchMode,
    ) -> Result<(), SysError> {
        epoll::add(&self.0, source, epoll::EventData::new_u64(token), flags(interest, mode))
            .map_err(refused("add to a wait set"))
    }

    /// Changes what a descriptor is watched for; arms a one-shot one again. Something that is
    /// ready already is reported.
    ///
    /// # Errors
    /// It is not in the set.
    pub fn modify(
        &self,
        source: impl AsFd,
        token: u64,
        interest: Interest,
        mode: WatchMode,
    ) -> Result<(), SysError> {
        epoll::modify(&self.0, source, epoll::EventData::new_u64(token), flags(interest, mode))
            .map_err(refused("change a wait set"))
    }

    /// Removes a descriptor. Events of it that a wait has already returned stay where they are.
    ///
    /// # Errors
    /// It is not in the set.
    pub fn remove(&self, source: impl AsFd) -> Result<(), SysError> {
        epoll::delete(&self.0, source).map_err(refused("remove from a wait set"))
    }

    /// Sleeps until something is ready or the deadline passes; returns how many events came, zero
    /// at the deadline. To end it earlier, put a [`Waker`](crate::Waker) or an
    /// [`Abort`](crate::Abort) into the set.
    ///
    /// # Errors
    /// The system refused to wait.
    pub fn wait(&self, events: &mut Events, deadline: Deadline) -> Result<usize, SysError> {
        events.clear();
        // What the kernel writes into is on the stack, for its records hold what looks like a pointer, and
        // would keep `Events` from moving between threads.
        let mut room = [MaybeUninit::uninit(); MAX_EVENTS_PER_WAIT];
        let (room, _) = room.split_at_mut(events.capacity());
        loop {
            match epoll::wait(&self.0, &mut *room, timespec(deadline).as_ref()) {
                // The kernel counts milliseconds here and may be early by a part of one.
                Ok(([], _)) if !deadline.has_passed() => {}
                Ok((written, _)) => {
                    events.extend(written.iter().map(event));
                    return Ok(events.len());
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(refused("wait")(errno)),
            }
        }
    }
}

impl AsFd for WaitSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn event(written: &epoll::Event) -> Event {
    // Copied out: the kernel's record is packed.
    let (flags, data) = (written.flags, written.data);
    let closed = epoll::EventFlags::HUP | epoll::EventFlags::ERR | epoll::EventFlags::RDHUP;
    Event {
        token: data.u64(),
        readable: flags.contains(epoll::EventFlags::IN),
        writable: flags.contains(epoll::EventFlags::OUT),
        closed: flags.intersects(closed),
    }
}

fn flags(interest: Interest, mode: WatchMode) -> epoll::EventFlags {
    let wanted = match interest {
        Interest::Nothing => epoll::EventFlags::empty(),
        Interest::Read => epoll::EventFlags::IN | epoll::EventFlags::RDHUP,
        Interest::Write => epoll::EventFlags::OUT | epoll::EventFlags::RDHUP,
        Interest::ReadWrite => {
            epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP
        }
    };
    let once = match mode {
        WatchMode::Level => epoll::EventFlags::empty(),
        WatchMode::OneShot => epoll::EventFlags::ONESHOT,
    };
    wanted | once
}
