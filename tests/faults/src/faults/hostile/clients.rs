//! Clients that lie: to servers of every language, over the socket and through shared memory, while a bystander
//! calls.

use std::path::PathBuf;
use std::sync::LazyLock;

use netipc_bench::Failure;
use netipc_bench::lines::Unserved;

use super::cases::{self, BAD, BEFORE, Case, State};
use super::fields::{self, Field, OFFER, Reaction, TEXT};
use super::raw::{Raw, RawSession, Seen, told};
use super::region::RegionSession;
use super::wire::{self, Header, Status};
use super::{LANGUAGES, next_of, servers_over_regions, servers_over_sockets};
use crate::fault::{Counts, Fault, Sides, Turn};
use crate::stage::{SERVICE, SETTLING, Stage};
use crate::watch::{Belongings, settles};

/// The bystander's.
const OTHER_SESSIONS: usize = 1;

const SERVED_ON: &str = "the server answers as the contract says, or closes; it gives all back, and serves others \
                         as ever";

macro_rules! cases_of {
    ($name:ident, $make:expr) => {
        static $name: LazyLock<Vec<Case>> = LazyLock::new(|| $make);
    };
}
cases_of!(HELLOS, cases::hellos(&State::OF_SOCKETS));
cases_of!(NO_HELLOS, cases::no_hellos());
cases_of!(REQUESTS, cases::requests(&State::OF_SOCKETS));
cases_of!(PAYLOADS, cases::payloads(&State::OF_SOCKETS));
cases_of!(BATCHES, cases::batches(&State::OF_SOCKETS));
cases_of!(
    CHUNKS,
    [cases::chunks(&State::BETWEEN_MESSAGES), cases::broken_chunks(&State::BETWEEN_MESSAGES),]
        .concat()
);
cases_of!(SHAPES, cases::shapes(&State::OF_SOCKETS));
cases_of!(THROUGH_REGIONS, cases::through_regions(&State::OF_REGIONS));

const fn fault(
    name: &'static str,
    how: &'static str,
    sides: fn(&Sides) -> bool,
    full: u32,
    turn: fn(&mut Stage<'_>) -> Turn,
) -> Fault {
    const QUICK_EACH: u32 = 120;
    let counts = Counts { quick: QUICK_EACH * LANGUAGES, full: full * LANGUAGES };
    Fault { name, promise: SERVED_ON, how, sides, counts, bound: None, turn }
}

pub(in crate::faults) const CLIENTS: &[Fault] = &[
    fault(
        "hostile-hello",
        "HELLO with every bad value of every field, in its place, and in every state of a session; a bystander \
         calling",
        servers_over_sockets,
        6840,
        |stage| attack(stage, &HELLOS),
    ),
    fault(
        "hostile-no-hello",
        "other messages, garbage, and HELLO of every length, in the place of HELLO; a bystander calling",
        servers_over_sockets,
        340,
        |stage| attack(stage, &NO_HELLOS),
    ),
    fault(
        "hostile-request",
        "requests with every bad value of every field of the header, right after the handshake, after calls and \
         batches, with a request outstanding, in the midst of chunks; a bystander calling",
        servers_over_sockets,
        2600,
        |stage| attack(stage, &REQUESTS),
    ),
    fault(
        "hostile-payload",
        "requests with every bad value of every field of the payload, in the same states; a bystander calling",
        servers_over_sockets,
        680,
        |stage| attack(stage, &PAYLOADS),
    ),
    fault(
        "hostile-batch",
        "batches with every bad value of every field of the directory, in the same states; a bystander calling",
        servers_over_sockets,
        1760,
        |stage| attack(stage, &BATCHES),
    ),
    fault(
        "hostile-chunk",
        "chunks with every bad value of every field of the header, the first, one between and the last; chunks \
         left out, twice, out of order; right after the handshake, after calls and batches, with a request \
         outstanding; a bystander calling",
        servers_over_sockets,
        6200,
        |stage| attack(stage, &CHUNKS),
    ),
    fault(
        "hostile-shape",
        "requests cut short at every byte and longer than they say, messages out of place, garbage, in the same \
         states; a bystander calling",
        servers_over_sockets,
        720,
        |stage| attack(stage, &SHAPES),
    ),
    fault(
        "hostile-region-message",
        "the same messages through shared memory, also over a request that is outstanding; a bystander calling",
        servers_over_regions,
        4680,
        |stage| attack_region(stage, &THROUGH_REGIONS),
    ),
    fault(
        "hostile-region-words",
        "every bad value in every word of a region's header, right after the handshake and after calls; a \
         bystander calling",
        servers_over_regions,
        1820,
        attack_words,
    ),
    fault(
        "hostile-descriptors",
        "descriptors in packets: in HELLO, in requests, in chunks; a bystander calling",
        servers_over_sockets,
        340,
        send_descriptors,
    ),
];

/// One case over the socket.
fn attack(stage: &mut Stage<'_>, cases: &'static [Case]) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let case = next_of(stage, cases);
    let socket = socket_of(stage);
    let before = stage.counts()?;
    in_words(case, play(&socket, case))?;
    in_words(case, is_counted(stage, case, &before))?;
    stage.server_settles(OTHER_SESSIONS)?;
    stage.bystander_is_well()?;
    Ok(None)
}

