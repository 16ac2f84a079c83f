//! Level 1 inside a loop of one's own: one thread serves any number of sessions and never waits for
//! one of them; a client keeps several requests in flight and takes the answers as they come.
//!
//! ```text
//!   poll ──▶ Listener::try_accept ──▶ Session ──▶ try_receive ──▶ answer ──▶ try_send
//!    ▲                                                                          │ no room:
//!    └──── readable: listener, sessions; writable: sessions with an unsent answer ◀──┘
//! ```
//!
//! What it does **not** do: tell a client why its session ends (see `Session::drain`), decode
//! payloads, or scale to a thousand sessions, where epoll is the better wait.
use std::error::Error;
use std::thread;
use std::time::Duration;

use netipc::{
    Abort, CHUNK_GAP_TIMEOUT, Deadline, Endpoint, Header, Inbox, Limits, Listener, ListenerConfig,
    Outgoing, Pipeline, Proposal, Session, Status,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const METHOD: u16 = 0x0200;
const MAX_SESSIONS: usize = 16;
const MAX_IN_FLIGHT: usize = 4;
/// What may be in flight beside the first request, in bytes of payload, so that the sockets have room
/// for all of it: this server reads no request while an answer waits for its reader.
const IN_FLIGHT_BYTES: usize = 64 << 10;
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest message of either side, in bytes of payload.
const PAYLOAD_BYTES: u32 = 300_000;

pub(crate) fn main() -> Outcome<()> {
    let run_dir = tempfile::tempdir()?;
    let endpoint = Endpoint::new(run_dir.path(), "shouter")?;
    let answers = shout_at(&endpoint, &["one", "two", "three", "four", "five", "six"])?;
    println!("{}", answers.join(" "));
    Ok(())
}

/// Starts the server, asks it, and stops it.
fn shout_at(endpoint: &Endpoint, words: &[&str]) -> Outcome<Vec<String>> {
    let limits = ListenerConfig {
        max_request_payload_bytes: PAYLOAD_BYTES,
        response_payload_bytes: PAYLOAD_BYTES,
        ..ListenerConfig::default()
    };
    let listener = Listener::bind(endpoint, &limits)?;
    let stop = Abort::new()?;
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(listener, &stop));
        let answers = ask(endpoint, words);
        stop.trigger();
        server.join().map_err(|_| "the server panicked")??;
        answers
    })
}

/// One client's session, on the server's side.
struct Peer {
    session: Session,
    inbox: Inbox,
    /// An answer that found no room, or not for all of it. No request is read before it is out.
    unsent: Option<(Outgoing, Vec<u8>)>,
}

fn serve(mut listener: Listener, stop: &Abort) -> Outcome<()> {
    let mut peers: Vec<Peer> = Vec::new();
    while !stop.is_set() {
        wait(&listener, &peers, stop)?;
        loop {
            // Asked when a client's HELLO is there: beyond the limit it is told BUSY.
            let is_free = peers.len() < MAX_SESSIONS;
            let Some(session) = listener.try_accept(|| is_free)? else { break };
            let inbox = session.inbox();
            peers.push(Peer { session, inbox, unsent: None });
        }
        // Whatever ends a session, its own fault or a client that left, costs that session alone.
        peers.retain_mut(|peer| peer.go_on().is_ok());
    }
    Ok(())
}

