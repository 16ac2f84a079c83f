//! Checks: everything that a decoder rejects (spec section 10.7), record by record.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens as _, format_ident, quote};

use super::bodies::{Body, Role};
use super::fields::{
    at, blank, enum_ident, get, get_span, ident, limits, number, string, variant_path,
};
use crate::ir::{Field, FieldId, FieldKind, Record, Rule, Scalar, Target};

pub(super) fn declare(body: &Body<'_>) -> TokenStream {
    let (name, size) = (body.check(), Literal::usize_unsuffixed(body.size()));
    let docs = super::doc_lines(&[format!("Checks {}, and answers its fixed part.", body.noun)]);
    let fixed_fields = body.record.fields.iter().map(|field| fixed_field(body, field));
    let spans = body.strings().map(span);
    let tail = tail(body);
    let rules = rules(body, &body.record.rules);
    quote! {
        #docs
        #[inline]
        fn #name(record: &[u8]) -> Result<&[u8; #size], DecodeError> {
            let fixed = codec::fixed_part(record)?;
            #(#fixed_fields)*
            #(#spans)*
            #tail
            #rules
            Ok(fixed)
        }
    }
}

/// The check of a number by itself, and a variable for it where a rule will look at it.
fn fixed_field(body: &Body<'_>, field: &Field) -> TokenStream {
    let (fixed, at, name) = (quote!(fixed), at(field), ident(field));
    match &field.kind {
        FieldKind::Const { scalar, value } => {
            let (found, value) = (get(field, *scalar, &fixed), number(*scalar, *value));
            quote!(codec::check(#found == #value, codec::Defect::Layout, #at)?;)
        }
        FieldKind::Reserved { bytes } => {
            let zero = reserved_is_zero(field, *bytes);
            quote!(codec::check(#zero, codec::Defect::Reserved, #at)?;)
        }
        FieldKind::Value { scalar, enumeration, .. } => {
            let found = get(field, *scalar, &fixed);
            let value = match enumeration.map(|id| body.enumeration(id)) {
                None => found,
                Some(open) if open.open => {
                    let ty = enum_ident(open);
                    quote!(#ty::from_wire(#found))
                }
                Some(closed) => {
                    let ty = enum_ident(closed);
                    quote!(codec::known(#ty::from_wire(#found), #at)?)
                }
            };
            let closed = enumeration.is_some_and(|id| !body.enumeration(id).open);
            match (is_ruled(body.record, field), closed) {
                (true, _) => quote!(let #name = #value;),
                (false, true) => quote!(#value;),
                (false, false) => quote!(),
            }
        }
        FieldKind::Count { .. } | FieldKind::Generation | FieldKind::String(_) => quote!(),
    }
}

fn reserved_is_zero(field: &Field, bytes: u32) -> TokenStream {
    let scalar = [Scalar::U8, Scalar::U16, Scalar::U32, Scalar::U64];
    if let Some(scalar) = scalar.into_iter().find(|scalar| scalar.size() == bytes) {
        let found = get(field, scalar, &quote!(fixed));
        return quote!(#found == 0);
    }
    let (start, end) = (at(field), Literal::usize_unsuffixed((field.offset + bytes) as usize));
    quote!(fixed[#start..#end].iter().all(|byte| *byte == 0))
}

/// Whether a rule of the record speaks of the field.
fn is_ruled(record: &Record, field: &Field) -> bool {
    fn speaks(rules: &[Rule], record: &Record, field: &Field) -> bool {
        let is = |id: &FieldId| std::ptr::eq(record.field(*id), field);
        let names = |target: &Target| matches!(target, Target::Field(id) if is(id));
        rules.iter().any(|rule| match rule {
            Rule::When { field: asked, then, .. } => is(asked) || speaks(then, record, field),
            Rule::Blank(targets) | Rule::Filled(targets) => targets.iter().any(names),
        })
    }
    speaks(&record.rules, record, field)
}

/// A string field's place and length.
fn span(field: &Field) -> TokenStream {
    let Some(spec) = string(field) else { return quote!() };
    let (name, at) = (ident(field), at(field));
    let (offset, length) = get_span(field, &quote!(fixed));
    let place = spec.place.map(|place| {
        let place = Literal::u32_unsuffixed(place);
        quote!(codec::check(#name.offset == #place, codec::Defect::Layout, #at)?;)
    });
    let limited = spec.min > 0 || spec.max.is_some();
    let limits = limited.then(|| {
        let (min, max) = limits(spec.min, spec.max);
        quote!(#name.check_length(#min, #max)?;)
    });
    quote! {
        let #name = codec::StringSpan { field_at: #at, offset: #offset, length: #length };
        #place
        #limits
    }
}

/// The strings, the table, and where the record must end.
fn tail(body: &Body<'_>) -> TokenStream {
    let size = Literal::usize_unsuffixed(body.size());
    let names: Vec<_> = body.strings().map(ident).collect();
    let no_inner_nul = body.strictness.no_inner_nul;
    let exact = body.strictness.exact_end && !matches!(body.role, Role::Message(_));
    let strings = quote!(codec::check_strings(record, #size, [#(#names),*], #no_inner_nul)?);
    let strings = if names.is_empty() { size.clone().into_token_stream() } else { strings };
    match body.table() {
        Some(table) => {
            let (name, count) = (
                format_ident!("{}", table.name.snake()),
                super::views::count_of_table(body, &quote!(fixed)),
            );
            let count_at = at(body.record.field(table.count));
            quote! {
                let strings_end = #strings;
                let #name = #count;
                codec::check_labels(record, strings_end, #name, #count_at)?;
            }
        }
        None if exact => quote!(codec::check_end(record, #strings)?;),
        None if names.is_empty() => quote!(),
        None => quote!(#strings;),
    }
}

fn rules(body: &Body<'_>, rules: &[Rule]) -> TokenStream {
    let rules = rules.iter().map(|rule| match rule {
        Rule::When { field, variant, is, then } => {
            let inner = self::rules(body, then);
            let condition = condition(body, *field, variant.0, *is, &quote!());
            quote!(if #condition { #inner })
        }
        Rule::Blank(targets) => requirements(body, targets, true),
        Rule::Filled(targets) => requirements(body, targets, false),
    });
    quote!(#(#rules)*)
}

/// `status == Status::Known`, where `owner` is what stands before the field's name.
pub(super) fn condition(
    body: &Body<'_>,
    field: FieldId,
    variant: usize,
    is: bool,
    owner: &TokenStream,
) -> TokenStream {
    let field = body.record.field(field);
    let FieldKind::Value { enumeration: Some(id), .. } = &field.kind else { return quote!(true) };
    let enumeration = body.enumeration(*id);
    let (name, variant) = (ident(field), variant_path(enumeration, &enumeration.variants[variant]));
    if is { quote!(#owner #name == #variant) } else { quote!(#owner #name != #variant) }
}

fn requirements(body: &Body<'_>, targets: &[Target], blank_wanted: bool) -> TokenStream {
    let checks = targets.iter().map(|target| match target {
        Target::Field(id) => {
            let field = body.record.field(*id);
            let (name, at) = (ident(field), at(field));
            let holds = match (string(field), blank_wanted) {
                (Some(_), true) => quote!(#name.length == 0),
                (Some(_), false) => quote!(#name.length != 0),
                (None, _) => {
                    let blank = blank(body, field);
                    quote!(#name == #blank)
                }
            };
            quote!(codec::check(#holds, codec::Defect::Rule, #at)?;)
        }
        Target::Table => match body.table() {
            Some(table) => {
                let (name, at) =
                    (format_ident!("{}", table.name.snake()), at(body.record.field(table.count)));
                let holds = if blank_wanted { quote!(#name == 0) } else { quote!(#name != 0) };
                quote!(codec::check(#holds, codec::Defect::Rule, #at)?;)
            }
            None => quote!(),
        },
    });
    quote!(#(#checks)*)
}
