//! Clients of calls: one number or one string after the other, and numbers in batches.

use std::time::Duration;

use netipc::client::{CallClient, ClientConfig, ClientStatus};
use netipc::service::Call;
use netipc_services::{increment, string_reverse};

use super::measure::{Answered, Caller};
use super::{ClientOptions, Options};
use crate::{Failure, PATIENCE};

/// Chains of two clients are this far apart, so that no two ask for one number.
const CHAIN_DISTANCE: u64 = 1 << 40;
/// The most items of a batch unless configured.
const DEFAULT_BATCH_ITEMS: u32 = 1_024;
/// How many strings a client sends in turn.
const STRINGS: usize = 4;

pub(super) fn config(options: &Options) -> ClientConfig {
    ClientConfig {
        supported_profiles: options.supported(),
        preferred_profiles: options.preferred(),
        max_request_batch_items: batch_items(options),
        call_timeout_ms: PATIENCE.as_millis() as u64,
        ..ClientConfig::default()
    }
}

/// The most items of a batch: zero, which is the library's default, unless a batch has more.
fn batch_items(options: &Options) -> u32 {
    let most = if options.scenario.is_batch() { options.items } else { 0 };
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    if most > DEFAULT_BATCH_ITEMS { most } else { 0 }
}

/// That there is a session, and which transport it has.
pub(super) fn check_session(options: &Options, status: &ClientStatus) -> Result<(), Failure> {
    match &status.session {
        Some(session) => options.check_selected(session.terms.profile),
        None => Err(format!("no session: {}", status.reason.as_deref().unwrap_or("?")).into()),
    }
}

/// Bytes of requests and responses that the session has agreed on.
pub(super) fn agreed_bytes(status: &ClientStatus) -> u64 {
    let limits = status.session.as_ref().map(|session| session.terms);
    limits.map_or(0, |terms| {
        u64::from(terms.request.payload_bytes) + u64::from(terms.response.payload_bytes)
    })
}

pub(super) fn connected<S: Call>(options: &Options) -> Result<CallClient<S>, Failure> {
    let mut client = CallClient::new(options.endpoint()?, config(options));
    client.refresh();
    check_session(options, &client.status())?;
    Ok(client)
}

/// The first number of a client's chain.
pub(super) const fn chain_start(place: usize) -> u64 {
    (place as u64 + 1) * CHAIN_DISTANCE
}

#[cold]
pub(super) fn wrong(what: &str, expected: u64, answered: u64) -> Failure {
    format!("wrong answer to {what}: {answered} instead of {expected}").into()
}

/// Asks for the number after the last answer.
pub(super) struct Ping {
    client: increment::Client,
    value: u64,
    calls: u64,
}

impl Ping {
    pub(super) fn new(options: &ClientOptions, place: usize) -> Result<Self, Failure> {
        let client = connected(&options.options)?;
        Ok(Self { client, value: chain_start(place), calls: 0 })
    }

    pub(super) fn agreed_bytes(&self) -> u64 {
        agreed_bytes(&self.client.status())
    }
}

impl Caller for Ping {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let value = self.value;
        let answer = self.client.call(|request| request.value(value).finish())?.value();
        self.value = value.wrapping_add(1);
        if answer != self.value {
            return Err(wrong("increment", self.value, answer));
        }
        self.calls += 1;
        Ok(None)
    }

    fn refresh(&mut self) {
        self.client.refresh();
    }

    fn answered(&self) -> Answered {
        Answered::singly(self.calls)
    }
}

/// Asks for random numbers of numbers in one message each.
pub(super) struct Batches {
    client: increment::Client,
    value: u64,
    most_items: usize,
    random: Random,
    answered: Answered,
}

impl Batches {
    pub(super) fn new(options: &ClientOptions, place: usize) -> Result<Self, Failure> {
        Ok(Self {
            client: connected(&options.options)?,
            value: chain_start(place),
            most_items: options.options.items,
            random: Random::new(place),
            answered: Answered::default(),
        })
    }
}

impl Caller for Batches {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        // The first, while warming up, is as long as any: what limits must grow to.
        let count = match self.answered.calls {
            0 => self.most_items,
            _ => self.random.up_to(self.most_items),
        };
        let first = self.value;
        let build = |index: usize, request: increment::RequestBuilder<'_>| {
            request.value(first.wrapping_add(index as u64)).finish()
        };
        let answers = self.client.batch(count, build)?;
        if answers.len() != count {
            return Err(wrong("how many items", count as u64, answers.len() as u64));
        }
        for answer in answers.iter() {
            self.value = self.value.wrapping_add(1);
            if answer.value() != self.value {
                return Err(wrong("an item of a batch", self.value, answer.value()));
            }
        }
        self.answered.calls += 1;
        self.answered.requests += count as u64;
        self.answered.items += count as u64;
        Ok(None)
    }

    fn refresh(&mut self) {
        self.client.refresh();
    }

    fn answered(&self) -> Answered {
        self.answered
    }
}

