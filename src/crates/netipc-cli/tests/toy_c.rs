//! What `netipc schema generate --lang c` and `--lang c-glue` write is used in a workspace of its own: crate
//! netipc-ffi is built with the toy schemas in place of the contract's, as somebody would who has services of
//! their own; the headers are clean C11 and C++17; and values come back through a program in C.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// The library's crate and the services are members; netipc itself comes from this tree.
const WORKSPACE: &str = r#"[workspace]
members = ["netipc-ffi", "netipc-services"]
resolver = "3"

[workspace.package]
version = "0.1.0"
edition = "2024"
rust-version = "1.85"
license = "MIT"
publish = false

[workspace.lints.rust]
warnings = "deny"

[workspace.dependencies]
netipc = { path = "NETIPC" }
netipc-services = { path = "netipc-services" }
"#;

const SERVICES: &str = r#"[package]
name = "netipc-services"
version.workspace = true
edition.workspace = true

[dependencies]
netipc.workspace = true
"#;

#[test]
fn toy_services_in_c_are_clean_and_round_trip() {
    let workspace = Workspace::new();
    for (language, out) in [
        ("c", "include/netipc"),
        ("c-glue", "netipc-ffi/src/generated"),
        ("rust", "netipc-services/src/generated"),
    ] {
        let mut generate = workspace.command(env!("CARGO_BIN_EXE_netipc"));
        generate.args(["schema", "generate", "--lang", language, "--out", out]).args(toys("kdl"));
        let written = succeeds(&mut generate);
        assert_eq!(written.lines().count(), toys("kdl").len() + 1, "{written}");
    }
    for header in fs::read_dir(workspace.path("include/netipc")).expect("written") {
        workspace.check_header(&header.expect("readable").path());
    }

    let mut build = workspace.command(env!("CARGO"));
    build.args(["rustc", "--offline", "--quiet", "--package", "netipc-ffi", "--lib"]);
    build.args(["--crate-type", "cdylib"]);
    // The folder of the toys in Rust: netipc is built once for both, and kept from run to run.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("toys");
    succeeds(build.env("CARGO_TARGET_DIR", &target));

    let library = target.join("debug/libnetipc_ffi.so");
    let mut compile = workspace.command("cc");
    compile.args(["-std=c11", "-Iinclude"]).args(WARNINGS).args(toys("c")).arg(&library);
    succeeds(compile.args(["-o", "program"]));
    let mut program = workspace.command(workspace.path("program").to_str().expect("UTF-8"));
    program.env("LD_LIBRARY_PATH", target.join("debug"));
    assert_eq!(succeeds(&mut program), "all toys came back\n");
}

/// The files of the toys with that extension.
fn toys(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/toy");
    let entries = fs::read_dir(folder).expect("the toys are there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == extension)).collect()
}

/// A cargo workspace in a temporary folder, with a copy of netipc-ffi that has no services yet.
struct Workspace {
    folder: TempDir,
}

impl Workspace {
    fn new() -> Self {
        let workspace = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let crates = crates.canonicalize().expect("the crates are there");
        let netipc = crates.join("netipc");
        let manifest = WORKSPACE.replace("NETIPC", netipc.to_str().expect("UTF-8"));
        workspace.write("Cargo.toml", &manifest);
        // The versions of this tree, so that nothing is fetched.
        let lock = crates.ancestors().map(|folder| folder.join("Cargo.lock"));
        let lock = lock.into_iter().find(|lock| lock.exists()).expect("the workspace has one");
        workspace.write("Cargo.lock", &read(&lock));
        workspace.write("netipc-services/Cargo.toml", SERVICES);
        let library = crates.join("netipc-services/src/lib.rs");
        workspace.write("netipc-services/src/lib.rs", &read(&library));
        copy(&crates.join("netipc-ffi"), &workspace.path("netipc-ffi"));
        fs::remove_dir_all(workspace.path("netipc-ffi/src/generated")).expect("it was copied");
        let core = crates.join("../libnetdata/netipc/include/netipc/netipc.h");
        workspace.write("include/netipc/netipc.h", &read(&core));
        workspace
    }

    /// Compiles a header alone, as C11 and as C++17.
    fn check_header(&self, header: &Path) {
        let name = header.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        for (standard, extension) in [("-std=c11", "c"), ("-std=c++17", "cc")] {
            let including = format!("header.{extension}");
            self.write(&including, &format!("#include <netipc/{name}>\ntypedef int not_empty;\n"));
            let mut compile = self.command("cc");
            compile.args([standard, "-fsyntax-only", "-Iinclude", &including]).args(WARNINGS);
            assert_eq!(succeeds(&mut compile), "");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("within the folder")).expect("writable");
        fs::write(path, text).expect("writable");
    }

    /// A command in the workspace's folder.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        command
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("known").is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("writable")),
        }
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
