//! Codecs in process: a request decoded, its answer built, checked and read, all of it.

use std::hint::black_box;
use std::time::Duration;

use netipc::codec::ResponseBudget;
use netipc::service::AsKey;

use super::ClientOptions;
use super::contents::{GENERATION, Thing, things};
use super::lookups::Looked;
use super::measure::{Answered, Caller};
use crate::Failure;
use crate::work::Mix;

/// Bytes of a key's or an item's, and more.
const ITEM_BYTES: usize = 512;
const HEADER_BYTES: usize = 1_024;
/// Items that are coded before the clock is looked at, about.
const ITEMS_PER_TURN: usize = 256;

/// A request, the room for its answer, and what must be in that.
pub(super) struct Codec<S> {
    request: Vec<u8>,
    out: Vec<u8>,
    things: Vec<Thing>,
    mix: Mix,
    calls: u64,
    service: std::marker::PhantomData<S>,
}

impl<S: Looked> Codec<S> {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Failure> {
        let options = &options.options;
        let things = things(options.items, options.mix, options.bytes);
        let room = HEADER_BYTES + things.len() * ITEM_BYTES;
        let mut request = vec![0; room];
        let mut builder = S::request_builder(&mut request, things.len())?;
        for thing in &things {
            S::push_key(&mut builder, &S::key(thing).as_key())?;
        }
        let len = S::finish_request(builder)?;
        request.truncate(len);
        let (out, service) = (vec![0; room], std::marker::PhantomData);
        Ok(Self { request, out, things, mix: options.mix, calls: 0, service })
    }

    fn once(&mut self) -> Result<(), Failure> {
        let Self { request, out, things, mix, .. } = self;
        let len = {
            let request = S::decode_request(black_box(request))?;
            let budget = ResponseBudget { out, at_ceiling: true };
            let mut response = S::response_builder(&request, budget)?;
            S::answer(&request, &mut response, things, *mix, GENERATION)?;
            S::finish_response(response)?
        };
        let answer = S::decode_response(black_box(out.get(..len).unwrap_or_default()))?;
        let mut items = S::items(&answer);
        let is_right = |thing| items.next().is_some_and(|item| S::is_right(&item, thing, *mix));
        if S::generation(&answer) != GENERATION || !things.iter().all(is_right) {
            return Err("the codec wrote another answer than it must".into());
        }
        Ok(())
    }
}

impl<S: Looked> Caller for Codec<S> {
    const TICKS_PER_NS: u32 = 1_000;

    /// One, but where the clock would be looked at too often.
    fn calls_per_turn(&self) -> u32 {
        (ITEMS_PER_TURN / self.things.len().max(1)).max(1) as u32
    }

    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        for _ in 0..self.calls_per_turn() {
            self.once()?;
        }
        self.calls += u64::from(self.calls_per_turn());
        Ok(None)
    }

    fn answered(&self) -> Answered {
        let items = self.calls * self.things.len() as u64;
        Answered { calls: self.calls, requests: 0, items }
    }
}
