//! Objects that callers allocate: a tag, and one pointer to what the library keeps.
//!
//! ```text
//!   C struct { tag_, inner_ } ──▶ Arc<Inner>
//!     zeroed: closed      tag set: live      anything else: never zeroed, refused
//! ```
//!
//! Zeroed is valid and closed; the struct may be moved, for nothing points at it, and not copied, for
//! closing one copy frees what the other points at. What `Inner` is made of keeps threads apart: a
//! client is behind a lock that nobody waits for, a server may be called from anywhere.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use crate::boundary::Caller;
use crate::error::nipc_error;
use crate::failure::Failure;

/// A C struct of the layout of [`Words`]: see [`object!`](crate::object::object).
///
/// # Safety
/// The struct is `repr(C)` and has exactly the fields of [`Words`].
pub(crate) unsafe trait Object {
    /// Tells its kind apart from other objects, and from memory that was never zeroed.
    const TAG: u64;
    /// What to call it in words.
    const NAME: &'static str;
    /// What the library keeps.
    type Inner: Send + Sync + 'static;
}

/// What every object's struct holds. Atomic, so that a thread which closes an object races with none
/// that merely looks whether it is live.
#[repr(C)]
struct Words {
    tag: AtomicU64,
    inner: AtomicPtr<c_void>,
}

/// The size of every object, in bytes, as the header asserts it.
pub(crate) const OBJECT_BYTES: usize = 16;

const _: () = assert!(size_of::<Words>() == OBJECT_BYTES && align_of::<Words>() == 8);

/// The tag of an object of any kind that a thread is closing.
const CLOSING: u64 = u64::from_be_bytes(*b"NIPCclos");

/// Makes a C struct of two words an [`Object`].
macro_rules! object {
    ($type:ty, $name:literal, $tag:literal, $inner:ty) => {
        const _: () =
            assert!(size_of::<$type>() == $crate::object::OBJECT_BYTES && align_of::<$type>() == 8);
        // SAFETY: the size and alignment are those of two words, as was just asserted, and the
        // struct is declared with the two fields of `Words`, `repr(C)`.
        unsafe impl $crate::object::Object for $type {
            const TAG: u64 = u64::from_be_bytes(*$tag);
            const NAME: &'static str = $name;
            type Inner = $inner;
        }
    };
}
pub(crate) use object;

impl<'c> Caller<'c> {
    /// What a live object keeps.
    #[inline(always)]
    pub(crate) fn object<O: Object>(self, object: *const O) -> Result<&'c O::Inner, Failure> {
        let words = self.words(object)?;
        live::<O>(words)?;
        let inner = words.inner.load(Ordering::Relaxed).cast::<O::Inner>();
        self.in_ref(inner, O::NAME)
    }

    /// [`object`](Self::object) to be kept beyond the call's own look at it: for calls that wait while
    /// another thread may close the object.
    pub(crate) fn shared<O: Object>(self, object: *const O) -> Result<Arc<O::Inner>, Failure> {
        let inner = std::ptr::from_ref(self.object(object)?);
        // SAFETY: `inner` came from `Arc::into_raw` in `Vacant::fill`, and the object holds its count
        // while it is live, which it is during the call.
        unsafe { Arc::increment_strong_count(inner) };
        // SAFETY: as above; the count that was just added is this one's.
        Ok(unsafe { Arc::from_raw(inner) })
    }

    /// An object that is zeroed or closed, to be made live.
    pub(crate) fn vacant<O: Object>(self, object: *mut O) -> Result<Vacant<'c, O>, Failure> {
        let words = self.words(object)?;
        match words.tag.load(Ordering::Acquire) {
            0 => Ok(Vacant { words, object: std::marker::PhantomData }),
            tag if tag == O::TAG || tag == CLOSING => Err(Failure::new(
                nipc_error::NIPC_ERR_ALREADY_INITIALIZED,
                format!("the {} is live already: close it first", O::NAME),
            )),
            _ => Err(Failure::argument(format!(
                "the {} was not zeroed before its first use: write `= {{0}}`",
                O::NAME
            ))),
        }
    }

    /// Closes a live object: what it kept is the caller's of this.
    pub(crate) fn close<O: Object>(self, object: *mut O) -> Result<Arc<O::Inner>, Failure> {
        self.close_if(object, |_inner| Ok(()))
    }

    /// Closes a live object if `may` allows it. Meanwhile it is closed for everybody else, so that of
    /// several threads that close it at once one alone looks at what it keeps. What `may` takes it never
    /// gives back, so that a thread which had just found the object live comes too late.
    pub(crate) fn close_if<O: Object>(
        self,
        object: *mut O,
        may: impl FnOnce(&O::Inner) -> Result<(), Failure>,
    ) -> Result<Arc<O::Inner>, Failure> {
        let words = self.words(object)?;
        // What it kept is seen, for the tag was set after it: Acquire, against the Release in `fill`.
        let won = words.tag.compare_exchange(O::TAG, CLOSING, Ordering::Acquire, Ordering::Relaxed);
        won.map_err(|_| closed::<O>())?;
        let inner = words.inner.load(Ordering::Relaxed).cast::<O::Inner>();
        if let Err(failure) = may(self.in_ref(inner, O::NAME)?) {
            // Against the Acquire of whoever is next, as in `fill`.
            words.tag.store(O::TAG, Ordering::Release);
            return Err(failure);
        }
        words.inner.store(std::ptr::null_mut(), Ordering::Relaxed);
        // Against the Acquire in `vacant`.
        words.tag.store(0, Ordering::Release);
        // SAFETY: `inner` came from `Arc::into_raw` in `Vacant::fill`, and the tag, which only one
        // thread can take away, stood for its count.
        Ok(unsafe { Arc::from_raw(inner) })
    }

    #[inline(always)]
    fn words<O: Object>(self, object: *const O) -> Result<&'c Words, Failure> {
        // The same two words, by `Object`'s promise; atomics may be shared, whoever writes them.
        self.in_ref(object.cast::<Words>(), O::NAME)
    }
}

