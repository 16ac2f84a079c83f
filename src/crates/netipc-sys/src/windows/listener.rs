//! Accepting clients: instances of a pipe.
//!
//! ```text
//!   listening ── a client connects ──▶ connected ── accept ──▶ a channel
//!       ▲                                  │
//!       └──── another instance, at once ◀──┘
//! ```
//!
//! An instance is for one client. Whoever connects is taken in by the system, whether or not the server is
//! looking, and its place is taken by another instance at once, on a thread of the system's pool: so a
//! client finds one listening until as many wait to be accepted as may.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::os::windows::io::OwnedHandle;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_NO_DATA, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_NOT_ENOUGH_QUOTA, ERROR_PIPE_BUSY, ERROR_PIPE_CONNECTED,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_DUPLEX,
};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, PIPE_READMODE_MESSAGE, PIPE_REJECT_REMOTE_CLIENTS,
    PIPE_TYPE_MESSAGE, PIPE_UNLIMITED_INSTANCES, PIPE_WAIT,
};

use super::channel::MAX_PACKET_BYTES;
use super::connect::pipe_name;
use super::handle::{owned, refused};
use super::notifier::{Ended, Notifier, Start};
use super::peer::Side;
use super::pipe::Pipe;
use super::security::Security;
use super::source::{Pollable, Shown, SourceId, WaitSource, Waitable, Watchers};
use super::transfer::{Done, Started, start_on};
use super::wait_set::wait_readable;
use super::{Abort, PacketChannel};
use crate::{AcceptError, BindError, BindOptions, Deadline, Holder, Interest, SysError};

/// Instances that listen at once, so that clients that come at the same moment each find one.
const LISTENING: usize = 4;

/// An endpoint that listens, and owns its name.
///
/// Accepting takes `&self`: several threads may. As a wait object ([`Waitable`]) it is readable when a
/// client waits. Dropping it refuses the clients that were not accepted; channels that it accepted live on,
/// and while one does, the name is not free: the system counts them as instances of the same pipe.
#[derive(Debug)]
pub struct Listener(Arc<Door>);

/// A client that was accepted.
#[derive(Debug)]
pub enum Accepted {
    /// An ordinary one.
    Channel(PacketChannel),
    /// One that has the last descriptor, on other platforms.
    Overflow(PacketChannel),
}

#[derive(Debug)]
struct Door {
    name: Vec<u16>,
    security: Security,
    backlog: usize,
    /// Who makes an instance keeps whoever drops the listener from returning before there is none. Locked before the
    /// state.
    making: Mutex<()>,
    state: Mutex<State>,
    watchers: Watchers,
    own: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    listening: Vec<Arc<Notifier<Arrival>>>,
    connected: VecDeque<Arc<Pipe>>,
    /// Why the last instance could not be made.
    failure: Option<SysError>,
    closed: bool,
}

/// An instance that listens.
#[derive(Debug)]
struct Arrival {
    pipe: Arc<Pipe>,
    door: Weak<Door>,
}

impl Ended for Arrival {
    fn ended(&self, done: Done) {
        if let Some(door) = self.door.upgrade() {
            door.arrived(&self.pipe, done.error);
        }
    }
}

impl Listener {
    /// Takes the name `path` and listens on it.
    ///
    /// # Errors
    /// Each variant of [`BindError`] but those of directories; [`BindError::InUse`] where there is such a
    /// pipe already.
    pub fn bind(path: &Path, options: &BindOptions) -> Result<Self, BindError> {
        let name = pipe_name(path)?;
        let security = Security::new().map_err(BindError::Os)?;
        let first = instance(&name, &security, FILE_FLAG_FIRST_PIPE_INSTANCE);
        let first = first.map_err(|error| match error {
            // So says the system where the name is taken; the name's own owner is denied nothing.
            ERROR_ACCESS_DENIED | ERROR_PIPE_BUSY => {
                BindError::InUse { path: path.to_owned(), by: Holder::LiveServer }
            }
            error => BindError::Os(refused("listen on the endpoint")(error)),
        })?;
        let door = Arc::new_cyclic(|own| Door {
            name,
            security,
            backlog: usize::from(options.backlog.max(1)),
            making: Mutex::default(),
            state: Mutex::default(),
            watchers: Watchers::default(),
            own: own.clone(),
        });
        door.listen_with(first).map_err(BindError::Os)?;
        door.listen();
        Ok(Self(door))
    }

