//! The bytes and the decisions of the netipc wire contract (`spec/wire.md`).
//!
//! Everything here is a pure function of its arguments, so all of it is tested without a socket.
//! What this crate does **not** do: no I/O, no clock, no threads, no unsafe code, no service of
//! its own (codecs of services are generated over [`payload`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod payload;

mod error;

pub use error::{DecodeError, Defect};
