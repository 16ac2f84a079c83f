//! For tests of the threads' parts: a session of an engine on which no thread runs.

use std::sync::Arc;
use std::time::Duration;

use netipc_proto::payload::ResponseBudget;
use netipc_sys::{Abort, Deadline, Events};
use tempfile::TempDir;

use super::dispatch::{Context, Dispatch, Failure};
use super::engine::{Engine, WORK_TOKEN};
use super::served::{Served, Service};
use super::status::Counters;
use crate::{Endpoint, Header, Listener, ListenerConfig, Proposal, Session};

pub(super) const METHOD: u16 = 0x0777;
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Answers nothing to anything.
struct Nothing;

impl Dispatch for Nothing {
    fn method(&self) -> u16 {
        METHOD
    }

    fn batchable(&self) -> bool {
        false
    }

    fn handle(
        &self,
        _context: &Context<'_>,
        _request: &[u8],
        _response: ResponseBudget<'_>,
    ) -> Result<usize, Failure> {
        Ok(0)
    }
}

/// One client and its session, armed.
pub(super) struct Fixture {
    pub(super) engine: Arc<Engine>,
    pub(super) served: Arc<Served>,
    pub(super) client: Session,
    abort: Abort,
    _listener: Listener,
    _dir: TempDir,
}

impl Fixture {
    pub(super) fn new(worker_count: usize) -> Self {
        Self::proposing(worker_count, &Proposal::default())
    }

    pub(super) fn proposing(worker_count: usize, proposal: &Proposal) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let endpoint = Endpoint::new(dir.path(), "test").expect("a name");
        let mut listener = Listener::bind(&endpoint, &ListenerConfig::default()).expect("bound");
        let (deadline, abort) = (Deadline::after(PATIENCE), Abort::new().expect("abort"));
        let (client, session) = std::thread::scope(|scope| {
            let client = scope.spawn(|| Session::connect(&endpoint, proposal, deadline, &abort));
            let session = listener.accept(deadline, &abort).expect("a session");
            (client.join().expect("no panic").expect("a session"), session)
        });
        let service = Service {
            name: "test".to_owned(),
            dispatch: Box::new(Nothing),
            max_sessions: 1,
            max_in_flight: 16,
            response_limit: listener.response_limit().clone(),
            response_ceiling: 1024,
            counters: Counters::default(),
        };
        let engine = Arc::new(Engine::new(vec![service], worker_count).expect("an engine"));
        // The queue's signal is there from the start.
        assert_eq!(met(&engine), Some(WORK_TOKEN));
        let served = engine.admit(session, engine.services.first().expect("one"));
        Self { engine, served, client, abort, _listener: listener, _dir: dir }
    }

    /// A request of the client, without a payload.
    pub(super) fn request(&self) {
        let header = Header::request(METHOD, 1, 0);
        self.client.send(&header, b"", Deadline::after(PATIENCE), &self.abort).expect("sent");
    }
}

/// The event that a worker would be woken for now.
pub(super) fn met(engine: &Engine) -> Option<u64> {
    met_within(engine, Duration::ZERO)
}

/// What a worker meets that sleeps until there is something: a pipe tells of a packet a moment after it was sent.
pub(super) fn meets(engine: &Engine) -> Option<u64> {
    met_within(engine, PATIENCE)
}

fn met_within(engine: &Engine, patience: Duration) -> Option<u64> {
    let mut events = Events::with_capacity(1);
    engine.requests.wait(&mut events, Deadline::after(patience)).expect("waited");
    events.iter().next().map(|event| event.token)
}
