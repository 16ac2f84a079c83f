//! `netipc snapshot`: all control groups that a provider knows.

use std::io::Write;

use clap::Args;
use netipc_services::cgroups_snapshot::{Client, ItemView, ResponseView, SERVICE};
use serde_json::{Value, json};

use crate::ask::{call_failed, connected};
use crate::failure::Failure;
use crate::options::Asking;
use crate::table::{self, good, number, table};
use crate::text::{self, printable};

#[derive(Debug, Args)]
pub(crate) struct Snapshot {
    #[command(flatten)]
    asking: Asking,
    /// Print one JSON object. A text that is not UTF-8 is an object {"hex": "…"} of its bytes.
    #[arg(long)]
    json: bool,
}

impl Snapshot {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let (endpoint, config) = self.asking.client(SERVICE)?;
        let mut client = connected(Client::new(endpoint.clone(), config), &endpoint)?;
        let snapshot = client.fetch().map_err(|error| call_failed(&endpoint, &error))?;
        if self.json { print_json(&snapshot, out) } else { print(&snapshot, out) }
    }
}

fn print_json(snapshot: &ResponseView<'_>, out: &mut impl Write) -> Result<(), Failure> {
    let object = json!({
        "generation": snapshot.generation(),
        "systemd_enabled": snapshot.systemd_enabled(),
        "items": snapshot.items().map(item_json).collect::<Vec<_>>(),
    });
    Ok(writeln!(out, "{object:#}")?)
}

fn item_json(item: ItemView<'_>) -> Value {
    json!({
        "name": text::json(item.name()),
        "path": text::json(item.path()),
        "hash": item.hash(),
        "options": item.options(),
        "enabled": item.enabled(),
    })
}

fn print(snapshot: &ResponseView<'_>, out: &mut impl Write) -> Result<(), Failure> {
    let mut rows = table(["HASH", "ENABLED", "NAME", "PATH"]);
    for item in snapshot.items() {
        rows.add_row([
            number(format!("{:08x}", item.hash())),
            if item.enabled() == 0 { "no".into() } else { good("yes") },
            printable(item.name()).into(),
            printable(item.path()).into(),
        ]);
    }
    table::write(&rows, out)?;
    let systemd = if snapshot.systemd_enabled() == 0 { "not by systemd" } else { "by systemd" };
    let (count, generation) = (snapshot.len(), snapshot.generation());
    Ok(writeln!(out, "{count} control groups, managed {systemd}; generation {generation}")?)
}
