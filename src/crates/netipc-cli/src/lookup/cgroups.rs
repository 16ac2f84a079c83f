//! `netipc lookup cgroups`.

use std::ffi::OsString;
use std::io::Write;

use clap::Args;
use netipc::client::Answer;
use netipc_services::cgroups_lookup::{Client, ItemView, SERVICE, Service, Status};
use serde_json::{Value, json};

use super::{Common, keys, labels_json, labels_line};
use crate::ask::{call_failed, connected};
use crate::failure::Failure;
use crate::table::{self, bad, good, table};
use crate::text::{self, printable};

#[derive(Debug, Args)]
pub(crate) struct Cgroups {
    /// Paths as /proc/PID/cgroup shows them; `-` stands for those on standard input, one a line.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<OsString>,
    #[command(flatten)]
    common: Common,
}

impl Cgroups {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let paths = keys::keys(self.paths)?;
        if paths.iter().any(Vec::is_empty) {
            let why = "an empty path is none: give paths as /proc/PID/cgroup shows them";
            return Err(Failure::Usage(why.to_owned()));
        }
        let (endpoint, config) = self.common.asking.client(SERVICE)?;
        let mut client = connected(Client::new(endpoint.clone(), config), &endpoint)?;
        let answer = client.lookup(&paths).map_err(|error| call_failed(&endpoint, &error))?;
        if self.common.json { print_json(&answer, out) } else { print(&answer, out) }
    }
}

fn print_json(answer: &Answer<'_, Service>, out: &mut impl Write) -> Result<(), Failure> {
    let object = json!({
        "generation": answer.generation(),
        "items": answer.items().map(item_json).collect::<Vec<_>>(),
    });
    Ok(writeln!(out, "{object:#}")?)
}

fn item_json(item: ItemView<'_>) -> Value {
    let mut value = json!({ "path": text::json(item.path()), "status": item.status().name() });
    if item.status() == Status::Known {
        value["orchestrator"] = item.orchestrator().to_string().into();
        value["name"] = text::json(item.name());
        value["labels"] = labels_json(item.labels());
    }
    value
}

fn print(answer: &Answer<'_, Service>, out: &mut impl Write) -> Result<(), Failure> {
    let mut rows = table(["PATH", "STATUS", "ORCHESTRATOR", "NAME", "LABELS"]);
    let mut known = 0;
    for item in answer.items() {
        if item.status() == Status::Known {
            known += 1;
            rows.add_row([
                printable(item.path()).into(),
                good(item.status()),
                item.orchestrator().into(),
                printable(item.name()).into(),
                labels_line(item.labels()).into(),
            ]);
        } else {
            rows.add_row([printable(item.path()).into(), bad(item.status())]);
        }
    }
    table::write(&rows, out)?;
    let (asked, generation) = (answer.len(), answer.generation());
    Ok(writeln!(out, "{known} of {asked} control groups known; generation {generation}")?)
}
