//! What it is here to be something that can be waited for: to have a descriptor.

use std::os::fd::{AsFd, AsRawFd};

/// The number of its descriptor, for programs with a loop of their own. It stays the object's.
pub fn descriptor_number(source: &impl AsFd) -> Option<i32> {
    Some(source.as_fd().as_raw_fd())
}

/// Makes a type one that [`WaitSet`](crate::WaitSet) and [`wait_readable`](crate::wait_readable) can wait
/// for, as what it lends: `wait_object!(Session, |session| session.channel())`. Here that is `AsFd`.
#[macro_export]
macro_rules! wait_object {
    ($type:ty, |$value:ident| $lent:expr) => {
        impl ::std::os::fd::AsFd for $type {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                let $value = self;
                ::std::os::fd::AsFd::as_fd($lent)
            }
        }
    };
}
