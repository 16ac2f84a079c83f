//! From the tree of a schema to the checked model: all that must hold before a backend sees it.
//!
//! ```text
//! syntax::Service ──▶ names, methods, enums ──▶ records: fields, layout, counts, rules
//!                                                   └──▶ shapes: echoes, roles, smallest item
//! ```
//!
//! A mistake is reported and what it broke goes on as if it were whole ("poisoned" where it would
//! only cause more of the same), so that one run reports all of a file's mistakes. What this module
//! does **not** do: it does not judge the words of the language ([`crate::syntax`]); and the model it
//! returns is to be trusted only if nothing was reported.

mod c;
mod counts;
mod enums;
mod fields;
mod go;
mod layout;
mod lookup;
mod message;
mod names;
mod overflow;
mod record;
mod rules;
mod service;
mod shapes;
mod text;

pub(crate) use c::between as distinct_in_c;
pub(crate) use service::{distinct, service};
