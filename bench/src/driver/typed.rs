//! Clients of snapshots and lookups. Each answer is compared with what `contents` says, all of it.

use std::hint::black_box;
use std::time::Duration;

use netipc::client::LookupClient;
use netipc_services::cgroups_snapshot;

use super::calls::{check_session, config, wrong};
use super::contents::{Group, Thing, groups, things};
use super::lookups::Looked;
use super::measure::{Answered, Caller};
use super::{ClientOptions, Options};
use crate::Failure;
use crate::work::{Mix, Scenario};

/// Items of a cache that are found before the clock is looked at.
const LOOKUPS_PER_TURN: u32 = 4_096;

#[cold]
pub(super) fn other(what: &str, index: usize) -> Failure {
    format!("wrong answer: {what} {index} is another than it must be").into()
}

/// Refreshes a cache, and reads all of it.
pub(super) struct Refresh {
    cache: cgroups_snapshot::Cache,
    groups: Vec<Group>,
    /// The generation that the next answer has at least, and by how much it grows with each.
    generation: u64,
    step: u64,
    calls: u64,
}

impl Refresh {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Failure> {
        let (cache, groups) = filled(&options.options)?;
        let step = u64::from(options.options.scenario == Scenario::SnapshotChanging);
        // The refresh that filled it is a call.
        Ok(Self { cache, groups, generation: options.options.generation + step, step, calls: 1 })
    }
}

impl Caller for Refresh {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        self.cache.refresh()?;
        let contents = self.cache.load();
        let generation = contents.generation();
        // Where it changes, those of other clients lie between two of this one's.
        if generation < self.generation || (self.step == 0 && generation != self.generation) {
            return Err(wrong("the generation", self.generation, generation));
        }
        self.generation = generation + self.step;
        check_groups(&self.groups, contents.items())?;
        self.calls += 1;
        Ok(None)
    }

    fn expect_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    fn expect_nobody(&mut self) -> Result<(), Failure> {
        if self.cache.refresh().is_ok() {
            return Err("a refresh that nobody answered came out well".into());
        }
        let contents = self.cache.load();
        if contents.generation() != self.generation {
            return Err(wrong("the generation kept", self.generation, contents.generation()));
        }
        check_groups(&self.groups, contents.items())
    }

    fn answered(&self) -> Answered {
        let items = self.calls * self.groups.len() as u64;
        Answered { calls: self.calls, requests: self.calls, items }
    }
}

/// Fetches a snapshot, and reads all of it in place.
pub(super) struct Fetch {
    client: cgroups_snapshot::Client,
    groups: Vec<Group>,
    generation: u64,
    calls: u64,
}

impl Fetch {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Failure> {
        let options = &options.options;
        let mut client = cgroups_snapshot::Client::new(options.endpoint()?, config(options));
        client.refresh();
        check_session(options, &client.status())?;
        let (groups, generation) = (groups(options.items), options.generation);
        Ok(Self { client, groups, generation, calls: 0 })
    }
}

impl Caller for Fetch {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let answer = self.client.fetch()?;
        if answer.generation() != self.generation {
            return Err(wrong("the generation", self.generation, answer.generation()));
        }
        if answer.systemd_enabled() != 1 {
            return Err(wrong("whether there is systemd", 1, answer.systemd_enabled().into()));
        }
        check_groups(&self.groups, answer.items())?;
        self.calls += 1;
        Ok(None)
    }

    fn expect_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    fn refresh(&mut self) {
        self.client.refresh();
    }

    fn answered(&self) -> Answered {
        let items = self.calls * self.groups.len() as u64;
        Answered { calls: self.calls, requests: self.calls, items }
    }
}

/// Finds every item of a filled cache, over and over.
pub(super) struct CacheReads<const LOAD_EACH: bool> {
    cache: cgroups_snapshot::Cache,
    groups: Vec<Group>,
    next: usize,
    calls: u64,
}

impl<const LOAD_EACH: bool> CacheReads<LOAD_EACH> {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Failure> {
        let (cache, groups) = filled(&options.options)?;
        if groups.is_empty() {
            return Err("a cache without items has nothing to find".into());
        }
        Ok(Self { cache, groups, next: 0, calls: 0 })
    }
}

