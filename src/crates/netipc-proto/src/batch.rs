//! Several items in one message (spec section 2).
//!
//! ```text
//!  | entry 0 | entry 1 | … | item 0 | pad | item 1 | pad | …
//!    8 bytes: offset, length  ^ offsets count from here; each item starts at a multiple of 8
//! ```
//!
//! [`Batch`] reads such a payload where it lies, [`BatchBuilder`] writes one. The number of items
//! is the message header's. What the items mean is not looked at here.

use alloc::vec::Vec;
use core::mem::offset_of;

use thiserror::Error;
use zerocopy::byteorder::native_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{DecodeError, Defect};

/// Bytes of directory for each item.
pub const ENTRY_LEN: usize = size_of::<Entry>();
/// Items start at multiples of this, in bytes.
pub const ITEM_ALIGNMENT: usize = 8;

/// Length of the payload of a batch whose items have these lengths, in bytes, padding included:
/// what a caller compares with the agreed limit. `None` when it is above 32 bits.
pub fn batch_len(item_lens: impl IntoIterator<Item = usize>) -> Option<u32> {
    let mut len: u32 = 0;
    for item_len in item_lens {
        let padded = item_len.checked_next_multiple_of(ITEM_ALIGNMENT)?;
        let both = u32::try_from(padded.checked_add(ENTRY_LEN)?).ok()?;
        len = len.checked_add(both)?;
    }
    Some(len)
}

/// The payload of a batch, checked, read where it lies. Items are borrowed from the payload.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    directory: &'a [Entry],
    items: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Opens a payload whose message header has the BATCH flag and this item count. The padding of
    /// the last item may be missing (spec section 2).
    ///
    /// # Errors
    /// `Count` for no items, `Truncated` for a directory that does not fit, `Alignment` or `Bounds`
    /// for an entry.
    #[inline]
    pub fn decode(payload: &'a [u8], item_count: u32) -> Result<Self, DecodeError> {
        if item_count == 0 {
            return Err(DecodeError::new(Defect::Count, 0));
        }
        let Ok((directory, items)) =
            <[Entry]>::ref_from_prefix_with_elems(payload, item_count as usize)
        else {
            return Err(DecodeError::new(Defect::Truncated, payload.len()));
        };
        for (index, entry) in directory.iter().enumerate() {
            let place = index * ENTRY_LEN;
            let offset = entry.offset.get() as usize;
            if !offset.is_multiple_of(ITEM_ALIGNMENT) {
                let at = place + offset_of!(Entry, offset);
                return Err(DecodeError::new(Defect::Alignment, at));
            }
            let end = offset.checked_add(entry.length.get() as usize);
            if end.is_none_or(|end| end > items.len()) {
                return Err(DecodeError::new(Defect::Bounds, place));
            }
        }
        Ok(Self { directory, items })
    }

    /// Number of items; at least 1.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.directory.len()
    }

    /// Always false: a batch has items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.directory.is_empty()
    }

    /// The directory, and the area that it points into, as the bytes that they are: for who reads items
    /// in another language. Both were checked.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> (&'a [u8], &'a [u8]) {
        (self.directory.as_bytes(), self.items)
    }

    /// Item `index`; `None` past the last.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let entry = self.directory.get(index)?;
        let offset = entry.offset.get() as usize;
        self.items.get(offset..offset + entry.length.get() as usize)
    }

    /// All items, in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let Self { directory, items } = *self;
        directory.iter().map(move |entry| {
            let offset = entry.offset.get() as usize;
            // Checked when the batch was opened: never empty for an item that is not.
            items.get(offset..offset + entry.length.get() as usize).unwrap_or_default()
        })
    }
}

/// Why a batch was not built: the caller's fault, or an answer that does not fit the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The batch with this item is above the budget. The item was not added.
    #[error("the batch does not fit: {needed} bytes, of {budget_bytes}")]
    DoesNotFit {
        /// Bytes that the batch would have had.
        needed: usize,
        /// Bytes that it may have.
        budget_bytes: u32,
    },
    /// Not as many items as were announced.
    #[error("the batch has another number of items than announced: {pushed}, of {announced}")]
    WrongCount {
        /// Items pushed; for one too many, those before it and itself.
        pushed: usize,
        /// Items announced.
        announced: u32,
    },
}

