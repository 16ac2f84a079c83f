//! A batch that several workers answer (spec section 2).
//!
//! ```text
//!   the worker that read it          handled | part 1 | part 2 | part 3     contiguous items
//!   answers items until it takes     ^ part 0   ^ claimed one by one, by the reader too
//!   too long, then splits the rest
//! ```
//!
//! Whoever finishes the last part puts the answer together, so nobody ever waits for another. A
//! batch fails as its first failing item does, whatever the order in which parts were answered.
//! No threads, no session and no queue here.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use netipc_proto::batch::{Batch, BatchBuilder, ITEM_ALIGNMENT};

use super::dispatch::Failure;

/// The answers to some items in a row.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// As long as the session's response limit; only the start is used.
    buffer: Vec<u8>,
    used_bytes: usize,
    /// Length of each answer, in bytes; each starts at a multiple of [`ITEM_ALIGNMENT`].
    lens: Vec<usize>,
}

impl Answers {
    /// Starts again, for a session with this response limit. Keeps its memory.
    pub(super) fn reset(&mut self, limit_bytes: usize) {
        grow_blank(&mut self.buffer, limit_bytes);
        self.used_bytes = 0;
        self.lens.clear();
    }

    pub(super) const fn len(&self) -> usize {
        self.lens.len()
    }

    /// Adds the answer that `answer` writes; `limit_bytes` as given to [`Answers::reset`].
    pub(super) fn push(
        &mut self,
        limit_bytes: usize,
        answer: impl FnOnce(&mut [u8]) -> Result<usize, Failure>,
    ) -> Result<(), Failure> {
        let room = self.buffer.get_mut(self.used_bytes..limit_bytes).unwrap_or_default();
        let room_bytes = room.len();
        let len = answer(room)?;
        if len > room_bytes {
            return Err(Failure::Internal);
        }
        self.used_bytes += len.next_multiple_of(ITEM_ALIGNMENT);
        self.lens.push(len);
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0_usize;
        self.lens.iter().map(move |len| {
            let answer = self.buffer.get(start..start + len).unwrap_or_default();
            start += len.next_multiple_of(ITEM_ALIGNMENT);
            answer
        })
    }
}

/// Makes `buffer` at least `len` bytes long. New memory is asked for blank, which the system gives
/// without touching it: a limit of megabytes costs nothing until an answer needs it.
pub(super) fn grow_blank(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < len {
        *buffer = Vec::new();
        *buffer = vec![0; len];
    }
}

/// Writes the payload of a batch's answer into `payload`.
pub(super) fn assemble<'a>(
    answers: impl Iterator<Item = &'a Answers>,
    item_count: u32,
    limit_bytes: u32,
    payload: &mut Vec<u8>,
) -> Result<(), Failure> {
    let mut builder = BatchBuilder::new(payload, item_count, limit_bytes)
        .map_err(|_too_many_for_the_limit| Failure::LimitExceeded)?;
    for answer in answers.flat_map(Answers::iter) {
        builder.push(answer).map_err(|_does_not_fit| Failure::LimitExceeded)?;
    }
    builder.finish().map(|_payload| ()).map_err(|_items_missing| Failure::Internal)
}

/// A batch whose items are answered by whoever claims a part of them.
#[derive(Debug)]
pub(super) struct SplitBatch {
    /// The request's payload.
    payload: Vec<u8>,
    item_count: u32,
    limit_bytes: u32,
    /// Items that were answered before the split; they are part 0.
    handled: usize,
    /// Parts behind part 0.
    part_count: usize,
    /// The next part that nobody has claimed, from 1.
    next: AtomicUsize,
    /// Parts that are not finished.
    left: AtomicUsize,
    /// The lowest part that failed; parts behind it need no answer.
    failed: AtomicUsize,
    outcomes: Mutex<Vec<Option<Result<Answers, Failure>>>>,
}

/// A part of a batch: who holds it is the only one to answer it.
#[derive(Debug)]
pub(super) struct Part {
    index: usize,
    items: Range<usize>,
}

