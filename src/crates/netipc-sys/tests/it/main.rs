//! What netipc-sys promises, kept on real sockets: the promise first, then edges, then the hostile.
#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod bind;
mod channel;
mod connect;
mod inspect;
mod listener;
mod process;
mod race;
mod region;
mod support;
mod wait_set;
mod waiting;
