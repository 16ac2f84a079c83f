//! Which machine was measured, so that nobody compares two.

use std::fs;

use netipc_sys::raw::{emulator, own_cpus};
use serde::{Deserialize, Serialize};

use netipc_sys::{FAMILY, Family};

use crate::Failure;
use crate::source::{self, said_by};

/// A machine, in words; what the system does not tell is left empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) is_virtual: bool,
    pub(crate) memory_kib: u64,
    pub(crate) kernel: String,
    /// What only pretends to be this system; figures of that are none.
    #[serde(default)]
    pub(crate) emulator: String,
    pub(crate) governor: String,
    /// Of the minute before the run: what else there was to do.
    pub(crate) load_before: f64,
    pub(crate) rustc: String,
    /// The revision that was measured; with a plus when it was changed since.
    pub(crate) revision: String,
    pub(crate) date: String,
}

impl Machine {
    /// This one, now.
    pub(super) fn look() -> Result<Self, Failure> {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name));
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
                .unwrap_or_default()
        };
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        let governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        Ok(Self {
            cpu: Some(field("model name"))
                .filter(|cpu| !cpu.is_empty())
                .unwrap_or_else(windows_cpu),
            cpus: own_cpus()?.len(),
            is_virtual: field("flags").split_whitespace().any(|flag| flag == "hypervisor"),
            memory_kib: number_in(&memory).unwrap_or(0.0) as u64,
            kernel: kernel.map_or_else(|_| windows_version(), |kernel| kernel.trim().to_owned()),
            emulator: emulator().unwrap_or_default(),
            governor: fs::read_to_string(governor).unwrap_or_default().trim().to_owned(),
            load_before: number_in(&load).unwrap_or(0.0),
            rustc: said_by("rustc", &["--version"]),
            revision: source::revision(&[]),
            date: source::day(),
        })
    }
}

impl Machine {
    /// Whether figures of it say something of the system that it is said to be.
    ///
    /// # Errors
    /// They do not: something else only behaves like that system.
    pub(super) fn may_be_published(&self) -> Result<(), Failure> {
        if self.emulator.is_empty() {
            return Ok(());
        }
        let emulator = &self.emulator;
        let why =
            format!("no report is published of {emulator}, whose figures say nothing of Windows");
        Err(format!("{why}: measure some rows, with --only").into())
    }

    /// Whether system calls can be counted.
    pub(super) const fn has_strace(&self) -> bool {
        !matches!(FAMILY, Family::Windows)
    }
}

/// As the environment has it there.
fn windows_cpu() -> String {
    std::env::var("PROCESSOR_IDENTIFIER").unwrap_or_default()
}

fn windows_version() -> String {
    said_by("cmd", &["/c", "ver"])
}

/// The first word of a text that is a number.
fn number_in(text: &str) -> Option<f64> {
    text.split_whitespace().find_map(|word| word.parse().ok())
}
