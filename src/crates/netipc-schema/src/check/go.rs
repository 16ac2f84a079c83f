//! What Go adds to the rules of names: enumerations and their values share one room with the types of
//! messages, and a builder has two setters for a string.

use std::collections::HashMap;

use super::names;
use crate::diagnostic::{Code, Report};
use crate::name::Name;
use crate::syntax::{self, Word};

/// Reports enumerations and values that Go would spell like something else of their package.
pub(super) fn package_names(syntax: &syntax::Service, report: &mut Report) {
    let mut taken: HashMap<String, String> = HashMap::new();
    for stem in ["Request", "Response"] {
        take(&mut taken, stem);
    }
    for record in [&syntax.request, &syntax.response] {
        let directory = record.directories.first();
        let records = directory.filter(|each| each.element.bare_strings.is_empty());
        if let Some(name) = records.and_then(|each| Name::new(&each.name.value)) {
            take(&mut taken, &name.singular().go_exported());
        }
    }
    for each in &syntax.enums {
        let Some(name) = Name::new(&each.name.value) else { continue };
        // What Rust spells so too was reported already.
        let rust = name.pascal();
        let spelled = name.go_exported();
        if rust != spelled && taken.contains_key(&spelled) {
            clash(&each.name, &spelled, &taken[&spelled], report);
        }
        taken.insert(spelled.clone(), format!("the enumeration `{name}`"));
    }
    for each in &syntax.enums {
        let Some(name) = Name::new(&each.name.value) else { continue };
        for variant in &each.variants {
            let Some(value) = Name::new(&variant.name.value) else { continue };
            let spelled = name.go_exported() + &value.go_exported();
            let other = format!("of the enumeration `{name}`");
            match taken.get(&spelled) {
                // Names that are there twice in any language were reported already.
                Some(same) if same.ends_with(&other) => {}
                Some(other) => clash(&variant.name, &spelled, &other.clone(), report),
                None if names::is_go_package_name(&spelled) => {
                    clash(&variant.name, &spelled, "a name of every generated package", report);
                }
                None => {
                    taken.insert(spelled, format!("`{value}` {other}"));
                }
            }
        }
    }
}

/// The types that are generated for a record.
fn take(taken: &mut HashMap<String, String>, stem: &str) {
    for suffix in ["", "View", "Builder"] {
        taken
            .insert(format!("{stem}{suffix}"), "a type that is generated for a message".to_owned());
    }
}

fn clash(word: &Word, spelled: &str, other: &str, report: &mut Report) {
    let message = format!("Go spells `{}` as `{spelled}`, which is {other}", word.value);
    report.error(Code::ReservedName, word.span, message, "choose another name");
}

/// Reports fields that Go would give a setter which sets a string from bytes.
pub(super) fn setters(syntax: &syntax::Record, report: &mut Report) {
    let spelled = |word: &Word| Name::new(&word.value).map(|name| name.go_exported());
    let strings =
        syntax.fields.iter().filter(|field| matches!(field.kind, syntax::FieldKind::String));
    let setters: HashMap<String, &Word> =
        strings.filter_map(|field| Some((spelled(&field.name)? + "Bytes", &field.name))).collect();
    let fields = syntax.fields.iter().map(|field| &field.name);
    for word in fields.chain(syntax.tables.iter().map(|table| &table.name)) {
        let Some(name) = spelled(word) else { continue };
        if let Some(string) = setters.get(&name) {
            let message = format!(
                "`{name}` is the setter in Go that takes the string `{}` as bytes",
                string.value
            );
            report.error(Code::DuplicateName, word.span, message, "rename one of the two");
            report.also(string.span, "the string");
        }
    }
}
