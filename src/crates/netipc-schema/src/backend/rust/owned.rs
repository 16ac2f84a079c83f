//! Owned types: copies that outlive the payload, and that encode by themselves.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::bodies::{Body, Role};
use super::doc;
use super::fields::{ident, is_visible, string, value_type};
use super::keys::KeyKind;
use super::views::field_doc;
use crate::ir::{Directory, Element};

pub(super) fn declare(body: &Body<'_>) -> TokenStream {
    if matches!(body.role, Role::Key) {
        return quote!();
    }
    let (name, view) = (body.owned(), body.view());
    let docs = super::doc_lines(&[format!("An owned copy of {}.", body.noun)]);
    let visible = || body.record.fields.iter().filter(|field| is_visible(field));
    let members = visible().map(|field| {
        let (name, docs) = (ident(field), field_doc(field));
        let ty = match string(field) {
            Some(_) => quote!(codec::BString),
            None => {
                let ty = value_type(body, field);
                quote!(#ty)
            }
        };
        quote!(#docs pub #name: #ty)
    });
    let copies = visible().map(|field| {
        let name = ident(field);
        match string(field) {
            Some(_) => quote!(#name: self.#name().to_owned()),
            None => quote!(#name: self.#name()),
        }
    });
    let behind = Behind::of(body);
    let (member, copy) = (&behind.member, &behind.copy);
    // Only elements that must ascend are known to share no bytes.
    let overlap = (body.directory().is_some() && !body.strictness.ascending_elements).then(|| {
        quote! {
            ///
            /// Elements may share bytes, so a hostile payload copies into more than its length,
            /// without a bound that is worth having: keep the payload instead, as caches do.
        }
    });
    let encode = match body.directory() {
        Some(directory) => encode_listing(body, directory),
        None => encode_record(body),
    };
    quote! {
        #docs
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct #name { #(#members,)* #member }

        impl #view<'_> {
            /// Copies everything out of the payload.
            #overlap
            #[must_use]
            pub fn to_owned(&self) -> #name { #name { #(#copies,)* #copy } }
        }

        impl #name { #encode }
    }
}

/// What a record has behind its fields: a table's pairs or a directory's elements.
struct Behind {
    member: TokenStream,
    copy: TokenStream,
}

impl Behind {
    fn of(body: &Body<'_>) -> Self {
        let (member, copy) = match (body.table(), body.directory()) {
            (Some(table), _) => {
                let name = format_ident!("{}", table.name.snake());
                let docs = doc(&table.doc, &format!("The {}, in order.", table.name.snake()));
                let pair = quote!(|label| (label.key.to_owned(), label.value.to_owned()));
                (
                    quote!(#docs pub #name: Vec<(codec::BString, codec::BString)>,),
                    quote!(#name: self.#name().map(#pair).collect(),),
                )
            }
            (None, Some(directory)) => {
                let name = format_ident!("{}", directory.name.snake());
                let docs =
                    doc(&directory.doc, &format!("The {}, in order.", directory.name.snake()));
                let (ty, copy) = element(body, directory);
                (quote!(#docs pub #name: Vec<#ty>,), quote!(#name: self.#name()#copy.collect(),))
            }
            (None, None) => (quote!(), quote!()),
        };
        Self { member, copy }
    }
}

/// The owned type of an element, and how an iterator of views becomes one of copies.
fn element(body: &Body<'_>, directory: &Directory) -> (TokenStream, TokenStream) {
    let bodies = super::bodies::of(body.service);
    let key = bodies.iter().find(|body| matches!(body.role, Role::Key));
    match (&directory.element, body.stem.as_str()) {
        (Element::BareString(_), _) => {
            (quote!(codec::BString), quote!(.map(<codec::BStr as ToOwned>::to_owned)))
        }
        (Element::Record(_), "Request") => match key.map(KeyKind::of_record) {
            Some(kind) => (kind.owned(key), quote!()),
            None => (quote!(), quote!()),
        },
        (Element::Record(_), _) => {
            let item = format_ident!("{}", directory.name.singular().pascal());
            (quote!(#item), quote!(.map(|item| item.to_owned())))
        }
    }
}

/// `encode` and `encoded_len` of a record without a directory.
fn encode_record(body: &Body<'_>) -> TokenStream {
    let (fields, size) = (body.fields(), Literal::usize_unsuffixed(body.size()));
    let members = body.record.fields.iter().filter(|field| is_visible(field)).map(|field| {
        let name = ident(field);
        match string(field) {
            Some(_) => quote!(#name: &self.#name),
            None => quote!(#name: self.#name),
        }
    });
    let strings = body.strings().map(|field| {
        let name = ident(field);
        quote!(+ self.#name.len() + 1)
    });
    let table = body.table().map(|table| format_ident!("{}", table.name.snake()));
    let pairs =
        table.as_ref().map(|table| quote!(self.#table.iter().map(|(key, value)| (key, value)),));
    let len = match table {
        Some(table) => quote! {
            let strings_end = #size #(#strings)*;
            let pairs = self.#table.iter().map(|(key, value)| (key, value));
            strings_end + codec::labels_len(strings_end, pairs)
        },
        None => quote!(#size #(#strings)*),
    };
    let docs = encode_docs();
    let len_docs = len_docs();
    quote! {
        #docs
        pub fn encode(&self, out: &mut [u8]) -> Result<usize, BuildError> {
            #fields { #(#members),* }.encode(#pairs out)
        }

        #len_docs
        #[must_use]
        pub fn encoded_len(&self) -> usize { #len }
    }
}

/// `encode` and `encoded_len` of a message with a directory.
fn encode_listing(body: &Body<'_>, directory: &Directory) -> TokenStream {
    let (fields, size) = (body.fields(), Literal::usize_unsuffixed(body.size()));
    let members = body.record.fields.iter().filter(|field| is_visible(field)).map(ident);
    let elements = format_ident!("{}", directory.name.snake());
    let text = directory.name.snake();
    let bodies = super::bodies::of(body.service);
    let key = bodies.iter().find(|body| matches!(body.role, Role::Key));
    let kind = KeyKind::of_service(body.service, &bodies);
    let (encode, len) = match (body.stem.as_str(), kind) {
        ("Request", Some(kind)) => {
            let name = format_ident!("key");
            let encode = kind.encode(key, &name);
            let bind = match kind {
                KeyKind::Text(_) => quote!(),
                KeyKind::Number(_) | KeyKind::Numbers => quote!(let #name = *#name;),
            };
            (
                quote!(for #name in &self.#elements { #bind items.push(|out| { #encode })?; }),
                kind.encoded_len(key),
            )
        }
        _ => {
            let item = format_ident!("{}", directory.name.singular().pascal());
            (
                quote!(for item in &self.#elements { items.push(|out| item.encode(out))?; }),
                quote!(#item::encoded_len),
            )
        }
    };
    let docs = encode_docs();
    let len_docs = len_docs();
    let header_error = body.header_error();
    quote! {
        #docs
        pub fn encode(&self, out: &mut [u8]) -> Result<usize, BuildError> {
            let mut items = codec::DirectoryWriter::new(out, #size, self.#elements.len())?;
            #encode
            let (fixed, count, len) = items.finish(#text)?;
            #fields { #(#members: self.#members),* }.encode(count, fixed) #header_error;
            Ok(len)
        }

        #len_docs
        #[must_use]
        pub fn encoded_len(&self) -> usize {
            codec::directory_len(#size, self.#elements.iter().map(#len))
        }
    }
}

fn encode_docs() -> TokenStream {
    quote! {
        /// Writes it at the start of `out`, and answers its length in bytes.
        ///
        /// # Errors
        /// [`BuildError::NoSpace`], or the field that the schema forbids.
    }
}

fn len_docs() -> TokenStream {
    quote!(
        /// Bytes that [`encode`](Self::encode) writes.
    )
}
