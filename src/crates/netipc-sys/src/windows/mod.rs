//! The platform of Windows: message-mode named pipes with overlapped I/O, page-file mappings, events
//! (spec sections 8 and 9).
//!
//! | file | what |
//! |---|---|
//! | `handle` | handles, names, error numbers |
//! | `kernel_event` | events of the kernel, and waiting for several |
//! | `transfer` | one overlapped operation that a thread waits for |
//! | `notifier` | one overlapped operation that nobody waits for: the system's thread pool tells of its end |
//! | `pipe` | one end of a pipe |
//! | `channel` | a connected pipe: packets out and in |
//! | `connect` | from a name to a channel, and the probe: what is behind a name |
//! | `listener` | instances of a pipe, and accepting |
//! | `listing` | which pipes there are |
//! | `security` | who may open what this process makes, and who this process is |
//! | `peer` | who is at the other end |
//! | `source` | what can be waited for, and who is told that it is ready |
//! | `event` | abort and waker |
//! | `wait_set` | many sources, one sleeping thread; waiting for one |
//! | `clock` | the clock, and whether there are CPUs to wait on |
//! | `bench/` | for benchmarks alone: a process's own figures, bare pipes, cache lines that two processes share |
//! | `region/` | the system's part of shared memory: mappings, events |
//!
//! How readiness comes about, which Windows does not have for pipes, is in docs/adr/0012.

#[cfg(feature = "bench")]
pub(crate) mod bench;
mod channel;
mod clock;
mod connect;
mod event;
mod handle;
mod kernel_event;
mod listener;
mod listing;
mod notifier;
mod peer;
mod pipe;
pub(crate) mod region;
mod security;
mod source;
mod transfer;
mod wait_set;

pub use channel::{PACKET_OVERHEAD_BYTES, PacketChannel};
pub(crate) use clock::{has_several_cpus, monotonic_ns};
pub use connect::{MAX_SOCKET_PATH_BYTES, connect, inspect_endpoint};
pub use event::{Abort, Waker};
pub use listener::{Accepted, Listener};
pub use listing::list_names;
pub use peer::PeerIdentity;
pub use region::{remove_stale_regions, unblock_faults};
pub use security::own_uid;
pub use source::{WaitSource, Waitable, descriptor_number};
pub use wait_set::{WaitSet, wait_readable};

use crate::Family;

/// Which of the contract's names and rules hold here.
pub const FAMILY: Family = Family::Windows;
