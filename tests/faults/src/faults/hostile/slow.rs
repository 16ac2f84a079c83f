//! Clients that are slow, silent, or many: they hold what they have for as long as they may, and no longer.

use std::path::Path;
use std::time::{Duration, Instant};

use netipc_bench::Failure;
use netipc_bench::lines::TELL;

use super::cases;
use super::clients::socket_of;
use super::fields::{OFFER, Reaction, TEXT};
use super::raw::{Raw, RawListener, RawSession, Seen, told};
use super::region::RegionSession;
use super::servers::{agree_on_a_region, hear};
use super::servers_over_regions;
use super::wire::{self, Header, Offer, Status};
use crate::fault::{Bound, Counts, Fault, Over, Turn, each_client, each_server};
use crate::stage::{Client, PATIENCE, SERVICE, SETTLING, Stage};
use crate::watch::settles;

/// The bystander's.
const OTHER_SESSIONS: usize = 1;
/// Deadlines of servers (their defaults), and how much later they may act.
const HANDSHAKE: Duration = Duration::from_secs(5);
const CHUNK_GAP: Duration = Duration::from_secs(5);
const ONE_ANSWER: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(1);
/// How long calls may take of clients that meet a silent server, and how much later they may end.
const CALL: Duration = Duration::from_millis(200);
const CALL_GRACE: Duration = Duration::from_millis(50);
/// Silent clients at once.
const SILENT: usize = 50;
/// A message that is cut into many packets.
const CUT_BYTES: usize = 4000;
/// Requests that a client publishes one over the other.
const AT_ONCE: u64 = 100;
/// More connections than may wait for their handshake at once, and than there may be sessions.
const FLOOD: usize = 600;
const CROWD: usize = 60;
/// Clients that come and go at a time.
const COMINGS: usize = 100;

const OTHERS_ARE_SERVED: &str = "others are served all the time; the server ends it when its deadline has passed, and \
                                 gives all back";
const HOLDS: &str =
    "others are served all the time; who is too many is told so or closed, and all is given back";