/// Writes the payload of a batch into a caller's buffer, which is reused: nothing is allocated
/// once it has grown.
#[derive(Debug)]
pub struct BatchBuilder<'a> {
    buffer: &'a mut Vec<u8>,
    announced: u32,
    pushed: u32,
    budget_bytes: u32,
}

impl<'a> BatchBuilder<'a> {
    /// Starts a batch of exactly `item_count` items in `buffer`, which is cleared; the payload may
    /// have `budget_bytes`, the agreed limit of its direction.
    ///
    /// # Errors
    /// `DoesNotFit` when not even the directory fits; `WrongCount` for a batch of no items.
    pub fn new(
        buffer: &'a mut Vec<u8>,
        item_count: u32,
        budget_bytes: u32,
    ) -> Result<Self, BuildError> {
        if item_count == 0 {
            return Err(BuildError::WrongCount { pushed: 0, announced: 0 });
        }
        let needed = (item_count as usize).saturating_mul(ENTRY_LEN);
        if needed > budget_bytes as usize {
            return Err(BuildError::DoesNotFit { needed, budget_bytes });
        }
        buffer.clear();
        buffer.resize(needed, 0);
        Ok(Self { buffer, announced: item_count, pushed: 0, budget_bytes })
    }

    /// Adds the next item and its padding.
    ///
    /// # Errors
    /// `DoesNotFit`, after which shorter items may still be added; `WrongCount` for an item more
    /// than announced.
    #[inline]
    pub fn push(&mut self, item: &[u8]) -> Result<(), BuildError> {
        let index = self.pushed as usize;
        if self.pushed == self.announced {
            return Err(BuildError::WrongCount { pushed: index + 1, announced: self.announced });
        }
        let start = self.buffer.len();
        let end = start.saturating_add(item.len()).saturating_add(ITEM_ALIGNMENT - 1)
            & !(ITEM_ALIGNMENT - 1);
        if end > self.budget_bytes as usize {
            return Err(BuildError::DoesNotFit { needed: end, budget_bytes: self.budget_bytes });
        }
        // Both fit 32 bits, for the budget does.
        let offset = (start - self.announced as usize * ENTRY_LEN) as u32;
        let entry = Entry { offset: offset.into(), length: (item.len() as u32).into() };
        let place = index * ENTRY_LEN;
        self.buffer[place..place + ENTRY_LEN].copy_from_slice(entry.as_bytes());
        self.buffer.extend_from_slice(item);
        self.buffer.resize(end, 0);
        self.pushed += 1;
        Ok(())
    }

    /// Ends the batch: the buffer holds its payload.
    ///
    /// # Errors
    /// `WrongCount` when items are missing.
    pub fn finish(self) -> Result<&'a [u8], BuildError> {
        if self.pushed != self.announced {
            let pushed = self.pushed as usize;
            return Err(BuildError::WrongCount { pushed, announced: self.announced });
        }
        Ok(self.buffer)
    }
}

/// One entry of the directory; its offset counts from the place of the first item.
#[derive(Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Entry {
    offset: U32,
    length: U32,
}

