//! A region's bytes in this process: cells, and nothing else.
//!
//! All of the unsafe code that shared memory needs is here (and in `fault`, what happens when the
//! memory is taken away). What it lends are references to atomics, which live as long as the mapping:
//! never bytes (ADR 0001).
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::fault::{self, Slot};
use super::layout::{HEADER_BYTES, field};
use crate::SysError;
use crate::platform::refused;
use crate::region::{Area, Direction, Layout};
use crate::shm::{CELL_BYTES, Lane};

/// The file of a region, mapped shared, from its first byte to the last that its layout needs.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len_bytes: usize,
    layout: Layout,
    guard: &'static Slot,
}

// SAFETY: the mapping belongs to the process, not to a thread: any may use and unmap it.
unsafe impl Send for Mapping {}
// SAFETY: all that a shared reference gives access to are atomics.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `file` for `layout`, which has been checked against the file's length: its areas are
    /// aligned, behind the header, and do not overlap.
    pub(super) fn new(file: BorrowedFd<'_>, layout: Layout) -> Result<Self, SysError> {
        let too_long = || SysError::new("map a region", libc::ENOMEM);
        // As long as a slice may be: with 32-bit addresses a hostile header can ask for more.
        let len_bytes = isize::try_from(layout.len_bytes()).map_err(|_| too_long())?.unsigned_abs();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches nothing that is there.
        let base =
            unsafe { mmap(std::ptr::null_mut(), len_bytes, access, MapFlags::SHARED, file, 0) }
                .map_err(refused("map a region"))?;
        let base: NonNull<u8> = NonNull::new(base.cast()).ok_or_else(too_long)?;
        let start = base.as_ptr().addr();
        let guard = fault::guard(start, start + len_bytes);
        Ok(Self { base, len_bytes, layout, guard })
    }

    /// Whether a part of the file has been cut off: what was read since may be zeros.
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        self.guard.is_lost()
    }

    pub(crate) const fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// The words and the area of one direction.
    #[inline]
    pub(crate) fn lane(&self, direction: Direction) -> Lane<'_, AtomicU64, AtomicU32> {
        match direction {
            Direction::Requests => Lane {
                seq: self.long(field::REQ_SEQ),
                len: self.short(field::REQ_LEN),
                alarm: self.short(field::REQ_SIGNAL),
                area: self.area(self.layout.request),
            },
            Direction::Responses => Lane {
                seq: self.long(field::RESP_SEQ),
                len: self.short(field::RESP_LEN),
                alarm: self.short(field::RESP_SIGNAL),
                area: self.area(self.layout.response),
            },
        }
    }

    /// A word of the header.
    #[inline]
    pub(super) fn short(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(size_of::<u32>()) && offset < HEADER_BYTES);
        let word = self.base.as_ptr().wrapping_add(offset).cast();
        // SAFETY: the header is mapped, a layout being longer than it, and stays so while `self` is
        // borrowed; the word is aligned within it, as checked; this process reads and writes it by
        // atomic accesses only, and any bytes are a number.
        unsafe { AtomicU32::from_ptr(word) }
    }

    #[inline]
    fn long(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(size_of::<u64>()) && offset < HEADER_BYTES);
        let word = self.base.as_ptr().wrapping_add(offset).cast();
        // SAFETY: as for `short`; a mapping starts at a page, so that an offset's alignment is the
        // word's.
        unsafe { AtomicU64::from_ptr(word) }
    }

    #[inline]
    fn area(&self, area: Area) -> &[AtomicU64] {
        let cells = self.base.as_ptr().wrapping_add(area.offset as usize).cast();
        // SAFETY: the area lies within the mapping, which is as long as the layout that it is of, and no
        // longer than a slice may be; its offset and capacity are multiples of 64, so that the cells are
        // aligned and whole; it stays mapped while `self` is borrowed; this process uses it by atomic
        // accesses only.
        unsafe { std::slice::from_raw_parts(cells, area.capacity as usize / CELL_BYTES) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.guard.release();
        // SAFETY: what was mapped by `new`, whole; nobody borrows from it any more.
        let _unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.len_bytes) };
    }
}
