//! The platform of systems that have none yet: everything compiles, and whatever is constructed first says
//! that there is no transport here.
//!
//! What cannot be constructed has no methods that could run, which the compiler knows: each is an empty
//! match. A transport for such a system (a stream of packets with their lengths, say, where there are no
//! packet sockets) replaces this module, and changes nothing above.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use crate::{
    AcceptError, BindError, BindOptions, ConnectError, Deadline, EndpointState, Events, Family,
    InspectError, Interest, ListError, RecvError, SendError, SysError, TrySend, WaitError,
    WatchMode,
};

#[path = "unix/wait_object.rs"]
mod wait_object;

pub use wait_object::descriptor_number;

/// Which of the contract's names and rules hold here.
pub const FAMILY: Family = Family::Unix;
/// The longest path of an endpoint, in bytes (spec section 5): that of the shortest `sun_path`.
pub const MAX_SOCKET_PATH_BYTES: usize = 103;
/// No packet is sent here.
pub const PACKET_OVERHEAD_BYTES: usize = 0;

/// `ENOSYS` wherever there are numbers for errors; the words before it say more.
const NOT_IMPLEMENTED: i32 = 78;

const fn unsupported() -> SysError {
    SysError::new("run netipc, which has no transport for this system yet", NOT_IMPLEMENTED)
}

/// What there is none of.
#[derive(Clone, Copy, Debug)]
enum Never {}

macro_rules! never {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name(Never);

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                match self.0 {}
            }
        }
    )+};
}

never! {
    /// A connected packet channel: there is none here.
    PacketChannel;
    /// An endpoint that listens: there is none here.
    Listener;
    /// Ends the calls that wait with it: there are none here.
    #[derive(Clone)]
    Abort;
    /// Wakes who sleeps in a wait set: nobody does here.
    #[derive(Clone)]
    Waker;
    /// Many descriptors to sleep on: none here.
    WaitSet;
}

/// The documentation of each method is that of the other platforms.
#[allow(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
mod methods {
    use super::*;

    impl PacketChannel {
        pub fn send(
            &self,
            _pieces: &[IoSlice<'_>],
            _deadline: Deadline,
            _abort: &Abort,
        ) -> Result<(), SendError> {
            match self.0 {}
        }

        pub fn try_send(&self, _pieces: &[IoSlice<'_>]) -> Result<TrySend, SendError> {
            match self.0 {}
        }

        pub fn recv(
            &self,
            _buffer: &mut [u8],
            _deadline: Deadline,
            _abort: &Abort,
        ) -> Result<usize, RecvError> {
            match self.0 {}
        }

        pub fn recv_soon(&self, _buffer: &mut [u8]) -> Result<Option<usize>, RecvError> {
            match self.0 {}
        }

        pub fn try_recv(&self, _buffer: &mut [u8]) -> Result<Option<usize>, RecvError> {
            match self.0 {}
        }

        pub fn peer_gone(&self) -> Result<bool, SysError> {
            match self.0 {}
        }

        pub(crate) fn wait_gone(&self, _until: Deadline, _abort: &Abort) -> Result<(), WaitError> {
            match self.0 {}
        }

        pub fn peer(&self) -> Result<PeerIdentity, SysError> {
            match self.0 {}
        }

        pub fn max_packet_size(&self) -> Result<usize, SysError> {
            match self.0 {}
        }

        pub fn finish_sending(&self) {
            match self.0 {}
        }

        pub fn shutdown(&self) {
            match self.0 {}
        }
    }

    impl Listener {
        pub const fn bind(_path: &Path, _options: &BindOptions) -> Result<Self, BindError> {
            Err(BindError::Os(unsupported()))
        }

        pub fn accept(&self, _until: Deadline, _abort: &Abort) -> Result<Accepted, AcceptError> {
            match self.0 {}
        }

        pub fn try_accept(&self) -> Result<Option<Accepted>, AcceptError> {
            match self.0 {}
        }
    }

    impl Abort {
        pub const fn new() -> Result<Self, SysError> {
            Err(unsupported())
        }

        pub fn trigger(&self) {
            match self.0 {}
        }

        pub fn clear(&self) {
            match self.0 {}
        }

        pub fn is_set(&self) -> bool {
            match self.0 {}
        }
    }

    impl Waker {
        pub const fn new() -> Result<Self, SysError> {
            Err(unsupported())
        }

        pub fn wake(&self) {
            match self.0 {}
        }

        pub fn reset(&self) {
            match self.0 {}
        }
    }

    impl WaitSet {
        pub const fn new() -> Result<Self, SysError> {
            Err(unsupported())
        }

        pub fn add(
            &self,
            _source: impl AsFd,
            _token: u64,
            _interest: Interest,
            _mode: WatchMode,
        ) -> Result<(), SysError> {
            match self.0 {}
        }

        pub fn modify(
            &self,
            _source: impl AsFd,
            _token: u64,
            _interest: Interest,
            _mode: WatchMode,
        ) -> Result<(), SysError> {
            match self.0 {}
        }

        pub fn remove(&self, _source: impl AsFd) -> Result<(), SysError> {
            match self.0 {}
        }

        pub fn wait(&self, _events: &mut Events, _deadline: Deadline) -> Result<usize, SysError> {
            match self.0 {}
        }
    }
}

/// A client that was accepted.
#[derive(Debug)]
pub enum Accepted {
    /// An ordinary one.
    Channel(PacketChannel),
    /// One that has the last descriptor.
    Overflow(PacketChannel),
}

/// The process at the other end of a channel: there is none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its process id.
    pub pid: Option<u32>,
    /// Its effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
}

impl PeerIdentity {
    /// Whether it is this process's user, or one that may do everything here anyway.
    #[must_use]
    pub const fn is_own_or_privileged(&self) -> bool {
        false
    }
}

/// The user of this process, which no peer sees here.
#[must_use]
pub const fn own_uid() -> u32 {
    u32::MAX
}

/// Connects to nothing.
///
/// # Errors
/// [`ConnectError::Os`]: there is no transport here.
pub const fn connect(
    _path: &Path,
    _deadline: Deadline,
    _abort: &Abort,
) -> Result<PacketChannel, ConnectError> {
    Err(ConnectError::Os(unsupported()))
}

/// Looks at nothing.
///
/// # Errors
/// [`InspectError::Os`]: there is no transport here.
pub const fn inspect_endpoint(_path: &Path) -> Result<EndpointState, InspectError> {
    Err(InspectError::Os(unsupported()))
}

/// Lists nothing.
///
/// # Errors
/// [`ListError::Os`]: there is no transport here.
pub const fn list_names(_run_dir: &Path) -> Result<Vec<Vec<u8>>, ListError> {
    Err(ListError::Os(unsupported()))
}

/// Waits for nothing: there is no abort handle to be given.
///
/// # Errors
/// None: it cannot be called.
pub fn wait_readable(
    _source: impl AsFd,
    _deadline: Deadline,
    abort: &Abort,
) -> Result<(), WaitError> {
    match abort.0 {}
}

/// Does nothing: there are no regions.
pub const fn unblock_faults() {}

/// Removes nothing.
///
/// # Errors
/// None here.
pub fn remove_stale_regions(
    _run_dir: &Path,
    _is_region: impl Fn(&[u8]) -> bool,
) -> Result<usize, SysError> {
    Ok(0)
}

/// Nanoseconds since the first call.
pub(crate) fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Nobody waits for a peer here.
pub(crate) const fn has_several_cpus() -> bool {
    false
}

/// What the system has of a session's shared memory: nothing.
pub(crate) mod region {
    use std::sync::atomic::{AtomicU32, AtomicU64};

