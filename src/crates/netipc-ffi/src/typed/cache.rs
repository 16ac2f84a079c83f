//! The cache of a snapshot: refreshed by one thread, read by any.

use std::ffi::{c_char, c_void};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use netipc::Abort;
use netipc::cache::{Cache, CacheStatus, Contents};
use netipc::service::Snapshot;

use super::record::Keeper;
use crate::boundary::Caller;
use crate::config::nipc_client_config_t;
use crate::elements::{nipc_elements_t, not_found};
use crate::error::nipc_error;
use crate::failure::Failure;
use crate::object::{Exclusive, Object};
use crate::status::{millis_up, nipc_client_status_t};
use crate::text::{NIPC_TEXT_BYTES, cut_text};

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

/// What a guard holds, as the headers read it: the library's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct nipc_cache_table_t {
    /// The number of the provider's state.
    generation_: u64,
    /// How many items there are.
    count_: usize,
    /// Where they lie, in the provider's order.
    elements_: nipc_elements_t,
    /// Where they are found, by a hash of the first kind: three u32 for each, a tag and the place and
    /// length of an item. NULL where the library must search.
    slots_: *const c_void,
    /// One less than there are slots.
    mask_: usize,
    /// What is left of a hash after so many bits is the number of a slot.
    shift_: u32,
    /// The most slots that an item lies behind its own.
    farthest_: u32,
}

impl nipc_cache_table_t {
    /// What `contents` holds. All of it is borrowed from there.
    #[inline(always)]
    fn new<S: Snapshot>(contents: &Contents<S>) -> Self {
        let (slots, mask, shift, farthest) = match contents.table() {
            Some(table) => {
                // No further than there are slots, whose places are 32 bits.
                (
                    table.slots.as_ptr().cast(),
                    table.slots.len() - 1,
                    table.shift,
                    table.farthest as u32,
                )
            }
            None => (std::ptr::null(), 0, 0, 0),
        };
        Self {
            generation_: contents.generation(),
            count_: contents.len(),
            elements_: nipc_elements_t::new((contents.places(), contents.payload())),
            slots_: slots,
            mask_: mask,
            shift_: shift,
            farthest_: farthest,
        }
    }
}

/// What a cache holds, and how the headers read it.
pub(crate) struct Shown<S: Snapshot> {
    table: nipc_cache_table_t,
    /// What the table points into.
    contents: Arc<Contents<S>>,
}

// SAFETY: the table points into the contents alone, which `Arc` lets threads share and send, and which
// nobody changes.
unsafe impl<S: Snapshot> Send for Shown<S> where Arc<Contents<S>>: Send {}
// SAFETY: as above.
unsafe impl<S: Snapshot> Sync for Shown<S> where Arc<Contents<S>>: Sync {}

impl<S: Snapshot> Shown<S> {
    fn new(contents: Arc<Contents<S>>) -> Self {
        Self { table: nipc_cache_table_t::new(&contents), contents }
    }

    /// Where the item with this identity lies in the payload.
    fn find(&self, identity: &S::Identity<'_>) -> Option<*const u8> {
        let place = self.contents.place(identity)?;
        self.contents.payload().get(place.start as usize..).map(<[u8]>::as_ptr)
    }
}

/// A guard, as the glue declares it.
pub(crate) trait Shows {
    /// What the headers read; NULL where it holds nothing.
    fn table_mut(&mut self) -> &mut *const nipc_cache_table_t;
}

/// What a live cache keeps.
pub(crate) struct CacheInner<S: Snapshot> {
    abort: Abort,
    /// What the cache itself says, as of its last refresh, for those who ask meanwhile.
    ready: AtomicBool,
    shown: ArcSwap<Shown<S>>,
    cache: Exclusive<Cache<S>>,
}

/// What a guard keeps: dropped by `unlock` alone.
pub(crate) type Guard<S> = ManuallyDrop<arc_swap::Guard<Arc<Shown<S>>>>;

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
        shown: ArcSwap::from_pointee(Shown::new(cache.load().keep())),
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
        let contents = cache.load().keep();
        if !Arc::ptr_eq(&contents, &self.shown.load().contents) {
            self.shown.store(Arc::new(Shown::new(contents)));
        }
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
    G: for<'k> Keeper<N, Kept<'k> = Guard<S>> + Shows,
    // Another thread may give the guard back.
    arc_swap::Guard<Arc<Shown<S>>>: Send,
{
    let cache = caller.object(cache)?;
    let guard = caller.in_mut(guard, "guard")?;
    if guard.is_filled() {
        return Err(held_already());
    }
    let held = cache.shown.load();
    *guard.table_mut() = &raw const held.table;
    *guard.words_mut() = G::keep(ManuallyDrop::new(held));
    Ok(())
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
    G: for<'k> Keeper<N, Kept<'k> = Guard<S>> + Shows,
{
    let held = caller.take(guard, "guard")?;
    *caller.in_mut(guard, "guard")?.table_mut() = std::ptr::null();
    drop(ManuallyDrop::into_inner(held));
    Ok(())
}

/// Finds an item, and answers where it lies: for caches whose items the headers cannot find themselves.
#[inline(always)]
pub(crate) fn find<S: Snapshot>(
    caller: Caller<'_>,
    held: &arc_swap::Guard<Arc<Shown<S>>>,
    identity: &S::Identity<'_>,
    record: *mut *const c_void,
) -> Result<(), Failure> {
    let out = caller.out(record, "record")?;
    match held.find(identity) {
        Some(found) => {
            out.write(found.cast());
            Ok(())
        }
        None => Err(not_found()),
    }
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
    caller.close_if(cache, |inner| inner.cache.lock()).map(drop)
}
