//! The Go backend: one package a service, composed of the building blocks in `protocol/payload`.
//!
//! What a package holds: constants, enumerations, views that were checked on decode, builders, owned
//! types, and the service as the engines of package `service` know it. Logic that every service shares
//! is not generated: it is called. Text comes from the templates beside this file, as `gofmt` has it.

mod fields;
mod record;
mod rules;
mod shape;
pub(super) mod tests;
mod text;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Value, context};

use super::bodies;
use super::{Output, go_marker};
use crate::ir::{Enum, Service, Shape, Variant};

/// Where the packages live that generated ones import.
const MODULE: &str = "github.com/netipc/netipc/src/go/pkg/netipc";

/// The files of a package, and what they are made of.
const FILES: [(&str, &str); 6] = [
    ("constants", include_str!("templates/constants.go.j2")),
    ("views", include_str!("templates/views.go.j2")),
    ("builders", include_str!("templates/builders.go.j2")),
    ("owned", include_str!("templates/owned.go.j2")),
    ("checks", include_str!("templates/checks.go.j2")),
    ("service", include_str!("templates/service.go.j2")),
];
/// The one that tells of the whole package.
const FILE_OF_PACKAGE_DOC: &str = "constants";

pub(super) fn generate(services: &[Service]) -> Vec<Output> {
    services.iter().flat_map(package).collect()
}

fn package(service: &Service) -> Vec<Output> {
    let context = model(service);
    let package = service.name.go_package();
    let files = FILES.iter().map(|(name, template)| {
        let doc = match *name {
            FILE_OF_PACKAGE_DOC => package_doc(service),
            _ => String::new(),
        };
        let opening = format!("// {}\n\n{doc}package {package}\n", go_marker(service));
        let body = render(name, template, &context);
        Output { file_name: format!("{package}/{name}.go"), text: text::file(&opening, &body) }
    });
    files.collect()
}

fn package_doc(service: &Service) -> String {
    format!(
        "// Package {} is the service `{}`. {}\n//\n\
         // Reading a view cannot fail: its payload was checked when it was decoded. The zero value of a\n\
         // view is none, and reading it panics.\n",
        service.name.go_package(),
        service.name,
        text::sentence(&service.doc),
    )
}

/// # Panics
/// If a template is wrong: a defect of this backend, which every test of it would meet.
fn render(name: &str, template: &str, context: &Value) -> String {
    let mut environment = Environment::new();
    let whitespace = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .expect("the delimiters are the usual ones");
    environment.set_syntax(whitespace);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment
        .render_named_str(name, template, context)
        .unwrap_or_else(|error| panic!("template {name}: {error:#}"))
}

/// All that templates see of a service.
fn model(service: &Service) -> Value {
    let records = bodies::of(service);
    let shape = match service.shape {
        Shape::Call { .. } => "call",
        Shape::Lookup(_) => "lookup",
        Shape::Snapshot => "snapshot",
    };
    let find = |stem: &str| {
        let body = records.iter().find(|body| body.stem == stem);
        body.map_or(Value::UNDEFINED, |body| record::model(body, &records))
    };
    let item = records.iter().find(|body| matches!(body.role, bodies::Role::Item));
    let key = records.iter().find(|body| matches!(body.role, bodies::Role::Key));
    context! {
        module => MODULE,
        package => service.name.go_package(),
        name => service.name.as_str(),
        snake => service.name.snake(),
        method => format!("{:#06x}", service.method),
        shape => shape,
        batch => matches!(service.shape, Shape::Call { batch: true }).to_string(),
        enums => service.enums.iter().map(enumeration).collect::<Vec<_>>(),
        bodies => records.iter().map(|body| record::model(body, &records)).collect::<Vec<_>>(),
        request => find("Request"),
        response => find("Response"),
        item => item.map(|body| record::model(body, &records)),
        key => key.map(|body| record::model(body, &records)),
        lookup => shape::lookup(service, &records),
        identity => shape::identity(service, &records),
    }
}

fn enumeration(enumeration: &Enum) -> Value {
    let name = fields::enum_type(enumeration);
    let variants: Vec<_> =
        enumeration.variants.iter().map(|each| variant(enumeration, each)).collect();
    let mut values: Vec<_> = enumeration.variants.iter().map(|variant| variant.value).collect();
    values.sort_unstable();
    let from_zero = (0u64..).zip(&values).all(|(wanted, value)| wanted == *value);
    let kind = match enumeration.open {
        true => "Open: numbers without a name are passed on.",
        false => "Closed: other values are rejected.",
    };
    let doc = match enumeration.doc.is_empty() {
        true => format!("{name} is `{}` of the schema.", enumeration.name),
        false => format!("{name} is `{}` of the schema. {}", enumeration.name, enumeration.doc),
    };
    context! {
        name => name,
        scalar => fields::scalar_type(enumeration.scalar),
        open => enumeration.open,
        doc => doc,
        kind => kind,
        variants => variants,
        greatest => if from_zero { values.last().copied() } else { None },
        values => values,
    }
}

fn variant(enumeration: &Enum, variant: &Variant) -> Value {
    let name = fields::variant(enumeration, variant);
    let text = variant.name.kebab();
    let doc = match variant.doc.is_empty() {
        true => format!("{name} is `{text}`."),
        false => format!("{name} is `{text}`. {}", variant.doc),
    };
    context! { name => name, value => variant.value, text => text, doc => doc }
}
