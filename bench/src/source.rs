//! Which code something was played with, and when: for reports that say what they are of.

use std::process::Command;

/// The revision of the tree that this is run in, with a plus where files are changed beside those under these paths;
/// empty where nobody tells.
#[must_use]
pub fn revision(beside: &[&str]) -> String {
    let beside: Vec<String> = beside.iter().map(|path| format!(":(top,exclude){path}")).collect();
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--", ":/"];
    status.extend(beside.iter().map(String::as_str));
    let changed = said_by("git", &status);
    let revision = said_by("git", &["rev-parse", "--short=12", "HEAD"]);
    if changed.is_empty() { revision } else { format!("{revision}+") }
}

/// The day, in UTC: year, month, day.
#[must_use]
pub fn day() -> String {
    said_by("date", &["-u", "+%Y-%m-%d"])
}

/// What a program says, on one line; nothing where there is no such program.
pub(crate) fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    String::from_utf8_lossy(&said.unwrap_or_default()).trim().to_owned()
}
