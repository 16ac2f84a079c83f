//! A blocking pipe with nothing around it.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Write};
use std::path::Path;

use windows_sys::Win32::Foundation::{ERROR_INVALID_NAME, ERROR_NO_DATA, ERROR_PIPE_CONNECTED};
use windows_sys::Win32::Storage::FileSystem::PIPE_ACCESS_DUPLEX;
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, PIPE_READMODE_MESSAGE, PIPE_REJECT_REMOTE_CLIENTS,
    PIPE_TYPE_MESSAGE, PIPE_WAIT,
};

use super::mangled;
use crate::SysError;
use crate::platform::channel::MAX_PACKET_BYTES;
use crate::platform::connect::PIPES;
use crate::platform::handle::{last_error, owned, raw, refused, wide};

/// A blocking pipe of messages, with nothing around it.
#[derive(Debug)]
pub struct PlainSocket(File);

impl PlainSocket {
    /// The server's end, to be [accepted](Self::accept) on.
    ///
    /// # Errors
    /// The system refused.
    pub fn listen(path: &Path) -> Result<Self, SysError> {
        let os = refused("listen on a plain pipe");
        let name = wide(&pipe(path)).ok_or_else(|| os(ERROR_INVALID_NAME))?;
        let mode =
            PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS;
        let buffer_bytes = MAX_PACKET_BYTES as u32;
        // SAFETY: the name has a NUL at its end; no other pointer is given; what is returned is nobody else's.
        let handle = unsafe {
            CreateNamedPipeW(
                name.as_ptr(),
                PIPE_ACCESS_DUPLEX,
                mode,
                1,
                buffer_bytes,
                buffer_bytes,
                0,
                std::ptr::null(),
            )
        };
        // SAFETY: just made, or none.
        let handle = unsafe { owned(handle) }.map_err(os)?;
        Ok(Self(handle.into()))
    }

    /// Waits for the client.
    ///
    /// # Errors
    /// The system refused.
    pub fn accept(self) -> Result<Self, SysError> {
        let handle = self.0.into();
        // SAFETY: the handle is open; without a record the call waits for its end.
        let connected = unsafe { ConnectNamedPipe(raw(&handle), std::ptr::null_mut()) };
        match if connected == 0 { last_error() } else { 0 } {
            0 | ERROR_PIPE_CONNECTED | ERROR_NO_DATA => Ok(Self(handle.into())),
            error => Err(refused("accept on a plain pipe")(error)),
        }
    }

    /// The client's end.
    ///
    /// # Errors
    /// The system refused.
    pub fn connect(path: &Path) -> Result<Self, SysError> {
        let opened = File::options().read(true).write(true).open(pipe(path));
        opened.map(Self).map_err(|error| failed("connect a plain pipe", &error))
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// The system refused.
    pub fn send(&self, packet: &[u8]) -> Result<(), SysError> {
        (&self.0).write_all(packet).map_err(|error| failed("send plainly", &error))
    }

    /// Waits for one packet: its length, which is zero once the peer has left.
    ///
    /// # Errors
    /// The system refused.
    pub fn recv(&self, packet: &mut [u8]) -> Result<usize, SysError> {
        match (&self.0).read(packet) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(0),
            received => received.map_err(|error| failed("receive plainly", &error)),
        }
    }
}

fn pipe(path: &Path) -> String {
    format!("{PIPES}{}", mangled(path))
}

fn failed(operation: &'static str, error: &Error) -> SysError {
    SysError::new(operation, error.raw_os_error().unwrap_or_default())
}
