//! Servers that lie in the answers to batches: to clients that make one batch, and end where it is not answered
//! rightly.

use std::process::{Command, Stdio};

use netipc_bench::Failure;
use netipc_bench::drivers::Driver;
use netipc_bench::lines::{GO, Line};

use super::clients::socket_of;
use super::fields::{self, BATCH_RESPONSE, Field};
use super::raw::{Raw, RawListener, Seen, told};
use super::wire;
use super::{LANGUAGES, clients_over_sockets, next_of};
use crate::fault::{Counts, Fault, Turn};
use crate::stage::{PATIENCE, SERVICE, Stage, ends_in_words};

const EACH: u32 = 340;
const QUICK_EACH: u32 = 40;
/// What hostile servers number their sessions.
const SESSION: u64 = 7;
/// What the clients' batches have at most, and their strings.
const ITEMS: &str = "3";
const TEXT_BYTES: &str = "24";

pub(in crate::faults) const BATCHES: &[Fault] = &[Fault {
    name: "hostile-batch-response",
    promise: "the client takes no answer from it, and ends with words; where only the place of an item is another, \
              its contents are what is judged",
    how: "answers to batches with every bad value of their flags, counts, and of every field of the directory",
    sides: clients_over_sockets,
    counts: Counts { quick: QUICK_EACH * LANGUAGES, full: EACH * LANGUAGES },
    bound: None,
    turn: lie_in_a_batch,
}];

fn lie_in_a_batch(stage: &mut Stage<'_>) -> Turn {
    let socket = socket_of(stage);
    let listener = RawListener::bind(&socket)?;
    let mut client = batching_client(stage)?;
    let (raw, offer) = listener.greet()?;
    raw.send(&offer.ack(wire::BASELINE, SESSION))?;
    client.expect_ready()?;
    client.say(GO)?;
    let right = right_answer(&raw)?;
    let (field, value) = *next_of(stage, &lies(&right));
    raw.send(&field.with(&right, value))?;
    match client.hear_within(PATIENCE) {
        // It has ended: how is for the next line.
        Err(_) if client.has_ended()?.is_some() => ends_in_words(&mut client)?,
        Ok(Line::Checked(_)) if field.name == LENGTH => client.end()?,
        _ => return Err(format!("{} = {value:#x} was taken for an answer", field.name).into()),
    }
    raw.must_close()?;
    drop(listener);
    std::fs::remove_file(socket)?;
    Ok(None)
}

/// An item may have bytes behind its string: with some other lengths it is the same.
const LENGTH: &str = "length of the first";

fn lies(right: &[u8]) -> Vec<(&'static Field, u64)> {
    let of = |field| fields::bad_values(field, right).into_iter().map(move |value| (field, value));
    BATCH_RESPONSE.iter().flat_map(of).collect()
}

/// A client that connects, and makes one batch when it is told to.
fn batching_client(stage: &Stage<'_>) -> Result<Driver, Failure> {
    let driver = stage.drivers.of.get(&stage.sides.client).ok_or("a language without a driver")?;
    let mut command = Command::new(driver);
    command
        .args(["check", "--scenario", "reverse-batch", "--transport", "socket", "--turns", "1"])
        .args(["--items", ITEMS, "--bytes", TEXT_BYTES, "--service", SERVICE, "--run-dir"])
        .arg(stage.path())
        .env("NETIPC_BENCH_SETTLED", "1")
        // It says why it ends, each time.
        .stderr(Stdio::null());
    Driver::start(command, "client", PATIENCE)
}

/// The right answer to the batch that comes.
fn right_answer(raw: &Raw) -> Result<Vec<u8>, Failure> {
    let message = match raw.recv()? {
        Seen::Packet(message) => message,
        seen => return Err(format!("{} in place of a batch", told(&seen)).into()),
    };
    let mut texts = wire::texts_of(&message).ok_or("a batch of something else")?;
    for text in &mut texts {
        text.reverse();
    }
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    Ok(wire::batch(wire::RESPONSE, wire::id_of(&message), &texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lie_in_batches_is_told_in_full() {
        let right = wire::batch(wire::RESPONSE, 1, &fields::BATCH_TEXTS);
        assert!(EACH as usize >= lies(&right).len(), "{EACH} of {}", lies(&right).len());
    }
}