/// Asks for strings backwards. Each carries the number of its call.
pub(super) struct Reverse {
    client: string_reverse::Client,
    strings: Vec<(Vec<u8>, Vec<u8>)>,
    calls: u64,
}

impl Reverse {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Failure> {
        const LEAST: usize = size_of::<u64>();
        let bytes = options.options.bytes;
        if bytes < LEAST {
            return Err(format!("a string has at least {LEAST} bytes").into());
        }
        let strings = (0..STRINGS).map(|string| {
            let text: Vec<u8> = (0..bytes).map(|at| (at * (string + 1) % 251) as u8).collect();
            let reversed = text.iter().rev().copied().collect();
            (text, reversed)
        });
        Ok(Self { client: connected(&options.options)?, strings: strings.collect(), calls: 0 })
    }
}

impl Caller for Reverse {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let (text, reversed) = &mut self.strings[self.calls as usize % STRINGS];
        let number = self.calls.to_be_bytes();
        text[..number.len()].copy_from_slice(&number);
        let end = reversed.len() - number.len();
        reversed[end..].copy_from_slice(&self.calls.to_le_bytes());
        let answer = self.client.call(|request| request.bytes(&*text).finish())?;
        if answer.bytes() != reversed.as_slice() {
            return Err(format!("wrong answer to string {}", self.calls).into());
        }
        self.calls += 1;
        Ok(None)
    }

    fn refresh(&mut self) {
        self.client.refresh();
    }

    fn answered(&self) -> Answered {
        Answered::singly(self.calls)
    }
}

/// Asks for random numbers of strings backwards in one message each. Each string says which it is.
pub(super) struct ReverseBatches {
    client: string_reverse::Client,
    bytes: usize,
    most_items: usize,
    random: Random,
    answered: Answered,
}

impl ReverseBatches {
    pub(super) fn new(options: &ClientOptions, place: usize) -> Result<Self, Failure> {
        Ok(Self {
            client: connected(&options.options)?,
            bytes: options.options.bytes,
            most_items: options.options.items,
            random: Random::new(place),
            answered: Answered::default(),
        })
    }
}

impl Caller for ReverseBatches {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        // The first, while warming up, is as long as any: what limits must grow to.
        let count = match self.answered.calls {
            0 => self.most_items,
            _ => self.random.up_to(self.most_items),
        };
        let (bytes, first) = (self.bytes, self.answered.items);
        let text = |index: usize| -> Vec<u8> {
            let number = (first + index as u64).to_be_bytes();
            number.into_iter().cycle().take(bytes).collect()
        };
        let answers =
            self.client.batch(count, |index, request| request.bytes(&text(index)).finish())?;
        if answers.len() != count {
            return Err(wrong("how many items", count as u64, answers.len() as u64));
        }
        for (index, answer) in answers.iter().enumerate() {
            if !answer.bytes().iter().rev().eq(&text(index)) {
                return Err(format!("wrong answer to string {}", first + index as u64).into());
            }
        }
        self.answered.calls += 1;
        self.answered.requests += count as u64;
        self.answered.items += count as u64;
        Ok(None)
    }

    fn refresh(&mut self) {
        self.client.refresh();
    }

    fn answered(&self) -> Answered {
        self.answered
    }
}

/// Sessions that were used once and then idle: each turn makes one.
pub(super) struct Idle {
    options: Options,
    clients: Vec<increment::Client>,
}

impl Idle {
    pub(super) fn new(options: &ClientOptions) -> Self {
        Self { options: options.options.clone(), clients: Vec::new() }
    }

    pub(super) fn agreed_bytes(&self) -> u64 {
        self.clients.first().map_or(0, |client| agreed_bytes(&client.status()))
    }

    pub(super) fn sessions(&self) -> usize {
        self.clients.len()
    }
}

impl Caller for Idle {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let mut client: increment::Client = connected(&self.options)?;
        let answer = client.call(|request| request.value(1).finish())?.value();
        if answer != 2 {
            return Err(wrong("increment", 2, answer));
        }
        self.clients.push(client);
        Ok(None)
    }

    fn answered(&self) -> Answered {
        Answered::singly(self.clients.len() as u64)
    }
}

/// Marsaglia's xorshift: the same numbers in each run.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(place: usize) -> Self {
        const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
        Self(SEED ^ (place as u64 + 1))
    }

    /// One of 1 to `most`.
    pub(super) const fn up_to(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_counts_are_within_their_bounds_and_reach_them() {
        let mut random = Random::new(0);
        let counts: Vec<_> = (0..10_000).map(|_| random.up_to(10)).collect();
        assert_eq!((counts.iter().min(), counts.iter().max()), (Some(&1), Some(&10)));
    }
}