/// What the server's status tells has grown by what it met.
fn is_counted(stage: &mut Stage<'_>, case: &Case, before: &Unserved) -> Result<(), Failure> {
    settles(SETTLING, || {
        let now = stage.counts()?;
        let is_handshake = case.state == State::Connected;
        let has_grown = match case.reaction {
            Reaction::Refuse(Status::AUTH_FAILED) => now.auth_failed > before.auth_failed,
            Reaction::Close | Reaction::End | Reaction::Refuse(_) | Reaction::RefuseOrClose(_) => {
                if is_handshake {
                    now.refused_handshakes > before.refused_handshakes
                } else {
                    now.ended_sessions > before.ended_sessions
                }
            }
            Reaction::Decline(_) => now.declined_requests > before.declined_requests,
            Reaction::Serve | Reaction::Answer | Reaction::Any => true,
        };
        Ok((!has_grown).then(|| format!("counts that do not tell of it: {now:?}")))
    })?;
    Ok(())
}

/// One case through a region.
fn attack_region(stage: &mut Stage<'_>, cases: &'static [Case]) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let case = next_of(stage, cases);
    let before = stage.counts()?;
    in_words(case, play_region(stage, case))?;
    in_words(case, is_counted(stage, case, &before))?;
    stage.server_settles(OTHER_SESSIONS)?;
    stage.bystander_is_well()?;
    Ok(None)
}

fn in_words(case: &Case, played: Result<(), Failure>) -> Result<(), Failure> {
    played.map_err(|failure| format!("{}, {}: {failure}", case.name, case.state.told()).into())
}

pub(super) fn socket_of(stage: &Stage<'_>) -> PathBuf {
    stage.path().join(format!("{SERVICE}.sock"))
}

fn play(socket: &std::path::Path, case: &Case) -> Result<(), Failure> {
    let bad = case.packets.last().ok_or("a packet")?;
    if case.state == State::Connected {
        let raw = Raw::connect(socket)?;
        send_all(&raw, &case.packets)?;
        return match case.reaction {
            // With any terms that may have come of it.
            Reaction::Serve => {
                raw.must_say(Status::OK)?;
                raw.send(&Header::new(wire::REQUEST, u16::MAX, BAD, 0).message(&[]))?;
                raw.must_say(Status::UNSUPPORTED)
            }
            reaction => raw.must_react(reaction, 0, TEXT, None),
        };
    }
    let session = session_in(socket, case.state)?;
    send_all(&session.raw, &case.packets)?;
    let outstanding = (case.state == State::Outstanding).then_some(BEFORE);
    session.raw.must_react(case.reaction, wire::id_of(bad), TEXT, outstanding)
}

fn send_all(raw: &Raw, packets: &[Vec<u8>]) -> Result<(), Failure> {
    for packet in packets {
        // Who is refused by an earlier one cannot send the next, and reads what was said.
        raw.send(packet)?;
    }
    Ok(())
}

/// A session in a state.
fn session_in(socket: &std::path::Path, state: State) -> Result<RawSession, Failure> {
    let session = RawSession::open(socket, &OFFER)?;
    let raw = &session.raw;
    match state {
        State::Connected | State::Fresh => {}
        State::Served => {
            raw.send(&wire::request(BEFORE, TEXT))?;
            raw.must_serve(BEFORE, TEXT)?;
        }
        State::Batched => {
            raw.send(&cases::good_batch(BEFORE))?;
            raw.must_react(Reaction::Answer, BEFORE, TEXT, None)?;
        }
        State::Outstanding => {
            raw.send(&wire::request(BEFORE, TEXT))?;
        }
        State::MidMessage => {
            raw.send(&cases::long_message()[0])?;
        }
    }
    Ok(session)
}

/// A session over shared memory in a state.
fn region_in(stage: &Stage<'_>, state: State) -> Result<RegionSession, Failure> {
    let mut session = RegionSession::open(&socket_of(stage), stage.path(), SERVICE, OFFER)?;
    match state {
        State::Served => {
            session.region.publish(&wire::request(BEFORE, TEXT))?;
            session.must_serve(BEFORE, TEXT)?;
        }
        State::Batched => {
            session.region.publish(&cases::good_batch(BEFORE))?;
            session.must_react(Reaction::Answer, BEFORE, TEXT)?;
        }
        State::Outstanding => session.region.publish_in_haste(&wire::request(BEFORE, TEXT))?,
        State::Connected | State::Fresh | State::MidMessage => {}
    }
    Ok(session)
}

