//! The benchmark of netipc: what its transports do, held against what the machine can do at most.
//!
//! ```text
//!   runner ── plan of rows ──▶ one row, once ──▶ driver server ◀── transport ──▶ driver client
//!      │                            ▲                  lines of JSON, both ways
//!      │                            └── repetitions go round the whole plan
//!      └─▶ medians ─▶ results.csv, results.json, the report with its floors and plots
//! ```
//!
//! A *driver* is a program of one language that plays either end of a scenario; `README.md` has its
//! command line, for drivers of other languages. The runner starts drivers, compares what they
//! counted, and stops at the first answer that is wrong or missing.
//!
//! What it does **not** do: it compares no two machines, and a figure of a busy machine says nothing.
#![forbid(unsafe_code)]

pub mod driver;
pub mod drivers;
pub mod lines;
pub mod runner;
pub mod source;

mod work;

/// How long one answer may take, or a driver beside the time that it measures: on a machine that is
/// busy with other things for as long, only what hangs takes longer.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// Why a run ends early: in words, for who runs it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
