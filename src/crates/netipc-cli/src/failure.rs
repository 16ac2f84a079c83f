//! What a subcommand fails with, and how that is shown: on standard error, in one line that names
//! the fix, or as diagnostics where a schema is wrong. Colours are left out by `anstream` where
//! nobody would see them: away from a terminal, and under `NO_COLOR`.

use std::io;
use std::process::ExitCode;

use netipc_schema::driver::DriverError;
use thiserror::Error;

/// Why a subcommand did not do what it was asked. Texts are one line each, and name the fix.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The schema compiler refuses.
    #[error(transparent)]
    Schema(#[from] DriverError),
    /// What was found cannot be printed.
    #[error("cannot write to standard output: {0}; give it a file or pipe that has room")]
    Output(#[from] io::Error),
    /// All is said already, on standard output, in the form that was asked for.
    #[error("said on standard output")]
    Said,
    /// It was tried, and did not work.
    #[error("{0}")]
    Failed(String),
    /// What was asked for cannot be.
    #[error("{0}")]
    Usage(String),
    /// Nobody serves what was asked for.
    #[error("{0}")]
    NoProvider(String),
    /// Somebody serves it, and gives no session.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// Shows it, and answers the process's exit status.
    pub(crate) fn exit(self) -> ExitCode {
        match &self {
            // A reader that has seen enough, such as `head`, is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Schema(DriverError::Schema(mistakes)) => {
                anstream::eprintln!("{}netipc: {mistakes}", mistakes.render_coloured());
            }
            Self::Said => {}
            _ => anstream::eprintln!("netipc: {self}"),
        }
        self.code()
    }

    /// As `EXIT_STATUS` has them.
    fn code(&self) -> ExitCode {
        match self {
            Self::Schema(_) | Self::Output(_) | Self::Said | Self::Failed(_) => ExitCode::FAILURE,
            Self::Usage(_) => ExitCode::from(2),
            Self::NoProvider(_) => ExitCode::from(3),
            Self::Refused(_) => ExitCode::from(4),
        }
    }
}
