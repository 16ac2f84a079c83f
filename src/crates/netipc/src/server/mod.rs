//! Level 2, the server's half: an endpoint, one method, and workers that answer it (spec section
//! 11).
//!
//! ```text
//!   Server::bind ── spawn ──▶ RunningServer      stop, drain, wait, status
//!        └─ Host: several of them, one set of workers
//!
//!   event loop (1 thread)   clients come in; answers that find no room; deadlines
//!   workers                 sleep on all sessions over sockets at once: read, handle, answer
//!   region threads          the same, each for one session over shared memory
//! ```
//!
//! The worker that reads a request answers it, so a client that asks and waits costs no hand-over
//! between threads; parts of a slow batch, and further requests of the same session, go to other
//! workers. Between requests it stays with the session and looks for the next, as long as that pays.
//! Nothing waits for a peer: only handlers block a worker, never the event loop. At most
//! [`worker_count`](ServerConfig::worker_count) handlers run at once, whichever threads run them.
//! docs/adr/0002, 0005 and 0007 have the reasons and the measurements.
//!
//! Bounds: a session holds at most one request being received and
//! [`max_in_flight_per_session`](ServerConfig::max_in_flight_per_session) answers. Once
//! 1 MiB of them, or one of the longest, wait for their reader, nothing more is read; what was read
//! by then, while all workers were busy, is still answered and kept. A worker keeps
//! one packet, one request and one response of the largest limit that it has met; an idle session
//! over a socket holds no message memory at all, one over shared memory those of its thread, within
//! its own limits.
//!
//! What it does **not** do: it decodes no payload (generated code does, behind [`Dispatch`]), runs
//! nothing but handlers for its caller, retries nothing, and reads no environment.

mod batch;
mod config;
mod dispatch;
mod engine;
mod event_loop;
#[cfg(test)]
mod fixture;
mod host;
mod permits;
mod region_thread;
mod served;
mod status;
mod threads;
mod typed;
mod work;
mod worker;

pub use config::{
    DEFAULT_MAX_IN_FLIGHT, DEFAULT_MAX_SESSIONS, DEFAULT_MAX_WORKERS, DRAIN_TIMEOUT, SEND_TIMEOUT,
    STOP_TIMEOUT, ServerConfig,
};
pub use dispatch::{Context, Dispatch, Failure};
pub use host::{Host, RunningHost, RunningServer, Server, ServerError};
pub use status::{CallCounts, EndCounts, ServerStatus};
pub use typed::{CallServer, HandlerError, LookupServer, Request, SnapshotServer};
