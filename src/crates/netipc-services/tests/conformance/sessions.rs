//! Level 1: one client at a time, and a server that echoes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use netipc::{
    Abort, AcceptError, Deadline, Endpoint, Header, Inbox, Limits, Listener, ListenerConfig,
    Message, Pipeline, Proposal, ReceiveError, SendError, Session, Status, SubmitError,
};
use netipc_testkit::{Value, list, text, uint};

use crate::steps::{has, number};
use crate::{Applies, Offers, PATIENCE, Place, TOKEN, long};

const METHOD: u16 = 0x0200;
/// More than any case has in flight.
const CAPACITY: usize = 64;

pub(crate) fn run(case: &Value, offers: Offers) -> Applies {
    let place = Place::new();
    let mut client = Client::start(case, offers, &place.endpoint);
    let limit = client.pipeline().session().in_flight_limit();
    let lacks = |what| match what {
        "pipelining" => limit == 1,
        "one-in-flight" => limit > 1,
        _ => panic!("no such need: {what}"),
    };
    let needs = ["pipelining", "one-in-flight"];
    if needs.into_iter().any(|need| has(&case["needs"], need) && lacks(need)) {
        return Applies::No;
    }
    for step in list(&case["steps"]) {
        client.step(step);
    }
    Applies::Yes
}

struct Client {
    endpoint: Endpoint,
    proposal: Proposal,
    selected: u32,
    server: Echo,
    pipeline: Option<Pipeline<Sent>>,
    abort: Abort,
}

/// What an answer is compared with.
struct Sent {
    header: Header,
    len: usize,
}

impl Client {
    fn start(case: &Value, offers: Offers, endpoint: &Endpoint) -> Self {
        let request = Limits {
            payload_bytes: number(case, "request_bytes"),
            batch_items: number(case, "request_items"),
        };
        let config = ListenerConfig {
            supported_profiles: offers.server.supported,
            preferred_profiles: offers.server.preferred,
            max_request_payload_bytes: request.payload_bytes,
            response_payload_bytes: number(case, "response_bytes"),
            auth_token: TOKEN,
            ..ListenerConfig::default()
        };
        let proposal = Proposal {
            supported_profiles: offers.client.supported,
            preferred_profiles: offers.client.preferred,
            request,
            packet_size: number(case, "packet_size"),
            auth_token: TOKEN,
            ..Proposal::default()
        };
        let server = Echo::start(endpoint, &config);
        let mut client = Self {
            endpoint: endpoint.clone(),
            proposal,
            selected: offers.selected,
            server,
            pipeline: None,
            abort: Abort::new().expect("an abort handle"),
        };
        client.connect();
        client
    }

    fn connect(&mut self) {
        let session = Session::connect(&self.endpoint, &self.proposal, long(), &self.abort)
            .expect("a session");
        assert_eq!(session.terms().profile.bit(), self.selected, "the selected profile");
        self.pipeline = Some(Pipeline::new(session, CAPACITY));
    }

    fn pipeline(&mut self) -> &mut Pipeline<Sent> {
        self.pipeline.as_mut().expect("a session")
    }

    fn step(&mut self, step: &Value) {
        match text(step, "do") {
            "send" => self.send(step),
            "receive" => self.receive(step),
            "nothing" => {
                let mut inbox = self.pipeline().session().inbox();
                let found = self.pipeline().session().try_receive(&mut inbox).map(|m| m.is_some());
                assert_eq!(found, Ok(false));
            }
            "close" => {
                self.pipeline = None;
                assert_eq!(self.server.next_end(), ReceiveError::Closed);
            }
            "server-close" => {
                self.server.close_session();
                let closed = {
                    let abort = self.abort.clone();
                    self.pipeline().receive(long(), &abort).map(drop)
                };
                assert_eq!(closed, Err(ReceiveError::Closed));
                self.pipeline = None;
            }
            "reconnect" => self.connect(),
            other => panic!("no such step: {other}"),
        }
    }

