//! Memory that two processes share, through a small file, and nothing that the library uses: cache lines, which
//! a benchmark needs to measure how fast this machine passes a line from one CPU to another; and the header of a
//! region as a hostile peer has it, whose words are its to write and to wake sleepers of.
//!
//! There is no protocol here, and no trust. All that is shared is atomic, so that whatever the other process
//! writes is a value and no data race.

use std::fmt;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstat, open};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

use super::refused;
use crate::SysError;
use crate::raw::Lines;

/// The words of a region's header (spec section 7).
const HEADER_WORDS: usize = 16;

/// What may be shared with anybody.
///
/// # Safety
/// Any bytes are a value of it, all of which is atomic, and it is aligned to no more than a page.
#[allow(unsafe_code)]
pub unsafe trait Sharable {}

// SAFETY: atomic numbers, every one of them; aligned to a line.
#[allow(unsafe_code)]
unsafe impl Sharable for Lines {}

// SAFETY: atomic numbers.
#[allow(unsafe_code)]
unsafe impl Sharable for [AtomicU32; HEADER_WORDS] {}

/// [`LINES`](crate::raw::LINES) cache lines that every process sees which opens the same file. Zero at first.
pub type SharedLines = Shared<Lines>;

/// The header of a region that there is, word by word, and nothing checked.
pub type SharedHeader = Shared<[AtomicU32; HEADER_WORDS]>;

/// The front of a file, as every process sees it which opens the same one.
///
/// The file must keep its size while it is shared: touching a page that was cut off raises SIGBUS.
pub struct Shared<T: Sharable>(NonNull<T>);

impl<T: Sharable> Shared<T> {
    /// Bytes of the mapping, and of the file at least.
    const BYTES: usize = size_of::<T>();

    /// Makes the file, which must not exist, for this user alone.
    ///
    /// # Errors
    /// The system refused: the name is taken, or there is no room.
    pub fn create(path: &Path) -> Result<Self, SysError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(refused("make a file of shared lines"))?;
        fallocate(&file, FallocateFlags::empty(), 0, Self::BYTES as u64)
            .map_err(refused("reserve shared lines"))?;
        Self::map(&file)
    }

    /// Opens what another process [created](Self::create).
    ///
    /// # Errors
    /// The system refused, or the file is too short to be one of these.
    pub fn open(path: &Path) -> Result<Self, SysError> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty()).map_err(refused("open shared lines"))?;
        let size = fstat(&file).map_err(refused("tell the size of shared lines"))?.st_size;
        if usize::try_from(size).unwrap_or(0) < Self::BYTES {
            return Err(refused("take a file for shared lines")(Errno::INVAL));
        }
        Self::map(&file)
    }

    #[allow(unsafe_code)]
    fn map(file: &OwnedFd) -> Result<Self, SysError> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the address is the kernel's to choose, so that nothing that is mapped already is
        // replaced.
        let mapped = unsafe {
            mmap(std::ptr::null_mut(), Self::BYTES, protection, MapFlags::SHARED, file, 0)
        };
        let mapped = mapped.map_err(refused("map shared lines"))?;
        NonNull::new(mapped.cast()).map(Self).ok_or(refused("map shared lines")(Errno::NOMEM))
    }
}

impl SharedLines {
    /// Wakes who waits for this line's signal, which was changed before: a futex.
    ///
    /// # Errors
    /// The system refused.
    pub fn wake(&self, line: usize) -> Result<(), SysError> {
        let woken = futex::wake(&self[line].signal, futex::Flags::empty(), 1);
        woken.map(drop).map_err(refused("wake a thread"))
    }

    /// Sleeps while this line's signal is `last`, or less long: look again.
    ///
    /// # Errors
    /// The system refused.
    pub fn wait(&self, line: usize, last: u32) -> Result<(), SysError> {
        match futex::wait(&self[line].signal, futex::Flags::empty(), last, None) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(refused("wait for a line")(error)),
        }
    }
}

impl<T: Sharable> Deref for Shared<T> {
    type Target = T;

    #[allow(unsafe_code)]
    fn deref(&self) -> &Self::Target {
        // SAFETY: the pointer is that of a mapping of as many bytes, readable and writable, aligned to a
        // page, which stays until this is dropped; the type is `Sharable`: it has atomics only, of which
        // every bit pattern is a value, and which other processes may write.
        unsafe { self.0.as_ref() }
    }
}

impl<T: Sharable> Drop for Shared<T> {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, has this length, and no borrow of it outlives it.
        let _unmapped = unsafe { munmap(self.0.as_ptr().cast(), Self::BYTES) };
    }
}

// SAFETY: a mapping belongs to the process, not to a thread: any thread may use and unmap it.
#[allow(unsafe_code)]
unsafe impl<T: Sharable> Send for Shared<T> {}

// SAFETY: all that a shared reference gives is atomics.
#[allow(unsafe_code)]
unsafe impl<T: Sharable> Sync for Shared<T> {}

impl<T: Sharable> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::raw::LINES;

    #[test]
    fn two_openings_of_a_file_are_the_same_lines() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lines");
        let one = SharedLines::create(&path).expect("made");
        let other = SharedLines::open(&path).expect("opened");
        one[3].payload[4].store(7, Ordering::Relaxed);
        one[LINES - 1].signal.store(8, Ordering::Relaxed);
        assert_eq!(other[3].payload[4].load(Ordering::Relaxed), 7);
        assert_eq!(other[LINES - 1].signal.load(Ordering::Relaxed), 8);
        assert_eq!(other[0].sequence.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_name_that_is_taken_and_a_file_that_is_too_short_are_errors() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("short");
        std::fs::write(&path, [0; SharedLines::BYTES - 1]).expect("written");
        assert_eq!(SharedLines::create(&path).expect_err("taken").code(), libc::EEXIST);
        assert_eq!(SharedLines::open(&path).expect_err("short").code(), libc::EINVAL);
        let missing = directory.path().join("missing");
        assert_eq!(SharedLines::open(&missing).expect_err("missing").code(), libc::ENOENT);
    }

    #[test]
    fn a_header_is_the_front_of_any_file_that_has_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("region");
        std::fs::write(&path, [0xff; 64]).expect("written");
        let header = SharedHeader::open(&path).expect("opened");
        header[15].store(1, Ordering::Relaxed);
        assert_eq!(std::fs::read(&path).expect("there")[56..], [255, 255, 255, 255, 1, 0, 0, 0]);
    }
}
