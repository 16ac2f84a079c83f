//! What is left of a panic that was contained.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic said: `panic!` leaves text, and anything else nothing that can be shown.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// Drops what a panic left. That may panic in turn: what this leaves is not dropped, or it had no end.
pub(crate) fn discard(panic: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(another);
    }
}
