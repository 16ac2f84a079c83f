//! Level 1 on real sockets: its promises first, then its edges, then peers that mean ill.
// What is for Linux alone leaves helpers over.
#![cfg_attr(windows, allow(dead_code, unused_imports))]

#[path = "../support/mod.rs"]
mod support;

mod field;
mod handshake;
mod hostile;
#[cfg(target_os = "linux")]
mod inspect;
mod messages;
mod pacing;
mod pipeline;
/// Of the files that regions are on Linux.
#[cfg(target_os = "linux")]
mod regions;
#[cfg(target_os = "linux")]
mod shared_memory;
mod waiting;
