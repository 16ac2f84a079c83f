//! Clients that are many, at once or one after the other: each has what is left to have, or is told that nothing is.

use std::time::Instant;

use netipc_bench::Failure;

use super::cases;
use super::clients::socket_of;
use super::fields::{OFFER, Reaction, TEXT};
use super::raw::{Raw, RawSession, Seen, told};
use super::region::RegionSession;
use super::servers_over_sockets;
use super::slow::{HANDSHAKE, is_over};
use super::wire::{self, Granted, Offer, Status};
use crate::fault::{Counts, Fault, Language, Over, Turn, each_server};
use crate::stage::{SERVICE, SETTLING, Server, Stage};
use crate::watch::{self, Belongings, settles};

/// The bystander's.
const OTHER_SESSIONS: usize = 1;
/// Clients that servers have in their handshake at once, at most (the default): one more takes the oldest's place.
const PENDING: usize = 512;
/// More than that, and how often they come before it is said that none of them is told.
const FLOOD: usize = 600;
const TRIES: usize = 5;
/// More clients than there may be sessions.
const CROWD: usize = 60;
/// The same over shared memory, where so many clients are announced that their regions, as long as they may be, have no
/// room in what a server gives to all of them (64 MiB, the default).
const CROWD_OF_REGIONS: usize = 100;
const ANNOUNCED_REGIONS: usize = 80;
const LONG_REQUEST_BYTES: u32 = 1 << 20;
/// Clients that come and go at a time.
const COMINGS: usize = 100;

const HOLDS: &str = "others are served all the time; who is too many is told BUSY and closed, and all is given back";

pub(in crate::faults) const FLOODS: &[Fault] = &[
    Fault {
        name: "connect-flood",
        promise: HOLDS,
        how: "600 clients connect at once and say nothing, 88 more than may be in their handshake; a bystander calling",
        sides: servers_over_sockets,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: connect_flood,
    },
    Fault {
        name: "session-flood",
        promise: HOLDS,
        how: "60 clients want a session, more than there may be; over shared memory 100, whose regions also have no \
              room: the next are served over the socket; those that have a session are answered; a bystander calling",
        sides: each_server,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: session_flood,
    },
    Fault {
        name: "come-and-go",
        promise: "others are served all the time, and all is given back",
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
        sides: servers_over_sockets,
        counts: Counts { quick: 12, full: 1008 },
        bound: None,
        turn: token_guesses,
    },
];

fn connect_flood(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    // Where nothing runs for a while, all may have had their time before there were too many: then once more.
    for _ in 0..TRIES {
        if flood(stage)? > 0 {
            return Ok(None);
        }
    }
    Err("those that are too many are closed by their deadline alone".into())
}

/// Comes with too many clients: how many of those that were first were told so.
fn flood(stage: &mut Stage<'_>) -> Result<usize, Failure> {
    let socket = socket_of(stage);
    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        flood.push((Instant::now(), Raw::connect(&socket)?));
    }
    stage.bystander_is_well()?;
    let mut told = 0;
    for (since, raw) in &flood[..FLOOD - PENDING] {
        told += usize::from(is_told_to_give_way(raw, *since)?);
    }
    drop(flood);
    is_over(stage)?;
    Ok(told)
}

/// Whether a client that came before too many others is told BUSY; if it is not, it was closed when its time was over.
fn is_told_to_give_way(raw: &Raw, since: Instant) -> Result<bool, Failure> {
    match raw.recv()? {
        Seen::Packet(packet) if wire::status_of(&packet) == Some(Status::BUSY) => {
            raw.must_close()?;
            Ok(true)
        }
        Seen::Closed if since.elapsed() >= HANDSHAKE => Ok(false),
        seen => Err(format!("{} in place of BUSY", told(&seen)).into()),
    }
}

/// The sessions of a crowd, over the socket and over shared memory, and how many had none.
#[derive(Default)]
struct Crowd {
    over_sockets: Vec<Raw>,
    over_regions: Vec<RegionSession>,
    refused: usize,
}

