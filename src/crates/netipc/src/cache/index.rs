//! Where the items of a snapshot are found: a table of open addressing, made once, never changed.
//!
//! ```text
//!   identity ─▶ hash ─▶ slot ─▶ slot ─▶ …      each 12 bytes: tag, start, length of the item
//!                         │ the tag is the same: look at the item itself
//! ```
//!
//! Items mostly bring a number that their producer made to tell them apart (the `hash` of a cgroup),
//! and one multiplication spreads it over the table: no string is hashed. A producer may send numbers
//! that are no good, on purpose or not. Filling the table shows it, by the steps that it takes; then
//! everything that makes an identity is hashed, with a seed that no producer knows.
//! docs/adr/0006 says what that is worth.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::RandomState;

/// Where an item lies in the payload, in bytes: payloads are at most `u32::MAX` long.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Place {
    /// Its first byte.
    pub start: u32,
    /// How many bytes it has.
    pub len: u32,
}

/// A table with room for the places of items. Where each lies, what is asked for and whether an item
/// is that, the caller says.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two of them, or none.
    slots: Box<[Slot]>,
    /// What is left of a hash after this many bits is the number of a slot.
    shift: u32,
    /// The most slots that an item lies behind its own.
    farthest: usize,
    hashing: Hashing,
}

/// How an identity becomes a number.
#[derive(Clone, Debug)]
enum Hashing {
    /// [`QuickHasher`].
    Quick,
    /// All of it, seeded for each snapshot.
    Seeded(RandomState),
}

/// A slot of a table. It is free where its item starts at `u32::MAX`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Slot {
    /// Bits of the hash that do not say where the slot is: its lower half.
    pub tag: u32,
    /// Where the item lies.
    pub place: Place,
}

/// A table whose numbers are those of quick hashes, for who searches it in another language: a number is
/// mixed into a hash by `hash = (rotate_left(hash, 32) ^ number) * 0x9e3779b185ebca87`, from 0 on, and the
/// slot to begin with is `hash >> shift`.
#[derive(Clone, Copy, Debug)]
pub struct QuickTable<'a> {
    /// A power of two of them, at least two; one at least is free.
    pub slots: &'a [Slot],
    /// See above.
    pub shift: u32,
    /// The most slots that an item lies behind the one to begin with: the first follows the last.
    pub farthest: usize,
}

/// No item starts there: it would end beyond the longest payload.
const FREE: Slot = Slot { tag: 0, place: Place { start: u32::MAX, len: 0 } };

/// Slots an item, before they are rounded up to a power of two: nearly every item is then where it is
/// looked for first, and the end of a search that finds nothing is near.
const SLOTS_PER_ITEM: usize = 3;
/// Steps from slot to slot that filling a table may take if quick hashes are to be kept: this many an
/// item, and some for tables of few. Good ones take 0.25 an item.
const STEPS_PER_ITEM: usize = 1;
const FEW_STEPS: usize = 16;
/// The most slots that an item may then lie behind its own. Good hashes of a million items reach half.
const FARTHEST: usize = 64;

impl Index {
    /// A table of nothing.
    pub(super) fn empty() -> Self {
        Self::with_capacity(0, Hashing::Quick)
    }

    /// A table of `places`. Of those with one identity the first is found. `identity` says what tells
    /// the item at a place apart, `is_same` whether the items at two places are one.
    pub(super) fn new<I: Hash>(
        places: &[Place],
        identity: impl Fn(Place) -> I,
        is_same: impl Fn(Place, &I) -> bool,
    ) -> Self {
        let mut index = Self::with_capacity(places.len(), Hashing::Quick);
        let steps = FEW_STEPS + STEPS_PER_ITEM * places.len();
        if index.fill(places, &identity, &is_same, steps, FARTHEST).is_err() {
            index = Self::with_capacity(places.len(), Hashing::Seeded(RandomState::default()));
            // Nobody can choose these hashes, so there is no number of steps to fear.
            let _unlimited = index.fill(places, &identity, &is_same, usize::MAX, usize::MAX);
        }
        index
    }

