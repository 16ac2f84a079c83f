//! The answers to a lookup's sub-requests, put together in the order asked (spec section 11).
//!
//! ```text
//!   keys      0 1 2 3 4 5 6 7
//!   answer 1  K K O K r r           r: "ask again", O: "oversized", K: any other
//!   alone         K                 an oversized one among several is asked again alone, once
//!   answer 2          K K K K       the suffix, and what follows it
//! ```
//!
//! A pure state machine: [`Stitch::next`] says what to ask, [`Stitch::take`] is given what came.
//! Answers are copied into one buffer that later lookups use again.

use std::marker::PhantomData;

use thiserror::Error;

use super::LookupCeilings;
use super::plan::{SessionLimits, SubRequest, alone, plan};
use crate::codec::{BuildError, DecodeError, Element, LookupItem, Overflow};
use crate::place::offset_within;
use crate::service::{AsKey, Lookup, LookupItemView};

/// How the answer to a lookup breaks the contract, or cannot be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LookupError {
    /// More keys than a call may have: the caller's fault, found before anything is sent.
    #[error("{given} keys in one lookup, and it may have {ceiling}: ask in several calls")]
    TooManyKeys {
        /// Keys given.
        given: usize,
        /// Keys allowed.
        ceiling: u32,
    },
    /// The limits of the session need more sub-requests than a call may have.
    #[error(
        "the lookup needs more than {ceiling} sub-requests: ask for less at once, or give the \
         provider a larger limit"
    )]
    TooManySubCalls {
        /// Sub-requests allowed.
        ceiling: u32,
    },
    /// The answers take more memory than a call may have.
    #[error("the answers to the lookup exceed {ceiling_bytes} bytes: ask for less at once")]
    AnswerTooLarge {
        /// Bytes of response payload allowed.
        ceiling_bytes: u64,
    },
    /// The provider's state changed during the call, and again when it was started anew.
    #[error("the provider's generation changed twice during one lookup: try again")]
    GenerationChanged,
    /// The peer's payload does not decode.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// Not one item for each key.
    #[error("the peer broke the contract: {given} items answer {asked} keys")]
    ItemCount {
        /// Keys asked.
        asked: usize,
        /// Items answered.
        given: usize,
    },
    /// An item that does not repeat its key.
    #[error("the peer broke the contract: the item for key {index} repeats another key")]
    Echo {
        /// The key's place in the call.
        index: usize,
    },
    /// "Ask again" for the first item, which would never end.
    #[error("the peer broke the contract: the first item of an answer says \"ask again\"")]
    FirstAskedAgain,
    /// Another item after one that says "ask again".
    #[error(
        "the peer broke the contract: the item for key {index} follows one that says \"ask again\""
    )]
    AfterAskAgain {
        /// The key's place in the call.
        index: usize,
    },
}

impl LookupError {
    /// Whether the peer broke the contract.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        match self {
            Self::TooManyKeys { .. }
            | Self::TooManySubCalls { .. }
            | Self::AnswerTooLarge { .. }
            | Self::GenerationChanged => false,
            Self::Malformed(_)
            | Self::ItemCount { .. }
            | Self::Echo { .. }
            | Self::FirstAskedAgain
            | Self::AfterAskAgain { .. } => true,
        }
    }
}

/// Where an item lies in the bytes of an answer to a lookup.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Place {
    /// Its first byte.
    pub start: usize,
    /// How many bytes it has.
    pub len: usize,
}

/// One lookup under way, and the last one's answer.
#[derive(Debug)]
pub(super) struct Stitch<S> {
    ceilings: LookupCeilings,
    items: Vec<u8>,
    /// What `items` were of the lookup before, as they were: in C the keys of this one may lie there.
    last_items: Vec<u8>,
    /// One for each key answered, in the order asked.
    places: Vec<Place>,
    /// Keys answered "oversized" among several, to be asked again alone.
    oversized: Vec<usize>,
    generation: Option<u64>,
    restarted: bool,
    sub_calls: u32,
    response_bytes: u64,
    service: PhantomData<fn() -> S>,
}

impl<S: Lookup> Stitch<S> {
    pub(super) const fn new(ceilings: LookupCeilings) -> Self {
        Self {
            ceilings,
            items: Vec::new(),
            last_items: Vec::new(),
            places: Vec::new(),
            oversized: Vec::new(),
            generation: None,
            restarted: false,
            sub_calls: 0,
            response_bytes: 0,
            service: PhantomData,
        }
    }

    /// Forgets the last answer but for its bytes, and starts a lookup of that many keys.
    pub(super) fn begin(&mut self, key_count: usize) -> Result<(), LookupError> {
        std::mem::swap(&mut self.items, &mut self.last_items);
        self.forget();
        (self.restarted, self.sub_calls, self.response_bytes) = (false, 0, 0);
        let ceiling = self.ceilings.items;
        if key_count > ceiling as usize {
            return Err(LookupError::TooManyKeys { given: key_count, ceiling });
        }
        Ok(())
    }

    /// Gives up the memory of the last answers.
    pub(super) fn release(&mut self) {
        *self = Self::new(self.ceilings);
    }

