//! How long a call may wait.

use std::time::Duration;

use netipc::Deadline;

use crate::status::millis_up;

/// For timeouts: until the object's abort, or something, ends the call.
pub const NIPC_WAIT_FOREVER: u32 = 0xFFFF_FFFF;

/// What a timeout means from now on.
pub(super) fn deadline(timeout_ms: u32) -> Deadline {
    match timeout_ms {
        NIPC_WAIT_FOREVER => Deadline::never(),
        timeout_ms => Deadline::after(Duration::from_millis(timeout_ms.into())),
    }
}

/// What is left, as `poll` and `epoll_wait` take it: -1 for ever, and never shorter than it is.
pub(super) fn poll_timeout_ms(deadline: Deadline) -> i32 {
    deadline.remaining().map_or(-1, |left| i32::try_from(millis_up(left)).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poll_waits_no_shorter_than_the_deadline() {
        assert_eq!(poll_timeout_ms(Deadline::never()), -1);
        assert_eq!(poll_timeout_ms(deadline(NIPC_WAIT_FOREVER)), -1);
        assert_eq!(poll_timeout_ms(deadline(0)), 0);
        assert_eq!(poll_timeout_ms(Deadline::after(Duration::from_micros(1500))), 2);
        assert_eq!(poll_timeout_ms(Deadline::after(Duration::from_secs(1 << 40))), i32::MAX);
    }
}