    /// Accepts one client; waits for one until the deadline.
    ///
    /// # Errors
    /// Each variant of [`AcceptError`].
    pub fn accept(&self, deadline: Deadline, abort: &Abort) -> Result<Accepted, AcceptError> {
        loop {
            if abort.is_set() {
                return Err(AcceptError::Aborted);
            }
            if let Some(accepted) = self.try_accept()? {
                return Ok(accepted);
            }
            wait_readable(self, deadline, abort)?;
        }
    }

    /// Accepts one client if one waits now; `None` if not.
    ///
    /// # Errors
    /// [`AcceptError::Exhausted`] where nobody can connect any more, for the system makes no instance.
    pub fn try_accept(&self) -> Result<Option<Accepted>, AcceptError> {
        self.0.look();
        let client = self.0.lock().connected.pop_front();
        // There may be room for another, or again.
        self.0.listen();
        if let Some(pipe) = client {
            let channel = PacketChannel::new(pipe, Side::Server);
            return Ok(Some(Accepted::Channel(channel)));
        }
        let state = self.0.lock();
        match state.failure {
            Some(error) if state.listening.is_empty() && state.connected.is_empty() => {
                Err(exhausted(error))
            }
            _ => Ok(None),
        }
    }
}

impl Waitable for Listener {
    fn wait_source(&self) -> WaitSource {
        WaitSource(Arc::<Door>::clone(&self.0))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.watchers.leave_all(self.0.id());
        let mut state = self.0.lock();
        state.closed = true;
        let (listening, connected) =
            (std::mem::take(&mut state.listening), std::mem::take(&mut state.connected));
        drop(state);
        for arrival in &listening {
            arrival.owner().pipe.close();
        }
        for pipe in &connected {
            pipe.close();
        }
        // One that is being made finds the listener closed, and goes at once.
        drop(self.0.lock_making());
    }
}

impl Door {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_making(&self) -> MutexGuard<'_, ()> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self) -> SourceId {
        SourceId::of(&raw const *self)
    }

    /// Sees to it that as many instances listen as should.
    fn listen(&self) {
        while self.make_another() {}
    }

    /// Makes an instance that listens, where there should be one more; `false` where not, or where none is made.
    fn make_another(&self) -> bool {
        let _making = self.lock_making();
        let state = self.lock();
        let waiting = state.listening.len() + state.connected.len();
        if state.closed || state.listening.len() >= LISTENING || waiting >= self.backlog {
            return false;
        }
        drop(state);
        let made = instance(&self.name, &self.security, 0)
            .map_err(refused("listen on the endpoint"))
            .and_then(|handle| self.listen_with(handle));
        self.lock().failure = made.err();
        made.is_ok()
    }

    /// Has an instance wait for a client.
    fn listen_with(&self, handle: OwnedHandle) -> Result<(), SysError> {
        let pipe = Pipe::new(handle);
        let arrival = Arrival { pipe: Arc::clone(&pipe), door: self.own.clone() };
        let arrival = Notifier::new(arrival)?;
        let mut state = self.lock();
        if state.closed {
            return Ok(());
        }
        // Before it starts, so that who arrives at once finds it.
        state.listening.push(Arc::clone(&arrival));
        drop(state);
        let started = arrival.start(
            |_nothing| {},
            |record, _nothing| {
                start_on(pipe.file(), |handle| {
                    // SAFETY: the handle is open while it is locked; the record is the notifier's, which
                    // keeps it until the operation has ended.
                    Started::of(unsafe { ConnectNamedPipe(handle, record) })
                })
            },
        );
        // Whoever calls this makes the next: not from here, or clients that come in a flood, and a system that
        // refuses again and again, would decide how deep the stack gets.
        match started {
            Start::Done(done) if !self.take_in(&pipe, done.error) => {
                Err(refused("listen on the endpoint")(done.error))
            }
            _ => Ok(()),
        }
    }

    /// Takes in who has arrived and was not told of yet, if nobody else is there.
    fn look(&self) {
        let state = self.lock();
        if !state.connected.is_empty() {
            return;
        }
        let arrived: Vec<_> = state.listening.iter().filter_map(early).collect();
        drop(state);
        for (pipe, error) in arrived {
            self.arrived(&pipe, error);
        }
    }

    /// An instance has a client, or never will.
    fn arrived(&self, pipe: &Arc<Pipe>, error: u32) {
        self.take_in(pipe, error);
        self.listen();
    }

    /// Takes in the client of an instance; `false` if it never will have one. The first who tells counts.
    fn take_in(&self, pipe: &Arc<Pipe>, error: u32) -> bool {
        let mut state = self.lock();
        let listening = state.listening.len();
        state.listening.retain(|arrival| !Arc::ptr_eq(&arrival.owner().pipe, pipe));
        if state.listening.len() == listening {
            // Told before, and perhaps accepted; or the listener is closed, and has closed it.
            return true;
        }
        // One that has left again may have said something before.
        let is_there = matches!(error, 0 | ERROR_PIPE_CONNECTED | ERROR_NO_DATA);
        if is_there {
            state.connected.push_back(Arc::clone(pipe));
        }
        drop(state);
        self.watchers.notify(self.id());
        is_there
    }
}

