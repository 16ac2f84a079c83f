//! Why a driver ended that was refused something: in words of its own, and with the exit status of that.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::Stdio;

use netipc_bench::Failure;
use netipc_bench::drivers::Driver;

use crate::fault::Language;
use crate::stage::ends_in_words;

/// How Go ends a process whose runtime can have no poller: its own, which no library may make for it.
const NO_POLLER: [&str; 2] = ["runtime: netpollinit failed", "runtime: eventfd failed"];
/// The exit status of that.
const THROWN: i32 = 2;
/// What a loader says that can open none of the libraries of a program which has not begun.
const NOT_LOADED: &str = "error while loading shared libraries";
/// The exit status of that.
const NOT_STARTED: i32 = 127;

/// What a driver complains about: a file that nobody else has.
#[derive(Debug)]
pub(crate) struct Complaints(File);

impl Complaints {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self(tempfile::tempfile()?))
    }

    /// Where a driver is to complain.
    pub(crate) fn place(&self) -> Result<Stdio, Failure> {
        Ok(self.0.try_clone()?.into())
    }

    /// What it said there until it ended.
    pub(crate) fn said(&mut self) -> Result<String, Failure> {
        let mut said = String::new();
        self.0.rewind()?;
        self.0.read_to_string(&mut said)?;
        Ok(said)
    }
}

/// That a process said why it ends, and did, by no signal and by no panic; or that it was not the driver that ended:
/// Go's runtime for want of a poller, or the loader for want of a library.
pub(crate) fn ended_for_a_reason(
    driver: &mut Driver,
    language: Language,
    said: &str,
) -> Result<(), Failure> {
    let ended = driver.has_ended()?.ok_or("it neither serves nor ends")?;
    let thrown = language == Language::Go && ended.code() == Some(THROWN);
    if thrown && NO_POLLER.iter().any(|words| said.contains(words)) {
        return Ok(());
    }
    if ended.code() == Some(NOT_STARTED) && said.contains(NOT_LOADED) {
        return Ok(());
    }
    if said.trim().is_empty() {
        return Err(format!("it ended with {ended}, and said nothing").into());
    }
    ends_in_words(driver).map_err(|failure| format!("{failure}: {said}").into())
}
