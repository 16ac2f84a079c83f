//! Level 1, for programs with a loop of their own: listeners, sessions, messages.
//!
//! ```text
//!   nipc_listener_t ── accept, try_accept ──▶ nipc_session_t ◀── nipc_session_connect
//!                                                  │
//!                       send, try_send ◀── nipc_header_t + payload ──▶ receive, try_receive
//! ```

mod abort;
mod listener;
mod message;
mod session;
mod wait;

pub use abort::*;
pub use listener::*;
pub use message::*;
pub use session::*;
pub use wait::*;
