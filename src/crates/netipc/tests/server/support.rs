//! A server whose handler is a closure, and clients that speak Level 1 or raw packets.

use std::cell::Cell;
use std::io::IoSlice;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use netipc::codec::ResponseBudget;
use netipc::server::{Context, Dispatch, Failure, RunningServer, Server, ServerConfig};
use netipc::{
    Abort, ConnectError, Deadline, Endpoint, Header, Inbox, Limits, Profiles, Proposal,
    ReceiveError, Session, Status,
};
use netipc_proto::hello::Hello;
use netipc_sys::PacketChannel;
use tempfile::TempDir;

pub(crate) const METHOD: u16 = 0x0777;
/// Long enough for a slow machine, short enough to fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A handler made of a closure, for calls that may be batched.
pub(crate) struct Handler<F> {
    pub(crate) batchable: bool,
    pub(crate) handle: F,
}

impl<F> Dispatch for Handler<F>
where
    F: Fn(&Context<'_>, &[u8], ResponseBudget<'_>) -> Result<usize, Failure>
        + Send
        + Sync
        + 'static,
{
    fn method(&self) -> u16 {
        METHOD
    }

    fn batchable(&self) -> bool {
        self.batchable
    }

    fn handle(
        &self,
        context: &Context<'_>,
        request: &[u8],
        response: ResponseBudget<'_>,
    ) -> Result<usize, Failure> {
        (self.handle)(context, request, response)
    }
}

pub(crate) fn handler<F>(handle: F) -> Handler<F>
where
    F: Fn(&Context<'_>, &[u8], ResponseBudget<'_>) -> Result<usize, Failure>
        + Send
        + Sync
        + 'static,
{
    Handler { batchable: true, handle }
}

/// Answers a request with itself.
pub(crate) fn echo() -> impl Dispatch {
    handler(|_context, request, response| reply(request, response))
}

pub(crate) fn reply(answer: &[u8], response: ResponseBudget<'_>) -> Result<usize, Failure> {
    let ResponseBudget { out, .. } = response;
    let room = out.get_mut(..answer.len()).ok_or(Failure::LimitExceeded)?;
    room.copy_from_slice(answer);
    Ok(answer.len())
}

thread_local! {
    /// What the places that a test makes are for.
    static OFFERED: Cell<Profiles> = const { Cell::new(Profiles::NONE) };
}

/// Runs a test over each transport: in places made by it, servers and clients offer that one.
pub(crate) fn over_each(test: impl Fn()) {
    for offered in [Profiles::NONE, shared_memory()] {
        println!("offering {offered}");
        OFFERED.set(offered);
        test();
    }
    OFFERED.set(Profiles::NONE);
}

/// A run directory with one endpoint.
pub(crate) struct Place {
    _dir: TempDir,
    pub(crate) endpoint: Endpoint,
    /// What servers and clients offer here, beside what their test says.
    offered: Profiles,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let endpoint = Endpoint::new(dir.path(), "test").expect("a name");
        Self { _dir: dir, endpoint, offered: OFFERED.get() }
    }

    pub(crate) fn serve(&self, config: ServerConfig, dispatch: impl Dispatch) -> RunningServer {
        let supported_profiles = config.supported_profiles | self.offered;
        let config = ServerConfig { supported_profiles, ..config };
        Server::bind(&self.endpoint, config).expect("bind").spawn(dispatch).expect("spawn")
    }

    pub(crate) fn client(&self) -> Client {
        self.try_client(&proposal()).expect("a session")
    }

    /// One whose session is over shared memory.
    pub(crate) fn shared_memory_client(&self) -> Client {
        let client = self.try_client(&Proposal {
            supported_profiles: shared_memory(),
            preferred_profiles: shared_memory(),
            ..proposal()
        });
        let client = client.expect("a session");
        assert!(client.session.profile().is_shared_memory());
        client
    }

    pub(crate) fn try_client(&self, proposal: &Proposal) -> Result<Client, ConnectError> {
        let abort = Abort::new().expect("abort");
        let supported_profiles = proposal.supported_profiles | self.offered;
        let proposal = Proposal { supported_profiles, ..*proposal };
        let session =
            Session::connect(&self.endpoint, &proposal, Deadline::after(PATIENCE), &abort)?;
        if !self.offered.is_empty() {
            assert!(session.profile().is_shared_memory(), "{:?}", session.profile());
        }
        let inbox = session.inbox();
        Ok(Client { session, inbox, abort })
    }

    /// A client that has a session, and sends what it likes.
    pub(crate) fn raw(&self) -> Raw {
        let raw = self.silent();
        let hello = Hello {
            supported: Profiles::BASELINE,
            preferred: Profiles::BASELINE,
            request: LIMITS,
            response_hint: LIMITS,
            auth_token: 0,
            packet_size: PACKET_SIZE,
        };
        raw.send(&hello.message());
        let ack = raw.receive().expect("HELLO_ACK");
        assert_eq!(Header::decode(&ack).expect("a header").status, Status::OK);
        raw
    }

    /// A client that has connected and said nothing.
    pub(crate) fn silent(&self) -> Raw {
        let abort = Abort::new().expect("abort");
        let deadline = Deadline::after(PATIENCE);
        let channel = netipc_sys::connect(self.endpoint.socket_path(), deadline, &abort)
            .expect("a connection");
        Raw { channel, abort }
    }
}

