//! `netipc schema`: the schema compiler, for people.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use netipc_schema::backend::Target;
use netipc_schema::driver::{self, DriverError};
use netipc_schema::ir::{Element, FieldKind, Message, Record, Service, Shape};
use netipc_schema::{Diagnostic, Diagnostics};
use serde_json::{Value, json};

use crate::EXIT_STATUS;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Report every mistake of schemas at its line, or what each service is.
    ///
    /// Schemas that are checked together may share no name and no method code.
    #[command(after_help = EXIT_STATUS)]
    Check(Check),
    /// Write the code of services in one language.
    ///
    /// Nothing is written unless all schemas are right. Prints the name of each file that belongs
    /// to the services; files that are up to date already are left untouched.
    #[command(after_help = EXIT_STATUS)]
    Generate(Generate),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Print the services, or the mistakes, as one JSON object.
    #[arg(long)]
    json: bool,
    /// Schemas: KDL files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// What to write.
    #[arg(long, value_name = "LANG", value_parser = target())]
    lang: Target,
    /// The folder to write into; made if it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Schemas: KDL files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Command {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        match self {
            Self::Check(arguments) => arguments.run(out),
            Self::Generate(arguments) => arguments.run(out),
        }
    }
}

impl Check {
    fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        match driver::check(&self.files) {
            Ok(services) if self.json => {
                let services: Vec<_> = services.iter().map(service_json).collect();
                writeln!(out, "{:#}", json!({ "services": services }))?;
            }
            Ok(services) => {
                for service in &services {
                    writeln!(out, "{}", service_line(service))?;
                }
            }
            Err(DriverError::Schema(mistakes)) if self.json => {
                writeln!(out, "{:#}", mistakes_json(&mistakes))?;
                return Err(Failure::Said);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Generate {
    fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        for path in driver::generate(&self.files, self.lang, &self.out)? {
            writeln!(out, "{}", path.display())?;
        }
        Ok(())
    }
}

/// Parses `--lang`, which takes what the compiler has for trees other than its own.
fn target() -> impl TypedValueParser<Value = Target> {
    let offered = || Target::ALL.into_iter().filter(|target| target.is_for_users());
    let value = |target: Target| PossibleValue::new(target.name()).help(target.about());
    PossibleValuesParser::new(offered().map(value)).try_map(move |name| {
        offered().find(|target| target.name() == name).ok_or("not a language of the compiler")
    })
}

/// `ip-to-asn 0x0101 lookup: request of 4 fields, keys of 1; response of 4 fields, items of 7`.
fn service_line(service: &Service) -> String {
    let shape = match service.shape {
        Shape::Call { batch: true } => "call in batches",
        shape => shape.as_str(),
    };
    let message = |message: &Message| {
        let header = plural(message.header.fields.len(), "field");
        match &message.directory {
            Some(directory) => {
                format!("{header}, {} of {}", directory.name, field_count(&directory.element))
            }
            None => header,
        }
    };
    let (name, method) = (service.name.as_str(), service.method);
    let (request, response) = (message(&service.request), message(&service.response));
    format!("{name} {method:#06x} {shape}: request of {request}; response of {response}")
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A string that is an element by itself counts as its one field.
fn field_count(element: &Element) -> usize {
    match element {
        Element::BareString(_) => 1,
        Element::Record(record) => record.fields.len(),
    }
}

fn service_json(service: &Service) -> Value {
    json!({
        "name": service.name.as_str(),
        "method": service.method,
        "shape": service.shape.as_str(),
        "batch": matches!(service.shape, Shape::Call { batch: true }),
        "doc": service.doc,
        "request": message_json(&service.request),
        "response": message_json(&service.response),
    })
}

fn message_json(message: &Message) -> Value {
    let mut value = record_json(&message.header);
    if let Some(directory) = &message.directory {
        let element = match &directory.element {
            Element::BareString(string) => json!({ "string": string.name.as_str() }),
            Element::Record(record) => record_json(record),
        };
        value["directory"] = json!({ "name": directory.name.as_str(), "element": element });
    }
    value
}

fn record_json(record: &Record) -> Value {
    let field = |field: &netipc_schema::ir::Field| {
        json!({
            "name": field.name.as_str(),
            "offset": field.offset,
            "bytes": field.kind.size(),
            "type": type_name(&field.kind),
        })
    };
    let fields: Vec<_> = record.fields.iter().map(field).collect();
    let table = record.table.as_ref().map(|table| table.name.as_str());
    json!({ "bytes": record.size, "fields": fields, "table": table })
}

fn type_name(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Value { scalar, .. }
        | FieldKind::Const { scalar, .. }
        | FieldKind::Count { scalar } => scalar.as_str(),
        FieldKind::Generation => "u64",
        FieldKind::Reserved { .. } => "reserved",
        FieldKind::String(_) => "string",
    }
}

fn mistakes_json(mistakes: &Diagnostics) -> Value {
    let mistake = |mistake: &Diagnostic| {
        let place = mistake.place();
        json!({
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "code": mistake.code().as_str(),
            "message": mistake.to_string(),
            "help": mistake.help(),
        })
    };
    json!({ "mistakes": mistakes.list().iter().map(mistake).collect::<Vec<_>>() })
}
