//! What docs/adr/0002 measures: the managed server against a thread a session, on the same
//! sessions: calls of clients that ask and wait, and what idle sessions hold.
//!
//! `cargo bench -p netipc --bench server` prints one line a case. Both ends are in this process.

use std::time::{Duration, Instant};

use netipc::codec::ResponseBudget;
use netipc::server::{Context, Dispatch, Failure, Server, ServerConfig};
use netipc::{
    Abort, Deadline, Endpoint, Header, Limits, Listener, ListenerConfig, Proposal, Session,
};

const METHOD: u16 = 1;
const PAYLOAD: [u8; 64] = [7; 64];
const TIME: Duration = Duration::from_secs(2);
const IDLE_SESSIONS: usize = 1000;
const MAX_SESSIONS: u32 = 2000;

struct Echo;

impl Dispatch for Echo {
    fn method(&self) -> u16 {
        METHOD
    }

    fn batchable(&self) -> bool {
        true
    }

    fn handle(
        &self,
        _context: &Context<'_>,
        request: &[u8],
        response: ResponseBudget<'_>,
    ) -> Result<usize, Failure> {
        let room = response.out.get_mut(..request.len()).ok_or(Failure::LimitExceeded)?;
        room.copy_from_slice(request);
        Ok(request.len())
    }
}

fn main() {
    // Test runners start benches to see that they build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    for workers in [1, 2, 4] {
        let endpoint = Endpoint::new(dir.path(), &format!("loop-{workers}")).expect("a name");
        let config = ServerConfig {
            worker_count: workers,
            max_sessions: MAX_SESSIONS,
            ..ServerConfig::default()
        };
        let server = Server::bind(&endpoint, config).expect("bind").spawn(Echo).expect("spawn");
        measure(&format!("event loop, {workers} workers"), &endpoint);
        server.stop().expect("stopped");
    }
    let endpoint = Endpoint::new(dir.path(), "threads").expect("a name");
    let listener = Listener::bind(&endpoint, &ListenerConfig::default()).expect("bind");
    std::thread::spawn(move || thread_a_session(listener));
    measure("a thread a session", &endpoint);
}

/// The other design, at its shortest: blocking calls of Level 1, no limits, no counters.
fn thread_a_session(mut listener: Listener) {
    let abort = Abort::new().expect("abort");
    while let Ok(session) = listener.accept(Deadline::never(), &abort) {
        let abort = abort.clone();
        let serve = move || {
            let mut inbox = session.inbox();
            while let Ok(request) = session.receive(&mut inbox, Deadline::never(), &abort) {
                let header = Header::response(&request.header, request.payload.len() as u32);
                if session.send(&header, request.payload, Deadline::never(), &abort).is_err() {
                    break;
                }
            }
        };
        std::thread::spawn(serve);
    }
}

fn measure(what: &str, endpoint: &Endpoint) {
    for clients in [1, 8] {
        let times = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..clients).map(|_| scope.spawn(|| ask_and_wait(endpoint))).collect();
            threads.into_iter().flat_map(|t| t.join().expect("no panic")).collect::<Vec<_>>()
        });
        report(what, clients, times);
    }
    let (threads, memory_kib) = (proc_status("Threads:"), proc_status("VmRSS:"));
    let sessions: Vec<Session> = (0..IDLE_SESSIONS)
        .map(|_| {
            let session = connect(endpoint);
            call(&session);
            session
        })
        .collect();
    println!(
        "{what:24} {} idle sessions: {} threads and {} KiB more, both ends",
        sessions.len(),
        proc_status("Threads:") - threads,
        proc_status("VmRSS:").saturating_sub(memory_kib)
    );
}

fn report(what: &str, clients: usize, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let rate = times.len() as f64 / TIME.as_secs_f64();
    let (median, late) = (at(50), at(99));
    println!("{what:24} {clients} clients: {rate:8.0} calls/s, median {median:?}, 99 % {late:?}");
}

fn ask_and_wait(endpoint: &Endpoint) -> Vec<Duration> {
    let session = connect(endpoint);
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < TIME {
        let asked = Instant::now();
        call(&session);
        times.push(asked.elapsed());
    }
    times
}

fn connect(endpoint: &Endpoint) -> Session {
    let request = Limits { payload_bytes: 1024, batch_items: 1 };
    let proposal = Proposal { request, ..Proposal::default() };
    let abort = Abort::new().expect("abort");
    Session::connect(endpoint, &proposal, Deadline::never(), &abort).expect("a session")
}

fn call(session: &Session) {
    thread_local! {
        static ABORT: Abort = Abort::new().expect("abort");
    }
    ABORT.with(|abort| {
        let header = Header::request(METHOD, 1, PAYLOAD.len() as u32);
        session.send(&header, &PAYLOAD, Deadline::never(), abort).expect("sent");
        let mut inbox = session.inbox();
        session.receive(&mut inbox, Deadline::never(), abort).expect("an answer");
    });
}

fn proc_status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}
