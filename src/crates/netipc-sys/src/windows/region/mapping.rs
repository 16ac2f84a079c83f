//! A region's bytes in this process: cells, and nothing else.
//!
//! What it lends are references to atomics, which live as long as the mapping: never bytes (ADR 0001).
#![allow(unsafe_code)]

use std::os::windows::io::OwnedHandle;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use windows_sys::Win32::System::Memory::{
    FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT, MEMORY_BASIC_INFORMATION,
    MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile, UnmapViewOfFile, VirtualQuery,
};

use super::layout::{HEADER_BYTES, field};
use crate::platform::handle::{last_error, raw};
use crate::region::{Area, Direction, Layout};
use crate::shm::{CELL_BYTES, Lane};

/// A view of all of a mapping. Its header can be read; its areas once their places are known.
#[derive(Debug)]
pub(super) struct View {
    base: NonNull<u8>,
    /// What has memory, from the start on. A mapping that another process has made may be reserved alone:
    /// touching what has no memory would end this process.
    len_bytes: usize,
}

// SAFETY: the view belongs to the process, not to a thread: any may use and unmap it.
unsafe impl Send for View {}
// SAFETY: all that a shared reference gives access to are atomics.
unsafe impl Sync for View {}

/// The view of a region whose places were checked.
#[derive(Debug)]
pub(crate) struct Mapping {
    view: View,
    layout: Layout,
    /// As long as it is open the names lead here.
    _section: OwnedHandle,
}

impl View {
    /// Maps all of `section`.
    pub(super) fn new(section: &OwnedHandle) -> Result<Self, u32> {
        // SAFETY: a new view at a place of the system's choice touches nothing that is there.
        let view = unsafe { MapViewOfFile(raw(section), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0) };
        let base = NonNull::new(view.Value.cast()).ok_or_else(last_error)?;
        // From here on it is unmapped when dropped.
        let mut mapped = Self { base, len_bytes: 0 };
        let mut about = MEMORY_BASIC_INFORMATION::default();
        // SAFETY: at most as many bytes are written as the local has.
        let told = unsafe {
            VirtualQuery(view.Value, &raw mut about, size_of::<MEMORY_BASIC_INFORMATION>())
        };
        if told == 0 {
            return Err(last_error());
        }
        if about.State == MEM_COMMIT {
            mapped.len_bytes = about.RegionSize;
        }
        Ok(mapped)
    }

    pub(super) const fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// A word of the header.
    #[inline]
    pub(super) fn short(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(size_of::<u32>()) && offset < HEADER_BYTES);
        assert!(HEADER_BYTES <= self.len_bytes);
        let word = self.base.as_ptr().wrapping_add(offset).cast();
        // SAFETY: the header is mapped, as checked, and stays so while `self` is borrowed; the word is
        // aligned within it, as checked; this process reads and writes it by atomic accesses only, and any
        // bytes are a number.
        unsafe { AtomicU32::from_ptr(word) }
    }

    #[inline]
    fn long(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(size_of::<u64>()) && offset < HEADER_BYTES);
        assert!(HEADER_BYTES <= self.len_bytes);
        let word = self.base.as_ptr().wrapping_add(offset).cast();
        // SAFETY: as for `short`; a view starts at a page, so that an offset's alignment is the word's.
        unsafe { AtomicU64::from_ptr(word) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.base.as_ptr().cast() };
        // SAFETY: what was mapped by `new`; nobody borrows from it any more.
        let _unmapped = unsafe { UnmapViewOfFile(view) };
    }
}

impl Mapping {
    /// `layout` has been checked against the view's length: its areas are aligned, behind the header, and
    /// do not overlap.
    pub(super) fn new(view: View, layout: Layout, section: OwnedHandle) -> Self {
        assert!(layout.len_bytes() <= view.len_bytes as u64);
        Self { view, layout, _section: section }
    }

    /// Never: the page file is not cut off.
    #[inline]
    #[allow(clippy::unused_self)]
    pub(crate) const fn is_lost(&self) -> bool {
        false
    }

    pub(crate) const fn len_bytes(&self) -> usize {
        self.view.len_bytes
    }

    /// The words and the area of one direction.
    #[inline]
    pub(crate) fn lane(&self, direction: Direction) -> Lane<'_, AtomicU64, AtomicU32> {
        match direction {
            Direction::Requests => Lane {
                seq: self.view.long(field::REQ_SEQ),
                len: self.view.short(field::REQ_LEN),
                alarm: self.view.short(field::REQ_SERVER_WAITING),
                area: self.area(self.layout.request),
            },
            Direction::Responses => Lane {
                seq: self.view.long(field::RESP_SEQ),
                len: self.view.short(field::RESP_LEN),
                alarm: self.view.short(field::RESP_CLIENT_WAITING),
                area: self.area(self.layout.response),
            },
        }
    }

    /// Whether who sends in one direction has closed its end.
    #[inline]
    pub(super) fn closed(&self, direction: Direction) -> &AtomicU32 {
        self.view.short(match direction {
            Direction::Requests => field::REQ_CLIENT_CLOSED,
            Direction::Responses => field::RESP_SERVER_CLOSED,
        })
    }

    #[inline]
    fn area(&self, area: Area) -> &[AtomicU64] {
        let cells = self.view.base.as_ptr().wrapping_add(area.offset as usize).cast();
        // SAFETY: the area lies within the view, which is as long as the layout that it is of, as `new` has
        // checked; its offset and capacity are multiples of 64, so that the cells are aligned and whole; it
        // stays mapped while `self` is borrowed; this process uses it by atomic accesses only.
        unsafe { std::slice::from_raw_parts(cells, area.capacity as usize / CELL_BYTES) }
    }
}
