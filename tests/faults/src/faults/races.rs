//! Servers that want one name at once.

use netipc_bench::Failure;
use netipc_bench::drivers::Driver;
use rustix::process::Signal;

use crate::ending::{Complaints, ended_for_a_reason};
use crate::fault::{Counts, Fault, Language, Over, Sides, Turn};
use crate::stage::{Stage, signal_driver};

/// What servers wait for.
const START: &str = "start";
/// What who comes too late says.
const TAKEN: &str = "address in use";

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "race-of-two",
        promise: "exactly one server has the name, the other says that it is in use and ends; clients are answered",
        how: "two servers of the two languages start at once (10,008 starts), where the last winner ended well or was \
              killed, in turn",
        sides: over_the_socket,
        counts: Counts { quick: 54, full: 5004 },
        bound: None,
        turn: race_of_two,
    },
    Fault {
        name: "race-of-ten",
        promise: "exactly one server has the name, the others say that it is in use and end; clients are answered",
        how: "ten servers of all languages start at once (10,080 starts), where the last winner ended well or was \
              killed, in turn",
        sides: over_the_socket,
        counts: Counts { quick: 9, full: 1008 },
        bound: None,
        turn: race_of_ten,
    },
];

/// Servers that race in a turn.
const FEW: usize = 2;
const MANY: usize = 10;

/// Names are of the socket; what sessions are over comes after.
fn over_the_socket(sides: &Sides) -> bool {
    sides.over == Over::Socket
}

fn race_of_two(stage: &mut Stage<'_>) -> Turn {
    let racers: [Language; FEW] = [stage.sides.client, stage.sides.server];
    race(stage, &racers)
}

fn race_of_ten(stage: &mut Stage<'_>) -> Turn {
    let mut racers = vec![stage.sides.client, stage.sides.server];
    racers.extend(Language::ALL.iter().cycle().take(MANY - FEW));
    race(stage, &racers)
}

fn race(stage: &mut Stage<'_>, racers: &[Language]) -> Turn {
    let mut waiting = Vec::new();
    for language in racers {
        let complaints = Complaints::new()?;
        let racer = stage.start_server(*language, &["--after", START], complaints.place()?)?;
        waiting.push((racer, *language, complaints));
    }
    for (racer, ..) in &mut waiting {
        racer.say(START)?;
    }
    let mut winners = Vec::new();
    for (mut racer, language, mut complaints) in waiting {
        if racer.expect_ready().is_ok() {
            winners.push(racer);
        } else {
            let said = complaints.said()?;
            ended_for_a_reason(&mut racer, language, &said)?;
            if !said.contains(TAKEN) {
                return Err(
                    format!("{language} does not say that the name is taken: {said}").into()
                );
            }
        }
    }
    let count = winners.len();
    let (Some(mut winner), 1) = (winners.pop(), count) else {
        return Err(format!("{count} of {} servers have the name", racers.len()).into());
    };
    if stage.client.is_none() {
        stage.client = Some(stage.new_client(stage.sides.client, &[])?);
    }
    stage.recovers()?;
    leave(stage, &mut winner)?;
    Ok(None)
}

/// The winner ends well, or as nothing can be prepared for.
fn leave(stage: &mut Stage<'_>, winner: &mut Driver) -> Result<(), Failure> {
    if stage.next_of(&[true, false]) {
        return winner.end();
    }
    signal_driver(winner, Signal::KILL)?;
    winner.wait()?;
    // Its name is free, whatever is left of it.
    stage.pair()?;
    stage.end_server()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_start_as_is_said() {
        for (fault, racers) in FAULTS.iter().zip([FEW, MANY]) {
            let starts = fault.counts.full as usize * racers;
            let said = format!("({},{:03} starts)", starts / 1000, starts % 1000);
            assert!(starts >= 10_000 && fault.how.contains(&said), "{}: {said}", fault.name);
        }
    }
}
