//! `netipc ping`: many calls of one service, each answer verified, and how long they took.

use std::io::Write;
use std::num::NonZeroU64;

use clap::Args;
use indicatif::ProgressBar;
use netipc::client::SessionStatus;

use crate::ask::{agreed_json, agreed_lines, prober};
use crate::failure::Failure;
use crate::measure::{PERCENTILES, Until, measure, shown_us};
use crate::options::Asking;
use crate::providers::ServiceName;
use crate::table::grouped;

#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// What to call.
    #[arg(value_enum, value_name = "SERVICE")]
    service: ServiceName,
    /// How many calls to make.
    #[arg(long, value_name = "N", default_value = "1000")]
    count: NonZeroU64,
    #[command(flatten)]
    asking: Asking,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Ping {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let service = self.service.as_str();
        let (endpoint, config) = self.asking.client(service)?;
        let mut prober = prober(self.service, &endpoint, config)?;
        let session = prober.session();
        let count = self.count.get();
        // Draws on standard error, and only where that is a terminal.
        let progress = ProgressBar::new(count);
        let latencies =
            measure(Until::Calls(count), || prober.probe(), |made| progress.set_position(made));
        progress.finish_and_clear();
        let latencies = latencies?;

        if self.json {
            let mut object = latencies.json();
            object["service"] = service.into();
            object["session"] = session.as_ref().map(agreed_json).into();
            return Ok(writeln!(out, "{object:#}")?);
        }
        let (calls, per_second) = (grouped(latencies.calls()), latencies.calls_per_second());
        let seconds = latencies.elapsed().as_secs_f64();
        writeln!(
            out,
            "{service}: {calls} calls in {seconds:.3} s, {} a second, every answer verified",
            grouped(per_second)
        )?;
        write!(out, "latency in µs: min {}", shown_us(latencies.min_us()))?;
        for (name, percentile) in PERCENTILES {
            write!(out, ", {name} {}", shown_us(latencies.percentile_us(percentile)))?;
        }
        writeln!(out, ", max {}", shown_us(latencies.max_us()))?;
        print_session(session.as_ref(), out)
    }
}

fn print_session(session: Option<&SessionStatus>, out: &mut impl Write) -> Result<(), Failure> {
    for (name, value) in session.map(agreed_lines).into_iter().flatten() {
        writeln!(out, "{name}: {value}")?;
    }
    Ok(())
}
