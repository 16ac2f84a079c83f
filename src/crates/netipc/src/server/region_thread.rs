//! A session over shared memory, and the thread that serves it.
//!
//! ```text
//!   region thread                                 event loop
//!   looks at the region, then sleeps on it        watches the session's socket:
//!   reads, handles, answers                       the client left ──▶ ends the session,
//!          ▲                                                          which wakes the thread
//!          └── a permit for each request: no more handlers at once than there are workers
//! ```
//!
//! A thread can sleep on one region only, so each such session has its own; docs/adr/0007 says what
//! that costs. It sleeps without a time-out: who ends the session wakes it.

use std::sync::Arc;

use super::engine::{Engine, Phase};
use super::served::Served;
use super::status::End;
use super::threads::Threads;
use super::worker::{Scratch, answer_received, receive};
use crate::{Inbox, ReceiveError, Session};

/// Has a thread serve the session. One that cannot be made ends it: right after HELLO_ACK that tells
/// the client that the server is busy (spec section 4).
pub(super) fn start(engine: &Arc<Engine>, served: &Arc<Served>) {
    let (for_thread, of_thread) = (Arc::clone(engine), Arc::clone(served));
    let name = format!("netipc-shm-{}", served.session.id());
    let started = Threads::start(engine, name, move || run(&for_thread, &of_thread));
    if started.is_err() {
        engine.end(served, End::Failed);
    }
}

/// Serves until the session is over.
fn run(engine: &Engine, served: &Arc<Served>) {
    let mut scratch = Scratch::default();
    let mut interrupted = || engine.phase() != Phase::Running || served.is_over();
    while served.is_read(engine) {
        let take = |session: &Session, inbox: &mut Inbox| wait(session, inbox, &mut interrupted);
        if receive(engine, served, &mut scratch, take) {
            answer_received(engine, served, &mut scratch);
        }
    }
}

/// Waits for the next request, which is in the inbox then. Nobody else wants the inbox.
fn wait(
    session: &Session,
    inbox: &mut Inbox,
    interrupted: impl FnMut() -> bool,
) -> Result<Option<u32>, ReceiveError> {
    if inbox.begin_wait() && session.look(inbox, interrupted)?.is_some()
        || session.receive_unwatched(inbox)?
    {
        return Ok(inbox.message().map(|message| message.header.payload_len));
    }
    Ok(None)
}
