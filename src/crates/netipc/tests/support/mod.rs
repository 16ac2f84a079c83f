//! Endpoints in directories of their own, a raw peer that says what it likes, and an echo server.

pub(crate) mod raw;
mod region_name;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use netipc::{
    Abort, AcceptError, Deadline, Endpoint, HandshakeCounters, HandshakeCounts, Header, Limits,
    Listener, ListenerConfig, Message, Profile, Profiles, Proposal, ReceiveError, Session, Status,
};
use tempfile::TempDir;

/// Long enough that running into it is a failure, not a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(if cfg!(windows) { 120 } else { 30 });
/// How late a deadline or an abort may be noticed.
pub(crate) const LATENESS: Duration =
    // Under Wine no time is promised (docs/platform/windows.md): only that it ends.
    Duration::from_millis(if cfg!(windows) { 1_000 } else { 50 });
/// A deadline that a test waits out.
pub(crate) const SHORT: Duration = Duration::from_millis(120);
/// What every endpoint of the tests wants to be told.
pub(crate) const TOKEN: u64 = 0x1234_5678_9abc_def0;
/// Of a message's header.
pub(crate) const HEADER_BYTES: usize = 32;
/// Any method code.
pub(crate) const METHOD: u16 = 1;

/// How a session's messages move: what is not about one of them is shown over each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Socket,
    SharedMemory,
}

impl Transport {
    /// What both sides offer.
    pub(crate) fn profiles(self) -> Profiles {
        match self {
            Self::Socket => Profiles::BASELINE,
            Self::SharedMemory => Profiles::BASELINE | Profiles::SHM_HYBRID,
        }
    }

    pub(crate) fn config(self, bytes: u32) -> ListenerConfig {
        ListenerConfig { supported_profiles: self.profiles(), ..config(bytes) }
    }

    pub(crate) fn proposal(self, bytes: u32) -> Proposal {
        Proposal { supported_profiles: self.profiles(), ..proposal(bytes) }
    }

    /// Both ends of one session, with limits of `bytes` both ways.
    pub(crate) fn pair(self, bytes: u32) -> (Session, Session) {
        let (client, server) = pair_of(&self.config(bytes), self.proposal(bytes));
        for session in [&client, &server] {
            assert_eq!(session.profile(), self.selected());
        }
        (client, server)
    }

    pub(crate) fn selected(self) -> Profile {
        match self {
            Self::Socket => Profile::BASELINE,
            Self::SharedMemory => Profile::SHM_HYBRID,
        }
    }
}

/// Runs a test over each transport. Which one it was, a failure says by what is printed before it.
pub(crate) fn over_each(test: impl Fn(Transport)) {
    for transport in [Transport::Socket, Transport::SharedMemory] {
        println!("over {transport:?}");
        test(transport);
    }
}

pub(crate) fn long() -> Deadline {
    Deadline::after(LONG)
}

pub(crate) fn abort() -> Abort {
    Abort::new().expect("an abort handle")
}

/// A run directory with one endpoint.
pub(crate) struct Place {
    _dir: TempDir,
    pub(crate) endpoint: Endpoint,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let endpoint = Endpoint::new(dir.path(), "svc").expect("a good name");
        Self { _dir: dir, endpoint }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.endpoint.socket_path().to_path_buf()
    }

    pub(crate) fn listen(&self, config: &ListenerConfig) -> Listener {
        Listener::bind(&self.endpoint, config).expect("bound")
    }

    pub(crate) fn connect(&self, proposal: &Proposal) -> Session {
        Session::connect(&self.endpoint, proposal, long(), &abort()).expect("a session")
    }
}

/// A server that takes requests of `bytes` and answers with as many.
pub(crate) fn config(bytes: u32) -> ListenerConfig {
    ListenerConfig {
        auth_token: TOKEN,
        max_request_payload_bytes: bytes,
        response_payload_bytes: bytes,
        ..ListenerConfig::default()
    }
}

/// A client that sends requests of `bytes`, and batches of 8.
pub(crate) fn proposal(bytes: u32) -> Proposal {
    let limits = Limits { payload_bytes: bytes, batch_items: 8 };
    Proposal { auth_token: TOKEN, request: limits, response_hint: limits, ..Proposal::default() }
}

/// Both ends of one session, with limits of `bytes` both ways.
pub(crate) fn pair(bytes: u32) -> (Session, Session) {
    pair_of(&config(bytes), proposal(bytes))
}

/// Both ends of one session: the client's, the server's.
pub(crate) fn pair_of(config: &ListenerConfig, proposal: Proposal) -> (Session, Session) {
    let place = Place::new();
    let mut listener = place.listen(config);
    let endpoint = place.endpoint.clone();
    let client = spawn(move || Session::connect(&endpoint, &proposal, long(), &abort()));
    let server = listener.accept(long(), &abort()).expect("a session");
    (client.join().expect("no panic").expect("a session"), server)
}

pub(crate) fn request(message_id: u64, payload: &[u8]) -> Header {
    Header::request(METHOD, message_id, payload.len() as u32)
}

/// Bytes that differ from message to message and from place to place.
pub(crate) fn bytes(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(31) ^ (i >> 8) ^ seed.wrapping_mul(7)) as u8).collect()
}

/// Sends a request and takes the next message, which must be its echo.
pub(crate) fn echoed(session: &Session, message_id: u64, payload: &[u8]) {
    let mut inbox = session.inbox();
    session.send(&request(message_id, payload), payload, long(), &abort()).expect("sent");
    let message = session.receive(&mut inbox, long(), &abort()).expect("an answer");
    assert_eq!(
        message.header,
        Header::response(&request(message_id, payload), payload.len() as u32)
    );
    assert!(message.payload == payload, "{} bytes came back changed", payload.len());
}

