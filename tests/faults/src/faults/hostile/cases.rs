//! What a hostile client sends, in every state that a session can be in, and what must come of it: derived from
//! the table of fields.

use super::fields::{self, Field, Reaction, TEXT};
use super::wire::{self, Chunk, Status};

/// What has happened on a session before the bad packet comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is none yet.
    Connected,
    /// Nothing but the handshake.
    Fresh,
    /// A call.
    Served,
    /// A batch.
    Batched,
    /// A request has been sent, whose answer has not been read.
    Outstanding,
    /// A message has begun, and is not whole.
    MidMessage,
}

impl State {
    /// Those of sessions over the socket.
    pub(crate) const OF_SOCKETS: [Self; 5] =
        [Self::Fresh, Self::Served, Self::Batched, Self::Outstanding, Self::MidMessage];
    /// Those of them in which a message may begin.
    pub(crate) const BETWEEN_MESSAGES: [Self; 4] =
        [Self::Fresh, Self::Served, Self::Batched, Self::Outstanding];
    /// Those of sessions over shared memory, whose messages are whole.
    pub(crate) const OF_REGIONS: [Self; 4] = Self::BETWEEN_MESSAGES;

    pub(crate) const fn told(self) -> &'static str {
        match self {
            Self::Connected => "before the handshake",
            Self::Fresh => "right after the handshake",
            Self::Served => "after a call",
            Self::Batched => "after a batch",
            Self::Outstanding => "with a request outstanding",
            Self::MidMessage => "in the midst of chunks",
        }
    }
}

/// One thing to try.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) state: State,
    /// Sent one after the other; the last one is bad.
    pub(crate) packets: Vec<Vec<u8>>,
    pub(crate) reaction: Reaction,
}

/// The ids of requests: of what comes before the bad one, and of that.
pub(crate) const BEFORE: u64 = 1;
pub(crate) const BAD: u64 = 1000;
/// What hostile clients propose: short, so that messages of a few thousand bytes are cut.
pub(crate) const PACKET_BYTES: u32 = 512;
/// A message that is cut.
const LONG_BYTES: usize = 4000;
/// How many kinds of garbage there are.
const GARBAGE_KINDS: u64 = 64;

/// Every field of HELLO with every bad value, in its place, and in these states of a session, where any is out of
/// place.
pub(crate) fn hellos(states: &[State]) -> Vec<Case> {
    let (hello, mut cases) = (fields::OFFER.hello(), Vec::new());
    each_value(&mut cases, fields::HELLO, &hello, State::Connected, &[]);
    let second: Vec<Case> = states
        .iter()
        .flat_map(|state| {
            let of =
                |case: &Case| Case { state: *state, reaction: Reaction::Close, ..case.clone() };
            cases.iter().map(of).collect::<Vec<_>>()
        })
        // A request of another service is what it says: of those there is another table.
        .filter(|case| wire::kind_of(&case.packets[0]) != Some(wire::REQUEST))
        .collect();
    [cases, second].concat()
}

/// What is no HELLO at all, in the place of one: of every length, and of every kind of message.
pub(crate) fn no_hellos() -> Vec<Case> {
    const TOO_MANY: [usize; 8] = [1, 8, 51, 52, 53, 1000, 4000, 60_000];
    let mut packets = cut_and_stretched("HELLO", &fields::OFFER.hello(), &TOO_MANY);
    packets.push(("a request".to_owned(), wire::request(BAD, TEXT)));
    packets.push(("a batch".to_owned(), good_batch(BAD)));
    packets.push(("a goodbye".to_owned(), wire::control(wire::OPCODE_BYE)));
    packets.push(("an answer to HELLO".to_owned(), fields::OFFER.ack(wire::BASELINE, 1)));
    let chunk = Chunk { message_id: 1, total_bytes: 2000, index: 1, count: 4 };
    packets.push(("a chunk".to_owned(), chunk.packet(&[0; 44])));
    packets.extend((0..GARBAGE_KINDS).map(|seed| (format!("garbage {seed}"), garbage(seed))));
    let reaction = Reaction::Refuse(Status::BAD_ENVELOPE);
    let case =
        |(name, packet)| Case { name, state: State::Connected, packets: vec![packet], reaction };
    packets.into_iter().map(case).collect()
}

/// Every field of a request's header with every bad value, in these states.
pub(crate) fn requests(states: &[State]) -> Vec<Case> {
    in_states(states, fields::REQUEST, &wire::request(BAD, TEXT))
}

/// Every field of a request's payload.
pub(crate) fn payloads(states: &[State]) -> Vec<Case> {
    in_states(states, fields::PAYLOAD, &wire::request(BAD, TEXT))
}

/// What makes a message a batch, and every field of its directory.
pub(crate) fn batches(states: &[State]) -> Vec<Case> {
    in_states(states, fields::BATCH, &good_batch(BAD))
}

/// Every field of a chunk's header with every bad value, in the place of each kind of chunk, of a message that began
/// in these states.
pub(crate) fn chunks(states: &[State]) -> Vec<Case> {
    let (packets, mut cases) = (long_message(), Vec::new());
    for state in states {
        for at in [1, packets.len() / 2, packets.len() - 1] {
            each_value(&mut cases, fields::CHUNK, &packets[at], *state, &packets[..at]);
        }
    }
    cases
}

