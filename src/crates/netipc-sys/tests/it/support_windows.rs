//! Names of pipes that nobody else has.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A name with room for one endpoint.
pub(crate) struct Place {
    name: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos());
        Self { name: format!("netipc-test-{}-{since:x}-{number}", std::process::id()) }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        pipe(&self.name)
    }

    /// What a child needs to know to meet its parent.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

pub(crate) fn pipe(name: &str) -> PathBuf {
    format!(r"\\.\pipe\{name}").into()
}

/// Runs `work` in another thread, and returns once that is about to sleep, or does: there is no telling
/// here.
pub(crate) fn asleep_in<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    const ABOUT: Duration = Duration::from_millis(20);
    let (say, hear) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        say.send(()).expect("heard");
        work()
    });
    hear.recv().expect("it runs");
    // Whether it sleeps yet makes no difference to what is promised: both cases are tested, by chance.
    let _ = hear.recv_timeout(ABOUT);
    thread
}
