//! The platform of Unix sockets: `AF_UNIX`/`SOCK_SEQPACKET`, eventfd, epoll (spec section 6).
//!
//! | file | what |
//! |---|---|
//! | `channel` | a connected socket: packets out and in |
//! | `connect` | from a path to a channel |
//! | `cpu` | the clock, and whether there are CPUs to wait on |
//! | `endpoint` | paths, and the probe: what stands at a path |
//! | `claim` | taking a name, keeping it, giving it back |
//! | `listener` | accepting |
//! | `listing` | what stands in a run directory |
//! | `event` | abort and waker: eventfds |
//! | `wait` | sleeping until a descriptor is ready, the deadline passes or an abort comes |
//! | `wait_object` | what can be waited for |
//! | `wait_set` | the same for a thousand descriptors: epoll |
//! | `peer` | who is at the other end |
//! | `region/` | the system's part of shared memory: files, mappings, futexes |
//! | `bench`, `shared_lines` | for benchmarks and hostile peers alone: a process's own figures, bare sockets, memory that two processes share |

#[cfg(feature = "bench")]
pub(crate) mod bench;
mod channel;
mod claim;
mod connect;
mod cpu;
mod endpoint;
mod event;
mod listener;
mod listing;
mod peer;
pub(crate) mod region;
#[cfg(feature = "bench")]
mod shared_lines;
mod wait;
mod wait_object;
mod wait_set;

pub use channel::{PACKET_OVERHEAD_BYTES, PacketChannel};
pub use connect::connect;
pub(crate) use cpu::{has_several_cpus, monotonic_ns};
pub use endpoint::{MAX_SOCKET_PATH_BYTES, inspect_endpoint};
pub use event::{Abort, Waker};
pub use listener::{Accepted, Listener};
pub use listing::list_names;
pub use peer::{PeerIdentity, own_uid};
pub use region::{remove_stale_regions, unblock_faults};
pub use wait::wait_readable;
pub use wait_object::descriptor_number;
pub use wait_set::WaitSet;

use rustix::io::Errno;

use crate::{Family, SysError};

/// Which of the contract's names and rules hold here.
pub const FAMILY: Family = if cfg!(target_os = "linux") { Family::Linux } else { Family::Unix };

/// Names the operation that an error number belongs to.
fn refused(operation: &'static str) -> impl Fn(Errno) -> SysError + Copy {
    move |errno| SysError::new(operation, errno.raw_os_error())
}
