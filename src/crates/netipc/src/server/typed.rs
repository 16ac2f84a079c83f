//! Typed servers: handlers of a service's own requests and responses, one kind of server a shape.
//!
//! A handler is a closure `|request, response|`. `request` is the view, and has the
//! [`context`](Request::context) beside it; `response` is the service's builder. Both last until the
//! handler returns. Several threads call it at once.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use netipc_proto::growth::{DEFAULT_RESPONSE_CEILING_BYTES, DEFAULT_SNAPSHOT_CEILING_BYTES};
use netipc_sys::Abort;

use super::{Context, Dispatch, Failure, Host, RunningServer, Server, ServerConfig, ServerError};
use crate::codec::{BuildError, DIRECTORY_ENTRY_LEN, ResponseBudget};
use crate::service::{Call, Lookup, Service, Snapshot};
use crate::{Endpoint, ListenError};

/// A request as its handler sees it: the view, and who asks.
#[derive(Debug)]
pub struct Request<'a, S: Service> {
    view: S::Request<'a>,
    context: &'a Context<'a>,
}

impl<'a, S: Service> Request<'a, S> {
    /// Who asks, on which session, and whether the server is being stopped.
    #[must_use]
    pub const fn context(&self) -> &'a Context<'a> {
        self.context
    }
}

