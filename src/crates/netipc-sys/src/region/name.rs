//! Where a region is found (spec section 5). Made by the caller, who knows the contract's names.

use std::path::{Path, PathBuf};

/// Where a region is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionName {
    /// A file, on Linux.
    File(PathBuf),
    /// Kernel objects, on Windows.
    Objects(ObjectNames),
}

/// The kernel objects of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNames {
    /// Of the profile that the session has agreed on, as its bit (spec section 4): it is in the header.
    pub profile: u32,
    /// The mapping.
    pub mapping: String,
    /// The events that a request and that a response is there; `None` where nobody sleeps.
    pub events: Option<[String; 2]>,
}

impl From<PathBuf> for RegionName {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&PathBuf> for RegionName {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Path> for RegionName {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}
