//! A host, and the one generation of it that all callers share for a second.
//!
//! Not here: a thread. A scan runs in the caller who finds the last one too old; callers who come
//! meanwhile wait for it and share it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::generation::Generation;

/// How long a generation is given out after its scan has ended. A lookup in several parts finishes
/// on one generation if it takes no longer.
pub const GENERATION_AGE: Duration = Duration::from_secs(1);

/// Where a [`Host`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// The proc file system; by default `/proc`.
    pub proc_root: PathBuf,
    /// A cgroup v2 tree; by default the one that is mounted.
    pub cgroup_root: Option<PathBuf>,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { proc_root: PathBuf::from("/proc"), cgroup_root: None }
    }
}

type Clock = dyn Fn() -> Instant + Send + Sync;

/// Scans a host when asked, at most once a [`GENERATION_AGE`]. Share it between threads by
/// reference or `Arc`.
pub struct Host {
    config: HostConfig,
    clock: Box<Clock>,
    kept: Mutex<Option<Kept>>,
    /// Number of the generation that the last completed scan made.
    completed: AtomicU64,
}

struct Kept {
    scanned_at: Instant,
    generation: Arc<Generation>,
}

impl Host {
    /// Reads nothing yet.
    pub fn new(config: HostConfig) -> Self {
        Self::with_clock(config, Instant::now)
    }

    /// As [`Host::new`], with a clock of the caller's.
    pub fn with_clock(
        config: HostConfig,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self {
            config,
            clock: Box::new(clock),
            kept: Mutex::new(None),
            completed: AtomicU64::new(first_number()),
        }
    }

    /// The generation of now: the last one, if its scan ended less than [`GENERATION_AGE`] ago or
    /// after this call began, or else a new one, scanned by this call. It stays valid while it is
    /// held.
    ///
    /// # Errors
    /// The operating system refuses to show `proc_root`: mount it, or name another in the
    /// configuration. (A missing cgroup tree is no error: [`Generation::tree`] tells.)
    pub fn current(&self) -> io::Result<Arc<Generation>> {
        // Relaxed: only a hint on freshness; the data itself is handed over by the mutex.
        let completed_before = self.completed.load(Ordering::Relaxed);
        // A scan that panicked has left the last generation in place, and that is whole.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.completed.load(Ordering::Relaxed);
        if let Some(kept) = kept.as_ref() {
            let age = (self.clock)().saturating_duration_since(kept.scanned_at);
            if is_current(age, number != completed_before) {
                return Ok(Arc::clone(&kept.generation));
            }
        }
        let number = number.checked_add(1).unwrap_or(1);
        let generation = Arc::new(Generation::scan(&self.config, number)?);
        *kept = Some(Kept { scanned_at: (self.clock)(), generation: Arc::clone(&generation) });
        self.completed.store(number, Ordering::Relaxed);
        Ok(generation)
    }
}

/// Callers that waited while another scanned take what it found, however long it took: else each of
/// them would scan in turn on a host where a scan takes longer than a generation is kept.
fn is_current(age: Duration, has_waited_for_it: bool) -> bool {
    age < GENERATION_AGE || has_waited_for_it
}

/// Generations are counted from the wall clock, in microseconds, so that a provider that was
/// restarted does not number new data as its predecessor numbered other data. Never zero.
fn first_number() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_kept_for_its_age_and_for_those_who_waited() {
        let just_before = GENERATION_AGE - Duration::from_nanos(1);
        assert!(is_current(just_before, false));
        assert!(!is_current(GENERATION_AGE, false));
        assert!(is_current(GENERATION_AGE * 10, true));
    }

    #[test]
    fn a_restarted_provider_does_not_begin_with_the_same_number() {
        let number = first_number();
        assert!(number > 1);
        assert!(first_number() >= number);
    }
}
