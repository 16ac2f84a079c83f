//! What subcommands that meet a provider have in common.

use std::path::{Path, PathBuf};

use clap::Args;
use netipc::Endpoint;
use netipc::client::{ClientConfig, DEFAULT_CALL_TIMEOUT};

use crate::failure::Failure;
use crate::token::TokenSource;

/// Where providers and clients meet, and what both must know.
#[derive(Debug, Args)]
pub(crate) struct Meeting {
    /// The directory of the sockets.
    #[arg(long, value_name = "DIR", env = "NETIPC_RUN_DIR", default_value = "/run/netipc")]
    run_dir: PathBuf,
    #[command(flatten)]
    token: TokenSource,
}

/// How a provider is asked.
#[derive(Debug, Args)]
pub(crate) struct Asking {
    #[command(flatten)]
    meeting: Meeting,
    /// How long to wait for a session, and then for each call, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = DEFAULT_TIMEOUT_MS)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
}

const DEFAULT_TIMEOUT_MS: u64 = DEFAULT_CALL_TIMEOUT.as_secs() * 1000;

impl Meeting {
    pub(crate) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    pub(crate) fn token(&self) -> Result<u64, Failure> {
        self.token.token()
    }

    pub(crate) fn endpoint(&self, service: &str) -> Result<Endpoint, Failure> {
        endpoint(&self.run_dir, service)
    }
}

impl Asking {
    pub(crate) const fn meeting(&self) -> &Meeting {
        &self.meeting
    }

    pub(crate) const fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    /// The endpoint of a service, and how to be its client.
    pub(crate) fn client(&self, service: &str) -> Result<(Endpoint, ClientConfig), Failure> {
        let config = ClientConfig {
            auth_token: self.meeting.token()?,
            call_timeout_ms: self.timeout_ms,
            ..ClientConfig::default()
        };
        Ok((self.meeting.endpoint(service)?, config))
    }
}

/// The endpoint of a service of our own, whose name is a good one: only the directory can be wrong.
pub(crate) fn endpoint(run_dir: &Path, service: &str) -> Result<Endpoint, Failure> {
    Endpoint::new(run_dir, service).map_err(|error| Failure::Usage(format!("--run-dir: {error}")))
}
