//! The managed server, at its public interface, over real sockets: what it promises, its edges, and
//! clients that misbehave.
// What is for Linux alone leaves helpers over.
#![cfg_attr(windows, allow(dead_code, unused_imports))]

mod answers;
mod batches;
mod clients;
mod faults;
mod host;
mod hostile;
mod hot;
mod overload;
/// Of the files that regions are on Linux.
#[cfg(target_os = "linux")]
mod regions;
mod stopping;
mod support;
