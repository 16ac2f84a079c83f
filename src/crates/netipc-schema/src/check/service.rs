//! A service as a whole, and services beside each other.

use std::collections::{HashMap, HashSet};

use super::fields::Enums;
use super::{c, enums, go, message, names, shapes, text};
use crate::diagnostic::{Code, Report};
use crate::ir::Service;
use crate::name::Name;
use crate::syntax::{self, Integer};

/// The services of the contract, by method code from 1 up (spec section 1).
const CONTRACT: [&str; 5] =
    ["increment", "cgroups-snapshot", "string-reverse", "cgroups-lookup", "apps-lookup"];

/// The first code that a service of this project may take.
const FIRST_METHOD: i128 = 0x0100;
const LAST_METHOD: i128 = 0xFFFF;

/// The service that a tree describes; to be trusted only if nothing was reported.
pub(crate) fn service(syntax: &syntax::Service, report: &mut Report) -> Service {
    let name = names::service(&syntax.name, report);
    let method = syntax.method.as_ref().map_or(0, |code| method(code, &syntax.name.value, report));
    if syntax.doc.is_none() {
        let help = "add `doc \"What the service knows.\"` as its first node";
        report.error(Code::Doc, syntax.name.span, "the service does not say what it is for", help);
    }
    let doc = text::doc(syntax.doc.as_ref(), report);
    let checked = enums::check(&syntax.enums, report);
    let enums = Enums { syntax: &syntax.enums, checked: &checked };
    let request = message::check(&syntax.request, &enums, report);
    let mut response = message::check(&syntax.response, &enums, report);
    type_names(syntax, report);
    go::package_names(syntax, report);
    let shape = shapes::check(syntax, &enums, &request, &mut response, report);
    let (request, response) = (request.finish(), response.finish());
    let service = Service { name, method, shape, doc, enums: checked, request, response };
    if report.is_empty() {
        c::names(&service, syntax, report);
    }
    service
}

/// Reports services that share a name or a method code, each in the report of the later file.
pub(crate) fn distinct(services: &mut [(&syntax::Service, &mut Report)]) {
    let mut names: HashMap<String, String> = HashMap::new();
    let mut methods: HashMap<i128, String> = HashMap::new();
    for (service, report) in services {
        let word = &service.name;
        let spelled = Name::new(&word.value).map(|name| name.pascal().to_ascii_lowercase());
        if let Some(spelled) = spelled {
            if let Some(first) = names.get(&spelled) {
                let message = format!("`{}` is the service of {first} already", word.value);
                let help = "rename one of the two; `-` alone does not tell names apart";
                report.error(Code::DuplicateService, word.span, message, help);
            } else {
                names.insert(spelled, report.file_name().to_owned());
            }
        }
        let Some(code) = &service.method else { continue };
        if let Some(first) = methods.get(&code.value) {
            let message = format!("method {:#06x} is that of {first} already", code.value);
            let help = "give one of the two a code of its own, from 0x0100 up";
            report.error(Code::DuplicateMethod, code.span, message, help);
        } else {
            methods.insert(code.value, report.file_name().to_owned());
        }
    }
}

fn method(code: &Integer, service: &str, report: &mut Report) -> u16 {
    let contract =
        usize::try_from(code.value).ok().and_then(|code| CONTRACT.get(code.checked_sub(1)?));
    let reason = match (contract, code.value) {
        (Some(name), _) if *name == service => None,
        (Some(name), _) => Some(format!("is that of the contract's `{name}`")),
        (None, 0) => Some("is no method".to_owned()),
        (None, 1..FIRST_METHOD) => Some("is kept free for the peers in the field".to_owned()),
        (None, FIRST_METHOD..=LAST_METHOD) => None,
        _ => Some("does not fit a u16".to_owned()),
    };
    if let Some(reason) = reason {
        let message = format!("method {} {reason}", code.value);
        let help = "write a code from 0x0100 to 0xffff that no other service has";
        report.error(Code::Method, code.span, message, help);
    }
    u16::try_from(code.value).unwrap_or_default()
}

/// Elements and enumerations become types beside those that are generated for the messages.
fn type_names(syntax: &syntax::Service, report: &mut Report) {
    const SUFFIXES: [&str; 5] = ["", "View", "Builder", "Fields", "Owned"];
    let family = |base: &str| SUFFIXES.map(|suffix| format!("{base}{suffix}"));
    let mut taken: HashSet<String> = ["Request", "Response"].into_iter().flat_map(family).collect();

    let directories = [&syntax.request, &syntax.response].map(|record| record.directories.first());
    for directory in directories.into_iter().flatten() {
        let Some(name) = Name::new(&directory.name.value).map(|name| name.singular()) else {
            continue;
        };
        if !directory.element.bare_strings.is_empty() {
            continue;
        }
        let types = family(&name.pascal());
        if names::is_reserved_type(&name) || types.iter().any(|each| taken.contains(each)) {
            let message = format!("generated code has a type `{}` already", name.pascal());
            let help = "choose another name: its singular becomes a type";
            report.error(Code::ReservedName, directory.name.span, message, help);
        }
        taken.extend(types);
    }
    for word in syntax.enums.iter().map(|each| &each.name) {
        let Some(spelled) = Name::new(&word.value).map(|name| name.pascal()) else { continue };
        if taken.contains(&spelled) {
            let message =
                format!("`{spelled}` is a type that is generated for the service's messages");
            report.error(Code::ReservedName, word.span, message, "choose another name");
        }
    }
}
