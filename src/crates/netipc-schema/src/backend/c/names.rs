//! Every identifier that a service has in C, and what of the schema it comes from: names that no compiler of
//! C could tell apart are refused before anything is generated.

use super::fields;
use super::record::count_name;
use crate::backend::bodies::{self, Body, Role, is_visible};
use crate::backend::roles::{answers, statuses as statuses_of};
use crate::ir::{Service, Shape};
use crate::name::Name;

/// What of a schema an identifier is made of: the names that stand in it, by which it is found again.
pub(crate) struct Identifier<'s> {
    pub(crate) text: String,
    /// `None` for what every service of the shape has.
    pub(crate) origin: Option<&'s Name>,
}

/// What follows the prefix in types and functions that services have, whatever is in them.
const OWN: &str = "request_t request_view_t response_t response_view_t answer_view_t batch_view_t \
                   response_copy_t request_builder_t response_builder_t handler_fn client_init \
                   handler server_init call batch batch_view_get answer_view_item answer_copy \
                   response_view_item request_view_key request_decode request_encode \
                   response_decode response_encode request_builder_init request_builder_push \
                   request_builder_finish response_builder_init response_builder_item \
                   response_builder_set response_builder_is_full response_builder_finish \
                   response_copy response_copy_view response_copy_free \
                   response_view_read";
const OWN_MACROS: &str = "SERVICE METHOD REQUEST_INIT RESPONSE_INIT";
const OWN_OF_CACHES: &str = "cache_t cache_guard_t cache_init cache_refresh cache_ready \
                             cache_read_lock cache_get cache_find cache_count cache_item cache_generation \
                             cache_read_unlock cache_status cache_abort cache_abort_clear \
                             cache_close";

/// All that one header declares for everybody, in no order.
pub(crate) fn identifiers(service: &Service) -> Vec<Identifier<'_>> {
    let (prefix, macros) = (fields::prefix(service), fields::macro_prefix(service));
    let own = |prefix: &str, words: &str| {
        let spelled = words.split_whitespace().map(|word| format!("{prefix}_{word}"));
        spelled.map(|text| Identifier { text, origin: None }).collect::<Vec<_>>()
    };
    let mut all = own(&prefix, OWN);
    all.extend(own(&macros, OWN_MACROS));
    if service.shape == Shape::Snapshot {
        all.extend(own(&fields::cache_prefix(service), OWN_OF_CACHES));
    }
    let mut from = |text: String, origin| all.push(Identifier { text, origin: Some(origin) });
    for each in &service.enums {
        from(fields::enum_type(service, each), &each.name);
        from(format!("{prefix}_{}_name", each.name.snake()), &each.name);
        for variant in &each.variants {
            from(fields::variant(service, each, variant), &variant.name);
        }
    }
    let records = bodies::of(service);
    for body in &records {
        let directory = match body.role {
            Role::Item => &service.response.directory,
            Role::Key => &service.request.directory,
            Role::Message(_) => continue,
        };
        let Some(directory) = directory else { continue };
        from(format!("{prefix}_{}_t", body.snake), &directory.name);
        from(format!("{prefix}_{}_view_t", body.snake), &directory.name);
        from(format!("{prefix}_{}_view_read", body.snake), &directory.name);
        from(format!("{macros}_{}_INIT", body.snake.to_ascii_uppercase()), &directory.name);
    }
    for name in setters(service, &records) {
        from(format!("{prefix}_response_builder_{}", name.snake()), name);
    }
    all
}

