//! Codecs in process: building the answer to a lookup, checking it, reading all of it.

use std::hint::black_box;
use std::time::Duration;

use netipc::codec::ResponseBudget;
use netipc_services::{apps_lookup, cgroups_lookup};

use super::ClientOptions;
use super::contents::{GENERATION, Thing, things};
use super::measure::{Answered, Caller};
use super::server::{answer_groups, answer_processes};
use super::typed::{is_group, is_process};
use crate::Failure;
use crate::work::Mix;

/// Bytes of an answer's item, and more.
const ITEM_BYTES: usize = 512;
const HEADER_BYTES: usize = 1_024;
/// Items that are coded before the clock is looked at, about.
const ITEMS_PER_TURN: usize = 256;

/// A request, the room for its answer, and what must be in that.
struct Case {
    request: Vec<u8>,
    out: Vec<u8>,
    things: Vec<Thing>,
    mix: Mix,
    calls: u64,
}

impl Case {
    fn new(options: &ClientOptions) -> Self {
        let options = &options.options;
        let room = HEADER_BYTES + options.items * ITEM_BYTES;
        Self {
            request: vec![0; room],
            out: vec![0; room],
            things: things(options.items, options.mix),
            mix: options.mix,
            calls: 0,
        }
    }

    /// One, but where the clock would be looked at too often.
    fn calls_per_turn(&self) -> u32 {
        (ITEMS_PER_TURN / self.things.len().max(1)).max(1) as u32
    }

    const fn answered(&self) -> Answered {
        let items = self.calls * self.things.len() as u64;
        Answered { calls: self.calls, requests: 0, items }
    }
}

/// Of cgroups-lookup.
pub(super) struct GroupCodec(Case);

impl GroupCodec {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Failure> {
        let mut case = Case::new(options);
        let mut builder =
            cgroups_lookup::RequestBuilder::new(&mut case.request, case.things.len())?;
        for thing in &case.things {
            builder.push(&thing.path)?;
        }
        let len = builder.finish()?;
        case.request.truncate(len);
        Ok(Self(case))
    }
}

impl Caller for GroupCodec {
    const TICKS_PER_NS: u32 = 1_000;

    fn calls_per_turn(&self) -> u32 {
        self.0.calls_per_turn()
    }

    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let case = &mut self.0;
        for _ in 0..case.calls_per_turn() {
            let request = cgroups_lookup::RequestView::decode(black_box(&case.request))?;
            let budget = ResponseBudget { out: &mut case.out, at_ceiling: true };
            let mut response = cgroups_lookup::ResponseBuilder::new(&request, budget)?;
            answer_groups(&request, &mut response, &case.things, case.mix, GENERATION)?;
            let len = response.finish()?;
            let answer = black_box(case.out.get(..len).unwrap_or_default());
            let answer = cgroups_lookup::ResponseView::decode(answer)?;
            let mut items = answer.items();
            let is_right =
                |thing| items.next().is_some_and(|item| is_group(&item, thing, case.mix));
            if answer.generation() != GENERATION || !case.things.iter().all(is_right) {
                return Err("the codec wrote another answer than it must".into());
            }
        }
        case.calls += u64::from(case.calls_per_turn());
        Ok(None)
    }

    fn answered(&self) -> Answered {
        self.0.answered()
    }
}

/// Of apps-lookup.
pub(super) struct ProcessCodec(Case);

impl ProcessCodec {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Failure> {
        let mut case = Case::new(options);
        let mut builder = apps_lookup::RequestBuilder::new(&mut case.request, case.things.len())?;
        for thing in &case.things {
            builder.push(thing.pid)?;
        }
        let len = builder.finish()?;
        case.request.truncate(len);
        Ok(Self(case))
    }
}

impl Caller for ProcessCodec {
    const TICKS_PER_NS: u32 = 1_000;

    fn calls_per_turn(&self) -> u32 {
        self.0.calls_per_turn()
    }

    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let case = &mut self.0;
        for _ in 0..case.calls_per_turn() {
            let request = apps_lookup::RequestView::decode(black_box(&case.request))?;
            let budget = ResponseBudget { out: &mut case.out, at_ceiling: true };
            let mut response = apps_lookup::ResponseBuilder::new(&request, budget)?;
            answer_processes(&request, &mut response, &case.things, case.mix, GENERATION)?;
            let len = response.finish()?;
            let answer = black_box(case.out.get(..len).unwrap_or_default());
            let answer = apps_lookup::ResponseView::decode(answer)?;
            let mut items = answer.items();
            let is_right =
                |thing| items.next().is_some_and(|item| is_process(&item, thing, case.mix));
            if answer.generation() != GENERATION || !case.things.iter().all(is_right) {
                return Err("the codec wrote another answer than it must".into());
            }
        }
        case.calls += u64::from(case.calls_per_turn());
        Ok(None)
    }

    fn answered(&self) -> Answered {
        self.0.answered()
    }
}