/// Shared memory, and the baseline below it.
pub(crate) fn shared_memory() -> Profiles {
    Profiles::BASELINE | Profiles::SHM_HYBRID
}

/// A server that has shared memory.
pub(crate) fn with_shared_memory(config: ServerConfig) -> ServerConfig {
    ServerConfig {
        supported_profiles: shared_memory(),
        preferred_profiles: shared_memory(),
        ..config
    }
}

pub(crate) const LIMITS: Limits = Limits { payload_bytes: 65_536, batch_items: 1024 };
/// Of raw clients.
pub(crate) const PACKET_SIZE: u32 = 4096;

pub(crate) fn proposal() -> Proposal {
    Proposal { request: LIMITS, response_hint: LIMITS, ..Proposal::default() }
}

/// A client of Level 1.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) inbox: Inbox,
    pub(crate) abort: Abort,
}

impl Client {
    pub(crate) fn send(&self, header: &Header, payload: &[u8]) {
        let deadline = Deadline::after(PATIENCE);
        self.session.send(header, payload, deadline, &self.abort).expect("sent");
    }

    pub(crate) fn request(&self, message_id: u64, payload: &[u8]) {
        self.send(&Header::request(METHOD, message_id, payload.len() as u32), payload);
    }

    pub(crate) fn receive(&mut self) -> Result<(Header, Vec<u8>), ReceiveError> {
        let deadline = Deadline::after(PATIENCE);
        let message = self.session.receive(&mut self.inbox, deadline, &self.abort)?;
        Ok((message.header, message.payload.to_vec()))
    }

    pub(crate) fn call(&mut self, payload: &[u8]) -> (Header, Vec<u8>) {
        self.request(1, payload);
        self.receive().expect("an answer")
    }

    pub(crate) fn status_of(&mut self, payload: &[u8]) -> Status {
        self.call(payload).0.status
    }

    /// The session is closed by the server.
    pub(crate) fn expect_close(&mut self) {
        assert_eq!(self.receive(), Err(ReceiveError::Closed));
    }
}

/// A client that sends packets as it likes.
pub(crate) struct Raw {
    pub(crate) channel: PacketChannel,
    abort: Abort,
}

impl Raw {
    pub(crate) fn send(&self, packet: &[u8]) {
        let deadline = Deadline::after(PATIENCE);
        self.channel.send(&[IoSlice::new(packet)], deadline, &self.abort).expect("sent");
    }

    pub(crate) fn receive(&self) -> Result<Vec<u8>, netipc_sys::RecvError> {
        let mut packet = vec![0; PACKET_SIZE as usize + 1];
        let len = self.channel.recv(&mut packet, Deadline::after(PATIENCE), &self.abort)?;
        packet.truncate(len);
        Ok(packet)
    }

    /// The first packet of a message of several, which never come.
    pub(crate) fn send_half(&self) {
        let mut packet = Header::request(METHOD, 1, PACKET_SIZE * 2).encode().to_vec();
        packet.resize(PACKET_SIZE as usize, 0);
        self.send(&packet);
    }
}

/// Spins until `condition` holds: for what a server shows in its status only.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, condition), "never came: {what}");
}

pub(crate) fn holds_within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < time {
        if condition() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// Holds handlers until it is opened, and counts those that wait.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl Gate {
    pub(crate) fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().expect("no panic");
        state.1 += 1;
        changed.notify_all();
        while !state.0 {
            state = changed.wait(state).expect("no panic");
        }
        state.1 -= 1;
        changed.notify_all();
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().expect("no panic").0 = true;
        self.0.1.notify_all();
    }

    /// Opens it for those who wait now, and closes it behind them.
    pub(crate) fn let_through(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().expect("no panic");
        state.0 = true;
        changed.notify_all();
        while state.1 > 0 {
            state = changed.wait(state).expect("no panic");
        }
        state.0 = false;
    }

    /// Waits until so many handlers wait.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        let (state, changed) = &*self.0;
        let state = state.lock().expect("no panic");
        let (_state, timeout) =
            changed.wait_timeout_while(state, PATIENCE, |state| state.1 < count).expect("no panic");
        assert!(!timeout.timed_out(), "handlers never ran");
    }
}

/// Opens the gate at the end of a test, however it ends.
impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

/// Uses the CPU for so long, as a handler that works does.
pub(crate) fn work_for(time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {
        std::hint::spin_loop();
    }
}
