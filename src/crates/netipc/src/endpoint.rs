//! The name under which a service is found: a run directory and a service (spec section 5).
//!
//! A name is checked when the endpoint is made, and never altered: whatever can be wrong with it is
//! found before anything is opened. Nothing is created here; nothing but [`Endpoint::inspect`] looks at what a
//! name stands for, and nothing but [`Endpoint::list`] at which names there are.

use std::fmt;
use std::path::{Path, PathBuf};

use netipc_proto::names::{self, NameError, ObjectKind, ServiceName, WindowsSession};
use netipc_sys::{
    EndpointState as Found, EntryKind, FAMILY, Family, InspectError, ListError,
    MAX_SOCKET_PATH_BYTES, ObjectNames, PeerIdentity, RegionName, SysError, inspect_endpoint,
    list_names, path_from_bytes,
};

use crate::Profile;

/// Where a service is, or will be, served. Cheap to compare, to clone and to keep.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    run_dir: PathBuf,
    service: ServiceName,
    socket_path: PathBuf,
}

impl Endpoint {
    /// The endpoint of `service` in `run_dir`, which need not exist yet. `run_dir` is taken byte
    /// for byte as given (spec section 5).
    ///
    /// # Errors
    /// The caller's fault, each saying what to do: a service name that is empty, `.` or `..`, or
    /// has a character other than `A-Z a-z 0-9 . _ -`; a run directory with a NUL byte; a socket
    /// path above 107 bytes.
    pub fn new(run_dir: impl AsRef<Path>, service: &str) -> Result<Self, NameError> {
        let run_dir = run_dir.as_ref();
        let service = ServiceName::new(service)?;
        let run_dir_bytes = run_dir.as_os_str().as_encoded_bytes();
        let socket_path = match FAMILY {
            Family::Linux | Family::Unix => {
                path_from_bytes(names::socket_path(run_dir_bytes, &service, MAX_SOCKET_PATH_BYTES)?)
            }
            Family::Windows => PathBuf::from(names::pipe_name(run_dir_bytes, &service)?),
        };
        Ok(Self { run_dir: run_dir.to_path_buf(), service, socket_path })
    }

    /// The names of services that seem to be served in `run_dir`, sorted: what stands there under the name of
    /// an endpoint, alive or not, whatever it is. So not each of them need be a name that a service may have.
    ///
    /// # Errors
    /// The system refused to list, or lists no pipes: nothing is known then.
    pub fn list(run_dir: impl AsRef<Path>) -> Result<Vec<Vec<u8>>, ListError> {
        let run_dir = run_dir.as_ref();
        let entries = list_names(run_dir)?;
        let service = |entry: &Vec<u8>| {
            let service = match FAMILY {
                Family::Linux | Family::Unix => names::service_of_socket(entry),
                Family::Windows => {
                    names::service_of_pipe(run_dir.as_os_str().as_encoded_bytes(), entry)
                }
            };
            service.map(<[u8]>::to_vec)
        };
        let mut services: Vec<_> = entries.iter().filter_map(service).collect();
        services.sort_unstable();
        // A pipe is listed once for each of its instances.
        services.dedup();
        Ok(services)
    }

    /// The run directory, as given.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// The name of the service.
    #[must_use]
    pub fn service(&self) -> &str {
        self.service.as_str()
    }

    /// The path of its socket, `{run_dir}/{service}.sock`, or of its pipe, in whose name run_dir is a
    /// number.
    #[must_use]
    pub fn socket_path(&self) -> &Path {
        &self.socket_path
    }

    /// Where a session's region is: a file `{run_dir}/{service}-{session_id:016x}.ipcshm`, or kernel
    /// objects.
    pub(crate) fn region_name(
        &self,
        auth_token: u64,
        profile: Profile,
        session_id: u64,
    ) -> Result<RegionName, NameError> {
        let run_dir = self.run_dir.as_os_str().as_encoded_bytes();
        if FAMILY != Family::Windows {
            let path = names::region_path(run_dir, &self.service, session_id)?;
            return Ok(RegionName::File(path_from_bytes(path)));
        }
        let service = &self.service;
        let session = WindowsSession { run_dir, service, auth_token, profile, session_id };
        let events = if profile == Profile::SHM_HYBRID {
            Some([
                session.object_name(ObjectKind::RequestEvent)?,
                session.object_name(ObjectKind::ResponseEvent)?,
            ])
        } else {
            None
        };
        let mapping = session.object_name(ObjectKind::Mapping)?;
        Ok(RegionName::Objects(ObjectNames { profile: profile.bit(), mapping, events }))
    }