    /// What to ask next; `None` when all is answered.
    pub(super) fn next<K: AsKey<<S::Item as LookupItem>::Key>>(
        &self,
        keys: &[K],
        limits: SessionLimits,
    ) -> Result<Option<SubRequest>, LookupError> {
        let again = self.oversized.last().and_then(|index| Some((keys.get(*index)?, *index)));
        let sub_request = match again {
            Some((key, index)) => alone::<S, K>(key, index),
            // A lookup of no keys asks as well: for the generation.
            None if self.places.len() == keys.len() && self.generation.is_some() => {
                return Ok(None);
            }
            None => plan::<S, K>(keys, self.places.len(), limits),
        };
        let ceiling = self.ceilings.sub_calls;
        if self.sub_calls == ceiling {
            return Err(LookupError::TooManySubCalls { ceiling });
        }
        Ok(Some(sub_request))
    }

    /// Takes the answer to `asked`.
    pub(super) fn take<K: AsKey<<S::Item as LookupItem>::Key>>(
        &mut self,
        keys: &[K],
        asked: SubRequest,
        payload: &[u8],
    ) -> Result<(), LookupError> {
        self.sub_calls += 1;
        self.response_bytes += payload.len() as u64;
        let ceiling_bytes = self.ceilings.response_bytes;
        if self.response_bytes > ceiling_bytes {
            return Err(LookupError::AnswerTooLarge { ceiling_bytes });
        }
        let response = S::decode_response(payload)?;
        let items = S::items(&response).raw();
        if items.len() != asked.count {
            return Err(LookupError::ItemCount { asked: asked.count, given: items.len() });
        }
        let generation = S::generation(&response);
        let agrees = *self.generation.get_or_insert(generation) == generation;
        if !agrees && self.restarted {
            return Err(LookupError::GenerationChanged);
        }
        if !agrees {
            self.forget();
            self.restarted = true;
            return Ok(());
        }
        let asked_keys = keys.get(asked.first..).unwrap_or_default();
        // All at once: a copy of each item takes as long as several times its bytes.
        let kept_at = self.items.len();
        self.items.extend_from_slice(payload);
        let mut ask_again = false;
        for (offset, (item, key)) in items.zip(asked_keys).enumerate() {
            let index = asked.first + offset;
            let view: LookupItemView<'_, S> = S::Item::view(item);
            if !S::Item::echoes(&key.as_key(), &S::echo(&view)) {
                return Err(LookupError::Echo { index });
            }
            let overflow = S::overflow(&view);
            match overflow {
                Some(Overflow::Retry) if offset == 0 => return Err(LookupError::FirstAskedAgain),
                Some(Overflow::Retry) => ask_again = true,
                _ if ask_again => return Err(LookupError::AfterAskAgain { index }),
                _ => self.keep(index, kept_at + offset_within(payload, item), item.len()),
            }
            if overflow == Some(Overflow::Oversized) && asked.count > 1 {
                self.oversized.push(index);
            }
        }
        if asked.count == 1 && self.oversized.last() == Some(&asked.first) {
            self.oversized.pop();
        }
        Ok(())
    }

    /// Answers a key that no request may hold "oversized".
    ///
    /// # Errors
    /// The key is one that its schema forbids: the caller's fault.
    pub(super) fn too_long<K: AsKey<<S::Item as LookupItem>::Key>>(
        &mut self,
        key: &K,
        index: usize,
    ) -> Result<(), BuildError> {
        if self.oversized.last() == Some(&index) {
            // It is answered so already, and was to be asked again alone.
            self.oversized.pop();
            return Ok(());
        }
        let key = key.as_key();
        let start = self.items.len();
        self.items.resize(start + S::Item::smallest_len(&key), 0);
        let out = self.items.get_mut(start..).unwrap_or_default();
        let len = S::Item::write_smallest(&key, Overflow::Oversized, out)?;
        self.places.push(Place { start, len });
        Ok(())
    }

    /// Where each item lies, in the order asked, and the bytes that they lie in.
    pub(super) fn parts(&self) -> (&[Place], &[u8]) {
        (&self.places, &self.items)
    }

    /// How many items there are.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// The generation that all answers share.
    pub(super) fn generation(&self) -> u64 {
        self.generation.unwrap_or_default()
    }

    /// The sub-requests answered so far.
    pub(super) const fn sub_calls(&self) -> u32 {
        self.sub_calls
    }

    /// Whether the generation changed, so that the lookup was started again.
    pub(super) const fn restarted(&self) -> bool {
        self.restarted
    }

    /// The item for the key at `index`.
    pub(super) fn item(&self, index: usize) -> Option<LookupItemView<'_, S>> {
        let place = self.places.get(index)?;
        let end = place.start.checked_add(place.len)?;
        self.items.get(place.start..end).map(S::Item::view)
    }

    /// Keeps the item for the key at `index`: the next one, or one that was asked again.
    fn keep(&mut self, index: usize, start: usize, len: usize) {
        let place = Place { start, len };
        match self.places.get_mut(index) {
            Some(earlier) => *earlier = place,
            None => self.places.push(place),
        }
    }

    fn forget(&mut self) {
        self.items.clear();
        self.places.clear();
        self.oversized.clear();
        self.generation = None;
    }
}
