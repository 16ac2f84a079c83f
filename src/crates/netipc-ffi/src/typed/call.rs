//! The shape `call`: one request, one response, or several at once.

use std::cell::Cell;

use netipc::client::{BatchView, CallClient, CallError};
use netipc::codec::BuildError;
use netipc::server::HandlerError;
use netipc::service::Call;

use super::builder::Once;
use super::record::{Keeper, Refused};
use crate::boundary::Caller;
use crate::client::nipc_client_ctx_t;
use crate::elements::set_already;
use crate::failure::Failure;
use crate::words;

/// One request out, one response in.
#[inline]
pub(crate) fn call<S, V>(
    caller: Caller<'_>,
    client: *mut nipc_client_ctx_t,
    response: *mut V,
    write: impl Fn(S::RequestBuilder<'_>) -> Result<usize, Refused>,
) -> Result<(), Failure>
where
    S: Call,
    V: for<'a> From<S::Response<'a>>,
{
    let out = caller.out(response, "response")?;
    let view = caller.with_client::<CallClient<S>, V>(client, |client| {
        let refusal = Refusal::default();
        let answered = client.call(|builder| refusal.keep(write(builder)));
        answered.map(V::from).map_err(|error| refusal.or(error))
    })?;
    out.write(view);
    Ok(())
}

/// Several requests in one message.
#[inline]
pub(crate) fn batch<'c, S, R, V>(
    caller: Caller<'c>,
    client: *mut nipc_client_ctx_t,
    requests: &'c [R],
    answers: *mut V,
    write: impl Fn(&'c R, S::RequestBuilder<'_>) -> Result<usize, Refused>,
) -> Result<(), Failure>
where
    S: Call,
    V: for<'a> From<BatchView<'a, S>>,
{
    let out = caller.out(answers, "answers")?;
    let view = caller.with_client::<CallClient<S>, V>(client, |client| {
        let refusal = Refusal::default();
        let answered = client.batch(requests.len(), |index, builder| {
            // The engine asks for each request by its place: there is one.
            let request = requests.get(index).ok_or(BuildError::TooManyItems)?;
            refusal.keep(write(request, builder))
        });
        answered.map(V::from).map_err(|error| refusal.or(error))
    })?;
    out.write(view);
    Ok(())
}

/// What was wrong with a request that the engine was to build, and that only this side has words for.
#[derive(Default)]
struct Refusal(Cell<Option<Failure>>);

impl Refusal {
    /// What the engine is told: no buffer is large enough for such a request.
    fn keep(&self, written: Result<usize, Refused>) -> Result<usize, BuildError> {
        written.map_err(|refused| match refused {
            Refused::Build(error) => error,
            Refused::Argument(failure) => {
                self.0.set(Some(failure));
                BuildError::TooManyItems
            }
        })
    }

    fn or(&self, error: CallError) -> Failure {
        self.0.take().unwrap_or_else(|| error.into())
    }
}

/// Writes the response of a handler, once.
#[inline]
pub(crate) fn set<'c, K, B, const N: usize>(
    caller: Caller<'c>,
    builder: *mut K,
    write: impl FnOnce(B) -> Result<usize, Refused>,
) -> Result<(), Failure>
where
    B: 'c,
    K: Keeper<N, Kept<'c> = Once<B>>,
{
    let place = caller.kept_mut(builder, "builder")?;
    match std::mem::replace(place, Once::Refused) {
        Once::Open(open) => match write(open) {
            Ok(len) => {
                *place = Once::Set(len);
                Ok(())
            }
            Err(Refused::Build(error)) => {
                *place = Once::Failed(error);
                Err(error.into())
            }
            Err(Refused::Argument(failure)) => Err(failure),
        },
        set => {
            *place = set;
            Err(set_already())
        }
    }
}

/// What a call's server takes from a handler of C's, and from what that made of its builder.
pub(crate) fn answered<'k, K, B, const N: usize>(
    handled: Result<(), HandlerError>,
    builder: &'k K,
) -> Result<usize, HandlerError>
where
    B: 'k,
    K: Keeper<N, Kept<'k> = Once<B>>,
{
    // SAFETY: `Keeper` promises the type; what is borrowed lives while the handler is answered for.
    let response = unsafe { words::kept::<Once<B>, N>(K::MARK, builder.words()) };
    match *response.unwrap_or(&Once::Refused) {
        // What does not fit wins over any other failure (spec section 11).
        Once::Failed(error @ (BuildError::NoSpace | BuildError::LimitExceeded)) => {
            Err(error.into())
        }
        Once::Failed(error) => handled.and(Err(error.into())),
        Once::Set(len) => handled.and(Ok(len)),
        Once::Open(_) | Once::Refused => handled.and(Err(NotSet.into())),
    }
}

/// A handler that answers nothing.
#[derive(Debug)]
pub(crate) struct NotSet;

impl std::fmt::Display for NotSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the handler returned NIPC_OK and set no response")
    }
}

impl std::error::Error for NotSet {}
