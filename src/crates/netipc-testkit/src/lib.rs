//! The golden vectors of the wire contract and the conformance suite, for the tests of every crate.
//! Never a dependency of anything but tests.
//!
//! Vectors are written in little-endian order, and the contract speaks of host order: [`to_host`]
//! is the one place that knows. What a vector means is not looked at here.
//!
//! Everything panics on a vector file that is not as its README says: tests want to hear of it.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::{env, fs};

pub use serde_json::Value;

/// Names a directory of vectors to use instead of the repository's: absolute, or relative to the
/// root of the repository.
pub const VECTORS_ENV: &str = "NETIPC_VECTORS";

/// One vector of a file that is a list of them.
#[derive(Clone, Debug)]
pub struct Vector {
    /// What it is called, for messages of tests.
    pub name: String,
    /// Whether `bytes` decode; otherwise they are rejected.
    pub valid: bool,
    /// Whether `fields` encode to the same bytes again.
    pub canonical: bool,
    /// The bytes, in little-endian order.
    pub bytes: Vec<u8>,
    /// What they mean; null when they are not valid.
    pub fields: Value,
    /// The whole entry, for what only some categories have (`item_count`, `why`).
    pub entry: Value,
}

/// The vectors of a category, which is the name of its file without `.json`.
#[must_use]
pub fn load(category: &str) -> Vec<Vector> {
    vectors(&load_json(category), category)
}

/// The vectors of a category as the repository has them, whatever [`VECTORS_ENV`] says: for what is
/// this project's own, which a directory from elsewhere need not have.
#[must_use]
pub fn load_own(category: &str) -> Vec<Vector> {
    vectors(&read_json(&own_directory(), category), category)
}

fn vectors(file: &Value, category: &str) -> Vec<Vector> {
    let vectors: Vec<Vector> = list(file).iter().map(vector).collect();
    assert!(!vectors.is_empty(), "{category} has no vectors");
    vectors
}

/// A whole vector file, for categories that are not lists of [`Vector`]s.
#[must_use]
pub fn load_json(category: &str) -> Value {
    read_json(&directory(), category)
}

/// A file of the conformance suite (`spec/conformance/`), whose name is given without `.json`.
#[must_use]
pub fn conformance(name: &str) -> Value {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/conformance");
    read_json(Path::new(directory), name)
}

fn read_json(directory: &Path, category: &str) -> Value {
    let path = directory.join(format!("{category}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The directory of the vectors.
#[must_use]
pub fn directory() -> PathBuf {
    // Tests run in their crate's folder; whoever sets the variable sits in the root.
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    env::var_os(VECTORS_ENV).map_or_else(own_directory, |named| root.join(named))
}

fn own_directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/vectors"))
}

/// An integer field of any width: a JSON number, or a string when it is above 2^53. Exact.
#[must_use]
pub fn uint<T: TryFrom<u64>>(fields: &Value, name: &str) -> T {
    let value = &fields[name];
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number
        .and_then(|number| T::try_from(number).ok())
        .unwrap_or_else(|| panic!("no such integer: {name} in {fields}"))
}

/// A text field.
#[must_use]
pub fn text<'a>(fields: &'a Value, name: &str) -> &'a str {
    fields[name].as_str().unwrap_or_else(|| panic!("no text: {name} in {fields}"))
}

/// A field of bytes, written in hexadecimal.
#[must_use]
pub fn bytes(fields: &Value, name: &str) -> Vec<u8> {
    unhex(text(fields, name))
}

/// The elements of a list.
#[must_use]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// Bytes from hexadecimal digits.
#[must_use]
pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte in {text}");
    (0..text.len())
        .step_by(2)
        .map(|at| {
            u8::from_str_radix(&text[at..at + 2], 16).unwrap_or_else(|e| panic!("{text}: {e}"))
        })
        .collect()
}

/// Little-endian bytes in this host's order. `widths` are those of the integers at the start, in
/// bytes; what follows them, and an integer that is cut off, stays as it is.
#[must_use]
pub fn to_host(little_endian: &[u8], widths: &[usize]) -> Vec<u8> {
    if cfg!(target_endian = "little") {
        little_endian.to_vec()
    } else {
        swap(little_endian, widths)
    }
}

fn swap(bytes: &[u8], widths: &[usize]) -> Vec<u8> {
    let mut swapped = bytes.to_vec();
    let mut at = 0;
    for width in widths {
        let Some(integer) = swapped.get_mut(at..at + width) else { break };
        integer.reverse();
        at += width;
    }
    swapped
}

fn vector(entry: &Value) -> Vector {
    let valid = entry["valid"].as_bool().unwrap_or_else(|| panic!("valid or not? {entry}"));
    Vector {
        name: text(entry, "name").to_owned(),
        valid,
        canonical: entry["canonical"].as_bool().unwrap_or(true),
        bytes: bytes(entry, "hex"),
        fields: entry["fields"].clone(),
        entry: entry.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_as_numbers_and_as_strings() {
        let fields: Value =
            serde_json::from_str(r#"{"n": 18446744073709551615, "s": "18446744073709551614"}"#)
                .unwrap();
        assert_eq!(uint::<u64>(&fields, "n"), u64::MAX);
        assert_eq!(uint::<u64>(&fields, "s"), u64::MAX - 1);
    }

    #[test]
    fn integers_are_swapped_where_they_are_and_the_rest_is_not() {
        assert_eq!(swap(&[1, 2, 3, 4, 5, 6, 7], &[2, 4]), [2, 1, 6, 5, 4, 3, 7]);
        assert_eq!(swap(&[1, 2, 3], &[2, 4]), [2, 1, 3]);
    }

    #[test]
    fn hexadecimal_is_read() {
        assert_eq!(unhex("00fF1a"), [0, 255, 26]);
    }
}
