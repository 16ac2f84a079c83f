//! The tests of a service's codec in Go: what the shared test logic must know of the service to run its
//! vectors and its properties. A new service is tested without anybody writing a test.

use std::fmt::Write as _;

use minijinja::{Value, context};

use super::{fields, model, record, render, text};
use crate::backend::bodies::{self, Body, Role, string};
use crate::backend::keys::KeyKind;
use crate::backend::{Output, go_marker};
use crate::ir::{Rule, Service, Target};

const TESTS: &str = include_str!("templates/codec_test.go.j2");

/// Random strings are short enough that many fit, within the schema's limits.
const LONGER_THAN_LEAST: u32 = 40;

/// A test file a service, beside its codec.
pub(in crate::backend) fn generate(services: &[Service]) -> Vec<Output> {
    services.iter().map(tests).collect()
}

fn tests(service: &Service) -> Output {
    let package = service.name.go_package();
    let records = bodies::of(service);
    let kind = KeyKind::of_service(service, &records);
    let key = records.iter().find(|body| matches!(body.role, Role::Key));
    let key_limits = match kind {
        Some(KeyKind::Text(text)) => random_limits(text.min, text.max),
        _ => (0, 0),
    };
    // The vectors call a list of keys by the keys' own name, `paths` or `pids`.
    let keys_in_json = match kind {
        Some(KeyKind::Text(text)) => format!("{}s", text.name.snake()),
        Some(KeyKind::Number(field)) => format!("{}s", field.name.snake()),
        _ => "keys".to_owned(),
    };
    let context = context! {
        records => records.iter().map(|body| test_model(body, &package)).collect::<Vec<_>>(),
        key_record => key.map(|body| test_model(body, &package)),
        key_min => key_limits.0,
        key_max => key_limits.1,
        keys_in_json => keys_in_json,
        ..model(service)
    };
    let opening = format!("// {}\n\npackage {package}_test\n", go_marker(service));
    let body = render("codec_test", TESTS, &context);
    Output {
        file_name: format!("{package}/codec_test.go"),
        text: text::file_importing(&opening, &body, &[&package]),
    }
}

/// What tests see of a record beside the model of its codec.
fn test_model(body: &Body<'_>, package: &str) -> Value {
    let visible: Vec<_> = record::visible(body)
        .map(|field| {
            let limits = string(field).map(|spec| random_limits(spec.min, spec.max));
            context! {
                random_min => limits.map(|limits| limits.0),
                random_max => limits.map(|limits| limits.1),
                ..record::field_model(body, field)
            }
        })
        .collect();
    context! {
        name => record::stem(body),
        fields => visible,
        keeps => keep_rules(body, &body.record.rules, package, 1),
        no_inner_nul => body.strictness.no_inner_nul,
        ..record::model(body, &bodies::of(body.service))
    }
}

/// Lengths that random strings take.
fn random_limits(min: u32, max: Option<u32>) -> (u32, u32) {
    (min, max.unwrap_or(u32::MAX).min(min.saturating_add(LONGER_THAN_LEAST)))
}

/// Statements that make `m` keep the rules.
fn keep_rules(body: &Body<'_>, rules: &[Rule], package: &str, depth: usize) -> String {
    let indent = "\t".repeat(depth);
    let mut text = String::new();
    for rule in rules {
        match rule {
            Rule::When { field, variant, is, then } => {
                let field = body.record.field(*field);
                let Some(enumeration) = fields::enumeration(body, field) else { continue };
                let variant = fields::variant(enumeration, &enumeration.variants[variant.0]);
                let (name, operator) = (field.name.go_exported(), if *is { "==" } else { "!=" });
                let inner = keep_rules(body, then, package, depth + 1);
                let _ = writeln!(
                    text,
                    "{indent}if m.{name} {operator} {package}.{variant} {{\n{inner}{indent}}}"
                );
            }
            Rule::Blank(targets) => {
                text.extend(
                    targets.iter().map(|target| make_blank(body, *target, package, &indent)),
                );
            }
            Rule::Filled(targets) => {
                text.extend(targets.iter().map(|target| make_filled(body, *target, &indent)));
            }
        }
    }
    text
}

fn make_blank(body: &Body<'_>, target: Target, package: &str, indent: &str) -> String {
    match target {
        Target::Field(id) => {
            let field = body.record.field(id);
            let blank = match (string(field), fields::enumeration(body, field)) {
                (Some(_), _) => "\"\"".to_owned(),
                (None, Some(_)) => {
                    let blank = fields::blank(body, field).0;
                    let is_number = blank.starts_with(|first: char| first.is_ascii_digit());
                    if is_number { blank } else { format!("{package}.{blank}") }
                }
                (None, None) => fields::blank(body, field).0,
            };
            format!("{indent}m.{} = {blank}\n", field.name.go_exported())
        }
        Target::Table => {
            let name = body.table().map(|table| table.name.go_exported()).unwrap_or_default();
            format!("{indent}m.{name} = nil\n")
        }
    }
}

fn make_filled(body: &Body<'_>, target: Target, indent: &str) -> String {
    match target {
        Target::Field(id) => {
            format!("{indent}codectest.Fill(&m.{})\n", body.record.field(id).name.go_exported())
        }
        Target::Table => {
            let name = body.table().map(|table| table.name.go_exported()).unwrap_or_default();
            format!("{indent}codectest.FillLabels(&m.{name})\n")
        }
    }
}
