//! What the tests of clients and caches share: scripted servers, and services by hand.
#![allow(dead_code, unreachable_pub)]

pub mod scripted;
pub mod services;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use netipc::Endpoint;
use netipc::client::Environment;
use tempfile::TempDir;

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

/// What `work` answers, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
