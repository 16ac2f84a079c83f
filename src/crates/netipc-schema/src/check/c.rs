//! What C adds to the rules of names: everything of all services lies in one room, and words that are told
//! apart by their places in a schema are put together to one (`nipc_` service `_` name).

use std::collections::HashMap;

use miette::SourceSpan;

use crate::backend::c_names::{Identifier, identifiers, members};
use crate::diagnostic::{Code, Report};
use crate::ir::Service;
use crate::name::Name;
use crate::syntax;

/// The first words of what `netipc.h` declares, `nipc_` left out: a service that is called so would declare the
/// same, now or later. `tests/core_names.rs` compares it with the header.
const CORE: &str = "abort access access_policy assert cache cache_search cache_status cache_table client client_abort client_auth \
     client_config client_counters client_ctx client_not client_state client_status elements err \
     err_address err_address_in err_already err_handlers err_in err_invalid err_no err_not \
     err_out err_out_of err_timed err_would err_wrong error flag function handler handshake \
     handshake_counts header host host_has host_has_64 kind label labels labels_view last \
     listener listener_abort listener_config listener_next listener_next_deadline \
     listener_try log log_level managed managed_server max message message_view netipc next peer profile \
     profile_shm proposal read read_no refuse request request_context request_context_stop server server_config \
     server_init server_status services session session_abort session_in session_in_flight \
     session_next session_next_deadline session_peer session_try status status_auth \
     status_bad status_internal status_limit str terms text token token_from \
     token_from_session try try_at wait";

/// Reports names of one service that C would spell alike. For services without other mistakes.
pub(super) fn names(service: &Service, syntax: &syntax::Service, report: &mut Report) {
    let snake = service.name.snake();
    if CORE.split_whitespace().any(|stem| stem == snake) {
        let message = format!("`nipc_{snake}_` begins names of netipc's own in C");
        let help = format!("choose another name; a second word is enough: `{snake}-service`");
        report.error(Code::ReservedName, syntax.name.span, message, help);
    }
    distinct(&identifiers(service), "in C", syntax, report);
    for members in members(service) {
        distinct(&members, "as a member of a struct in C", syntax, report);
    }
}

fn distinct(all: &[Identifier<'_>], place: &str, syntax: &syntax::Service, report: &mut Report) {
    let mut seen: HashMap<&str, Option<&Name>> = HashMap::new();
    for Identifier { text, origin } in all {
        let Some(first) = seen.insert(text, *origin) else { continue };
        let of = first.map_or_else(
            || "what every such service has".to_owned(),
            |first| format!("what comes of `{first}`"),
        );
        let named = origin.or(first);
        let span = named.and_then(|name| place_of(syntax, name)).unwrap_or(syntax.name.span);
        let word = named.map_or("", |name| name.as_str());
        let message = format!("`{word}` gives `{text}` {place}, which is {of} too");
        report.error(Code::ReservedName, span, message, "choose another name");
    }
}

/// Services whose headers declare the same, each in the report of the later file.
pub(crate) fn between(services: &[Service], trees: &mut [(&syntax::Service, &mut Report)]) {
    let mut seen: HashMap<String, &Name> = HashMap::new();
    for (service, (syntax, report)) in services.iter().zip(trees) {
        let declared = identifiers(service);
        let clash = declared.iter().find_map(|each| Some((&each.text, *seen.get(&each.text)?)));
        if let Some((text, first)) = clash {
            let message = format!("`{text}` in C is of the service `{first}` as well");
            report.error(
                Code::DuplicateService,
                syntax.name.span,
                message,
                "rename one of the two",
            );
        }
        seen.extend(declared.into_iter().map(|each| (each.text, &service.name)));
    }
}

/// Where the schema has that name: the first place of the text, as written.
fn place_of(syntax: &syntax::Service, name: &Name) -> Option<SourceSpan> {
    let enums = syntax.enums.iter().flat_map(|each| {
        std::iter::once(&each.name).chain(each.variants.iter().map(|variant| &variant.name))
    });
    let records = [&syntax.request, &syntax.response];
    let all = records.into_iter().flat_map(|record| {
        let elements = record.directories.iter().map(|directory| &directory.element);
        std::iter::once(record).chain(elements)
    });
    let parts = all.flat_map(|record| {
        let fields = record.fields.iter().map(|field| &field.name);
        let tables = record.tables.iter().map(|table| &table.name);
        fields.chain(tables).chain(record.directories.iter().map(|directory| &directory.name))
    });
    enums.chain(parts).find(|word| word.value == name.as_str()).map(|word| word.span)
}
