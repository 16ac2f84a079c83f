//! Services of somebody else's: schemas in a temporary folder, compiled by the real command, and
//! the generated code built and run there as a package of its own.
//!
//! The schemas in `toy/` take the ways through the compiler that the contract's services do not; the
//! page on getting started is followed step by step, so that what it says is true.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

const GUIDE: &str = include_str!("../../testdata/getting-started-rust.md");

/// The path that the guide's manifest has for the reader to fill in.
const NETIPC_IN_GUIDE: &str = "path/to/netipc/src/crates/netipc";

const TOY_MANIFEST: &str = r#"[package]
name = "toy"
version = "0.1.0"
edition = "2024"

[dependencies]
netipc = { path = "path/to/netipc/src/crates/netipc" }
"#;

#[test]
fn toy_services_compile_without_warnings_and_round_trip() {
    let package = Package::new(TOY_MANIFEST);
    let toys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/toy");
    package.write("src/lib.rs", &read(&toys.join("lib.rs")));
    package.write("src/main.rs", &read(&toys.join("program.rs")));
    let mut arguments = vec!["schema".to_owned(), "generate".to_owned()];
    arguments.extend(["--lang", "rust", "--out", "src/services"].map(str::to_owned));
    for entry in fs::read_dir(&toys).expect("the toys are there") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|end| end == "kdl") {
            let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
            package.write(&name, &read(&path));
            arguments.push(name);
        }
    }
    succeeds(&package.netipc(&arguments));
    assert_eq!(succeeds(&package.run()), "all toys came back\n");
}

#[test]
fn the_page_on_getting_started_is_true() {
    let [schema] = blocks("kdl");
    let [manifest] = blocks("toml");
    let [library, provider, consumer] = blocks("rust");
    let [check, generate, first, serve, ask] = blocks("sh");
    let [checked, misaligned, nobody_there, answered, served] = blocks("text");

    let package = Package::new(&manifest);
    package.write("src/lib.rs", &library);
    package.write("src/bin/provider.rs", &provider);
    package.write("src/bin/consumer.rs", &consumer);
    package.write("port-owner.kdl", &schema);
    assert_eq!(succeeds(&package.netipc(&words(&check))), checked);
    succeeds(&package.netipc(&words(&generate)));

    let first = first.strip_prefix("mkdir run\n").expect("the block makes the run directory");
    fs::create_dir(package.folder.path().join("run")).expect("writable");
    assert_eq!(first, ask);
    assert_eq!(succeeds(&package.cargo(&ask)), nobody_there);
    let mut provider = Provider::start(package.command(&serve));
    assert_eq!(provider.line(), served.lines().next().expect("it says that it serves"));
    assert_eq!(succeeds(&package.cargo(&ask)), answered);
    let rest = provider.end();
    assert_eq!(rest, served.split_once('\n').expect("it says more").1);
    // It has given its name back: nobody is there again.
    assert_eq!(succeeds(&package.cargo(&ask)), nobody_there);

    let gap = "reserved 2\n            u32 pid";
    package.write("port-owner.kdl", &schema.replace(gap, "u32 pid"));
    let refused = package.netipc(&words(&check));
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&refused.stderr), misaligned);
}

/// The provider's process, which serves until its standard input ends. Dropping it, as a failed
/// test does, ends it so.
struct Provider {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Provider {
    fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("cargo starts");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, output }
    }

    /// The next line that it prints; waits for it.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("readable");
        line.trim_end_matches('\n').to_owned()
    }

    /// Ends its input, and gives what it still prints until it is gone.
    fn end(mut self) -> String {
        drop(self.process.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("UTF-8");
        assert!(self.process.wait().expect("it was started").success());
        rest
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

/// A package in a temporary folder of its own.
struct Package {
    folder: TempDir,
}

impl Package {
    fn new(manifest: &str) -> Self {
        let package = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it has siblings");
        let netipc = crates.join("netipc").display().to_string();
        assert!(manifest.contains(NETIPC_IN_GUIDE), "the manifest depends on netipc");
        package.write("Cargo.toml", &manifest.replace(NETIPC_IN_GUIDE, &netipc));
        // The versions of the workspace: they are on this machine already.
        package.write("Cargo.lock", &read(&crates.join("../../Cargo.lock")));
        package
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("writable");
        fs::write(path, text).expect("writable");
    }

    /// Runs the command `netipc` in the package's folder.
    fn netipc(&self, arguments: &[String]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netipc"));
        command.args(arguments).current_dir(self.folder.path());
        command.output().expect("the command starts")
    }

    /// Builds and runs the package's one program.
    fn run(&self) -> Output {
        self.cargo("cargo run\n")
    }

    /// Does what a block says that is one call of cargo.
    fn cargo(&self, block: &str) -> Output {
        self.command(block).output().expect("cargo starts")
    }

    /// A call of cargo, as a block has it. All packages share one folder for what they build, kept
    /// from run to run.
    fn command(&self, block: &str) -> Command {
        let arguments = block.strip_prefix("cargo run").expect("the block calls cargo run");
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("toys");
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--offline", "--quiet"]).args(arguments.split_whitespace());
        command.env("CARGO_TARGET_DIR", target).current_dir(self.folder.path());
        command
    }
}

/// What a command printed that succeeded and had nothing to complain about.
fn succeeds(output: &Output) -> String {
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", output.status);
    String::from_utf8(output.stdout.clone()).expect("it prints UTF-8")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The guide's code blocks of one language; there must be as many as the test has names for.
fn blocks<const COUNT: usize>(language: &str) -> [String; COUNT] {
    let start = format!("\n```{language}\n");
    let after = GUIDE.split(&start).skip(1);
    let texts = after.map(|rest| rest.split("```").next().expect("the first").to_owned());
    let texts: Vec<String> = texts.collect();
    texts.try_into().unwrap_or_else(|texts: Vec<_>| {
        panic!("the guide has {} blocks of {language}, not {COUNT}", texts.len())
    })
}

/// The arguments of a block that is one call of `netipc`.
fn words(block: &str) -> Vec<String> {
    let command = block.strip_prefix("netipc ").expect("the block calls netipc");
    command.split_whitespace().map(str::to_owned).collect()
}
