//! What is measured: scenarios, how they move messages, where processes run.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a client asks again and again. The README says what each sends and checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    PingLevel1,
    PingLevel2,
    Reverse,
    ReverseBatch,
    Batch,
    Pipeline,
    PipelineBatch,
    PipelineReverse,
    PipelineSnapshot,
    PipelineCgroupsLookup,
    PipelineAppsLookup,
    PipelineAsnLookup,
    /// A refresh of a cache: all items, indexed and swapped in.
    Snapshot,
    /// The same, and each answer has another generation.
    SnapshotChanging,
    /// The same answer, checked and read in place.
    Fetch,
    /// Finding items of a cache, in process.
    Cache,
    /// The same, loading what the cache holds anew for each.
    CacheLoad,
    CgroupsLookup,
    AppsLookup,
    AsnLookup,
    CodecCgroupsLookup,
    CodecAppsLookup,
    Idle,
    /// Sequence and payload in one cache line.
    RawLine,
    /// Sequence and payload in lines of their own.
    RawLineSplit,
    RawSeqpacket,
    RawFutex,
}

impl Scenario {
    /// Whether it is a limit of the machine, with nothing of netipc in it.
    pub(crate) const fn is_raw(self) -> bool {
        matches!(self, Self::RawLine | Self::RawLineSplit | Self::RawSeqpacket | Self::RawFutex)
    }

    /// Whether messages hold several requests, as many as there are items at most.
    pub(crate) const fn is_batch(self) -> bool {
        matches!(self, Self::Batch | Self::ReverseBatch)
    }

    /// Whether what is measured sends no message.
    pub(crate) const fn is_in_process(self) -> bool {
        matches!(
            self,
            Self::Cache | Self::CacheLoad | Self::CodecCgroupsLookup | Self::CodecAppsLookup
        )
    }
}

/// How messages move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    Socket,
    Shm,
    /// Shared memory in which nobody sleeps: on Windows alone.
    Busywait,
    /// By the scenario's own means.
    Raw,
    /// Not at all, once it is measured.
    Process,
}

/// What the keys of a lookup ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mix {
    /// Known, each with two labels.
    #[default]
    Known,
    /// Known, without labels.
    Plain,
    Unknown,
    /// Known and unknown in turn.
    Mixed,
    /// Known, and the name of the first as long as asked.
    Long,
}

/// Where the two processes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Placement {
    OneCpu,
    TwoCpus,
    Unpinned,
}

impl Placement {
    pub(crate) const ALL: [Self; 3] = [Self::OneCpu, Self::TwoCpus, Self::Unpinned];
}

/// The name of a value as arguments and results have it.
pub(crate) fn name_of<T: ValueEnum + Copy>(value: T) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
