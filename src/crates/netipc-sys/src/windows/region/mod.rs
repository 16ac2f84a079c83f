//! What Windows has of a session's shared memory (spec section 9).
//!
//! | file | what |
//! |---|---|
//! | `create` | making the mapping and its events |
//! | `attach` | opening them, and believing nothing |
//! | `layout` | where things are in the header |
//! | `mapping` | its memory, as cells: the unsafe code |
//! | `sleep` | waiting and waking: events |
//!
//! The memory is the page file's, reserved when it is made, so it can neither be cut off nor run out, and
//! it goes with the last process that has it: nothing is left behind to be removed.

mod attach;
mod create;
mod layout;
mod mapping;
mod sleep;

use std::path::Path;

pub(crate) use attach::attach_once;
pub(crate) use create::{OwnEntry, create};
pub(crate) use layout::HEADER_BYTES;
pub(crate) use mapping::Mapping;
pub(crate) use sleep::{Doorbell, Sleeper};

use crate::SysError;

/// Nothing is left by dead servers here.
///
/// # Errors
/// None here.
pub const fn remove_stale_regions(
    _run_dir: &Path,
    _is_region: impl Fn(&[u8]) -> bool + Copy,
) -> Result<usize, SysError> {
    Ok(0)
}

/// For a thread's start: nothing is to be done here, where a region cannot be cut off.
pub const fn unblock_faults() {}
