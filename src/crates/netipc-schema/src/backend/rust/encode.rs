//! Writing records: the borrowed fields of one, and their way into a buffer.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::bodies::Body;
use super::check::condition;
use super::fields::{
    at, blank, ident, is_visible, limits, number, put, string, to_wire, value_type,
};
use crate::ir::{Field, FieldKind, Rule, Scalar, Target};

pub(super) fn declare(body: &Body<'_>) -> TokenStream {
    let (name, lifetime) = (body.fields(), lifetime(body));
    let docs = super::doc_lines(&[format!("What {} is written from.", body.noun)]);
    let members = body.record.fields.iter().filter(|field| is_visible(field)).map(|field| {
        let (name, ty) = (ident(field), member_type(body, field));
        quote!(#name: #ty)
    });
    let encode = match body.directory() {
        Some(_) => header(body),
        None => record(body),
    };
    let elided = lifetime.as_ref().map(|_| quote!(<'_>));
    let lifetime = lifetime.map(|lifetime| quote!(<#lifetime>));
    quote! {
        #docs
        #[derive(Clone, Copy, Debug)]
        struct #name #lifetime { #(#members),* }

        impl #name #elided { #encode }
    }
}

/// The lifetime parameter of the record's fields, if it has strings.
pub(super) fn lifetime(body: &Body<'_>) -> Option<TokenStream> {
    body.strings().next().map(|_| quote!('a))
}

fn member_type(body: &Body<'_>, field: &Field) -> TokenStream {
    match string(field) {
        Some(_) => quote!(&'a [u8]),
        None => {
            let ty = value_type(body, field);
            quote!(#ty)
        }
    }
}

/// A header's fixed part, once its directory is written.
fn header(body: &Body<'_>) -> TokenStream {
    let size = Literal::usize_unsuffixed(body.size());
    let puts = body.record.fields.iter().map(|field| put_field(field, &quote!(count)));
    if body.record.rules.is_empty() {
        return quote! {
            /// Writes the fixed part.
            #[inline]
            fn encode(&self, count: u32, fixed: &mut [u8; #size]) { #(#puts)* }
        };
    }
    let rules = rules(body, &body.record.rules);
    quote! {
        /// Writes the fixed part.
        #[inline]
        fn encode(&self, count: u32, fixed: &mut [u8; #size]) -> Result<(), BuildError> {
            #rules
            #(#puts)*
            Ok(())
        }
    }
}

/// A whole record.
fn record(body: &Body<'_>) -> TokenStream {
    let size = Literal::usize_unsuffixed(body.size());
    let limits = body.strings().map(check_limits);
    let (generics, parameter, count, write_table) = table(body);
    let rules = rules(body, &body.record.rules);
    let puts = body.record.fields.iter().map(|field| put_field(field, &quote!(count)));
    let strings = body.strings().map(|field| {
        let (name, at) = (ident(field), at(field));
        quote!(rest.string::<#at>(fixed, self.#name)?;)
    });
    let (names, values): (Vec<_>, Vec<_>) =
        body.strings().map(|field| (field.name.snake(), ident(field))).unzip();
    let refuse_nuls = (body.strictness.no_inner_nul && !names.is_empty())
        .then(|| quote!(rest.refuse_inner_nuls([#((#names, self.#values)),*])?;));
    let mutable = (!names.is_empty() || body.table().is_some()).then(|| quote!(mut));
    quote! {
        /// Writes the record, and answers its length in bytes.
        #[inline]
        fn encode #generics (&self, #parameter out: &mut [u8]) -> Result<usize, BuildError> {
            #(#limits)*
            #count
            #rules
            let (fixed, #mutable rest) = codec::RecordWriter::<#size>::new(out)?;
            #(#puts)*
            #(#strings)*
            #refuse_nuls
            #write_table
            Ok(rest.finish())
        }
    }
}

/// Generic parameters, parameter, count and writing of the record's table.
fn table(body: &Body<'_>) -> (TokenStream, TokenStream, TokenStream, TokenStream) {
    let Some(table) = body.table() else { return Default::default() };
    let text = table.name.snake();
    let scalar = match body.record.field(table.count).kind {
        FieldKind::Count { scalar } => super::fields::scalar_type(scalar),
        _ => super::fields::scalar_type(Scalar::U16),
    };
    (
        quote!(<K: AsRef<[u8]>, V: AsRef<[u8]>>),
        quote!(labels: impl ExactSizeIterator<Item = (K, V)>,),
        quote!(let count: #scalar = codec::count_of(labels.len(), #text)?;),
        quote!(rest.labels(#text, labels)?;),
    )
}

fn check_limits(field: &Field) -> TokenStream {
    match string(field) {
        Some(spec) if spec.min > 0 || spec.max.is_some() => {
            let (name, text) = (ident(field), field.name.snake());
            let (min, max) = limits(spec.min, spec.max);
            quote!(codec::check_length(#text, self.#name, #min, #max)?;)
        }
        _ => quote!(),
    }
}

/// Writes a field of the fixed part; strings are written with their text.
fn put_field(field: &Field, count: &TokenStream) -> TokenStream {
    let name = ident(field);
    match &field.kind {
        FieldKind::Value { scalar, .. } => put(field, *scalar, &to_wire(field, quote!(self.#name))),
        FieldKind::Generation => put(field, Scalar::U64, &quote!(self.#name)),
        FieldKind::Const { scalar, value } => put(field, *scalar, &number(*scalar, *value)),
        FieldKind::Count { scalar } => put(field, *scalar, count),
        FieldKind::Reserved { bytes } => {
            let (start, end) =
                (at(field), Literal::usize_unsuffixed((field.offset + bytes) as usize));
            quote!(fixed[#start..#end].fill(0);)
        }
        FieldKind::String(_) => quote!(),
    }
}

fn rules(body: &Body<'_>, rules: &[Rule]) -> TokenStream {
    let rules = rules.iter().map(|rule| match rule {
        Rule::When { field, variant, is, then } => {
            let inner = self::rules(body, then);
            let condition = condition(body, *field, variant.0, *is, &quote!(self.));
            quote!(if #condition { #inner })
        }
        Rule::Blank(targets) => requirements(body, targets, true),
        Rule::Filled(targets) => requirements(body, targets, false),
    });
    quote!(#(#rules)*)
}

fn requirements(body: &Body<'_>, targets: &[Target], blank_wanted: bool) -> TokenStream {
    let checks = targets.iter().map(|target| match target {
        Target::Field(id) => {
            let field = body.record.field(*id);
            let (name, text) = (ident(field), field.name.snake());
            let holds = match (string(field), blank_wanted) {
                (Some(_), true) => quote!(self.#name.is_empty()),
                (Some(_), false) => quote!(!self.#name.is_empty()),
                (None, _) => {
                    let blank = blank(body, field);
                    quote!(self.#name == #blank)
                }
            };
            quote!(codec::require(#holds, #text)?;)
        }
        Target::Table => {
            let text = body.table().map(|table| table.name.snake());
            let holds = if blank_wanted { quote!(count == 0) } else { quote!(count != 0) };
            quote!(codec::require(#holds, #text)?;)
        }
    });
    quote!(#(#checks)*)
}
