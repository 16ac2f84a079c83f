//! The managed server, at its public interface, over real sockets: what it promises, its edges, and
//! clients that misbehave.

mod answers;
mod batches;
mod clients;
mod faults;
mod host;
mod hostile;
mod overload;
mod stopping;
mod support;
