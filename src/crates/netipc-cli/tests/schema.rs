//! `netipc schema` as its users meet it: what it prints, where, and its exit status.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, str};

use netipc_schema::backend::Target;

const FAILED: Option<i32> = Some(1);
const WRONG_USAGE: Option<i32> = Some(2);

/// Two mistakes, on lines 4 and 7.
const BAD: &str = r#"service toy method=0x0100 shape=call {
    doc "A toy."
    request {
        u32 numbr enum=Nothing
    }
    response {
        u8 tiny; u32 large
    }
}
"#;

fn netipc(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netipc"));
    command.args(arguments).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("the command prints UTF-8")
}

fn schemas() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/schemas");
    let entries = fs::read_dir(folder).expect("the schemas are there");
    entries.map(|entry| entry.expect("readable").path().display().to_string()).collect()
}

fn bad_schema(folder: &Path) -> PathBuf {
    let path = folder.join("toy.kdl");
    fs::write(&path, BAD).expect("the folder can be written");
    path
}

#[test]
fn check_says_what_each_service_is() {
    let files = schemas();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let done = netipc(&[&["schema", "check"], files.as_slice()].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let lines: Vec<&str> = text(&done.stdout).lines().collect();
    assert_eq!(lines.len(), files.len());
    for expected in [
        "increment 0x0001 call in batches: request of 1 field; response of 1 field",
        "ip-to-asn 0x0101 lookup: request of 4 fields, keys of 1; response of 4 fields, items of 6",
    ] {
        assert!(lines.contains(&expected), "no line `{expected}` in {lines:#?}");
    }
}

#[test]
fn check_prints_services_as_json() {
    let schema =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/schemas/cgroups-lookup.kdl");
    let done = netipc(&["schema", "check", "--json", &schema.display().to_string()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).expect("it is JSON");
    let service = &json["services"][0];
    assert_eq!(service["name"], "cgroups-lookup");
    assert_eq!(service["method"], 4);
    assert_eq!(service["shape"], "lookup");
    assert_eq!(service["request"]["directory"]["element"]["string"], "path");
    let item = &service["response"]["directory"]["element"];
    assert_eq!(item["bytes"], 28);
    assert_eq!(item["table"], "labels");
    let status = serde_json::json!({ "name": "status", "offset": 2, "bytes": 2, "type": "u16" });
    assert_eq!(item["fields"][1], status);
}

#[test]
fn a_wrong_schema_is_shown_with_its_lines_on_standard_error_and_without_colours() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = bad_schema(folder.path());
    let done = netipc(&["schema", "check", &path.display().to_string()]);
    assert_eq!(done.status.code(), FAILED);
    assert_eq!(text(&done.stdout), "");
    let shown = text(&done.stderr);
    for expected in ["toy.kdl:4:", "u32 numbr enum=Nothing", "help:", "netipc: 2 mistakes"] {
        assert!(shown.contains(expected), "`{expected}` is not in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "colours where there is no terminal:\n{shown}");
}

#[test]
fn a_wrong_schema_is_shown_as_json_with_its_places() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = bad_schema(folder.path());
    let done = netipc(&["schema", "check", "--json", &path.display().to_string()]);
    assert_eq!(done.status.code(), FAILED);
    assert_eq!(text(&done.stderr), "");
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).expect("it is JSON");
    let mistakes = json["mistakes"].as_array().expect("a list");
    assert_eq!(mistakes.len(), 2);
    assert_eq!(mistakes[0]["file"], path.display().to_string());
    assert_eq!((&mistakes[0]["line"], &mistakes[0]["column"]), (&4.into(), &24.into()));
    assert_eq!(mistakes[1]["code"], "netipc::misaligned");
    assert_eq!(mistakes[1]["line"], 7);
    assert_eq!(mistakes[1]["help"], "add `reserved 3` before it");
}

#[test]
fn generate_writes_nothing_of_a_wrong_schema() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, out) = (bad_schema(folder.path()), folder.path().join("out"));
    let (path, dir) = (path.display().to_string(), out.display().to_string());
    let done = netipc(&["schema", "generate", "--lang", "rust", "--out", &dir, &path]);
    assert_eq!(done.status.code(), FAILED);
    assert!(!out.exists());
}

#[test]
fn what_cannot_be_read_or_written_is_one_line_that_names_the_fix() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("missing.kdl").display().to_string();
    let done = netipc(&["schema", "check", &missing]);
    assert_eq!(done.status.code(), FAILED);
    let shown = text(&done.stderr);
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(shown.starts_with("netipc: cannot read schema "), "{shown}");
    assert!(shown.contains("; name a KDL file in UTF-8"), "{shown}");

    // A file stands where the folder should be.
    let (schema, taken) = (&schemas()[0], bad_schema(folder.path()).display().to_string());
    let done = netipc(&["schema", "generate", "--lang", "rust", "--out", &taken, schema]);
    assert_eq!(done.status.code(), FAILED);
    let shown = text(&done.stderr);
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(shown.contains("; choose a folder that you may write"), "{shown}");
}

#[test]
fn generate_takes_what_the_compiler_has_for_other_trees() {
    for target in Target::ALL {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("new").join("deep").display().to_string();
        let arguments = ["schema", "generate", "--lang", target.name(), "--out", &out];
        let done = netipc(&[arguments.as_slice(), &[&schemas()[0]]].concat());
        if target.is_for_users() {
            assert!(done.status.success(), "{}", text(&done.stderr));
            for written in text(&done.stdout).lines() {
                assert!(Path::new(written).starts_with(&out) && Path::new(written).exists());
            }
            assert!(!done.stdout.is_empty());
        } else {
            assert_eq!(done.status.code(), WRONG_USAGE, "{}", target.name());
        }
    }
}

#[test]
fn a_wrong_command_line_names_what_is_possible() {
    let done = netipc(&["schema", "generate", "--lang", "cobol", "--out", "x", "y.kdl"]);
    assert_eq!(done.status.code(), WRONG_USAGE);
    let shown = text(&done.stderr);
    assert!(shown.contains("[possible values: rust, go, c, c-glue]"), "{shown}");
    assert_eq!(netipc(&["schema", "check"]).status.code(), WRONG_USAGE);
}

#[test]
fn help_documents_the_exit_status() {
    for command in [&["--help"][..], &["schema", "--help"], &["schema", "check", "--help"]] {
        let shown = netipc(command);
        assert!(text(&shown.stdout).contains("Exit status:"), "{command:?}");
    }
}
