//! What the tests of clients and caches share: scripted servers, and services by hand.
#![allow(dead_code, unreachable_pub)]

#[path = "../support/region_name.rs"]
mod region_name;
pub mod scripted;
pub mod services;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use netipc::client::{CallClient, ClientConfig, Environment};
use netipc::service::Call;
use netipc::{Endpoint, Profile, Profiles};
use tempfile::TempDir;

thread_local! {
    /// What clients of this test offer now.
    static OFFERED: Cell<Profiles> = const { Cell::new(Profiles::BASELINE) };
}

/// Runs a test whose clients are made with [`offering`] over each transport: scripted servers grant
/// what is offered.
pub fn over_each(test: impl Fn()) {
    for offered in [Profiles::BASELINE, Profiles::BASELINE | Profiles::SHM_HYBRID] {
        println!("offering {offered}");
        OFFERED.set(offered);
        test();
    }
    OFFERED.set(Profiles::BASELINE);
}

/// A configuration that offers the transport that the test is about.
pub fn offering(config: ClientConfig) -> ClientConfig {
    ClientConfig { supported_profiles: OFFERED.get(), ..config }
}

/// What a session must have.
pub fn selected() -> Option<Profile> {
    OFFERED.get().highest()
}

/// How late a deadline may be noticed. Under Wine no time is promised (docs/platform/windows.md): only that it ends.
pub const LATENESS: Duration = Duration::from_millis(if cfg!(windows) { 1_000 } else { 50 });

/// A run directory of its own, removed when dropped.
pub struct Place {
    directory: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory") }
    }

    pub fn endpoint(&self, service: &str) -> Endpoint {
        Endpoint::new(self.directory.path(), service).expect("a good name")
    }
}

/// A clock that only tests move, and chance that is none.
#[derive(Clone, Default)]
pub struct TestClock {
    now_ms: Arc<AtomicU64>,
    random: u64,
}

impl TestClock {
    pub fn with_random(random: u64) -> Self {
        Self { random, ..Self::default() }
    }

    pub fn advance_ms(&self, by_ms: u64) {
        self.now_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    pub fn boxed(&self) -> Box<dyn Environment> {
        Box::new(self.clone())
    }
}

impl Environment for TestClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn random(&mut self) -> u64 {
        self.random
    }
}

/// How often what takes its time may be tried.
const TRIES: usize = 10;

/// Runs `step`, which returns how long what it is about took, again and again until that is no longer than
/// `limit`: the promise is about this code, not about what else the machine does.
#[track_caller]
pub fn within(limit: Duration, mut step: impl FnMut() -> Duration) {
    let took: Vec<Duration> = (0..TRIES).map(|_| step()).take_while(|took| *took > limit).collect();
    assert!(took.len() < TRIES, "took {took:?} instead of at most {limit:?}");
}

/// Has a session with a server that gives one. Where calls have a short timeout, so have handshakes, and one may take
/// a busy machine longer.
#[track_caller]
pub fn make_ready<S: Call>(client: &mut CallClient<S>) {
    let is_ready = |_| {
        client.refresh();
        client.ready()
    };
    assert!((0..TRIES).any(is_ready), "{:?}", client.status());
}

/// What `work` answers, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
