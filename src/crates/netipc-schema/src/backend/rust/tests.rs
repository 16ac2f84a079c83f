//! The tests of a service's codec in Rust: what the shared test logic must know of the service to
//! run its vectors and its properties. A new service is tested without anybody writing a test.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::bodies::{Body, Role};
use super::fields::{blank, enum_ident, ident, is_visible, string, value_type, variant_path};
use super::keys::KeyKind;
use super::{Output, marker, print};
use crate::backend::roles::{answers, echo, is_blank, settable, statuses};
use crate::ir::{Echo, Field, FieldKind, LookupRoles, Rule, Service, Shape, StringSpec, Target};

/// A test module a service, and `mod.rs` that lists them.
pub(in crate::backend) fn generate(services: &[Service]) -> Vec<Output> {
    let modules = services.iter().map(|service| Output {
        file_name: format!("{}.rs", service.name.snake()),
        text: format!("// {}\n\n{}", marker(service), print(&module(service))),
    });
    modules.chain([super::list(services, &quote!())]).collect()
}

fn module(service: &Service) -> TokenStream {
    let name = format_ident!("{}", service.name.snake());
    let text = service.name.snake();
    let bodies = super::bodies::of(service);
    let messages = bodies.iter().filter(|body| matches!(body.role, Role::Message(_)));
    let messages = messages.map(|body| message(body, &bodies));
    let items = bodies.iter().filter(|body| matches!(body.role, Role::Item));
    let items = items.map(|body| item(body, &bodies));
    let (lookup, suite) = match service.shape {
        Shape::Lookup(roles) => (lookup(service, roles, &bodies), quote!(lookup_suite)),
        Shape::Call { .. } | Shape::Snapshot => (quote!(), quote!(message_suite)),
    };
    quote! {
        use netipc::codec::{BuildError, DecodeError};
        use netipc_services::#name as service;
        use proptest::prelude::*;
        use serde_json::Value;

        use crate::support::{self, Message};

        #(#messages)*
        #(#items)*
        #lookup

        crate::support::#suite!(service, #text);
    }
}

/// `impl Message for Request`.
fn message(body: &Body<'_>, bodies: &[Body<'_>]) -> TokenStream {
    let (owned, view) = (body.owned(), body.view());
    let value = from_json(body, bodies, &quote!(json));
    let is_empty = !body.record.fields.iter().any(is_visible) && body.directory().is_none();
    let json = if is_empty { quote!(_) } else { quote!(json) };
    let strategy = strategy(body, bodies);
    let build = build(body, bodies);
    quote! {
        impl Message for service::#owned {
            fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
                service::#view::decode(payload).map(|view| view.to_owned())
            }

            fn encode(&self, out: &mut [u8]) -> Result<usize, BuildError> {
                self.encode(out)
            }

            fn encoded_len(&self) -> usize { self.encoded_len() }

            #build

            fn from_json(#json: &Value) -> Self { #value }

            fn strategy() -> BoxedStrategy<Self> { #strategy }
        }
    }
}

