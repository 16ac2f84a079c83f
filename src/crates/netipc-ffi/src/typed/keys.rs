//! Keys of lookups that C passes, seen as they lie: none is copied.

use std::marker::PhantomData;

use crate::boundary::Caller;
use crate::failure::Failure;
use crate::text::nipc_str_t;

/// A string of the caller's that was looked at: see [`Caller::in_texts`].
#[repr(transparent)]
pub(crate) struct Text<'c>(nipc_str_t, PhantomData<&'c [u8]>);

impl AsRef<[u8]> for Text<'_> {
    #[inline(always)]
    fn as_ref(&self) -> &[u8] {
        if self.0.len == 0 {
            return &[];
        }
        // SAFETY: `in_texts` saw that the pointer is not NULL and the length one, and that they are
        // the caller's, who keeps them valid for the call, whose time `'c` is.
        unsafe { std::slice::from_raw_parts(self.0.ptr.cast(), self.0.len) }
    }
}

impl<'c> Caller<'c> {
    /// `count` strings from `texts` on.
    pub(crate) fn in_texts(
        self,
        texts: *const nipc_str_t,
        count: usize,
        name: &'static str,
    ) -> Result<&'c [Text<'c>], Failure> {
        self.in_checked(texts, count, name, |text| self.in_str(*text, name).map(drop))?;
        // A `Text` is the string itself, of which each was just looked at.
        self.in_slice(texts.cast::<Text<'c>>(), count, name)
    }

    /// `count` keys from `keys` on, each of which `check` accepts.
    pub(crate) fn in_checked<K>(
        self,
        keys: *const K,
        count: usize,
        name: &'static str,
        check: impl Fn(&K) -> Result<(), Failure>,
    ) -> Result<&'c [K], Failure> {
        let keys = self.in_slice(keys, count, name)?;
        keys.iter().try_for_each(check)?;
        Ok(keys)
    }
}