const _: () = assert!(ENTRY_LEN == 8 && ENTRY_LEN.is_multiple_of(ITEM_ALIGNMENT));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn build(items: &[&[u8]], budget_bytes: u32) -> Result<Vec<u8>, BuildError> {
        let mut buffer = Vec::new();
        let mut builder = BatchBuilder::new(&mut buffer, items.len() as u32, budget_bytes)?;
        for item in items {
            builder.push(item)?;
        }
        builder.finish().map(<[u8]>::to_vec)
    }

    fn defect(payload: &[u8], item_count: u32) -> Option<(Defect, usize)> {
        Batch::decode(payload, item_count).err().map(|e| (e.defect, e.offset))
    }

    #[test]
    fn the_budget_is_exact() {
        let items: [&[u8]; 2] = [b"abc", b"12345678"];
        assert_eq!(build(&items, 32).map(|bytes| bytes.len()), Ok(32));
        let error = BuildError::DoesNotFit { needed: 32, budget_bytes: 31 };
        assert_eq!(build(&items, 31), Err(error));
        let error = BuildError::DoesNotFit { needed: 16, budget_bytes: 15 };
        assert_eq!(build(&items, 15), Err(error));
    }

    #[test]
    fn the_number_of_items_is_exact() {
        let mut buffer = Vec::new();
        assert!(BatchBuilder::new(&mut buffer, 0, 100).is_err());
        let mut builder = BatchBuilder::new(&mut buffer, 1, 100).unwrap();
        assert_eq!(builder.push(b"a"), Ok(()));
        let error = BuildError::WrongCount { pushed: 2, announced: 1 };
        assert_eq!(builder.push(b"b"), Err(error));
        assert!(builder.finish().is_ok());
        let builder = BatchBuilder::new(&mut buffer, 1, 100).unwrap();
        assert_eq!(builder.finish(), Err(BuildError::WrongCount { pushed: 0, announced: 1 }));
    }

    #[test]
    fn an_item_that_does_not_fit_leaves_the_batch_as_it_was() {
        let mut buffer = Vec::new();
        let mut builder = BatchBuilder::new(&mut buffer, 1, 16).unwrap();
        assert!(builder.push(b"123456789").is_err());
        assert_eq!(builder.push(b"12345678"), Ok(()));
        let payload = builder.finish().unwrap();
        assert_eq!(Batch::decode(payload, 1).unwrap().get(0), Some(&b"12345678"[..]));
    }

    #[test]
    fn lies_in_the_directory_are_refused() {
        let good = build(&[b"abc", b"def"], 100).unwrap();
        assert_eq!(defect(&good, 0), Some((Defect::Count, 0)));
        assert_eq!(defect(&good, 5), Some((Defect::Truncated, 32)));
        assert_eq!(defect(&good, u32::MAX), Some((Defect::Truncated, 32)));
        let mut unaligned = good.clone();
        unaligned[8..12].copy_from_slice(&4_u32.to_ne_bytes());
        assert_eq!(defect(&unaligned, 2), Some((Defect::Alignment, 8)));
        let mut outside = good.clone();
        outside[12..16].copy_from_slice(&9_u32.to_ne_bytes());
        assert_eq!(defect(&outside, 2), Some((Defect::Bounds, 8)));
        let mut wrapping = good;
        wrapping[8..12].copy_from_slice(&0xFFFF_FFF8_u32.to_ne_bytes());
        wrapping[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(defect(&wrapping, 2), Some((Defect::Bounds, 8)));
    }

    #[test]
    fn the_last_padding_may_be_missing_but_not_the_last_item() {
        let good = build(&[b"abc", b"def"], 100).unwrap();
        let unpadded = Batch::decode(&good[..27], 2).unwrap();
        assert_eq!(unpadded.get(1), Some(&b"def"[..]));
        assert_eq!(defect(&good[..26], 2), Some((Defect::Bounds, 8)));
    }

    #[test]
    fn lengths_are_known_before_building() {
        assert_eq!(batch_len([3, 0, 8]), Some(8 * 3 + 8 + 8));
        assert_eq!(batch_len([usize::MAX]), None);
        assert_eq!(batch_len([u32::MAX as usize - 7, 1]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn batches_round_trip(
            items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..40),
        ) {
            let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
            let payload = build(&slices, u32::MAX).unwrap();
            prop_assert_eq!(batch_len(slices.iter().map(|s| s.len())), Some(payload.len() as u32));
            let batch = Batch::decode(&payload, slices.len() as u32).unwrap();
            prop_assert_eq!(batch.iter().collect::<Vec<_>>(), slices.clone());
            for (index, item) in slices.iter().enumerate() {
                prop_assert_eq!(batch.get(index), Some(*item));
            }
            prop_assert_eq!(batch.get(batch.len()), None);
        }

        #[test]
        fn mutated_batches_decode_or_err(
            items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..10),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..=4),
            count_change in 0_u32..3,
        ) {
            let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
            let mut payload = build(&slices, u32::MAX).unwrap();
            for (place, byte) in changes {
                let at = place.index(payload.len());
                payload[at] = byte;
            }
            if let Ok(batch) = Batch::decode(&payload, items.len() as u32 + count_change) {
                prop_assert_eq!(batch.len(), items.len() + count_change as usize);
                for index in 0..batch.len() {
                    prop_assert_eq!(batch.get(index), batch.iter().nth(index));
                    prop_assert!(batch.get(index).is_some());
                }
            }
        }
    }
}