impl SplitBatch {
    /// Splits what follows the items that `handled` answers into at most `workers` parts. The
    /// payload has been opened as a batch of `item_count` before, so it opens again.
    pub(super) fn new(
        payload: Vec<u8>,
        item_count: u32,
        limit_bytes: u32,
        handled: Answers,
        workers: usize,
    ) -> Self {
        let rest = (item_count as usize).saturating_sub(handled.len());
        let part_count = workers.clamp(1, rest.max(1));
        let mut outcomes = Vec::with_capacity(part_count + 1);
        let handled_len = handled.len();
        outcomes.push(Some(Ok(handled)));
        outcomes.resize_with(part_count + 1, || None);
        Self {
            payload,
            item_count,
            limit_bytes,
            handled: handled_len,
            part_count,
            next: AtomicUsize::new(1),
            left: AtomicUsize::new(part_count),
            failed: AtomicUsize::new(usize::MAX),
            outcomes: Mutex::new(outcomes),
        }
    }

    /// How many parts there are to claim in all.
    pub(super) const fn part_count(&self) -> usize {
        self.part_count
    }

    /// A part that nobody has, if one is left.
    pub(super) fn claim(&self) -> Option<Part> {
        // Looked at first, so that late helpers do not count it up for ever.
        if self.next.load(Ordering::Relaxed) > self.part_count {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index > self.part_count {
            return None;
        }
        Some(Part { index, items: self.start_of(index)..self.start_of(index + 1) })
    }

    /// The first item of a part, counted from 1.
    const fn start_of(&self, index: usize) -> usize {
        let rest = self.item_count as usize - self.handled;
        // In 64 bits: where a `usize` has 32, the product may have more.
        let before = rest as u64 * (index - 1) as u64 / self.part_count as u64;
        self.handled + before as usize
    }

    /// Answers a part item by item. True for the part that was finished last: its caller calls
    /// [`SplitBatch::assemble`].
    pub(super) fn answer(
        &self,
        part: Part,
        mut item: impl FnMut(&[u8], &mut [u8]) -> Result<usize, Failure>,
    ) -> bool {
        let Part { index, items } = part;
        let outcome = self.answers(index, items, &mut item);
        if outcome.is_err() {
            self.failed.fetch_min(index, Ordering::Relaxed);
        }
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = outcomes.get_mut(index) {
            *place = Some(outcome);
        }
        drop(outcomes);
        // The lock has ordered the outcomes themselves.
        self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    fn answers(
        &self,
        part: usize,
        items: Range<usize>,
        item: &mut impl FnMut(&[u8], &mut [u8]) -> Result<usize, Failure>,
    ) -> Result<Answers, Failure> {
        let batch =
            Batch::decode(&self.payload, self.item_count).map_err(|_| Failure::BadEnvelope)?;
        let limit_bytes = self.limit_bytes as usize;
        let mut answers = Answers::default();
        answers.reset(limit_bytes);
        for index in items {
            if self.failed.load(Ordering::Relaxed) < part {
                // What an earlier item said decides; this says only that the rest was left.
                return Err(Failure::Internal);
            }
            let request = batch.get(index).ok_or(Failure::BadEnvelope)?;
            answers.push(limit_bytes, |out| item(request, out))?;
        }
        Ok(answers)
    }

    /// Puts the answer together once all parts are finished.
    pub(super) fn assemble(&self, payload: &mut Vec<u8>) -> Result<(), Failure> {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers = Vec::with_capacity(outcomes.len());
        for outcome in outcomes.iter() {
            match outcome {
                Some(Ok(part)) => answers.push(part),
                Some(Err(failure)) => return Err(*failure),
                None => return Err(Failure::Internal),
            }
        }
        assemble(answers.into_iter(), self.item_count, self.limit_bytes, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_BYTES: u32 = 4096;

    fn batch_of(items: u32) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut builder = BatchBuilder::new(&mut payload, items, LIMIT_BYTES).unwrap();
        for item in 0..items {
            builder.push(&item.to_ne_bytes()).unwrap();
        }
        builder.finish().unwrap();
        payload
    }

    fn split(items: u32, handled: u32, workers: usize) -> SplitBatch {
        let payload = batch_of(items);
        let mut answers = Answers::default();
        answers.reset(LIMIT_BYTES as usize);
        for item in 0..handled {
            answers.push(LIMIT_BYTES as usize, |out| echo(&item.to_ne_bytes(), out)).unwrap();
        }
        SplitBatch::new(payload, items, LIMIT_BYTES, answers, workers)
    }

    fn echo(item: &[u8], out: &mut [u8]) -> Result<usize, Failure> {
        out.get_mut(..item.len()).ok_or(Failure::LimitExceeded)?.copy_from_slice(item);
        Ok(item.len())
    }

    #[test]
    fn every_split_answers_every_item_once_and_in_order() {
        for (items, handled, workers) in
            [(1, 0, 1), (1, 0, 8), (7, 0, 2), (7, 3, 2), (7, 7, 2), (100, 1, 8), (5, 2, 1)]
        {
            let batch = split(items, handled, workers);
            let parts: Vec<Part> = std::iter::from_fn(|| batch.claim()).collect();
            assert_eq!(parts.len(), batch.part_count());
            let mut finished = 0;
            // Whatever the order: the last first.
            for part in parts.into_iter().rev() {
                finished += usize::from(batch.answer(part, echo));
            }
            assert_eq!(finished, 1, "{items} items");
            assert!(batch.claim().is_none());
            let mut payload = Vec::new();
            batch.assemble(&mut payload).unwrap();
            assert_eq!(payload, batch_of(items));
        }
    }

    #[test]
    fn the_longest_batch_is_split_without_a_gap() {
        // The product of both has more than 32 bits.
        let (items, workers) = (u32::MAX, 3);
        let batch = SplitBatch::new(Vec::new(), items, LIMIT_BYTES, Answers::default(), workers);
        let mut end = 0;
        for part in std::iter::from_fn(|| batch.claim()) {
            assert_eq!(part.items.start, end);
            end = part.items.end;
        }
        assert_eq!(end, items as usize);
    }

    #[test]
    fn a_batch_fails_as_its_first_failing_item_does() {
        let fail = |item: &[u8], _out: &mut [u8]| match item {
            [60, ..] => Err(Failure::BadEnvelope),
            [90, ..] => Err(Failure::Internal),
            _ => Ok(0),
        };
        for reversed in [false, true] {
            let batch = split(100, 0, 4);
            let mut parts: Vec<Part> = std::iter::from_fn(|| batch.claim()).collect();
            if reversed {
                parts.reverse();
            }
            for part in parts {
                batch.answer(part, fail);
            }
            let outcome = batch.assemble(&mut Vec::new());
            assert_eq!(outcome, Err(Failure::BadEnvelope), "reversed: {reversed}");
        }
    }

    #[test]
    fn what_follows_a_failure_is_left_alone_and_what_precedes_it_is_not() {
        let batch = split(100, 0, 3);
        let [first, second, third] = [(); 3].map(|()| batch.claim().unwrap());
        batch.answer(second, |_item, _out| Err(Failure::LimitExceeded));
        batch.answer(third, |_item, _out| panic!("its answer is of no use"));
        assert!(batch.answer(first, |_item, _out| Err(Failure::BadEnvelope)));
        assert_eq!(batch.assemble(&mut Vec::new()), Err(Failure::BadEnvelope));
    }

    #[test]
    fn an_answer_above_the_limit_is_refused_not_cut() {
        let batch = split(8, 0, 2);
        while let Some(part) = batch.claim() {
            batch.answer(part, |_item, _out| Ok(1024));
        }
        assert_eq!(batch.assemble(&mut Vec::new()), Err(Failure::LimitExceeded));
    }

    #[test]
    fn a_length_beyond_the_room_is_the_handlers_fault() {
        let batch = split(1, 0, 1);
        let part = batch.claim().unwrap();
        batch.answer(part, |_item, out| Ok(out.len() + 1));
        assert_eq!(batch.assemble(&mut Vec::new()), Err(Failure::Internal));
    }
}
