//! Level 1: one session, its messages by hand, at both ends; and pipelines of a client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use netipc::batch::{Batch, BatchBuilder};
use netipc::{
    Abort, Deadline, Endpoint, Header, Limits, Listener, ListenerConfig, Pipeline, Proposal,
    Session,
};
use netipc_services::increment;

use super::calls::{Random, chain_start, wrong};
use super::measure::{Answered, Caller};
use super::{ClientOptions, Options, tally};
use crate::{Failure, PATIENCE};

/// Bytes of a request, and of an answer.
const NUMBER_BYTES: usize = size_of::<u64>();
/// Requests that a pipeline has in flight.
const DEPTH: usize = 16;
/// A request of all items that a batch may have, and more.
const BATCH_BYTES: u32 = 65_536;
const BATCH_ITEMS: u32 = 1_024;

fn connect(options: &Options) -> Result<Session, Failure> {
    let profiles = options.profiles();
    let limits = Limits { payload_bytes: BATCH_BYTES, batch_items: BATCH_ITEMS };
    let proposal = Proposal {
        supported_profiles: profiles,
        preferred_profiles: profiles,
        request: limits,
        response_hint: limits,
        ..Proposal::default()
    };
    let deadline = Deadline::after(PATIENCE);
    let session = Session::connect(&options.endpoint()?, &proposal, deadline, &Abort::new()?)?;
    options.check_selected(session.terms().profile)?;
    Ok(session)
}

/// Asks for the number after the last answer.
pub(super) struct Ping {
    session: Session,
    inbox: netipc::Inbox,
    abort: Abort,
    value: u64,
    calls: u64,
}

impl Ping {
    pub(super) fn new(options: &ClientOptions, place: usize) -> Result<Self, Failure> {
        let session = connect(&options.options)?;
        let inbox = session.inbox();
        Ok(Self { session, inbox, abort: Abort::new()?, value: chain_start(place), calls: 0 })
    }
}

impl Caller for Ping {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let mut payload = [0; NUMBER_BYTES];
        increment::RequestBuilder::new(&mut payload).value(self.value).finish()?;
        let header = Header::request(increment::METHOD, self.calls + 1, NUMBER_BYTES as u32);
        // No deadline: reading a clock is none of what a message costs. The runner has patience.
        self.session.send(&header, &payload, Deadline::never(), &self.abort)?;
        let answer = self.session.receive(&mut self.inbox, Deadline::never(), &self.abort)?;
        if !answer.header.status.is_ok() || answer.header.message_id != header.message_id {
            return Err(wrong("request", header.message_id, answer.header.message_id));
        }
        let answer = increment::ResponseView::decode(answer.payload)?.value();
        self.value = self.value.wrapping_add(1);
        if answer != self.value {
            return Err(wrong("increment", self.value, answer));
        }
        self.calls += 1;
        Ok(None)
    }

    fn answered(&self) -> Answered {
        Answered::singly(self.calls)
    }
}

/// What a request in flight asked for, and when.
struct Asked {
    first: u64,
    count: usize,
    at: Instant,
}

/// Keeps several requests, or batches of them, in flight.
pub(super) struct Pipelined<const BATCHES: bool> {
    pipeline: Pipeline<Asked>,
    abort: Abort,
    /// The payload of a request, built anew for each.
    payload: Vec<u8>,
    value: u64,
    most_items: usize,
    random: Random,
    submitted: u64,
    answered: Answered,
}

impl<const BATCHES: bool> Pipelined<BATCHES> {
    pub(super) fn new(options: &ClientOptions, place: usize) -> Result<Self, Failure> {
        let pipeline = Pipeline::new(connect(&options.options)?, DEPTH);
        Ok(Self {
            pipeline,
            abort: Abort::new()?,
            payload: Vec::new(),
            value: chain_start(place),
            most_items: options.options.items.min(BATCH_ITEMS as usize),
            random: Random::new(place),
            submitted: 0,
            answered: Answered::default(),
        })
    }

