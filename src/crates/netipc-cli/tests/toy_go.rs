//! What `netipc schema generate --lang go` writes is used in a module of its own, as somebody outside
//! this tree would: it is as `gofmt` has it, `go vet` has no complaint, and values of the toy schemas
//! come back. The schemas have what the contract's services do not.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const MODULE: &str = "module toy\n\ngo 1.23.0\n";
/// Constants, views, builders, owned types, checks, and the service for the engines.
const FILES_A_PACKAGE: usize = 6;

#[test]
fn toy_packages_in_go_are_formatted_vetted_and_round_trip() {
    let module = Module::new();
    let toys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/toy");
    let entries = fs::read_dir(&toys).expect("the toys are there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let schemas: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "kdl")).collect();
    module.write("main.go", &read(&toys.join("program.go")));

    let mut generate = module.command(env!("CARGO_BIN_EXE_netipc"));
    generate.args(["schema", "generate", "--lang", "go", "--out", "services"]).args(&schemas);
    let written = succeeds(&mut generate);
    assert_eq!(written.lines().count(), FILES_A_PACKAGE * schemas.len(), "{written}");

    assert_eq!(succeeds(module.command("gofmt").args(["-l", "."])), "");
    assert_eq!(succeeds(module.command("go").args(["vet", "./..."])), "");
    assert_eq!(succeeds(module.command("go").args(["run", "."])), "all toys came back\n");
}

/// A module of Go in a temporary folder of its own.
struct Module {
    folder: TempDir,
}

impl Module {
    fn new() -> Self {
        let module = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let netipc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../go");
        let netipc = netipc.canonicalize().expect("the Go module is beside the crates");
        module.write("go.mod", MODULE);
        // A workspace takes netipc, and what it needs itself, from this tree.
        module.write("go.work", &format!("go 1.23.0\n\nuse (\n\t.\n\t{}\n)\n", netipc.display()));
        module
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("writable");
    }

    /// A command in the module's folder, without C and without the network.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        command.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false");
        command.env("GOPROXY", "off").env("GOTOOLCHAIN", "local").env_remove("GOWORK");
        command
    }
}

/// What a command printed that succeeded and had nothing to complain about.
fn succeeds(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the program is installed");
    let complaints = String::from_utf8_lossy(&stderr);
    assert!(status.success() && complaints.is_empty(), "{command:?}: {status}: {complaints}");
    String::from_utf8(stdout).expect("it prints UTF-8")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
