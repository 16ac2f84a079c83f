//! The operating system under netipc: everything that is a system call, and nothing that is the
//! protocol.
//!
//! ```text
//!     netipc:  sessions, listeners, clients, servers
//!        |
//!   netipc-sys, the same names on every platform
//!        |-- connect, PacketChannel     one packet out, one packet in (spec section 6)
//!        |-- Listener, inspect_endpoint who owns an endpoint's name, and who may take it
//!        |-- Deadline, Abort            until when a call waits, and what ends it earlier
//!        |-- wait_readable              one descriptor, one sleeping thread
//!        |-- WaitSet, Waker             many idle sessions, one sleeping thread
//!        |-- RegionChannel              messages through shared memory (spec sections 7 and 9)
//!        |
//!      unix/        AF_UNIX SOCK_SEQPACKET, eventfd, epoll, futex, over rustix (Linux)
//!      windows/     named pipes, page-file mappings, events, over windows-sys
//!      unsupported  says so, on every other Unix
//!      shm/         how messages move through shared memory: no system calls, run under loom
//! ```
//!
//! A platform is a module that exports these names; the `cfg` alias below picks one, as the standard
//! library's own `sys` does: no run-time choice. What does not differ is beside them: `region/`,
//! `packet.rs`, `watch.rs`.
//!
//! Rules that hold for everything here:
//!
//! - Every descriptor is close-on-exec, every channel non-blocking underneath.
//! - Every call that waits takes a [`Deadline`] and an [`Abort`], tries its system call first, and
//!   sleeps in the kernel only when there is nothing to do: one system call when there is. No call
//!   polls with a period, except [`connect`] to a server whose backlog is full, which says why.
//! - Sending and receiving allocate nothing.
//! - Errors name the operation and what the system said, and never carry bytes of a peer.
//!
//! What this crate does **not** do: it knows no header, no handshake, no session, no token, no
//! retry, starts no thread and reads no environment variable.
//!
//! Unsafe code is denied crate-wide and allowed where a system call has no safe wrapper that is sound:
//! `SO_PEERCRED` (`unix/peer.rs` says why), mapping memory (`unix/region/mapping.rs`,
//! `unix/region/fault.rs`, and for benchmarks and hostile peers `unix/shared_lines.rs`), and, file by file, the calls of
//! `windows/`, for which there are no wrappers at all.
#![deny(unsafe_code)]
// Where there is no platform, what is common to all of them waits for one.
#![cfg_attr(not(any(target_os = "linux", windows)), allow(dead_code, unused_imports))]

mod deadline;
mod endpoint;
mod error;
#[cfg(feature = "failpoints")]
pub mod failpoints;
mod family;
mod packet;
#[cfg(feature = "bench")]
pub mod raw;
mod region;
mod region_error;
mod shm;
mod spin;
mod watch;

#[cfg(target_os = "linux")]
#[path = "unix/mod.rs"]
mod platform;

#[cfg(windows)]
#[path = "windows/mod.rs"]
mod platform;

#[cfg(not(any(target_os = "linux", windows)))]
#[path = "unsupported.rs"]
mod platform;

pub use deadline::Deadline;
pub use endpoint::{BindOptions, DEFAULT_BACKLOG, DEFAULT_MODE, EndpointState};
pub use error::{
    AcceptError, BindError, ConnectError, EntryKind, Holder, InspectError, ListError, PathError,
    RecvError, SendError, SysError, WaitError,
};
pub use family::{Family, path_from_bytes, path_of_bytes};
pub use packet::{Drained, SOON, TrySend};
pub use platform::{
    Abort, Accepted, FAMILY, Listener, MAX_SOCKET_PATH_BYTES, PACKET_OVERHEAD_BYTES, PacketChannel,
    PeerIdentity, WaitSet, Waker, connect, descriptor_number, inspect_endpoint, list_names,
    own_uid, remove_stale_regions, unblock_faults, wait_readable,
};
#[cfg(windows)]
pub use platform::{WaitSource, Waitable};
pub use region::{ObjectNames, ReceiveBuffer, RegionChannel, RegionHandle, RegionName, Until};
pub use region_error::{AttachError, Breach, CreateError, RegionDefect, RegionError, RegionSizes};
pub use spin::{Clock, DEFAULT_SPIN_LIMIT, HostClock, Look, Spin, SpinLimit};
pub use watch::{Event, Events, Interest, WatchMode};
