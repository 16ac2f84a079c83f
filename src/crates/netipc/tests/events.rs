//! What clients and servers tell as it happens: to the process's observer, and to subscribers of `tracing`. Both are
//! there once a process, so that this is one test.

use std::fmt::{self, Write};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use netipc::Endpoint;
use netipc::client::ClientConfig;
use netipc::events::{Event, observe};
use netipc::server::ServerConfig;
use netipc_services::increment;
use tracing::field::{Field, Visit};
use tracing::span;

/// For what another thread tells.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lines of a log, which many threads write.
struct Log(Mutex<Vec<String>>);

static OBSERVED: Log = Log(Mutex::new(Vec::new()));
static TRACED: Log = Log(Mutex::new(Vec::new()));

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The first line with each of these pieces, once it is there.
    fn find(&self, pieces: &[&str]) -> String {
        let started = Instant::now();
        loop {
            let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let has_all = |line: &&String| pieces.iter().all(|piece| line.contains(piece));
            if let Some(line) = lines.iter().find(has_all) {
                return line.clone();
            }
            assert!(started.elapsed() < PATIENCE, "{pieces:?} is not in {lines:#?}");
            std::thread::yield_now();
        }
    }
}

fn note(event: &Event<'_>) {
    OBSERVED.add(format!("{event:?}"));
    // What an observer does wrong is nobody else's harm: see what still happens below.
    assert_ne!(event.what, "session", "this observer cannot stand sessions");
}

fn ignore(_event: &Event<'_>) {}

/// Writes each event of `tracing` into [`TRACED`].
struct Scribe;

impl tracing::Subscriber for Scribe {
    fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        TRACED.add(line.0);
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes all");
    }
}

fn server(endpoint: &Endpoint) -> netipc::server::RunningServer {
    let server = increment::Server::bind(endpoint, ServerConfig::default()).expect("bound");
    let running = server.spawn(|request, response| match request.value() {
        1 => Err(io::Error::other("one is too few").into()),
        2 => panic!("two is a crowd"),
        value => Ok(response.value(value + 1).finish()?),
    });
    running.expect("spawned")
}

#[test]
fn what_happens_is_told_to_the_observer_and_to_tracing() {
    assert!(observe(note));
    assert!(!observe(ignore), "there is one already, and it stays");
    tracing::subscriber::set_global_default(Scribe).expect("the first");
    let run_dir = tempfile::tempdir().expect("a directory");
    let endpoint = Endpoint::new(run_dir.path(), increment::SERVICE).expect("a good name");
    let at = endpoint.to_string();
    let call = |client: &mut increment::Client, value| {
        client.call(|request| request.value(value).finish()).map(|response| response.value())
    };

    let mut client = increment::Client::new(endpoint.clone(), ClientConfig::default());
    client.refresh();
    OBSERVED.find(&["Info: netipc client of ", &at, ": no session: NotFound: "]);
    TRACED.find(&["INFO netipc::client:", "no session", &format!("endpoint={at}"), "session_id=0"]);

    let first = server(&endpoint);
    client.refresh();
    assert_eq!(call(&mut client, 3).expect("answered"), 4);
    let session = client.status().session.expect("one").id;
    OBSERVED.find(&["Debug: netipc client of ", &format!(": session {session}: ")]);
    OBSERVED.find(&["Debug: netipc server of increment: ", &format!(": session {session}: ")]);
    TRACED.find(&["DEBUG netipc::server:", "service=increment", &format!("session_id={session}")]);

    first.stop().expect("stopped");
    OBSERVED.find(&["Debug: ", &format!(": session over {session}: the server stopped")]);
    let second = server(&endpoint);
    assert_eq!(call(&mut client, 4).expect("answered by the successor"), 5);
    OBSERVED.find(&["Info: netipc client of ", &format!(": session lost {session}: ")]);
    OBSERVED.find(&["Info: netipc client of ", ": request sent again"]);

    call(&mut client, 1).expect_err("the handler fails");
    OBSERVED.find(&["Warn: netipc server of increment: handler failed ", ": one is too few"]);
    client.refresh();
    call(&mut client, 2).expect_err("the handler panics");
    OBSERVED.find(&["Error: netipc server of increment: handler panicked ", ": two is a crowd"]);
    TRACED.find(&["ERROR netipc::server:", "handler panicked", "detail=two is a crowd"]);
    second.stop().expect("stopped");
}
