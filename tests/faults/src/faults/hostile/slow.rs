//! Clients that are slow, silent, or many: they hold what they have for as long as they may, and no longer.

use std::time::{Duration, Instant};

use netipc_bench::Failure;

use super::cases;
use super::clients::socket_of;
use super::fields::{OFFER, Reaction, TEXT};
use super::raw::{Raw, RawSession, Seen, told};
use super::wire::{self, Offer, Status};
use crate::fault::{Bound, Counts, Fault, Turn, each_server};
use crate::stage::Stage;

/// The bystander's.
const OTHER_SESSIONS: usize = 1;
/// Deadlines of servers (their defaults), and how much later they may act.
const HANDSHAKE: Duration = Duration::from_secs(5);
const CHUNK_GAP: Duration = Duration::from_secs(5);
const ONE_ANSWER: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(1);
/// Silent clients at once.
const SILENT: usize = 50;
/// More connections than may wait for their handshake at once, and than there may be sessions.
const FLOOD: usize = 600;
const CROWD: usize = 60;
/// Guesses of a token at a time.
const GUESSES: u64 = 50;
/// Clients that come and go at a time.
const COMINGS: usize = 100;

const OTHERS_ARE_SERVED: &str = "others are served all the time; the server ends it when its deadline has passed, and \
                                 gives all back";
const HOLDS: &str = "others are served all the time; who is too many is told so or closed, and all is given back";

pub(in crate::faults) const SLOW: &[Fault] = &[
    Fault {
        name: "silent-clients",
        promise: OTHERS_ARE_SERVED,
        how: "50 clients connect and say nothing; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 6, full: 54 },
        bound: Some(Bound { what: "until the last was closed", within: HANDSHAKE.saturating_add(GRACE) }),
        turn: silent_clients,
    },
    Fault {
        name: "half-a-message",
        promise: OTHERS_ARE_SERVED,
        how: "a message in chunks that is never whole: each of its first chunks after a pause, then silence; a \
              bystander calling",
        sides: each_server,
        counts: Counts { quick: 6, full: 54 },
        bound: Some(Bound { what: "until it was closed", within: CHUNK_GAP.saturating_add(GRACE) }),
        turn: half_a_message,
    },
    Fault {
        name: "never-reads",
        promise: OTHERS_ARE_SERVED,
        how: "a client sends requests for as long as the server takes any, and reads no answer; a bystander \
              calling",
        sides: each_server,
        counts: Counts { quick: 6, full: 54 },
        bound: Some(Bound { what: "until it was closed", within: ONE_ANSWER.saturating_add(GRACE) }),
        turn: never_reads,
    },
    Fault {
        name: "connect-flood",
        promise: HOLDS,
        how: "600 clients connect at once and say nothing, and leave; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 102 },
        bound: None,
        turn: connect_flood,
    },
    Fault {
        name: "session-flood",
        promise: HOLDS,
        how: "60 clients want a session, more than there may be; those that have one are answered, the rest are \
              told BUSY; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 102 },
        bound: None,
        turn: session_flood,
    },
    Fault {
        name: "come-and-go",
        promise: HOLDS,
        how: "100 clients, one after the other, leave after connecting, after HELLO, after HELLO_ACK, in the midst \
              of a message, or without reading an answer, in turn; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 102 },
        bound: None,
        turn: come_and_go,
    },
    Fault {
        name: "token-guesses",
        promise: "each is refused with AUTH_FAILED, whatever is right about it; others are served all the time",
        how: "50 guesses of a token, each right but for one bit, or for all; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 102 },
        bound: None,
        turn: token_guesses,
    },
];

/// That the server has given all back but the bystander's, who has noticed nothing.
fn is_over(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.server_settles(OTHER_SESSIONS)?;
    stage.bystander_is_well()
}

