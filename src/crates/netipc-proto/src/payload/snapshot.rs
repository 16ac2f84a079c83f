//! Building the answer to a snapshot.

use super::{BuildError, DirectoryWriter};

/// Writes the items of a snapshot's response, and remembers the first that could not be written:
/// a snapshot that lacks an item must not pass for a complete one.
#[derive(Debug)]
pub struct SnapshotWriter<'b> {
    items: DirectoryWriter<'b>,
    failure: Option<BuildError>,
}

impl<'b> SnapshotWriter<'b> {
    /// No items yet, behind a header of `header_len` bytes, with room set aside for `expected`.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`].
    #[inline]
    pub fn new(out: &'b mut [u8], header_len: usize, expected: usize) -> Result<Self, BuildError> {
        Ok(Self { items: DirectoryWriter::new(out, header_len, expected)?, failure: None })
    }

    /// How many items were added.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none was added.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds the item that `encode` writes.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`], and those of `encode`. After an error the response cannot be
    /// finished.
    #[inline]
    pub fn push(
        &mut self,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), BuildError> {
        let pushed = self.items.push(encode);
        if let Err(error) = pushed {
            self.failure.get_or_insert(error);
        }
        pushed
    }

    /// Ends the response: see [`DirectoryWriter::finish`].
    ///
    /// # Errors
    /// The first error of all before.
    #[inline]
    pub fn finish<const HEADER: usize>(
        self,
        field: &'static str,
    ) -> Result<(&'b mut [u8; HEADER], u32, usize), BuildError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => self.items.finish(field),
        }
    }
}
