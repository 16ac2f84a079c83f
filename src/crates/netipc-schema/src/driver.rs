//! From schema files to generated files: all of the compiler's reading and writing.

use std::path::{Path, PathBuf};
use std::{fs, io};

use miette::Diagnostic;
use thiserror::Error;

use crate::backend::Target;
use crate::ir::Service;
use crate::{Diagnostics, compile_set};

/// Why files could not be compiled.
#[derive(Debug, Error, Diagnostic)]
pub enum DriverError {
    /// A schema could not be read.
    #[error("cannot read schema {path}: {source}; name a KDL file in UTF-8 that you may read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A generated file could not be written.
    #[error("cannot write {path}: {source}; choose a folder that you may write")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The schemas are wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Schema(#[from] Diagnostics),
}

/// Reads and checks schemas, together: names and method codes must differ between them.
///
/// # Errors
/// [`DriverError::Read`] and [`DriverError::Schema`].
pub fn check(files: &[PathBuf]) -> Result<Vec<Service>, DriverError> {
    let read = |path: &PathBuf| match fs::read_to_string(path) {
        Ok(source) => Ok((path.display().to_string(), source)),
        Err(source) => Err(DriverError::Read { path: path.clone(), source }),
    };
    let sources = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut services = compile_set(&sources)?;
    services.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    Ok(services)
}

/// Checks schemas and writes what `target` makes of them into the folder `out`, which is made if it
/// is missing. Files that are up to date are left untouched. Answers all that belong there.
///
/// # Errors
/// Any [`DriverError`]; nothing is written unless all schemas are right.
pub fn generate(
    files: &[PathBuf],
    target: Target,
    out: &Path,
) -> Result<Vec<PathBuf>, DriverError> {
    let services = check(files)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DriverError::Write { path, source }
    };
    fs::create_dir_all(out).map_err(failed(out))?;
    let mut written = Vec::new();
    for output in target.generate(&services) {
        let path = out.join(&output.file_name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        if fs::read_to_string(&path).ok().as_ref() != Some(&output.text) {
            fs::write(&path, &output.text).map_err(failed(&path))?;
        }
        written.push(path);
    }
    Ok(written)
}
