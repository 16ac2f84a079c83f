//! Sleeping in the kernel until one descriptor is ready, with a deadline and an abort.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Abort, refused};
use crate::Deadline;
use crate::error::WaitError;

/// Sleeps until there is something to take from `source`: a socket, a listener, a wait set, a waker.
///
/// # Errors
/// Each variant of [`WaitError`]. An abort comes before readiness, readiness before the deadline.
pub fn wait_readable(
    source: impl AsFd,
    deadline: Deadline,
    abort: &Abort,
) -> Result<(), WaitError> {
    wait_ready(source.as_fd(), PollFlags::IN, deadline, abort)
}

/// Sleeps until `fd` has one of `wanted` (or an error, or a hang-up).
///
/// An abort comes before readiness, readiness before the deadline.
pub(super) fn wait_ready(
    fd: BorrowedFd<'_>,
    wanted: PollFlags,
    deadline: Deadline,
    abort: &Abort,
) -> Result<(), WaitError> {
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(abort.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(fd, wanted),
        ];
        match poll(&mut fds, timespec(deadline).as_ref()) {
            Ok(0) if deadline.has_passed() => return Err(WaitError::TimedOut),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) if !fds[0].revents().is_empty() => return Err(WaitError::Aborted),
            Ok(_) => return Ok(()),
            Err(errno) => return Err(WaitError::Os(refused("wait for a socket")(errno))),
        }
    }
}

/// What `fd` shows right now, without waiting. Errors and hang-ups show always.
pub(super) fn look(fd: BorrowedFd<'_>, wanted: PollFlags) -> Result<PollFlags, Errno> {
    let mut fds = [PollFd::from_borrowed_fd(fd, wanted)];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })))?;
    Ok(fds[0].revents())
}

/// Waits out a pause that the contract itself prescribes, where no event can tell.
pub(super) fn pause(length: Duration) {
    let deadline = Deadline::after(length);
    while !deadline.has_passed() {
        // Returning early is harmless: the loop looks at the clock.
        let _early = poll(&mut [], timespec(deadline).as_ref());
    }
}

/// What is left of a deadline, as the kernel counts it; `None` is for ever.
pub(super) fn timespec(deadline: Deadline) -> Option<Timespec> {
    let remaining = deadline.remaining()?;
    Some(Timespec {
        tv_sec: remaining.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: remaining.subsec_nanos().into(),
    })
}
