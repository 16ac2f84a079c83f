//! A client that calls so many times whenever it is told to, while its runner ends servers and starts
//! others in their place: tests/interop/README.md.

use super::client::{Play, play};
use super::measure::Caller;
use super::process::{hear, say};
use super::{CheckOptions, ClientOptions, Rate};
use crate::Failure;
use crate::lines::{AWAY, Checked, GO, Line};

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
                    let after = caller.answered();
                    say(&Line::Checked(Checked {
                        calls: after.calls - before.calls,
                        requests: after.requests - before.requests,
                        items: after.items - before.items,
                    }))?;
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
