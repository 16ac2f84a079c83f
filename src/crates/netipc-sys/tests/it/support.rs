//! Endpoints in directories of their own, bare sockets for peers of another making, children.

use std::io::IoSlice;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use netipc_sys::{
    Abort, Accepted, BindOptions, Deadline, Listener, PacketChannel, SendError, connect,
};

#[cfg(target_os = "linux")]
#[path = "support_linux.rs"]
mod system;
#[cfg(windows)]
#[path = "support_windows.rs"]
mod system;

pub(crate) use system::*;

/// Long enough that running into it is a failure, not a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(if cfg!(windows) { 60 } else { 20 });
/// How late a deadline, an abort or a peer's death may be noticed.
pub(crate) const LATENESS: Duration =
    // Under Wine no time is promised (docs/platform/windows.md): only that it ends.
    Duration::from_millis(if cfg!(windows) { 1_000 } else { 50 });
/// Set in a child that runs one test's body by itself.
const CHILD_ENV: &str = "NETIPC_SYS_TEST_CHILD";
/// Multiplies the rounds of the race tests.
const ROUNDS_ENV: &str = "NETIPC_TEST_ROUNDS";

pub(crate) fn long() -> Deadline {
    Deadline::after(LONG)
}

pub(crate) fn abort() -> Abort {
    Abort::new().expect("an abort handle")
}

pub(crate) fn bind(path: &Path) -> Listener {
    Listener::bind(path, &BindOptions::default()).expect("bound")
}

pub(crate) fn accept(listener: &Listener) -> PacketChannel {
    match listener.accept(long(), &abort()).expect("a client") {
        Accepted::Channel(channel) => channel,
        Accepted::Overflow(_) => panic!("there are descriptors enough"),
    }
}

/// A client's end and the server's end of one connection.
pub(crate) fn pair() -> (PacketChannel, PacketChannel) {
    let place = Place::new();
    let listener = bind(&place.socket());
    let client = connect(&place.socket(), long(), &abort()).expect("connected");
    (client, accept(&listener))
}

pub(crate) fn send(channel: &PacketChannel, bytes: &[u8]) -> Result<(), SendError> {
    channel.send(&[IoSlice::new(bytes)], long(), &abort())
}

pub(crate) fn recv(channel: &PacketChannel) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 20];
    let len = channel.recv(&mut buffer, long(), &abort()).expect("a packet");
    buffer.truncate(len);
    buffer
}

/// How often what takes its time may be tried.
const TRIES: usize = 10;

/// Runs `step`, which returns how long what it is about took, again and again until that is no longer than
/// `limit`: the promise is about this code, not about what else the machine does.
#[track_caller]
pub(crate) fn within(limit: Duration, mut step: impl FnMut() -> Duration) {
    let took: Vec<Duration> = (0..TRIES).map(|_| step()).take_while(|took| *took > limit).collect();
    assert!(took.len() < TRIES, "took {took:?} instead of at most {limit:?}");
}

#[cfg(target_os = "linux")]
/// Runs `body` in a process of its own, for what a process has only one of (limits, umask,
/// signals). `test` is the calling test's own path.
pub(crate) fn in_child(test: &str, body: impl FnOnce()) {
    if std::env::var(CHILD_ENV).as_deref() == Ok(test) {
        return body();
    }
    let output = child(test).output().expect("the child ran");
    let said = String::from_utf8_lossy(&output.stdout);
    // A name that matches no test runs none and succeeds.
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {said}", output.status);
}

/// This test binary, running the one test `test`, which knows that it is the child.
pub(crate) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD_ENV, test);
    command
}

pub(crate) fn is_child(test: &str) -> bool {
    std::env::var(CHILD_ENV).as_deref() == Ok(test)
}

/// `base` rounds, times what the environment asks for.
pub(crate) fn rounds(base: usize) -> usize {
    let times = std::env::var(ROUNDS_ENV).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    base.saturating_mul(times)
}

/// The byte `index` of message `number`: no two messages are alike, nor two places of one.
pub(crate) fn byte_of(number: u64, index: usize) -> u8 {
    let mixed = (number ^ (index as u64).rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_be_bytes()[0]
}

/// Message `number`, of `len` bytes.
pub(crate) fn message(number: u64, len: usize) -> Vec<u8> {
    (0..len).map(|index| byte_of(number, index)).collect()
}
