//! Building the answer to a lookup within the session's response limit (spec section 11).
//!
//! Before an item is written, room is kept for the smallest answer to every key behind it. When an
//! item does not fit what is left, it and all behind it get that smallest answer ("ask again"),
//! and the client asks again for just those. The first item has nobody to make room: it is
//! answered "oversized" and the others go on.

use core::fmt::Debug;

use super::{BuildError, DIRECTORY_ENTRY_LEN, DirectoryWriter, Element, Records, align8};

/// What the engine must know of a lookup's items.
pub trait LookupItem {
    /// The kind of key that they answer.
    type Key: Element;

    /// Bytes of the smallest item that answers `key`: its overflow statuses.
    fn smallest_len(key: &<Self::Key as Element>::View<'_>) -> usize;

    /// Writes that item, and answers its length.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`].
    fn write_smallest(
        key: &<Self::Key as Element>::View<'_>,
        overflow: Overflow,
        out: &mut [u8],
    ) -> Result<usize, BuildError>;

    /// Whether an item that repeats `given` answers `asked`.
    fn echoes(
        asked: &<Self::Key as Element>::View<'_>,
        given: &<Self::Key as Element>::View<'_>,
    ) -> bool;
}

/// Why an item is answered without its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It did not fit behind the items before it: the client asks again (`role=retry`).
    Retry,
    /// It does not fit a response of its own: final (`role=oversized`).
    Oversized,
}

/// What a response may take.
#[derive(Debug)]
pub struct ResponseBudget<'b> {
    /// Where it is written; as long as the session's response limit.
    pub out: &'b mut [u8],
    /// Whether the limit can grow no further. Below the ceiling a single key whose item does not
    /// fit is [`BuildError::LimitExceeded`] instead of oversized.
    pub at_ceiling: bool,
}

/// Writes the items of a lookup's response, one a key, in the order asked.
#[derive(Debug)]
pub struct LookupWriter<'b, I: LookupItem> {
    items: DirectoryWriter<'b>,
    keys: Records<'b, I::Key>,
    /// Bytes that the smallest answers to the keys left take, each padded.
    reserved: usize,
    /// Padding of the last of them, which is not written.
    last_padding: usize,
    /// An item did not fit: all that follow are answered [`Overflow::Retry`].
    full: bool,
    at_ceiling: bool,
    /// The first error: the response cannot be finished any more.
    failure: Option<BuildError>,
}

impl<'b, I: LookupItem> LookupWriter<'b, I> {
    /// A response to `keys`, behind a header of `header_len` bytes.
    ///
    /// # Errors
    /// [`BuildError::LimitExceeded`] if not even the smallest answers fit.
    #[inline]
    pub fn new(
        keys: Records<'b, I::Key>,
        budget: ResponseBudget<'b>,
        header_len: usize,
    ) -> Result<Self, BuildError> {
        let ResponseBudget { out, at_ceiling } = budget;
        // Saturating: on a 32-bit host a request of 1 GiB could ask for more than there are addresses.
        let (mut reserved, mut last) = (0_usize, 0);
        for key in keys.clone() {
            last = I::smallest_len(&key);
            reserved = reserved.saturating_add(align8(last));
        }
        let last_padding = align8(last) - last;
        let directory_len = keys.len() * DIRECTORY_ENTRY_LEN;
        let needed = reserved.saturating_add(header_len + directory_len) - last_padding;
        if needed > out.len() {
            return Err(BuildError::LimitExceeded);
        }
        let items = DirectoryWriter::new(out, header_len, keys.len())?;
        Ok(Self { items, keys, reserved, last_padding, full: false, at_ceiling, failure: None })
    }

    /// Whether an item did not fit. All further items would be answered "ask again", and
    /// [`finish`](Self::finish) does that for the keys left: a handler may stop.
    #[inline]
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Answers the next key, which must be `key`, with the item that `encode` writes.
    ///
    /// # Errors
    /// [`BuildError::Echo`], [`BuildError::TooManyItems`], [`BuildError::LimitExceeded`] for a
    /// single key, and those of `encode` other than `NoSpace`. After an error the response cannot
    /// be finished.
    #[inline]
    pub fn push(
        &mut self,
        key: &<I::Key as Element>::View<'_>,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), BuildError> {
        let pushed = self.try_push(key, encode);
        if let Err(error) = pushed {
            self.failure.get_or_insert(error);
        }
        pushed
    }

    #[inline]
    fn try_push(
        &mut self,
        key: &<I::Key as Element>::View<'_>,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
    ) -> Result<(), BuildError> {
        let asked = self.keys.next().ok_or(BuildError::TooManyItems)?;
        if !I::echoes(&asked, key) {
            return Err(BuildError::Echo);
        }
        self.reserved -= align8(I::smallest_len(&asked));
        if self.full {
            return self.push_overflow(&asked, Overflow::Retry);
        }
        match self.items.push_within(self.limit(), encode) {
            Err(BuildError::NoSpace) => self.overflow(&asked),
            pushed => pushed,
        }
    }

    /// How far the packed area may reach after the item whose key was just taken.
    #[inline]
    fn limit(&self) -> usize {
        let room = self.items.packed_room();
        match self.keys.len() {
            0 => room,
            _ => (room + self.last_padding).saturating_sub(self.reserved) & !(super::ALIGNMENT - 1),
        }
    }

    /// The item that answers `asked` does not fit.
    #[cold]
    fn overflow(&mut self, asked: &<I::Key as Element>::View<'_>) -> Result<(), BuildError> {
        if !self.items.is_empty() {
            self.full = true;
            return self.push_overflow(asked, Overflow::Retry);
        }
        if self.keys.len() == 0 && !self.at_ceiling {
            return Err(BuildError::LimitExceeded);
        }
        self.push_overflow(asked, Overflow::Oversized)
    }

    fn push_overflow(
        &mut self,
        asked: &<I::Key as Element>::View<'_>,
        overflow: Overflow,
    ) -> Result<(), BuildError> {
        self.items.push_within(self.limit(), |out| I::write_smallest(asked, overflow, out))
    }

    /// Ends the response, and answers its header's bytes, to be filled in, with the number of items
    /// and the length of the whole payload.
    ///
    /// # Errors
    /// The first error of all before; [`BuildError::TooFewItems`] unless
    /// [`is_full`](Self::is_full).
    #[inline]
    pub fn finish<const HEADER: usize>(
        mut self,
    ) -> Result<(&'b mut [u8; HEADER], u32, usize), BuildError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if !self.full && self.keys.len() > 0 {
            return Err(BuildError::TooFewItems { missing: self.keys.len() });
        }
        while let Some(asked) = self.keys.next() {
            self.reserved -= align8(I::smallest_len(&asked));
            self.push_overflow(&asked, Overflow::Retry)?;
        }
        self.items.finish("items")
    }
}
