//! Where C comes in: every exported body runs in here.
//!
//! ```text
//!   boundary(|caller| …)     a panic stops here; a failure becomes a number and words
//!       └─ Caller            turns pointers into references, for the time of the call
//! ```
//!
//! A [`Caller`] can be had here alone, by an `unsafe` call, whose reason is always the same: a C
//! program that calls the function keeps what the header asks for. Whoever has a `Caller` may
//! therefore look at what was passed, and at no time but during the call: that is its lifetime.

use std::any::Any;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use netipc::Fault;

use crate::error::{nipc_error, nipc_error_t};
use crate::failure::Failure;
use crate::text::{NIPC_TEXT_BYTES, cut_text};

/// Runs the body of an exported function: contains panics, puts failures into words for
/// [`last_error`], answers the number.
///
/// # Safety
/// The caller of the exported function keeps what the header asks for: each pointer that the body
/// looks at through its [`Caller`] is NULL, or valid for its type (and, with a length, for as many of
/// them) during the call, and objects were zeroed before their first use.
#[inline(always)]
pub(crate) unsafe fn boundary(
    body: impl for<'c> FnOnce(Caller<'c>) -> Result<(), Failure>,
) -> nipc_error_t {
    // SAFETY: the caller of this function promises what `boundary_with` asks for.
    match unsafe { boundary_with(body) } {
        Ok(()) => nipc_error::NIPC_OK.code(),
        Err(error) => error,
    }
}

/// [`boundary`] for bodies that answer something else than an error.
///
/// # Safety
/// As [`boundary`].
#[inline(always)]
pub(crate) unsafe fn boundary_with<T>(
    body: impl for<'c> FnOnce(Caller<'c>) -> Result<T, Failure>,
) -> Result<T, nipc_error_t> {
    // Whatever a panic leaves behind is either dropped or in an `Exclusive`, which is given back:
    // netipc's types stay valid, if not useful, when a call on them unwinds.
    match catch_unwind(AssertUnwindSafe(|| body(Caller(PhantomData)))) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failure)) => Err(failed(failure)),
        Err(panic) => Err(panicked(panic)),
    }
}

/// Takes the failure, so that dropping it is not done in every exported function.
#[cold]
#[inline(never)]
fn failed(failure: Failure) -> nipc_error_t {
    let told = failure.told();
    let fault = match told.fault {
        Some(Fault::PeerBroke | Fault::PeerIncompatible) => " (at fault: the peer)",
        Some(Fault::Caller) | None => " (at fault: the caller)",
        Some(Fault::System) => " (at fault: the operating system)",
        Some(Fault::Nobody) => "",
    };
    // Of words that are too long, who is at fault is not what is left out.
    let room = told.words.floor_char_boundary(NIPC_TEXT_BYTES - 1 - fault.len());
    set_last_error(told.error.code(), &[&told.words[..room], fault]);
    told.error.code()
}

#[cold]
#[inline(never)]
#[allow(clippy::needless_pass_by_value)]
fn panicked(panic: Box<dyn Any + Send>) -> nipc_error_t {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it says nothing more");
    let words = format!("a defect of the library was contained, please report it: {said}");
    failed(Failure::of(nipc_error::NIPC_ERR_PANIC, words.into(), Some(Fault::Nobody)))
}

/// The last failure of a thread. Neither allocates nor needs a destructor, so that it can be used at
/// any time of a thread's life.
struct LastError {
    error: Cell<nipc_error_t>,
    text: Cell<[c_char; NIPC_TEXT_BYTES]>,
}

thread_local! {
    static LAST_ERROR: LastError =
        const { LastError { error: Cell::new(0), text: Cell::new([0; NIPC_TEXT_BYTES]) } };
}

fn set_last_error(error: nipc_error_t, pieces: &[&str]) {
    LAST_ERROR.with(|last| {
        last.error.set(error);
        last.text.set(cut_text(pieces));
    });
}

/// The words of this thread's last failure, as C reads them.
pub(crate) fn last_error() -> *const c_char {
    LAST_ERROR.with(|last| last.text.as_ptr().cast::<c_char>().cast_const())
}

/// Before a handler of the caller's runs on this thread: what failed earlier is not its doing.
pub(crate) fn forget_last_error() {
    LAST_ERROR.with(|last| last.error.set(0));
}

/// The words for `error`, if it is this thread's last one.
pub(crate) fn words_of(error: nipc_error_t) -> Option<String> {
    LAST_ERROR.with(|last| {
        (last.error.get() == error && error != 0).then(|| {
            let text = last.text.get();
            let bytes = text.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned());
            String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
        })
    })
}

