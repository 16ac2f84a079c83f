//! Who of this binary's tests may run beside whom, whatever the transport.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held by those who may run beside each other, and by who must run alone.
static COMPANY: RwLock<()> = RwLock::new(());

/// As long as it is held, nobody runs alone.
pub(crate) type InCompany = RwLockReadGuard<'static, ()>;

pub(crate) fn in_company() -> InCompany {
    COMPANY.read().unwrap_or_else(PoisonError::into_inner)
}

/// As long as it is held, nobody else runs.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    COMPANY.write().unwrap_or_else(PoisonError::into_inner)
}
