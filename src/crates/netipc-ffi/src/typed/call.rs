//! The shape `call`: one request, one response, or several at once.

use netipc::client::{BatchView, CallClient};
use netipc::codec::BuildError;
use netipc::server::HandlerError;
use netipc::service::Call;

use super::builder::Once;
use super::record::Keeper;
use crate::boundary::Caller;
use crate::client::nipc_client_ctx_t;
use crate::elements::set_already;
use crate::failure::Failure;
use crate::words;

/// One request out, one response in. `write` has looked at all that C has passed.
#[inline]
pub(crate) fn call<S, V>(
    caller: Caller<'_>,
    client: *mut nipc_client_ctx_t,
    response: *mut V,
    write: impl Fn(S::RequestBuilder<'_>) -> Result<usize, BuildError>,
) -> Result<(), Failure>
where
    S: Call,
    V: for<'a> From<S::Response<'a>>,
{
    let out = caller.out(response, "response")?;
    let view = caller
        .with_client::<CallClient<S>, V>(client, |client| Ok(V::from(client.call(write)?)))?;
    out.write(view);
    Ok(())
}

/// Several requests in one message. `read` looks at what C has passed: at all of it before the client is used.
#[inline]
pub(crate) fn batch<'c, S, R, V, W>(
    caller: Caller<'c>,
    client: *mut nipc_client_ctx_t,
    requests: &'c [R],
    answers: *mut V,
    read: impl Fn(&'c R) -> Result<W, Failure>,
) -> Result<(), Failure>
where
    S: Call,
    V: for<'a> From<BatchView<'a, S>>,
    W: Fn(S::RequestBuilder<'_>) -> Result<usize, BuildError>,
{
    let out = caller.out(answers, "answers")?;
    requests.iter().try_for_each(|request| read(request).map(drop))?;
    let view = caller.with_client::<CallClient<S>, V>(client, |client| {
        let answered = client.batch(requests.len(), |index, builder| {
            // The engine asks for each request by its place: there is one, and it was looked at.
            let write = requests.get(index).and_then(|request| read(request).ok());
            write.ok_or(BuildError::TooManyItems)?(builder)
        });
        Ok(V::from(answered?))
    })?;
    out.write(view);
    Ok(())
}

/// Writes the response of a handler, once. Where it is refused nothing is set, and it may be set to something
/// else; only what did not fit stays so, for the client asks again then.
#[inline]
pub(crate) fn set<'c, K, B, const N: usize>(
    caller: Caller<'c>,
    builder: *mut K,
    write: impl FnOnce(&mut B) -> Result<usize, BuildError>,
) -> Result<(), Failure>
where
    B: 'c,
    K: Keeper<N, Kept<'c> = Once<B>>,
{
    let place = caller.kept_mut(builder, "builder")?;
    match place {
        Once::Open { builder, refused } => match write(builder) {
            Ok(len) => {
                *place = Once::Set(len);
                Ok(())
            }
            Err(error @ (BuildError::NoSpace | BuildError::LimitExceeded)) => {
                *place = Once::Full(error);
                Err(error.into())
            }
            Err(error) => {
                *refused = Some(error);
                Err(error.into())
            }
        },
        Once::Set(_) => Err(set_already()),
        Once::Full(error) => Err((*error).into()),
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
    match response {
        // What does not fit wins over any other failure (spec section 11).
        Ok(Once::Full(error)) => Err((*error).into()),
        Ok(Once::Set(len)) => handled.and(Ok(*len)),
        Ok(Once::Open { refused: Some(error), .. }) => handled.and(Err((*error).into())),
        Ok(Once::Open { refused: None, .. }) | Err(_) => handled.and(Err(NotSet.into())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::boundary;
    use crate::error::{nipc_error, nipc_error_t};
    use crate::typed::keeper;
    use crate::words::Words;

    /// As the glue declares it, for a response that takes any number as its length.
    struct Builder {
        opaque_: Words<9>,
    }
    keeper!(Builder, 9, 0x5e7, Once<usize>);

    fn blank() -> Builder {
        Builder { opaque_: Builder::keep(Once::new(0)) }
    }

    fn set_to(builder: &mut Builder, written: Result<usize, BuildError>) -> nipc_error_t {
        // SAFETY: the builder lives.
        unsafe { boundary(|caller| set(caller, builder, |_: &mut usize| written)) }
    }

    fn told(builder: &Builder) -> Result<usize, String> {
        answered(Ok(()), builder).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn what_was_refused_is_not_set_and_may_be_set_to_something_else() {
        let mut builder = blank();
        assert!(told(&builder).unwrap_err().contains("set no response"));
        let refused = BuildError::InnerNul { field: "name" };
        assert_eq!(set_to(&mut builder, Err(refused)), nipc_error::NIPC_ERR_BUILD.code());
        assert!(told(&builder).unwrap_err().contains("`name`"), "why, if nothing else is set");
        assert_eq!(set_to(&mut builder, Ok(3)), 0);
        assert_eq!(told(&builder), Ok(3));
        assert_eq!(set_to(&mut builder, Ok(4)), nipc_error::NIPC_ERR_CALLER.code());
        assert_eq!(set_to(&mut builder, Err(refused)), nipc_error::NIPC_ERR_CALLER.code());
        assert_eq!(told(&builder), Ok(3));
    }

    #[test]
    fn what_did_not_fit_is_told_whatever_follows() {
        for full in [BuildError::NoSpace, BuildError::LimitExceeded] {
            let mut builder = blank();
            let no_space = nipc_error::NIPC_ERR_NO_SPACE.code();
            assert_eq!(set_to(&mut builder, Err(full)), no_space);
            assert_eq!(set_to(&mut builder, Ok(3)), no_space);
            assert!(told(&builder).unwrap_err().contains("does not fit"));
        }
    }
}
