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
/// How many calls are answered rightly before the bad answer: none, or one.
const RIGHT_BEFORE: [u64; 2] = [0, 1];

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
        "answers with every bad value of every field, to the first call and to a later one",
        clients_over_sockets,
        1400,
        |stage| meet(stage, |stage, raw, offer| lie_in_the_response(stage, &raw, &offer)),
    ),
    fault(
        "hostile-response-chunk",
        "answers in chunks with every bad value of every field of their headers, to the first call and to a later one",
        clients_over_sockets,
        2060,
        |stage| meet(stage, |stage, raw, offer| lie_in_a_chunk(stage, &raw, &offer)),
    ),
    fault(
        "hostile-response-shape",
        "answers cut short at every byte, longer than they say, and garbage in their place, to the first call and to a \
         later one",
        clients_over_sockets,
        680,
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
        "answers through shared memory with every bad value of every field, and of every word, to the first call and \
         to a later one",
        clients_over_regions,
        2000,
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

/// The next of these, to the first call or to a later one: in twice as many turns as there are, all of both.
fn next_lie<T: Copy>(stage: &mut Stage<'_>, all: &[T]) -> (u64, T) {
    let in_each: Vec<(u64, T)> =
        RIGHT_BEFORE.iter().flat_map(|before| all.iter().map(move |lie| (*before, *lie))).collect();
    *next_of(stage, &in_each)
}

/// Answers so many calls rightly.
fn answer_rightly(raw: &Raw, packet_bytes: u32, calls: u64) -> Result<(), Failure> {
    (0..calls).try_for_each(|_| answer(raw, packet_bytes as usize))
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
    let (before, lie) = next_lie(stage, &RESPONSE_LIES);
    agree(raw, offer)?;
    answer_rightly(raw, offer.packet_bytes, before)?;
    let (id, text) = take_request(raw)?;
    let right = wire::response(id, &text);
    raw.send(&lie.0.with(&right, lie.1))?;
    let is_right = lie.0.value(&right) == lie.1;
    in_words(
        lie,
        if is_right || may_stand(lie.0, lie.1) {
            raw.recv().map(|_| before + u64::from(is_right))
        } else {
            raw.must_close().map(|()| before)
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
    let packets = short_answer(raw)?;
    let (before, (at, lie)) = next_lie(stage, &lies_in_chunks(&packets));
    let in_the_first = at == 1;
    let packets = if before == 0 {
        packets
    } else {
        send_all(raw, &packets)?;
        short_answer(raw)?
    };
    let at = if in_the_first { 1 } else { packets.len() - 1 };
    send_all(raw, &packets[..at])?;
    // What was a lie in one answer may be right in another.
    let is_right = lie.0.value(&packets[at]) == lie.1;
    let value = if is_right { lie.1 ^ 1 } else { lie.1 };
    raw.send(&lie.0.with(&packets[at], value))?;
    in_words(lie, raw.must_close().map(|()| before))
}

/// Takes a request: its answer, in packets.
fn short_answer(raw: &Raw) -> Result<Vec<Vec<u8>>, Failure> {
    let (id, text) = take_request(raw)?;
    Ok(wire::packets(&wire::response(id, &text), SHORT_PACKET_BYTES as usize))
}

fn send_all(raw: &Raw, packets: &[Vec<u8>]) -> Result<(), Failure> {
    for packet in packets {
        raw.send(packet)?;
    }
    Ok(())
}

/// What a bad shape is made of the right answer by.
#[derive(Clone, Copy, Debug)]
enum BadShape {
    Cut(usize),
    Longer(usize),
    Garbage(u64),
}

fn answer_in_bad_shape(stage: &mut Stage<'_>, raw: &Raw, offer: &Offer) -> Result<u64, Failure> {
    const TOO_MANY: [usize; 5] = [1, 8, 100, 4000, 60_000];
    const GARBAGE_KINDS: u64 = 100;
    agree(raw, offer)?;
    let (mut id, mut text) = take_request(raw)?;
    let mut shapes: Vec<BadShape> =
        (1..wire::response(id, &text).len()).map(BadShape::Cut).collect();
    shapes.extend(TOO_MANY.map(BadShape::Longer));
    shapes.extend((0..GARBAGE_KINDS).map(BadShape::Garbage));
    let (before, shape) = next_lie(stage, &shapes);
    if before > 0 {
        raw.send(&wire::response(id, &text))?;
        (id, text) = take_request(raw)?;
    }
    let right = wire::response(id, &text);
    let packet = match shape {
        BadShape::Cut(bytes) => right[..bytes.min(right.len() - 1)].to_vec(),
        BadShape::Longer(more) => [&right[..], &vec![0; more]].concat(),
        BadShape::Garbage(seed) => super::cases::garbage(seed),
    };
    raw.send(&packet)?;
    raw.must_close().map_err(|failure| format!("{shape:?} after {before}: {failure}"))?;
    Ok(before)
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
    let (before, lie) = next_lie(stage, &REGION_RESPONSE_LIES);
    for _ in 0..before {
        answer_through(region, raw)?;
    }
    let message = match region.recv(raw)? {
        Seen::Packet(message) => message,
        seen => return Err(format!("{} in place of a request", told(&seen)).into()),
    };
    let right = wire::response(wire::id_of(&message), &text_of(&message)?);
    let (len, next) = (right.len() as u32, region.next_seq());
    let mut is_right = false;
    match lie.0.name {
        "resp_seq" => {
            is_right = lie.1 == next;
            // No news.
            if lie.1 == next - 1 {
                region.wake();
                return Ok(before);
            }
            region.publish_as(&right, len, lie.1)?;
        }
        "resp_len" => {
            is_right = lie.1 == u64::from(len);
            region.publish_as(&right, lie.1 as u32, next)?;
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
            region.recv(raw).map(|_| before + u64::from(is_right))
        } else {
            raw.must_close().map(|()| before)
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
        let twice = RIGHT_BEFORE.len();
        let all: [(&str, usize); 5] = [
            ("hostile-ack", ACK_LIES.len()),
            ("hostile-response", RESPONSE_LIES.len() * twice),
            ("hostile-response-chunk", lies_in_chunks(&packets).len() * twice),
            ("hostile-region-offer", lies(fields::REGION, &good_header(limit, limit).0).len()),
            ("hostile-region-response", REGION_RESPONSE_LIES.len() * twice),
        ];
        for (name, lies) in all {
            let fault = SERVERS.iter().find(|fault| fault.name == name).expect("in the table");
            let each = fault.counts.full / LANGUAGES;
            assert!(each as usize >= lies, "{name}: {each} of {lies}");
        }
    }
}
