//! One snapshot, checked and indexed: never changed once it is made.

use std::fmt;
use std::marker::PhantomData;

use super::index::{Index, Place, QuickTable};
use crate::codec::Element;
use crate::place::offset_within;
use crate::service::{Snapshot, SnapshotItemView};

/// Everything that a provider knew at one moment.
pub struct Contents<S> {
    payload: Box<[u8]>,
    generation: u64,
    /// Where each item lies, in the provider's order.
    places: Box<[Place]>,
    index: Index,
    service: PhantomData<fn() -> S>,
}

impl<S: Snapshot> Contents<S> {
    /// Nothing: what a cache holds before it was filled.
    pub(super) fn empty() -> Self {
        Self {
            payload: Box::default(),
            generation: 0,
            places: Box::default(),
            index: Index::empty(),
            service: PhantomData,
        }
    }

    /// A copy of `payload`, which `response` was decoded from, with its index. Of items with one
    /// identity the first is found.
    pub(super) fn new(payload: &[u8], response: &S::Response<'_>) -> Self {
        let place = |item: &[u8]| Place {
            // A payload's length is 32 bits in its header: neither is cut.
            start: u32::try_from(offset_within(payload, item)).unwrap_or(u32::MAX),
            len: u32::try_from(item.len()).unwrap_or(u32::MAX),
        };
        let places: Box<[_]> = S::items(response).raw().map(place).collect();
        let item = |place| item_at::<S>(payload, place).unwrap_or(S::Item::view(&[]));
        let index = Index::new(
            &places,
            |place| S::identity(&item(place)),
            |place, identity| S::is(&item(place), identity),
        );
        Self {
            payload: payload.into(),
            generation: S::generation(response),
            places,
            index,
            service: PhantomData,
        }
    }

    /// The item with this identity: the fields of `identity` in the schema, as a tuple.
    #[inline]
    #[must_use]
    pub fn get(&self, identity: &S::Identity<'_>) -> Option<SnapshotItemView<'_, S>> {
        self.index.find(identity, |place| {
            item_at::<S>(&self.payload, place).filter(|item| S::is(item, identity))
        })
    }

    /// Where the item with this identity lies in the payload.
    #[inline]
    #[must_use]
    pub fn place(&self, identity: &S::Identity<'_>) -> Option<Place> {
        self.index.find(identity, |place| {
            let item = item_at::<S>(&self.payload, place)?;
            S::is(&item, identity).then_some(place)
        })
    }

    /// The items, in the provider's order.
    pub fn items(&self) -> impl ExactSizeIterator<Item = SnapshotItemView<'_, S>> {
        self.places.iter().map(|place| {
            // Each lies in the payload.
            item_at::<S>(&self.payload, *place).unwrap_or(S::Item::view(&[]))
        })
    }

    /// The whole answer, for its own fields; `None` before the cache was filled. Decodes all of it
    /// again.
    #[must_use]
    pub fn response(&self) -> Option<S::Response<'_>> {
        S::decode_response(&self.payload).ok()
    }
}

impl<S> Contents<S> {
    /// The number of the provider's state; 0 before the cache was filled.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// How many items there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where each item lies in the payload, in the provider's order: for who reads items in another
    /// language.
    #[inline]
    #[must_use]
    pub const fn places(&self) -> &[Place] {
        &self.places
    }

    /// The table in which items are found, for who searches it in another language. `None` where it is
    /// empty, or hashes cannot be told: [`get`](Self::get) finds items then.
    #[inline]
    #[must_use]
    pub fn table(&self) -> Option<QuickTable<'_>> {
        self.index.quick()
    }

    /// The bytes of the answer; none before the cache was filled.
    #[must_use]
    pub const fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl<S> fmt::Debug for Contents<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents")
            .field("generation", &self.generation)
            .field("items", &self.places.len())
            .finish_non_exhaustive()
    }
}

/// The item at a place; `None` outside the payload.
#[inline(always)]
fn item_at<S: Snapshot>(payload: &[u8], place: Place) -> Option<SnapshotItemView<'_, S>> {
    let start = place.start as usize;
    let end = start.saturating_add(place.len as usize);
    payload.get(start..end).map(S::Item::view)
}