/// The right to look at what a C caller has passed, for the time of one call. See the
/// [module](self).
#[derive(Clone, Copy)]
pub(crate) struct Caller<'c>(PhantomData<fn(&'c ()) -> &'c ()>);

impl<'c> Caller<'c> {
    /// What `pointer` points at. `name` is the argument's, for the words.
    #[inline(always)]
    pub(crate) fn in_ref<T>(self, pointer: *const T, name: &'static str) -> Result<&'c T, Failure> {
        check(pointer, name)?;
        // SAFETY: not NULL and aligned, as was just seen; valid during the call, as the caller of
        // `boundary` has promised for all that is passed.
        Ok(unsafe { &*pointer })
    }

    /// [`in_ref`](Self::in_ref) where NULL is fine.
    #[inline(always)]
    pub(crate) fn in_option<T>(
        self,
        pointer: *const T,
        name: &'static str,
    ) -> Result<Option<&'c T>, Failure> {
        if pointer.is_null() { Ok(None) } else { self.in_ref(pointer, name).map(Some) }
    }

    /// What `pointer` points at, to be changed: structs of the caller's that hold what this library
    /// keeps in them.
    #[inline(always)]
    pub(crate) fn in_mut<T>(
        self,
        pointer: *mut T,
        name: &'static str,
    ) -> Result<&'c mut T, Failure> {
        check(pointer, name)?;
        // SAFETY: not NULL and aligned, as was just seen; valid during the call and used by nobody
        // else meanwhile, as the caller of `boundary` has promised for all that is passed.
        Ok(unsafe { &mut *pointer })
    }

    /// `len` values from `pointer` on, which may be NULL when there are none.
    #[inline(always)]
    pub(crate) fn in_slice<T>(
        self,
        pointer: *const T,
        len: usize,
        name: &'static str,
    ) -> Result<&'c [T], Failure> {
        if !is_extent::<T>(len) {
            return if len == 0 { Ok(&[]) } else { Err(bad_extent(len, name)) };
        }
        check(pointer, name)?;
        // SAFETY: not NULL, aligned, and no longer than an object can be, as was just seen; `len`
        // values are valid during the call, as the caller of `boundary` has promised.
        Ok(unsafe { slice::from_raw_parts(pointer, len) })
    }

    /// `len` bytes from `pointer` on.
    #[inline(always)]
    pub(crate) fn in_bytes(
        self,
        pointer: *const c_void,
        len: usize,
        name: &'static str,
    ) -> Result<&'c [u8], Failure> {
        self.in_slice(pointer.cast(), len, name)
    }

    /// `len` bytes from `pointer` on, to be written. They may be uninitialised before: nobody reads
    /// what was there.
    #[inline(always)]
    pub(crate) fn out_bytes(
        self,
        pointer: *mut c_void,
        len: usize,
        name: &'static str,
    ) -> Result<&'c mut [u8], Failure> {
        if !is_extent::<u8>(len) {
            return if len == 0 { Ok(&mut []) } else { Err(bad_extent(len, name)) };
        }
        check(pointer.cast::<u8>(), name)?;
        // SAFETY: not NULL and no longer than an object can be, as was just seen; writable during the
        // call and used by nobody else meanwhile, as the caller of `boundary` has promised. C has no
        // uninitialised bytes that this side of the ABI could tell apart.
        Ok(unsafe { slice::from_raw_parts_mut(pointer.cast(), len) })
    }

    /// A text that ends in NUL.
    pub(crate) fn in_c_str(
        self,
        pointer: *const c_char,
        name: &'static str,
    ) -> Result<&'c CStr, Failure> {
        check(pointer, name)?;
        // SAFETY: not NULL, as was just seen; ends in NUL and is valid during the call, as the caller
        // of `boundary` has promised for texts without a length.
        Ok(unsafe { CStr::from_ptr(pointer) })
    }

    /// A text that ends in NUL and is UTF-8.
    pub(crate) fn in_utf8(
        self,
        pointer: *const c_char,
        name: &'static str,
    ) -> Result<&'c str, Failure> {
        let text = self.in_c_str(pointer, name)?;
        text.to_str().map_err(|error| {
            Failure::argument(format!("{name} is no UTF-8 at byte {}", error.valid_up_to()))
        })
    }

    /// A place for an answer, which is written to only once there is one.
    #[inline(always)]
    pub(crate) fn out<T>(self, pointer: *mut T, name: &'static str) -> Result<Out<'c, T>, Failure> {
        check(pointer, name)?;
        Ok(Out { pointer, call: self })
    }
}

/// A place for an answer: of the right type, not NULL, not written to yet.
pub(crate) struct Out<'c, T> {
    pointer: *mut T,
    call: Caller<'c>,
}