/// What becomes a function of a response's builder.
fn setters<'s>(service: &'s Service, records: &[Body<'s>]) -> Vec<&'s Name> {
    if service.response.directory.is_none() {
        return Vec::new();
    }
    let fields = service.response.header.fields.iter().filter(|field| is_visible(field));
    let mut names: Vec<_> = fields.map(|field| &field.name).collect();
    let item = records.iter().find(|body| matches!(body.role, Role::Item));
    if let (Shape::Lookup(roles), Some(item)) = (service.shape, item)
        && let Some(statuses) =
            service.enums.iter().find(|each| std::ptr::eq(*each, statuses_of(item, roles)))
    {
        names.extend(answers(item, roles).into_iter().map(|index| &statuses.variants[index].name));
    }
    names
}

/// The members of each struct, by what the schema calls them.
pub(crate) fn members(service: &Service) -> Vec<Vec<Identifier<'_>>> {
    let messages = [&service.request, &service.response];
    let elements =
        messages.iter().filter_map(|message| match &message.directory.as_ref()?.element {
            crate::ir::Element::Record(record) => Some((record, None)),
            crate::ir::Element::BareString(_) => None,
        });
    let headers = messages.iter().map(|message| (&message.header, message.directory.as_ref()));
    let structs = headers.chain(elements).map(|(record, directory)| {
        let visible = record.fields.iter().filter(|field| is_visible(field));
        let named = |text: String, name| Identifier { text, origin: Some(name) };
        let mut members: Vec<_> =
            visible.map(|field| named(field.name.snake(), &field.name)).collect();
        if let Some(table) = &record.table {
            members.push(named(table.name.snake(), &table.name));
            members.push(named(count_name(&table.name), &table.name));
        }
        if let Some(directory) = directory {
            members.push(named(directory.name.snake(), &directory.name));
            members.push(named(count_name(&directory.name), &directory.name));
            members.push(Identifier { text: "count".to_owned(), origin: None });
        }
        members
    });
    structs.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::identifiers;
    use crate::backend::Target;

    const SCHEMAS: [(&str, &str); 3] = [
        ("call.kdl", include_str!("../../../../testdata/schemas/increment.kdl")),
        ("lookup.kdl", include_str!("../../../../testdata/schemas/apps-lookup.kdl")),
        ("snapshot.kdl", include_str!("../../../../testdata/schemas/cgroups-snapshot.kdl")),
    ];

    /// What a header declares: the last word before `(`, of a `typedef`, behind `#define`, of an enumerator.
    fn declared(header: &str) -> BTreeSet<String> {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let last = |text: &str| text.rsplit(|letter| !is_part(letter)).next().map(str::to_owned);
        let lines = header.lines().filter(|line| !line.trim_start().starts_with(['*', '/']));
        let word = |line: &str| {
            let line = line.trim_end();
            if let Some(rest) = line.strip_prefix("#define ") {
                return rest.split(|letter| !is_part(letter)).next().map(str::to_owned);
            }
            if let Some(rest) = line.strip_prefix("typedef nipc_error_t (*") {
                return rest.split(')').next().map(str::to_owned);
            }
            if line.starts_with("typedef") || line.starts_with('}') {
                return last(line.strip_suffix(';')?);
            }
            match line.split_once(" = ") {
                Some((name, _)) if line.starts_with("    NIPC_") => last(name),
                _ if line.starts_with(|first: char| first.is_ascii_lowercase()) => {
                    last(line.split_once('(')?.0)
                }
                _ => None,
            }
        };
        lines.filter_map(word).filter(|word| word.to_lowercase().starts_with("nipc_")).collect()
    }

    #[test]
    fn every_identifier_of_a_header_is_known_to_the_check() {
        for (file, schema) in SCHEMAS {
            let service = crate::compile(file, schema).expect("it is right");
            let known: BTreeSet<_> =
                identifiers(&service).into_iter().map(|each| each.text).collect();
            let [header, ..] = &*Target::C.generate(std::slice::from_ref(&service)) else {
                panic!("no header")
            };
            let declared = declared(&header.text);
            assert!(declared.len() > 25, "{declared:?}");
            let unknown: Vec<_> = declared.difference(&known).collect();
            assert!(unknown.is_empty(), "{file}: {unknown:?}");
        }
    }
}
