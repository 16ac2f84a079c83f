//! How many of a lookup's keys go into one sub-request (spec section 11).
//!
//! A pure function of the keys and of the session's limits. Sending is not here, nor what becomes
//! of the answer.

use crate::codec::{DIRECTORY_ENTRY_LEN, LookupItem, align8};
use crate::service::{AsKey, Lookup};

/// What a session allows a sub-request and its answer, in bytes of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionLimits {
    pub(super) request_bytes: u32,
    pub(super) response_bytes: u32,
}

/// The keys of one sub-request: `count` of them from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SubRequest {
    pub(super) first: usize,
    pub(super) count: usize,
    /// Bytes of its payload.
    pub(super) request_len: usize,
}

/// The next sub-request: as many keys from `first` on as fit the request limit, and whose answer of
/// nothing but "ask again" takes at most half of the response limit, so that something fits beside
/// it. One key at least, whatever it needs: what does not fit then is for the caller to see.
pub(super) fn plan<S: Lookup, K: AsKey<<S::Item as LookupItem>::Key>>(
    keys: &[K],
    first: usize,
    limits: SessionLimits,
) -> SubRequest {
    let mut request = Packing::new(S::REQUEST_HEADER_BYTES);
    let mut answer = Packing::new(S::RESPONSE_HEADER_BYTES);
    for key in keys.get(first..).unwrap_or_default() {
        let key = key.as_key();
        let larger_request = request.with(S::key_len(&key));
        let larger_answer = answer.with(S::Item::smallest_len(&key));
        let fits = larger_request.len() <= limits.request_bytes as usize
            && larger_answer.len() <= (limits.response_bytes / ANSWER_SHARE) as usize;
        if !fits && request.elements > 0 {
            break;
        }
        (request, answer) = (larger_request, larger_answer);
    }
    SubRequest { first, count: request.elements, request_len: request.len() }
}

/// The request of one key alone.
pub(super) fn alone<S: Lookup, K: AsKey<<S::Item as LookupItem>::Key>>(
    key: &K,
    index: usize,
) -> SubRequest {
    let request = Packing::new(S::REQUEST_HEADER_BYTES).with(S::key_len(&key.as_key()));
    SubRequest { first: index, count: 1, request_len: request.len() }
}

/// The answer of nothing but "ask again" takes at most the limit divided by this.
const ANSWER_SHARE: u32 = 2;

/// The length of a payload with a directory, element by element.
#[derive(Clone, Copy, Debug)]
struct Packing {
    header_len: usize,
    elements: usize,
    /// Bytes of the packed area, the last element not padded.
    packed_len: usize,
}

impl Packing {
    const fn new(header_len: usize) -> Self {
        Self { header_len, elements: 0, packed_len: 0 }
    }

    /// Lengths are those of keys in memory, so that sums of them do not reach `usize::MAX`; where
    /// they would, they stay there and fit nothing.
    const fn with(self, element_len: usize) -> Self {
        let start = align8(self.packed_len);
        let packed_len = start.saturating_add(element_len);
        Self { elements: self.elements + 1, packed_len, ..self }
    }

    const fn len(self) -> usize {
        let directory_len = self.elements.saturating_mul(DIRECTORY_ENTRY_LEN);
        align8(self.header_len.saturating_add(directory_len)).saturating_add(self.packed_len)
    }
}
