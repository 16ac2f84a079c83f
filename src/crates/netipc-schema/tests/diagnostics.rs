//! Every mistake that the compiler knows has a bad schema and the message that its author gets.
//!
//! `tests/diagnostics/NAME.kdl` is one bad schema, `tests/diagnostics/NAME/*.kdl` are several that are
//! compiled together; `NAME.txt` is what the compiler says. `UPDATE_GOLDEN=1` writes the texts anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use netipc_schema::{Code, Diagnostics, compile_set};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn file(path: &Path) -> (String, String) {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    (name, fs::read_to_string(path).unwrap())
}

/// Each case: where its golden text lies, and the mistakes of its schemas.
fn cases() -> Vec<(PathBuf, Diagnostics)> {
    let is_schema =
        |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|end| end == "kdl");
    let case = |path: PathBuf| {
        let files: Vec<_> = match path.is_dir() {
            true => paths(&path).iter().map(|each| file(each)).collect(),
            false => vec![file(&path)],
        };
        let Err(mistakes) = compile_set(&files) else { panic!("{} is not bad", path.display()) };
        (path.with_extension("txt"), mistakes)
    };
    paths(&folder()).into_iter().filter(is_schema).map(case).collect()
}

#[test]
fn bad_schemas_get_their_golden_messages() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (golden, mistakes) in cases() {
        let text = mistakes.render();
        if update {
            fs::write(&golden, &text).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(format!("{} should be:\n{text}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_golden_message_has_its_schema() {
    let goldens: BTreeSet<_> = cases().into_iter().map(|(golden, _)| golden).collect();
    let is_text = |path: &PathBuf| path.extension().is_some_and(|end| end == "txt");
    let texts: BTreeSet<_> = paths(&folder()).into_iter().filter(is_text).collect();
    assert_eq!(texts, goldens);
}

#[test]
fn every_code_has_a_bad_schema() {
    let codes = |(_, mistakes): &(PathBuf, Diagnostics)| {
        mistakes.list().iter().map(netipc_schema::Diagnostic::code).collect::<Vec<_>>()
    };
    let seen: BTreeSet<Code> = cases().iter().flat_map(codes).collect();
    let unseen: Vec<_> = Code::ALL.iter().filter(|code| !seen.contains(code)).collect();
    assert!(unseen.is_empty(), "no bad schema for {unseen:?}");
}

#[test]
fn every_mistake_says_what_to_write_instead() {
    for (golden, mistakes) in cases() {
        for mistake in mistakes.list() {
            assert!(!mistake.help().is_empty(), "{}: {mistake}", golden.display());
        }
    }
}
