//! `netipc lookup apps`.

use std::ffi::OsString;
use std::io::Write;

use clap::Args;
use netipc::client::Answer;
use netipc_services::apps_lookup::{Client, ItemView, SERVICE, Service, Status};
use serde_json::{Value, json};

use super::{Common, keys, labels_json, labels_line};
use crate::ask::{call_failed, connected};
use crate::failure::Failure;
use crate::table::{self, bad, good, number, table};
use crate::text::{self, printable};

#[derive(Debug, Args)]
pub(crate) struct Apps {
    /// Process ids; `-` stands for those on standard input, one a line.
    #[arg(value_name = "PID", required = true)]
    pids: Vec<OsString>,
    #[command(flatten)]
    common: Common,
}

impl Apps {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let pids = parse(keys::keys(self.pids)?)?;
        let (endpoint, config) = self.common.asking.client(SERVICE)?;
        let mut client = connected(Client::new(endpoint.clone(), config), &endpoint)?;
        let answer = client.lookup(&pids).map_err(|error| call_failed(&endpoint, &error))?;
        if self.common.json { print_json(&answer, out) } else { print(&answer, out) }
    }
}

fn parse(keys: Vec<Vec<u8>>) -> Result<Vec<u32>, Failure> {
    let pid = |key: Vec<u8>| {
        let parsed = str::from_utf8(&key).ok().and_then(|text| text.trim().parse().ok());
        parsed.ok_or_else(|| {
            let key = printable(&key);
            Failure::Usage(format!("`{key}` is no process id: give numbers below 2^32"))
        })
    };
    keys.into_iter().map(pid).collect()
}

fn print_json(answer: &Answer<'_, Service>, out: &mut impl Write) -> Result<(), Failure> {
    let object = json!({
        "generation": answer.generation(),
        "items": answer.items().map(item_json).collect::<Vec<_>>(),
    });
    Ok(writeln!(out, "{object:#}")?)
}

/// What is not known is null, not the contract's stand-in for it.
fn item_json(item: ItemView<'_>) -> Value {
    let mut value = json!({ "pid": item.pid(), "status": item.status().name() });
    if item.status() == Status::Known {
        value["ppid"] = item.ppid().into();
        value["uid"] = uid(&item).into();
        value["starttime"] = item.starttime().into();
        value["comm"] = text::json(item.comm());
        value["cgroup_status"] = item.cgroup_status().name().into();
        value["orchestrator"] = item.orchestrator().to_string().into();
        value["cgroup_path"] = text::json(item.cgroup_path());
        value["cgroup_name"] = text::json(item.cgroup_name());
        value["labels"] = labels_json(item.labels());
    }
    value
}

fn print(answer: &Answer<'_, Service>, out: &mut impl Write) -> Result<(), Failure> {
    let mut rows =
        table(["PID", "STATUS", "PPID", "UID", "COMM", "CGROUP", "ORCHESTRATOR", "NAME", "LABELS"]);
    let mut known = 0;
    for item in answer.items() {
        if item.status() == Status::Known {
            known += 1;
            rows.add_row([
                number(item.pid()),
                good(item.status()),
                number(item.ppid()),
                number(uid(&item).map_or_else(|| "-".into(), |uid| uid.to_string())),
                printable(item.comm()).into(),
                item.cgroup_status().into(),
                item.orchestrator().into(),
                printable(item.cgroup_name()).into(),
                labels_line(item.labels()).into(),
            ]);
        } else {
            rows.add_row([number(item.pid()), bad(item.status())]);
        }
    }
    table::write(&rows, out)?;
    let (asked, generation) = (answer.len(), answer.generation());
    Ok(writeln!(out, "{known} of {asked} processes known; generation {generation}")?)
}

fn uid(item: &ItemView<'_>) -> Option<u32> {
    Some(item.uid()).filter(|uid| *uid != u32::MAX)
}
