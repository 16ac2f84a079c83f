//! What stands in a run directory.

use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, open};

use super::refused;
use crate::ListError;

/// The names of all that stands where endpoints of `run_dir` would, whatever it is: the entries of that
/// directory. In no order.
///
/// # Errors
/// Each variant of [`ListError`].
pub fn list_names(run_dir: &Path) -> Result<Vec<Vec<u8>>, ListError> {
    let os = |errno| ListError::Os(refused("list the run directory")(errno));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(run_dir, flags, Mode::empty()).map_err(os)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&directory).map_err(os)? {
        let entry = entry.map_err(os)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}
