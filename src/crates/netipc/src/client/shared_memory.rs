//! Whether shared memory is offered to a server: not for a while after a region could not be attached to
//! (spec section 4), nor for the next session after several of its sessions came to nothing. The status
//! says why.

use std::fmt::{self, Display, Formatter};

use netipc_proto::retry::Backoff;

use crate::{AttachError, Profiles};

/// What a client remembers of its server's shared memory.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedMemory {
    failed: Option<Failed>,
    /// Beside it, so that it can be compared before it is known whether it matters: compilers do, and
    /// valgrind would take that for a mistake.
    offer_again_at_ms: u64,
    /// Its sessions in a row that ended before their first answer.
    fruitless: u32,
}

#[derive(Clone, Debug)]
struct Failed {
    why: AttachError,
    /// Failures in a row.
    count: u32,
}

/// Why it is not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhyNot {
    /// A region could not be attached to: for a while.
    Unusable(AttachError),
    /// Its sessions end before their first answer: for one session.
    Fruitless,
}

impl SharedMemory {
    /// Of what is configured, what is offered now.
    pub(super) fn offer(&self, configured: Profiles, now_ms: u64) -> Profiles {
        match self.why_not(now_ms) {
            None => configured,
            // Empty means the baseline, which is what is left at least.
            Some(_) => configured.without(Profiles::SHARED_MEMORY),
        }
    }

    /// Why it is not offered now.
    pub(super) fn why_not(&self, now_ms: u64) -> Option<WhyNot> {
        match &self.failed {
            Some(failed) if now_ms < self.offer_again_at_ms => Some(WhyNot::Unusable(failed.why)),
            _ => (self.fruitless >= MOST_FRUITLESS).then_some(WhyNot::Fruitless),
        }
    }

    /// A region could not be attached to.
    pub(super) fn failed(&mut self, why: AttachError, now_ms: u64) {
        let earlier = self.failed.take().map_or(0, |failed| failed.count);
        // No chance is in it: this back-off has no jitter.
        self.offer_again_at_ms = now_ms.saturating_add(Backoff::RARELY.delay_ms(earlier, 0));
        let count = earlier.saturating_add(1);
        self.failed = Some(Failed { why, count });
    }

    /// A region was attached to: what could not be before does not matter any more.
    pub(super) fn works(&mut self) {
        self.failed = None;
    }

    /// A session over it was asked, or about to be, and ended before its first answer: its region broke
    /// or was gone, or the server left. Whose doing that is cannot be told from here, and a full server
    /// looks alike (spec section 11); but somebody who breaks every new region must not keep a client
    /// from being served.
    pub(super) const fn fruitless(&mut self) {
        self.fruitless = self.fruitless.saturating_add(1);
    }

    /// A session was answered, or is over the socket, or cannot be: the row of those that came to nothing
    /// has ended.
    pub(super) const fn row_ended(&mut self) {
        self.fruitless = 0;
    }
}

impl Display for WhyNot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(why) => {
                write!(f, "shared memory is not offered for a while, it could not be used: {why}")
            }
            Self::Fruitless => write!(
                f,
                "shared memory was not offered this time, the last {MOST_FRUITLESS} sessions over it \
                 ended before their first answer"
            ),
        }
    }
}

/// Sessions in a row that may come to nothing: two mean a server that is full, to which shared memory is
/// offered still.
const MOST_FRUITLESS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RegionDefect;

    #[test]
    fn what_failed_is_offered_again_later_each_time() {
        let both = Profiles::BASELINE | Profiles::SHM_HYBRID;
        let why = AttachError::NotReady(RegionDefect::Missing);
        let mut memory = SharedMemory::default();
        assert_eq!(memory.offer(both, 0), both);
        let mut now_ms = 1_000;
        for pause_ms in [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000] {
            memory.failed(why, now_ms);
            now_ms += pause_ms - 1;
            assert_eq!(memory.offer(both, now_ms), Profiles::BASELINE);
            assert_eq!(memory.why_not(now_ms), Some(WhyNot::Unusable(why)));
            now_ms += 1;
            assert_eq!((memory.offer(both, now_ms), memory.why_not(now_ms)), (both, None));
        }
        memory.works();
        memory.failed(why, now_ms);
        assert_eq!(memory.offer(both, now_ms + 10_000), both, "it starts over");
    }

    #[test]
    fn sessions_in_a_row_that_come_to_nothing_cost_the_next_one_shared_memory() {
        let both = Profiles::BASELINE | Profiles::SHM_HYBRID;
        let mut memory = SharedMemory::default();
        for _ in 0..3 {
            for _ in 1..MOST_FRUITLESS {
                memory.fruitless();
                assert_eq!((memory.offer(both, 0), memory.why_not(0)), (both, None));
            }
            memory.fruitless();
            assert_eq!(memory.offer(both, 0), Profiles::BASELINE);
            assert_eq!(memory.why_not(0), Some(WhyNot::Fruitless));
            // Whoever does not get that session either tries again.
            memory.fruitless();
            assert_eq!(memory.offer(both, 0), Profiles::BASELINE);
            memory.row_ended();
            assert_eq!(memory.offer(both, 0), both);
        }
    }

    #[test]
    fn what_cannot_be_used_is_the_reason_before_what_came_to_nothing() {
        let why = AttachError::Denied;
        let mut memory = SharedMemory::default();
        for _ in 0..MOST_FRUITLESS {
            memory.fruitless();
        }
        memory.failed(why, 0);
        assert_eq!(memory.why_not(9_999), Some(WhyNot::Unusable(why)));
        assert_eq!(memory.why_not(10_000), Some(WhyNot::Fruitless));
        memory.works();
        assert_eq!(memory.why_not(0), Some(WhyNot::Fruitless));
    }
}