impl<const LOAD_EACH: bool> Caller for CacheReads<LOAD_EACH> {
    const TICKS_PER_NS: u32 = 1_000;

    fn calls_per_turn(&self) -> u32 {
        LOOKUPS_PER_TURN
    }

    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let mut held = self.cache.load();
        let mut left = LOOKUPS_PER_TURN as usize;
        while left > 0 {
            let groups = self.groups.get(self.next..).unwrap_or_default();
            let groups = groups.get(..left).unwrap_or(groups);
            for (index, group) in groups.iter().enumerate() {
                if LOAD_EACH {
                    held = self.cache.load();
                }
                // What was found has this hash and name, or it would not have been found; that it is
                // the item of this index, its own options say.
                let found = held.get(black_box(group.hash), black_box(&group.name));
                if found.is_none_or(|item| item.options() != group.options) {
                    return Err(other("item of the cache", self.next + index));
                }
            }
            left -= groups.len();
            self.next = (self.next + groups.len()) % self.groups.len();
        }
        self.calls += u64::from(LOOKUPS_PER_TURN);
        Ok(None)
    }

    fn answered(&self) -> Answered {
        Answered { calls: self.calls, requests: 0, items: self.calls }
    }
}

fn filled(options: &Options) -> Result<(cgroups_snapshot::Cache, Vec<Group>), Failure> {
    let mut cache = cgroups_snapshot::Cache::new(options.endpoint()?, config(options));
    cache.refresh()?;
    check_session(options, &cache.status().client)?;
    let groups = groups(options.items);
    let contents = cache.load();
    if contents.generation() != options.generation {
        return Err(wrong("the generation", options.generation, contents.generation()));
    }
    check_groups(&groups, contents.items())?;
    Ok((cache, groups))
}

pub(super) fn check_groups<'a>(
    groups: &[Group],
    mut items: impl ExactSizeIterator<Item = cgroups_snapshot::ItemView<'a>>,
) -> Result<(), Failure> {
    if items.len() != groups.len() {
        return Err(wrong("how many items", groups.len() as u64, items.len() as u64));
    }
    for (index, group) in groups.iter().enumerate() {
        let is_right = items.next().is_some_and(|item| {
            item.hash() == group.hash
                && item.options() == group.options
                && item.enabled() == group.enabled
                && *item.name() == *group.name.as_bytes()
                && *item.path() == *group.path.as_bytes()
        });
        if !is_right {
            return Err(other("item of the snapshot", index));
        }
    }
    Ok(())
}

/// Looks things up.
pub(super) struct Lookups<S: Looked> {
    client: LookupClient<S>,
    things: Vec<Thing>,
    keys: Vec<S::Key>,
    mix: Mix,
    generation: u64,
    calls: u64,
    sub_calls_before: u64,
}

impl<S: Looked> Lookups<S> {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, Failure> {
        let options = &options.options;
        let mut client = LookupClient::new(options.endpoint()?, config(options));
        client.refresh();
        let status = client.status();
        check_session(options, &status)?;
        let things = things(options.items, options.mix, options.bytes);
        let keys = things.iter().map(S::key).collect();
        let sub_calls_before = status.counters.sub_calls;
        let (mix, generation) = (options.mix, options.generation);
        Ok(Self { client, things, keys, mix, generation, calls: 0, sub_calls_before })
    }
}

impl<S: Looked> Caller for Lookups<S> {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let answer = self.client.lookup(&self.keys)?;
        if answer.generation() != self.generation {
            return Err(wrong("the generation", self.generation, answer.generation()));
        }
        if answer.len() != self.things.len() {
            return Err(wrong("how many keys", self.things.len() as u64, answer.len() as u64));
        }
        let mut items = answer.items();
        for (index, thing) in self.things.iter().enumerate() {
            if !items.next().is_some_and(|item| S::is_right(&item, thing, self.mix)) {
                return Err(other("item of the lookup", index));
            }
        }
        self.calls += 1;
        Ok(None)
    }

    fn expect_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    fn refresh(&mut self) {
        self.client.refresh();
    }

    fn answered(&self) -> Answered {
        let requests = self.client.status().counters.sub_calls - self.sub_calls_before;
        Answered { calls: self.calls, requests, items: self.calls * self.things.len() as u64 }
    }
}
