//! Peers that are killed in the midst of a call, on every system alike: whoever is left is told at once, keeps
//! nothing, and goes on with the next. (What a death leaves in /proc and in files is in `acceptance/`.)

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use netipc::client::{CallError, CallErrorKind, ClientConfig};
use netipc::server::{RunningServer, ServerConfig};
use netipc::{Endpoint, Profile, Profiles};
use netipc_services::increment;
use tempfile::TempDir;

const TOKEN: u64 = 0x1234_5678_9abc_def0;
/// Names the test whose body a child process runs, and where it meets its parent.
const CHILD_ENV: &str = "NETIPC_TEST_CHILD";
const DIR_ENV: &str = "NETIPC_TEST_DIR";
const OFFERED_ENV: &str = "NETIPC_TEST_OFFERED";
/// What a child says, each on a line of its own: its parent waits for that.
const SERVES: &str = "serves";
const ASKED: &str = "asked";
/// Its handler waits for ever.
const NEVER_ANSWERED: u64 = u64::MAX;
/// How soon a death is noticed, were the machine doing nothing else: ten times what is promised, and far
/// below the timeout of a call, which is what would end it otherwise.
const NOTICED: Duration = Duration::from_secs(1);
/// Long enough that running into it is a failure, not a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What both offer; where a system has not all of it, what is left is as good.
const OFFERS: [Profiles; 3] = [
    Profiles::BASELINE,
    Profiles(Profiles::BASELINE.0 | Profiles::SHM_HYBRID.0),
    Profiles(Profiles::BASELINE.0 | Profiles::SHM_BUSYWAIT.0),
];

fn server_config(offered: Profiles) -> ServerConfig {
    ServerConfig {
        auth_token: TOKEN,
        supported_profiles: offered,
        preferred_profiles: offered,
        ..ServerConfig::default()
    }
}

fn client(endpoint: &Endpoint, offered: Profiles) -> increment::Client {
    let config = ClientConfig {
        auth_token: TOKEN,
        supported_profiles: offered,
        preferred_profiles: offered,
        ..ClientConfig::default()
    };
    increment::Client::new(endpoint.clone(), config)
}

fn profile(client: &increment::Client) -> Profile {
    client.status().session.expect("a session").terms.profile
}

fn must_increment(client: &mut increment::Client, value: u64) {
    let answer = client.call(|request| request.value(value).finish()).expect("an answer");
    assert_eq!(answer.value(), value + 1);
}

/// Serves; says what it was asked that it never answers.
fn serve(
    endpoint: &Endpoint,
    offered: Profiles,
    asked: impl Fn() + Send + Sync + 'static,
) -> RunningServer {
    let server = increment::Server::bind(endpoint, server_config(offered)).expect("bound");
    let running = server.spawn(move |request, response| {
        if request.value() == NEVER_ANSWERED {
            asked();
        }
        Ok(response.value(request.value().wrapping_add(1)).finish()?)
    });
    running.expect("spawned")
}

/// A process that runs the body of a test as its child. Killed when dropped.
struct Peer {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Peer {
    fn start(test: &str, dir: &TempDir, offered: Profiles) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
        command.env(CHILD_ENV, test).env(DIR_ENV, dir.path());
        command.env(OFFERED_ENV, offered.0.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let says = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, says }
    }

    fn must_say(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim_end() != word {
            line.clear();
            assert_ne!(self.says.read_line(&mut line).expect("readable"), 0, "it died first");
        }
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("dead");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.child.kill();
        let _dead = self.child.wait();
    }
}

/// In a child that runs this test's body: the endpoint, and what to offer.
fn in_child(test: &str) -> Option<(Endpoint, Profiles)> {
    if std::env::var(CHILD_ENV).as_deref() != Ok(test) {
        return None;
    }
    let dir = PathBuf::from(std::env::var_os(DIR_ENV).expect("the parent says"));
    let offered = std::env::var(OFFERED_ENV).expect("the parent says").parse().expect("a number");
    Some((Endpoint::new(dir, increment::SERVICE).expect("a good name"), Profiles(offered)))
}

