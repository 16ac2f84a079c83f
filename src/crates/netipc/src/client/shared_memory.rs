//! Whether shared memory is offered to a server whose regions could not be attached to (spec section
//! 4): not for a while, and the status says why.

use netipc_proto::retry::Backoff;

use crate::{AttachError, Profiles};

/// What a client remembers of its server's shared memory.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedMemory {
    failed: Option<Failed>,
    /// Beside it, so that it can be compared before it is known whether it matters: compilers do, and
    /// valgrind would take that for a mistake.
    offer_again_at_ms: u64,
}

#[derive(Clone, Debug)]
struct Failed {
    why: AttachError,
    /// Failures in a row.
    count: u32,
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
    pub(super) fn why_not(&self, now_ms: u64) -> Option<&AttachError> {
        let failed = self.failed.as_ref().filter(|_| now_ms < self.offer_again_at_ms)?;
        Some(&failed.why)
    }

    /// A region could not be attached to.
    pub(super) fn failed(&mut self, why: AttachError, now_ms: u64) {
        let earlier = self.failed.take().map_or(0, |failed| failed.count);
        // No chance is in it: this back-off has no jitter.
        self.offer_again_at_ms = now_ms.saturating_add(Backoff::RARELY.delay_ms(earlier, 0));
        let count = earlier.saturating_add(1);
        self.failed = Some(Failed { why, count });
    }

    /// A region was attached to: what was before does not matter any more.
    pub(super) fn works(&mut self) {
        self.failed = None;
    }
}

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
            assert_eq!(memory.why_not(now_ms), Some(&why));
            now_ms += 1;
            assert_eq!((memory.offer(both, now_ms), memory.why_not(now_ms)), (both, None));
        }
        memory.works();
        memory.failed(why, now_ms);
        assert_eq!(memory.offer(both, now_ms + 10_000), both, "it starts over");
    }
}
