//! `netipc lookup`: what a provider knows of processes, or of control groups.

mod apps;
mod cgroups;
mod keys;

use std::io::Write;

use clap::{Args, Subcommand};
use netipc::codec::Labels;
use serde_json::{Value, json};

use crate::EXIT_STATUS;
use crate::failure::Failure;
use crate::options::Asking;
use crate::text::{self, printable};

#[derive(Debug, Subcommand)]
pub(crate) enum Lookup {
    /// Processes with their control group, by pid.
    #[command(after_help = EXIT_STATUS)]
    Apps(apps::Apps),
    /// Name, orchestrator and labels of control groups, by path.
    #[command(after_help = EXIT_STATUS)]
    Cgroups(cgroups::Cgroups),
}

/// What both lookups take beside their keys.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    asking: Asking,
    /// Print one JSON object. A text that is not UTF-8 is an object {"hex": "…"} of its bytes.
    #[arg(long)]
    json: bool,
}

impl Lookup {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        match self {
            Self::Apps(command) => command.run(out),
            Self::Cgroups(command) => command.run(out),
        }
    }
}

/// `key=value` by blanks.
fn labels_line(labels: Labels<'_>) -> String {
    let pair = |key: &[u8], value: &[u8]| format!("{}={}", printable(key), printable(value));
    labels.map(|label| pair(label.key, label.value)).collect::<Vec<_>>().join(" ")
}

/// Pairs, in the provider's order: keys may come twice, and need not be UTF-8.
fn labels_json(labels: Labels<'_>) -> Value {
    labels
        .map(|label| json!({ "key": text::json(label.key), "value": text::json(label.value) }))
        .collect()
}
