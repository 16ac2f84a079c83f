//! Shared memory: messages between two processes, and what can be in the way of them.

mod channel;
mod cut;
/// `tools/test failpoints` runs these: they need the feature.
#[cfg(feature = "failpoints")]
mod dying;
mod hostile;
mod leftovers;
mod making;
mod memory;
mod support;
mod waiting;