/// An object that is closed.
pub(crate) struct Vacant<'c, O> {
    words: &'c Words,
    object: std::marker::PhantomData<*mut O>,
}

impl<O: Object> Vacant<'_, O> {
    /// Makes it live.
    pub(crate) fn fill(self, inner: O::Inner) {
        let inner = Arc::into_raw(Arc::new(inner)).cast_mut();
        self.words.inner.store(inner.cast(), Ordering::Relaxed);
        // Against the Acquire of `live` and `close`: whoever sees the tag sees what is kept.
        self.words.tag.store(O::TAG, Ordering::Release);
    }
}

#[inline(always)]
fn live<O: Object>(words: &Words) -> Result<(), Failure> {
    // Against the Release in `Vacant::fill`.
    if words.tag.load(Ordering::Acquire) == O::TAG { Ok(()) } else { Err(closed::<O>()) }
}

#[cold]
#[inline(never)]
fn closed<O: Object>() -> Failure {
    let words = format!("the {} is not live: it was never initialised, or is closed", O::NAME);
    Failure::new(nipc_error::NIPC_ERR_NOT_INITIALIZED, words)
}

/// What one thread uses at a time. Nobody waits: who comes second is told so. A mutex would do, with an
/// atomic operation more each time, for those who wait.
pub(crate) struct Exclusive<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `Taken` alone, of which there is one at a time, so threads that
// share this send the value to each other, which `T: Send` allows.
unsafe impl<T: Send> Sync for Exclusive<T> {}

/// The value, for as long as this lives.
pub(crate) struct Taken<'e, T>(&'e Exclusive<T>);

impl<T> Exclusive<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// `NIPC_ERR_IN_USE` while another thread has it (or this one, further up).
    #[inline(always)]
    pub(crate) fn lock(&self) -> Result<Taken<'_, T>, Failure> {
        // Sees what the one before has left: Acquire, against the Release of `Taken::drop`.
        if self.taken.swap(true, Ordering::Acquire) { Err(in_use()) } else { Ok(Taken(self)) }
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: while this lives nobody else has the value, for `taken` was false before it.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Taken<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; and `self` is borrowed for as long as the value is.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Taken<'_, T> {
    /// Also where a panic unwinds: it is contained and told, and what it left is valid.
    #[inline(always)]
    fn drop(&mut self) {
        // Against the Acquire of `Exclusive::lock`.
        self.0.taken.store(false, Ordering::Release);
    }
}

