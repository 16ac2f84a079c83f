//! What every generated codec must do, written once: [`message_suite`] and [`lookup_suite`] run it
//! for a service. What a service is like is generated (`tests/generated`).

mod json;
mod lookups;
mod messages;
mod strategies;

use std::fmt::Debug;

use netipc::codec::{BuildError, DecodeError, Overflow, ResponseBudget};
use proptest::prelude::*;
use serde_json::Value;

pub(crate) use json::{hex_bytes, list, number, pairs, text};
pub(crate) use lookups::{a_response_keeps_its_budget, handlers_mistakes_are_refused};
pub(crate) use messages::{builds_at_every_budget, mutations_decode_or_err, round_trips, vectors};
#[allow(unused_imports, reason = "each is for schemas that need it")]
pub(crate) use strategies::{any_bytes, any_list, any_pairs, any_text, fill, fill_pairs};

/// A request or a response.
pub(crate) trait Message: Sized + Clone + PartialEq + Debug + 'static {
    /// Decodes a view and copies it.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError>;
    fn encode(&self, out: &mut [u8]) -> Result<usize, BuildError>;
    fn encoded_len(&self) -> usize;
    /// Writes it through its builder, which is told to expect so many elements; `None` for the
    /// response of a lookup, which is built to a request.
    fn build(&self, out: &mut [u8], expected: usize) -> Option<Result<usize, BuildError>>;
    /// From the `fields` of a vector.
    fn from_json(json: &Value) -> Self;
    /// Random ones that keep the rules of the schema.
    fn strategy() -> BoxedStrategy<Self>;

    /// Encodes into a buffer of just the length that was promised.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0xAA; self.encoded_len()];
        assert_eq!(self.encode(&mut out), Ok(out.len()), "encoded_len promises what encode writes");
        out
    }
}

/// The response of a lookup.
pub(crate) trait Lookup: Message {
    type Request: Message;
    type Item: Clone + PartialEq + Debug;

    fn items(&mut self) -> &mut Vec<Self::Item>;
    /// The request that its items answer.
    fn request(&self) -> Self::Request;
    /// The item that answers the same key with an overflow status.
    fn overflowed(item: Self::Item, overflow: Overflow) -> Self::Item;
    /// The item, with a status that a handler may answer.
    fn answered(item: Self::Item) -> Self::Item;
    /// Answers `request` with these items through the builder, as a handler does.
    fn answer(&self, request: &[u8], budget: ResponseBudget<'_>) -> Result<usize, BuildError>;
}

/// The tests of any service's messages.
macro_rules! message_suite {
    ($service:ident, $name:literal) => {
        #[test]
        fn golden_vectors_decode_re_encode_and_bad_vectors_are_rejected() {
            support::vectors::<$service::Request, $service::Response>($name, $service::METHOD);
        }

        proptest! {
            #[test]
            fn random_requests_round_trip(message in $service::Request::strategy()) {
                support::round_trips(&message);
            }

            #[test]
            fn random_responses_round_trip(message in $service::Response::strategy()) {
                support::round_trips(&message);
            }

            #[test]
            fn requests_are_built_at_every_budget(message in $service::Request::strategy()) {
                support::builds_at_every_budget(&message);
            }

            #[test]
            fn responses_are_built_at_every_budget(message in $service::Response::strategy()) {
                support::builds_at_every_budget(&message);
            }

            #[test]
            fn mutated_requests_decode_or_err(
                message in $service::Request::strategy(),
                mutations in support::mutations(),
            ) {
                support::mutations_decode_or_err(&message, &mutations);
            }

            #[test]
            fn mutated_responses_decode_or_err(
                message in $service::Response::strategy(),
                mutations in support::mutations(),
            ) {
                support::mutations_decode_or_err(&message, &mutations);
            }
        }
    };
}

/// [`message_suite`], and the tests of a lookup's builder.
macro_rules! lookup_suite {
    ($service:ident, $name:literal) => {
        crate::support::message_suite!($service, $name);

        proptest! {
            #[test]
            fn a_response_keeps_every_budget(message in $service::Response::strategy()) {
                support::a_response_keeps_its_budget(message);
            }

            #[test]
            fn handlers_mistakes_are_refused(message in $service::Response::strategy()) {
                support::handlers_mistakes_are_refused(message);
            }
        }
    };
}

pub(crate) use {lookup_suite, message_suite};

/// One to four bytes to overwrite: places, taken modulo the length, and values.
pub(crate) fn mutations() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>()), 1..=4)
}
