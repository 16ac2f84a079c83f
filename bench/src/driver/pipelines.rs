//! Clients that keep several requests in flight on a session, at Level 1: the same for every service.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use netipc::batch::{Batch, BatchBuilder};
use netipc::service::AsKey;
use netipc::{Abort, Deadline, Header, Message, Pipeline};
use netipc_services::{cgroups_snapshot, increment, string_reverse};

use super::calls::{Random, chain_start, wrong};
use super::contents::{Group, Thing, groups, things};
use super::level1::{BATCH_BYTES, BATCH_ITEMS, NUMBER_BYTES, connect};
use super::lookups::Looked;
use super::measure::{Answered, Caller};
use super::typed::{check_groups, other};
use super::{ClientOptions, Options};
use crate::Failure;
use crate::work::Mix;

/// Requests that a pipeline has in flight.
const DEPTH: usize = 16;

/// What a service is asked: requests that all differ, and what their answers must be.
pub(super) trait Questions {
    const METHOD: u16;
    /// What tells a request from the others.
    type About;

    /// Writes the next request, and answers how many items it has as a batch.
    fn ask(&mut self, payload: &mut Vec<u8>) -> Result<(Self::About, Option<u32>), Failure>;

    /// Compares an answer with what it must be. Answers how many requests were handled for it, and
    /// items.
    fn check(&self, about: &Self::About, message: &Message<'_>) -> Result<(u64, u64), Failure>;
}

/// Keeps several requests in flight.
pub(super) struct Pipelined<Q: Questions> {
    pipeline: Pipeline<(Q::About, Instant)>,
    questions: Q,
    abort: Abort,
    /// The payload of a request, built anew for each.
    payload: Vec<u8>,
    submitted: u64,
    answered: Answered,
}

impl<Q: Questions> Pipelined<Q> {
    pub(super) fn new(options: &ClientOptions, questions: Q) -> Result<Self, Failure> {
        Ok(Self {
            pipeline: Pipeline::new(connect(&options.options)?, DEPTH),
            questions,
            abort: Abort::new()?,
            payload: Vec::new(),
            submitted: 0,
            answered: Answered::default(),
        })
    }

    fn submit(&mut self) -> Result<(), Failure> {
        let at = Instant::now();
        let (about, batch) = self.questions.ask(&mut self.payload)?;
        self.submitted += 1;
        let header = Header::request(Q::METHOD, self.submitted, self.payload.len() as u32);
        let header = batch.map_or(header, |count| header.batch_of(count));
        let deadline = Deadline::never();
        Ok(self.pipeline.submit(&header, &self.payload, (about, at), deadline, &self.abort)?)
    }

    fn take(&mut self) -> Result<Duration, Failure> {
        let deadline = Deadline::never();
        let ((about, at), message) = self.pipeline.receive(deadline, &self.abort)?;
        let latency = at.elapsed();
        if !message.header.status.is_ok() {
            return Err(format!("a failing answer: {:?}", message.header.status).into());
        }
        let (requests, items) = self.questions.check(&about, &message)?;
        self.answered.calls += 1;
        self.answered.requests += requests;
        self.answered.items += items;
        Ok(latency)
    }
}

impl<Q: Questions> Caller for Pipelined<Q> {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        while self.pipeline.in_flight() < DEPTH {
            self.submit()?;
        }
        self.take().map(Some)
    }

    fn settle(&mut self) -> Result<(), Failure> {
        while self.pipeline.in_flight() > 0 {
            self.take()?;
        }
        Ok(())
    }

    fn answered(&self) -> Answered {
        self.answered
    }
}

/// Numbers, one or several in a request.
pub(super) struct Numbers<const BATCHES: bool> {
    value: u64,
    most_items: usize,
    random: Random,
}

impl<const BATCHES: bool> Numbers<BATCHES> {
    pub(super) fn new(options: &Options, place: usize) -> Self {
        let most_items = options.items.min(BATCH_ITEMS as usize);
        Self { value: chain_start(place), most_items, random: Random::new(place) }
    }
}

impl<const BATCHES: bool> Questions for Numbers<BATCHES> {
    const METHOD: u16 = increment::METHOD;
    /// The first number, and how many there are.
    type About = (u64, usize);

    fn ask(&mut self, payload: &mut Vec<u8>) -> Result<(Self::About, Option<u32>), Failure> {
        let count = if BATCHES { self.random.up_to(self.most_items) } else { 1 };
        let first = self.value;
        self.value = self.value.wrapping_add(count as u64);
        if !BATCHES {
            payload.resize(NUMBER_BYTES, 0);
            increment::RequestBuilder::new(payload).value(first).finish()?;
            return Ok(((first, count), None));
        }
        let mut batch = BatchBuilder::new(payload, count as u32, BATCH_BYTES)?;
        for index in 0..count as u64 {
            let mut item = [0; NUMBER_BYTES];
            increment::RequestBuilder::new(&mut item).value(first.wrapping_add(index)).finish()?;
            batch.push(&item)?;
        }
        batch.finish()?;
        Ok(((first, count), Some(count as u32)))
    }

