//! What can only be seen in a process of its own: threads, descriptors, memory, system calls, and
//! time. Every test runs in a child process, one at a time.
#![cfg(target_os = "linux")]

mod shared_memory;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use netipc::batch::BatchBuilder;
use netipc::codec::ResponseBudget;
use netipc::server::{Context, Dispatch, Failure, RunningServer, Server, ServerConfig};
use netipc::{
    Abort, ConnectError, Deadline, Endpoint, Header, Inbox, Limits, Met, Profiles, Proposal,
    ReceiveError, Session, Status,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const METHOD: u16 = 1;
const PATIENCE: Duration = Duration::from_secs(20);
const SESSIONS: usize = 1000;
const SERVICE: &str = "scale";
const LIMITS: Limits = Limits { payload_bytes: 65_536, batch_items: 1024 };
/// Clients that are killed one after the other, times [`rounds`].
const KILLS: usize = 100;
/// Servers that are started and stopped one after the other, times [`rounds`].
const STARTS: usize = 100;
/// A dead client is noticed by then.
const NOTICED: Duration = Duration::from_millis(100);
/// Other processes want the CPUs, too: so few may be noticed later.
const LATE_AT_MOST_ONE_IN: usize = 20;
/// Set for a child that is a client: the run directory.
const CLIENT_ENV: &str = "NETIPC_TEST_CLIENT";
/// By how much to multiply what is counted.
const ROUNDS_ENV: &str = "NETIPC_TEST_ROUNDS";

fn rounds(count: usize) -> usize {
    let factor = std::env::var(ROUNDS_ENV).ok().and_then(|factor| factor.parse().ok());
    count * factor.unwrap_or(1)
}

/// Kills so many clients, each by `kill`, which answers how long it took until all of it was gone.
fn killed_are_noticed(count: usize, kill: impl Fn() -> Duration) {
    let times: Vec<Duration> = (0..count).map(|_| kill()).collect();
    let slowest = times.iter().max().expect("some");
    println!("{count} killed clients: the slowest was gone after {slowest:?}");
    let late = times.iter().filter(|time| **time >= NOTICED).count();
    assert!(late <= count / LATE_AT_MOST_ONE_IN, "{late} of {count} late, the last by {slowest:?}");
}

fn shared_memory() -> Profiles {
    Profiles::BASELINE | Profiles::SHM_HYBRID
}

/// Answers a request with itself, after `cost` without the CPU.
struct Echo {
    cost: Option<Duration>,
}

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
        if let Some(cost) = self.cost {
            wait_for(cost);
        }
        let room = response.out.get_mut(..request.len()).ok_or(Failure::LimitExceeded)?;
        room.copy_from_slice(request);
        Ok(request.len())
    }
}

fn serve(endpoint: &Endpoint, config: ServerConfig, cost: Option<Duration>) -> RunningServer {
    Server::bind(endpoint, config).expect("bind").spawn(Echo { cost }).expect("spawn")
}

struct Client {
    session: Session,
    inbox: Inbox,
    abort: Abort,
}

impl Client {
    fn new(endpoint: &Endpoint) -> Self {
        Self::with(endpoint, LIMITS, Profiles::BASELINE)
    }

    fn with(endpoint: &Endpoint, request: Limits, profiles: Profiles) -> Self {
        Self::try_with(endpoint, request, profiles).expect("a session")
    }

    fn try_with(
        endpoint: &Endpoint,
        request: Limits,
        profiles: Profiles,
    ) -> Result<Self, ConnectError> {
        let proposal = Proposal {
            request,
            supported_profiles: profiles,
            preferred_profiles: profiles,
            ..Proposal::default()
        };
        let abort = Abort::new().expect("abort");
        let session = Session::connect(endpoint, &proposal, Deadline::after(PATIENCE), &abort)?;
        let inbox = session.inbox();
        Ok(Self { session, inbox, abort })
    }

