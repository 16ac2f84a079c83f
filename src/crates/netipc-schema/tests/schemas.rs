//! The six services compile, and their models say what the contract says (spec section 10).

use std::fs;
use std::path::Path;

use netipc_schema::ir::{
    Directory, Echo, Element, FieldId, FieldKind, LookupRoles, Message, Record, Rule, Scalar,
    Service, Shape, StringSpec, Target, VariantId,
};
use netipc_schema::{compile, compile_set};

const SERVICES: [&str; 6] = [
    "increment",
    "string-reverse",
    "cgroups-snapshot",
    "cgroups-lookup",
    "apps-lookup",
    "ip-to-asn",
];

fn source(service: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/schemas");
    fs::read_to_string(folder.join(format!("{service}.kdl"))).unwrap()
}

fn service(name: &str) -> Service {
    compile(name, &source(name)).unwrap_or_else(|mistakes| panic!("{}", mistakes.render()))
}

fn directory(message: &Message) -> &Directory {
    message.directory.as_ref().unwrap()
}

fn record(message: &Message) -> &Record {
    match &directory(message).element {
        Element::Record(record) => record,
        Element::BareString(_) => panic!("a bare string"),
    }
}

/// Names and offsets, as in the tables of the spec.
fn layout(record: &Record) -> Vec<(&str, u32)> {
    record.fields.iter().map(|field| (field.name.as_str(), field.offset)).collect()
}

fn id(record: &Record, name: &str) -> FieldId {
    record.ids().find(|(_, field)| field.name.as_str() == name).unwrap().0
}

#[test]
fn the_six_services_compile_together() {
    let files: Vec<_> = SERVICES.map(|name| (format!("{name}.kdl"), source(name))).into();
    let services = compile_set(&files).unwrap_or_else(|mistakes| panic!("{}", mistakes.render()));
    let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, SERVICES);
    let methods: Vec<_> = services.iter().map(|service| service.method).collect();
    assert_eq!(methods, [1, 3, 2, 4, 5, 0x0101]);
    assert!(services.iter().all(|service| !service.doc.is_empty()));
}

#[test]
fn calls_travel_in_batches_if_they_say_so() {
    let increment = service("increment");
    assert_eq!(increment.shape, Shape::Call { batch: true });
    assert_eq!((increment.request.header.size, increment.response.header.size), (8, 8));
    let without = source("increment").replace(" batch=#true", "");
    assert_eq!(compile("increment", &without).unwrap().shape, Shape::Call { batch: false });

    let reverse = service("string-reverse");
    for message in [&reverse.request, &reverse.response] {
        assert_eq!(message.header.size, 8);
        let text = &message.header.fields[0].kind;
        let free = StringSpec { min: 0, max: None, place: Some(8), echo: None };
        assert_eq!(*text, FieldKind::String(free));
        assert!(message.directory.is_none());
    }
}

#[test]
fn a_snapshot_has_its_header_its_items_and_their_identity() {
    let snapshot = service("cgroups-snapshot");
    assert_eq!(snapshot.shape, Shape::Snapshot);
    assert_eq!(snapshot.request.header.size, 4);
    let header = &snapshot.response.header;
    assert_eq!(header.size, 24);
    let expected = [
        ("layout_version", 0),
        ("flags", 2),
        ("item_count", 4),
        ("systemd_enabled", 8),
        ("reserved", 12),
        ("generation", 16),
    ];
    assert_eq!(layout(header), expected);
    assert_eq!(header.field(directory(&snapshot.response).count).name.as_str(), "item_count");
    assert_eq!(header.field(id(header, "reserved")).kind, FieldKind::Reserved { bytes: 4 });
    assert_eq!(header.field(id(header, "generation")).kind, FieldKind::Generation);

    let item = record(&snapshot.response);
    assert_eq!(item.size, 32);
    assert_eq!(item.identity, [id(item, "hash"), id(item, "name")]);
    assert!(item.table.is_none());
}

#[test]
fn a_lookup_by_string_has_its_roles_and_its_smallest_item() {
    let lookup = service("cgroups-lookup");
    let Element::BareString(path) = &directory(&lookup.request).element else { panic!("a record") };
    assert_eq!((path.name.as_str(), path.min, path.max), ("path", 1, None));
    assert_eq!((lookup.request.header.size, lookup.response.header.size), (16, 16));

    let item = record(&lookup.response);
    assert_eq!(item.size, 28);
    let expected = [
        ("layout_version", 0),
        ("status", 2),
        ("orchestrator", 4),
        ("reserved", 6),
        ("path", 8),
        ("name", 16),
        ("label_count", 24),
        ("reserved", 26),
    ];
    assert_eq!(layout(item), expected);
    let roles =
        LookupRoles { status: id(item, "status"), retry: VariantId(3), oversized: VariantId(4) };
    assert_eq!(lookup.shape, Shape::Lookup(roles));
    assert!(lookup.shape.strictness().exact_end);
    assert!(!lookup.enums[0].open && lookup.enums[1].open);
    let echo = StringSpec { min: 1, max: None, place: None, echo: Some(Echo::Key) };
    assert_eq!(item.field(id(item, "path")).kind, FieldKind::String(echo));
    let table = item.table.as_ref().unwrap();
    assert_eq!(item.field(table.count).kind, FieldKind::Count { scalar: Scalar::U16 });

    let [Rule::When { field, variant, is: false, then }] = item.rules.as_slice() else {
        panic!("{:?}", item.rules)
    };
    assert_eq!((*field, *variant), (roles.status, VariantId(0)));
    let [Rule::Blank(targets)] = then.as_slice() else { panic!("{then:?}") };
    let field = |name| Target::Field(id(item, name));
    assert_eq!(*targets, [field("orchestrator"), field("name"), Target::Table]);
}

#[test]
fn a_lookup_by_record_echoes_the_fields_of_its_key() {
    let lookup = service("apps-lookup");
    let key = record(&lookup.request);
    assert_eq!((key.size, layout(key)), (8, vec![("pid", 0), ("reserved", 4)]));
    let item = record(&lookup.response);
    assert_eq!(item.size, 60);
    let pid = FieldKind::Value {
        scalar: Scalar::U32,
        enumeration: None,
        blank: 0,
        echo: Some(Echo::KeyField(id(key, "pid"))),
    };
    assert_eq!(item.field(id(item, "pid")).kind, pid);
    let FieldKind::Value { blank, .. } = item.field(id(item, "uid")).kind else { panic!() };
    assert_eq!(blank, 0xFFFF_FFFF);
    assert_eq!(item.field(id(item, "starttime")).offset, 24);
    assert_eq!(item.field(id(item, "label_count")).offset, 56);
    let [_, Rule::When { is: true, then, .. }] = item.rules.as_slice() else { panic!() };
    assert_eq!(then.len(), 5);

    let asn = service("ip-to-asn");
    assert_eq!(record(&asn.response).size, 32);
}

#[test]
fn negative_numbers_are_widened_with_their_sign() {
    let source = source("increment").replacen("u64 value", "i32 value blank=-2", 1);
    let compiled = compile("increment", &source).unwrap();
    let FieldKind::Value { blank, .. } = compiled.request.header.fields[0].kind else { panic!() };
    assert_eq!(blank, (-2_i64).cast_unsigned());
}
