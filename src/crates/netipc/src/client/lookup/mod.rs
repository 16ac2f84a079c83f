//! Typed lookups: many keys in, one item a key out, whatever the limits of the session.
//!
//! ```text
//!   keys ──▶ plan ──▶ sub-request ──▶ Engine ──▶ stitch ──▶ Answer
//!             ▲                                    │
//!             └──── what is not answered yet ◀─────┘
//! ```

mod plan;
mod stitch;

use super::config::{ClientConfig, ServiceInfo};
use super::engine::{Engine, Enlarged, Exchanged, LogicalCall, OnNewSession};
use super::engine_methods;
use super::environment::Environment;
use super::error::{CallError, Items};
use crate::Endpoint;
use crate::codec::LookupItem;
use crate::service::{AsKey, Lookup, LookupItemView};
use plan::{SessionLimits, SubRequest};
use stitch::Stitch;

pub use stitch::{LookupError, Place};

/// The ceilings of one lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LookupCeilings {
    pub(super) items: u32,
    pub(super) sub_calls: u32,
    pub(super) response_bytes: u64,
}

/// A client of a service of the shape `lookup`.
#[derive(Debug)]
pub struct LookupClient<S> {
    engine: Engine,
    stitch: Stitch<S>,
}

impl<S: Lookup> LookupClient<S> {
    /// A client that has not connected yet: a refresh does.
    #[must_use]
    pub fn new(endpoint: Endpoint, config: ClientConfig) -> Self {
        let stitch = Stitch::new(config.lookup_ceilings());
        Self { engine: Engine::new(endpoint, config, Self::INFO), stitch }
    }

    /// [`LookupClient::new`] with a clock and a source of chance for its back-off: for tests.
    #[must_use]
    pub fn with_environment(
        endpoint: Endpoint,
        config: ClientConfig,
        environment: Box<dyn Environment>,
    ) -> Self {
        let stitch = Stitch::new(config.lookup_ceilings());
        Self { engine: Engine::with_environment(endpoint, config, Self::INFO, environment), stitch }
    }

    engine_methods!(stitch);

    /// Asks for `keys`: one item each, in their order, borrowed until the next use of this client.
    ///
    /// Keys are split over as many sub-requests as the session's limits need, and what did not fit
    /// an answer is asked again; all of it within one call timeout. A key whose item fits no answer
    /// is answered "oversized".
    ///
    /// # Errors
    /// [`CallError`]; [`LookupError`] in it for more than 65,536 keys, 4,096 sub-requests or 64 MiB
    /// of answers, unless configured.
    pub fn lookup<K: AsKey<<S::Item as LookupItem>::Key>>(
        &mut self,
        keys: &[K],
    ) -> Result<Answer<'_, S>, CallError> {
        let mut call = self.engine.begin()?;
        let looked_up = self.look_up(&mut call, keys);
        let counters = &mut self.engine.link.counters;
        counters.sub_calls += u64::from(self.stitch.sub_calls());
        counters.restarted_lookups += u64::from(self.stitch.restarted());
        self.engine.end(looked_up)?;
        Ok(Answer { stitch: &self.stitch })
    }

    fn look_up<K: AsKey<<S::Item as LookupItem>::Key>>(
        &mut self,
        call: &mut LogicalCall,
        keys: &[K],
    ) -> Result<(), CallError> {
        self.stitch.begin(keys.len())?;
        let mut refused_len = usize::MAX;
        loop {
            let (request, response) = self.engine.limits()?;
            let limits = SessionLimits {
                request_bytes: request.payload_bytes,
                // What is above this client's ceiling it cannot take, whatever was agreed.
                response_bytes: response.payload_bytes.min(self.engine.response_ceiling()),
            };
            let Some(asked) = self.stitch.next(keys, limits)? else { return Ok(()) };
            if asked.request_len > request.payload_bytes as usize {
                self.one_long_key(call, keys, asked, &mut refused_len)?;
                continue;
            }
            self.build(keys, asked)?;
            match self.engine.exchange(call, Items::One, OnNewSession::PlanAgain)? {
                Exchanged::PlanAgain => continue,
                Exchanged::Answered => {}
            }
            if let Err(error) = self.stitch.take(keys, asked, self.engine.answer().payload) {
                let violation = error.is_violation();
                let error = error.into();
                return Err(if violation { self.engine.fail(error) } else { error });
            }
        }
    }

    /// A key that does not fit a request of this session gets a session of its own size, once;
    /// where the server refuses that, it is oversized, and so are all as long.
    fn one_long_key<K: AsKey<<S::Item as LookupItem>::Key>>(
        &mut self,
        call: &LogicalCall,
        keys: &[K],
        asked: SubRequest,
        refused_len: &mut usize,
    ) -> Result<(), CallError> {
        if asked.request_len < *refused_len {
            match self.engine.enlarge(call, asked.request_len)? {
                Enlarged::Granted => return Ok(()),
                Enlarged::AboveCeiling | Enlarged::Refused => *refused_len = asked.request_len,
            }
        }
        let Some(key) = keys.get(asked.first) else {
            // No key is too long: there is no room for the question itself.
            return Err(self.engine.too_large(asked.request_len));
        };
        self.stitch.too_long(key, asked.first).map_err(CallError::Build)
    }

    fn build<K: AsKey<<S::Item as LookupItem>::Key>>(
        &mut self,
        keys: &[K],
        asked: SubRequest,
    ) -> Result<(), CallError> {
        self.engine.build_exactly(asked.request_len, |out| {
            let mut request = S::request_builder(out, asked.count)?;
            for key in keys.iter().skip(asked.first).take(asked.count) {
                S::push_key(&mut request, &key.as_key())?;
            }
            S::finish_request(request)
        })
    }

    const INFO: ServiceInfo = ServiceInfo::new(S::NAME, S::METHOD, false);
}

/// The items that answer a lookup, one a key, in the order asked.
pub struct Answer<'a, S> {
    stitch: &'a Stitch<S>,
}

impl<'a, S: Lookup> Answer<'a, S> {
    /// How many items there are: as many as keys were asked.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.stitch.len()
    }

    /// Whether no keys were asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the provider's state that all items agree on.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.stitch.generation()
    }

    /// Where each item lies, in the order asked, and the bytes that they lie in: for who reads items in
    /// another language.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> (&'a [Place], &'a [u8]) {
        self.stitch.parts()
    }

    /// The item for key `index`; `None` past the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<LookupItemView<'a, S>> {
        self.stitch.item(index)
    }

    /// The items, in the order asked.
    pub fn items(&self) -> impl Iterator<Item = LookupItemView<'a, S>> + use<'a, S> {
        let stitch = self.stitch;
        (0..stitch.len()).filter_map(move |index| stitch.item(index))
    }
}

impl<S> std::fmt::Debug for Answer<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
