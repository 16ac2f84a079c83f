//! What a server's handlers handled, counted without a lock and without sharing a cache line: each
//! thread has a counter of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A counter on a line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(AtomicU64);

static SHARDS: Mutex<Vec<Arc<Shard>>> = Mutex::new(Vec::new());

thread_local! {
    static SHARD: Arc<Shard> = {
        let shard = Arc::<Shard>::default();
        SHARDS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&shard));
        shard
    };
}

/// One request more. Answers how many this thread has counted.
pub(super) fn count() -> u64 {
    SHARD.with(|shard| {
        // Only this thread writes it.
        let count = shard.0.load(Ordering::Relaxed) + 1;
        shard.0.store(count, Ordering::Relaxed);
        count
    })
}

/// What all threads have counted.
pub(super) fn total() -> u64 {
    let shards = SHARDS.lock().unwrap_or_else(PoisonError::into_inner);
    shards.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_adds_up_and_outlives_them() {
        let before = total();
        let threads: Vec<_> =
            (0..3).map(|_| std::thread::spawn(|| (0..100).map(|_| count()).max())).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Some(100));
        }
        assert_eq!(total() - before, 300);
    }
}