impl<T> Out<'_, T> {
    /// Writes the answer.
    #[inline(always)]
    pub(crate) fn write(self, answer: T) {
        let _during = self.call;
        // SAFETY: not NULL and aligned, as was seen when this was made; writable during the call,
        // which `Caller` stands for, as the caller of `boundary` has promised.
        unsafe { self.pointer.write(answer) };
    }
}

#[inline(always)]
fn check<T>(pointer: *const T, name: &'static str) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(is_null(name));
    }
    if !pointer.is_aligned() {
        return Err(not_aligned(align_of::<T>(), name));
    }
    Ok(())
}

#[cold]
#[inline(never)]
fn is_null(name: &'static str) -> Failure {
    Failure::argument(format!("{name} is NULL"))
}

#[cold]
#[inline(never)]
fn not_aligned(align: usize, name: &'static str) -> Failure {
    Failure::argument(format!("{name} is not aligned to {align} bytes"))
}

/// Whether so many values can be there: not none, and no object is longer than `isize::MAX` bytes. Both
/// in one comparison.
#[inline(always)]
const fn is_extent<T>(len: usize) -> bool {
    const { assert!(size_of::<T>() > 0) };
    len.wrapping_sub(1) < isize::MAX.cast_unsigned() / size_of::<T>()
}

#[cold]
#[inline(never)]
fn bad_extent(len: usize, name: &'static str) -> Failure {
    Failure::argument(format!("the length of {name}, {len}, is no length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> String {
        // SAFETY: the text ends in NUL, and this thread fails no call before it is copied.
        unsafe { CStr::from_ptr(last_error()) }.to_string_lossy().into_owned()
    }

    fn run(body: impl for<'c> FnOnce(Caller<'c>) -> Result<(), Failure>) -> nipc_error_t {
        // SAFETY: the bodies of these tests pass pointers to what lives, or NULL.
        unsafe { boundary(body) }
    }

    #[test]
    fn a_panic_stops_here_and_is_told() {
        assert_eq!(run(|_| panic!("at {}", "the disco")), nipc_error::NIPC_ERR_PANIC.code());
        assert!(words().contains("at the disco"), "{}", words());
        assert_eq!(run(|_| Ok(())), 0);
        assert!(words().contains("at the disco"), "success changes nothing");
    }

    #[test]
    fn null_and_misalignment_are_told_by_name() {
        let refused = nipc_error::NIPC_ERR_INVALID_ARGUMENT.code();
        assert_eq!(run(|c| c.in_ref(std::ptr::null::<u32>(), "count").map(drop)), refused);
        assert_eq!(words(), "count is NULL (at fault: the caller)");
        let bytes = [0_u64; 2];
        let odd = bytes.as_ptr().cast::<u8>().wrapping_add(1).cast::<u32>();
        assert_eq!(run(|c| c.in_ref(odd, "count").map(drop)), refused);
        assert!(words().contains("not aligned to 4"), "{}", words());
        assert_eq!(run(|c| c.in_slice(bytes.as_ptr(), usize::MAX, "keys").map(drop)), refused);
        assert!(words().contains("no length"), "{}", words());
        assert_eq!(run(|c| c.in_slice(std::ptr::null::<u64>(), 0, "keys").map(drop)), 0);
        assert_eq!(run(|c| c.in_slice(std::ptr::null::<u64>(), 1, "keys").map(drop)), refused);
    }

    #[test]
    fn an_answer_is_written_on_success_alone() {
        let mut answer = 7_u32;
        let place = &raw mut answer;
        let failed = run(|c| {
            let out = c.out(place, "answer")?;
            c.in_ref(std::ptr::null::<u8>(), "x")?;
            out.write(8);
            Ok(())
        });
        assert_eq!((failed, answer), (nipc_error::NIPC_ERR_INVALID_ARGUMENT.code(), 7));
        assert_eq!(run(|c| c.out(place, "answer").map(|out| out.write(8))), 0);
        assert_eq!(answer, 8);
    }

    #[test]
    fn words_are_kept_by_thread_and_cut_where_too_long() {
        run(|_| Err(Failure::argument("x".repeat(10_000))));
        assert_eq!(words().len(), NIPC_TEXT_BYTES - 1);
        assert!(words().ends_with("x (at fault: the caller)"), "{}", words());
        assert_eq!(words_of(nipc_error::NIPC_ERR_INVALID_ARGUMENT.code()), Some(words()));
        assert_eq!(words_of(nipc_error::NIPC_ERR_SYSTEM.code()), None);
        std::thread::spawn(|| assert_eq!(words(), "")).join().expect("no panic");
        forget_last_error();
        assert_eq!(words_of(nipc_error::NIPC_ERR_INVALID_ARGUMENT.code()), None);
    }
}
