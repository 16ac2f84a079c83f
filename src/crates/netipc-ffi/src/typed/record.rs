//! Structs of C: what keeps a value of the library's, what callers have filled in.

use netipc::codec::{BuildError, DecodeError};

use crate::boundary::Caller;
use crate::error::nipc_error;
use crate::failure::Failure;
use crate::words::{self, Words};

/// A struct of C whose words keep a value: see [`keeper!`](super::keeper).
///
/// # Safety
/// With `MARK` in the first of them, the words were made by [`words::keep`] for a `Kept`.
pub(crate) unsafe trait Keeper<const N: usize>: 'static {
    /// Tells its type apart from others, and from memory that was never written.
    const MARK: u64;
    /// What it keeps.
    type Kept<'k>;

    fn words(&self) -> &Words<N>;
    fn words_mut(&mut self) -> &mut Words<N>;

    /// Whether they keep a value.
    #[inline(always)]
    fn is_filled(&self) -> bool {
        // SAFETY: in the hands of C they are zeroed before their first use.
        unsafe { words::is_kept(Self::MARK, self.words()) }
    }

    /// The words that keep `value`.
    #[inline(always)]
    fn keep(value: Self::Kept<'_>) -> Words<N> {
        words::keep(Self::MARK, value)
    }
}

impl<'c> Caller<'c> {
    /// What a struct of the caller's keeps; what that borrows lives during the call, as the header
    /// asks.
    #[inline(always)]
    pub(crate) fn kept<K: Keeper<N>, const N: usize>(
        self,
        keeper: *const K,
        name: &'static str,
    ) -> Result<&'c K::Kept<'c>, Failure> {
        let keeper = self.in_ref(keeper, name)?;
        // SAFETY: `Keeper` promises the type; the header asks that what is borrowed lives.
        unsafe { words::kept::<K::Kept<'c>, N>(K::MARK, keeper.words()) }
    }

    /// [`kept`](Self::kept), to be changed. It takes nothing in that it keeps beyond the call.
    #[inline(always)]
    pub(crate) fn kept_mut<K: Keeper<N>, const N: usize>(
        self,
        keeper: *mut K,
        name: &'static str,
    ) -> Result<&'c mut K::Kept<'c>, Failure> {
        let keeper = self.in_mut(keeper, name)?;
        // SAFETY: as in `kept`.
        unsafe { words::kept_mut::<K::Kept<'c>, N>(K::MARK, keeper.words_mut()) }
    }

    /// Takes the value out: the struct keeps nothing afterwards.
    #[inline(always)]
    pub(crate) fn take<K: Keeper<N>, const N: usize>(
        self,
        keeper: *mut K,
        name: &'static str,
    ) -> Result<K::Kept<'c>, Failure> {
        let keeper = self.in_mut(keeper, name)?;
        // SAFETY: as in `kept`.
        unsafe { words::take::<K::Kept<'c>, N>(K::MARK, keeper.words_mut()) }
    }
}

/// Why what a caller has filled in cannot be written: it is not what C may pass, or not what the schema
/// allows.
#[derive(Debug)]
pub(crate) enum Refused {
    Argument(Failure),
    Build(BuildError),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Argument(failure)
    }
}

impl From<BuildError> for Refused {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Argument(failure) => failure,
            Refused::Build(error) => error.into(),
        }
    }
}

/// The value of a closed enumeration, which a caller has passed as a number.
#[inline(always)]
pub(crate) fn known<T>(
    value: Option<T>,
    field: &'static str,
    number: impl Into<u64>,
) -> Result<T, Failure> {
    value.ok_or_else(|| unknown(field, number.into()))
}

#[cold]
#[inline(never)]
fn unknown(field: &'static str, number: u64) -> Failure {
    let words = format!("`{field}` is {number}, which is no value of the schema");
    Failure::new(nipc_error::NIPC_ERR_BUILD, words)
}

/// Decodes a payload into a view of the caller's.
#[inline(always)]
pub(crate) fn decoded<'c, D, V: From<D>>(
    caller: Caller<'c>,
    payload: &'c [u8],
    view: *mut V,
    decode: impl FnOnce(&'c [u8]) -> Result<D, DecodeError>,
) -> Result<(), Failure> {
    let out = caller.out(view, "the view")?;
    out.write(V::from(decode(payload)?));
    Ok(())
}

/// Writes a payload into the caller's buffer.
#[inline(always)]
pub(crate) fn encoded<'c>(
    caller: Caller<'c>,
    out: *mut std::ffi::c_void,
    capacity: usize,
    len: *mut usize,
    encode: impl FnOnce(&'c mut [u8]) -> Result<usize, Refused>,
) -> Result<(), Failure> {
    let len = caller.out(len, "len")?;
    len.write(encode(caller.out_bytes(out, capacity, "out")?)?);
    Ok(())
}
