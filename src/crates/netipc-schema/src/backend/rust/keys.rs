//! The keys of a lookup in Rust.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::bodies::Body;
use super::fields::{ident, is_visible, limits, value_type};
pub(super) use crate::backend::keys::KeyKind;

impl KeyKind<'_> {
    /// What a caller's key is called.
    pub(in crate::backend::rust) fn name(self) -> Ident {
        match self {
            Self::Text(text) => format_ident!("{}", text.name.snake()),
            Self::Number(field) => ident(field),
            Self::Numbers => format_ident!("key"),
        }
    }

    /// The type of a parameter that takes a key which lives for `lifetime`.
    pub(in crate::backend::rust) fn parameter(
        self,
        key: Option<&Body<'_>>,
        lifetime: &TokenStream,
    ) -> TokenStream {
        match (self, key) {
            (Self::Text(_), _) => quote!(&#lifetime (impl AsRef<[u8]> + ?Sized)),
            (Self::Number(field), Some(body)) => {
                let ty = value_type(body, field);
                quote!(#ty)
            }
            (_, key) => {
                let name = key.map(Body::owned);
                quote!(#name)
            }
        }
    }

    /// The type that reads keys from a request.
    pub(in crate::backend::rust) fn element(self, key: Option<&Body<'_>>) -> TokenStream {
        match self {
            Self::Text(_) => quote!(codec::BareString),
            Self::Number(_) | Self::Numbers => {
                let name = key.map(Body::owned);
                quote!(#name)
            }
        }
    }

    /// The owned type of a key.
    pub(in crate::backend::rust) fn owned(self, key: Option<&Body<'_>>) -> TokenStream {
        match self {
            Self::Text(_) => quote!(codec::BString),
            Self::Number(_) | Self::Numbers => self.parameter(key, &quote!()),
        }
    }

    /// Writes a key, of that name, to `out`.
    pub(in crate::backend::rust) fn encode(
        self,
        key: Option<&Body<'_>>,
        name: &Ident,
    ) -> TokenStream {
        match (self, key) {
            (Self::Text(text), _) => {
                let field = text.name.snake();
                let (min, max) = limits(text.min, text.max);
                quote! {
                    let #name = #name.as_ref();
                    codec::check_length(#field, #name, #min, #max)?;
                    codec::write_bare_string(out, #name, #field)
                }
            }
            (Self::Number(field), Some(body)) => {
                let (fields, member) = (body.fields(), ident(field));
                let set = match member == *name {
                    true => quote!(#name),
                    false => quote!(#member: #name),
                };
                quote!(#fields { #set }.encode(out))
            }
            (_, Some(body)) => {
                let fields = body.fields();
                let members = body.record.fields.iter().filter(|field| is_visible(field));
                let members = members.map(|field| {
                    let member = ident(field);
                    quote!(#member: #name.#member)
                });
                quote!(#fields { #(#members),* }.encode(out))
            }
            (_, None) => quote!(),
        }
    }

    /// Bytes of a key in a request.
    pub(in crate::backend::rust) fn encoded_len(self, key: Option<&Body<'_>>) -> TokenStream {
        match (self, key) {
            (Self::Text(_), _) => quote!(|key| key.len() + 1),
            (_, key) => {
                let size = Literal::usize_unsuffixed(key.map_or(0, Body::size));
                quote!(|_| #size)
            }
        }
    }
}
