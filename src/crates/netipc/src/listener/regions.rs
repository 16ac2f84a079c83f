//! Regions for the sessions of a server: made before they are promised, within a budget (spec
//! section 4, step 9).
//!
//! What cannot be made costs nobody a session: the client gets the baseline, or is told BUSY where it
//! offers nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netipc_proto::header::HEADER_LEN;
use netipc_proto::negotiate::{Agreed, Rejection, Terms};
use netipc_sys::{CreateError, RegionChannel, RegionSizes, remove_stale_regions};

use crate::Endpoint;
use crate::session::ReadyRegion;

/// Ids that one handshake tries, where live sessions of an earlier server still have regions: more
/// than a server usually has sessions. When all are taken the session gets the baseline, and the id
/// after them, so that the next handshake goes on from there.
const IDS_PER_HANDSHAKE: u64 = 256;

/// Makes the regions of one endpoint.
#[derive(derive_more::Debug)]
pub(super) struct Regions {
    endpoint: Endpoint,
    #[debug("(secret)")]
    auth_token: u64,
    budget: Arc<Budget>,
}

/// What was agreed, and a region where that needs one.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) agreed: Agreed,
    pub(super) session_id: u64,
    pub(super) region: Option<ReadyRegion>,
}

/// Bytes of regions, of all sessions of a server.
#[derive(Debug)]
struct Budget {
    max_bytes: u64,
    used_bytes: AtomicU64,
}

/// What one session takes of the budget, until it is dropped.
#[derive(Debug)]
pub(crate) struct RegionShare {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Regions {
    pub(super) fn new(endpoint: &Endpoint, auth_token: u64, max_bytes: u64) -> Self {
        let budget = Arc::new(Budget { max_bytes, used_bytes: AtomicU64::new(0) });
        Self { endpoint: endpoint.clone(), auth_token, budget }
    }

    /// Removes what dead servers of this service left. For who has just won the endpoint.
    pub(super) fn remove_stale(&self) {
        // Whatever is left is in nobody's way: its name is skipped.
        let _left =
            remove_stale_regions(self.endpoint.run_dir(), |name| self.endpoint.is_region(name));
    }

    /// Makes the region of a session that was agreed to use one, or agrees on less. `session_id` is
    /// the first that is free.
    pub(super) fn prepare(&self, agreed: Agreed, session_id: u64) -> Result<Prepared, Rejection> {
        if !agreed.terms().profile.is_shared_memory() {
            return Ok(Prepared { agreed, session_id, region: None });
        }
        let (session_id, region) = self.make(agreed.terms(), session_id);
        let agreed = match region {
            Some(_) => agreed,
            None => agreed.without_shared_memory()?,
        };
        Ok(Prepared { agreed, session_id, region })
    }

    /// A region, if one can be made, and the id that its session gets either way.
    fn make(&self, terms: &Terms, first_id: u64) -> (u64, Option<ReadyRegion>) {
        let sizes = region_sizes(terms);
        let Some(share) = sizes.file_bytes().and_then(|bytes| self.budget.take(bytes)) else {
            return (first_id, None);
        };
        let end = first_id.saturating_add(IDS_PER_HANDSHAKE);
        for session_id in first_id..end {
            let name = self.endpoint.region_name(self.auth_token, terms.profile, session_id);
            let Ok(name) = name else { return (first_id, None) };
            match RegionChannel::create(name, sizes) {
                Ok(channel) => {
                    return (session_id, Some(ReadyRegion { channel, share: Some(share) }));
                }
                Err(CreateError::Taken) => {}
                Err(_) => return (session_id, None),
            }
        }
        (end, None)
    }
}

/// How long the messages of a session may be, in both directions (spec section 7).
pub(crate) const fn region_sizes(terms: &Terms) -> RegionSizes {
    let (request, response) = (terms.request.payload_bytes, terms.response.payload_bytes);
    RegionSizes {
        request_bytes: HEADER_LEN.saturating_add(request as usize),
        response_bytes: HEADER_LEN.saturating_add(response as usize),
    }
}

impl Budget {
    fn take(self: &Arc<Self>, bytes: u64) -> Option<RegionShare> {
        let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.max_bytes);
        self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(RegionShare { budget: Arc::clone(self), bytes })
    }
}

impl Drop for RegionShare {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_given_back() {
        let budget = Arc::new(Budget { max_bytes: 100, used_bytes: AtomicU64::new(0) });
        let first = budget.take(60).expect("room");
        assert!(budget.take(41).is_none());
        let second = budget.take(40).expect("room for just that");
        assert!(budget.take(1).is_none());
        drop(first);
        assert!(budget.take(u64::MAX).is_none());
        drop((budget.take(60).expect("given back"), second));
        assert_eq!(budget.used_bytes.load(Ordering::Relaxed), 0);
    }
}
