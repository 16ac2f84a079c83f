//! Endpoints of their own, the services as the tests serve them, raw peers, and child processes.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use netipc::Endpoint;
use netipc::client::ClientConfig;
use netipc::server::{RunningServer, ServerConfig};
use netipc_services::{increment, string_reverse};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use super::{OFFERED, SELECTED};
use crate::company::{InCompany, alone, in_company};

pub(crate) const TOKEN: u64 = 0x1234_5678_9abc_def0;
/// Long enough that running into it is a failure, not a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How late a deadline may be noticed.
pub(crate) const LATENESS: Duration = Duration::from_millis(50);
/// Names the test whose body a child process runs.
const CHILD_ENV: &str = "NETIPC_TEST_CHILD";
/// Multiplies the rounds of long tests.
const ROUNDS_ENV: &str = "NETIPC_TEST_ROUNDS";
/// Bytes of a message header (spec section 1).
pub(crate) const HEADER_BYTES: usize = 32;

/// A run directory, which is gone with it.
pub(crate) struct Place {
    dir: TempDir,
    _company: InCompany,
}

impl Place {
    pub(crate) fn new() -> Self {
        let _company = in_company();
        // Tests that run beside each other have both ends of all their connections in one process.
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a soft limit");
        Self { dir: tempfile::tempdir().expect("a directory"), _company }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn endpoint(&self, service: &str) -> Endpoint {
        endpoint_in(self.dir(), service)
    }
}

pub(crate) fn endpoint_in(dir: &Path, service: &str) -> Endpoint {
    Endpoint::new(dir, service).expect("a temporary path is short enough")
}

pub(crate) fn server_config() -> ServerConfig {
    ServerConfig { auth_token: TOKEN, supported_profiles: OFFERED, ..ServerConfig::default() }
}

pub(crate) fn client_config() -> ClientConfig {
    ClientConfig { auth_token: TOKEN, supported_profiles: OFFERED, ..ClientConfig::default() }
}

pub(crate) fn serve_increment(endpoint: &Endpoint, config: ServerConfig) -> RunningServer {
    increment::Server::bind(endpoint, config)
        .expect("bound")
        .spawn(|request, response| Ok(response.value(request.value().wrapping_add(1)).finish()?))
        .expect("spawned")
}

pub(crate) fn serve_reverse(endpoint: &Endpoint, config: ServerConfig) -> RunningServer {
    string_reverse::Server::bind(endpoint, config)
        .expect("bound")
        .spawn(|request, response| {
            let reversed: Vec<u8> = request.bytes().iter().rev().copied().collect();
            Ok(response.bytes(&reversed).finish()?)
        })
        .expect("spawned")
}

/// A client that has a session.
pub(crate) fn increment_client(endpoint: &Endpoint) -> increment::Client {
    let mut client = increment::Client::new(endpoint.clone(), client_config());
    client.refresh();
    assert!(client.ready(), "{:?}", client.status());
    assert_eq!(client.status().session.map(|session| session.terms.profile), Some(SELECTED));
    client
}

/// Asks for the successor of `value`; the answer must be right.
pub(crate) fn must_increment(client: &mut increment::Client, value: u64) {
    let answer = client.call(|request| request.value(value).finish()).expect("an answer");
    assert_eq!(answer.value(), value.wrapping_add(1));
}

/// Returns once `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never came: {what}");
        std::thread::yield_now();
    }
}

/// Runs `step`, which returns how long what it is about took, until that is no longer than `limit`:
/// the promise is about this code, not about what else the machine does.
#[track_caller]
pub(crate) fn within(limit: Duration, tries: usize, mut step: impl FnMut() -> Duration) {
    let mut best = Duration::MAX;
    for _ in 0..tries {
        best = best.min(step());
        if best <= limit {
            return;
        }
    }
    panic!("took {best:?} at best, instead of {limit:?}, in {tries} tries");
}

/// Waits out a time in which nothing is to happen.
pub(crate) fn quiet(time: Duration) {
    let (_say, hear) = channel::<()>();
    assert_eq!(hear.recv_timeout(time), Err(RecvTimeoutError::Timeout));
}

/// `base` rounds, times what the environment asks for.
pub(crate) fn rounds(base: usize) -> usize {
    let times = std::env::var(ROUNDS_ENV).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    base.saturating_mul(times)
}

