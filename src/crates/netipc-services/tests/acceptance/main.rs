//! What the program promises as a whole: generated clients and caches against managed servers, with
//! real sockets, real processes to kill, and peers that mean ill.
//!
//! What it does **not** do: repeat what the tests of netipc and netipc-sys show of one part alone.
//! docs/testing.md says which test shows what.

mod field;
mod hostile;
mod idle;
mod restarts;
mod silent;
mod sizes;
mod support;
