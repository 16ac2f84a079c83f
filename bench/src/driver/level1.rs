//! Level 1: one session, its messages by hand, at both ends.

use std::sync::Arc;
use std::time::Duration;

use netipc::{
    Abort, Deadline, Endpoint, Header, Limits, Listener, ListenerConfig, Proposal, Session,
};
use netipc_services::increment;

use super::calls::{chain_start, wrong};
use super::measure::{Answered, Caller};
use super::{ClientOptions, Options, tally};
use crate::{Failure, PATIENCE};

/// Bytes of a request, and of an answer.
pub(super) const NUMBER_BYTES: usize = size_of::<u64>();
/// A request of all items that a batch may have, and more.
pub(super) const BATCH_BYTES: u32 = 65_536;
pub(super) const BATCH_ITEMS: u32 = 1_024;

pub(super) fn connect(options: &Options) -> Result<Session, Failure> {
    let limits = Limits { payload_bytes: BATCH_BYTES, batch_items: BATCH_ITEMS };
    let proposal = Proposal {
        supported_profiles: options.supported(),
        preferred_profiles: options.preferred(),
        request: limits,
        response_hint: limits,
        packet_size: options.packet_bytes,
        ..Proposal::default()
    };
    let deadline = Deadline::after(PATIENCE);
    let session = Session::connect(&options.endpoint()?, &proposal, deadline, &Abort::new()?)?;
    options.check_selected(session.terms().profile)?;
    Ok(session)
}

/// Asks for the number after the last answer.
pub(super) struct Ping {
    session: Session,
    inbox: netipc::Inbox,
    abort: Abort,
    value: u64,
    calls: u64,
}

impl Ping {
    pub(super) fn new(options: &ClientOptions, place: usize) -> Result<Self, Failure> {
        let session = connect(&options.options)?;
        let inbox = session.inbox();
        Ok(Self { session, inbox, abort: Abort::new()?, value: chain_start(place), calls: 0 })
    }
}

impl Caller for Ping {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        let mut payload = [0; NUMBER_BYTES];
        increment::RequestBuilder::new(&mut payload).value(self.value).finish()?;
        let header = Header::request(increment::METHOD, self.calls + 1, NUMBER_BYTES as u32);
        // No deadline: reading a clock is none of what a message costs. The runner has patience.
        self.session.send(&header, &payload, Deadline::never(), &self.abort)?;
        let answer = self.session.receive(&mut self.inbox, Deadline::never(), &self.abort)?;
        if !answer.header.status.is_ok() || answer.header.message_id != header.message_id {
            return Err(wrong("request", header.message_id, answer.header.message_id));
        }
        let answer = increment::ResponseView::decode(answer.payload)?.value();
        self.value = self.value.wrapping_add(1);
        if answer != self.value {
            return Err(wrong("increment", self.value, answer));
        }
        self.calls += 1;
        Ok(None)
    }

    fn answered(&self) -> Answered {
        Answered::singly(self.calls)
    }
}

/// Serves increments by hand: a thread a session, which receives and sends.
pub(super) fn serve(
    options: &Options,
    endpoint: &Endpoint,
    wrong_after: u64,
) -> Result<(), Failure> {
    let config = ListenerConfig {
        supported_profiles: options.supported(),
        preferred_profiles: options.preferred(),
        max_request_payload_bytes: BATCH_BYTES,
        response_payload_bytes: BATCH_BYTES,
        ..ListenerConfig::default()
    };
    let mut listener = Listener::bind(endpoint, &config)?;
    let abort = Arc::new(Abort::new()?);
    let accept = move || {
        // Ends with the process, as its sessions do.
        while let Ok(session) = listener.accept(Deadline::never(), &abort) {
            let abort = Arc::clone(&abort);
            std::thread::spawn(move || {
                if let Err(failure) = answer_all(&session, &abort, wrong_after) {
                    eprintln!("netipc-bench-driver: a session failed: {failure}");
                }
            });
        }
    };
    std::thread::spawn(accept);
    Ok(())
}

fn answer_all(session: &Session, abort: &Abort, wrong_after: u64) -> Result<(), Failure> {
    let mut inbox = session.inbox();
    loop {
        let request = match session.receive(&mut inbox, Deadline::never(), abort) {
            Ok(request) => request,
            Err(netipc::ReceiveError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let value = increment::RequestView::decode(request.payload)?.value();
        let is_wrong = tally::count() > wrong_after;
        let mut payload = [0; NUMBER_BYTES];
        let answer = value.wrapping_add(if is_wrong { 2 } else { 1 });
        increment::ResponseBuilder::new(&mut payload).value(answer).finish()?;
        let header = Header::response(&request.header, NUMBER_BYTES as u32);
        session.send(&header, &payload, Deadline::never(), abort)?;
    }
}