/// Packets that are shorter and longer than what they hold says, and messages that are out of place.
pub(crate) fn shapes(states: &[State]) -> Vec<Case> {
    const TOO_MANY: [usize; 7] = [1, 7, 8, 100, 400, 512, 4000];
    let mut packets = cut_and_stretched("a request", &wire::request(BAD, TEXT), &TOO_MANY);
    for opcode in [0, wire::OPCODE_HELLO, wire::OPCODE_HELLO_ACK, 3, 0x0101, u16::MAX] {
        packets.push((format!("control message {opcode}"), wire::control(opcode)));
    }
    packets.push(("a second HELLO".to_owned(), fields::OFFER.hello()));
    packets.push(("a response".to_owned(), wire::response(BAD, TEXT)));
    packets.extend((0..GARBAGE_KINDS).map(|seed| (format!("garbage {seed}"), garbage(seed))));
    let mut cases = Vec::new();
    for state in states {
        for (name, packet) in &packets {
            let (name, packets) = (name.clone(), vec![packet.clone()]);
            cases.push(Case { name, state: *state, packets, reaction: Reaction::Close });
        }
    }
    cases
}

/// All of these through regions. Over a request that is outstanding, another is written while the server may read:
/// what comes of that is an answer to either, or the end.
pub(crate) fn through_regions(states: &[State]) -> Vec<Case> {
    let mut cases = [requests(states), payloads(states), batches(states), shapes(states)].concat();
    for case in cases.iter_mut().filter(|case| case.state == State::Outstanding) {
        case.reaction = Reaction::Any;
    }
    cases
}

/// Packets that belong to no message, or begin one wrongly, in these states: for sessions over the socket.
pub(crate) fn broken_chunks(states: &[State]) -> Vec<Case> {
    states.iter().flat_map(|state| broken_chunks_in(*state)).collect()
}

fn broken_chunks_in(state: State) -> Vec<Case> {
    let long = long_message();
    let mut cases = Vec::new();
    let mut add = |name: &str, packets: Vec<Vec<u8>>| {
        let (name, reaction) = (name.to_owned(), Reaction::Close);
        cases.push(Case { name, state, packets, reaction });
    };
    add("a chunk of nothing", vec![long[1].clone()]);
    add("a first packet that is short", vec![long[0][..100].to_vec()]);
    add("a message in the midst of another", vec![long[0].clone(), long[0].clone()]);
    add("a chunk twice", vec![long[0].clone(), long[1].clone(), long[1].clone()]);
    add("a chunk left out", vec![long[0].clone(), long[2].clone()]);
    add("chunks in the wrong order", vec![long[0].clone(), long[2].clone(), long[1].clone()]);
    add("a chunk cut short", vec![long[0].clone(), long[1][..100].to_vec()]);
    let mut longer = long[1].clone();
    longer.push(0);
    add("a chunk too long", vec![long[0].clone(), longer]);
    // The message itself was whole, and may be answered.
    add("one chunk more", [long.clone(), vec![long[1].clone()]].concat());
    if let Some(last) = cases.last_mut() {
        last.reaction = Reaction::End;
    }
    cases
}

/// A case for each bad value of each field of a message.
fn each_value(
    cases: &mut Vec<Case>,
    table: &'static [Field],
    right: &[u8],
    state: State,
    before: &[Vec<u8>],
) {
    for field in table {
        for value in fields::bad_values(field, right) {
            let mut packets = before.to_vec();
            packets.push(field.with(right, value));
            let name = format!("{} = {value:#x}", field.name);
            // Nothing but the next chunk may come in the midst of a message.
            let is_between = state == State::MidMessage;
            let reaction = if is_between { Reaction::Close } else { field.reaction(value) };
            cases.push(Case { name, state, packets, reaction });
        }
    }
}

fn in_states(states: &[State], table: &'static [Field], right: &[u8]) -> Vec<Case> {
    let mut cases = Vec::new();
    for state in states {
        each_value(&mut cases, table, right, *state, &[]);
    }
    cases
}

/// Every front of a message, and the message with so many bytes behind it.
fn cut_and_stretched(what: &str, right: &[u8], more: &[usize]) -> Vec<(String, Vec<u8>)> {
    let cut = (1..right.len()).map(|len| (format!("{len} bytes of {what}"), right[..len].to_vec()));
    let stretched = more.iter().map(|more| {
        let longer = [right, &vec![0; *more]].concat();
        (format!("{more} bytes behind {what}"), longer)
    });
    cut.chain(stretched).collect()
}

pub(crate) fn good_batch(message_id: u64) -> Vec<u8> {
    wire::batch(wire::REQUEST, message_id, &fields::BATCH_TEXTS)
}

/// The packets of a request that is cut.
pub(crate) fn long_message() -> Vec<Vec<u8>> {
    wire::packets(&wire::request(BAD, &[b'x'; LONG_BYTES]), PACKET_BYTES as usize)
}

/// Bytes that mean nothing, the same for the same seed: those of xorshift.
pub(crate) fn garbage(seed: u64) -> Vec<u8> {
    const MOST_BYTES: u64 = 500;
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = seed.wrapping_add(1).wrapping_mul(ODD);
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let length = next() % MOST_BYTES + 1;
    (0..length).map(|_| next() as u8).collect()
}
