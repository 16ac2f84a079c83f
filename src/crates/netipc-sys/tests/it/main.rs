//! What netipc-sys promises, kept on real sockets and pipes: the promise first, then edges, then the hostile.
#![cfg(any(target_os = "linux", windows))]
#![allow(missing_docs)]

#[cfg(target_os = "linux")]
mod bind;
mod channel;
#[cfg(target_os = "linux")]
mod channel_linux;
#[cfg(target_os = "linux")]
mod connect;
#[cfg(target_os = "linux")]
mod inspect;
mod listener;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod race;
#[cfg(target_os = "linux")]
mod region;
mod support;
mod wait_set;
mod waiting;
#[cfg(windows)]
mod windows;