/// Sleeps until there is something to do, for as long as nothing is due.
fn wait(listener: &Listener, peers: &[Peer], stop: &Abort) -> Outcome<()> {
    let mut fds = vec![PollFd::new(listener, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
    let mut until = listener.next_deadline();
    for peer in peers {
        let wanted = if peer.unsent.is_some() { PollFlags::OUT } else { PollFlags::IN };
        fds.push(PollFd::new(&peer.session, wanted));
        if let Some(since) = peer.inbox.partial_since() {
            let left = CHUNK_GAP_TIMEOUT.saturating_sub(since.elapsed());
            until = until.earlier(Deadline::after(left));
        }
    }
    let timeout = until.remaining().map(Timespec::try_from).transpose()?;
    rustix::io::retry_on_intr(|| poll(&mut fds, timeout.as_ref()))?;
    Ok(())
}

impl Peer {
    /// Does what can be done now: sends the rest of an answer, then answers one request more. One,
    /// so that a client that asks without end cannot hold the loop; the session stays readable.
    fn go_on(&mut self) -> Outcome<()> {
        if !self.send_rest()? {
            return Ok(());
        }
        let Some(request) = self.session.try_receive(&mut self.inbox)? else { return Ok(()) };
        let (header, payload) = if request.header.code == METHOD {
            (Header::response(&request.header, 0), request.payload.to_ascii_uppercase())
        } else {
            (Header::failure(&request.header, Status::UNSUPPORTED), Vec::new())
        };
        let header = Header { payload_len: u32::try_from(payload.len())?, ..header };
        self.unsent = Some((self.session.outgoing(&header, &payload)?, payload));
        self.send_rest()?;
        Ok(())
    }

    /// True once nothing is left to send.
    fn send_rest(&mut self) -> Outcome<bool> {
        if let Some((message, payload)) = &mut self.unsent {
            if !self.session.try_send(message, payload)? {
                return Ok(false);
            }
            self.unsent = None;
        }
        Ok(true)
    }
}

/// Sends a request a word, several in flight, and puts the answers in the order asked.
fn ask(endpoint: &Endpoint, words: &[&str]) -> Outcome<Vec<String>> {
    let (deadline, abort) = (Deadline::after(CALL_TIMEOUT), Abort::new()?);
    let limits = Limits { payload_bytes: PAYLOAD_BYTES, batch_items: 1 };
    let proposal = Proposal { request: limits, ..Proposal::default() };
    let session = Session::connect(endpoint, &proposal, deadline, &abort)?;
    // No more than the transport takes: sockets have no limit, shared memory will have 1.
    let mut pipeline = Pipeline::new(session, MAX_IN_FLIGHT);
    let capacity = MAX_IN_FLIGHT.min(pipeline.session().in_flight_limit());

    let mut answers = vec![String::new(); words.len()];
    let mut unasked = words.iter().enumerate().peekable();
    let mut bytes = 0;
    loop {
        while let Some((index, word)) = unasked.next_if(|(_, word)| {
            let in_flight = pipeline.in_flight();
            in_flight == 0 || (in_flight < capacity && bytes + word.len() <= IN_FLIGHT_BYTES)
        }) {
            let message_id = index as u64 + 1;
            let request = Header::request(METHOD, message_id, u32::try_from(word.len())?);
            pipeline.submit(&request, word.as_bytes(), index, deadline, &abort)?;
            bytes += word.len();
        }
        if pipeline.in_flight() == 0 {
            return Ok(answers);
        }
        let (index, answer) = pipeline.receive(deadline, &abort)?;
        if !answer.header.status.is_ok() {
            return Err(format!("the server answered: {}", answer.header.status).into());
        }
        answers[index] = String::from_utf8(answer.payload.to_vec())?;
        bytes -= words[index].len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_answered_in_its_place() {
        let run_dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::new(run_dir.path(), "shouter").unwrap();
        // The long ones take several packets each way, more than the sockets have room for.
        let long = ["a", "b", "c", "d", "e"].map(|letter| letter.repeat(PAYLOAD_BYTES as usize));
        let mut words = vec!["one", "two", "three", "four", "five", "six"];
        words.extend(long.iter().map(String::as_str));
        let answers = shout_at(&endpoint, &words).unwrap();
        assert_eq!(answers, words.iter().map(|word| word.to_uppercase()).collect::<Vec<_>>());
    }

    #[test]
    fn a_stopped_server_gives_its_name_back() {
        let run_dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::new(run_dir.path(), "shouter").unwrap();
        for _ in 0..2 {
            assert_eq!(shout_at(&endpoint, &["again"]).unwrap(), ["AGAIN"]);
            assert!(!endpoint.socket_path().exists());
        }
    }
}
