//! The messages that wait for their answer (spec section 1).
//!
//! A table of bounded size, which allocates when it is made and never after. It does not choose
//! message ids and does not know of time.

use alloc::vec::Vec;

use thiserror::Error;

/// Message ids in flight, each with what its sender wants to find again.
///
/// Ids come from a caller or a peer in any order: a lookup costs the same for all but adversarial
/// sets of them, and is bounded by the capacity for those.
#[derive(Debug)]
pub struct InFlight<T> {
    /// A hash table with open addressing, at most half full. A slot that its id would rather have
    /// than its own is never free, so that a search may stop at the first free one.
    slots: Vec<Option<(u64, T)>>,
    len: usize,
    capacity: usize,
}

/// Why a message may not be sent; nothing was. The value is handed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InsertError<T> {
    /// As many messages are in flight as may be. Take an answer first.
    #[error("as many messages are in flight as this session may have")]
    Full(T),
    /// A message with this id is in flight already: the caller's fault.
    #[error("a message with this id is in flight already")]
    Duplicate(T),
}

impl<T> InFlight<T> {
    /// An empty table for at most `capacity` messages, at least 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, MAX_CAPACITY);
        let slot_count = (capacity * 2).next_power_of_two();
        let mut slots = Vec::with_capacity(slot_count);
        slots.resize_with(slot_count, || None);
        Self { slots, len: 0, capacity }
    }

    /// Messages in flight.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no message is in flight.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most messages that may be in flight.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether a message with this id is in flight.
    #[inline]
    #[must_use]
    pub fn contains(&self, message_id: u64) -> bool {
        self.find(message_id).is_ok()
    }

    /// Puts a message in flight: before it is sent.
    ///
    /// # Errors
    /// `Duplicate`, or `Full`.
    #[inline]
    pub fn insert(&mut self, message_id: u64, value: T) -> Result<(), InsertError<T>> {
        match self.find(message_id) {
            Ok(_) => Err(InsertError::Duplicate(value)),
            Err(_) if self.len == self.capacity => Err(InsertError::Full(value)),
            Err(free) => {
                self.slots[free] = Some((message_id, value));
                self.len += 1;
                Ok(())
            }
        }
    }

    /// Takes the message that an answer belongs to. `None` means that no such message is in
    /// flight: a violation that ends the session.
    #[inline]
    pub fn take(&mut self, message_id: u64) -> Option<T> {
        let mut hole = self.find(message_id).ok()?;
        let (_, value) = self.slots[hole].take()?;
        self.len -= 1;
        // Moves later ids of the same run into the hole, where they are not past their place.
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let Some((id, _)) = &self.slots[at] else { break };
            let home = self.home(*id);
            let from_home = at.wrapping_sub(home) & mask;
            let from_hole = at.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                self.slots.swap(hole, at);
                hole = at;
            }
        }
        Some(value)
    }

    /// Takes all messages, in no order: when the session ends, nobody answers them. Where `each`
    /// panics the rest is dropped, and the table is empty all the same.
    pub fn drain(&mut self, mut each: impl FnMut(u64, T)) {
        self.len = 0;
        let mut left = Emptied(self.slots.iter_mut());
        for (message_id, value) in left.0.by_ref().filter_map(Option::take) {
            each(message_id, value);
        }
    }

    /// The slot of an id, or the free one where it would go.
    #[inline]
    fn find(&self, message_id: u64) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(message_id);
        // Half of the slots are free, so this ends.
        loop {
            match &self.slots[at] {
                None => return Err(at),
                Some((id, _)) if *id == message_id => return Ok(at),
                Some(_) => at = (at + 1) & mask,
            }
        }
    }

    /// Where an id would rather be.
    #[inline]
    fn home(&self, message_id: u64) -> usize {
        let mixed = message_id.wrapping_mul(GOLDEN_RATIO) >> 32;
        mixed as usize & (self.slots.len() - 1)
    }
}

/// Slots that are free once this is dropped.
struct Emptied<'t, T>(core::slice::IterMut<'t, Option<(u64, T)>>);

impl<T> Drop for Emptied<'_, T> {
    fn drop(&mut self) {
        for slot in self.0.by_ref() {
            *slot = None;
        }
    }
}

/// A bound that no session needs, so that the number of slots cannot overflow.
const MAX_CAPACITY: usize = 1 << 24;
/// 2^64 divided by the golden ratio: spreads consecutive ids.
const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duplicate_is_refused_before_anything_is_sent() {
        let mut table = InFlight::new(2);
        assert_eq!(table.insert(7, 'a'), Ok(()));
        assert_eq!(table.insert(7, 'b'), Err(InsertError::Duplicate('b')));
        assert_eq!(table.insert(8, 'c'), Ok(()));
        assert_eq!(table.insert(9, 'd'), Err(InsertError::Full('d')));
        // Even when the table is full, a duplicate is called what it is.
        assert_eq!(table.insert(8, 'e'), Err(InsertError::Duplicate('e')));
        assert_eq!(table.take(7), Some('a'));
        assert_eq!(table.take(7), None);
        assert_eq!(table.insert(9, 'd'), Ok(()));
    }

    #[test]
    fn the_table_stays_whole_where_who_drains_it_panics() {
        const IDS: u64 = 8;
        let mut table = InFlight::new(IDS as usize);
        (0..IDS).for_each(|id| table.insert(id, id).expect("room"));
        let drained = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            table.drain(|id, _value| panic!("{id} is not wanted"));
        }));
        assert!(drained.is_err() && table.is_empty());
        for id in 0..IDS {
            assert!(!table.contains(id), "{id} is in no count");
            table.insert(id, id).expect("room");
        }
    }

    #[test]
    fn there_is_room_for_one_at_least() {
        let mut table = InFlight::new(0);
        assert_eq!(table.capacity(), 1);
        assert_eq!(table.insert(u64::MAX, ()), Ok(()));
        assert!(table.contains(u64::MAX));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Take(u64),
        Drain,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Few ids, so that they meet; some far apart.
        let id = prop_oneof![0_u64..24, (0_u64..8).prop_map(|i| i << 60), Just(u64::MAX)];
        let step = prop_oneof![
            8 => id.clone().prop_map(Step::Insert),
            8 => id.prop_map(Step::Take),
            1 => Just(Step::Drain),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_table_does_what_a_map_does(capacity in 1_usize..12, steps in steps()) {
            let mut table = InFlight::new(capacity);
            let mut model = HashMap::new();
            for (value, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(id) => {
                        let expected = if model.contains_key(&id) {
                            Err(InsertError::Duplicate(value))
                        } else if model.len() == capacity {
                            Err(InsertError::Full(value))
                        } else {
                            model.insert(id, value);
                            Ok(())
                        };
                        prop_assert_eq!(table.insert(id, value), expected);
                    }
                    Step::Take(id) => prop_assert_eq!(table.take(id), model.remove(&id)),
                    Step::Drain => {
                        let mut drained = HashMap::new();
                        table.drain(|id, value| {
                            drained.insert(id, value);
                        });
                        prop_assert_eq!(&drained, &model);
                        model.clear();
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                for id in model.keys() {
                    prop_assert!(table.contains(*id));
                }
            }
        }
    }
}