/// The line begins anew: the test's own name is in front otherwise.
fn say(word: &str) {
    println!("\n{word}");
}

/// Waits for its end, which the parent brings.
fn stay() {
    let _never = std::io::stdin().lines().next();
    loop {
        thread::park();
    }
}

#[test]
fn a_client_whose_server_is_killed_in_a_call_is_told_at_once_and_finds_the_next() {
    const TEST: &str =
        "a_client_whose_server_is_killed_in_a_call_is_told_at_once_and_finds_the_next";
    if let Some((endpoint, offered)) = in_child(TEST) {
        let _running = serve(&endpoint, offered, || {
            say(ASKED);
            loop {
                thread::park();
            }
        });
        say(SERVES);
        return stay();
    }
    for offered in OFFERS {
        let dir = tempfile::tempdir().expect("a directory");
        let endpoint = Endpoint::new(dir.path(), increment::SERVICE).expect("a good name");
        let mut client = client(&endpoint, offered);
        let mut server = Peer::start(TEST, &dir, offered);
        server.must_say(SERVES);
        let mut profiles = Vec::new();
        for value in 1..3 {
            client.refresh();
            assert!(client.ready(), "{:?}", client.status());
            profiles.push(profile(&client));
            must_increment(&mut client, value);
            let error = thread::scope(|scope| {
                let calling = scope.spawn(|| lost_call(&mut client));
                server.must_say(ASKED);
                let killed = Instant::now();
                server.kill();
                let (error, told) = calling.join().expect("no panic");
                assert!(told - killed < NOTICED, "after {:?}", told - killed);
                error
            });
            assert_eq!(error.kind(), CallErrorKind::Lost, "{error}");
            client.refresh();
            assert!(!client.ready(), "nobody serves");
            server = Peer::start(TEST, &dir, offered);
            server.must_say(SERVES);
        }
        client.refresh();
        must_increment(&mut client, 3);
        println!("offering {offered}: {profiles:?}");
        assert!(profiles.iter().all(|profile| offered.0 & profile.bit() != 0));
    }
}

/// A call that nobody will answer: what came of it, and when.
fn lost_call(client: &mut increment::Client) -> (CallError, Instant) {
    let answer = client.call(|request| request.value(NEVER_ANSWERED).finish());
    let error = answer.map(|answer| answer.value()).expect_err("nobody answers that");
    (error, Instant::now())
}

#[test]
fn a_server_whose_client_is_killed_in_a_call_keeps_nothing_of_it() {
    const TEST: &str = "a_server_whose_client_is_killed_in_a_call_keeps_nothing_of_it";
    if let Some((endpoint, offered)) = in_child(TEST) {
        let mut client = client(&endpoint, offered);
        client.refresh();
        must_increment(&mut client, 1);
        let _error = lost_call(&mut client);
        return;
    }
    for offered in OFFERS {
        let dir = tempfile::tempdir().expect("a directory");
        let endpoint = Endpoint::new(dir.path(), increment::SERVICE).expect("a good name");
        let (asked, is_asked) = channel();
        let (go, may_go) = channel();
        let may_go: Mutex<Receiver<()>> = Mutex::new(may_go);
        let running = serve(&endpoint, offered, move || {
            asked.send(()).expect("heard");
            // Its client is dead by then: the answer is for nobody.
            may_go.lock().expect("one at a time").recv().expect("told");
        });
        for deaths in 1..3 {
            let peer = Peer::start(TEST, &dir, offered);
            is_asked.recv_timeout(PATIENCE).expect("asked");
            peer.kill();
            go.send(()).expect("heard");
            let mut next = client(&endpoint, offered);
            next.refresh();
            must_increment(&mut next, deaths);
            drop(next);
        }
        running.stop().expect("stopped");
        let status = running.status();
        assert_eq!((status.sessions, status.handshakes.sessions), (0, 4), "{status:?}");
    }
}