    /// The table itself, where it was filled by quick hashes; those of others nobody else can tell.
    #[inline]
    pub(super) fn quick(&self) -> Option<QuickTable<'_>> {
        let Self { slots, shift, farthest, hashing } = self;
        let is_quick = matches!(hashing, Hashing::Quick) && !slots.is_empty();
        is_quick.then_some(QuickTable { slots, shift: *shift, farthest: *farthest })
    }

    /// The first item that `take` takes of those whose identity may be `identity`.
    #[inline]
    pub(super) fn find<T>(
        &self,
        identity: &impl Hash,
        take: impl Fn(Place) -> Option<T>,
    ) -> Option<T> {
        let hash = self.hashing.hash(identity);
        let (mut at, mut distance) = (self.first(hash), 0);
        loop {
            let slot = self.slots.get(at)?;
            if slot.tag == tag(hash)
                && let Some(taken) = take(slot.place)
            {
                return Some(taken);
            }
            if slot.is_free() || distance == self.farthest {
                return None;
            }
            distance += 1;
            at = self.after(at);
        }
    }

    fn with_capacity(items: usize, hashing: Hashing) -> Self {
        let slots = match items {
            0 => 0,
            // One more than items at least, so that a search ends; 2 at least, so that there is a bit.
            items => items.saturating_mul(SLOTS_PER_ITEM).next_power_of_two(),
        };
        let shift = u64::BITS - slots.max(2).trailing_zeros();
        Self { slots: vec![FREE; slots].into_boxed_slice(), shift, farthest: 0, hashing }
    }

    fn fill<I: Hash>(
        &mut self,
        places: &[Place],
        identity: impl Fn(Place) -> I,
        is_same: impl Fn(Place, &I) -> bool,
        mut steps: usize,
        farthest: usize,
    ) -> Result<(), TooFar> {
        for place in places {
            let identity = identity(*place);
            let hash = self.hashing.hash(&identity);
            let (mut at, mut distance) = (self.first(hash), 0);
            while let Some(slot) = self.slots.get_mut(at) {
                if slot.is_free() {
                    *slot = Slot { tag: tag(hash), place: *place };
                    self.farthest = self.farthest.max(distance);
                    break;
                }
                if slot.tag == tag(hash) && is_same(slot.place, &identity) {
                    break;
                }
                if steps == 0 || distance == farthest {
                    return Err(TooFar);
                }
                (steps, distance) = (steps - 1, distance + 1);
                at = self.after(at);
            }
        }
        Ok(())
    }

    /// The slot that an identity of this hash is looked for in first.
    #[inline(always)]
    const fn first(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    #[inline(always)]
    const fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

/// Filling a table took more steps than it may.
#[derive(Debug)]
struct TooFar;

impl Slot {
    #[inline(always)]
    const fn is_free(&self) -> bool {
        self.place.start == FREE.place.start
    }
}

impl Hashing {
    #[inline(always)]
    fn hash(&self, identity: &impl Hash) -> u64 {
        match self {
            Self::Quick => {
                let mut hasher = QuickHasher::default();
                identity.hash(&mut hasher);
                hasher.finish()
            }
            Self::Seeded(state) => seeded(state, identity),
        }
    }
}

/// Apart: what it needs of registers is nothing that the quick hash should pay for.
#[cold]
#[inline(never)]
fn seeded(state: &RandomState, identity: &impl Hash) -> u64 {
    state.hash_one(identity)
}

#[inline(always)]
const fn tag(hash: u64) -> u32 {
    hash as u32
}

/// Hashes the numbers of an identity and leaves out its strings; where it has no number, what is at
/// the ends of its strings. High bits are the good ones.
#[derive(Default)]
struct QuickHasher {
    hash: u64,
    has_number: bool,
}

/// 2^64 divided by the golden ratio in its upper bits: spreads numbers that follow each other evenly. In its
/// lower ones a prime (of xxHash): numbers that a producer multiplied by the golden ratio, as hashes often
/// are, would stick together if they were multiplied by the same once more.
const SPREAD: u64 = 0x9e37_79b1_85eb_ca87;

impl QuickHasher {
    #[inline(always)]
    const fn mix(&mut self, number: u64) {
        self.hash = (self.hash.rotate_left(u64::BITS / 2) ^ number).wrapping_mul(SPREAD);
    }

    #[inline(always)]
    const fn number(&mut self, number: u64) {
        self.mix(number);
        self.has_number = true;
    }
}

impl Hasher for QuickHasher {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        if self.has_number {
            return;
        }
        self.mix(bytes.first_chunk().map_or(0, |chunk| u64::from_ne_bytes(*chunk)));
        match bytes.last_chunk() {
            Some(chunk) => self.mix(u64::from_ne_bytes(*chunk)),
            None => bytes.iter().for_each(|byte| self.mix((*byte).into())),
        }
    }

    #[inline(always)]
    fn write_u8(&mut self, number: u8) {
        self.number(number.into());
    }

    #[inline(always)]
    fn write_u16(&mut self, number: u16) {
        self.number(number.into());
    }

    #[inline(always)]
    fn write_u32(&mut self, number: u32) {
        self.number(number.into());
    }

    #[inline(always)]
    fn write_u64(&mut self, number: u64) {
        self.number(number);
    }

    /// The length of a string, or which of an enumeration's values: of little use by itself.
    #[inline(always)]
    fn write_usize(&mut self, number: usize) {
        if !self.has_number {
            self.mix(number as u64);
        }
    }

    #[inline(always)]
    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::codec::BStr;

    /// What items are told apart by in most of these tests: a number and a name.
    type Identity<'a> = (u32, &'a BStr);

    /// An index of items that are not in a payload but in a list: their place is their number there.
    struct Table<I> {
        items: Vec<I>,
        index: Index,
        /// How often two items were compared while it was made.
        compared: usize,
    }

    impl<I: Hash + Eq + Copy> Table<I> {
        fn new(items: Vec<I>) -> Self {
            let places: Vec<_> =
                (0..items.len()).map(|at| Place { start: at as u32, len: 1 }).collect();
            let item = |place: Place| items[place.start as usize];
            let compared = Cell::new(0);
            let is_same = |place, identity: &I| {
                compared.set(compared.get() + 1);
                item(place) == *identity
            };
            let index = Index::new(&places, item, is_same);
            Self { index, compared: compared.get(), items }
        }

        fn find(&self, identity: &I) -> Option<usize> {
            self.index.find(identity, |place| {
                let at = place.start as usize;
                self.items.get(at).filter(|item| *item == identity).map(|_| at)
            })
        }

        fn is_quick(&self) -> bool {
            matches!(self.index.hashing, Hashing::Quick)
        }

        fn assert_all_found(&self) {
            for (at, item) in self.items.iter().enumerate() {
                assert_eq!(self.find(item), Some(at));
            }
        }
    }

    /// Numbers that any table looks for in its first slot.
    fn numbers_of_one_slot(count: usize) -> impl Iterator<Item = u64> {
        // What undoes the multiplication, by Newton's method: each step doubles the right bits.
        let step = |inverse: u64, _| {
            inverse.wrapping_mul(2_u64.wrapping_sub(SPREAD.wrapping_mul(inverse)))
        };
        let inverse = (0..6).fold(SPREAD, step);
        assert_eq!(inverse.wrapping_mul(SPREAD), 1);
        (0..count as u64).map(move |hash| hash.wrapping_mul(inverse))
    }

    #[test]
    fn a_table_of_nothing_finds_nothing() {
        let table = Table::<Identity<'_>>::new(Vec::new());
        assert_eq!(table.find(&(0, BStr::new(""))), None);
        assert_eq!(Index::empty().find(&(0, BStr::new("")), Some).map(|place| place.start), None);
    }

    #[test]
    fn every_number_of_items_is_found_and_nothing_else() {
        for count in (1..200).chain([10_000]) {
            let table = Table::new((0..count).map(|number| (number, BStr::new("a"))).collect());
            assert!(table.is_quick(), "{count}");
            table.assert_all_found();
            for number in count..2 * count {
                assert_eq!(table.find(&(number, BStr::new("a"))), None, "{number} of {count}");
            }
            assert_eq!(table.find(&(0, BStr::new("b"))), None);
        }
    }

    #[test]
    fn scattered_numbers_are_found_fast() {
        // Multiplied by an odd number: each once, in no order.
        let numbers =
            (1..=100_000_u32).map(|number| (number.wrapping_mul(0x0100_0193), BStr::new("a")));
        let table = Table::new(numbers.collect());
        assert!(table.is_quick());
        table.assert_all_found();
    }

    #[test]
    fn of_items_with_one_identity_the_first_is_found_and_the_rest_cost_nothing() {
        let mut items = vec![(7, BStr::new("a")); 10_000];
        items.push((7, BStr::new("b")));
        let table = Table::new(items);
        assert!(table.is_quick());
        assert_eq!(
            (table.find(&(7, BStr::new("a"))), table.find(&(7, BStr::new("b")))),
            (Some(0), Some(10_000))
        );
    }

    #[test]
    fn items_that_all_have_one_number_cost_no_more_than_others() {
        const ITEMS: usize = 20_000;
        let names: Vec<_> = (0..ITEMS).map(|at| at.to_string()).collect();
        let table = Table::new(names.iter().map(|name| (0, BStr::new(name))).collect());
        assert!(!table.is_quick());
        assert!(table.compared <= 2 * ITEMS, "{} comparisons", table.compared);
        assert!(table.index.farthest <= FARTHEST, "{} slots behind", table.index.farthest);
        table.assert_all_found();
        assert_eq!(table.find(&(0, BStr::new("another"))), None);
    }

    #[test]
    fn numbers_that_are_chosen_to_collide_cost_no_more_than_others() {
        for count in [17, 1000] {
            let table =
                Table::new(numbers_of_one_slot(count).map(|n| (n, BStr::new("a"))).collect());
            assert!(!table.is_quick());
            assert!(table.index.farthest <= FARTHEST, "{} slots behind", table.index.farthest);
            table.assert_all_found();
        }
    }

    #[test]
    fn a_few_that_collide_are_kept_near() {
        // Few enough for the steps of all, but too far for one.
        let colliding = numbers_of_one_slot(FARTHEST + 2);
        let table = Table::new(colliding.chain(1 << 32..(1 << 32) + 10_000).collect());
        assert!(!table.is_quick());
        assert!(table.index.farthest <= FARTHEST, "{} slots behind", table.index.farthest);
        table.assert_all_found();
    }

    #[test]
    fn identities_without_a_number_are_found_by_the_ends_of_their_strings() {
        let names: Vec<_> = (0..10_000).map(|number| format!("container-{number}.scope")).collect();
        let table = Table::new(names.iter().map(|name| (BStr::new(name), BStr::new(""))).collect());
        table.assert_all_found();
        let names: Vec<_> = (0..1000).map(|number| format!("container-{number}")).collect();
        let table = Table::new(names.iter().map(|name| (BStr::new(name),)).collect());
        assert!(table.is_quick());
        table.assert_all_found();
        let short: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        let table = Table::new(short.iter().map(|name| (BStr::new(name),)).collect());
        assert!(table.is_quick());
        table.assert_all_found();
    }

    #[test]
    fn identities_of_several_numbers_are_found() {
        let pairs: Vec<_> = (0..10_000_u32).map(|n| (u64::from(n / 100), n % 100)).collect();
        let table = Table::new(pairs);
        assert!(table.is_quick());
        table.assert_all_found();
        let table = Table::new((0..=u8::MAX).map(|n| (n, u16::from(n), i64::from(n))).collect());
        assert!(table.is_quick());
        table.assert_all_found();
    }

    #[test]
    fn identities_that_hash_to_nothing_are_told_apart() {
        #[derive(Clone, Copy, PartialEq, Eq)]
        struct Unhashed(u32);

        impl Hash for Unhashed {
            fn hash<H: Hasher>(&self, _: &mut H) {}
        }

        let table = Table::new((0..200).map(Unhashed).collect());
        table.assert_all_found();
        assert_eq!(table.find(&Unhashed(200)), None);
    }
}
