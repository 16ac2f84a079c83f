//! A region as a hostile peer has it: any word is its to write, and to sleep on.
#![allow(unsafe_code)]

use std::path::Path;
use std::sync::atomic::AtomicU32;

use rustix::fs::{Mode, OFlags, open};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const HEADER_BYTES: usize = 64;

/// The header's words.
pub(crate) struct Words(*mut std::ffi::c_void);

// SAFETY: a mapping belongs to the process, and only atomics of it are lent.
unsafe impl Sync for Words {}

impl Words {
    pub(crate) fn of(path: &Path) -> Self {
        let file = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).expect("there");
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let base =
            unsafe { mmap(std::ptr::null_mut(), HEADER_BYTES, access, MapFlags::SHARED, &file, 0) };
        Self(base.expect("mapped"))
    }

    /// The word at `offset`.
    pub(crate) fn at(&self, offset: usize) -> &AtomicU32 {
        assert!(offset < HEADER_BYTES && offset.is_multiple_of(4));
        let word = self.0.wrapping_byte_add(offset).cast();
        // SAFETY: mapped until `self` is dropped, and aligned; used by atomic accesses only.
        unsafe { AtomicU32::from_ptr(word) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, whole; nothing borrows from it any more.
        unsafe { munmap(self.0, HEADER_BYTES) }.expect("unmapped");
    }
}