    fn submit(&mut self) -> Result<(), Failure> {
        let count = if BATCHES { self.random.up_to(self.most_items) } else { 1 };
        let asked = Asked { first: self.value, count, at: Instant::now() };
        self.submitted += 1;
        self.payload.resize(NUMBER_BYTES, 0);
        let header = if BATCHES {
            let mut batch = BatchBuilder::new(&mut self.payload, count as u32, BATCH_BYTES)?;
            for index in 0..count as u64 {
                let mut item = [0; NUMBER_BYTES];
                let value = asked.first.wrapping_add(index);
                increment::RequestBuilder::new(&mut item).value(value).finish()?;
                batch.push(&item)?;
            }
            let len = batch.finish()?.len() as u32;
            Header::request(increment::METHOD, self.submitted, len).batch_of(count as u32)
        } else {
            increment::RequestBuilder::new(&mut self.payload).value(asked.first).finish()?;
            Header::request(increment::METHOD, self.submitted, NUMBER_BYTES as u32)
        };
        self.value = self.value.wrapping_add(count as u64);
        let deadline = Deadline::never();
        Ok(self.pipeline.submit(&header, &self.payload, asked, deadline, &self.abort)?)
    }

    fn take(&mut self) -> Result<Duration, Failure> {
        let (asked, message) = self.pipeline.receive(Deadline::never(), &self.abort)?;
        let latency = asked.at.elapsed();
        if !message.header.status.is_ok() {
            return Err(format!("a failing answer: {:?}", message.header.status).into());
        }
        let check = |payload: &[u8], expected: u64| -> Result<(), Failure> {
            let answer = increment::ResponseView::decode(payload)?.value();
            if answer == expected { Ok(()) } else { Err(wrong("increment", expected, answer)) }
        };
        if BATCHES {
            let items = Batch::decode(message.payload, message.header.item_count)?;
            if items.len() != asked.count {
                return Err(wrong("how many items", asked.count as u64, items.len() as u64));
            }
            for (item, asked) in items.iter().zip(asked.first..) {
                check(item, asked.wrapping_add(1))?;
            }
        } else {
            check(message.payload, asked.first.wrapping_add(1))?;
        }
        self.answered.calls += 1;
        self.answered.requests += asked.count as u64;
        self.answered.items += asked.count as u64;
        Ok(latency)
    }
}

impl<const BATCHES: bool> Caller for Pipelined<BATCHES> {
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

/// Serves increments by hand: a thread a session, which receives and sends.
pub(super) fn serve(
    options: &Options,
    endpoint: &Endpoint,
    wrong_after: u64,
) -> Result<(), Failure> {
    let profiles = options.profiles();
    let config = ListenerConfig {
        supported_profiles: profiles,
        preferred_profiles: profiles,
        max_request_payload_bytes: BATCH_BYTES,
        response_payload_bytes: BATCH_BYTES,
        ..ListenerConfig::default()
    };
    let mut listener = Listener::bind(endpoint, &config)?;
    let abort = Arc::new(Abort::new()?);
    let accept = move || {
        // Ends with the process, as its sessions do.
        while let Ok(session) = listener.accept(Deadline::never(), &abort) {
            let abort = Arc::clone(&abort);
            std::thread::spawn(move || {
                if let Err(failure) = answer_all(&session, &abort, wrong_after) {
                    eprintln!("netipc-bench-driver: a session failed: {failure}");
                }
            });
        }
    };
    std::thread::spawn(accept);
    Ok(())
}

fn answer_all(session: &Session, abort: &Abort, wrong_after: u64) -> Result<(), Failure> {
    let mut inbox = session.inbox();
    loop {
        let request = match session.receive(&mut inbox, Deadline::never(), abort) {
            Ok(request) => request,
            Err(netipc::ReceiveError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let value = increment::RequestView::decode(request.payload)?.value();
        let is_wrong = tally::count() > wrong_after;
        let mut payload = [0; NUMBER_BYTES];
        let answer = value.wrapping_add(if is_wrong { 2 } else { 1 });
        increment::ResponseBuilder::new(&mut payload).value(answer).finish()?;
        let header = Header::response(&request.header, NUMBER_BYTES as u32);
        session.send(&header, &payload, Deadline::never(), abort)?;
    }
}
