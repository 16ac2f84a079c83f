//! What a supporter asks a server for.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::HandshakeCounts;

/// A server at one moment. Counts run from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerStatus {
    /// Sessions now.
    pub sessions: u32,
    /// Those of them that use shared memory.
    pub shared_memory_sessions: u32,
    /// The most sessions that there may be at a time.
    pub max_sessions: u32,
    /// Requests being worked on now, answers that wait for their reader included.
    pub in_flight: u64,
    /// The most handlers that run at a time, those of a host shared with its other services.
    pub workers: usize,
    /// The response limit that the next session gets, in bytes.
    pub response_limit_bytes: u32,
    /// What it can grow to, in bytes.
    pub response_ceiling_bytes: u32,
    /// Handshakes by outcome: accepted sessions, and refusals by reason, BUSY and failed
    /// authentications among them.
    pub handshakes: HandshakeCounts,
    /// Requests by outcome.
    pub calls: CallCounts,
    /// Sessions that are over, by reason.
    pub ended: EndCounts,
    /// Bytes of request payloads.
    pub request_bytes: u64,
    /// Bytes of response payloads.
    pub response_bytes: u64,
    /// Why a handler last failed, in its own words.
    pub last_error: Option<String>,
}

/// Requests by outcome. A batch is one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Answered OK.
    pub ok: u64,
    /// Answered UNSUPPORTED: another method.
    pub unsupported: u64,
    /// Answered BAD_ENVELOPE: the request did not decode.
    pub bad_envelope: u64,
    /// Answered LIMIT_EXCEEDED: the request or the response was too long for the session.
    pub limit_exceeded: u64,
    /// Answered INTERNAL_ERROR: the handler failed.
    pub internal_error: u64,
    /// Handlers that panicked; their requests are counted under `internal_error`, too.
    pub panics: u64,
}

/// Sessions that are over, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndCounts {
    /// The client left, be it in the midst of a message.
    pub left: u64,
    /// A final answer was given: a status other than OK and UNSUPPORTED.
    pub answered: u64,
    /// The client broke the contract.
    pub violated: u64,
    /// The client began a message and did not go on.
    pub chunk_gap: u64,
    /// The client did not read its answers.
    pub not_read: u64,
    /// The server stopped or drained.
    pub stopped: u64,
    /// The operating system refused something that the session needed.
    pub failed: u64,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Left,
    Answered,
    Violated,
    ChunkGap,
    NotRead,
    Stopped,
    Failed,
}

impl End {
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Left => "the client left",
            Self::Answered => "it was given its final answer",
            Self::Violated => "the client broke the contract",
            Self::ChunkGap => "the client began a message and did not go on",
            Self::NotRead => "the client did not read its answers",
            Self::Stopped => "the server stopped",
            Self::Failed => "the operating system refused something it needed",
        }
    }
}

/// What every request counts: of a session as long as it is one, then of its service. Sums wrap, for
/// a request may end in another tally than it began in.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) in_flight: AtomicU64,
    pub(super) ok: AtomicU64,
    pub(super) request_bytes: AtomicU64,
    pub(super) response_bytes: AtomicU64,
}

/// A [`Tally`] at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) in_flight: u64,
    pub(super) ok: u64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

impl Tally {
    pub(super) fn totals(&self) -> Totals {
        Totals {
            in_flight: get(&self.in_flight),
            ok: get(&self.ok),
            request_bytes: get(&self.request_bytes),
            response_bytes: get(&self.response_bytes),
        }
    }

    pub(super) fn add(&self, totals: Totals) {
        add(&self.in_flight, totals.in_flight);
        add(&self.ok, totals.ok);
        add(&self.request_bytes, totals.request_bytes);
        add(&self.response_bytes, totals.response_bytes);
    }

    /// [`add`](Self::add) for who has the tally to itself: an addition that nobody can disturb
    /// need not be atomic.
    pub(super) fn add_alone(&self, totals: Totals) {
        let now = self.totals().plus(totals);
        self.in_flight.store(now.in_flight, Ordering::Relaxed);
        self.ok.store(now.ok, Ordering::Relaxed);
        self.request_bytes.store(now.request_bytes, Ordering::Relaxed);
        self.response_bytes.store(now.response_bytes, Ordering::Relaxed);
    }
}

impl Totals {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            in_flight: self.in_flight.wrapping_add(other.in_flight),
            ok: self.ok.wrapping_add(other.ok),
            request_bytes: self.request_bytes.wrapping_add(other.request_bytes),
            response_bytes: self.response_bytes.wrapping_add(other.response_bytes),
        }
    }
}

/// The counters behind [`ServerStatus`]. Nothing but counts hangs on them, so all are relaxed.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sessions: AtomicU32,
    pub(super) in_regions: AtomicU32,
    /// Of the sessions that are none any more.
    pub(super) tally: Tally,
    pub(super) unsupported: AtomicU64,
    pub(super) bad_envelope: AtomicU64,
    pub(super) limit_exceeded: AtomicU64,
    pub(super) internal_error: AtomicU64,
    pub(super) panics: AtomicU64,
    left: AtomicU64,
    answered: AtomicU64,
    violated: AtomicU64,
    chunk_gap: AtomicU64,
    not_read: AtomicU64,
    stopped: AtomicU64,
    failed: AtomicU64,
    pub(super) last_error: LastError,
}

/// Why a handler last failed. Only failures write it, and only the status reads it.
#[derive(Debug, Default)]
pub(super) struct LastError(Mutex<Option<String>>);

impl LastError {
    pub(super) fn set(&self, error: &dyn fmt::Display) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Counters {
    pub(super) fn ended(&self, end: End) {
        let counter = match end {
            End::Left => &self.left,
            End::Answered => &self.answered,
            End::Violated => &self.violated,
            End::ChunkGap => &self.chunk_gap,
            End::NotRead => &self.not_read,
            End::Stopped => &self.stopped,
            End::Failed => &self.failed,
        };
        add(counter, 1);
    }

    /// Requests by outcome, `ok` of them answered OK.
    pub(super) fn calls(&self, ok: u64) -> CallCounts {
        CallCounts {
            ok,
            unsupported: get(&self.unsupported),
            bad_envelope: get(&self.bad_envelope),
            limit_exceeded: get(&self.limit_exceeded),
            internal_error: get(&self.internal_error),
            panics: get(&self.panics),
        }
    }

    pub(super) fn ends(&self) -> EndCounts {
        EndCounts {
            left: get(&self.left),
            answered: get(&self.answered),
            violated: get(&self.violated),
            chunk_gap: get(&self.chunk_gap),
            not_read: get(&self.not_read),
            stopped: get(&self.stopped),
            failed: get(&self.failed),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
