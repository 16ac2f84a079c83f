//! The builders of a lookup: keys into a request, one item a key into a response that keeps within
//! its budget by itself.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::bodies::{Body, Role};
use super::builders::{blanks, header_setters, of_item};
use super::doc;
use super::fields::{ident, variant_path};
use super::keys::KeyKind;
use crate::backend::roles::{answers, echo, is_blank, settable, statuses};
use crate::ir::{Echo, Enum, LookupRoles, Service, Variant};

/// What the parts of a lookup's code have in common.
struct Lookup<'s, 'b> {
    roles: LookupRoles,
    request: &'b Body<'s>,
    response: &'b Body<'s>,
    item: &'b Body<'s>,
    key: Option<&'b Body<'s>>,
    kind: KeyKind<'s>,
}

pub(super) fn declare(service: &Service, roles: LookupRoles, bodies: &[Body<'_>]) -> TokenStream {
    let find = |stem: &str| bodies.iter().find(|body| body.stem == stem);
    let (Some(request), Some(response)) = (find("Request"), find("Response")) else {
        return quote!();
    };
    let item = bodies.iter().find(|body| matches!(body.role, Role::Item));
    let key = bodies.iter().find(|body| matches!(body.role, Role::Key));
    let (Some(item), Some(kind)) = (item, KeyKind::of_service(service, bodies)) else {
        return quote!();
    };
    let lookup = Lookup { roles, request, response, item, key, kind };
    let (request, response) = (lookup.request_builder(), lookup.response_builder());
    let item_builder = of_item(
        item,
        lookup.response,
        &settable(item, roles),
        Some(&lookup.key_of_item(&quote!(self.fields))),
    );
    let engine = lookup.engine();
    quote!(#request #response #item_builder #engine)
}

impl<'s> Lookup<'s, '_> {
    fn request_builder(&self) -> TokenStream {
        let (name, fields) = (self.request.builder(), self.request.fields());
        let size = Literal::usize_unsuffixed(self.request.size());
        let blanks = blanks(self.request, |_| None);
        let setters = header_setters(self.request);
        let (key, parameter) = (self.kind.name(), self.kind.parameter(self.key, &quote!()));
        let encode = self.kind.encode(self.key, &key);
        quote! {
            /// Writes a request into a buffer, key by key.
            #[derive(Debug)]
            #[must_use = "the request is complete only after `finish`"]
            pub struct #name<'b> {
                keys: codec::DirectoryWriter<'b>,
                fields: #fields,
            }

            impl<'b> #name<'b> {
                /// A request at the start of `out`, for about `expected` keys: where they turn out
                /// to be more or fewer, what was written is moved.
                ///
                /// # Errors
                /// [`BuildError::NoSpace`].
                #[inline]
                pub fn new(out: &'b mut [u8], expected: usize) -> Result<Self, BuildError> {
                    let keys = codec::DirectoryWriter::new(out, #size, expected)?;
                    Ok(Self { keys, fields: #fields { #(#blanks),* } })
                }

                #setters

                /// Adds a key. On an error nothing was added.
                ///
                /// # Errors
                /// [`BuildError::NoSpace`], or what the schema forbids.
                #[inline]
                pub fn push(&mut self, #key: #parameter) -> Result<(), BuildError> {
                    self.keys.push(|out| { #encode })
                }

                /// Ends the request, and answers its length in bytes.
                ///
                /// # Errors
                /// [`BuildError::Count`] above `u32::MAX` keys.
                #[inline]
                pub fn finish(self) -> Result<usize, BuildError> {
                    let (fixed, count, len) = self.keys.finish("keys")?;
                    self.fields.encode(count, fixed);
                    Ok(len)
                }
            }
        }
    }

    fn response_builder(&self) -> TokenStream {
        let (name, fields) = (self.response.builder(), self.response.fields());
        let (request, item) = (self.request.view(), self.item.owned());
        let size = Literal::usize_unsuffixed(self.response.size());
        let blanks = blanks(self.response, |_| None);
        let setters = header_setters(self.response);
        let answers = self.answers();
        let directory = self.request.directory().map(|directory| directory.name.snake());
        let keys = format_ident!("{}", directory.unwrap_or_default());
        quote! {
            /// Writes the response to a request, one item a key, in the order asked.
            ///
            /// It keeps within its budget by itself: from the item on that does not fit, keys are
            /// answered "ask again", and the client does (spec section 11).
            #[derive(Debug)]
            #[must_use = "the response is complete only after `finish`"]
            pub struct #name<'b> {
                items: codec::LookupWriter<'b, #item>,
                fields: #fields,
            }

            impl<'b> #name<'b> {
                /// A response to `request`.
                ///
                /// # Errors
                /// [`BuildError::LimitExceeded`] if not even "ask again" for every key fits.
                #[inline]
                pub fn new(
                    request: &#request<'b>,
                    budget: codec::ResponseBudget<'b>,
                ) -> Result<Self, BuildError> {
                    let items = codec::LookupWriter::new(request.#keys(), budget, #size)?;
                    Ok(Self { items, fields: #fields { #(#blanks),* } })
                }

                #setters

                /// Whether an item did not fit. The keys left are then answered by
                /// [`finish`](Self::finish): a handler may stop.
                #[inline]
                #[must_use]
                pub const fn is_full(&self) -> bool { self.items.is_full() }

                #answers

                /// Ends the response, and answers its length in bytes.
                ///
                /// # Errors
                /// The first error of its items; [`BuildError::TooFewItems`].
                #[inline]
                pub fn finish(self) -> Result<usize, BuildError> {
                    let (fixed, count, len) = self.items.finish()?;
                    self.fields.encode(count, fixed);
                    Ok(len)
                }
            }
        }
    }

    fn statuses(&self) -> &'s Enum {
        statuses(self.item, self.roles)
    }

    /// One method for each status that a handler may answer.
    fn answers(&self) -> TokenStream {
        let variants = &self.statuses().variants;
        let methods = answers(self.item, self.roles).into_iter().map(|index| {
            match is_blank(self.item, self.roles, index) {
                true => self.blank_answer(&variants[index]),
                false => self.full_answer(&variants[index]),
            }
        });
        quote!(#(#methods)*)
    }

    /// `response.known(key)…finish()`: an item with fields of its own.
    fn full_answer(&self, variant: &Variant) -> TokenStream {
        let (method, builder) = (format_ident!("{}", variant.name.snake()), self.item.builder());
        let (key, parameter) = (self.kind.name(), self.kind.parameter(self.key, &quote!('x)));
        let fields = self.item_fields(&variant_path(self.statuses(), variant), &key);
        let docs = doc(
            &variant.doc,
            &format!("Answers the next key, which must be this one: `{}`.", variant.name.kebab()),
        );
        let (no_labels, labels) = match self.item.table() {
            Some(_) => (quote!(, codec::NoLabels), quote!(, labels: codec::NO_LABELS)),
            None => (quote!(), quote!()),
        };
        quote! {
            #docs
            #[inline]
            pub fn #method<'x>(&'x mut self, #key: #parameter) -> #builder<'x, 'b #no_labels> {
                #builder { fields: #fields, response: self #labels }
            }
        }
    }

    /// `response.unknown(key)`: an item that says no more than that.
    fn blank_answer(&self, variant: &Variant) -> TokenStream {
        let method = format_ident!("{}", variant.name.snake());
        let (key, parameter) = (self.kind.name(), self.kind.parameter(self.key, &quote!()));
        let fields = self.item_fields(&variant_path(self.statuses(), variant), &key);
        let labels = self.item.table().map(|_| quote!(codec::NO_LABELS,));
        let given = self.key_of_item(&quote!(fields));
        let own_doc = variant.doc.clone();
        let line =
            format!("Answers the next key, which must be this one: `{}`.", variant.name.kebab());
        let mut lines = vec![line];
        if !own_doc.is_empty() {
            lines.extend([String::new(), own_doc]);
        }
        lines.extend(
            [
                "",
                "# Errors",
                "That of a key whose turn it is not. After it the response cannot be finished.",
            ]
            .map(str::to_owned),
        );
        let docs = super::doc_lines(&lines);
        quote! {
            #docs
            #[inline]
            pub fn #method(&mut self, #key: #parameter) -> Result<(), BuildError> {
                let fields = #fields;
                self.items.push(&#given, |out| fields.encode(#labels out))
            }
        }
    }

    /// The item's fields for a key, of that name: everything blank but the status and what repeats the key.
    fn item_fields(&self, status: &TokenStream, key: &Ident) -> TokenStream {
        let fields = self.item.fields();
        let status_field = self.item.record.field(self.roles.status);
        let members = blanks(self.item, |field| {
            if std::ptr::eq(field, status_field) {
                return Some(status.clone());
            }
            match (echo(field)?, self.kind) {
                (Echo::Key, _) => Some(quote!(#key.as_ref())),
                (Echo::KeyField(_), KeyKind::Number(_)) => Some(quote!(#key)),
                (Echo::KeyField(id), _) => {
                    let member = ident(self.key?.record.field(id));
                    Some(quote!(#key.#member))
                }
            }
        });
        quote!(#fields { #(#members),* })
    }

    /// The key that the item in `fields` repeats.
    fn key_of_item(&self, fields: &TokenStream) -> TokenStream {
        let echoes = self.item.record.fields.iter().filter_map(|field| Some((field, echo(field)?)));
        let mut values = echoes.map(|(field, echo)| (ident(field), echo));
        match self.kind {
            KeyKind::Text(_) => {
                let name = values.next().map(|(name, _)| name);
                quote!(codec::BStr::new(#fields.#name))
            }
            KeyKind::Number(_) => {
                let name = values.next().map(|(name, _)| name);
                quote!(#fields.#name)
            }
            KeyKind::Numbers => {
                let key = self.key.map(Body::owned);
                let members = values.filter_map(|(name, echo)| match echo {
                    Echo::KeyField(id) => {
                        let member = ident(self.key?.record.field(id));
                        Some(quote!(#member: #fields.#name))
                    }
                    Echo::Key => None,
                });
                quote!(#key { #(#members),* })
            }
        }
    }

    /// What the engine must know of the items.
    fn engine(&self) -> TokenStream {
        let (item, element) = (self.item.owned(), self.kind.element(self.key));
        let key = format_ident!("key");
        let nuls = self.item.strings().count();
        let least = Literal::usize_unsuffixed(self.item.size() + nuls);
        let (len_name, len) = match self.kind {
            KeyKind::Text(_) => (quote!(#key), quote!(#least + #key.len())),
            KeyKind::Number(_) | KeyKind::Numbers => (quote!(_), quote!(#least)),
        };
        let statuses = self.statuses();
        let retry = variant_path(statuses, &statuses.variants[self.roles.retry.0]);
        let oversized = variant_path(statuses, &statuses.variants[self.roles.oversized.0]);
        let fields = self.item_fields(&quote!(status), &key);
        let labels = self.item.table().map(|_| quote!(codec::NO_LABELS,));
        let bind = match self.kind {
            KeyKind::Text(_) => quote!(),
            KeyKind::Number(_) | KeyKind::Numbers => quote!(let #key = *#key;),
        };
        let view = quote!(<#element as codec::Element>::View<'_>);
        let echoes = match self.kind {
            // Handlers mostly answer with the very key that they were given.
            KeyKind::Text(_) => quote!(core::ptr::eq(*asked, *given) || asked == given),
            KeyKind::Number(_) | KeyKind::Numbers => quote!(asked == given),
        };
        quote! {
            impl codec::LookupItem for #item {
                type Key = #element;

                #[inline]
                fn smallest_len(#len_name: &#view) -> usize { #len }

                fn write_smallest(
                    #key: &#view,
                    overflow: codec::Overflow,
                    out: &mut [u8],
                ) -> Result<usize, BuildError> {
                    let status = match overflow {
                        codec::Overflow::Retry => #retry,
                        codec::Overflow::Oversized => #oversized,
                    };
                    #bind
                    #fields.encode(#labels out)
                }

                #[inline]
                fn echoes(asked: &#view, given: &#view) -> bool { #echoes }
            }
        }
    }
}
