//! How a field is read, written and spelled.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::bodies::Body;
pub(super) use crate::backend::bodies::{is_visible, string};
use crate::ir::{Enum, Field, FieldKind, Scalar, Variant};

/// The field's name in Rust.
pub(super) fn ident(field: &Field) -> Ident {
    format_ident!("{}", field.name.snake())
}

/// Where the field stands.
pub(super) fn at(field: &Field) -> Literal {
    Literal::usize_unsuffixed(field.offset as usize)
}

/// The type of a number's value; `None` for what is not a visible number.
pub(super) fn value_type(body: &Body<'_>, field: &Field) -> Option<TokenStream> {
    match &field.kind {
        FieldKind::Value { enumeration: Some(id), .. } => {
            let name = enum_ident(body.enumeration(*id));
            Some(quote!(#name))
        }
        FieldKind::Value { scalar, .. } => {
            let scalar = scalar_type(*scalar);
            Some(quote!(#scalar))
        }
        FieldKind::Generation => Some(quote!(u64)),
        _ => None,
    }
}

pub(super) fn scalar_type(scalar: Scalar) -> Ident {
    format_ident!("{}", scalar.as_str())
}

pub(super) fn enum_ident(enumeration: &Enum) -> Ident {
    format_ident!("{}", enumeration.name.pascal())
}

/// `Status::Known`, or `Orchestrator::DOCKER` where values without a variant are passed on.
pub(super) fn variant_path(enumeration: &Enum, variant: &Variant) -> TokenStream {
    let name = enum_ident(enumeration);
    let variant = variant_ident(enumeration, variant);
    quote!(#name::#variant)
}

pub(super) fn variant_ident(enumeration: &Enum, variant: &Variant) -> Ident {
    match enumeration.open {
        true => format_ident!("{}", variant.name.screaming()),
        false => format_ident!("{}", variant.name.pascal()),
    }
}

/// The number at a field of `from`, which names an array of the record's fixed bytes.
pub(super) fn get(field: &Field, scalar: Scalar, from: &TokenStream) -> TokenStream {
    let (get, at) = (format_ident!("get_{}", scalar.as_str()), at(field));
    quote!(codec::#get::<#at, _>(#from))
}

/// Writes a number to a field of `fixed`.
pub(super) fn put(field: &Field, scalar: Scalar, value: &TokenStream) -> TokenStream {
    let (put, at) = (format_ident!("put_{}", scalar.as_str()), at(field));
    quote!(codec::#put::<#at, _>(fixed, #value);)
}

/// The two numbers of a string field: offset and length.
pub(super) fn get_span(field: &Field, from: &TokenStream) -> (TokenStream, TokenStream) {
    let offset = at(field);
    let length = Literal::usize_unsuffixed(field.offset as usize + 4);
    (quote!(codec::get_u32::<#offset, _>(#from)), quote!(codec::get_u32::<#length, _>(#from)))
}

/// What the field holds when a rule says `blank`: a value of its type.
pub(super) fn blank(body: &Body<'_>, field: &Field) -> TokenStream {
    match &field.kind {
        FieldKind::Value { enumeration: Some(id), scalar, blank, .. } => {
            enum_value(body.enumeration(*id), *scalar, *blank)
        }
        FieldKind::Value { scalar, blank, .. } => number(*scalar, *blank),
        FieldKind::String(_) => quote!(b""),
        _ => quote!(0),
    }
}

fn enum_value(enumeration: &Enum, scalar: Scalar, value: u64) -> TokenStream {
    let variant = enumeration.variants.iter().find(|variant| variant.value == value);
    match variant {
        Some(variant) => variant_path(enumeration, variant),
        None => {
            let (name, value) = (enum_ident(enumeration), number(scalar, value));
            quote!(#name(#value))
        }
    }
}

/// A literal of a scalar's type. Negative values are kept in two's complement by the model.
pub(super) fn number(scalar: Scalar, value: u64) -> TokenStream {
    let literal = match scalar.is_unsigned() {
        true => Literal::u64_unsuffixed(value),
        false => Literal::i64_unsuffixed(value.cast_signed()),
    };
    quote!(#literal)
}

/// The number that goes on the wire for `value`, an expression of the field's type.
pub(super) fn to_wire(field: &Field, value: TokenStream) -> TokenStream {
    match &field.kind {
        FieldKind::Value { enumeration: Some(_), .. } => quote!(#value.to_wire()),
        _ => value,
    }
}

/// `min` and `max` of a string, as the building blocks take them.
pub(super) fn limits(min: u32, max: Option<u32>) -> (Literal, TokenStream) {
    let max = match max {
        Some(max) => {
            let max = Literal::usize_unsuffixed(max as usize);
            quote!(#max)
        }
        None => quote!(codec::UNLIMITED),
    };
    (Literal::usize_unsuffixed(min as usize), max)
}
