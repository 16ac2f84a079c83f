//! Servers that lie: to clients of every language, over the socket and through shared memory.

use std::path::PathBuf;
use std::sync::LazyLock;

use netipc_bench::Failure;
use netipc_bench::lines::{Endured, Line, TELL};

use super::clients::socket_of;
use super::fields::{self, Field, Reaction};
use super::raw::{Raw, RawListener, Seen, told};
use super::region::{RawRegion, good_header, path_of};
use super::wire::{self, HEADER_BYTES, Offer};
use super::{LANGUAGES, clients_over_regions, clients_over_sockets, next_of};
use crate::fault::{Counts, Fault, Sides, Turn};
use crate::stage::{Client, PATIENCE, SERVICE, Stage};
use crate::watch::Belongings;

const CLOSES: &str =
    "the client takes no answer from it, closes at once and is told why; it lives, and ends well";
/// What hostile servers number their sessions.
const SESSION: u64 = 7;
/// Packets in which the shortest answers are cut.
const SHORT_PACKET_BYTES: u32 = 40;

/// What a client may make for its first wait, and keeps: Go's poller, and what wakes it.
const FIRST_DESCRIPTORS: usize = 4;

/// A field with a value that is not the right one.
type Lie = (&'static Field, u64);

const fn fault(
    name: &'static str,
    how: &'static str,
    sides: fn(&Sides) -> bool,
    full: u32,
    turn: fn(&mut Stage<'_>) -> Turn,
) -> Fault {
    const QUICK_EACH: u32 = 60;
    let counts = Counts { quick: QUICK_EACH * LANGUAGES, full: full * LANGUAGES };
    Fault { name, promise: CLOSES, how, sides, counts, bound: None, turn }
}

pub(in crate::faults) const SERVERS: &[Fault] = &[
    fault(
        "hostile-ack",
        "HELLO_ACK with every bad value of every field",
        clients_over_sockets,
        1220,
        |stage| meet(stage, |stage, raw, offer| lie_in_the_ack(stage, &raw, &offer)),
    ),
    fault(
        "hostile-response",
        "answers with every bad value of every field",
        clients_over_sockets,
        700,
        |stage| meet(stage, |stage, raw, offer| lie_in_the_response(stage, &raw, &offer)),
    ),
    fault(
        "hostile-response-chunk",
        "answers in chunks with every bad value of every field of their headers",
        clients_over_sockets,
        1030,
        |stage| meet(stage, |stage, raw, offer| lie_in_a_chunk(stage, &raw, &offer)),
    ),
    fault(
        "hostile-response-shape",
        "answers cut short at every byte, longer than they say, and garbage in their place",
        clients_over_sockets,
        340,
        |stage| meet(stage, |stage, raw, offer| answer_in_bad_shape(stage, &raw, &offer)),
    ),
    fault(
        "hostile-region-offer",
        "regions with every bad value in every word of the header, and of every length",
        clients_over_regions,
        950,
        |stage| meet(stage, |stage, raw, offer| lie_in_the_region(stage, &raw, &offer)),
    ),
    fault(
        "hostile-region-response",
        "answers through shared memory with every bad value of every field, and of every word",
        clients_over_regions,
        1000,
        |stage| meet(stage, |stage, raw, offer| lie_through_the_region(stage, &raw, &offer)),
    ),
    fault(
        "hostile-descriptors-back",
        "descriptors in HELLO_ACK and in answers, which are right otherwise",
        clients_over_sockets,
        340,
        |stage| meet(stage, |_, raw, offer| answer_with_descriptors(&raw, &offer)),
    ),
];

static ACK_LIES: LazyLock<Vec<Lie>> =
    LazyLock::new(|| lies(fields::ACK, &fields::OFFER.ack(wire::BASELINE, SESSION)));
static RESPONSE_LIES: LazyLock<Vec<Lie>> =
    LazyLock::new(|| lies(fields::RESPONSE, &wire::response(1, fields::TEXT)));
static REGION_RESPONSE_LIES: LazyLock<Vec<Lie>> = LazyLock::new(|| {
    let words = fields::REGION.iter().filter(|field| field.name.starts_with("resp_"));
    let (header, _) = good_header(0, 0);
    let of = |field| fields::bad_values(field, &header).into_iter().map(move |v| (field, v));
    let mut all = lies(fields::RESPONSE, &wire::response(1, fields::TEXT));
    all.extend(words.flat_map(of));
    all
});

/// A client that has just been started comes to a hostile server; it must live, be right about what it was
/// told, and end well.
fn meet(
    stage: &mut Stage<'_>,
    lie: fn(&mut Stage<'_>, Raw, Offer) -> Result<u64, Failure>,
) -> Turn {
    let socket = socket_of(stage);
    let listener = RawListener::bind(&socket)?;
    let mut client = stage.new_client(stage.sides.client, &[])?;
    let (raw, offer) = listener.greet()?;
    let before = Belongings::of(client.driver().id())?;
    let right = lie(stage, raw, offer)?;
    let said = hear(&mut client, TELL)?;
    let now = Belongings::of(client.driver().id())?;
    if now.descriptors > before.descriptors + FIRST_DESCRIPTORS {
        let (now, before) = (now.descriptors, before.descriptors);
        return Err(format!("the client has {now} descriptors, before {before}").into());
    }
    if said.right > right {
        return Err(format!("{} answers taken, {right} of them right", said.right).into());
    }
    stage.right += said.right;
    drop(listener);
    std::fs::remove_file(&socket)?;
    client.driver().end()?;
    Ok(None)
}

/// A word to a client that endures, and what it tells, whatever that is.
pub(super) fn hear(client: &mut Client, word: &str) -> Result<Endured, Failure> {
    client.driver().say(word)?;
    match client.driver().hear_within(PATIENCE)? {
        Line::Endured(told) => Ok(told),
        other => Err(client.driver().unexpected(&other)),
    }
}

fn lies(table: &'static [Field], right: &[u8]) -> Vec<Lie> {
    let of = |field| fields::bad_values(field, right).into_iter().map(move |value| (field, value));
    table.iter().flat_map(of).collect()
}

fn in_words<T>((field, value): Lie, done: Result<T, Failure>) -> Result<T, Failure> {
    done.map_err(|failure| format!("{} = {value:#x}: {failure}", field.name).into())
}

/// Answers how many right answers were given.
fn lie_in_the_ack(stage: &mut Stage<'_>, raw: &Raw, offer: &Offer) -> Result<u64, Failure> {
    let lie = *next_of(stage, &ACK_LIES);
    let right = offer.ack(wire::BASELINE, SESSION);
    raw.send(&lie.0.with(&right, lie.1))?;
    let is_right = lie.0.value(&right) == lie.1;
    in_words(
        lie,
        match lie.0.reaction(lie.1) {
            Reaction::Close if !is_right => raw.must_close().map(|()| 0),
            Reaction::Any => raw.recv().map(|_| 0),
            // With other terms: what it asks for is answered.
            _ => answer(raw, offer.packet_bytes as usize).map(|()| 1),
        },
    )
}

/// Takes a request, and answers it rightly.
fn answer(raw: &Raw, packet_bytes: usize) -> Result<(), Failure> {
    let (id, text) = take_request(raw)?;
    for packet in wire::packets(&wire::response(id, &text), packet_bytes) {
        raw.send(&packet)?;
    }
    Ok(())
}

/// A request, whole: its id, and what is to be reversed.
fn take_request(raw: &Raw) -> Result<(u64, Vec<u8>), Failure> {
    let mut message = match raw.recv()? {
        Seen::Packet(packet) => packet,
        seen => return Err(format!("{} in place of a request", told(&seen)).into()),
    };
    let total = wire::total_bytes(&message).ok_or("a request's header")?;
    while message.len() < total {
        match raw.recv()? {
            Seen::Packet(packet) => {
                message.extend(packet.get(HEADER_BYTES..).ok_or("a chunk's header")?);
            }
            seen => return Err(format!("{} in place of a chunk", told(&seen)).into()),
        }
    }
    Ok((wire::id_of(&message), text_of(&message)?))
}

fn text_of(message: &[u8]) -> Result<Vec<u8>, Failure> {
    wire::text_of(message).ok_or_else(|| "a request of something else".into())
}

/// Agrees to what a client proposes, over the socket.
fn agree(raw: &Raw, offer: &Offer) -> Result<(), Failure> {
    raw.send(&offer.ack(wire::BASELINE, SESSION))?;
    Ok(())
}

/// What the contract says of a lie in an answer.
const fn may_stand(field: &Field, value: u64) -> bool {
    // UNSUPPORTED ends no session; another length may hold a string as well.
    matches!((field.at, value), (14, 4) | (36, _))
}

fn lie_in_the_response(stage: &mut Stage<'_>, raw: &Raw, offer: &Offer) -> Result<u64, Failure> {
    let lie = *next_of(stage, &RESPONSE_LIES);
    agree(raw, offer)?;
    let (id, text) = take_request(raw)?;
    let right = wire::response(id, &text);
    raw.send(&lie.0.with(&right, lie.1))?;
    let is_right = lie.0.value(&right) == lie.1;
    in_words(
        lie,
        if is_right || may_stand(lie.0, lie.1) {
            raw.recv().map(|_| u64::from(is_right))
        } else {
            raw.must_close().map(|()| 0)
        },
    )
}

/// Every field of the first chunk, then of the last.
fn lies_in_chunks(packets: &[Vec<u8>]) -> Vec<(usize, Lie)> {
    let of = |at: usize| lies(fields::CHUNK, &packets[at]).into_iter().map(move |lie| (at, lie));
    [1, packets.len() - 1].into_iter().flat_map(of).collect()
}

fn lie_in_a_chunk(stage: &mut Stage<'_>, raw: &Raw, offer: &Offer) -> Result<u64, Failure> {
    let short = Offer { packet_bytes: SHORT_PACKET_BYTES, ..*offer };
    agree(raw, &short)?;
    let (id, text) = take_request(raw)?;
    let packets = wire::packets(&wire::response(id, &text), SHORT_PACKET_BYTES as usize);
    let all = lies_in_chunks(&packets);
    let (at, lie) = *next_of(stage, &all);
    for packet in &packets[..at] {
        raw.send(packet)?;
    }
    raw.send(&lie.0.with(&packets[at], lie.1))?;
    in_words(lie, raw.must_close().map(|()| 0))
}

fn answer_in_bad_shape(stage: &mut Stage<'_>, raw: &Raw, offer: &Offer) -> Result<u64, Failure> {
    const TOO_MANY: [usize; 5] = [1, 8, 100, 4000, 60_000];
    const GARBAGE_KINDS: usize = 100;
    agree(raw, offer)?;
    let (id, text) = take_request(raw)?;
    let right = wire::response(id, &text);
    let kinds = right.len() - 1 + TOO_MANY.len() + GARBAGE_KINDS;
    let kind = *next_of(stage, &(0..kinds).collect::<Vec<_>>());
    let packet = match kind.checked_sub(right.len() - 1) {
        None => right[..=kind].to_vec(),
        Some(more) => match TOO_MANY.get(more) {
            Some(more) => [&right[..], &vec![0; *more]].concat(),
            None => super::cases::garbage(more as u64),
        },
    };
    raw.send(&packet)?;
    raw.must_close().map_err(|failure| format!("a packet of {} bytes: {failure}", packet.len()))?;
    Ok(0)
}

fn answer_with_descriptors(raw: &Raw, offer: &Offer) -> Result<u64, Failure> {
    const DESCRIPTORS: usize = 16;
    const ANSWERS: u64 = 3;
    let own = [raw.as_fd(); DESCRIPTORS];
    raw.send_with(&offer.ack(wire::BASELINE, SESSION), &own)?;
    for _ in 0..ANSWERS {
        let (id, text) = take_request(raw)?;
        raw.send_with(&wire::response(id, &text), &own)?;
    }
    // The next one shows that it took the last.
    take_request(raw)?;
    Ok(ANSWERS)
}

/// Whether a client may use a region with this header (spec section 7).
fn may_be_attached(header: &[u8], file_bytes: usize, offer: &Offer) -> bool {
    const ALIGNMENT: u64 = 64;
    let (right, _) = good_header(offer.request_bytes, offer.request_bytes);
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&header[at..at + 4]);
        u64::from(u32::from_ne_bytes(bytes))
    };
    let [request, request_room, response, response_room] = [16, 20, 24, 28].map(word);
    let needed = (u64::from(offer.request_bytes) + HEADER_BYTES as u64).next_multiple_of(ALIGNMENT);
    let is_sound = |offset: u64, room: u64| {
        offset.is_multiple_of(ALIGNMENT)
            && room.is_multiple_of(ALIGNMENT)
            && offset >= ALIGNMENT
            && room >= needed
            && offset + room <= file_bytes as u64
    };
    header[..8] == right[..8]
        && is_sound(request, request_room)
        && is_sound(response, response_room)
        && (request + request_room <= response || response + response_room <= request)
}

fn lie_in_the_region(stage: &mut Stage<'_>, raw: &Raw, offer: &Offer) -> Result<u64, Failure> {
    if offer.supported & wire::SHARED_MEMORY == 0 {
        return Err("the client offers no shared memory".into());
    }
    let (right, file_bytes) = good_header(offer.request_bytes, offer.request_bytes);
    let lie = *next_of(stage, &lies(fields::REGION, &right));
    let header = lie.0.with(&right, lie.1);
    let path = path_of(stage.path(), SERVICE, SESSION);
    let mut region = RawRegion::create(&path, &header, file_bytes)?;
    raw.send(&offer.ack(wire::SHARED_MEMORY, SESSION))?;
    let done = if may_be_attached(&header, file_bytes, offer) {
        answer_through(&mut region, raw).map(|()| 1)
    } else {
        raw.must_close().map(|()| 0)
    };
    std::fs::remove_file(path)?;
    in_words(lie, done)
}

/// Takes a request from a region, and answers it rightly.
fn answer_through(region: &mut RawRegion, raw: &Raw) -> Result<(), Failure> {
    match region.recv(raw)? {
        Seen::Packet(message) => {
            let text = text_of(&message)?;
            region.publish(&wire::response(wire::id_of(&message), &text))
        }
        seen => Err(format!("{} in place of a request", told(&seen)).into()),
    }
}

fn lie_through_the_region(stage: &mut Stage<'_>, raw: &Raw, offer: &Offer) -> Result<u64, Failure> {
    let (mut region, path) = agree_on_a_region(stage, raw, offer)?;
    let done = lie_to_a_request(stage, &mut region, raw);
    std::fs::remove_file(path)?;
    done
}

/// Agrees to what a client proposes, over shared memory: a region as it must be, and its file, which is the caller's
/// to remove.
pub(super) fn agree_on_a_region(
    stage: &Stage<'_>,
    raw: &Raw,
    offer: &Offer,
) -> Result<(RawRegion, PathBuf), Failure> {
    let path = path_of(stage.path(), SERVICE, SESSION);
    let (header, file_bytes) = good_header(offer.request_bytes, offer.request_bytes);
    let region = RawRegion::create(&path, &header, file_bytes)?;
    raw.send(&offer.ack(wire::SHARED_MEMORY, SESSION))?;
    Ok((region, path))
}

fn lie_to_a_request(
    stage: &mut Stage<'_>,
    region: &mut RawRegion,
    raw: &Raw,
) -> Result<u64, Failure> {
    let message = match region.recv(raw)? {
        Seen::Packet(message) => message,
        seen => return Err(format!("{} in place of a request", told(&seen)).into()),
    };
    let lie = *next_of(stage, &REGION_RESPONSE_LIES);
    let right = wire::response(wire::id_of(&message), &text_of(&message)?);
    let len = right.len() as u32;
    let mut is_right = false;
    match lie.0.name {
        "resp_seq" => {
            is_right = lie.1 == 1;
            if lie.1 == 0 {
                region.wake();
                return Ok(0);
            }
            region.publish_as(&right, len, lie.1)?;
        }
        "resp_len" => {
            is_right = lie.1 == u64::from(len);
            region.publish_as(&right, lie.1 as u32, 1)?;
        }
        "resp_signal" => {
            region.lie(lie.0, lie.1)?;
            region.publish(&right)?;
            is_right = true;
        }
        _ => {
            is_right |= lie.0.value(&right) == lie.1;
            region.publish(&lie.0.with(&right, lie.1))?;
        }
    }
    in_words(
        lie,
        if is_right || may_stand(lie.0, lie.1) && lie.0.at < 40 {
            region.recv(raw).map(|_| u64::from(is_right))
        } else {
            raw.must_close().map(|()| 0)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lie_is_told_in_full() {
        let right = wire::response(1, fields::TEXT);
        let packets = wire::packets(&right, SHORT_PACKET_BYTES as usize);
        let limit = fields::OFFER.request_bytes;
        let all: [(&str, usize); 5] = [
            ("hostile-ack", ACK_LIES.len()),
            ("hostile-response", RESPONSE_LIES.len()),
            ("hostile-response-chunk", lies_in_chunks(&packets).len()),
            ("hostile-region-offer", lies(fields::REGION, &good_header(limit, limit).0).len()),
            ("hostile-region-response", REGION_RESPONSE_LIES.len()),
        ];
        for (name, lies) in all {
            let fault = SERVERS.iter().find(|fault| fault.name == name).expect("in the table");
            let each = fault.counts.full / LANGUAGES;
            assert!(each as usize >= lies, "{name}: {each} of {lies}");
        }
    }
}
