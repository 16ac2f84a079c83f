//! Shared memory: messages between two processes, and what can be in the way of them.

mod channel;
mod memory;
mod support;
mod waiting;