    fn check(
        &self,
        (first, count): &Self::About,
        message: &Message<'_>,
    ) -> Result<(u64, u64), Failure> {
        let check = |payload: &[u8], expected: u64| -> Result<(), Failure> {
            let answer = increment::ResponseView::decode(payload)?.value();
            if answer == expected { Ok(()) } else { Err(wrong("increment", expected, answer)) }
        };
        if BATCHES {
            let items = Batch::decode(message.payload, message.header.item_count)?;
            if items.len() != *count {
                return Err(wrong("how many items", *count as u64, items.len() as u64));
            }
            for (item, asked) in items.iter().zip(*first..) {
                check(item, asked.wrapping_add(1))?;
            }
        } else {
            check(message.payload, first.wrapping_add(1))?;
        }
        Ok((*count as u64, *count as u64))
    }
}

/// Strings, each with its number.
pub(super) struct Strings {
    bytes: usize,
    asked: u64,
}

impl Strings {
    pub(super) const fn new(options: &Options) -> Self {
        Self { bytes: options.bytes, asked: 0 }
    }

    /// Its number, again and again, and its end cut by its number: no two are alike.
    fn text(&self, number: u64) -> Vec<u8> {
        let bytes = number.to_be_bytes().into_iter().cycle();
        bytes.take(self.bytes - number as usize % DEPTH).collect()
    }
}

impl Questions for Strings {
    const METHOD: u16 = string_reverse::METHOD;
    type About = u64;

    fn ask(&mut self, payload: &mut Vec<u8>) -> Result<(u64, Option<u32>), Failure> {
        let number = self.asked;
        self.asked += 1;
        let request = string_reverse::Request { bytes: self.text(number).into() };
        payload.resize(request.encoded_len(), 0);
        request.encode(payload)?;
        Ok((number, None))
    }

    fn check(&self, number: &u64, message: &Message<'_>) -> Result<(u64, u64), Failure> {
        let answer = string_reverse::ResponseView::decode(message.payload)?;
        if !answer.bytes().iter().rev().eq(&self.text(*number)) {
            return Err(format!("wrong answer to string {number}").into());
        }
        Ok((1, 1))
    }
}

/// Snapshots: the same question again and again.
pub(super) struct Snapshots {
    groups: Vec<Group>,
    generation: u64,
}

impl Snapshots {
    pub(super) fn new(options: &Options) -> Self {
        Self { groups: groups(options.items), generation: options.generation }
    }
}

impl Questions for Snapshots {
    const METHOD: u16 = cgroups_snapshot::METHOD;
    type About = ();

    fn ask(&mut self, payload: &mut Vec<u8>) -> Result<((), Option<u32>), Failure> {
        let request = cgroups_snapshot::Request {};
        payload.resize(request.encoded_len(), 0);
        request.encode(payload)?;
        Ok(((), None))
    }

    fn check(&self, (): &(), message: &Message<'_>) -> Result<(u64, u64), Failure> {
        let answer = cgroups_snapshot::ResponseView::decode(message.payload)?;
        if (answer.generation(), answer.systemd_enabled()) != (self.generation, 1) {
            return Err(wrong("the generation", self.generation, answer.generation()));
        }
        check_groups(&self.groups, answer.items())?;
        Ok((1, self.groups.len() as u64))
    }
}

/// Lookups of the first key, of the first two, and so on, and of one again after all.
pub(super) struct Keys<S> {
    things: Vec<Thing>,
    mix: Mix,
    generation: u64,
    asked: usize,
    service: PhantomData<S>,
}

impl<S: Looked> Keys<S> {
    /// Bytes of a request's header, and of a key, at most.
    const HEADER_BYTES: usize = 64;
    const KEY_BYTES: usize = 64;

    pub(super) fn new(options: &Options) -> Self {
        Self {
            things: things(options.items, options.mix, options.bytes),
            mix: options.mix,
            generation: options.generation,
            asked: 0,
            service: PhantomData,
        }
    }
}

impl<S: Looked> Questions for Keys<S> {
    const METHOD: u16 = S::METHOD;
    /// How many keys.
    type About = usize;

    fn ask(&mut self, payload: &mut Vec<u8>) -> Result<(usize, Option<u32>), Failure> {
        let count = self.asked % self.things.len() + 1;
        self.asked += 1;
        payload.resize(Self::HEADER_BYTES + count * Self::KEY_BYTES, 0);
        let mut request = S::request_builder(payload, count)?;
        for thing in self.things.iter().take(count) {
            S::push_key(&mut request, &S::key(thing).as_key())?;
        }
        let len = S::finish_request(request)?;
        payload.truncate(len);
        Ok((count, None))
    }

    fn check(&self, count: &usize, message: &Message<'_>) -> Result<(u64, u64), Failure> {
        let answer = S::decode_response(message.payload)?;
        if S::generation(&answer) != self.generation {
            return Err(wrong("the generation", self.generation, S::generation(&answer)));
        }
        let mut items = S::items(&answer);
        if items.len() != *count {
            return Err(wrong("how many keys", *count as u64, items.len() as u64));
        }
        for (index, thing) in self.things.iter().take(*count).enumerate() {
            if !items.next().is_some_and(|item| S::is_right(&item, thing, self.mix)) {
                return Err(other("item of the lookup", index));
            }
        }
        Ok((1, *count as u64))
    }
}
