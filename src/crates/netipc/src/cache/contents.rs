//! One snapshot, checked and indexed: never changed once it is made.

use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::codec::Element;
use crate::place::offset_within;
use crate::service::{Snapshot, SnapshotItemView};

/// Everything that a provider knew at one moment.
pub struct Contents<S> {
    payload: Box<[u8]>,
    generation: u64,
    /// Where each item lies, in the provider's order.
    places: Box<[Place]>,
    index: HashTable<Entry>,
    /// Seeded for each snapshot: a provider cannot choose names that collide.
    hasher: RandomState,
    service: PhantomData<fn() -> S>,
}

/// Where an item lies in the payload, in bytes: payloads are at most `u32::MAX` long.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    len: u32,
}

/// An item in the index: 12 bytes, its hash first, so that items are looked at that are most
/// likely the wanted one.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    place: Place,
}

impl<S: Snapshot> Contents<S> {
    /// Nothing: what a cache holds before it was filled.
    pub(super) fn empty() -> Self {
        Self {
            payload: Box::default(),
            generation: 0,
            places: Box::default(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            service: PhantomData,
        }
    }

    /// A copy of `payload`, which `response` was decoded from, with its index. Of items with one
    /// identity the first is found.
    pub(super) fn new(payload: &[u8], response: &S::Response<'_>) -> Self {
        let items = S::items(response).raw();
        let hasher = RandomState::default();
        let mut places = Vec::with_capacity(items.len());
        let mut index = HashTable::with_capacity(items.len());
        for item in items {
            let place = Place {
                // A payload's length is 32 bits in its header: neither is cut.
                start: u32::try_from(offset_within(payload, item)).unwrap_or(u32::MAX),
                len: u32::try_from(item.len()).unwrap_or(u32::MAX),
            };
            places.push(place);
            let view = S::Item::view(item);
            let identity = S::identity(&view);
            let hash = hasher.hash_one(&identity);
            let is_same = |entry: &Entry| {
                entry.hash == short(hash) && S::is(&item_at::<S>(payload, entry.place), &identity)
            };
            if index.find(hash, is_same).is_none() {
                let rehash = |entry: &Entry| {
                    hasher.hash_one(S::identity(&item_at::<S>(payload, entry.place)))
                };
                index.insert_unique(hash, Entry { hash: short(hash), place }, rehash);
            }
        }
        Self {
            payload: payload.into(),
            generation: S::generation(response),
            places: places.into(),
            index,
            hasher,
            service: PhantomData,
        }
    }

    /// The item with this identity: the fields of `identity` in the schema, as a tuple.
    #[inline]
    #[must_use]
    pub fn get(&self, identity: &S::Identity<'_>) -> Option<SnapshotItemView<'_, S>> {
        let hash = self.hasher.hash_one(identity);
        let entry = self.index.find(hash, |entry| {
            entry.hash == short(hash) && S::is(&item_at::<S>(&self.payload, entry.place), identity)
        })?;
        Some(item_at::<S>(&self.payload, entry.place))
    }

    /// The items, in the provider's order.
    pub fn items(&self) -> impl ExactSizeIterator<Item = SnapshotItemView<'_, S>> {
        self.places.iter().map(|place| item_at::<S>(&self.payload, *place))
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

/// The half of a hash that the table does not use for its groups' tags or, in tables of any real
/// size, for its buckets.
#[inline]
const fn short(hash: u64) -> u32 {
    (hash >> 24) as u32
}

#[inline]
fn item_at<S: Snapshot>(payload: &[u8], place: Place) -> SnapshotItemView<'_, S> {
    let start = place.start as usize;
    let end = start.saturating_add(place.len as usize);
    S::Item::view(payload.get(start..end).unwrap_or_default())
}
