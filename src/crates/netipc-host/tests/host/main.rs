//! The promises of the crate, on trees made for the purpose and on the host the tests run on.
#![cfg(target_os = "linux")]

mod cgroups;
mod fixture;
mod processes;
mod real;
mod sharing;