/// `Message::build`: the same message through its builder. The response of a lookup answers a
/// request, and is built in tests of its own.
fn build(body: &Body<'_>, bodies: &[Body<'_>]) -> TokenStream {
    let builder = body.builder();
    let header = || visible(body).map(ident);
    let (expected, statements) = match (body.directory(), body.stem.as_str()) {
        (None, _) => {
            let setters = setters(body, visible(body), &quote!(self));
            (quote!(_), quote!(service::#builder::new(out)#setters.finish()))
        }
        (Some(directory), "Request") => {
            let (keys, header) = (format_ident!("{}", directory.name.snake()), header());
            let key = match key_kind(body.service, bodies) {
                Some(KeyKind::Text(_)) => quote!(key),
                _ => quote!(*key),
            };
            let body = quote! {
                let mut builder = service::#builder::new(out, expected)?;
                #(builder.#header(self.#header);)*
                for key in &self.#keys { builder.push(#key)?; }
                builder.finish()
            };
            (quote!(expected), body)
        }
        (Some(_), _) if matches!(body.service.shape, Shape::Lookup(_)) => {
            return quote! {
                fn build(&self, _: &mut [u8], _: usize) -> Option<Result<usize, BuildError>> { None }
            };
        }
        (Some(directory), _) => {
            let (items, header) = (format_ident!("{}", directory.name.snake()), header());
            let one = format_ident!("{}", directory.name.singular().snake());
            let item = bodies.iter().find(|body| matches!(body.role, Role::Item));
            let setters = item.map(|item| setters(item, visible(item), &quote!(item)));
            let body = quote! {
                let mut builder = service::#builder::new(out, expected)?;
                #(builder.#header(self.#header);)*
                for item in &self.#items { builder.#one()#setters.finish()?; }
                builder.finish()
            };
            (quote!(expected), body)
        }
    };
    quote! {
        fn build(&self, out: &mut [u8], #expected: usize) -> Option<Result<usize, BuildError>> {
            let mut build = || { #statements };
            Some(build())
        }
    }
}

/// `.field(owner.field)` for each of the fields, and for the record's table.
fn setters<'s>(
    body: &Body<'s>,
    fields: impl Iterator<Item = &'s Field>,
    owner: &TokenStream,
) -> TokenStream {
    let fields = fields.map(|field| {
        let name = ident(field);
        match string(field) {
            Some(_) => quote!(.#name(&#owner.#name)),
            None => quote!(.#name(#owner.#name)),
        }
    });
    let table = body.table().map(|table| {
        let name = format_ident!("{}", table.name.snake());
        quote!(.#name(#owner.#name.iter().map(|(key, value)| (key, value))))
    });
    quote!(#(#fields)* #table)
}

/// `item_from_json`, `item_strategy` and what makes random items keep the rules.
fn item(body: &Body<'_>, bodies: &[Body<'_>]) -> TokenStream {
    let owned = body.owned();
    let json = from_json(body, bodies, &quote!(json));
    let members = strategy(body, bodies);
    let (map, keep_rules) = match body.record.rules.as_slice() {
        [] => (quote!(), quote!()),
        rules => (quote!(.prop_map(keep_rules).boxed()), keep_rules_function(body, rules)),
    };
    quote! {
        fn item_from_json(json: &Value) -> service::#owned { #json }

        fn item_strategy() -> BoxedStrategy<service::#owned> {
            #members #map
        }

        #keep_rules
    }
}

fn keep_rules_function(body: &Body<'_>, rules: &[Rule]) -> TokenStream {
    let (owned, rules) = (body.owned(), keep_rules(body, rules));
    quote! {
        /// The item, changed as little as the rules of its schema demand.
        fn keep_rules(mut item: service::#owned) -> service::#owned {
            #rules
            item
        }
    }
}

/// A value of the record's owned type from the fields of a vector.
fn from_json(body: &Body<'_>, bodies: &[Body<'_>], json: &TokenStream) -> TokenStream {
    let owned = body.owned();
    let members = visible(body).map(|field| {
        let (name, text) = (ident(field), field.name.snake());
        let value = match (string(field), enumeration(body, field)) {
            (Some(_), _) if matches!(body.service.shape, Shape::Call { .. }) => {
                quote!(support::hex_bytes(&#json[#text]).into())
            }
            (Some(_), _) => quote!(support::text(&#json[#text]).into()),
            (None, Some((ty, true))) => {
                quote!(service::#ty::from_wire(support::number(&#json[#text])))
            }
            (None, Some((ty, false))) => {
                quote!(service::#ty::from_wire(support::number(&#json[#text])).expect("a value of the schema"))
            }
            (None, None) => quote!(support::number(&#json[#text])),
        };
        quote!(#name: #value)
    });
    let table = body.table().map(|table| {
        let (name, text) = (format_ident!("{}", table.name.snake()), table.name.snake());
        quote!(#name: support::pairs(&#json[#text]),)
    });
    let elements = body.directory().map(|directory| {
        let name = format_ident!("{}", directory.name.snake());
        match (body.stem.as_str(), key_kind(body.service, bodies)) {
            ("Request", Some(kind)) => {
                let (list, one) = keys_from_json(kind, bodies);
                quote!(#name: support::list(&#json[#list]).map(#one).collect(),)
            }
            _ => {
                let list = directory.name.snake();
                quote!(#name: support::list(&#json[#list]).map(item_from_json).collect(),)
            }
        }
    });
    quote!(service::#owned { #(#members,)* #table #elements })
}

/// The vectors call a list of keys by the keys' own name, `paths` or `pids`.
fn keys_from_json(kind: KeyKind<'_>, bodies: &[Body<'_>]) -> (String, TokenStream) {
    match kind {
        KeyKind::Text(text) => {
            (format!("{}s", text.name.snake()), quote!(|key| support::text(key).into()))
        }
        KeyKind::Number(field) => (format!("{}s", field.name.snake()), quote!(support::number)),
        KeyKind::Numbers => {
            let key = bodies.iter().find(|body| matches!(body.role, Role::Key));
            let value = key.map(|key| from_json(key, bodies, &quote!(key)));
            ("keys".to_owned(), quote!(|key| #value))
        }
    }
}

/// A strategy for the record's owned type.
fn strategy(body: &Body<'_>, bodies: &[Body<'_>]) -> TokenStream {
    let owned = body.owned();
    let mut names = Vec::new();
    let mut strategies = Vec::new();
    for field in visible(body) {
        names.push(ident(field));
        strategies.push(field_strategy(body, field));
    }
    if let Some(table) = body.table() {
        names.push(format_ident!("{}", table.name.snake()));
        strategies.push(quote!(support::any_pairs()));
    }
    if let Some(directory) = body.directory() {
        names.push(format_ident!("{}", directory.name.snake()));
        let element = match (body.stem.as_str(), key_kind(body.service, bodies)) {
            ("Request", Some(kind)) => key_strategy(kind, bodies),
            _ => quote!(item_strategy()),
        };
        strategies.push(quote!(support::any_list(#element)));
    }
    // Tuples of strategies end at twelve members; nested ones do not.
    let (mut pattern, mut tuple) = (quote!(()), quote!(Just(())));
    for (name, strategy) in names.iter().zip(&strategies) {
        pattern = quote!((#pattern, #name));
        tuple = quote!((#tuple, #strategy));
    }
    quote!(#tuple.prop_map(|#pattern| service::#owned { #(#names),* }).boxed())
}

fn field_strategy(body: &Body<'_>, field: &Field) -> TokenStream {
    match (&field.kind, enumeration(body, field)) {
        (FieldKind::String(StringSpec { min, max, .. }), _) => text_strategy(body, *min, *max),
        (FieldKind::Value { scalar, .. }, Some((ty, true))) => {
            let scalar = super::fields::scalar_type(*scalar);
            quote!(any::<#scalar>().prop_map(service::#ty::from_wire))
        }
        (FieldKind::Value { enumeration: Some(id), .. }, _) => {
            let enumeration = body.enumeration(*id);
            let ty = enum_ident(enumeration);
            let variants = enumeration.variants.iter().map(|variant| {
                let variant = super::fields::variant_ident(enumeration, variant);
                quote!(Just(service::#ty::#variant))
            });
            quote!(prop_oneof![#(#variants),*])
        }
        _ => {
            let ty = value_type(body, field);
            quote!(any::<#ty>())
        }
    }
}

fn key_strategy(kind: KeyKind<'_>, bodies: &[Body<'_>]) -> TokenStream {
    let key = bodies.iter().find(|body| matches!(body.role, Role::Key));
    match (kind, key) {
        (KeyKind::Text(text), _) => {
            let (min, max) = random_limits(text.min, text.max);
            quote!(support::any_text(#min, #max))
        }
        (KeyKind::Number(field), Some(key)) => field_strategy(key, field),
        (_, Some(key)) => strategy(key, bodies),
        (_, None) => quote!(),
    }
}

fn text_strategy(body: &Body<'_>, min: u32, max: Option<u32>) -> TokenStream {
    let (min, max) = random_limits(min, max);
    match body.strictness.no_inner_nul {
        true => quote!(support::any_text(#min, #max)),
        false => quote!(support::any_bytes(#min, #max)),
    }
}

/// Lengths that random strings take: short enough that many fit, within the schema's limits.
fn random_limits(min: u32, max: Option<u32>) -> (Literal, Literal) {
    const LONGER_THAN_LEAST: u32 = 40;
    let max = max.unwrap_or(u32::MAX).min(min.saturating_add(LONGER_THAN_LEAST));
    (Literal::usize_unsuffixed(min as usize), Literal::usize_unsuffixed(max as usize))
}

/// Statements that make `item` keep the rules.
fn keep_rules(body: &Body<'_>, rules: &[Rule]) -> TokenStream {
    let rules = rules.iter().map(|rule| match rule {
        Rule::When { field, variant, is, then } => {
            let field = body.record.field(*field);
            let FieldKind::Value { enumeration: Some(id), .. } = &field.kind else {
                return quote!();
            };
            let enumeration = body.enumeration(*id);
            let variant = variant_path(enumeration, &enumeration.variants[variant.0]);
            let (name, inner) = (ident(field), keep_rules(body, then));
            let operator = if *is { quote!(==) } else { quote!(!=) };
            quote!(if item.#name #operator service::#variant { #inner })
        }
        Rule::Blank(targets) => {
            let targets = targets.iter().map(|target| make_blank(body, *target));
            quote!(#(#targets)*)
        }
        Rule::Filled(targets) => {
            let targets = targets.iter().map(|target| make_filled(body, *target));
            quote!(#(#targets)*)
        }
    });
    quote!(#(#rules)*)
}

fn make_blank(body: &Body<'_>, target: Target) -> TokenStream {
    match target {
        Target::Field(id) => {
            let field = body.record.field(id);
            let name = ident(field);
            match (string(field), enumeration(body, field)) {
                (Some(_), _) => quote!(item.#name.clear();),
                (None, Some(_)) => {
                    let blank = blank(body, field);
                    quote!(item.#name = service::#blank;)
                }
                (None, None) => {
                    let blank = blank(body, field);
                    quote!(item.#name = #blank;)
                }
            }
        }
        Target::Table => {
            let name = body.table().map(|table| format_ident!("{}", table.name.snake()));
            quote!(item.#name.clear();)
        }
    }
}

fn make_filled(body: &Body<'_>, target: Target) -> TokenStream {
    match target {
        Target::Field(id) => {
            let name = ident(body.record.field(id));
            quote!(support::fill(&mut item.#name);)
        }
        Target::Table => {
            let name = body.table().map(|table| format_ident!("{}", table.name.snake()));
            quote!(support::fill_pairs(&mut item.#name);)
        }
    }
}

/// `impl support::Lookup for Response`: what the tests of builders must know of a lookup.
fn lookup(service: &Service, roles: LookupRoles, bodies: &[Body<'_>]) -> TokenStream {
    let item = bodies.iter().find(|body| matches!(body.role, Role::Item));
    let (Some(item), Some(kind)) = (item, key_kind(service, bodies)) else { return quote!() };
    let directories = (service.request.directory.as_ref(), service.response.directory.as_ref());
    let (Some(keys), Some(items)) = directories else { return quote!() };
    let (keys, items) =
        (format_ident!("{}", keys.name.snake()), format_ident!("{}", items.name.snake()));
    let (owned, statuses) = (item.owned(), statuses(item, roles));
    let status = ident(item.record.field(roles.status));
    let path = |index: usize| {
        let path = variant_path(statuses, &statuses.variants[index]);
        quote!(service::#path)
    };
    let (retry, oversized) = (path(roles.retry.0), path(roles.oversized.0));
    let first_answer = answers(item, roles).first().map(|index| path(*index));
    let key = key_of_item(item, bodies, kind);
    let borrowed_key = match kind {
        KeyKind::Text(_) => {
            let echoed = item.record.fields.iter().find(|field| echo(field).is_some()).map(ident);
            quote!(&item.#echoed)
        }
        KeyKind::Number(_) | KeyKind::Numbers => key.clone(),
    };
    let answer = answer(item, roles, &borrowed_key);
    let request_fields = header_values(bodies, "Request");
    let response_fields = header_values(bodies, "Response");
    quote! {
        impl support::Lookup for service::Response {
            type Request = service::Request;
            type Item = service::#owned;

            fn items(&mut self) -> &mut Vec<service::#owned> { &mut self.#items }

            fn request(&self) -> service::Request {
                service::Request { #(#request_fields: 0,)* #keys: self.#items.iter().map(|item| #key).collect() }
            }

            fn overflowed(mut item: service::#owned, overflow: netipc::codec::Overflow) -> service::#owned {
                item.#status = match overflow {
                    netipc::codec::Overflow::Retry => #retry,
                    netipc::codec::Overflow::Oversized => #oversized,
                };
                keep_rules(item)
            }

            fn answered(mut item: service::#owned) -> service::#owned {
                if item.#status == #retry || item.#status == #oversized {
                    item.#status = #first_answer;
                }
                keep_rules(item)
            }

            fn answer(&self, request: &[u8], budget: netipc::codec::ResponseBudget<'_>) -> Result<usize, BuildError> {
                let request = service::RequestView::decode(request).expect("a valid request");
                let mut response = service::ResponseBuilder::new(&request, budget)?;
                #(response.#response_fields(self.#response_fields);)*
                for item in &self.#items {
                    #answer
                }
                response.finish()
            }
        }
    }
}

/// The visible fields of a message's header.
fn header_values(bodies: &[Body<'_>], stem: &str) -> Vec<Ident> {
    let body = bodies.iter().filter(|body| body.stem == stem);
    body.flat_map(|body| visible(body).map(ident)).collect()
}

/// The owned key that `item` repeats.
fn key_of_item(item: &Body<'_>, bodies: &[Body<'_>], kind: KeyKind<'_>) -> TokenStream {
    let mut echoes = item.record.fields.iter().filter_map(|field| Some((field, echo(field)?)));
    match kind {
        KeyKind::Text(_) => {
            let name = echoes.next().map(|(field, _)| ident(field));
            quote!(item.#name.clone())
        }
        KeyKind::Number(_) => {
            let name = echoes.next().map(|(field, _)| ident(field));
            quote!(item.#name)
        }
        KeyKind::Numbers => {
            let key = bodies.iter().find(|body| matches!(body.role, Role::Key));
            let (name, key) = (key.map(Body::owned), key.map(|key| key.record));
            let members = echoes.filter_map(|(field, echo)| match echo {
                Echo::KeyField(id) => {
                    let (member, name) = (ident(key?.field(id)), ident(field));
                    Some(quote!(#member: item.#name))
                }
                Echo::Key => None,
            });
            quote!(service::#name { #(#members),* })
        }
    }
}

/// The answer to a key through the builder, `item` being what to answer.
fn answer(item: &Body<'_>, roles: LookupRoles, key: &TokenStream) -> TokenStream {
    let (status, statuses) = (ident(item.record.field(roles.status)), statuses(item, roles));
    let setters = setters(item, settable(item, roles).into_iter(), &quote!(item));
    let arms = answers(item, roles).into_iter().map(|index| {
        let variant = &statuses.variants[index];
        let (path, method) =
            (variant_path(statuses, variant), format_ident!("{}", variant.name.snake()));
        match is_blank(item, roles, index) {
            true => quote!(service::#path => { response.#method(#key)?; }),
            false => quote!(service::#path => { response.#method(#key)#setters.finish()?; }),
        }
    });
    quote!(match item.#status { #(#arms)* _ => panic!("no answer of a handler") })
}

fn visible<'s>(body: &Body<'s>) -> impl Iterator<Item = &'s Field> + use<'s> {
    body.record.fields.iter().filter(|field| is_visible(field))
}

/// The type of a field with an enumeration, and whether it is open.
fn enumeration(body: &Body<'_>, field: &Field) -> Option<(Ident, bool)> {
    match &field.kind {
        FieldKind::Value { enumeration: Some(id), .. } => {
            let enumeration = body.enumeration(*id);
            Some((enum_ident(enumeration), enumeration.open))
        }
        _ => None,
    }
}

fn key_kind<'s>(service: &'s Service, bodies: &[Body<'s>]) -> Option<KeyKind<'s>> {
    match service.shape {
        Shape::Lookup(_) => KeyKind::of_service(service, bodies),
        Shape::Call { .. } | Shape::Snapshot => None,
    }
}
