//! What subcommands that meet a provider have in common.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use netipc::client::{ClientConfig, DEFAULT_CALL_TIMEOUT};
use netipc::{Endpoint, Profiles};

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

/// How messages may move between a provider and its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// The socket alone.
    Socket,
    /// Shared memory with those who can, the socket with others.
    Shm,
}

impl Transport {
    /// The profiles that are offered, the best of which both sides have is used.
    pub(crate) fn profiles(self) -> Profiles {
        match self {
            Self::Socket => Profiles::BASELINE,
            Self::Shm => Profiles::BASELINE | Profiles::SHM_HYBRID,
        }
    }
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
    /// How messages may move, if the provider can do it, too.
    #[arg(long, value_enum, default_value = "socket")]
    transport: Transport,
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

    /// What a client offers.
    pub(crate) fn profiles(&self) -> Profiles {
        self.transport.profiles()
    }

    /// The endpoint of a service, and how to be its client.
    pub(crate) fn client(&self, service: &str) -> Result<(Endpoint, ClientConfig), Failure> {
        let config = ClientConfig {
            auth_token: self.meeting.token()?,
            call_timeout_ms: self.timeout_ms,
            supported_profiles: self.profiles(),
            preferred_profiles: self.profiles(),
            ..ClientConfig::default()
        };
        Ok((self.meeting.endpoint(service)?, config))
    }
}

/// The endpoint of a service of our own, whose name is a good one: only the directory can be wrong.
pub(crate) fn endpoint(run_dir: &Path, service: &str) -> Result<Endpoint, Failure> {
    Endpoint::new(run_dir, service).map_err(|error| Failure::Usage(format!("--run-dir: {error}")))
}
