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

use netipc::client::{ClientConfig, Environment};
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

/// Runs `step`, which returns how long what it is about took, up to three times until that is no
/// longer than `limit`: the promise is about this code, not about what else the machine does.
pub fn within(limit: Duration, mut step: impl FnMut() -> Duration) {
    let mut took = Duration::ZERO;
    for _ in 0..3 {
        took = step();
        if took <= limit {
            return;
        }
    }
    panic!("took {took:?} instead of at most {limit:?}, three times");
}

/// What `work` answers, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