    /// Whether a file of the run directory has the name of one of this service's regions.
    pub(crate) fn is_region(&self, file_name: &[u8]) -> bool {
        names::region_session_id(&self.service, file_name).is_some()
    }

    /// Looks at what stands at the socket's path, as a server does before it takes the name, and
    /// changes nothing. No session is asked for: a live server counts a client that left.
    ///
    /// Takes 150 ms when the socket is stale; otherwise does not wait.
    ///
    /// # Errors
    /// The system refused to look: nothing is known then.
    pub fn inspect(&self) -> Result<EndpointState, SysError> {
        Ok(match inspect_endpoint(&self.socket_path) {
            Ok(Found::Absent) => EndpointState::Absent,
            Ok(Found::Live(channel)) => EndpointState::Live { server: Some(channel.peer()?) },
            Ok(Found::LiveBusy) => EndpointState::Live { server: None },
            Ok(Found::Stale) => EndpointState::Stale,
            Ok(Found::Foreign(kind)) => EndpointState::Foreign(kind),
            Ok(Found::Denied) => EndpointState::Denied,
            Err(InspectError::Os(error)) => return Err(error),
            // The path was checked when the endpoint was made.
            Err(InspectError::Path(_)) => EndpointState::Absent,
        })
    }
}

/// What stands at an endpoint's name, as [`Endpoint::inspect`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// Nothing.
    Absent,
    /// A server that listens.
    Live {
        /// Whose it is; `None` when its backlog is full, so that nobody could be asked.
        server: Option<PeerIdentity>,
    },
    /// A socket on which nobody listens: its server died.
    Stale,
    /// Something that is not an endpoint.
    Foreign(EntryKind),
    /// A socket that this user may not connect to.
    Denied,
}

/// The path of the socket, for messages and logs.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_path.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_joined_as_given() {
        let endpoint = Endpoint::new("/run//x/", "a.b_c-9").expect("a good name");
        let name = match FAMILY {
            // The number is that of the bytes as given.
            Family::Windows => r"\\.\pipe\netipc-3e99eceeccae5038-a.b_c-9",
            _ => "/run//x//a.b_c-9.sock",
        };
        assert_eq!(endpoint.socket_path().as_os_str(), name);
        assert_eq!(endpoint.run_dir().as_os_str(), "/run//x/");
        assert_eq!(endpoint.service(), "a.b_c-9");
        assert_eq!(endpoint.to_string(), name);
    }

    #[test]
    fn a_bad_name_fails_here_and_says_why() {
        for (service, said) in [
            ("", "empty"),
            (".", "may not be"),
            ("..", "may not be"),
            ("a/b", "'/' at byte 1"),
            ("a b", "' ' at byte 1"),
            ("ä", "'ä' at byte 0"),
        ] {
            let error = Endpoint::new("/run", service).expect_err(service);
            assert!(error.to_string().contains(said), "{service}: {error}");
        }
        let error = Endpoint::new("/run\0", "s").expect_err("a NUL");
        assert_eq!(error, NameError::NulInRunDir { at: 4 });
    }

    #[test]
    fn a_path_that_no_socket_can_have_fails_here() {
        let rest = match FAMILY {
            Family::Windows => r"\\.\pipe\netipc-0123456789abcdef-",
            _ => "/run/.sock",
        };
        let fits = "s".repeat(MAX_SOCKET_PATH_BYTES - rest.len());
        assert!(Endpoint::new("/run", &fits).is_ok());
        let error = Endpoint::new("/run", &format!("{fits}s")).expect_err("one too long");
        assert!(error.to_string().contains("shorter"), "{error}");
    }
}