    fn send(&self, header: &Header, payload: &[u8]) {
        let deadline = Deadline::after(PATIENCE);
        self.session.send(header, payload, deadline, &self.abort).expect("sent");
    }

    fn receive(&mut self) -> Status {
        let deadline = Deadline::after(PATIENCE);
        let message = self.session.receive(&mut self.inbox, deadline, &self.abort);
        message.expect("an answer").header.status
    }

    fn ping(&mut self) {
        self.send(&Header::request(METHOD, 1, 4), b"ping");
        assert_eq!(self.receive(), Status::OK);
    }
}

/// Lets time pass as a handler does that waits for something.
fn wait_for(time: Duration) {
    let (never, mutex) = (Condvar::new(), Mutex::new(()));
    let started = Instant::now();
    let mut guard = mutex.lock().expect("no panic");
    while let Some(left) = time.checked_sub(started.elapsed()) {
        guard = never.wait_timeout(guard, left).expect("no panic").0;
    }
}

#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never came: {what}");
        std::thread::yield_now();
    }
}

/// Runs `body` in a child process that does nothing else, one child at a time.
fn alone(test: &str, body: impl FnOnce(&Endpoint)) {
    const IN_CHILD: &str = "NETIPC_TEST_ALONE";
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if std::env::var_os(IN_CHILD).is_some() {
        let dir = tempfile::tempdir().expect("a directory");
        return body(&Endpoint::new(dir.path(), SERVICE).expect("a name"));
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(IN_CHILD, "1")
        .status()
        .expect("a child");
    assert!(status.success(), "{test} failed in its own process: {status}");
}

fn proc_status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

/// Lets this process have as many descriptors as the system allows it: each session has two here.
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the soft limit");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc").count()
}

/// What lies in the run directory.
fn names(endpoint: &Endpoint) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(endpoint.run_dir()).expect("the directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}

/// Times that each thread of this process was put to sleep or pushed aside: none does anything
/// without one.
fn switches(of_threads: &[String]) -> Vec<(String, String)> {
    of_threads
        .iter()
        .map(|id| {
            let path = format!("/proc/self/task/{id}/status");
            let status = std::fs::read_to_string(path).expect("proc");
            let counts: Vec<&str> =
                status.lines().filter(|line| line.contains("ctxt_switches")).collect();
            (id.clone(), counts.join(" "))
        })
        .collect()
}

/// The ids of this process's threads whose name starts so.
fn threads_named(prefix: &str) -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc");
    let ids = tasks.map(|task| task.expect("a task").file_name().into_string().expect("an id"));
    ids.filter(|id| {
        let name = std::fs::read_to_string(format!("/proc/self/task/{id}/comm"));
        name.is_ok_and(|name| name.starts_with(prefix))
    })
    .collect()
}

#[test]
fn a_thousand_idle_sessions_cost_no_thread_and_little_memory() {
    alone("a_thousand_idle_sessions_cost_no_thread_and_little_memory", |endpoint| {
        raise_descriptor_limit();
        let config = ServerConfig {
            worker_count: 2,
            max_sessions: SESSIONS as u32,
            ..ServerConfig::default()
        };
        let server = serve(endpoint, config, None);
        // One first, so that what is made once is not counted.
        let mut clients = vec![Client::new(endpoint)];
        clients[0].ping();
        let (threads, memory_kib) = (proc_status("Threads:"), proc_status("VmRSS:"));
        clients.extend((1..SESSIONS).map(|_| Client::new(endpoint)));
        for client in &mut clients {
            client.ping();
            // What the clients hold is not the server's.
            client.inbox.release();
        }
        let grown_kib = proc_status("VmRSS:").saturating_sub(memory_kib);
        println!(
            "{SESSIONS} idle sessions: {} threads of the server, {grown_kib} KiB resident for \
             both ends",
            threads_named("netipc-").len()
        );
        assert_eq!(proc_status("Threads:"), threads);
        assert_eq!(threads_named("netipc-").len(), 3);
        assert_eq!(server.status().sessions as usize, SESSIONS);
        assert!(grown_kib < 16 * SESSIONS as u64, "{grown_kib} KiB: over 16 KiB a session");
    });
}