/// This test binary, to run the one test `test`, given with its modules as `module_path!` has them,
/// which knows that it is the child.
pub(crate) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    // The binary's own name is none of the test's.
    let (_binary, name) = test.split_once("::").expect("a test in a module");
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(CHILD_ENV, test);
    command
}

pub(crate) fn is_child(test: &str) -> bool {
    std::env::var(CHILD_ENV).as_deref() == Ok(test)
}

/// Runs `body` in a process of its own, for what a process has only one of.
pub(crate) fn in_child(test: &str, body: impl FnOnce()) {
    if is_child(test) {
        return body();
    }
    let output = child(test).output().expect("the child ran");
    let said = String::from_utf8_lossy(&output.stdout);
    // A name that matches no test runs none and succeeds.
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    print!("{said}");
}

/// [`in_child`] while no other test of this binary runs: for what needs all CPUs.
pub(crate) fn alone_in_child(test: &str, body: impl FnOnce()) {
    if is_child(test) {
        return body();
    }
    let _alone = alone();
    in_child(test, body);
}

/// A child process, killed at the latest with its owner.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().expect("a child"))
    }

    /// SIGKILL, and no trace of the process is left after.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Says one line to the parent, and stays until that kills this process or closes its pipe.
pub(crate) fn tell_parent_and_stay(line: &str) {
    println!("\n{line}");
    std::io::stdout().flush().expect("said");
    let mut end = String::new();
    std::io::stdin().read_line(&mut end).expect("the end");
}

/// One end of a connection, for packets of the test's own making.
pub(crate) struct Raw(OwnedFd);

impl Raw {
    pub(crate) fn connect(endpoint: &Endpoint) -> Self {
        let family = AddressFamily::UNIX;
        let socket = socket_with(family, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let socket = socket.expect("a socket");
        let address = SocketAddrUnix::new(endpoint.socket_path()).expect("a short path");
        connect(&socket, &address).expect("connected");
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).expect("set");
        Self(socket)
    }

    /// A connection whose handshake has been answered OK.
    pub(crate) fn session(endpoint: &Endpoint) -> Self {
        let raw = Self::connect(endpoint);
        assert_eq!(raw.send(&hello(TOKEN)), Ok(()));
        let answer = raw.receive().expect("an answer to HELLO");
        assert_eq!((answer.len(), status(&answer)), (80, 0));
        raw
    }

    pub(crate) fn send(&self, packet: &[u8]) -> Result<(), rustix::io::Errno> {
        send(&self.0, packet, SendFlags::NOSIGNAL).map(drop)
    }

    /// Sends a packet if there is room for it.
    pub(crate) fn try_send(&self, packet: &[u8]) -> bool {
        match send(&self.0, packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) => true,
            Err(rustix::io::Errno::AGAIN) => false,
            Err(error) => panic!("the peer is gone: {error}"),
        }
    }

    /// The next packet; `None` once the peer has closed.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 1 << 18];
        match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => None,
            Ok((len, _)) => {
                buffer.truncate(len);
                Some(buffer)
            }
            Err(error) => panic!("the peer neither answers nor closes: {error}"),
        }
    }
}

/// HELLO as spec section 4 has it, byte by byte: requests of 64 KiB, 1,024 items, packets of 4 KiB.
pub(crate) fn hello(token: u64) -> Vec<u8> {
    let mut message = header(3, 1, 44, 1, 0);
    message.extend(1_u16.to_ne_bytes());
    message.extend(0_u16.to_ne_bytes());
    for field in [1_u32, 1, 65_536, 1024, 65_536, 1024, 0] {
        message.extend(field.to_ne_bytes());
    }
    message.extend(token.to_ne_bytes());
    message.extend(4096_u32.to_ne_bytes());
    message
}

/// A message header as spec section 1 has it: no flags, status OK.
pub(crate) fn header(kind: u16, code: u16, payload_len: u32, items: u32, id: u64) -> Vec<u8> {
    let mut message = 0x4e49_5043_u32.to_ne_bytes().to_vec();
    for field in [1, HEADER_BYTES as u16, kind, 0, code, 0] {
        message.extend(field.to_ne_bytes());
    }
    message.extend(payload_len.to_ne_bytes());
    message.extend(items.to_ne_bytes());
    message.extend(id.to_ne_bytes());
    message
}

/// A request that is one whole packet.
pub(crate) fn request(method: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = header(1, method, payload.len() as u32, 1, 7);
    message.extend(payload);
    message
}

/// The transport status of a message.
pub(crate) fn status(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[14], message[15]])
}
