//! Builders in C's hands.

use std::ffi::c_void;

use netipc::codec::BuildError;

use super::record::Keeper;
use crate::boundary::Caller;
use crate::error::nipc_error;
use crate::failure::Failure;

/// A builder that handlers are lent, or that a caller has begun by itself.
pub(crate) enum Builder<'k, B> {
    Lent(&'k mut B),
    Own(B),
}

impl<B> Builder<'_, B> {
    #[inline(always)]
    pub(crate) const fn get(&mut self) -> &mut B {
        match self {
            Self::Lent(builder) => builder,
            Self::Own(builder) => builder,
        }
    }
}

/// Puts a builder of the caller's own into its struct. `begin` is given the buffer.
pub(crate) fn begin<'c, K: Keeper<N>, B, const N: usize>(
    caller: Caller<'c>,
    builder: *mut K,
    (out, capacity): (*mut c_void, usize),
    begin: impl FnOnce(&'c mut [u8]) -> Result<B, BuildError>,
    wrap: impl FnOnce(B) -> K::Kept<'c>,
) -> Result<(), Failure> {
    let place = caller.in_mut(builder, "builder")?;
    let kept = wrap(begin(caller.out_bytes(out, capacity, "out")?)?);
    *place.words_mut() = K::keep(kept);
    Ok(())
}

/// Ends a builder of the caller's own.
pub(crate) fn finish<'c, K, B, const N: usize>(
    caller: Caller<'c>,
    builder: *mut K,
    len: *mut usize,
    finish: impl FnOnce(B) -> Result<usize, BuildError>,
) -> Result<(), Failure>
where
    B: 'c,
    K: Keeper<N, Kept<'c> = Builder<'c, B>>,
{
    let len = caller.out(len, "len")?;
    if let Builder::Lent(_) = caller.kept_mut(builder, "builder")? {
        let words = "a handler's response ends by itself when the handler returns";
        return Err(Failure::new(nipc_error::NIPC_ERR_CALLER, words));
    }
    if let Builder::Own(own) = caller.take(builder, "builder")? {
        len.write(finish(own)?);
    }
    Ok(())
}

/// The response of a call, which its handler writes once.
pub(crate) enum Once<B> {
    /// Nothing is set.
    Open {
        builder: B,
        /// What the schema forbade of what was to be set last.
        refused: Option<BuildError>,
    },
    /// Written: so many bytes.
    Set(usize),
    /// It did not fit, which the client is told (spec section 11).
    Full(BuildError),
}

impl<B> Once<B> {
    #[inline(always)]
    pub(crate) const fn new(builder: B) -> Self {
        Self::Open { builder, refused: None }
    }
}
