//! Enumerations: closed ones are Rust's own, open ones a number with names.

use proc_macro2::TokenStream;
use quote::quote;

use super::fields::{enum_ident, number, scalar_type, variant_ident};
use super::{doc, doc_lines};
use crate::ir::{Enum, Variant};

pub(super) fn declare(enumeration: &Enum) -> TokenStream {
    if enumeration.open { open(enumeration) } else { closed(enumeration) }
}

fn closed(enumeration: &Enum) -> TokenStream {
    let (name, scalar) = (enum_ident(enumeration), scalar_type(enumeration.scalar));
    let docs = enum_doc(enumeration, "Closed: other values are rejected.");
    let variants = enumeration.variants.iter().map(|variant| {
        let (ident, docs) = (variant_ident(enumeration, variant), variant_doc(variant));
        let value = number(enumeration.scalar, variant.value);
        quote!(#docs #ident = #value)
    });
    let from_wire = enumeration.variants.iter().map(|variant| {
        let ident = variant_ident(enumeration, variant);
        let value = number(enumeration.scalar, variant.value);
        quote!(#value => Some(Self::#ident))
    });
    let names = enumeration.variants.iter().map(|variant| {
        let (ident, text) = (variant_ident(enumeration, variant), variant.name.kebab());
        quote!(Self::#ident => #text)
    });
    quote! {
        #docs
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(#scalar)]
        pub enum #name { #(#variants),* }

        impl #name {
            /// The value that the wire's number stands for.
            #[inline]
            #[must_use]
            pub const fn from_wire(number: #scalar) -> Option<Self> {
                match number { #(#from_wire,)* _ => None }
            }

            /// The wire's number.
            #[inline]
            #[must_use]
            pub const fn to_wire(self) -> #scalar { self as #scalar }

            /// The name in the schema.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { #(#names),* }
            }
        }

        impl core::hash::Hash for #name {
            /// As its number: a cache may be searched in another language, by the same hash.
            #[inline]
            fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
                core::hash::Hash::hash(&self.to_wire(), hasher);
            }
        }

        impl core::fmt::Display for #name {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                formatter.pad(self.name())
            }
        }
    }
}

fn open(enumeration: &Enum) -> TokenStream {
    let (name, scalar) = (enum_ident(enumeration), scalar_type(enumeration.scalar));
    let docs = enum_doc(enumeration, "Open: numbers without a name are passed on.");
    let constants = enumeration.variants.iter().map(|variant| {
        let (ident, docs) = (variant_ident(enumeration, variant), variant_doc(variant));
        let value = number(enumeration.scalar, variant.value);
        quote!(#docs pub const #ident: Self = Self(#value);)
    });
    let names = enumeration.variants.iter().map(|variant| {
        let (ident, text) = (variant_ident(enumeration, variant), variant.name.kebab());
        quote!(Self::#ident => Some(#text))
    });
    quote! {
        #docs
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct #name(pub #scalar);

        impl #name {
            #(#constants)*

            /// The value that the wire's number stands for: every number is one.
            #[inline]
            #[must_use]
            pub const fn from_wire(number: #scalar) -> Self { Self(number) }

            /// The wire's number.
            #[inline]
            #[must_use]
            pub const fn to_wire(self) -> #scalar { self.0 }

            /// The name in the schema, if the number has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self { #(#names,)* _ => None }
            }
        }

        impl core::fmt::Display for #name {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => formatter.pad(name),
                    None => core::fmt::Display::fmt(&self.0, formatter),
                }
            }
        }
    }
}

fn enum_doc(enumeration: &Enum, kind: &str) -> TokenStream {
    let written = match enumeration.doc.is_empty() {
        true => format!("`{}` of the schema.", enumeration.name),
        false => enumeration.doc.clone(),
    };
    doc_lines(&[written, String::new(), kind.to_owned()])
}

fn variant_doc(variant: &Variant) -> TokenStream {
    doc(&variant.doc, &format!("`{}`.", variant.name.kebab()))
}