    fn send(&mut self, step: &Value) {
        let (id, len): (u64, usize) = (uint(step, "id"), uint(step, "len"));
        let mut header = Header::request(METHOD, id, len as u32);
        if !step["items"].is_null() {
            header = header.batch_of(uint(step, "items"));
        }
        let abort = self.abort.clone();
        let sent = Sent { header, len };
        let submitted = self.pipeline().submit(&header, &payload(id, len), sent, long(), &abort);
        let refused = match submitted {
            Ok(()) => "",
            Err(SubmitError::Send(SendError::AboveLimit { .. })) => "above-limit",
            Err(SubmitError::Duplicate { .. }) => "duplicate",
            Err(SubmitError::Full { .. }) => "in-flight",
            Err(error) => panic!("{error}"),
        };
        assert_eq!(refused, step["refused"].as_str().unwrap_or_default(), "request {id}");
    }

    fn receive(&mut self, step: &Value) {
        let (id, len): (u64, usize) = (uint(step, "id"), uint(step, "len"));
        let abort = self.abort.clone();
        let (sent, Message { header, payload: answered }) =
            self.pipeline().receive(long(), &abort).expect("an answer");
        assert_eq!((sent.header.message_id, sent.len), (id, len));
        let mut expected = Header::response(&sent.header, len as u32);
        if sent.header.is_batch() {
            expected = expected.batch_of(sent.header.item_count);
        }
        assert_eq!(header, expected);
        assert!(answered == payload(id, len), "{len} bytes came back changed");
    }
}

/// The bytes of a message's payload.
fn payload(id: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(31) ^ (i >> 8) ^ id.wrapping_mul(7)) as u8).collect()
}

/// A server that takes one client after another.
struct Echo {
    stop: Abort,
    close: Abort,
    ends: Receiver<ReceiveError>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start(endpoint: &Endpoint, config: &ListenerConfig) -> Self {
        let mut listener = Listener::bind(endpoint, config).expect("bound");
        let stop = Abort::new().expect("an abort handle");
        let close = Abort::new().expect("an abort handle");
        let (say, ends) = channel();
        let thread = thread::spawn({
            let (stop, close) = (stop.clone(), close.clone());
            move || {
                loop {
                    match listener.accept(Deadline::never(), &stop) {
                        Ok(session) => echo(&session, &close, &say),
                        Err(AcceptError::Aborted) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
        Self { stop, close, ends, thread: Some(thread) }
    }

    /// How the next session ended.
    fn next_end(&self) -> ReceiveError {
        self.ends.recv_timeout(PATIENCE).expect("a session ended")
    }

    /// Ends the session that there is.
    fn close_session(&self) {
        self.close.trigger();
        assert_eq!(self.next_end(), ReceiveError::Aborted);
        self.close.clear();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.trigger();
        self.close.trigger();
        let thread = self.thread.take().expect("joined once");
        assert!(thread.join().is_ok() || thread::panicking());
    }
}

fn echo(session: &Session, close: &Abort, ends: &Sender<ReceiveError>) {
    let mut inbox = session.inbox();
    let error = loop {
        match answer(session, &mut inbox, close) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    if let ReceiveError::AboveLimit { header, .. } = error {
        let answer = Header::failure(&header, Status::LIMIT_EXCEEDED);
        session.send(&answer, &[], long(), close).expect("room for an answer");
        session.drain(long(), close).expect("drained");
    }
    // The case may be over.
    let _unheard = ends.send(error);
}

fn answer(session: &Session, inbox: &mut Inbox, close: &Abort) -> Result<(), ReceiveError> {
    let Message { header, payload } = session.receive(inbox, Deadline::never(), close)?;
    let mut answer = Header::response(&header, payload.len() as u32);
    if header.is_batch() {
        answer = answer.batch_of(header.item_count);
    }
    match session.send(&answer, payload, long(), close) {
        Ok(()) => Ok(()),
        Err(SendError::PeerGone) => Err(ReceiveError::Closed),
        Err(error) => panic!("{error}"),
    }
}
