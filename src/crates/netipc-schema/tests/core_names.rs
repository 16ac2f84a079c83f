//! A service may not be called like a part of what `netipc.h` declares: its own names would be the core's.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use netipc_schema::compile;

#[test]
fn no_service_is_called_like_a_part_of_the_core_in_c() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../libnetdata/netipc/include/netipc/netipc.h");
    let header = fs::read_to_string(header).expect("the header is beside the crates");
    let parts: BTreeSet<String> = names(&header).iter().flat_map(|name| stems(name)).collect();
    assert!(parts.len() > 50, "{parts:?}");
    let allowed: Vec<_> =
        parts.iter().filter(|part| compile("a.kdl", &schema(part)).is_ok()).collect();
    assert!(allowed.is_empty(), "the compiler allows services of these names: {allowed:?}");
    assert!(compile("a.kdl", &schema("clients")).is_ok(), "other names are fine");
}

/// What code, not comments, calls `nipc_…` or `NIPC_…`: what follows, in lower case.
fn names(header: &str) -> BTreeSet<String> {
    let code = header.lines().filter(|line| !line.trim_start().starts_with(['*', '/']));
    let words = code.flat_map(|line| {
        let code = line.split("//").next().unwrap_or(line);
        code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
    });
    words
        .filter_map(|word| Some(word.to_ascii_lowercase().strip_prefix("nipc_")?.to_owned()))
        .collect()
}

/// `client_abort` and `client` of `client_abort_clear`.
fn stems(name: &str) -> Vec<String> {
    name.match_indices('_')
        .map(|(at, _)| name[..at].to_owned())
        .filter(|stem| !stem.is_empty())
        .collect()
}

fn schema(stem: &str) -> String {
    let name = stem.replace('_', "-");
    format!(
        "service {name} method=0x0300 shape=call {{\n    doc \"x\"\n    request {{ u64 value; }}\n    \
         response {{ u64 value; }}\n}}\n"
    )
}
