//! The bytes and the decisions of the netipc wire contract (`spec/wire.md`).
//!
//! Everything here is a pure function of its arguments, so all of it is tested without a socket.
//! What this crate does **not** do: no I/O, no clock, no threads, no unsafe code, no service of
//! its own (codecs of services are generated over [`payload`]).
//!
//! ```text
//!  bytes                                  decisions
//!  header  hello  chunk  batch  payload   negotiate  growth  retry
//!  names   token                          inflight   profile
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod batch;
pub mod chunk;
pub mod header;
pub mod hello;
pub mod inflight;
pub mod names;
pub mod negotiate;
pub mod payload;
pub mod profile;
pub mod token;

mod error;
mod message;
mod status;

pub use error::{DecodeError, Defect};
pub use message::{Direction, Message};
pub use status::Status;
