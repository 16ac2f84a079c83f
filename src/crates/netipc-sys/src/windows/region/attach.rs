//! Opening a region that the server made: the client's side (spec section 9).
#![allow(unsafe_code)]

use std::sync::atomic::Ordering;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_HANDLE, ERROR_NO_SYSTEM_RESOURCES,
    ERROR_NOT_ENOUGH_MEMORY,
};
use windows_sys::Win32::System::Memory::{FILE_MAP_READ, FILE_MAP_WRITE, OpenFileMappingW};
use windows_sys::Win32::System::Threading::{
    EVENT_MODIFY_STATE, OpenEventW, SYNCHRONIZATION_SYNCHRONIZE,
};

use super::layout::{self, HEADER_BYTES};
use super::mapping::{Mapping, View};
use super::sleep::{Bells, Doorbell};
use crate::platform::handle::{owned, refused, wide};
use crate::platform::kernel_event::KernelEvent;
use crate::region::{Direction, Expected, Made};
use crate::{AttachError, EntryKind, RegionDefect, RegionName};

const MISSING: AttachError = AttachError::NotReady(RegionDefect::Missing);

/// One look at what has the region's names.
pub(crate) fn attach_once(name: &RegionName, expected: Expected) -> Result<Made, AttachError> {
    let RegionName::Objects(names) = name else { return Err(MISSING) };
    let mapping_name = wide(&names.mapping).ok_or(MISSING)?;
    let access = FILE_MAP_READ | FILE_MAP_WRITE;
    // SAFETY: the name has a NUL at its end; what is returned is nobody else's.
    let section = unsafe { OpenFileMappingW(access, 0, mapping_name.as_ptr()) };
    // SAFETY: just opened, or none.
    let section = unsafe { owned(section) }.map_err(|error| failed("open a region", error))?;
    let view = View::new(&section).map_err(|error| failed("map a region", error))?;
    let len_bytes = view.len_bytes() as u64;
    if len_bytes < HEADER_BYTES as u64 {
        let needed = HEADER_BYTES as u64;
        return Err(AttachError::Invalid(RegionDefect::Short { file_bytes: len_bytes, needed }));
    }
    let read = |offset| view.short(offset).load(Ordering::Acquire);
    let layout = layout::check(read, names.profile, expected.sizes, len_bytes)
        .map_err(AttachError::Invalid)?;
    let [requests, responses] = match &names.events {
        Some([requests, responses]) => [Some(open_event(requests)?), Some(open_event(responses)?)],
        None => [None, None],
    };
    let doorbell = Doorbell::new(Bells { ring: requests, hear: responses }, Direction::Responses)
        .map_err(AttachError::Os)?;
    Ok(Made { mapping: Mapping::new(view, layout, section), doorbell, entry: None })
}

fn open_event(name: &str) -> Result<KernelEvent, AttachError> {
    let name = wide(name).ok_or(MISSING)?;
    let access = EVENT_MODIFY_STATE | SYNCHRONIZATION_SYNCHRONIZE;
    // SAFETY: the name has a NUL at its end; what is returned is nobody else's.
    let event = unsafe { OpenEventW(access, 0, name.as_ptr()) };
    // SAFETY: just opened, or none.
    let event = unsafe { owned(event) }.map_err(|error| failed("open an event", error))?;
    Ok(KernelEvent::from_handle(event))
}

fn failed(operation: &'static str, error: u32) -> AttachError {
    let refused = refused(operation)(error);
    match error {
        ERROR_FILE_NOT_FOUND => MISSING,
        // An object of another kind has the name.
        ERROR_INVALID_HANDLE => AttachError::Invalid(RegionDefect::Foreign(EntryKind::Unknown)),
        ERROR_ACCESS_DENIED => AttachError::Denied,
        ERROR_NOT_ENOUGH_MEMORY | ERROR_NO_SYSTEM_RESOURCES => AttachError::Exhausted(refused),
        _ => AttachError::Os(refused),
    }
}
