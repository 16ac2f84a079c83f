//! The shape `lookup`: many keys in, one item a key out.

use netipc::client::{Answer, LookupClient};
use netipc::codec::LookupItem;
use netipc::service::{AsKey, Lookup};

use crate::boundary::Caller;
use crate::client::nipc_client_ctx_t;
use crate::failure::Failure;

pub(crate) use super::builder::{begin, finish};

/// Asks for keys, which are read where they lie.
#[inline]
pub(crate) fn call<S, K, V>(
    caller: Caller<'_>,
    client: *mut nipc_client_ctx_t,
    keys: &[K],
    answer: *mut V,
) -> Result<(), Failure>
where
    S: Lookup,
    K: AsKey<<S::Item as LookupItem>::Key>,
    V: for<'a> From<Answer<'a, S>>,
{
    let out = caller.out(answer, "answer")?;
    let view = caller
        .with_client::<LookupClient<S>, V>(client, |client| Ok(V::from(client.lookup(keys)?)))?;
    out.write(view);
    Ok(())
}
