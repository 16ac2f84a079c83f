//! The cache of a snapshot: refreshed by one thread, read by any.

use std::ffi::c_char;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use netipc::cache::{Cache, CacheStatus, Held, Reader};
use netipc::service::{Snapshot, SnapshotItemView};
use netipc::{Abort, Fault};

use super::record::Keeper;
use crate::boundary::Caller;
use crate::config::nipc_client_config_t;
use crate::error::nipc_error;
use crate::failure::Failure;
use crate::object::{Exclusive, Object};
use crate::status::{millis_up, nipc_client_status_t};
use crate::text::{NIPC_TEXT_BYTES, cut_text};
use crate::words;

/// What a cache holds, how old that is, and what its refreshes met.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct nipc_cache_status_t {
    /// Whether it was ever filled.
    pub filled: bool,
    /// The number of the provider's state that it holds; 0 before it was filled.
    pub generation: u64,
    /// Items that it holds.
    pub items: usize,
    /// Bytes of the payload that it holds.
    pub payload_bytes: usize,
    /// How long ago it was filled, in milliseconds; 0 before.
    pub age_ms: u64,
    /// Refreshes that filled it.
    pub refreshes: u64,
    /// Refreshes that failed: what it held before was kept.
    pub failures: u64,
    /// Why the last refresh failed; "" when it did not.
    pub last_error: [c_char; NIPC_TEXT_BYTES],
    /// Its client.
    pub client: nipc_client_status_t,
}

impl nipc_cache_status_t {
    fn new(status: &CacheStatus) -> Self {
        Self {
            filled: status.filled,
            generation: status.generation,
            items: status.items,
            payload_bytes: status.payload_bytes,
            age_ms: status.age.map_or(0, millis_up),
            refreshes: status.refreshes,
            failures: status.failures,
            last_error: cut_text(&[status.last_error.as_deref().unwrap_or("")]),
            client: nipc_client_status_t::new(&status.client),
        }
    }
}

/// What a live cache keeps.
pub(crate) struct CacheInner<S: Snapshot> {
    abort: Abort,
    /// What the cache itself says, as of its last refresh, for those who ask meanwhile.
    ready: AtomicBool,
    reader: Reader<S>,
    cache: Exclusive<Cache<S>>,
}

/// What a guard keeps: dropped by `unlock` alone.
pub(crate) type Guard<S> = ManuallyDrop<Held<S>>;

/// Makes a cache live.
pub(crate) fn init<S: Snapshot, C: Object<Inner = CacheInner<S>>>(
    caller: Caller<'_>,
    cache: *mut C,
    (run_dir, service_name): (*const c_char, *const c_char),
    config: *const nipc_client_config_t,
) -> Result<(), Failure> {
    let place = caller.vacant(cache)?;
    let endpoint = caller.endpoint(run_dir, service_name)?;
    let mut cache = Cache::new(endpoint, caller.client_config(config)?);
    place.fill(CacheInner {
        abort: cache.abort_handle()?,
        ready: AtomicBool::new(cache.ready()),
        reader: cache.reader(),
        cache: Exclusive::new(cache),
    });
    Ok(())
}

impl<S: Snapshot> CacheInner<S> {
    pub(crate) fn refresh(&self) -> Result<(), Failure> {
        let mut cache = self.cache.lock()?;
        let refreshed = cache.refresh();
        // A hint that nothing hangs on.
        self.ready.store(cache.ready(), Ordering::Relaxed);
        Ok(refreshed?)
    }

    pub(crate) fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(crate) const fn abort(&self) -> &Abort {
        &self.abort
    }
}

/// Fills a guard with what the cache holds now.
#[inline(always)]
pub(crate) fn read_lock<S, C, G, const N: usize>(
    caller: Caller<'_>,
    cache: *const C,
    guard: *mut G,
) -> Result<(), Failure>
where
    S: Snapshot,
    C: Object<Inner = CacheInner<S>>,
    G: for<'k> Keeper<N, Kept<'k> = Guard<S>>,
    // Another thread may give the guard back.
    Held<S>: Send,
{
    let cache = caller.object(cache)?;
    match caller.empty::<G, N>(guard, "guard")? {
        Some(words) => {
            *words = words::keep::<Guard<S>, N>(ManuallyDrop::new(cache.reader.load()));
            Ok(())
        }
        None => Err(held_already()),
    }
}

#[cold]
#[inline(never)]
fn held_already() -> Failure {
    let words = "the guard holds something already: unlock it first";
    Failure::new(nipc_error::NIPC_ERR_ALREADY_INITIALIZED, words)
}

/// Lets go of what a guard holds.
#[inline(always)]
pub(crate) fn read_unlock<S, G, const N: usize>(
    caller: Caller<'_>,
    guard: *mut G,
) -> Result<(), Failure>
where
    S: Snapshot,
    G: for<'k> Keeper<N, Kept<'k> = Guard<S>>,
{
    drop(ManuallyDrop::into_inner(caller.take(guard, "guard")?));
    Ok(())
}

/// Finds an item.
#[inline(always)]
pub(crate) fn get<'c, S: Snapshot, V: From<SnapshotItemView<'c, S>>>(
    caller: Caller<'c>,
    held: &'c Held<S>,
    identity: &S::Identity<'_>,
    item: *mut V,
) -> Result<(), Failure> {
    let out = caller.out(item, "item")?;
    match held.get(identity) {
        Some(found) => {
            out.write(V::from(found));
            Ok(())
        }
        None => Err(not_found()),
    }
}

/// Reads item `index`, in the provider's order.
#[inline(always)]
pub(crate) fn item<'c, S: Snapshot, V: From<SnapshotItemView<'c, S>>>(
    caller: Caller<'c>,
    held: &'c Held<S>,
    index: usize,
    item: *mut V,
) -> Result<(), Failure> {
    super::record::element(caller, item, index, |index| held.items().nth(index), || held.len())
}

#[cold]
#[inline(never)]
fn not_found() -> Failure {
    let words = "the cache holds no item of that identity";
    Failure::of(nipc_error::NIPC_ERR_NOT_FOUND, words.into(), Some(Fault::Nobody))
}

/// What the cache tells of itself.
pub(crate) fn status<S: Snapshot>(
    caller: Caller<'_>,
    cache: &CacheInner<S>,
    status: *mut nipc_cache_status_t,
) -> Result<(), Failure> {
    let out = caller.out(status, "status")?;
    let told = cache.cache.lock()?.status();
    out.write(nipc_cache_status_t::new(&told));
    Ok(())
}

/// Closes a cache. Guards keep what they hold.
pub(crate) fn close<S: Snapshot, C: Object<Inner = CacheInner<S>>>(
    caller: Caller<'_>,
    cache: *mut C,
) -> Result<(), Failure> {
    let in_use = caller.object(cache)?.cache.lock()?;
    let closed = caller.close(cache)?;
    drop(in_use);
    drop(closed);
    Ok(())
}
