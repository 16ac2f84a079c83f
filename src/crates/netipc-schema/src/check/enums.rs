//! Enumerations.

use std::collections::HashMap;

use super::names::{self, Naming};
use super::{fields, text};
use crate::diagnostic::{Code, Report};
use crate::ir::{Enum, Scalar, Variant};
use crate::{suggest, syntax};

/// All enumerations of a service, in the order written.
pub(super) fn check(enums: &[syntax::Enum], report: &mut Report) -> Vec<Enum> {
    names::distinct(enums.iter().map(|each| &each.name), report);
    enums.iter().map(|each| enumeration(each, report)).collect()
}

fn enumeration(syntax: &syntax::Enum, report: &mut Report) -> Enum {
    names::distinct(syntax.variants.iter().map(|variant| &variant.name), report);
    let scalar = syntax.scalar.as_ref().and_then(|word| unsigned(word, report));
    let variants = syntax
        .variants
        .iter()
        .map(|each| Variant {
            name: names::check(&each.name, Naming::Variant, report),
            doc: text::doc(each.doc.as_ref(), report),
            value: value(each, scalar, report),
        })
        .collect();
    distinct_values(&syntax.variants, report);
    Enum {
        name: names::check(&syntax.name, Naming::Enum, report),
        doc: text::doc(syntax.doc.as_ref(), report),
        scalar: scalar.unwrap_or(Scalar::U64),
        open: syntax.open.as_ref().is_some_and(|open| open.value),
        variants,
    }
}

fn unsigned(word: &syntax::Word, report: &mut Report) -> Option<Scalar> {
    let mut types = Scalar::ALL.into_iter().filter(|scalar| scalar.is_unsigned());
    let scalar = types.clone().find(|scalar| scalar.as_str() == word.value);
    if scalar.is_none() {
        let message = format!("`{}` is not a type that an enumeration may have", word.value);
        let help = suggest::help(&word.value, types.by_ref().map(Scalar::as_str));
        report.error(Code::EnumType, word.span, message, help);
    }
    scalar
}

fn value(variant: &syntax::Variant, scalar: Option<Scalar>, report: &mut Report) -> u64 {
    match (&variant.value, scalar) {
        (Some(value), Some(scalar)) => fields::number(value, scalar, report).unwrap_or_default(),
        _ => 0,
    }
}

fn distinct_values(variants: &[syntax::Variant], report: &mut Report) {
    let mut seen: HashMap<i128, &syntax::Variant> = HashMap::new();
    for variant in variants {
        let Some(value) = &variant.value else { continue };
        let Some(first) = seen.get(&value.value) else {
            seen.insert(value.value, variant);
            continue;
        };
        let message = format!("{} is `{}` already", value.value, first.name.value);
        report.error(Code::DuplicateValue, value.span, message, "give each variant its own value");
        report.also(first.name.span, "the first");
    }
}
