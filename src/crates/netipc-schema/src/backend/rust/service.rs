//! What the engines of netipc must know of a service: the traits of `netipc::service`.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::bodies::{Body, Role};
use super::fields::{ident, string, value_type, variant_path};
use super::keys::KeyKind;
use crate::backend::roles::{echo, statuses};
use crate::ir::{Echo, FieldKind, LookupRoles, Service, Shape};

pub(super) fn declare(service: &Service, bodies: &[Body<'_>]) -> TokenStream {
    let shape = match service.shape {
        Shape::Call { batch } => call(batch, bodies),
        Shape::Lookup(roles) => lookup(service, roles, bodies),
        Shape::Snapshot => snapshot(bodies),
    };
    let shape_name = match service.shape {
        Shape::Call { .. } => "Call",
        Shape::Lookup(_) => "Lookup",
        Shape::Snapshot => "Snapshot",
    };
    let (client, server) =
        (format_ident!("{shape_name}Client"), format_ident!("{shape_name}Server"));
    let cache = match service.shape {
        Shape::Snapshot => super::cache::declare(bodies),
        Shape::Call { .. } | Shape::Lookup(_) => quote!(),
    };
    quote! {
        /// Asks the service's provider.
        pub type Client = netipc::client::#client<Service>;

        /// Provides the service.
        pub type Server = netipc::server::#server<Service>;

        #cache

        /// The service as clients, servers and caches know it.
        #[derive(Debug)]
        pub enum Service {}

        impl service::Service for Service {
            const NAME: &'static str = SERVICE;
            const METHOD: u16 = METHOD;
            type Request<'a> = RequestView<'a>;
            type Response<'a> = ResponseView<'a>;

            fn decode_request(payload: &[u8]) -> Result<RequestView<'_>, DecodeError> {
                RequestView::decode(payload)
            }

            fn decode_response(payload: &[u8]) -> Result<ResponseView<'_>, DecodeError> {
                ResponseView::decode(payload)
            }
        }

        #shape
    }
}

