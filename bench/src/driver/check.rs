//! A client that calls so many times whenever it is told to, while its runner ends servers and starts
//! others in their place: tests/interop/README.md.

use netipc::client::{CallError, CallErrorKind};

use super::client::{Play, play};
use super::measure::{Answered, Caller};
use super::process::{hear, monotonic_ns, rest_until, say};
use super::{CheckOptions, ClientOptions, Rate};
use crate::Failure;
use crate::lines::{AWAY, Checked, GO, Line, THROUGH};

const NS_PER_S: f64 = 1e9;

/// Connects, says so, and does what it is told until standard input ends.
pub(super) fn run(options: &CheckOptions) -> Result<(), Failure> {
    let CheckOptions { options, turns } = options;
    let (turns, options) = (*turns, options.clone());
    let options =
        ClientOptions { options, rate: Rate::Max, seconds: 0.0, warmup_seconds: 0.0, clients: 1 };
    play(&options, &Checks { turns })
}

struct Checks {
    turns: u64,
}

impl Play for Checks {
    fn play<C: Caller>(
        &self,
        options: &ClientOptions,
        make: impl Fn(&ClientOptions, usize) -> Result<C, Failure> + Sync,
    ) -> Result<(), Failure> {
        let mut caller = make(options, 0)?;
        say(&Line::Ready)?;
        while let Some(words) = hear()? {
            match words.split_once(' ').unwrap_or((&words, "")) {
                (GO, generation) => {
                    if !generation.is_empty() {
                        caller.expect_generation(generation.parse()?);
                    }
                    let before = caller.answered();
                    for _ in 0..self.turns {
                        caller.turn()?;
                    }
                    caller.settle()?;
                    say(&checked(before, caller.answered(), 0))?;
                }
                (THROUGH, how) => {
                    let (seconds, rate) = how.split_once(' ').ok_or("how long, how often?")?;
                    let before = caller.answered();
                    let lost = through(&mut caller, seconds.parse()?, rate.parse()?)?;
                    say(&checked(before, caller.answered(), lost))?;
                }
                (AWAY, _) => {
                    caller.expect_nobody()?;
                    say(&Line::Away)?;
                }
                _ => return Err(format!("unknown word: {words}").into()),
            }
        }
        Ok(())
    }
}

fn checked(before: Answered, after: Answered, lost: u64) -> Line {
    Line::Checked(Checked {
        calls: after.calls - before.calls,
        requests: after.requests - before.requests,
        items: after.items - before.items,
        lost,
    })
}

/// Makes its turns at fixed times, whether or not somebody serves. Answers how many were lost.
fn through(caller: &mut impl Caller, seconds: f64, rate: f64) -> Result<u64, Failure> {
    let (start_ns, mut lost) = (monotonic_ns(), 0);
    for count in 0..(seconds * rate) as u64 {
        rest_until(start_ns.saturating_add((count as f64 * NS_PER_S / rate) as u64));
        let Err(failure) = caller.turn() else { continue };
        if !is_lost(&failure) {
            return Err(failure);
        }
        lost += 1;
        caller.refresh();
    }
    caller.settle()?;
    Ok(lost)
}

/// Whether a call failed because nobody served, and by nothing else.
fn is_lost(failure: &Failure) -> bool {
    let error = failure.downcast_ref::<CallError>();
    error.is_some_and(|error| matches!(error.kind(), CallErrorKind::NotReady | CallErrorKind::Lost))
}