impl Pollable for Door {
    fn poll(&self, _interest: Interest) -> Shown {
        let state = self.lock();
        let readable =
            !state.connected.is_empty() || (state.listening.is_empty() && state.failure.is_some());
        Shown { readable, ..Shown::default() }
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

/// An instance that has a client of which nobody was told yet.
fn early(arrival: &Arc<Notifier<Arrival>>) -> Option<(Arc<Pipe>, u32)> {
    let done = arrival.early()?;
    Some((Arc::clone(&arrival.owner().pipe), done.error))
}

/// Makes an instance of a pipe.
pub(super) fn instance(
    name: &[u16],
    security: &Security,
    more_flags: u32,
) -> Result<OwnedHandle, u32> {
    let mode = PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS;
    let buffer_bytes = MAX_PACKET_BYTES as u32;
    let attributes = security.attributes();
    // SAFETY: the name has a NUL at its end; the attributes are a local that points to what `security`
    // keeps; what is returned is nobody else's.
    let handle = unsafe {
        CreateNamedPipeW(
            name.as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | more_flags,
            mode,
            PIPE_UNLIMITED_INSTANCES,
            buffer_bytes,
            buffer_bytes,
            0,
            &raw const attributes,
        )
    };
    // SAFETY: just made, or none.
    unsafe { owned(handle) }
}

fn exhausted(error: SysError) -> AcceptError {
    match error.code().cast_unsigned() {
        ERROR_NO_SYSTEM_RESOURCES | ERROR_NOT_ENOUGH_MEMORY | ERROR_NOT_ENOUGH_QUOTA => {
            AcceptError::Exhausted(error)
        }
        _ => AcceptError::Os(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::windows::fs::OpenOptionsExt;

    use super::*;

    /// A file stands for an instance that the system does not let listen.
    #[test]
    fn an_instance_that_cannot_listen_is_an_error() {
        let name = format!(r"\\.\pipe\netipc-sys-unit-{}", std::process::id());
        let listener = Listener::bind(Path::new(&name), &BindOptions::default()).expect("bound");
        let directory = tempfile::tempdir().expect("a directory");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            .open(directory.path().join("file"))
            .expect("made");
        listener.0.listen_with(file.into()).expect_err("it cannot listen");
        assert_eq!(listener.0.lock().listening.len(), LISTENING);
    }
}
