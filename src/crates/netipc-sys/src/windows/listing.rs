//! Which pipes there are.

use std::fs::read_dir;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::Foundation::ERROR_INVALID_DATA;
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_FIRST_PIPE_INSTANCE;

use super::connect::{PIPES, pipe_name};
use super::handle::refused;
use super::listener::instance;
use super::security::Security;
use crate::{ListError, SysError};

/// The names of all that stands where endpoints of `run_dir` would, whatever it is: the pipes of this
/// machine, without the `\\.\pipe\` in front. In no order.
///
/// A pipe of this call's own is among what is listed, or else the list is not believed: an empty one would
/// say that nobody serves.
///
/// # Errors
/// Each variant of [`ListError`].
pub fn list_names(_run_dir: &Path) -> Result<Vec<Vec<u8>>, ListError> {
    let (witness, _stays) = witness().map_err(ListError::Os)?;
    // Where pipes are not listed there may be nothing that could be opened to list them.
    let Ok(pipes) = read_dir(PIPES) else { return Err(ListError::Untold) };
    let names: Result<Vec<_>, io::Error> =
        pipes.map(|pipe| Ok(pipe?.file_name().into_encoded_bytes())).collect();
    let mut names = names.map_err(|error| {
        let code = error.raw_os_error().unwrap_or(ERROR_INVALID_DATA.cast_signed());
        ListError::Os(SysError::new("list pipes", code))
    })?;
    let all = names.len();
    names.retain(|name| name != witness.as_bytes());
    if names.len() < all { Ok(names) } else { Err(ListError::Untold) }
}

/// A pipe that is there until it is dropped, and its name.
fn witness() -> Result<(String, OwnedHandle), SysError> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let name = format!("netipc-listing-{}-{number}", std::process::id());
    let os = refused("list pipes");
    let path = format!("{PIPES}{name}");
    let path = pipe_name(Path::new(&path)).map_err(|_| os(ERROR_INVALID_DATA))?;
    let pipe = instance(&path, &Security::new()?, FILE_FLAG_FIRST_PIPE_INSTANCE).map_err(os)?;
    Ok((name, pipe))
}
