//! Making a region: the server's side (spec section 9).
#![allow(unsafe_code)]

use std::os::windows::io::OwnedHandle;
use std::sync::atomic::Ordering;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_COMMITMENT_LIMIT, ERROR_INVALID_HANDLE,
    ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_SUPPORTED, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Memory::{CreateFileMappingW, PAGE_READWRITE};
use windows_sys::Win32::System::Threading::CreateEventW;

use super::layout::{HEADER_BYTES, MAGIC, SPIN_TRIES, VERSION, field};
use super::mapping::{Mapping, View};
use super::sleep::{Bells, Doorbell};
use crate::platform::handle::{last_error, owned, refused, wide};
use crate::platform::kernel_event::KernelEvent;
use crate::platform::security::Security;
use crate::region::{Area, Direction, Layout, Made};
use crate::{CreateError, ObjectNames, RegionName, RegionSizes, SysError};

/// Kernel objects have no entry that would have to be removed.
#[derive(Debug)]
pub(crate) struct OwnEntry;

impl OwnEntry {
    #[allow(clippy::unused_self)]
    pub(crate) const fn remove(&self) {}
}

/// Makes the mapping, all of it reserved, fills its header in, and makes its events.
pub(crate) fn create(name: &RegionName, sizes: RegionSizes) -> Result<Made, CreateError> {
    let RegionName::Objects(names) = name else {
        return Err(failed("use a region that is a file", ERROR_NOT_SUPPORTED));
    };
    let layout = Layout::for_sizes(HEADER_BYTES as u32, sizes).ok_or(CreateError::TooLarge)?;
    let security = Security::new().map_err(CreateError::Os)?;
    // The events first: who finds the mapping finds them.
    let [requests, responses] = events(names, &security)?;
    let section = new_section(&names.mapping, layout.len_bytes(), &security)?;
    let view = View::new(&section).map_err(|error| failed("map a region", error))?;
    fill_in(&view, layout, names.profile);
    let doorbell = Doorbell::new(Bells { ring: responses, hear: requests }, Direction::Requests)
        .map_err(CreateError::from)?;
    let mapping = Mapping::new(view, layout, section);
    Ok(Made { mapping, doorbell, entry: None })
}

fn events(
    names: &ObjectNames,
    security: &Security,
) -> Result<[Option<KernelEvent>; 2], CreateError> {
    let Some([requests, responses]) = &names.events else { return Ok([None, None]) };
    Ok([Some(new_event(requests, security)?), Some(new_event(responses, security)?)])
}

fn new_event(name: &str, security: &Security) -> Result<KernelEvent, CreateError> {
    let name = wide(name).ok_or(CreateError::Taken)?;
    let attributes = security.attributes();
    // SAFETY: the name has a NUL at its end; the attributes are a local that points to what `security`
    // keeps; what is returned is nobody else's.
    let event = unsafe { CreateEventW(&raw const attributes, 0, 0, name.as_ptr()) };
    new_object(event, "create an event").map(KernelEvent::from_handle)
}

fn new_section(
    name: &str,
    len_bytes: u64,
    security: &Security,
) -> Result<OwnedHandle, CreateError> {
    let name = wide(name).ok_or(CreateError::Taken)?;
    let attributes = security.attributes();
    let (high, low) = ((len_bytes >> 32) as u32, len_bytes as u32);
    // SAFETY: no file is given, which means the page file; otherwise as in `new_event`.
    let section = unsafe {
        CreateFileMappingW(
            INVALID_HANDLE_VALUE,
            &raw const attributes,
            PAGE_READWRITE,
            high,
            low,
            name.as_ptr(),
        )
    };
    new_object(section, "create a region")
}

/// A named object that must be a new one. `handle` was just returned by the call that makes it, which says by
/// the thread's last error whether there was one of that name.
fn new_object(
    handle: windows_sys::Win32::Foundation::HANDLE,
    operation: &'static str,
) -> Result<OwnedHandle, CreateError> {
    let error = last_error();
    // SAFETY: just made or opened, or none.
    let object = unsafe { owned(handle) }.map_err(|error| failed(operation, error))?;
    if error == ERROR_ALREADY_EXISTS { Err(CreateError::Taken) } else { Ok(object) }
}

/// Fills in the header of a region that is all zeros. No client knows of it yet.
fn fill_in(view: &View, layout: Layout, profile: u32) {
    let put = |offset, value| view.short(offset).store(value, Ordering::Relaxed);
    put(field::VERSION, VERSION);
    put(field::HEADER_LEN, HEADER_BYTES as u32);
    put(field::PROFILE, profile);
    for (Area { offset, capacity }, at) in
        [(layout.request, field::REQUEST_OFFSET), (layout.response, field::RESPONSE_OFFSET)]
    {
        put(at, offset);
        put(at + size_of::<u32>(), capacity);
    }
    put(field::SPIN_TRIES, SPIN_TRIES);
    // Last. Release, for the client who reads it (after HELLO_ACK told of it, which orders it all anyway).
    view.short(field::MAGIC).store(MAGIC, Ordering::Release);
}

fn failed(operation: &'static str, error: u32) -> CreateError {
    refused(operation)(error).into()
}

impl From<SysError> for CreateError {
    fn from(error: SysError) -> Self {
        match error.code().cast_unsigned() {
            // Another kind of object, or another user's, has the name.
            ERROR_INVALID_HANDLE | ERROR_ACCESS_DENIED => Self::Taken,
            ERROR_COMMITMENT_LIMIT => Self::NoRoom(error),
            ERROR_NOT_SUPPORTED => Self::Unsupported(error),
            ERROR_NOT_ENOUGH_MEMORY | ERROR_NO_SYSTEM_RESOURCES => Self::Exhausted(error),
            _ => Self::Os(error),
        }
    }
}
