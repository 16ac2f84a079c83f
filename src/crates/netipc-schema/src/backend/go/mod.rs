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

const CODEC: [(&str, &str); 5] = [
    ("enums", include_str!("templates/enums.go.j2")),
    ("views", include_str!("templates/views.go.j2")),
    ("builders", include_str!("templates/builders.go.j2")),
    ("owned", include_str!("templates/owned.go.j2")),
    ("checks", include_str!("templates/checks.go.j2")),
];
const SERVICE: &str = include_str!("templates/service.go.j2");

/// Two files a service: its codec, and what makes it a service.
pub(super) fn generate(services: &[Service]) -> Vec<Output> {
    services.iter().flat_map(|service| [codec(service), engines(service)]).collect()
}

fn codec(service: &Service) -> Output {
    let context = model(service);
    let parts = CODEC.iter().map(|(name, template)| render(name, template, &context));
    let body: String = parts.collect();
    let package = service.name.go_package();
    let opening = format!(
        "// {}\n\n// Package {package} is the service `{}`. {}\n//\n{PACKAGE_DOC}package {package}\n",
        go_marker(service),
        service.name,
        text::sentence(&service.doc),
    );
    Output { file_name: format!("{package}/codec.go"), text: text::file(&opening, &body) }
}

const PACKAGE_DOC: &str = "\
// Reading a view cannot fail: its payload was checked when it was decoded. The zero value of a view is\n\
// none, and reading it panics.\n";

fn engines(service: &Service) -> Output {
    let package = service.name.go_package();
    let opening = format!("// {}\n\npackage {package}\n", go_marker(service));
    let body = render("service", SERVICE, &model(service));
    Output { file_name: format!("{package}/service.go"), text: text::file(&opening, &body) }
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
