//! Views: borrowed, checked on decode, and infallible from then on.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::bodies::{Body, Role};
use super::fields::{
    at, enum_ident, get, get_span, ident, is_visible, string, value_type, variant_path,
};
use super::keys::KeyKind;
use super::{doc, doc_lines};
use crate::ir::{Directory, Element, Field, FieldKind};

pub(super) fn declare(body: &Body<'_>) -> TokenStream {
    match body.role {
        Role::Key => key(body),
        Role::Item => element(body),
        Role::Message(None) => message(body),
        Role::Message(Some(directory)) => listing(body, directory),
    }
}

/// A key made of numbers: of one number, that number; of several, a struct that is its own view.
fn key(body: &Body<'_>) -> TokenStream {
    let name = body.owned();
    let reading = |field: &Field| read_number(body, field, &quote!(fixed));
    let size = Literal::usize_unsuffixed(body.size());
    let fixed = quote!(let fixed = element.first_chunk().unwrap_or(&[0; #size]););
    let (declaration, view, value) = match KeyKind::of_record(body) {
        KeyKind::Number(field) => {
            let doc = doc_lines(&[format!("Reads keys: each is its `{}`.", field.name.snake())]);
            let ty = value_type(body, field);
            let value = reading(field);
            (quote!(#doc #[derive(Debug)] pub enum #name {}), quote!(#ty), value)
        }
        KeyKind::Text(_) | KeyKind::Numbers => {
            let fields = body.record.fields.iter().filter(|field| is_visible(field));
            let members = fields.clone().map(|field| {
                let (name, ty, doc) = (ident(field), value_type(body, field), field_doc(field));
                quote!(#doc pub #name: #ty)
            });
            let values = fields.map(|field| {
                let (name, value) = (ident(field), reading(field));
                quote!(#name: #value)
            });
            let declaration = quote! {
                /// A key.
                #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
                pub struct #name { #(#members),* }
            };
            (declaration, quote!(#name), quote!(#name { #(#values),* }))
        }
    };
    quote! {
        #declaration

        impl codec::Element for #name {
            type View<'a> = #view;

            #[inline]
            fn view(element: &[u8]) -> #view {
                #fixed
                #value
            }
        }
    }
}

/// An item of a response.
fn element(body: &Body<'_>) -> TokenStream {
    let (view, owned) = (body.view(), body.owned());
    let size = Literal::usize_unsuffixed(body.size());
    let docs = doc_lines(&[format!(
        "{}, borrowed from a response that was checked.",
        capital(&body.noun)
    )]);
    let accessors = accessors(body);
    let (member, set) = match body.has_tail() {
        true => (quote!(record: &'a [u8],), quote!(record,)),
        false => (quote!(), quote!()),
    };
    quote! {
        #docs
        #[derive(Clone, Copy, Debug)]
        pub struct #view<'a> {
            fixed: &'a [u8; #size],
            #member
        }

        impl codec::Element for #owned {
            type View<'a> = #view<'a>;

            #[inline]
            fn view(record: &[u8]) -> #view<'_> {
                #view { fixed: record.first_chunk().unwrap_or(&[0; #size]), #set }
            }
        }

        impl<'a> #view<'a> { #accessors }
    }
}

/// A message without a directory.
fn message(body: &Body<'_>) -> TokenStream {
    let (view, check) = (body.view(), body.check());
    let size = Literal::usize_unsuffixed(body.size());
    let docs = message_doc(body);
    let decode_docs = decode_docs();
    let accessors = accessors(body);
    let reads_fixed = body.record.fields.iter().any(is_visible) || body.has_tail();
    let (members, decode) = match (reads_fixed, body.has_tail()) {
        (false, _) => (
            quote!(payload: core::marker::PhantomData<&'a [u8]>),
            quote!(#check(payload).map(|_| Self { payload: core::marker::PhantomData })),
        ),
        (true, false) => {
            (quote!(fixed: &'a [u8; #size]), quote!(#check(payload).map(|fixed| Self { fixed })))
        }
        (true, true) => (
            quote!(fixed: &'a [u8; #size], record: &'a [u8]),
            quote!(#check(payload).map(|fixed| Self { fixed, record: payload })),
        ),
    };
    quote! {
        #docs
        #[derive(Clone, Copy, Debug)]
        pub struct #view<'a> { #members }

        impl<'a> #view<'a> {
            #decode_docs
            #[inline]
            pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> { #decode }

            #accessors
        }
    }
}

/// A message with a directory.
fn listing(body: &Body<'_>, directory: &Directory) -> TokenStream {
    let (view, check) = (body.view(), body.check());
    let size = Literal::usize_unsuffixed(body.size());
    let docs = message_doc(body);
    let decode_docs = decode_docs();
    let elements = format_ident!("{}", directory.name.snake());
    let count = body.record.field(directory.count);
    let count = get(count, crate::ir::Scalar::U32, &quote!(fixed));
    let (element, item, element_check) = element_of(body, directory);
    let ascending = body.strictness.ascending_elements;
    let accessors = accessors(body);
    let has_fields = body.record.fields.iter().any(is_visible);
    let member = has_fields.then(|| quote!(fixed: &'a [u8; #size],));
    let set = has_fields.then(|| quote!(fixed,));
    let one = directory.name.singular().snake();
    let all_doc = doc(&directory.doc, &format!("The {}, in order.", directory.name.snake()));
    let get_doc = doc_lines(&[format!("The {one} at `index`.")]);
    let len_doc = doc_lines(&[format!("How many {} there are.", directory.name.snake())]);
    quote! {
        #docs
        #[derive(Clone, Copy, Debug)]
        pub struct #view<'a> {
            #member
            #elements: codec::DirectoryView<'a>,
        }

        impl<'a> #view<'a> {
            #decode_docs
            #[inline]
            pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
                let fixed = #check(payload)?;
                let #elements = codec::DirectoryView::decode(payload, #size, #count, #ascending)?
                    .check_each(#element_check)?;
                Ok(Self { #set #elements })
            }

            #accessors

            #all_doc
            #[inline]
            #[must_use]
            pub fn #elements(&self) -> codec::Records<'a, #element> { self.#elements.records() }

            #get_doc
            #[inline]
            #[must_use]
            pub fn get(&self, index: usize) -> Option<#item> { self.#elements.get::<#element>(index) }

            #len_doc
            #[inline]
            #[must_use]
            pub const fn len(&self) -> usize { self.#elements.len() }

            /// Whether there are none.
            #[inline]
            #[must_use]
            pub const fn is_empty(&self) -> bool { self.#elements.is_empty() }
        }
    }
}

/// The type that reads an element, what reading gives, and the check of its bytes.
fn element_of(body: &Body<'_>, directory: &Directory) -> (TokenStream, TokenStream, TokenStream) {
    match &directory.element {
        Element::BareString(text) => {
            let (min, max) = super::fields::limits(text.min, text.max);
            let check = quote!(|element| codec::check_bare_string(element, #min, #max));
            (quote!(codec::BareString), quote!(&'a codec::BStr), check)
        }
        Element::Record(_) => {
            let one = directory.name.singular();
            let element = format_ident!("{}", one.pascal());
            let check = format_ident!("check_{}", one.snake());
            let item = quote!(<#element as codec::Element>::View<'a>);
            let item = match body.stem.as_str() {
                "Response" => {
                    let view = format_ident!("{element}View");
                    quote!(#view<'a>)
                }
                _ => item,
            };
            (quote!(#element), item, quote!(|element| #check(element).map(|_| ())))
        }
    }
}

fn accessors(body: &Body<'_>) -> TokenStream {
    let fields = body.record.fields.iter().filter(|field| is_visible(field));
    let fields = fields.map(|field| accessor(body, field));
    let table = body.table().map(|table| {
        let name = format_ident!("{}", table.name.snake());
        let docs = doc(&table.doc, &format!("The {}, in order.", table.name.snake()));
        let from = quote!(self.fixed);
        let spans = body.strings().map(|field| {
            let (offset, length) = get_span(field, &from);
            quote!((#offset, #length))
        });
        let size = Literal::usize_unsuffixed(body.size());
        let count = count_of_table(body, &from);
        quote! {
            #docs
            #[inline]
            #[must_use]
            pub fn #name(&self) -> codec::Labels<'a> {
                let strings_end = codec::strings_end(#size, [#(#spans),*]);
                codec::labels_at(self.record, strings_end, #count)
            }
        }
    });
    quote!(#(#fields)* #table)
}

/// The number of entries of the record's table, as a `usize`.
pub(super) fn count_of_table(body: &Body<'_>, from: &TokenStream) -> TokenStream {
    let Some(table) = body.table() else { return quote!(0) };
    let field = body.record.field(table.count);
    match field.kind {
        FieldKind::Count { scalar } => {
            let count = get(field, scalar, from);
            quote!(#count as usize)
        }
        _ => quote!(0),
    }
}

fn accessor(body: &Body<'_>, field: &Field) -> TokenStream {
    let (name, docs) = (ident(field), field_doc(field));
    let (ty, value) = match string(field) {
        Some(_) => {
            let (offset, length) = get_span(field, &quote!(self.fixed));
            (quote!(&'a codec::BStr), quote!(codec::string_at(self.record, #offset, #length)))
        }
        None => {
            let ty = value_type(body, field);
            (quote!(#ty), read_number(body, field, &quote!(self.fixed)))
        }
    };
    quote! {
        #docs
        #[inline]
        #[must_use]
        pub fn #name(&self) -> #ty { #value }
    }
}

/// The value of a visible number field. For closed enumerations the fallback is never met: the
/// value was checked.
fn read_number(body: &Body<'_>, field: &Field, from: &TokenStream) -> TokenStream {
    match &field.kind {
        FieldKind::Value { scalar, enumeration: Some(id), .. } => {
            let enumeration = body.enumeration(*id);
            let (name, number) = (enum_ident(enumeration), get(field, *scalar, from));
            if enumeration.open {
                return quote!(#name::from_wire(#number));
            }
            let fallback = enumeration.variants.iter().map(|v| variant_path(enumeration, v)).next();
            quote!(#name::from_wire(#number).unwrap_or(#fallback))
        }
        FieldKind::Value { scalar, .. } => get(field, *scalar, from),
        FieldKind::Generation => get(field, crate::ir::Scalar::U64, from),
        FieldKind::Const { .. }
        | FieldKind::Count { .. }
        | FieldKind::Reserved { .. }
        | FieldKind::String(_) => {
            let at = at(field);
            quote!(#at)
        }
    }
}

pub(super) fn field_doc(field: &Field) -> TokenStream {
    let fallback = match field.kind {
        FieldKind::Generation => {
            "The number of the provider's state: answers that share it agree with each other."
                .to_owned()
        }
        _ => format!("`{}`.", field.name.snake()),
    };
    doc(&field.doc, &fallback)
}

fn message_doc(body: &Body<'_>) -> TokenStream {
    let text =
        format!("{}, borrowed from the payload that it was decoded from.", capital(&body.noun));
    doc_lines(&[text])
}

fn decode_docs() -> TokenStream {
    quote! {
        /// Checks a payload, all of it.
        ///
        /// # Errors
        /// The first thing that the contract forbids (spec section 10.7).
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}
