//! Cache lines that two processes share, in the page file, and events to wait for them.

use std::fmt;
use std::ops::Deref;
use std::os::windows::io::OwnedHandle;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_INVALID_NAME, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
    OpenFileMappingW, PAGE_READWRITE, UnmapViewOfFile,
};
use windows_sys::Win32::System::Threading::CreateEventW;

use super::mangled;
use crate::platform::handle::{last_error, owned, raw, refused, wide};
use crate::platform::kernel_event::{KernelEvent, wait_any};
use crate::raw::{LINES, Line, Lines};
use crate::{Deadline, SysError};

const SHARED_BYTES: usize = size_of::<Lines>();

/// [`LINES`] cache lines that every process sees which opens the same name. Zero at first.
pub struct SharedLines {
    lines: NonNull<Lines>,
    name: String,
    events: [OnceLock<KernelEvent>; LINES],
    _section: OwnedHandle,
}

impl SharedLines {
    /// Makes them, which must not be there, for who has the path as name.
    ///
    /// # Errors
    /// The system refused: the name is taken, or there is no room.
    pub fn create(path: &Path) -> Result<Self, SysError> {
        let os = refused("make shared lines");
        let name = mangled(path);
        let section_name = wide(&section(&name)).ok_or_else(|| os(ERROR_INVALID_NAME))?;
        // SAFETY: the name has a NUL at its end; no file is given, which means the page file; what is
        // returned is nobody else's.
        let section = unsafe {
            CreateFileMappingW(
                INVALID_HANDLE_VALUE,
                std::ptr::null(),
                PAGE_READWRITE,
                0,
                SHARED_BYTES as u32,
                section_name.as_ptr(),
            )
        };
        let error = last_error();
        // SAFETY: just made or opened, or none.
        let section = unsafe { owned(section) }.map_err(os)?;
        if error == ERROR_ALREADY_EXISTS { Err(os(error)) } else { Self::map(name, section) }
    }

    /// Opens what another process [created](Self::create).
    ///
    /// # Errors
    /// The system refused.
    pub fn open(path: &Path) -> Result<Self, SysError> {
        let os = refused("open shared lines");
        let name = mangled(path);
        let section_name = wide(&section(&name)).ok_or_else(|| os(ERROR_INVALID_NAME))?;
        // SAFETY: the name has a NUL at its end; what is returned is nobody else's.
        let section =
            unsafe { OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE, 0, section_name.as_ptr()) };
        // SAFETY: just opened, or none.
        let section = unsafe { owned(section) }.map_err(os)?;
        Self::map(name, section)
    }

    /// Wakes who waits for this line's signal, which was changed before: an event, as Windows has no futex that
    /// two processes share.
    ///
    /// # Errors
    /// The system has no event for it.
    pub fn wake(&self, line: usize) -> Result<(), SysError> {
        self.event(line)?.set();
        Ok(())
    }

    /// Sleeps while this line's signal is `last`, or less long: look again.
    ///
    /// # Errors
    /// The system refused.
    pub fn wait(&self, line: usize, last: u32) -> Result<(), SysError> {
        if self[line].signal.load(Ordering::Acquire) != last {
            return Ok(());
        }
        wait_any(&[self.event(line)?.raw()], Deadline::never()).map(drop)
    }

    fn event(&self, line: usize) -> Result<&KernelEvent, SysError> {
        if let Some(event) = self.events[line].get() {
            return Ok(event);
        }
        let os = refused("make an event");
        let name = wide(&format!(r"Local\{}-{line}", self.name));
        let name = name.ok_or_else(|| os(ERROR_INVALID_NAME))?;
        // SAFETY: the name has a NUL at its end; one that resets itself, not set; what is returned is nobody
        // else's.
        let event = unsafe { CreateEventW(std::ptr::null(), 0, 0, name.as_ptr()) };
        // SAFETY: just made or opened, or none.
        let event = KernelEvent::from_handle(unsafe { owned(event) }.map_err(os)?);
        Ok(self.events[line].get_or_init(|| event))
    }

    fn map(name: String, section: OwnedHandle) -> Result<Self, SysError> {
        // SAFETY: a new view at a place of the system's choice touches nothing that is there.
        let view = unsafe {
            MapViewOfFile(raw(&section), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, SHARED_BYTES)
        };
        let lines = NonNull::new(view.Value.cast())
            .ok_or_else(|| refused("map shared lines")(last_error()))?;
        Ok(Self { lines, name, events: [const { OnceLock::new() }; LINES], _section: section })
    }
}

fn section(name: &str) -> String {
    format!(r"Local\{name}")
}

impl Deref for SharedLines {
    type Target = [Line; LINES];

    fn deref(&self) -> &Self::Target {
        // SAFETY: the pointer is that of a view of `SHARED_BYTES` bytes, readable and writable, aligned to a
        // page and so to a line, which stays until this is dropped; the type has atomics only, of which every
        // bit pattern is a value, and which other processes may write.
        unsafe { self.lines.as_ref() }
    }
}

impl Drop for SharedLines {
    fn drop(&mut self) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.lines.as_ptr().cast() };
        // SAFETY: the view is this value's own, and no borrow of it outlives it.
        let _unmapped = unsafe { UnmapViewOfFile(view) };
    }
}

// SAFETY: a view belongs to the process, not to a thread: any thread may use and unmap it.
unsafe impl Send for SharedLines {}

// SAFETY: all that a shared reference gives is atomics, and events, which any thread may use.
unsafe impl Sync for SharedLines {}

impl fmt::Debug for SharedLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLines").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_openings_of_a_name_are_the_same_lines_and_events() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lines");
        let missing = SharedLines::open(&path).expect_err("nobody made them");
        assert_eq!(missing.operation(), "open shared lines");
        let one = SharedLines::create(&path).expect("made");
        let other = SharedLines::open(&path).expect("opened");
        assert!(SharedLines::create(&path).is_err(), "the name is taken");
        one[3].payload[4].store(7, Ordering::Relaxed);
        assert_eq!(other[3].payload[4].load(Ordering::Relaxed), 7);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                while other[9].signal.load(Ordering::Acquire) == 0 {
                    other.wait(9, 0).expect("waited");
                }
            });
            one[9].signal.store(1, Ordering::Release);
            one.wake(9).expect("woken");
            waiter.join().expect("no panic");
        });
    }
}
