//! What generated code tells the engines of a service: one trait a shape.
//!
//! ```text
//!              Service         name, method, how payloads are decoded
//!            /    |    \
//!        Call  Lookup  Snapshot      how they are built, and what the shape needs to see in them
//! ```
//!
//! A service is a type without values that implements [`Service`] and the trait of its shape; the
//! schema compiler writes both. Clients, caches and servers are written once over these traits, and
//! know no service. What is **not** here: behaviour of any kind.

use std::hash::Hash;

use crate::codec::{
    BStr, BareString, BuildError, DecodeError, Element, LookupItem, Overflow, Records,
    ResponseBudget,
};

/// A service, whatever its shape (spec section 10).
pub trait Service: 'static {
    /// Its name, and that of its endpoint.
    const NAME: &'static str;
    /// Its method code (spec section 1).
    const METHOD: u16;
    /// A request, borrowed from its payload.
    type Request<'a>;
    /// A response, borrowed from its payload.
    type Response<'a>;

    /// Checks the payload of a request, all of it.
    ///
    /// # Errors
    /// The first thing that the contract forbids (spec section 10.7).
    fn decode_request(payload: &[u8]) -> Result<Self::Request<'_>, DecodeError>;

    /// Checks the payload of a response, all of it.
    ///
    /// # Errors
    /// The first thing that the contract forbids (spec section 10.7).
    fn decode_response(payload: &[u8]) -> Result<Self::Response<'_>, DecodeError>;
}

/// One typed request, one typed response.
pub trait Call: Service {
    /// Whether several requests may go in one message (spec section 2).
    const BATCHABLE: bool;
    /// Writes a request; its own `finish` answers the length in bytes.
    type RequestBuilder<'b>;
    /// Writes a response; its own `finish` answers the length in bytes.
    type ResponseBuilder<'b>;

    /// A blank request, to be written at the start of `out`.
    fn request_builder(out: &mut [u8]) -> Self::RequestBuilder<'_>;

    /// A blank response, to be written at the start of `out`.
    fn response_builder(out: &mut [u8]) -> Self::ResponseBuilder<'_>;
}

/// The view of a lookup's key.
pub type KeyView<'a, S> = <<<S as Lookup>::Item as LookupItem>::Key as Element>::View<'a>;
/// The view of a lookup's item.
pub type LookupItemView<'a, S> = <<S as Lookup>::Item as Element>::View<'a>;

/// Many keys in, one item a key out, in the order asked.
pub trait Lookup: Service {
    /// Bytes before the directory of a request.
    const REQUEST_HEADER_BYTES: usize;
    /// Bytes before the directory of a response.
    const RESPONSE_HEADER_BYTES: usize;
    /// The kind of its items, which names the kind of its keys.
    type Item: LookupItem + Element;
    /// Writes a request, key by key.
    type RequestBuilder<'b>;
    /// Writes a response, item by item.
    type ResponseBuilder<'b>;

    /// Bytes of a key in a request, its padding not counted.
    fn key_len(key: &KeyView<'_, Self>) -> usize
    where
        Self: Sized;

    /// A request of about `expected` keys at the start of `out`.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`].
    fn request_builder(
        out: &mut [u8],
        expected: usize,
    ) -> Result<Self::RequestBuilder<'_>, BuildError>;

    /// Adds a key. On an error nothing was added.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`], or what the schema forbids.
    fn push_key(
        builder: &mut Self::RequestBuilder<'_>,
        key: &KeyView<'_, Self>,
    ) -> Result<(), BuildError>
    where
        Self: Sized;

    /// Ends a request, and answers its length in bytes.
    ///
    /// # Errors
    /// As the generated builder's `finish`.
    fn finish_request(builder: Self::RequestBuilder<'_>) -> Result<usize, BuildError>;

    /// The generation of a response (`role=generation`).
    fn generation(response: &Self::Response<'_>) -> u64;

    /// The items of a response, in order.
    fn items<'a>(response: &Self::Response<'a>) -> Records<'a, Self::Item>;

    /// The key that an item repeats (`echo`).
    fn echo<'a>(item: &LookupItemView<'a, Self>) -> KeyView<'a, Self>
    where
        Self: Sized;

    /// Whether an item is answered without its contents (`role=retry`, `role=oversized`).
    fn overflow(item: &LookupItemView<'_, Self>) -> Option<Overflow>
    where
        Self: Sized;

    /// A response to `request`.
    ///
    /// # Errors
    /// [`BuildError::LimitExceeded`] if not even "ask again" for every key fits.
    fn response_builder<'b>(
        request: &Self::Request<'b>,
        budget: ResponseBudget<'b>,
    ) -> Result<Self::ResponseBuilder<'b>, BuildError>;

    /// Ends a response, and answers its length in bytes.
    ///
    /// # Errors
    /// As the generated builder's `finish`.
    fn finish_response(builder: Self::ResponseBuilder<'_>) -> Result<usize, BuildError>;
}

/// What callers may give as a key of kind `E`: generated for keys that are numbers, and here for
/// those that are text.
pub trait AsKey<E: Element> {
    /// The key, as a codec sees it.
    fn as_key(&self) -> E::View<'_>;
}

impl<T: AsRef<[u8]> + ?Sized> AsKey<BareString> for T {
    fn as_key(&self) -> &BStr {
        BStr::new(self.as_ref())
    }
}

/// The view of a snapshot's item.
pub type SnapshotItemView<'a, S> = <<S as Snapshot>::Item as Element>::View<'a>;

/// Everything that the provider knows.
pub trait Snapshot: Service {
    /// The kind of its items.
    type Item: Element;
    /// What tells items apart: the fields of `identity` in the schema, as a tuple.
    type Identity<'a>: Hash;
    /// Writes a response, item by item.
    type ResponseBuilder<'b>;

    /// Writes the request at the start of `out`, and answers its length in bytes.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`].
    fn write_request(out: &mut [u8]) -> Result<usize, BuildError>;

    /// The generation of a response (`role=generation`).
    fn generation(response: &Self::Response<'_>) -> u64;

    /// The items of a response, in order.
    fn items<'a>(response: &Self::Response<'a>) -> Records<'a, Self::Item>;

    /// What tells `item` apart from all others.
    fn identity<'a>(item: &SnapshotItemView<'a, Self>) -> Self::Identity<'a>
    where
        Self: Sized;

    /// Whether `item` is the one that `wanted` names.
    fn is(item: &SnapshotItemView<'_, Self>, wanted: &Self::Identity<'_>) -> bool
    where
        Self: Sized;

    /// A response at the start of `out`, for about `expected` items.
    ///
    /// # Errors
    /// [`BuildError::NoSpace`].
    fn response_builder(
        out: &mut [u8],
        expected: usize,
    ) -> Result<Self::ResponseBuilder<'_>, BuildError>;

    /// How many items were added so far.
    fn item_count(builder: &Self::ResponseBuilder<'_>) -> usize;

    /// Ends a response, and answers its length in bytes.
    ///
    /// # Errors
    /// As the generated builder's `finish`.
    fn finish_response(builder: Self::ResponseBuilder<'_>) -> Result<usize, BuildError>;
}
