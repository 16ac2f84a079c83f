//! Level 1 on real sockets: its promises first, then its edges, then peers that mean ill.

#[path = "../support/mod.rs"]
mod support;

mod field;
mod handshake;
mod hostile;
mod inspect;
mod messages;
mod pacing;
mod pipeline;
mod regions;
mod shared_memory;
mod waiting;