#[cold]
#[inline(never)]
pub(crate) fn in_use() -> Failure {
    Failure::new(
        nipc_error::NIPC_ERR_IN_USE,
        "another thread is in a call with this object: use one a thread, or take turns",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::boundary::boundary;

    #[repr(C)]
    struct thing_t {
        tag_: u64,
        inner_: *mut c_void,
    }
    object!(thing_t, "thing", b"NIPCtest", Arc<str>);

    fn run(body: impl for<'c> FnOnce(Caller<'c>) -> Result<(), Failure>) -> i32 {
        // SAFETY: the bodies of these tests pass pointers to what lives.
        unsafe { boundary(body) }
    }

    #[test]
    fn an_object_is_live_between_its_filling_and_its_closing() {
        let kept: Arc<str> = "kept".into();
        let mut thing = thing_t { tag_: 0, inner_: std::ptr::null_mut() };
        let at = &raw mut thing;
        let not_live = nipc_error::NIPC_ERR_NOT_INITIALIZED.code();
        assert_eq!(run(|c| c.object(at).map(drop)), not_live);
        assert_eq!(run(|c| c.close(at).map(drop)), not_live);
        assert_eq!(run(|c| c.vacant(at).map(|vacant| vacant.fill(Arc::clone(&kept)))), 0);
        let again = nipc_error::NIPC_ERR_ALREADY_INITIALIZED.code();
        assert_eq!(run(|c| c.vacant(at).map(drop)), again);
        // Moved, it is what it was.
        let mut moved = thing_t { tag_: thing.tag_, inner_: thing.inner_ };
        let at = &raw mut moved;
        assert_eq!(run(|c| c.object(at).map(|kept| assert_eq!(&**kept, "kept"))), 0);
        let mut shared = None;
        assert_eq!(run(|c| c.shared(at).map(|kept| shared = Some(kept))), 0);
        assert_eq!(run(|c| c.close(at).map(drop)), 0);
        assert_eq!(run(|c| c.close(at).map(drop)), not_live);
        assert_eq!(Arc::strong_count(&kept), 2, "the one that waits keeps it");
        drop(shared);
        assert_eq!(Arc::strong_count(&kept), 1, "nothing leaks");
    }

    #[test]
    fn of_threads_that_close_at_once_one_alone_looks_at_what_is_kept() {
        let kept: Arc<str> = "kept".into();
        let thing = Words { tag: AtomicU64::new(0), inner: AtomicPtr::default() };
        let at = || (&raw const thing).cast::<thing_t>().cast_mut();
        let not_live = nipc_error::NIPC_ERR_NOT_INITIALIZED.code();
        assert_eq!(run(|c| c.vacant(at()).map(|vacant| vacant.fill(Arc::clone(&kept)))), 0);
        let refused = run(|c| c.close_if(at(), |_| Err(in_use())).map(drop));
        assert_eq!(refused, nipc_error::NIPC_ERR_IN_USE.code());
        assert_eq!(run(|c| c.object(at()).map(drop)), 0, "it is as it was");
        let (looks, goes_on) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let may = |_: &_| {
                    looks.wait();
                    goes_on.wait();
                    Ok(())
                };
                run(|c| c.close_if((&raw const thing).cast::<thing_t>().cast_mut(), may).map(drop))
            });
            looks.wait();
            let second = run(|c| c.close_if(at(), |_| panic!("it is the other's")).map(drop));
            let used = run(|c| c.object(at()).map(drop));
            let made = run(|c| c.vacant(at()).map(drop));
            goes_on.wait();
            assert_eq!((second, used), (not_live, not_live));
            assert_eq!(made, nipc_error::NIPC_ERR_ALREADY_INITIALIZED.code());
            assert_eq!(first.join().expect("no panic"), 0);
        });
        assert_eq!(Arc::strong_count(&kept), 1, "nothing leaks");
        assert_eq!(run(|c| c.vacant(at()).map(drop)), 0);
    }

    #[test]
    fn what_is_taken_is_refused_to_others_until_it_is_given_back() {
        let value = Exclusive::new(1);
        let mut taken = value.lock().expect("free");
        *taken = 2;
        let refused = || value.lock().map(|value| *value).map_err(|failure| failure.told().error);
        assert_eq!(refused(), Err(nipc_error::NIPC_ERR_IN_USE));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| value.lock().is_err());
            assert!(other.join().expect("no panic"));
        });
        drop(taken);
        assert_eq!(refused(), Ok(2));
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _taken = value.lock();
            panic!("with it");
        }));
        assert!(unwound.is_err());
        assert_eq!(refused(), Ok(2), "a panic gives it back");
    }

    #[test]
    fn memory_that_was_never_zeroed_is_refused() {
        let mut thing = thing_t { tag_: 0x5555_5555, inner_: std::ptr::without_provenance_mut(64) };
        let at = &raw mut thing;
        let refused = nipc_error::NIPC_ERR_INVALID_ARGUMENT.code();
        assert_eq!(run(|c| c.vacant(at).map(drop)), refused);
        assert_eq!(run(|c| c.object(at).map(drop)), nipc_error::NIPC_ERR_NOT_INITIALIZED.code());
        assert_eq!(run(|c| c.close(at).map(drop)), nipc_error::NIPC_ERR_NOT_INITIALIZED.code());
    }
}
