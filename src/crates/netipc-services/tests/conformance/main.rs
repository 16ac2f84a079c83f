//! The suite that every transport passes: the cases of spec/conformance, over each way in which two
//! peers can come to move messages. Cases are data, and `spec/conformance/README.md` is their
//! language; here they are only carried out.
//!
//! What it does **not** do: it looks at no bytes on the wire (the vectors do) and at no hostile peer.

mod handlers;
mod items;
mod services;
mod sessions;
mod steps;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use netipc::{Deadline, Endpoint, Profiles};
use netipc_testkit::{Value, conformance, list, text};
use tempfile::TempDir;

use crate::steps::number;

const TOKEN: u64 = 0x1234_5678_9abc_def0;
/// Long enough that running into it is a failure, not a slow machine.
const PATIENCE: Duration = Duration::from_secs(if cfg!(windows) { 180 } else { 30 });

/// A row of `transports.json`: what both sides offer, and what must come of it.
#[derive(Clone, Copy, Debug)]
struct Offers {
    client: Side,
    server: Side,
    selected: u32,
}

#[derive(Clone, Copy, Debug)]
struct Side {
    supported: Profiles,
    preferred: Profiles,
}

/// Whether a case applies to a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Applies {
    Yes,
    No,
}

/// A run directory with one endpoint.
struct Place {
    _directory: TempDir,
    endpoint: Endpoint,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let endpoint = Endpoint::new(directory.path(), "conformance").expect("a good name");
        Self { _directory: directory, endpoint }
    }
}

impl Offers {
    fn read(row: &Value) -> Self {
        let side = |name: &str| Side {
            supported: Profiles(number(&row[name], "supported")),
            preferred: Profiles(number(&row[name], "preferred")),
        };
        let selected = match number::<u32>(row, "windows") {
            windows if cfg!(windows) && windows != 0 => windows,
            _ => number(row, "selected"),
        };
        Self { client: side("client"), server: side("server"), selected }
    }
}

fn long() -> Deadline {
    Deadline::after(PATIENCE)
}

/// Runs every case of a file over every transport.
fn run_all(file: &str, run: impl Fn(&Value, Offers) -> Applies) {
    let (cases, transports) = (conformance(file), conformance("transports"));
    let (mut ran, mut not_applicable) = (0, 0);
    let mut applied = BTreeSet::new();
    for row in list(&transports) {
        let offers = Offers::read(row);
        for case in list(&cases) {
            let name = text(case, "name");
            // The name of what failed is worth more than that of the first step.
            match catch_unwind(AssertUnwindSafe(|| run(case, offers))) {
                Ok(Applies::Yes) => {
                    ran += 1;
                    applied.insert(name);
                }
                Ok(Applies::No) => not_applicable += 1,
                Err(panic) => {
                    eprintln!("in {file}, \"{name}\", over \"{}\"", text(row, "name"));
                    resume_unwind(panic);
                }
            }
        }
    }
    let never: Vec<&str> = list(&cases)
        .iter()
        .map(|case| text(case, "name"))
        .filter(|n| !applied.contains(n))
        .collect();
    assert!(never.is_empty(), "cases that apply to no transport: {never:?}");
    println!("{file}: {ran} passed, {not_applicable} not applicable");
}

#[test]
fn every_transport_carries_sessions_alike() {
    run_all("sessions", sessions::run);
}

#[test]
fn every_transport_serves_services_alike() {
    run_all("services", services::run);
}