fn call(batch: bool, bodies: &[Body<'_>]) -> TokenStream {
    // A builder's type has a part for its table, which begins without entries.
    let no_labels = |stem: &str| {
        let body = bodies.iter().find(|body| body.stem == stem);
        body.and_then(Body::table).map(|_| quote!(, codec::NoLabels))
    };
    let (request, response) = (no_labels("Request"), no_labels("Response"));
    quote! {
        impl service::Call for Service {
            const BATCHABLE: bool = #batch;
            type RequestBuilder<'b> = RequestBuilder<'b #request>;
            type ResponseBuilder<'b> = ResponseBuilder<'b #response>;

            fn request_builder(out: &mut [u8]) -> RequestBuilder<'_ #request> { RequestBuilder::new(out) }

            fn response_builder(out: &mut [u8]) -> ResponseBuilder<'_ #response> { ResponseBuilder::new(out) }
        }
    }
}

/// The method of a response's view that reads its generation.
fn generation(response: &Body<'_>) -> Option<Ident> {
    let mut fields = response.record.fields.iter();
    fields.find(|field| field.kind == FieldKind::Generation).map(ident)
}

fn lookup(service: &Service, roles: LookupRoles, bodies: &[Body<'_>]) -> TokenStream {
    let find = |stem: &str| bodies.iter().find(|body| body.stem == stem);
    let item = bodies.iter().find(|body| matches!(body.role, Role::Item));
    let key = bodies.iter().find(|body| matches!(body.role, Role::Key));
    let (Some(request), Some(response)) = (find("Request"), find("Response")) else {
        return quote!();
    };
    let (Some(item), Some(kind)) = (item, KeyKind::of_service(service, bodies)) else {
        return quote!();
    };
    let (request_size, response_size) =
        (Literal::usize_unsuffixed(request.size()), Literal::usize_unsuffixed(response.size()));
    let (owned, view) = (item.owned(), item.view());
    let items = response.directory().map(|directory| format_ident!("{}", directory.name.snake()));
    let generation = generation(response);
    let key_view = key_view(kind, key);
    let (key_name, key_len) = match kind {
        KeyKind::Text(_) => (quote!(key), quote!(key.len() + 1)),
        KeyKind::Number(_) | KeyKind::Numbers => {
            let size = Literal::usize_unsuffixed(key.map_or(0, Body::size));
            (quote!(_), quote!(#size))
        }
    };
    let echo = echo_of_item(item, key, kind);
    let overflow = overflow(item, roles);
    let as_key = as_key(kind, key);
    quote! {
        impl service::Lookup for Service {
            const REQUEST_HEADER_BYTES: usize = #request_size;
            const RESPONSE_HEADER_BYTES: usize = #response_size;
            type Item = #owned;
            type RequestBuilder<'b> = RequestBuilder<'b>;
            type ResponseBuilder<'b> = ResponseBuilder<'b>;

            #[inline]
            fn key_len(#key_name: &#key_view) -> usize { #key_len }

            fn request_builder(out: &mut [u8], expected: usize) -> Result<RequestBuilder<'_>, BuildError> {
                RequestBuilder::new(out, expected)
            }

            #[inline]
            fn push_key(builder: &mut RequestBuilder<'_>, key: &#key_view) -> Result<(), BuildError> { builder.push(*key) }

            fn finish_request(builder: RequestBuilder<'_>) -> Result<usize, BuildError> { builder.finish() }

            fn generation(response: &ResponseView<'_>) -> u64 { response.#generation() }

            fn items<'a>(response: &Self::Response<'a>) -> codec::Records<'a, #owned> { response.#items() }

            #[inline]
            fn echo<'a>(item: &service::LookupItemView<'a, Self>) -> service::KeyView<'a, Self> { #echo }

            #[inline]
            fn overflow(item: &#view<'_>) -> Option<codec::Overflow> { #overflow }

            fn response_builder<'b>(
                request: &Self::Request<'b>,
                budget: codec::ResponseBudget<'b>,
            ) -> Result<Self::ResponseBuilder<'b>, BuildError> {
                ResponseBuilder::new(request, budget)
            }

            fn finish_response(builder: ResponseBuilder<'_>) -> Result<usize, BuildError> { builder.finish() }
        }

        #as_key
    }
}

/// The type of a key's view.
fn key_view(kind: KeyKind<'_>, key: Option<&Body<'_>>) -> TokenStream {
    match kind {
        KeyKind::Text(_) => quote!(&codec::BStr),
        KeyKind::Number(_) | KeyKind::Numbers => kind.parameter(key, &quote!()),
    }
}

/// What a caller may give as a key; for text the engine itself says it.
fn as_key(kind: KeyKind<'_>, key: Option<&Body<'_>>) -> TokenStream {
    match kind {
        KeyKind::Text(_) => quote!(),
        KeyKind::Number(_) | KeyKind::Numbers => {
            let (view, element) = (key_view(kind, key), kind.element(key));
            quote! {
                impl service::AsKey<#element> for #view {
                    #[inline]
                    fn as_key(&self) -> #view { *self }
                }
            }
        }
    }
}

/// The key that `item`, a view, repeats.
fn echo_of_item(item: &Body<'_>, key: Option<&Body<'_>>, kind: KeyKind<'_>) -> TokenStream {
    let mut echoes = item.record.fields.iter().filter_map(|field| Some((field, echo(field)?)));
    match kind {
        KeyKind::Text(_) | KeyKind::Number(_) => {
            let name = echoes.next().map(|(field, _)| ident(field));
            quote!(item.#name())
        }
        KeyKind::Numbers => {
            let name = key.map(Body::owned);
            let members = echoes.filter_map(|(field, echo)| match echo {
                Echo::KeyField(id) => {
                    let (member, name) = (ident(key?.record.field(id)), ident(field));
                    Some(quote!(#member: item.#name()))
                }
                Echo::Key => None,
            });
            quote!(#name { #(#members),* })
        }
    }
}

/// The overflow that `item`, a view, tells of.
fn overflow(item: &Body<'_>, roles: LookupRoles) -> TokenStream {
    let (status, statuses) = (ident(item.record.field(roles.status)), statuses(item, roles));
    let retry = variant_path(statuses, &statuses.variants[roles.retry.0]);
    let oversized = variant_path(statuses, &statuses.variants[roles.oversized.0]);
    quote! {
        match item.#status() {
            #retry => Some(codec::Overflow::Retry),
            #oversized => Some(codec::Overflow::Oversized),
            _ => None,
        }
    }
}

fn snapshot(bodies: &[Body<'_>]) -> TokenStream {
    let response = bodies.iter().find(|body| body.stem == "Response");
    let item = bodies.iter().find(|body| matches!(body.role, Role::Item));
    let (Some(response), Some(item)) = (response, item) else { return quote!() };
    let (owned, view) = (item.owned(), item.view());
    let items = response.directory().map(|directory| format_ident!("{}", directory.name.snake()));
    let generation = generation(response);
    let identity = item.record.identity.iter().map(|id| item.record.field(*id));
    let types = identity.clone().map(|field| match string(field) {
        Some(_) => quote!(&'a codec::BStr),
        None => {
            let ty = value_type(item, field);
            quote!(#ty)
        }
    });
    let values = identity.clone().map(|field| {
        let name = ident(field);
        quote!(item.#name())
    });
    let equalities = identity.enumerate().map(|(index, field)| {
        let (name, index) = (ident(field), Literal::usize_unsuffixed(index));
        quote!(item.#name() == wanted.#index)
    });
    quote! {
        impl service::Snapshot for Service {
            type Item = #owned;
            type Identity<'a> = (#(#types,)*);
            type ResponseBuilder<'b> = ResponseBuilder<'b>;

            fn write_request(out: &mut [u8]) -> Result<usize, BuildError> { RequestBuilder::new(out).finish() }

            fn generation(response: &ResponseView<'_>) -> u64 { response.#generation() }

            fn items<'a>(response: &Self::Response<'a>) -> codec::Records<'a, #owned> { response.#items() }

            #[inline]
            fn identity<'a>(item: &service::SnapshotItemView<'a, Self>) -> Self::Identity<'a> { (#(#values,)*) }

            #[inline]
            fn is(item: &#view<'_>, wanted: &Self::Identity<'_>) -> bool { #(#equalities)&&* }

            fn response_builder(out: &mut [u8], expected: usize) -> Result<ResponseBuilder<'_>, BuildError> {
                ResponseBuilder::new(out, expected)
            }

            fn item_count(builder: &ResponseBuilder<'_>) -> usize { builder.len() }

            fn finish_response(builder: ResponseBuilder<'_>) -> Result<usize, BuildError> { builder.finish() }
        }
    }
}
