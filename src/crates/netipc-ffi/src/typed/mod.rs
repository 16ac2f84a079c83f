//! What the glue of all services shares, once a shape: generic over the traits of `netipc::service`.
//!
//! ```text
//!   generated/<service>.rs    C's types, and the names of functions
//!      │
//!   call  lookup  snapshot  cache        a shape's functions
//!   record  builder  copy  keys          what is in C's hands, and back
//! ```
//!
//! Not here: any service, and any `unsafe` that a helper of [`boundary`](crate::boundary) or
//! [`words`](crate::words) could do.

pub(crate) mod cache;
pub(crate) mod call;
pub(crate) mod copy;
pub(crate) mod lookup;
pub(crate) mod record;
pub(crate) mod snapshot;

mod builder;
mod keys;

pub(crate) use builder::{Builder, Once};
pub(crate) use keys::Text;
pub(crate) use record::{Keeper, Refused};

/// Declares an exported function that answers `nipc_error_t`. Its body runs in the
/// [`boundary`](crate::boundary::boundary).
macro_rules! export {
    ($name:ident($($argument:ident: $type:ty),* $(,)?); |$caller:ident| $body:expr) => {
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name($($argument: $type),*) -> $crate::error::nipc_error_t {
            // SAFETY: as `boundary` says: what the header asks of callers.
            unsafe { $crate::boundary::boundary(|$caller| $body) }
        }
    };
}
pub(crate) use export;

/// Declares an exported function that answers a value, and `$otherwise` where its body fails.
macro_rules! export_value {
    ($name:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty, $otherwise:expr; |$caller:ident| $body:expr) => {
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name($($argument: $type),*) -> $answer {
            // SAFETY: as `boundary` says: what the header asks of callers.
            unsafe { $crate::boundary::boundary_with(|$caller| $body) }.unwrap_or($otherwise)
        }
    };
}
pub(crate) use export_value;

/// Asserts the size of a struct that C has too, where the header asserts the same.
macro_rules! bytes {
    ($type:ty, $bytes:literal) => {
        const _: () = assert!(usize::BITS != u64::BITS || size_of::<$type>() == $bytes);
    };
}
pub(crate) use bytes;

/// Makes a struct whose `opaque_` words keep a value a [`Keeper`].
macro_rules! keeper {
    ($type:ty, $words:literal, $mark:literal, $kept:ty) => {
        // SAFETY: `opaque_` is private to this module, which fills it by `words::keep` with a value of
        // this type alone.
        unsafe impl $crate::typed::Keeper<$words> for $type {
            const MARK: u64 = $mark;
            type Kept<'k> = $kept;

            fn words(&self) -> &$crate::words::Words<$words> {
                &self.opaque_
            }

            fn words_mut(&mut self) -> &mut $crate::words::Words<$words> {
                &mut self.opaque_
            }
        }
    };
}
pub(crate) use keeper;
