//! The builders of a snapshot.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::bodies::{Body, Role};
use super::builders::{blanks, header_setters, of_item, of_message};
use super::fields::is_visible;
use crate::ir::Directory;

pub(super) fn declare(bodies: &[Body<'_>]) -> TokenStream {
    let find = |stem: &str| bodies.iter().find(|body| body.stem == stem);
    let item = bodies.iter().find(|body| matches!(body.role, Role::Item));
    let (Some(request), Some(response), Some(item)) = (find("Request"), find("Response"), item)
    else {
        return quote!();
    };
    let request = of_message(request);
    let settable: Vec<_> = item.record.fields.iter().filter(|field| is_visible(field)).collect();
    let item_builder = of_item(item, response, &settable, None);
    let response = response_builder(response, item);
    quote!(#request #response #item_builder)
}

fn response_builder(response: &Body<'_>, item: &Body<'_>) -> TokenStream {
    let (name, fields) = (response.builder(), response.fields());
    let (item_builder, item_fields) = (item.builder(), item.fields());
    let size = Literal::usize_unsuffixed(response.size());
    let (header_blanks, item_blanks) = (blanks(response, |_| None), blanks(item, |_| None));
    let setters = header_setters(response);
    let elements = response.directory().map(|Directory { name, .. }| name.snake());
    let one = quote::format_ident!(
        "{}",
        response.directory().map(|directory| directory.name.singular().snake()).unwrap_or_default()
    );
    let header_error = response.header_error();
    let (no_labels, labels) = match item.table() {
        Some(_) => (quote!(, codec::NoLabels), quote!(, labels: codec::NO_LABELS)),
        None => (quote!(), quote!()),
    };
    quote! {
        /// Writes a response into a buffer, item by item.
        #[derive(Debug)]
        #[must_use = "the response is complete only after `finish`"]
        pub struct #name<'b> {
            items: codec::SnapshotWriter<'b>,
            fields: #fields,
        }

        impl<'b> #name<'b> {
            /// A response at the start of `out`, for about `expected` items: where they turn out to
            /// be more or fewer, what was written is moved.
            ///
            /// # Errors
            /// [`BuildError::NoSpace`].
            #[inline]
            pub fn new(out: &'b mut [u8], expected: usize) -> Result<Self, BuildError> {
                let items = codec::SnapshotWriter::new(out, #size, expected)?;
                Ok(Self { items, fields: #fields { #(#header_blanks),* } })
            }

            #setters

            /// Begins the next item.
            #[inline]
            pub fn #one<'x>(&'x mut self) -> #item_builder<'x, 'b #no_labels> {
                #item_builder { fields: #item_fields { #(#item_blanks),* }, response: self #labels }
            }

            /// How many items were added.
            #[inline]
            #[must_use]
            pub const fn len(&self) -> usize { self.items.len() }

            /// Whether none was added.
            #[inline]
            #[must_use]
            pub const fn is_empty(&self) -> bool { self.items.is_empty() }

            /// Ends the response, and answers its length in bytes.
            ///
            /// # Errors
            /// The first error of its items, or the field that the schema forbids.
            #[inline]
            pub fn finish(self) -> Result<usize, BuildError> {
                let (fixed, count, len) = self.items.finish(#elements)?;
                self.fields.encode(count, fixed) #header_error;
                Ok(len)
            }
        }
    }
}
