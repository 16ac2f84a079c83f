//! Level 2, the client: typed calls, lookups and snapshots over sessions that come and go.
//!
//! ```text
//!   CallClient   LookupClient   SnapshotClient     typed; generated code names them
//!        \            |            /
//!                  Engine                          bytes in, bytes out: one logical call
//!                     |
//!                   Link                           the session, or when to try for one
//!                     |
//!                  Session                         Level 1
//! ```
//!
//! A client is used by one thread at a time. A call on a client that is not Ready fails at once,
//! without I/O: only a refresh connects, or the recovery of a call on a Ready client. What it does
//! **not** do: it starts no thread, keeps no data between calls (the [cache](crate::cache) does),
//! polls for nothing.

mod call;
mod config;
mod engine;
mod environment;
mod error;
mod link;
mod lookup;
mod shared_memory;
mod snapshot;
mod status;

pub use call::{BatchView, CallClient};
pub use config::{
    CONNECT_TIMEOUT, ClientConfig, DEFAULT_CALL_TIMEOUT, DEFAULT_LOOKUP_ITEMS,
    DEFAULT_LOOKUP_RESPONSE_BYTES, DEFAULT_LOOKUP_SUB_CALLS, ServiceInfo,
};
pub use engine::Engine;
pub use environment::{Environment, SystemEnvironment};
pub use error::{CallError, CallErrorKind, Items, Mismatch};
pub use lookup::{Answer, LookupClient, LookupError, Place};
pub use netipc_proto::growth::GrowthEnd;
pub use netipc_proto::retry::{ClientState, NextTry};
pub use snapshot::SnapshotClient;
pub use status::{ClientCounters, ClientStatus, ErrorCounters, SessionStatus};

/// What all typed clients offer of their engine. `$answers` is where one keeps answers of its own.
macro_rules! engine_methods {
    ($($answers:ident)?) => {
        /// Connects when there is no session and it is time to try; with a session, looks once
        /// whether it is still there. See [`Engine::refresh`](crate::client::Engine::refresh).
        pub fn refresh(&mut self) -> bool {
            self.engine.refresh()
        }

        /// Whether there is a session: a flag, nothing is looked at.
        #[must_use]
        pub fn ready(&self) -> bool {
            self.engine.ready()
        }

        /// What the client is.
        #[must_use]
        pub const fn state(&self) -> crate::client::ClientState {
            self.engine.state()
        }

        /// Everything that a supporter needs. Allocates.
        #[must_use]
        pub fn status(&self) -> crate::client::ClientStatus {
            self.engine.status()
        }

        /// A handle that ends a refresh or call which waits, from any thread, and refuses later
        /// ones until it is cleared.
        ///
        /// # Errors
        /// No descriptor for it.
        pub fn abort_handle(&mut self) -> Result<crate::Abort, crate::SysError> {
            self.engine.abort_handle()
        }

        /// Ends the session, if there is one, and gives up the memory of its answers. A refresh
        /// connects again.
        pub fn close(&mut self) {
            self.engine.close();
            $(self.$answers.release();)?
        }
    };
}
use engine_methods;
