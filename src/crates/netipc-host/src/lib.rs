//! What this Linux host knows of its cgroups and processes, as plain data.
//!
//! ```text
//!   /proc/PID/{stat,status,cgroup}     cgroup v2 tree
//!              \                          /
//!            processes               cgroups  -> identity (what a path tells by itself)
//!                     \               /
//!                      Generation: one scan, joined, numbered, immutable
//!                             |
//!                           Host: keeps a generation for a second, shared by all callers
//! ```
//!
//! Everything is read anew for a generation and nothing is written. What a container is called by
//! people (the image, a docker name) stands in no kernel file, so it is not here: names and labels
//! are what the path of a cgroup says.
//!
//! What this crate does **not** do: it knows no service, no client and no byte of the wire; it
//! starts no thread, reads no environment variable, talks to no container runtime. Off Linux it
//! finds nothing, and says so.
#![forbid(unsafe_code)]

mod cgroups;
#[cfg_attr(not(target_os = "linux"), path = "files_elsewhere.rs")]
mod files;
mod generation;
mod host;
mod identity;
mod mounts;
mod processes;

pub use cgroups::{Absence, CgroupTree, MAX_CGROUPS, MAX_DEPTH, MAX_PATH_BYTES, Omitted};
pub use generation::{
    Cgroup, CgroupAnswer, Generation, Membership, OPTIONS, Process, Source, name_hash,
};
pub use host::{GENERATION_AGE, Host, HostConfig};
pub use identity::{Label, MAX_NAME_BYTES, Orchestrator, label};
pub use processes::{Comm, MAX_COMM_BYTES, MAX_PROCESSES};
