//! What the program promises as a whole: generated clients and caches against managed servers, with
//! real sockets, real processes to kill, and peers that mean ill.
//!
//! Each promise that is not about sockets is kept over both transports: the same files are two sets of
//! tests, which differ in what both sides offer.
//!
//! What it does **not** do: repeat what the tests of netipc and netipc-sys show of one part alone.
//! docs/testing.md says which test shows what.
#![cfg(target_os = "linux")]
#![expect(clippy::duplicate_mod, reason = "one set of tests a transport, from the same files")]

mod company;
mod over_shared_memory;
mod over_the_socket;
