//! `netipc serve` and those who ask it, as real processes over real sockets, on a made-up host.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod asking;
mod demo;
mod host;
mod listing;
mod refusing;
mod serving;
mod support;