    use super::{Never, unsupported};
    use crate::region::{Direction, Expected, Made};
    use crate::shm::{Bell, Lane};
    use crate::{AttachError, CreateError, RegionError, RegionName, RegionSizes, Until};

    /// The contract's, of Linux: for limits that are computed before anything is made.
    pub(crate) const HEADER_BYTES: usize = 64;

    #[derive(Debug)]
    pub(crate) struct Mapping(Never);
    #[derive(Debug)]
    pub(crate) struct Doorbell(Never);
    #[derive(Debug)]
    pub(crate) struct OwnEntry(Never);
    #[derive(Debug)]
    pub(crate) struct Sleeper(Never);

    type TheLane<'l> = Lane<'l, AtomicU64, AtomicU32>;

    impl Mapping {
        pub(crate) fn is_lost(&self) -> bool {
            match self.0 {}
        }

        pub(crate) const fn len_bytes(&self) -> usize {
            match self.0 {}
        }

        pub(crate) fn lane(&self, _direction: Direction) -> TheLane<'_> {
            match self.0 {}
        }
    }

    impl Doorbell {
        pub(crate) const TELLS_OF_CLOSE: bool = false;

        pub(crate) fn say_closed(&self, _mapping: &Mapping, _outgoing: Direction) {
            match self.0 {}
        }
    }

    impl Bell<AtomicU64, AtomicU32> for Doorbell {
        fn announce(&self, _lane: &TheLane<'_>, _seq: u64, _signal: u32) {
            match self.0 {}
        }

        fn before_sleep(&self, _lane: &TheLane<'_>) -> u32 {
            match self.0 {}
        }

        fn after_sleep(&self, _lane: &TheLane<'_>) {
            match self.0 {}
        }

        fn wake_all(&self, _alarm: &AtomicU32, _own: &AtomicU32) {
            match self.0 {}
        }
    }

    impl OwnEntry {
        pub(crate) fn remove(&self) {
            match self.0 {}
        }
    }

    impl Sleeper {
        pub(crate) const fn new(
            _until: Until<'_>,
            _mapping: &Mapping,
            doorbell: &Doorbell,
        ) -> Self {
            match doorbell.0 {}
        }

        pub(crate) fn doze(
            &mut self,
            _signal: &AtomicU32,
            _heard: u32,
            _own: &AtomicU32,
        ) -> Result<(), RegionError> {
            match self.0 {}
        }
    }

    pub(crate) const fn create(
        _name: &RegionName,
        _sizes: RegionSizes,
    ) -> Result<Made, CreateError> {
        Err(CreateError::Unsupported(unsupported()))
    }

    pub(crate) const fn attach_once(
        _name: &RegionName,
        _expected: Expected,
    ) -> Result<Made, AttachError> {
        Err(AttachError::Os(unsupported()))
    }
}