fn play_region(stage: &Stage<'_>, case: &Case) -> Result<(), Failure> {
    let bad = case.packets.last().ok_or("a packet")?;
    let mut session = region_in(stage, case.state)?;
    session.region.publish(bad)?;
    session.must_react(case.reaction, wire::id_of(bad), TEXT)
}

/// Descriptors that nobody wants: they must not stay.
fn send_descriptors(stage: &mut Stage<'_>) -> Turn {
    const DESCRIPTORS: usize = 16;
    stage.serve()?;
    stage.bystander()?;
    let server = stage.server.as_ref().ok_or("a server")?.driver.id();
    let before = Belongings::of(server)?.descriptors;
    let raw = Raw::connect(&socket_of(stage))?;
    let own = [raw.as_fd(); DESCRIPTORS];
    raw.send_with(&OFFER.hello(), &own)?;
    raw.must_say(Status::OK)?;
    raw.send_with(&wire::request(BEFORE, TEXT), &own)?;
    raw.must_serve(BEFORE, TEXT)?;
    for packet in cases::long_message() {
        raw.send_with(&packet, &own)?;
    }
    raw.must_react(Reaction::Answer, BAD, TEXT, None)?;
    // While the session is still there: they are not kept for its time either.
    let now = Belongings::of(server)?.descriptors;
    if now >= before + DESCRIPTORS {
        return Err(format!("{now} descriptors, before {before}").into());
    }
    drop(raw);
    stage.server_settles(OTHER_SESSIONS)?;
    stage.bystander_is_well()?;
    Ok(None)
}

/// Every bad value in every word of a region's header, in two states.
static WORDS: LazyLock<Vec<(&'static Field, u64, State)>> = LazyLock::new(|| {
    let mut all = Vec::new();
    let (header, _) = super::region::good_header(OFFER.request_bytes, OFFER.request_bytes);
    for state in [State::Fresh, State::Served] {
        for field in fields::REGION {
            all.extend(fields::bad_values(field, &header).into_iter().map(|v| (field, v, state)));
        }
    }
    all
});

/// One bad value in a region's header.
fn attack_words(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let (field, value, state) = *next_of(stage, &WORDS);
    lie_in_a_word(stage, field, value, state)
        .map_err(|failure| format!("{} = {value:#x}, {}: {failure}", field.name, state.told()))?;
    stage.server_settles(OTHER_SESSIONS)?;
    stage.bystander_is_well()?;
    Ok(None)
}

fn lie_in_a_word(
    stage: &Stage<'_>,
    field: &Field,
    value: u64,
    state: State,
) -> Result<(), Failure> {
    let mut session = region_in(stage, state)?;
    let seen = u64::from(state == State::Served);
    let request = wire::request(BAD, TEXT);
    let region = &mut session.region;
    match field.name {
        // The next number with the last message's length is that message again.
        "req_seq" if value == seen + 1 && state == State::Served => {
            region.publish_as(&request, request.len() as u32, value)?;
            session.must_serve(BAD, TEXT)
        }
        "req_seq" if value == seen => {
            region.wake();
            region.publish(&request)?;
            session.must_serve(BAD, TEXT)
        }
        "req_seq" => {
            region.publish_as(&request, request.len() as u32, value)?;
            match (value == seen + 1, session.recv()?) {
                (false, Seen::Closed) => Ok(()),
                (true, Seen::Packet(message)) if message == wire::response(BAD, TEXT) => Ok(()),
                (_, seen) => Err(format!("{} in place of the end", told(&seen)).into()),
            }
        }
        "req_len" => {
            region.publish_as(&request, value as u32, seen + 1)?;
            let is_right = value == request.len() as u64;
            let reaction = if is_right {
                Reaction::Serve
            } else {
                Reaction::RefuseOrClose(Status::LIMIT_EXCEEDED)
            };
            session.must_react(reaction, BAD, TEXT)
        }
        // Numbers of answers are the server's: it writes them anew, and this end would take the next for one.
        "resp_seq" if value == seen + 1 => Ok(()),
        // What the server does not read, or not again.
        _ => {
            region.lie(field, value)?;
            region.wake();
            region.publish(&request)?;
            session.must_serve(BAD, TEXT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_played_in_full() {
        let all: [(&str, usize); 9] = [
            ("hostile-hello", HELLOS.len()),
            ("hostile-no-hello", NO_HELLOS.len()),
            ("hostile-request", REQUESTS.len()),
            ("hostile-payload", PAYLOADS.len()),
            ("hostile-batch", BATCHES.len()),
            ("hostile-chunk", CHUNKS.len()),
            ("hostile-shape", SHAPES.len()),
            ("hostile-region-message", THROUGH_REGIONS.len()),
            ("hostile-region-words", WORDS.len()),
        ];
        for (name, cases) in all {
            let fault = CLIENTS.iter().find(|fault| fault.name == name).expect("in the table");
            let each = fault.counts.full / LANGUAGES;
            assert!(each as usize >= cases, "{name}: {each} of {cases}");
        }
    }
}