pub(in crate::faults) const SLOW: &[Fault] = &[
    Fault {
        name: "silent-clients",
        promise: OTHERS_ARE_SERVED,
        how: "50 clients connect and say nothing; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 6, full: 54 },
        bound: Some(Bound {
            what: "until the last was closed",
            within: HANDSHAKE.saturating_add(GRACE),
        }),
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
        bound: Some(Bound {
            what: "until it was closed",
            within: ONE_ANSWER.saturating_add(GRACE),
        }),
        turn: never_reads,
    },
    Fault {
        name: "answers-not-taken",
        promise: "others are served all the time; all is given back once it leaves",
        how: "a client takes no answer from its region: it publishes one request, or a hundred at once; a bystander \
              calling",
        sides: servers_over_regions,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: answers_not_taken,
    },
    Fault {
        name: "stays-after-refusal",
        promise: OTHERS_ARE_SERVED,
        how: "a client that was refused, or that has broken the contract, goes on sending; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 6, full: 54 },
        bound: Some(Bound { what: "until it could not", within: HANDSHAKE.saturating_add(GRACE) }),
        turn: stays_after_refusal,
    },
    Fault {
        name: "smallest-packets",
        promise: "all are served",
        how: "four clients whose packets have room for one byte send long messages; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 6, full: 102 },
        bound: None,
        turn: smallest_packets,
    },
    Fault {
        name: "silent-server",
        promise: "a call ends by its timeout of 200 ms, and 50 ms",
        how: "a server that takes requests and answers nothing; or, now and then, over the socket another chunk of a \
              long answer, through shared memory another byte of one, and a wake-up",
        sides: each_client,
        counts: Counts { quick: 12, full: 102 },
        bound: Some(Bound {
            what: "from the request to its end",
            within: CALL.saturating_add(CALL_GRACE),
        }),
        turn: silent_server,
    },
    Fault {
        name: "server-without-handshake",
        promise: "the client gives up by the deadline of handshakes, 5 s, and is told why",
        how: "a server that accepts connections and says nothing",
        sides: each_client,
        counts: Counts { quick: 6, full: 54 },
        bound: Some(Bound { what: "until it gave up", within: HANDSHAKE.saturating_add(GRACE) }),
        turn: server_without_handshake,
    },
    Fault {
        name: "connect-flood",
        promise: HOLDS,
        how: "600 clients connect at once and say nothing, and leave; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: connect_flood,
    },
    Fault {
        name: "session-flood",
        promise: HOLDS,
        how: "60 clients want a session, more than there may be; those that have one are answered, the rest are \
              told BUSY; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: session_flood,
    },
    Fault {
        name: "come-and-go",
        promise: HOLDS,
        how: "100 clients, one after the other, leave after connecting, after HELLO, after HELLO_ACK, in the midst \
              of a message, or without reading an answer, in turn; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: come_and_go,
    },
    Fault {
        name: "token-guesses",
        promise: "each is refused with AUTH_FAILED and counted, whatever is right about it; others are served all \
                  the time",
        how: "66 guesses of a token: each of its bits turned, all of them, and one at random; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 1008 },
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

/// Over shared memory nothing shows a server whether its answers are taken, and none waits for room.
fn answers_not_taken(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let mut session = RegionSession::open(&socket_of(stage), stage.path(), SERVICE, OFFER)?;
    let requests = if stage.turn_number().is_multiple_of(2) { 1 } else { AT_ONCE };
    for id in 1..=requests {
        session.region.publish(&wire::request(id, TEXT))?;
    }
    // While its session is there, or was ended: a request over another is no message.
    stage.bystander_is_well()?;
    drop(session);
    is_over(stage)?;
    Ok(None)
}

fn stays_after_refusal(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let socket = socket_of(stage);
    let raw = if stage.turn_number().is_multiple_of(2) {
        let raw = Raw::connect(&socket)?;
        raw.send(&Offer { supported: 0, ..OFFER }.hello())?;
        raw.must_say(Status::UNSUPPORTED)?;
        raw
    } else {
        let session = RawSession::open(&socket, &OFFER)?;
        session
            .raw
            .send(&Header::new(wire::REQUEST, wire::STRING_REVERSE, 1, usize::MAX).message(&[]))?;
        session.raw.must_say(Status::LIMIT_EXCEEDED)?;
        session.raw
    };
    let start = Instant::now();
    while !raw.is_gone_within(&cases::garbage(1), HANDSHAKE * 2)? {
        if start.elapsed() > HANDSHAKE * 2 {
            return Err("it may still send".into());
        }
    }
    let took = start.elapsed();
    drop(raw);
    is_over(stage)?;
    Ok(Some(took))
}

fn smallest_packets(stage: &mut Stage<'_>) -> Turn {
    const CLIENTS: u64 = 4;
    const PACKET_BYTES: u32 = 33;
    stage.serve()?;
    stage.bystander()?;
    let offer = Offer { packet_bytes: PACKET_BYTES, ..OFFER };
    let mut sessions = Vec::new();
    for id in 1..=CLIENTS {
        let session = RawSession::open(&socket_of(stage), &offer)?;
        let request = wire::request(id, &[b'x'; CUT_BYTES]);
        for packet in wire::packets(&request, PACKET_BYTES as usize) {
            session.raw.send(&packet)?;
        }
        let right = wire::response(id, &[b'x'; CUT_BYTES]);
        sessions.push((session, wire::packets(&right, PACKET_BYTES as usize)));
    }
    // One packet of each in turn, so that the server has room for more of each meanwhile: an answer that is not through by
    // its deadline ends its session.
    for at in 0..sessions[0].1.len() {
        for (session, right) in &sessions {
            let seen = session.raw.recv()?;
            if !matches!(&seen, Seen::Packet(packet) if *packet == right[at]) {
                return Err(format!("{} in place of a packet of the answer", told(&seen)).into());
            }
        }
    }
    drop(sessions);
    is_over(stage)?;
    Ok(None)
}

fn silent_server(stage: &mut Stage<'_>) -> Turn {
    stage.timeout = CALL;
    let socket = socket_of(stage);
    let listener = RawListener::bind(&socket)?;
    let mut client = stage.new_client(stage.sides.client, &[])?;
    let (raw, offer) = listener.greet()?;
    let drips = stage.turn_number().is_multiple_of(2);
    let took = match stage.sides.over {
        Over::Socket => silence_over_the_socket(&raw, &offer, drips)?,
        Over::Shared => silence_through_a_region(stage, &raw, &offer, drips)?,
    };
    end(&socket, listener, &mut client)?;
    Ok(Some(took))
}

/// Answers after which time the client left.
fn silence_over_the_socket(raw: &Raw, offer: &Offer, drips: bool) -> Result<Duration, Failure> {
    const SMALL_PACKET_BYTES: u32 = 64;
    raw.send(&Offer { packet_bytes: SMALL_PACKET_BYTES, ..*offer }.ack(wire::BASELINE, 1))?;
    let Seen::Packet(request) = raw.recv()? else { return Err("no request came".into()) };
    let long = wire::response(wire::id_of(&request), &[b'x'; CUT_BYTES]);
    let mut packets = wire::packets(&long, SMALL_PACKET_BYTES as usize).into_iter();
    until_it_leaves(raw, || match packets.next() {
        Some(packet) if drips => raw.send(&packet).map(drop),
        _ => Ok(()),
    })
}

/// The same through shared memory.
fn silence_through_a_region(
    stage: &Stage<'_>,
    raw: &Raw,
    offer: &Offer,
    drips: bool,
) -> Result<Duration, Failure> {
    let (mut region, path) = agree_on_a_region(stage, raw, offer)?;
    let Seen::Packet(request) = region.recv(raw)? else { return Err("no request came".into()) };
    let long = wire::response(wire::id_of(&request), &[b'x'; CUT_BYTES]);
    let mut bytes = 0;
    let took = until_it_leaves(raw, || {
        if !drips {
            return Ok(());
        }
        bytes += 1;
        region.begin(&long[..bytes], long.len() as u32)
    });
    std::fs::remove_file(path)?;
    took
}

/// Does something now and then, from a request on, until a client has left; answers how long that took.
fn until_it_leaves(
    raw: &Raw,
    mut meanwhile: impl FnMut() -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    const PAUSE: Duration = Duration::from_millis(20);
    let start = Instant::now();
    while raw.recv_within(PAUSE)? != Seen::Closed {
        if start.elapsed() > PATIENCE {
            return Err("the call goes on".into());
        }
        meanwhile()?;
    }
    Ok(start.elapsed())
}

fn server_without_handshake(stage: &mut Stage<'_>) -> Turn {
    let socket = socket_of(stage);
    let listener = RawListener::bind(&socket)?;
    let mut client = stage.new_client(stage.sides.client, &[])?;
    let (raw, _) = listener.greet()?;
    let start = Instant::now();
    raw.must_close()?;
    let took = start.elapsed();
    settles(SETTLING, || {
        let told = hear(&mut client, TELL)?;
        let is_said = told.refused > 0 && !told.reason.is_empty();
        Ok((!is_said).then(|| "no words about it".to_owned()))
    })?;
    end(&socket, listener, &mut client)?;
    Ok(Some(took))
}

/// A hostile server's end, and the client's, which must be well.
fn end(socket: &Path, listener: RawListener, client: &mut Client) -> Result<(), Failure> {
    drop(listener);
    std::fs::remove_file(socket)?;
    client.driver().end()
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
    let any = stage.random.below(u64::MAX);
    let mut guesses: Vec<u64> = (0..u64::BITS).map(|bit| OFFER.token ^ (1 << bit)).collect();
    guesses.extend([!OFFER.token, if any == OFFER.token { !any } else { any }]);
    let before = stage.counts()?.auth_failed;
    for token in &guesses {
        let raw = Raw::connect(&socket)?;
        raw.send(&Offer { token: *token, ..OFFER }.hello())?;
        raw.must_react(Reaction::Refuse(Status::AUTH_FAILED), 0, TEXT, None)?;
    }
    let right = before + guesses.len() as u64;
    settles(SETTLING, || {
        let now = stage.counts()?.auth_failed;
        Ok((now != right).then(|| format!("{} of {} guesses counted", now - before, guesses.len())))
    })?;
    is_over(stage)?;
    Ok(None)
}
