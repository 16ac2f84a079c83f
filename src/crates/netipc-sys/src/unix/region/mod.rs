//! What Linux has of a session's shared memory (spec section 7).
//!
//! | file | what |
//! |---|---|
//! | `create` | making the file, and removing it |
//! | `attach` | opening it, and believing nothing |
//! | `stale` | what dead servers left |
//! | `layout` | where things are in its header |
//! | `mapping` | its memory, as cells: the unsafe code |
//! | `fault` | surviving a file that is cut off |
//! | `sleep` | waiting and waking: futexes |

mod attach;
mod create;
mod fault;
mod layout;
mod mapping;
mod sleep;
mod stale;

pub(crate) use attach::attach_once;
pub(crate) use create::{OwnEntry, create};
pub use fault::unblock_faults;
pub(crate) use layout::HEADER_BYTES;
pub(crate) use mapping::Mapping;
pub(crate) use sleep::{Doorbell, Sleeper};
pub use stale::remove_stale_regions;
