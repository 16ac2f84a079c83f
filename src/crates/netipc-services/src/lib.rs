//! The services of the netipc contract: generated code only.
//!
//! Each module is made from one file of `spec/schemas` by `make codegen`; the page of its wire
//! tables is in `docs/services`. What this crate does **not** hold: logic. What services share is
//! in `netipc::codec`.
#![forbid(unsafe_code)]

#[rustfmt::skip]
mod generated;

pub use generated::*;
