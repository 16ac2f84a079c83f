//! Objects that callers allocate: a tag, and one pointer to what the library keeps.
//!
//! ```text
//!   C struct { tag_, inner_ } ──▶ Arc<Inner>
//!     zeroed: closed      tag set: live      anything else: never zeroed, refused
//!
//!   tag_:   closer, 1 bit │ users, 15 bits │ kind, 48 bits
//! ```
//!
//! Zeroed is valid and closed; the struct may be moved, for nothing points at it but calls that count as
//! its users, and not copied, for closing one copy frees what the other points at. What `Inner` is made
//! of keeps threads apart: a client is behind a lock that nobody waits for, a server may be called from
//! anywhere. Of a session, which many threads use at once, the tag itself counts the calls: a count in
//! `Inner` would be freed between a thread's look at the tag and its count.

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
    /// Tells its kind apart from other objects, and from memory that was never zeroed. Of [`KIND`] alone.
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

/// The bits of a tag that tell what the object is. The others are zero while nobody uses or closes it.
pub(crate) const KIND: u64 = (1 << 48) - 1;

/// One call of those that [`Caller::using`] counts.
const USER: u64 = 1 << 48;

/// As many of them as can be counted.
const MOST_USERS: u64 = USER * 0x7FFF;

/// A thread looks whether it may close the object, which is live meanwhile.
const CLOSER: u64 = 1 << 63;

const _: () = assert!(KIND | MOST_USERS | CLOSER == u64::MAX);

/// The tag of an object of any kind that is as good as closed.
const CLOSING: u64 = u64::from_be_bytes(*b"NIPCclos") & KIND;

/// Makes a C struct of two words an [`Object`].
macro_rules! object {
    ($type:ty, $name:literal, $tag:literal, $inner:ty) => {
        const _: () =
            assert!(size_of::<$type>() == $crate::object::OBJECT_BYTES && align_of::<$type>() == 8);
        // SAFETY: the size and alignment are those of two words, as was just asserted, and the
        // struct is declared with the two fields of `Words`, `repr(C)`.
        unsafe impl $crate::object::Object for $type {
            const TAG: u64 = u64::from_be_bytes(*$tag) & $crate::object::KIND;
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
        self.in_ref(self.inner(object)?, O::NAME)
    }

    /// What a live object keeps, as the pointer that it was kept by.
    #[inline(always)]
    fn inner<O: Object>(self, object: *const O) -> Result<*const O::Inner, Failure> {
        let words = self.words(object)?;
        live::<O>(words)?;
        Ok(words.inner.load(Ordering::Relaxed).cast::<O::Inner>().cast_const())
    }

    /// [`object`](Self::object) that nobody closes meanwhile: for calls that any number of threads make at
    /// once. Whoever comes with the closing is either counted before it, which refuses it, or told that
    /// the object is not live, without a look at what it kept.
    #[inline(always)]
    pub(crate) fn using<O: Object>(self, object: *const O) -> Result<Using<'c, O::Inner>, Failure> {
        let words = self.words(object)?;
        let mut tag = words.tag.load(Ordering::Relaxed);
        loop {
            if tag & KIND != O::TAG {
                return Err(closed::<O>());
            }
            if tag & MOST_USERS == MOST_USERS {
                return Err(in_use());
            }
            // Against the Release in `Vacant::fill`; what changes the tag of a live object goes on from that.
            let counted = words.tag.compare_exchange_weak(
                tag,
                tag + USER,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match counted {
                Ok(_) => break,
                Err(now) => tag = now,
            }
        }
        let counted = Counted(&words.tag);
        let inner = words.inner.load(Ordering::Relaxed).cast::<O::Inner>();
        Ok(Using { inner: self.in_ref(inner, O::NAME)?, _counted: counted })
    }

    /// [`object`](Self::object) to be kept beyond the call's own look at it: for calls that wait while
    /// another thread may close the object.
    pub(crate) fn shared<O: Object>(self, object: *const O) -> Result<Arc<O::Inner>, Failure> {
        // Not one that is made of a reference: that may reach no further than the reference, and the counts lie beside
        // what it refers to.
        let inner = self.inner(object)?;
        self.in_ref(inner, O::NAME)?;
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
            tag if tag & KIND == O::TAG || tag == CLOSING => Err(Failure::new(
                nipc_error::NIPC_ERR_ALREADY_INITIALIZED,
                format!("the {} is live already: close it first", O::NAME),
            )),
            _ => Err(Failure::argument(format!(
                "the {} was not zeroed before its first use: write `= {{0}}`",
                O::NAME
            ))),
        }
    }

    /// Closes a live object that no call is [`using`](Self::using): what it kept is the caller's of this.
    pub(crate) fn close<O: Object>(self, object: *mut O) -> Result<Arc<O::Inner>, Failure> {
        self.close_if(object, |_inner| Ok(()))
    }

    /// Closes a live object if `hold` can take what keeps other threads out, and `NIPC_ERR_IN_USE` if
    /// calls are [`using`](Self::using) it. What was taken is never given back, unless closing fails:
    /// the object was live all the time then, and nobody has seen anything else.
    ///
    /// Of several threads that close at once one alone looks at what is kept; the others are told
    /// `NIPC_ERR_IN_USE`. A thread that saw the object live and is not counted may look at what is freed:
    /// the header asks that there be none.
    pub(crate) fn close_if<O: Object, H>(
        self,
        object: *mut O,
        hold: impl FnOnce(&'c O::Inner) -> Result<H, Failure>,
    ) -> Result<Arc<O::Inner>, Failure> {
        let words = self.words(object)?;
        // What is kept is seen as `Vacant::fill`, and a closer that gave up, left it: Acquire, against both
        // their Release.
        words
            .tag
            .compare_exchange(O::TAG, O::TAG | CLOSER, Ordering::Acquire, Ordering::Relaxed)
            .map_err(|tag| if tag & KIND == O::TAG { in_use() } else { closed::<O>() })?;
        let closer = Closer(&words.tag);
        let inner = words.inner.load(Ordering::Relaxed).cast::<O::Inner>();
        let held = hold(self.in_ref(inner, O::NAME)?)?;
        // Fails where a call has come meanwhile. Those that came and went have let go of what is kept: Acquire,
        // against the Release of `Counted::drop`.
        words
            .tag
            .compare_exchange(O::TAG | CLOSER, CLOSING, Ordering::Acquire, Ordering::Relaxed)
            .map_err(|_| in_use())?;
        std::mem::forget((held, closer));
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

/// What an object keeps, which is not closed before this is dropped.
pub(crate) struct Using<'c, I> {
    inner: &'c I,
    _counted: Counted<'c>,
}

impl<I> Deref for Using<'_, I> {
    type Target = I;

    #[inline(always)]
    fn deref(&self) -> &I {
        self.inner
    }
}

/// One call that uses an object.
struct Counted<'c>(&'c AtomicU64);

