//! The wall clock that jumps: that it does, and for whom.

use std::path::Path;
use std::process::Command;

use netipc_bench::Failure;

use crate::stage::Drivers;

/// What the library sets the clock on or back.
const DAY_S: u64 = 24 * 60 * 60;
/// A shell looks at the wall clock twice, and tells the seconds.
const TWO_LOOKS: &str = "printf '%(%s)T %(%s)T' -1 -1";

/// That a program which is given the library sees the clock jump by a day at least between two looks, and that one
/// which is not sees none of it.
pub(crate) fn check_itself(drivers: &Drivers) -> Result<(), Failure> {
    let jumps = between_two_looks(Some(&drivers.jumping_clock))?;
    if jumps < DAY_S {
        return Err(format!("the preloaded clock jumps by {jumps} s between two looks").into());
    }
    let jumps = between_two_looks(None)?;
    if jumps >= DAY_S {
        return Err(format!("the clock itself jumps by {jumps} s").into());
    }
    Ok(())
}

fn between_two_looks(library: Option<&Path>) -> Result<u64, Failure> {
    let mut shell = Command::new("bash");
    shell.args(["-c", TWO_LOOKS]);
    if let Some(library) = library {
        shell.env("LD_PRELOAD", library);
    }
    let told = String::from_utf8(shell.output()?.stdout)?;
    let (first, second) = told.split_once(' ').ok_or_else(|| format!("two looks: {told:?}"))?;
    Ok(first.parse::<u64>()?.abs_diff(second.parse()?))
}

/// That a process has the library: one that is linked without a loader would not be given it.
pub(crate) fn jumps_for(drivers: &Drivers, pid: u32) -> Result<(), Failure> {
    let library = std::fs::canonicalize(&drivers.jumping_clock)?.display().to_string();
    if std::fs::read_to_string(format!("/proc/{pid}/maps"))?.contains(&library) {
        return Ok(());
    }
    Err(format!("{library} is not loaded").into())
}