fn silent_clients(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let socket = socket_of(stage);
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(Raw::connect(&socket)?);
    }
    let start = Instant::now();
    for raw in &silent {
        // A refusal in words, or none.
        while raw.recv()? != Seen::Closed {
            if start.elapsed() > HANDSHAKE * 2 {
                return Err("a silent client is still connected".into());
            }
        }
    }
    let took = start.elapsed();
    if took < HANDSHAKE / 2 {
        return Err(format!("silent clients were closed after {took:?} already").into());
    }
    is_over(stage)?;
    Ok(Some(took))
}

fn half_a_message(stage: &mut Stage<'_>) -> Turn {
    const PAUSE: Duration = Duration::from_millis(200);
    stage.serve()?;
    stage.bystander()?;
    let session = RawSession::open(&socket_of(stage), &OFFER)?;
    let packets = cases::long_message();
    let sent = stage.random.below(packets.len() as u64 - 1) as usize + 1;
    for packet in &packets[..sent] {
        session.raw.send(packet)?;
        stage.moment(PAUSE);
    }
    let start = Instant::now();
    session.raw.must_close()?;
    let took = start.elapsed();
    is_over(stage)?;
    Ok(Some(took))
}

fn never_reads(stage: &mut Stage<'_>) -> Turn {
    const LONG_BYTES: usize = 8000;
    stage.serve()?;
    stage.bystander()?;
    let offer = Offer { packet_bytes: 16_384, ..OFFER };
    let session = RawSession::open(&socket_of(stage), &offer)?;
    let text = [b'x'; LONG_BYTES];
    let mut id = 0;
    let start = Instant::now();
    // Until it takes no more, which is when its answers find no room; then it gives up.
    let took = loop {
        id += 1;
        if session.raw.is_gone_within(&wire::request(id, &text), ONE_ANSWER * 2)? {
            break start.elapsed();
        }
    };
    is_over(stage)?;
    Ok(Some(took))
}

fn connect_flood(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let socket = socket_of(stage);
    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        flood.push(Raw::connect(&socket)?);
    }
    stage.bystander_is_well()?;
    drop(flood);
    is_over(stage)?;
    Ok(None)
}

fn session_flood(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let socket = socket_of(stage);
    let (mut had, mut refused) = (Vec::new(), 0);
    for _ in 0..CROWD {
        let raw = Raw::connect(&socket)?;
        raw.send(&OFFER.hello())?;
        match raw.recv()? {
            Seen::Packet(packet) if wire::status_of(&packet) == Some(Status::OK) => had.push(raw),
            Seen::Packet(packet) if wire::status_of(&packet) == Some(Status::BUSY) => {
                raw.must_close()?;
                refused += 1;
            }
            seen => return Err(format!("{} in place of BUSY", told(&seen)).into()),
        }
    }
    if had.is_empty() || refused == 0 {
        return Err(format!("{} sessions, {refused} refused", had.len()).into());
    }
    for raw in &had {
        raw.send(&wire::request(1, TEXT))?;
        raw.must_react(Reaction::Serve, 1, TEXT, None)?;
    }
    stage.bystander_is_well()?;
    drop(had);
    is_over(stage)?;
    Ok(None)
}

fn come_and_go(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let socket = socket_of(stage);
    for coming in 0..COMINGS {
        let raw = Raw::connect(&socket)?;
        let steps = coming % 5;
        if steps >= 1 {
            raw.send(&OFFER.hello())?;
        }
        if steps >= 2 {
            raw.must_say(Status::OK)?;
        }
        match steps {
            3 => raw.send(&cases::long_message()[0])?,
            4 => raw.send(&wire::request(1, TEXT))?,
            _ => true,
        };
    }
    is_over(stage)?;
    Ok(None)
}

fn token_guesses(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let socket = socket_of(stage);
    for guess in 0..GUESSES {
        let token = if guess % 2 == 0 { OFFER.token ^ (1 << guess) } else { stage.random.below(u64::MAX) };
        if token == OFFER.token {
            continue;
        }
        let raw = Raw::connect(&socket)?;
        raw.send(&Offer { token, ..OFFER }.hello())?;
        raw.must_react(Reaction::Refuse(Status::AUTH_FAILED), 0, TEXT, None)?;
    }
    is_over(stage)?;
    Ok(None)
}
