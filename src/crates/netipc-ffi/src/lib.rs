//! The C ABI: what a program in C calls, and the `netipc` crate answers.
//!
//! ```text
//!   netipc.h  <service>.h          headers; the first is read off these modules by cbindgen, the others
//!      │                           are written by the schema compiler
//!   generated/*                    a service's functions: types in C's shape, a line of glue each
//!      │
//!   typed/*                        what they share, once a shape
//!      │
//!   client  server  level1/*       functions that know no service
//!      │
//!   boundary  object  words        every call passes here: pointers checked, panics contained
//!   elements                       where the headers read by themselves, without a call
//!      │
//!   netipc, netipc-services
//! ```
//!
//! What it does **not** do: anything of the protocol. It converts, guards and calls.
//!
//! A C program is trusted in one thing, that its pointers are what the header says: valid for what
//! they point at, for as long as the call takes. `boundary` is the one place that relies on it.
//! What can be checked is: NULL, misalignment, objects that were never made or are closed, sizes that
//! do not fit memory.

// Names that C programs read.
#![allow(non_camel_case_types)]
// The one thing that every function here asks of its caller stands once, above and in the header.
#![allow(clippy::missing_safety_doc)]

pub mod client;
pub mod config;
pub mod elements;
pub mod error;
pub mod level1;
pub mod log;
pub mod object;
pub mod server;
pub mod status;
pub mod text;

mod boundary;
mod failure;
#[rustfmt::skip]
mod generated;
pub mod handler;
mod layout;
mod typed;
mod words;
