//! The schema compiler: a service is one schema file.
//!
//! ```text
//! schema (KDL) ──check──▶ ir::Service ──backend──▶ text in one language
//! ```
//!
//! A backend sees the checked model alone, never the syntax, so another language is another backend
//! and nothing else. What this crate does **not** do: it touches no wire, and no other netipc crate
//! depends on it but the command, so that broken output never keeps the compiler from being built.
#![forbid(unsafe_code)]

pub mod backend;
pub mod ir;

mod name;

pub use name::Name;
