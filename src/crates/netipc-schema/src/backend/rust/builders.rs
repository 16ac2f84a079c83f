//! Builders of records by setters, and the messages of a call.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::bodies::Body;
use super::doc;
use super::fields::{blank, ident, is_visible, string, value_type};
use super::views::field_doc;
use crate::ir::Field;

/// The builders of a call's two messages.
pub(super) fn of_call(bodies: &[Body<'_>]) -> TokenStream {
    let builders = bodies.iter().map(of_message);
    quote!(#(#builders)*)
}

/// The builder of a message without a directory.
pub(super) fn of_message(body: &Body<'_>) -> TokenStream {
    let (name, fields) = (body.builder(), body.fields());
    let docs = super::doc_lines(&[
        format!("Writes {} into a buffer.", body.noun),
        String::new(),
        "What is not set stays blank.".to_owned(),
    ]);
    let table = body.table().map(|table| format_ident!("{}", table.name.snake()));
    let lifetime = super::encode::lifetime(body).map(|_| quote!(<'b>));
    let setters = visible(body).map(|field| setter(body, field, &quote!('b)));
    let blanks = blanks(body, |_| None);
    let (generics, labels_in, argument) = generic_table(table.as_ref());
    let (no_labels, set_labels) = match &table {
        Some(_) => (quote!(, codec::NoLabels), quote!(labels: codec::NO_LABELS,)),
        None => (quote!(), quote!()),
    };
    let table_setter = body.table().map(|table| {
        let members = [quote!(out: self.out), quote!(fields: self.fields)];
        table_setter(&name, &quote!('b,), &members, &table.name.snake(), &table.doc)
    });
    let parameter = table.as_ref().map(|_| quote!(, L));
    let finish = quote! {
        /// Writes the payload, and answers its length in bytes.
        ///
        /// # Errors
        /// [`BuildError::NoSpace`], or the field that the schema forbids.
        #[inline]
        pub fn finish #generics (self) -> Result<usize, BuildError> #labels_in {
            self.fields.encode(#argument self.out)
        }
    };
    let reset = quote! {
        /// A blank one over the same buffer: for who may have to write it once more, because what
        /// was set the first time is refused.
        #[inline]
        pub const fn reset(&mut self) -> #name<'_ #no_labels> {
            #name::new(self.out)
        }
    };
    let label_member = table.as_ref().map(|_| quote!(labels: L,));
    quote! {
        #docs
        #[derive(Debug)]
        #[must_use = "nothing is written until `finish`"]
        pub struct #name<'b #parameter> {
            out: &'b mut [u8],
            fields: #fields #lifetime,
            #label_member
        }

        impl<'b> #name<'b #no_labels> {
            /// A payload to be written at the start of `out`.
            #[inline]
            pub const fn new(out: &'b mut [u8]) -> Self {
                Self { out, fields: #fields { #(#blanks),* }, #set_labels }
            }
        }

        impl<'b #parameter> #name<'b #parameter> {
            #(#setters)*
            #table_setter
            #reset
            #finish
        }
    }
}

fn visible<'s>(body: &Body<'s>) -> impl Iterator<Item = &'s Field> {
    body.record.fields.iter().filter(|field| is_visible(field))
}

/// Initial values of a record's fields: blank, or what `given` says.
pub(super) fn blanks(
    body: &Body<'_>,
    given: impl Fn(&Field) -> Option<TokenStream>,
) -> Vec<TokenStream> {
    let value = |field| {
        let name = ident(field);
        let value = given(field).unwrap_or_else(|| blank(body, field));
        if name == value.to_string() { quote!(#name) } else { quote!(#name: #value) }
    };
    visible(body).map(value).collect()
}

/// A method that sets one of a builder's fields.
pub(super) fn setter(body: &Body<'_>, field: &Field, lifetime: &TokenStream) -> TokenStream {
    let (name, docs) = (ident(field), field_doc(field));
    let (ty, value) = match string(field) {
        Some(_) => (quote!(&#lifetime (impl AsRef<[u8]> + ?Sized)), quote!(#name.as_ref())),
        None => {
            let ty = value_type(body, field);
            (quote!(#ty), quote!(#name))
        }
    };
    quote! {
        #docs
        #[inline]
        pub fn #name(mut self, #name: #ty) -> Self {
            self.fields.#name = #value;
            self
        }
    }
}

/// A method that sets a builder's labels, and with them its type.
pub(super) fn table_setter(
    builder: &Ident,
    lifetimes: &TokenStream,
    members: &[TokenStream],
    table: &str,
    written: &str,
) -> TokenStream {
    let name = format_ident!("{table}");
    let docs = doc(written, &format!("The {table}, in order: keys and values."));
    quote! {
        #docs
        #[inline]
        pub fn #name<I: IntoIterator>(self, #name: I) -> #builder<#lifetimes I::IntoIter> {
            #builder { #(#members,)* labels: #name.into_iter() }
        }
    }
}

/// What `finish` needs where labels are written: generics, bounds, and the argument.
pub(super) fn generic_table(table: Option<&Ident>) -> (TokenStream, TokenStream, TokenStream) {
    match table {
        Some(_) => (
            quote!(<K: AsRef<[u8]>, V: AsRef<[u8]>>),
            quote!(where L: ExactSizeIterator<Item = (K, V)>),
            quote!(self.labels,),
        ),
        None => Default::default(),
    }
}

/// The builder of a directory's item, which hands it to its response. `key` is passed to the
/// response's `push` before the item.
pub(super) fn of_item(
    body: &Body<'_>,
    response: &Body<'_>,
    settable: &[&Field],
    key: Option<&TokenStream>,
) -> TokenStream {
    let (name, fields, owner) = (body.builder(), body.fields(), response.builder());
    let table = body.table().map(|table| format_ident!("{}", table.name.snake()));
    let lifetime = super::encode::lifetime(body).map(|_| quote!(<'x>));
    let setters = settable.iter().map(|field| setter(body, field, &quote!('x)));
    let (generics, bounds, argument) = generic_table(table.as_ref());
    let parameter = table.as_ref().map(|_| quote!(, L));
    let member = table.as_ref().map(|_| quote!(labels: L,));
    let table_setter = body.table().map(|table| {
        let members = [quote!(response: self.response), quote!(fields: self.fields)];
        table_setter(&name, &quote!('x, 'b,), &members, &table.name.snake(), &table.doc)
    });
    let noun = super::doc_lines(&[format!(
        "Writes {} of a response. What is not set stays blank.",
        body.noun
    )]);
    let key = key.map(|key| quote!(&#key,));
    quote! {
        #noun
        #[derive(Debug)]
        #[must_use = "nothing is written until `finish`"]
        pub struct #name<'x, 'b #parameter> {
            response: &'x mut #owner<'b>,
            fields: #fields #lifetime,
            #member
        }

        impl<'x, 'b #parameter> #name<'x, 'b #parameter> {
            #(#setters)*
            #table_setter

            /// Adds the item to its response.
            ///
            /// # Errors
            /// The field that the schema forbids, or what keeps the response from taking it. After
            /// an error the response cannot be finished.
            #[inline]
            pub fn finish #generics (self) -> Result<(), BuildError> #bounds {
                self.response.items.push(#key |out| self.fields.encode(#argument out))
            }
        }
    }
}

/// A builder's methods that set the fields of its message's header.
pub(super) fn header_setters(body: &Body<'_>) -> TokenStream {
    let setters = visible(body).map(|field| {
        let (name, docs, ty) = (ident(field), field_doc(field), value_type(body, field));
        quote! {
            #docs
            #[inline]
            pub const fn #name(&mut self, #name: #ty) -> &mut Self {
                self.fields.#name = #name;
                self
            }
        }
    });
    quote!(#(#setters)*)
}
