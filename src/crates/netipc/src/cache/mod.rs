//! Level 3: everything that a provider knows, kept here, read without waiting.
//!
//! ```text
//!   Cache::refresh ──▶ SnapshotClient ──▶ Contents (payload + index), new and whole
//!                                            │ swapped in, atomically
//!   Reader::load   ◀── any thread ◀──────────┘   what was loaded stays while it is held
//! ```
//!
//! The caller says when to refresh. Whatever a refresh meets, a provider that is gone or one that
//! sends a malformed snapshot, what the cache had before is kept, and its status says how old that
//! is. What it does **not** do: it starts no thread, refreshes nothing by itself, merges nothing:
//! a snapshot replaces the one before it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use netipc::{Endpoint, client::ClientConfig, server::ServerConfig};
//! use netipc_services::cgroups_snapshot::{Cache, SERVICE, Server};
//! # let directory = tempfile::tempdir()?;
//! # let run_dir = directory.path();
//!
//! let endpoint = Endpoint::new(run_dir, SERVICE)?;
//! let mut cache = Cache::new(endpoint.clone(), ClientConfig::default());
//! assert!(cache.refresh().is_err(), "there is no provider yet");
//! assert!(cache.load().get(7, "web").is_none());
//!
//! let server = Server::bind(&endpoint, ServerConfig::default())?;
//! let running = server.spawn(|_, response| {
//!     response.generation(1);
//!     response.item().hash(7).name("web").path("/web").enabled(1).finish()?;
//!     Ok(())
//! })?;
//! cache.refresh()?;
//! let reader = cache.reader();
//! std::thread::spawn(move || {
//!     let held = reader.load();
//!     assert_eq!(held.get(7, "web").map(|item| item.path()), Some("/web".into()));
//! })
//! .join()
//! .expect("no panic");
//!
//! running.stop()?;
//! assert!(cache.refresh().is_err());
//! assert_eq!(cache.load().len(), 1, "what it had is kept");
//! assert_eq!(cache.status().failures, 2);
//! # Ok(())
//! # }
//! ```

mod contents;
mod index;
mod status;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};

use crate::client::{CallError, ClientConfig, Environment, SnapshotClient};
use crate::service::Snapshot;
use crate::{Abort, Endpoint, SysError};

pub use contents::Contents;
pub use index::{Place, QuickTable, Slot};
pub use status::CacheStatus;

/// A local copy of what a provider knows, refreshed when its owner says so.
#[derive(Debug)]
pub struct Cache<S> {
    client: SnapshotClient<S>,
    reader: Reader<S>,
    refreshed_at: Option<Instant>,
    refreshes: u64,
    failures: u64,
    last_error: Option<CallError>,
}

/// Reads a [`Cache`], from any thread, while its owner refreshes it. Clones read the same one.
#[derive(Debug)]
pub struct Reader<S> {
    contents: Arc<ArcSwap<Contents<S>>>,
}

/// What a cache held at one moment: it stays as it is while held, whatever is refreshed meanwhile.
///
/// Meant to be held for a moment; to keep one, [`Held::keep`].
#[derive(Debug)]
pub struct Held<S>(Guard<Arc<Contents<S>>>);

impl<S: Snapshot> Cache<S> {
    /// An empty cache that has not connected yet: a refresh does.
    #[must_use]
    pub fn new(endpoint: Endpoint, config: ClientConfig) -> Self {
        Self::over(SnapshotClient::new(endpoint, config))
    }

    /// [`Cache::new`] with a clock and a source of chance for its back-off: for tests.
    #[must_use]
    pub fn with_environment(
        endpoint: Endpoint,
        config: ClientConfig,
        environment: Box<dyn Environment>,
    ) -> Self {
        Self::over(SnapshotClient::with_environment(endpoint, config, environment))
    }

    /// Connects if need be and if it is time to, asks for everything, and replaces what the cache
    /// holds by it. Takes at most one connection's time (5 s) and one call's.
    ///
    /// # Errors
    /// [`CallError`]; the cache holds what it held before. `NotReady` where there is no session:
    /// the client's part of the [status](Self::status) says why.
    pub fn refresh(&mut self) -> Result<(), CallError> {
        // A session that was lost since is replaced by the call, which finds out without a look.
        if !self.client.ready() {
            self.client.refresh();
        }
        let held = self.reader.load();
        let fetched = self.client.fetch_payload(self.ready().then(|| held.payload()));
        match fetched.map(|new| new.map(|(payload, response)| Contents::new(payload, &response))) {
            Ok(new) => {
                if let Some(contents) = new {
                    self.reader.contents.store(Arc::new(contents));
                }
                self.refreshed_at = Some(Instant::now());
                self.refreshes += 1;
                self.last_error = None;
                Ok(())
            }
            Err(error) => {
                self.failures += 1;
                self.last_error = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Whether the cache was ever filled: it may still hold no items.
    #[must_use]
    pub const fn ready(&self) -> bool {
        self.refreshed_at.is_some()
    }

    /// What the cache holds now. Neither waits nor allocates, but for a thread's first time.
    #[must_use]
    pub fn load(&self) -> Held<S> {
        self.reader.load()
    }

    /// For other threads, to read while this one refreshes.
    #[must_use]
    pub fn reader(&self) -> Reader<S> {
        self.reader.clone()
    }

    /// Everything that a supporter needs. Allocates.
    #[must_use]
    pub fn status(&self) -> CacheStatus {
        let contents = self.load();
        CacheStatus {
            filled: self.ready(),
            generation: contents.generation(),
            items: contents.len(),
            payload_bytes: contents.payload().len(),
            age: self.refreshed_at.map(|at| at.elapsed()),
            refreshes: self.refreshes,
            failures: self.failures,
            last_error: self.last_error.as_ref().map(ToString::to_string),
            client: self.client.status(),
        }
    }

    /// A handle that ends a refresh which waits, from any thread, and refuses later ones until it
    /// is cleared.
    ///
    /// # Errors
    /// No descriptor for it.
    pub fn abort_handle(&mut self) -> Result<Abort, SysError> {
        self.client.abort_handle()
    }

    /// Ends the session, if there is one. What the cache holds is kept; a refresh connects again.
    pub fn close(&mut self) {
        self.client.close();
    }

    fn over(client: SnapshotClient<S>) -> Self {
        let contents = Arc::new(ArcSwap::from_pointee(Contents::empty()));
        Self {
            client,
            reader: Reader { contents },
            refreshed_at: None,
            refreshes: 0,
            failures: 0,
            last_error: None,
        }
    }
}

impl<S> Reader<S> {
    /// What the cache holds now. Neither waits nor allocates, but for a thread's first time.
    #[must_use]
    pub fn load(&self) -> Held<S> {
        Held(self.contents.load())
    }
}

impl<S> Clone for Reader<S> {
    fn clone(&self) -> Self {
        Self { contents: Arc::clone(&self.contents) }
    }
}

impl<S> Held<S> {
    /// To be kept for as long as one likes, and shared.
    #[must_use]
    pub fn keep(self) -> Arc<Contents<S>> {
        Guard::into_inner(self.0)
    }
}

impl<S> Deref for Held<S> {
    type Target = Contents<S>;

    fn deref(&self) -> &Contents<S> {
        &self.0
    }
}
