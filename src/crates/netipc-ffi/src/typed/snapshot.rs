//! The shape `snapshot`: everything that a provider knows.

use netipc::client::SnapshotClient;
use netipc::service::Snapshot;

use crate::boundary::Caller;
use crate::client::nipc_client_ctx_t;
use crate::failure::Failure;

pub(crate) use super::builder::{begin, finish};

/// Asks for everything.
#[inline]
pub(crate) fn call<S, V>(
    caller: Caller<'_>,
    client: *mut nipc_client_ctx_t,
    response: *mut V,
) -> Result<(), Failure>
where
    S: Snapshot,
    V: for<'a> From<S::Response<'a>>,
{
    let out = caller.out(response, "response")?;
    let view = caller
        .with_client::<SnapshotClient<S>, V>(client, |client| Ok(V::from(client.fetch()?)))?;
    out.write(view);
    Ok(())
}