#[test]
fn an_idle_server_makes_no_system_call() {
    alone("an_idle_server_makes_no_system_call", |endpoint| {
        let server = serve(endpoint, ServerConfig::default(), None);
        let mut clients: Vec<Client> = (0..50).map(|_| Client::new(endpoint)).collect();
        for client in &mut clients {
            client.ping();
        }
        // Whoever was busy a moment ago is looked at once more, and then no more.
        wait_for(Duration::from_millis(300));
        let threads = threads_named("netipc-");
        assert_eq!(threads.len(), server.status().workers + 1);
        makes_no_system_call(&threads);
        clients[0].ping();
    });
}

/// That none of these threads does anything for twice 5 s. Whatever has a period shows in one of two looks in a row, up
/// to a period of both together; what a busy machine had not come to yet shows in the first.
fn makes_no_system_call(threads: &[String]) {
    const TRIES: usize = 3;
    let is_quiet = || {
        let before = switches(threads);
        // Being traced is itself a switch, so the counts are for where nothing traces.
        match trace(threads, Duration::from_secs(5)) {
            // The one that each of them sleeps in all the while, shown as it was found.
            Some(calls) => calls == threads.len(),
            None => switches(threads) == before,
        }
    };
    assert!(
        (0..TRIES).any(|_| is_quiet() && is_quiet()),
        "{TRIES} times one of {} threads did something",
        threads.len()
    );
}

/// How many system calls these threads are in, or begin, in that time; `None` where there is no
/// strace.
fn trace(threads: &[String], time: Duration) -> Option<usize> {
    let mut command = Command::new("strace");
    command.args(["-q", "-o", "/dev/stdout"]);
    for id in threads {
        command.args(["-p", id]);
    }
    let mut strace = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    wait_for(time);
    let id = strace.id().to_string();
    let told = Command::new("kill").args(["-INT", &id]).status().expect("kill");
    assert!(told.success());
    let mut output = strace.stdout.take().expect("its output");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut output, &mut text).expect("text");
    strace.wait().expect("strace ends");
    println!("strace of {} threads over {time:?}:\n{text}", threads.len());
    Some(text.lines().count())
}

#[test]
fn killed_clients_leave_nothing() {
    let test = "killed_clients_leave_nothing";
    if let Some(endpoint) = endpoint_of_client() {
        return be_a_client(Client::new(&endpoint), 8);
    }
    alone(test, |endpoint| {
        let config = ServerConfig { max_sessions: 1, ..ServerConfig::default() };
        let server = serve(endpoint, config, None);
        let mut first = Client::new(endpoint);
        first.ping();
        drop(first);
        eventually("no session", || server.status().sessions == 0);
        eventually("nothing open", || server.status().ended.left == 1);
        let threads = proc_status("Threads:");
        killed_are_noticed(rounds(2 * KILLS), || kill_a_client(test, endpoint, &server));
        assert_eq!(proc_status("Threads:"), threads);
        eventually("nothing in flight", || server.status().in_flight == 0);
        Client::new(endpoint).ping();
    });
}

/// Has a client in a process of its own, kills it, and waits until nothing of it is left; answers how
/// long that took.
fn kill_a_client(test: &str, endpoint: &Endpoint, server: &RunningServer) -> Duration {
    let open = descriptors();
    let mut client = spawn_client(test, endpoint);
    client.kill().expect("killed");
    client.wait().expect("dead");
    let died = Instant::now();
    eventually("the session is gone", || server.status().sessions == 0);
    let took = died.elapsed();
    drop(client);
    // Another one of those that left before may be closed meanwhile, too.
    eventually("its descriptors are gone", || descriptors() <= open);
    took
}

fn spawn_client(test: &str, endpoint: &Endpoint) -> Child {
    let mut client = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CLIENT_ENV, endpoint.run_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a client");
    let output = BufReader::new(client.stdout.take().expect("its output"));
    let mut lines = output.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("ready")), "the client never came");
    client
}

