//! Typed snapshots: everything that a provider knows, once. The [cache](crate::cache) keeps them.

use std::marker::PhantomData;

use super::config::{ClientConfig, ServiceInfo};
use super::engine::Engine;
use super::engine_methods;
use super::environment::Environment;
use super::error::CallError;
use crate::Endpoint;
use crate::codec::{DecodeError, Defect};
use crate::place::offset_within;
use crate::service::{Service, Snapshot};

/// An answer with the payload that it was decoded from; `None` where that is held already.
pub(crate) type Fetched<'a, S> = Option<(&'a [u8], <S as Service>::Response<'a>)>;

/// A client of a service of the shape `snapshot`.
#[derive(Debug)]
pub struct SnapshotClient<S> {
    engine: Engine,
    service: PhantomData<fn() -> S>,
}

impl<S: Snapshot> SnapshotClient<S> {
    /// A client that has not connected yet: a refresh does.
    #[must_use]
    pub fn new(endpoint: Endpoint, config: ClientConfig) -> Self {
        Self { engine: Engine::new(endpoint, config, Self::INFO), service: PhantomData }
    }

    /// [`SnapshotClient::new`] with a clock and a source of chance for its back-off: for tests.
    #[must_use]
    pub fn with_environment(
        endpoint: Endpoint,
        config: ClientConfig,
        environment: Box<dyn Environment>,
    ) -> Self {
        let engine = Engine::with_environment(endpoint, config, Self::INFO, environment);
        Self { engine, service: PhantomData }
    }

    engine_methods!();

    /// Asks for everything; the answer is borrowed until the next use of this client.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn fetch(&mut self) -> Result<S::Response<'_>, CallError> {
        self.engine.exchange_call(S::write_request)?;
        self.engine.decode(|answer| S::decode_response(answer.payload))
    }

    /// [`fetch`](Self::fetch) for who keeps every item: with the payload that the answer was decoded
    /// from, and only if its items are no longer than that, all together. `None` if the payload is
    /// `held`, byte for byte, which was fetched so before: there is nothing to check again.
    pub(crate) fn fetch_payload(
        &mut self,
        held: Option<&[u8]>,
    ) -> Result<Fetched<'_, S>, CallError> {
        self.engine.exchange_call(S::write_request)?;
        self.engine.decode(|answer| {
            if held == Some(answer.payload) {
                return Ok(None);
            }
            let response = S::decode_response(answer.payload)?;
            refuse_overlap::<S>(answer.payload, &response)?;
            Ok(Some((answer.payload, response)))
        })
    }

    const INFO: ServiceInfo = ServiceInfo::snapshot(S::NAME, S::METHOD);
}

/// Items of a snapshot may lie in any order, so a directory may point at one of them a million
/// times: to read each would take hours. Those that share no byte fit the payload.
fn refuse_overlap<S: Snapshot>(
    payload: &[u8],
    response: &S::Response<'_>,
) -> Result<(), DecodeError> {
    let mut left = payload.len();
    for item in S::items(response).raw() {
        let at = offset_within(payload, item);
        left = left.checked_sub(item.len()).ok_or(DecodeError::new(Defect::Overlap, at))?;
    }
    Ok(())
}