impl Drop for Counted<'_> {
    /// The last that a call does with the object, also where a panic unwinds.
    #[inline(always)]
    fn drop(&mut self) {
        // Against the Acquire in `close_if`, which frees what this call has looked at.
        self.0.fetch_sub(USER, Ordering::Release);
    }
}

/// The one that looks whether it may close an object. Dropped, it may not.
struct Closer<'c>(&'c AtomicU64);

impl Drop for Closer<'_> {
    fn drop(&mut self) {
        // Against the Acquire of who closes next, and frees what this one has looked at.
        self.0.fetch_and(!CLOSER, Ordering::Release);
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
        // Against the Acquire of `live`, `using` and `close_if`: whoever sees the tag sees what is kept.
        self.words.tag.store(O::TAG, Ordering::Release);
    }
}

#[inline(always)]
fn live<O: Object>(words: &Words) -> Result<(), Failure> {
    // Against the Release in `Vacant::fill`.
    if words.tag.load(Ordering::Acquire) & KIND == O::TAG { Ok(()) } else { Err(closed::<O>()) }
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

    const NOT_LIVE: i32 = nipc_error::NIPC_ERR_NOT_INITIALIZED.code();
    const IN_USE: i32 = nipc_error::NIPC_ERR_IN_USE.code();

    /// An object that threads share, and what it keeps.
    fn shared_thing() -> (Words, Arc<str>) {
        let (thing, kept) =
            (Words { tag: AtomicU64::new(0), inner: AtomicPtr::default() }, "kept".into());
        let filled = run(|c| c.vacant(at(&thing)).map(|vacant| vacant.fill(Arc::clone(&kept))));
        assert_eq!(filled, 0);
        (thing, kept)
    }

    fn at(thing: &Words) -> *mut thing_t {
        std::ptr::from_ref(thing).cast::<thing_t>().cast_mut()
    }

    /// Closes as a thread does that can be stopped in the middle: between the two waits.
    fn close_slowly(thing: &Words, looks: &Barrier, goes_on: &Barrier, may: bool) -> i32 {
        run(|c| {
            let hold = |_: &_| {
                looks.wait();
                goes_on.wait();
                if may { Ok(()) } else { Err(in_use()) }
            };
            c.close_if(at(thing), hold).map(drop)
        })
    }

    #[test]
    fn of_threads_that_close_at_once_one_alone_looks_at_what_is_kept() {
        let (thing, kept) = shared_thing();
        let (looks, goes_on) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| close_slowly(&thing, &looks, &goes_on, true));
            looks.wait();
            let second = run(|c| {
                c.close_if(at(&thing), |_| -> Result<(), _> { panic!("it is the other's") })
                    .map(drop)
            });
            let made = run(|c| c.vacant(at(&thing)).map(drop));
            goes_on.wait();
            assert_eq!(second, IN_USE);
            assert_eq!(made, nipc_error::NIPC_ERR_ALREADY_INITIALIZED.code());
            assert_eq!(first.join().expect("no panic"), 0);
        });
        assert_eq!(Arc::strong_count(&kept), 1, "nothing leaks");
        assert_eq!(run(|c| c.close(at(&thing)).map(drop)), NOT_LIVE);
        assert_eq!(run(|c| c.vacant(at(&thing)).map(drop)), 0);
    }

    #[test]
    fn an_object_whose_closing_is_refused_was_live_all_the_time() {
        let (thing, kept) = shared_thing();
        let (looks, goes_on) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| close_slowly(&thing, &looks, &goes_on, false));
            looks.wait();
            let looked = run(|c| c.object(at(&thing)).map(drop));
            let used = run(|c| c.using(at(&thing)).map(drop));
            goes_on.wait();
            assert_eq!((looked, used), (0, 0));
            assert_eq!(closing.join().expect("no panic"), IN_USE);
        });
        assert_eq!(run(|c| c.close(at(&thing)).map(drop)), 0, "nobody else closes it");
        assert_eq!(Arc::strong_count(&kept), 1, "nothing leaks");
    }

    #[test]
    fn what_a_call_uses_is_not_closed() {
        let (thing, kept) = shared_thing();
        let close = || run(|c| c.close(at(&thing)).map(drop));
        let within = run(|c| {
            let (first, second) = (c.using(at(&thing))?, c.using(at(&thing))?);
            assert_eq!(close(), IN_USE);
            drop(first);
            assert_eq!(close(), IN_USE);
            assert_eq!(run(|c| c.object(at(&thing)).map(drop)), 0, "it is live");
            assert_eq!(&**second, "kept");
            Ok(())
        });
        assert_eq!(within, 0);
        let panicked = run(|c| c.using(at(&thing)).map(|_used| panic!("with it")));
        assert_eq!(panicked, nipc_error::NIPC_ERR_PANIC.code());
        // A call that comes when the closing has begun.
        let (looks, goes_on) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| close_slowly(&thing, &looks, &goes_on, true));
            looks.wait();
            let within = run(|c| {
                let _used = c.using(at(&thing))?;
                goes_on.wait();
                assert_eq!(closing.join().expect("no panic"), IN_USE);
                Ok(())
            });
            assert_eq!(within, 0);
        });
        assert_eq!(Arc::strong_count(&kept), 2);
        assert_eq!(close(), 0);
        assert_eq!(Arc::strong_count(&kept), 1, "nothing leaks");
        assert_eq!(run(|c| c.using(at(&thing)).map(drop)), NOT_LIVE);
    }

    #[test]
    fn calls_and_a_closing_that_meet_are_ordered() {
        const ROUNDS: usize = 200;
        const USERS: usize = 2;
        const CALLS: usize = 20;
        for _ in 0..ROUNDS {
            let (thing, kept) = shared_thing();
            let begin = Barrier::new(USERS + 1);
            let close_until_done = || {
                begin.wait();
                loop {
                    match run(|c| c.close(at(&thing)).map(drop)) {
                        IN_USE => std::thread::yield_now(),
                        closed => break closed,
                    }
                }
            };
            let use_until_closed = || {
                begin.wait();
                let used = || {
                    run(|c| {
                        let used = c.using(at(&thing))?;
                        std::thread::yield_now();
                        assert_eq!(Arc::strong_count(&used), 2, "it was freed");
                        Ok(())
                    })
                };
                // As many as that, for a closing that only ever meets calls is only ever refused.
                (0..CALLS).map(|_| used()).find(|outcome| *outcome != 0).unwrap_or(NOT_LIVE)
            };
            std::thread::scope(|scope| {
                let users = [(); USERS].map(|()| scope.spawn(use_until_closed));
                assert_eq!(close_until_done(), 0);
                for user in users {
                    assert_eq!(user.join().expect("no panic"), NOT_LIVE);
                }
            });
            assert_eq!(Arc::strong_count(&kept), 1, "nothing leaks");
        }
    }

    #[test]
    fn more_calls_at_once_than_can_be_counted_are_refused() {
        let (thing, _kept) = shared_thing();
        thing.tag.fetch_add(MOST_USERS - USER, Ordering::Relaxed);
        let within = run(|c| {
            let _last = c.using(at(&thing))?;
            assert_eq!(run(|c| c.using(at(&thing)).map(drop)), IN_USE);
            Ok(())
        });
        assert_eq!(within, 0);
        thing.tag.fetch_sub(MOST_USERS - USER, Ordering::Relaxed);
        assert_eq!(run(|c| c.close(at(&thing)).map(drop)), 0);
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