/// In a child that is a client: whose.
fn endpoint_of_client() -> Option<Endpoint> {
    let dir = std::env::var_os(CLIENT_ENV)?;
    Some(Endpoint::new(dir, SERVICE).expect("a name"))
}

/// Asks, does not read its last answers, and waits to be killed.
fn be_a_client(mut client: Client, last: u64) {
    client.ping();
    for id in 2..2 + last {
        client.send(&Header::request(METHOD, id, 60_000), &[7; 60_000]);
    }
    println!("ready");
    std::io::stdout().flush().expect("said");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the end");
}

#[test]
fn starting_and_stopping_again_and_again_leaves_nothing() {
    alone("starting_and_stopping_again_and_again_leaves_nothing", |endpoint| {
        for profiles in [Profiles::BASELINE, shared_memory()] {
            // What is made once, and the lock that servers leave at their name, is made by the first.
            start_and_stop(endpoint, profiles, 0);
            eventually("no thread of a server", || threads_named("netipc-").is_empty());
            let left = || {
                let mapped = shared_memory::mappings();
                (descriptors(), proc_status("Threads:"), names(endpoint), mapped)
            };
            let kept = left();
            assert_eq!((kept.2.len(), kept.3), (1, 0), "a lock and nothing else: {:?}", kept.2);
            (0..rounds(STARTS)).for_each(|round| start_and_stop(endpoint, profiles, round));
            println!("{profiles}: {kept:?}, and {:?} after {} servers", left(), rounds(STARTS));
            // A thread that was waited for may be listed a moment longer.
            eventually("all as before", || left() == kept);
        }
    });
}

/// A server that answers a client, and ends before it or after it, in one of the ways that there are.
fn start_and_stop(endpoint: &Endpoint, profiles: Profiles, round: usize) {
    let config = ServerConfig {
        supported_profiles: profiles,
        preferred_profiles: profiles,
        ..ServerConfig::default()
    };
    let server = serve(endpoint, config, None);
    let mut client = Client::with(endpoint, LIMITS, profiles);
    assert_eq!(client.session.profile().is_shared_memory(), profiles == shared_memory());
    client.ping();
    let _stays = round.is_multiple_of(2).then_some(client);
    // Its threads are not to be late, whatever time a busy machine leaves them.
    if round.is_multiple_of(3) {
        let _left_to_stop = server.drain_within(PATIENCE);
    }
    server.stop_within(PATIENCE).expect("stopped");
}

#[test]
fn one_clients_batch_is_faster_with_more_workers() {
    const ITEMS: u32 = 1000;
    const COST: Duration = Duration::from_micros(50);
    alone("one_clients_batch_is_faster_with_more_workers", |endpoint| {
        let mut payload = Vec::new();
        let mut builder = BatchBuilder::new(&mut payload, ITEMS, 65_536).expect("a batch");
        for item in 0..ITEMS {
            builder.push(&item.to_ne_bytes()).expect("room");
        }
        builder.finish().expect("whole");
        let best_of_three = |worker_count| {
            let config = ServerConfig { worker_count, ..ServerConfig::default() };
            let _server = serve(endpoint, config, Some(COST));
            let mut client = Client::new(endpoint);
            let times = (0..3).map(|id| {
                let started = Instant::now();
                let header = Header::request(METHOD, id, payload.len() as u32).batch_of(ITEMS);
                client.send(&header, &payload);
                assert_eq!(client.receive(), Status::OK);
                started.elapsed()
            });
            times.min().expect("three")
        };
        let (one, two, four) = (best_of_three(1), best_of_three(2), best_of_three(4));
        println!("1,000 items of 50 us: {one:?} with 1 worker, {two:?} with 2, {four:?} with 4");
        assert!(one >= COST * ITEMS);
        assert!(two < one * 3 / 4, "{one:?} with one worker, {two:?} with two");
    });
}