/// How often what takes its time may be tried.
pub(crate) const TRIES: usize = 10;

/// Runs `step`, which returns how long what it is about took, again and again until that is no longer than
/// `limit`: the promise is about this code, not about what else the machine does.
#[track_caller]
pub(crate) fn within(limit: Duration, mut step: impl FnMut() -> Duration) {
    let took: Vec<Duration> = (0..TRIES).map(|_| step()).take_while(|took| *took > limit).collect();
    assert!(took.len() < TRIES, "took {took:?} instead of at most {limit:?}");
}

/// Runs `step` with a deadline; it must end at that, neither before nor later than promised.
pub(crate) fn ends_at_its_deadline(mut step: impl FnMut(Deadline)) {
    within(SHORT + LATENESS, || {
        let start = Instant::now();
        step(Deadline::after(SHORT));
        let took = start.elapsed();
        assert!(took >= SHORT, "it ended early, after {took:?}");
        took
    });
}

/// Runs `step` in another thread until it sleeps there, then aborts it: it must end at once.
pub(crate) fn ends_on_abort<T: Send + 'static>(
    mut step: impl FnMut() -> Box<dyn FnOnce(&Abort) -> T + Send>,
    check: impl Fn(T),
) {
    within(LATENESS, || {
        let (work, stop) = (step(), abort());
        let handle = stop.clone();
        let thread = asleep_in(move || work(&handle));
        let start = Instant::now();
        stop.trigger();
        check(thread.join().expect("no panic"));
        start.elapsed()
    });
}

#[cfg(target_os = "linux")]
/// Runs `work` in another thread, and returns once that sleeps in the kernel.
pub(crate) fn asleep_in<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let (say, hear) = channel();
    let thread = spawn(move || {
        say.send(std::fs::read_link("/proc/thread-self").expect("proc")).expect("heard");
        work()
    });
    let task = PathBuf::from("/proc").join(hear.recv().expect("a thread"));
    let start = Instant::now();
    loop {
        let stat = std::fs::read_to_string(task.join("stat")).expect("the thread lives");
        // The state comes after the name, which is in parentheses.
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return thread;
        }
        assert!(start.elapsed() < LONG, "the thread never slept: {stat}");
        std::thread::yield_now();
    }
}

/// Runs `work` in another thread, and returns once that is about to sleep, or does: there is no telling on
/// Windows. Both cases are tested, by chance.
#[cfg(windows)]
pub(crate) fn asleep_in<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    const ABOUT: Duration = Duration::from_millis(50);
    let (say, hear) = channel();
    let thread = spawn(move || {
        say.send(()).expect("heard");
        work()
    });
    hear.recv().expect("it runs");
    let _ = hear.recv_timeout(ABOUT);
    thread
}

#[cfg(target_os = "linux")]
/// How often this thread has gone to sleep.
pub(crate) fn sleeps_of_this_thread() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc");
    status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .and_then(|count| count.trim().parse().ok())
        .expect("a count")
}

/// Waits out a time in which nothing may happen.
pub(crate) fn quiet(time: Duration) {
    let (_say, hear) = channel::<()>();
    assert_eq!(hear.recv_timeout(time), Err(RecvTimeoutError::Timeout));
}

/// A server of one endpoint that answers every request with its own payload; a thread a session.
pub(crate) struct Echo {
    pub(crate) place: Place,
    /// How sessions ended, in the order in which they did.
    pub(crate) ends: Receiver<(u64, ReceiveError)>,
    counters: Arc<HandshakeCounters>,
    stop: Abort,
    acceptor: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start(config: &ListenerConfig) -> Self {
        let place = Place::new();
        let mut listener = place.listen(config);
        let counters = Arc::clone(listener.counters());
        let stop = abort();
        let handle = stop.clone();
        let (say, ends) = channel();
        let acceptor = spawn(move || {
            let mut threads = Vec::new();
            loop {
                match listener.accept(Deadline::never(), &handle) {
                    Ok(session) => {
                        let (stop, say) = (handle.clone(), say.clone());
                        threads.push(spawn(move || echo(&session, &stop, &say)));
                    }
                    Err(AcceptError::Aborted) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            for thread in threads {
                thread.join().expect("no panic");
            }
        });
        Self { place, ends, counters, stop, acceptor: Some(acceptor) }
    }

    pub(crate) fn counts(&self) -> HandshakeCounts {
        self.counters.counts()
    }

    /// The next end of a session.
    pub(crate) fn next_end(&self) -> ReceiveError {
        self.ends.recv_timeout(LONG).expect("a session ended").1
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.trigger();
        let acceptor = self.acceptor.take().expect("joined once");
        assert!(acceptor.join().is_ok() || std::thread::panicking());
    }
}

/// Answers until the session ends; over-long requests as the contract says.
fn echo(session: &Session, stop: &Abort, ended: &Sender<(u64, ReceiveError)>) {
    let mut inbox = session.inbox();
    let error = loop {
        match session.receive(&mut inbox, Deadline::never(), stop) {
            Ok(Message { header, payload }) => {
                let answer = Header::response(&header, payload.len() as u32);
                if session.send(&answer, payload, long(), stop).is_err() {
                    break ReceiveError::Closed;
                }
            }
            Err(error) => break error,
        }
    };
    if let ReceiveError::AboveLimit { header, .. } = error {
        let answer = Header::failure(&header, Status::LIMIT_EXCEEDED);
        session.send(&answer, &[], long(), stop).expect("room for an answer");
        session.drain(Deadline::after(LONG), stop).expect("drained");
    }
    // The test may be over.
    let _unheard = ended.send((session.id(), error));
}
