//! Typed calls, alone and in batches.

use std::marker::PhantomData;

use super::config::{ClientConfig, ServiceInfo};
use super::engine::Engine;
use super::engine_methods;
use super::environment::Environment;
use super::error::CallError;
use crate::Endpoint;
use crate::batch::Batch;
use crate::codec::{BuildError, DecodeError};
use crate::place::offset_within;
use crate::service::{Call, Service};

/// A client of a service of the shape `call`.
#[derive(Debug)]
pub struct CallClient<S> {
    engine: Engine,
    service: PhantomData<fn() -> S>,
}

impl<S: Call> CallClient<S> {
    /// A client that has not connected yet: a refresh does.
    #[must_use]
    pub fn new(endpoint: Endpoint, config: ClientConfig) -> Self {
        Self { engine: Engine::new(endpoint, config, info::<S>()), service: PhantomData }
    }

    /// [`CallClient::new`] with a clock and a source of chance for its back-off: for tests.
    #[must_use]
    pub fn with_environment(
        endpoint: Endpoint,
        config: ClientConfig,
        environment: Box<dyn Environment>,
    ) -> Self {
        let engine = Engine::with_environment(endpoint, config, info::<S>(), environment);
        Self { engine, service: PhantomData }
    }

    engine_methods!();

    /// One request out, one answer in, borrowed until the next use of this client.
    ///
    /// `build` writes the request and answers what its builder's `finish` does; where the buffer
    /// was too small it is called again with a larger one.
    ///
    /// # Errors
    /// [`CallError`]; a failed call is not sent again but for what spec section 11 says.
    pub fn call(
        &mut self,
        build: impl Fn(S::RequestBuilder<'_>) -> Result<usize, BuildError>,
    ) -> Result<S::Response<'_>, CallError> {
        self.engine.exchange_call(|out| build(S::request_builder(out)))?;
        self.engine.decode(|answer| S::decode_response(answer.payload))
    }

    /// `count` requests in one message, their answers in the same order, borrowed until the next
    /// use of this client. `build` writes request `index` as for [`call`](Self::call).
    ///
    /// # Errors
    /// [`CallError`]; `TooManyItems` above what the session takes.
    pub fn batch(
        &mut self,
        count: usize,
        build: impl Fn(usize, S::RequestBuilder<'_>) -> Result<usize, BuildError>,
    ) -> Result<BatchView<'_, S>, CallError> {
        self.engine.exchange_batch(count, |index, out| build(index, S::request_builder(out)))?;
        self.engine.decode(|answer| BatchView::decode(answer.payload, answer.header.item_count))
    }
}

const fn info<S: Call>() -> ServiceInfo {
    ServiceInfo::new(S::NAME, S::METHOD, S::BATCHABLE)
}

/// The answers to a batch, each checked, in the order asked.
#[derive(Debug)]
pub struct BatchView<'a, S> {
    items: Batch<'a>,
    service: PhantomData<fn() -> S>,
}

impl<'a, S: Service> BatchView<'a, S> {
    fn decode(payload: &'a [u8], item_count: u32) -> Result<Self, DecodeError> {
        let items = Batch::decode(payload, item_count)?;
        for item in items.iter() {
            // Seen from the payload, as all offsets of errors are.
            S::decode_response(item)
                .map_err(|error| error.shifted(offset_within(payload, item)))?;
        }
        Ok(Self { items, service: PhantomData })
    }

    /// How many answers there are: as many as were asked.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Always false: a batch has items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The directory of the answers, and the area that it points into, as the bytes that they are: for
    /// who reads them in another language.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> (&'a [u8], &'a [u8]) {
        self.items.parts()
    }

    /// The answer to request `index`; `None` past the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<S::Response<'a>> {
        // Each decoded before.
        S::decode_response(self.items.get(index)?).ok()
    }

    /// The answers, in the order asked.
    pub fn iter(&self) -> impl Iterator<Item = S::Response<'a>> + use<'a, S> {
        // Each decoded before: none is left out.
        self.items.iter().filter_map(|item| S::decode_response(item).ok())
    }
}