impl<'a, S: Service> Deref for Request<'a, S> {
    type Target = S::Request<'a>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

/// Why a handler gives no answer: any error, by `?`. The client is told INTERNAL_ERROR, or
/// LIMIT_EXCEEDED where the answer did not fit (spec section 11).
pub struct HandlerError(Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl HandlerError {
    /// What the client is told; the server's status tells the rest.
    fn failure(&self, context: &Context<'_>) -> Failure {
        let failure =
            self.0.downcast_ref().map_or(Failure::Internal, |error| build_failure(*error));
        if failure == Failure::Internal {
            context.report(&self.0);
        }
        failure
    }
}

/// A handler's way to say that a builder refused, whatever of it the handler let pass.
const fn build_failure(error: BuildError) -> Failure {
    match error {
        BuildError::NoSpace | BuildError::LimitExceeded => Failure::LimitExceeded,
        _ => Failure::Internal,
    }
}

/// The answer of a handler that was given a builder to fill: what does not fit wins over any other
/// failure (spec section 11).
fn filled(
    handled: Result<(), HandlerError>,
    finished: Result<usize, BuildError>,
    context: &Context<'_>,
) -> Result<usize, Failure> {
    let finished = finished.map_err(|error| (build_failure(error), error));
    match (finished, handled) {
        (Err((Failure::LimitExceeded, _)), _) => Err(Failure::LimitExceeded),
        (_, Err(error)) => Err(error.failure(context)),
        (Err((failure, error)), Ok(())) => {
            context.report(&error);
            Err(failure)
        }
        (Ok(len), Ok(())) => Ok(len),
    }
}

/// Declares the server of a shape: its type, what a handler of it is, and how the engine calls one.
macro_rules! typed_server {
    (
        $(#[$docs:meta])* $name:ident, $adapter:ident: $shape:ident,
        handler: [$($handler:tt)+],
        batchable: $batchable:expr,
        ceiling_bytes: $ceiling:expr,
        remembers: $memory_type:ty,
        answer: |$call:ident, $request:ident, $out:ident, $context:ident, $memory:ident| $answer:block
    ) => {
        $(#[$docs])*
        #[derive(Debug)]
        pub struct $name<S> {
            server: Server,
            service: PhantomData<fn() -> S>,
        }

        impl<S: $shape> $name<S> {
            /// Takes an endpoint: from here on, nobody else can.
            ///
            /// # Errors
            /// Each variant of [`ListenError`].
            pub fn bind(endpoint: &Endpoint, config: ServerConfig) -> Result<Self, ListenError> {
                Ok(Self { server: Server::bind(endpoint, config)?, service: PhantomData })
            }

            /// Serves from threads of its own, until it is stopped or dropped.
            ///
            /// # Errors
            /// [`ServerError::Os`] or [`ServerError::Thread`]; nothing runs then.
            pub fn spawn<F: $($handler)+>(self, handler: F) -> Result<RunningServer, ServerError> {
                self.server.spawn($adapter::<S, F>::new(handler))
            }

            /// Serves on this thread, beside the workers, until `stop` is triggered.
            ///
            /// # Errors
            /// Each variant of [`ServerError`].
            pub fn run<F: $($handler)+>(self, handler: F, stop: &Abort) -> Result<(), ServerError> {
                self.server.run($adapter::<S, F>::new(handler), stop)
            }

            /// Adds the service to those of a host, which share its workers.
            #[must_use]
            pub fn serve_on<F: $($handler)+>(self, host: Host, handler: F) -> Host {
                host.serve(self.server, $adapter::<S, F>::new(handler))
            }
        }

        /// A handler, as the engine sees it.
        struct $adapter<S, F> {
            handler: F,
            /// What one request leaves to the next.
            memory: $memory_type,
            service: PhantomData<fn() -> S>,
        }

        impl<S, F> $adapter<S, F> {
            fn new(handler: F) -> Self {
                Self { handler, memory: Default::default(), service: PhantomData }
            }
        }

        impl<S: $shape, F: $($handler)+> Dispatch for $adapter<S, F> {
            fn method(&self) -> u16 {
                S::METHOD
            }

            fn batchable(&self) -> bool {
                $batchable
            }

            fn response_ceiling_bytes(&self) -> u32 {
                $ceiling
            }

            fn handle(
                &self,
                $context: &Context<'_>,
                $request: &[u8],
                $out: ResponseBudget<'_>,
            ) -> Result<usize, Failure> {
                let ($call, $memory) = (&self.handler, &self.memory);
                $answer
            }
        }
    };
}

typed_server! {
    /// A server of a call. Its handler answers what the builder's `finish` answers.
    CallServer, CallHandler: Call,
    handler: [
        for<'a> Fn(Request<'a, S>, S::ResponseBuilder<'a>) -> Result<usize, HandlerError>
            + Send + Sync + 'static
    ],
    batchable: S::BATCHABLE,
    ceiling_bytes: DEFAULT_RESPONSE_CEILING_BYTES,
    remembers: (),
    answer: |handler, request, response, context, _memory| {
        let request = decode::<S>(request, context)?;
        let builder = S::response_builder(response.out);
        handler(request, builder).map_err(|error| error.failure(context))
    }
}

typed_server! {
    /// A server of a lookup. Its handler answers each key of the request, in order.
    LookupServer, LookupHandler: Lookup,
    handler: [
        for<'a, 'b> Fn(Request<'a, S>, &'b mut S::ResponseBuilder<'a>) -> Result<(), HandlerError>
            + Send + Sync + 'static
    ],
    batchable: false,
    ceiling_bytes: DEFAULT_RESPONSE_CEILING_BYTES,
    remembers: (),
    answer: |handler, request, response, context, _memory| {
        let request = decode::<S>(request, context)?;
        let mut builder = S::response_builder(&request, response).map_err(build_failure)?;
        let handled = handler(request, &mut builder);
        filled(handled, S::finish_response(builder), context)
    }
}

typed_server! {
    /// A server of a snapshot. Its handler adds everything that it knows. Where that does not fit,
    /// it may be asked once more, for the same request.
    SnapshotServer, SnapshotHandler: Snapshot,
    handler: [
        for<'a, 'b> Fn(Request<'a, S>, &'b mut S::ResponseBuilder<'a>) -> Result<(), HandlerError>
            + Send + Sync + 'static
    ],
    batchable: false,
    ceiling_bytes: DEFAULT_SNAPSHOT_CEILING_BYTES,
    remembers: AtomicUsize,
    answer: |handler, request, response, context, last_count| {
        // How many items will come is not known, but mostly it is as many as the last time: then
        // the builder need not make room as they do.
        let fitting = response.out.len() / DIRECTORY_SHARE / DIRECTORY_ENTRY_LEN;
        let mut expected = last_count.load(Ordering::Relaxed).min(fitting);
        loop {
            let out = &mut *response.out;
            let mut builder = S::response_builder(out, expected).map_err(build_failure)?;
            let handled = handler(decode::<S>(request, context)?, &mut builder);
            let count = S::item_count(&builder);
            last_count.store(count, Ordering::Relaxed);
            let outcome = filled(handled, S::finish_response(builder), context);
            if outcome != Err(Failure::LimitExceeded) || count >= expected {
                return outcome;
            }
            // It might have fitted, but for the room that was set aside.
            expected = 0;
        }
    }
}

/// Room that is set aside for the directory of a snapshot takes at most the limit divided by this.
const DIRECTORY_SHARE: usize = 4;

fn decode<'a, S: Service>(
    payload: &'a [u8],
    context: &'a Context<'a>,
) -> Result<Request<'a, S>, Failure> {
    let view = S::decode_request(payload).map_err(|_| Failure::BadEnvelope)?;
    Ok(Request { view, context })
}