impl Crowd {
    /// One client more, which is told BUSY or has a session.
    fn one_more(&mut self, stage: &Stage<'_>, offer: &Offer) -> Result<(), Failure> {
        let raw = Raw::connect(&socket_of(stage))?;
        raw.send(&offer.hello())?;
        let seen = raw.recv()?;
        let Seen::Packet(packet) = &seen else {
            return Err(format!("{} in place of BUSY", told(&seen)).into());
        };
        match Granted::of_ack(packet) {
            Some(granted) if granted.selected == wire::SHARED_MEMORY => {
                let session = RawSession { raw, granted };
                self.over_regions.push(RegionSession::attach(session, stage.path(), SERVICE)?);
            }
            Some(_) => self.over_sockets.push(raw),
            None if wire::status_of(packet) == Some(Status::BUSY) => {
                raw.must_close()?;
                self.refused += 1;
            }
            None => return Err(format!("{} in place of BUSY", told(&seen)).into()),
        }
        Ok(())
    }

    /// All that have a session are served.
    fn must_be_served(&mut self) -> Result<(), Failure> {
        for raw in &self.over_sockets {
            raw.send(&wire::request(1, TEXT))?;
            raw.must_serve(1, TEXT)?;
        }
        for session in &mut self.over_regions {
            session.region.publish(&wire::request(1, TEXT))?;
            session.must_serve(1, TEXT)?;
        }
        Ok(())
    }
}

fn session_flood(stage: &mut Stage<'_>) -> Turn {
    let is_shared = stage.sides.over == Over::Shared;
    let (clients, offer) = if is_shared {
        stage.announced = ANNOUNCED_REGIONS;
        (CROWD_OF_REGIONS, Offer { request_bytes: LONG_REQUEST_BYTES, ..over_regions() })
    } else {
        (CROWD, OFFER)
    };
    stage.serve()?;
    stage.bystander()?;
    let mut allowed = Belongings::of(server_of(stage)?.driver.id())?;
    let mut crowd = Crowd::default();
    for _ in 0..clients {
        crowd.one_more(stage, &offer)?;
    }
    let (sockets, regions) = (crowd.over_sockets.len(), crowd.over_regions.len());
    if sockets == 0 || crowd.refused == 0 || is_shared == (regions == 0) {
        let refused = crowd.refused;
        return Err(format!("{sockets} over the socket, {regions} more, {refused} refused").into());
    }
    crowd.must_be_served()?;
    stage.bystander_is_well()?;
    drop(crowd);
    if !(is_shared && stage.sides.server == Language::Go) {
        is_over(stage)?;
        return Ok(None);
    }
    // Its scheduler keeps the threads that so many regions took at once; the next turn has another server.
    allowed.threads += regions;
    settles(SETTLING, || {
        let more = Belongings::of(server_of(stage)?.driver.id())?.more_than(&allowed, Language::Go);
        let left = watch::regions(stage.path())?;
        Ok(more.or_else(|| (left > OTHER_SESSIONS).then(|| format!("{left} regions"))))
    })?;
    stage.bystander_is_well()?;
    stage.end_bystander()?;
    stage.end_server()?;
    Ok(None)
}

fn server_of<'s>(stage: &'s Stage<'_>) -> Result<&'s Server, Failure> {
    Ok(stage.server.as_ref().ok_or("a server")?)
}

/// What clients ask for that would have a region.
const fn over_regions() -> Offer {
    Offer { supported: wire::BASELINE | wire::SHARED_MEMORY, ..OFFER }
}

fn come_and_go(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let socket = socket_of(stage);
    let is_shared = stage.sides.over == Over::Shared;
    let offer = if is_shared { over_regions() } else { OFFER };
    for coming in 0..COMINGS {
        let steps = coming % 5;
        if steps >= 2 && is_shared {
            let session = RegionSession::open(&socket, stage.path(), SERVICE, offer)?;
            leave_region(session, steps)?;
            continue;
        }
        let raw = Raw::connect(&socket)?;
        if steps >= 1 {
            raw.send(&offer.hello())?;
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

/// Leaves a session over shared memory after so many steps.
fn leave_region(mut session: RegionSession, steps: usize) -> Result<(), Failure> {
    let request = wire::request(1, TEXT);
    match steps {
        3 => session.region.begin(&request[..wire::HEADER_BYTES], request.len() as u32),
        4 => session.region.publish(&request),
        _ => Ok(()),
    }
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
