//! The bytes and the decisions of the netipc wire contract (`spec/wire.md`).
//!
//! Everything here is a pure function of its arguments, so all of it is tested without a socket.
//! What this crate does **not** do: no I/O, no clock, no threads, no unsafe code, no service of
//! its own (codecs of services are generated over [`payload`]).
//!
//! ```text
//!   bytes                              decisions
//!   header   hello   batch   payload   negotiate   profile    how a session comes to be
//!   chunk    names   token             call  growth  retry    what a client does next
//!                                      inflight               what waits for its answer
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod batch;
pub mod call;
pub mod chunk;
pub mod growth;
pub mod header;
pub mod hello;
pub mod inflight;
pub mod names;
pub mod negotiate;
pub mod payload;
pub mod profile;
pub mod retry;
pub mod token;

mod error;
mod message;
mod status;

pub use error::{DecodeError, Defect};
pub use message::{Direction, Message};
pub use status::Status;
