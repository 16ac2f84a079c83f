//! The names under which peers find each other (spec section 5).
//!
//! Names are made and recognised here, as bytes; nothing is opened, listed or removed. Paths of
//! every platform can be made on every platform.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::profile::Profile;

/// The longest path of a Unix socket, in bytes, where `sun_path` has 108.
pub const MAX_SOCKET_PATH_LEN: usize = 107;
/// The longest path of a Unix socket, in bytes, where `sun_path` has 104: macOS and the BSDs.
pub const MAX_SOCKET_PATH_LEN_MACOS: usize = 103;
/// The longest path of a region, in bytes.
pub const MAX_REGION_PATH_LEN: usize = 255;
/// The longest name of a pipe or kernel object, in characters.
pub const MAX_WINDOWS_NAME_LEN: usize = 255;

/// Why an endpoint cannot have this name: the caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The service name is empty.
    #[error("the service name is empty")]
    Empty,
    /// The service name is `.` or `..`.
    #[error("the service name may not be \".\" or \"..\"")]
    Dots,
    /// The service name has a character that it may not have.
    #[error("the service name has {character:?} at byte {at}: only A-Z a-z 0-9 . _ - are allowed")]
    Character {
        /// The first such character.
        character: char,
        /// Where it is, in bytes from the start.
        at: usize,
    },
    /// The run directory has a NUL byte, which no path can have.
    #[error("the run directory has a NUL byte at byte {at}")]
    NulInRunDir {
        /// Where it is, in bytes from the start.
        at: usize,
    },
    /// The name is longer than the platform, or the contract, lets it be.
    #[error(
        "the name of the {thing} has {len} bytes, at most {max} are possible: use a shorter run \
         directory or service name"
    )]
    TooLong {
        /// What would have had the name.
        thing: Thing,
        /// How long it would have been.
        len: usize,
        /// How long it may be.
        max: usize,
    },
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A Unix socket.
    Socket,
    /// A POSIX shared-memory region.
    Region,
    /// A named pipe.
    Pipe,
    /// A Windows kernel object.
    KernelObject,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Region => "shared-memory region",
            Self::Pipe => "pipe",
            Self::KernelObject => "kernel object",
        })
    }
}

/// A service name that follows the rules: 1 or more of `A-Z a-z 0-9 . _ -`, neither `.` nor `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceName(String);

impl ServiceName {
    /// Takes the name as it is, or refuses it; it is never altered.
    ///
    /// # Errors
    /// `Empty`, `Dots` or `Character`.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some((at, character)) = name.char_indices().find(|&(_, c)| !allowed(c)) {
            return Err(NameError::Character { character, at });
        }
        if matches!(name, "." | "..") {
            return Err(NameError::Dots);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path of a service's socket: `{run_dir}/{service}.sock`. `max_len` is the platform's
/// ([`MAX_SOCKET_PATH_LEN`], [`MAX_SOCKET_PATH_LEN_MACOS`]).
///
/// # Errors
/// `NulInRunDir`, or `TooLong` above `max_len`.
pub fn socket_path(
    run_dir: &[u8],
    service: &ServiceName,
    max_len: usize,
) -> Result<Vec<u8>, NameError> {
    path_in(run_dir, &format!("{service}{SOCKET_SUFFIX}"), Thing::Socket, max_len)
}

/// The service of a file name that is a socket's: what is before `.sock`. Whether a service may have that
/// name is another question ([`ServiceName::new`]).
#[must_use]
pub fn service_of_socket(file_name: &[u8]) -> Option<&[u8]> {
    file_name.strip_suffix(SOCKET_SUFFIX.as_bytes())
}

/// The path of a session's POSIX region: `{run_dir}/{service}-{session_id:016x}.ipcshm`.
///
/// # Errors
/// `NulInRunDir`, or `TooLong` above [`MAX_REGION_PATH_LEN`].
pub fn region_path(
    run_dir: &[u8],
    service: &ServiceName,
    session_id: u64,
) -> Result<Vec<u8>, NameError> {
    let file_name = format!("{service}-{session_id:016x}{REGION_SUFFIX}");
    path_in(run_dir, &file_name, Thing::Region, MAX_REGION_PATH_LEN)
}

/// The session id of a file name that is one of `service`'s regions: exactly `{service}-`, 16
/// hexadecimal digits and `.ipcshm`. A server that has won its endpoint looks at those and at no
/// others when it removes what a dead one left (spec section 7).
#[must_use]
pub fn region_session_id(service: &ServiceName, file_name: &[u8]) -> Option<u64> {
    let digits = file_name
        .strip_prefix(service.0.as_bytes())?
        .strip_prefix(b"-")?
        .strip_suffix(REGION_SUFFIX.as_bytes())?;
    // The parser would take a sign for a digit.
    if digits.len() != SESSION_ID_DIGITS || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

/// The name of a service's pipe: `\\.\pipe\netipc-{H1:016x}-{service}`, with H1 the hash of
/// `run_dir`.
///
/// # Errors
/// `NulInRunDir`, or `TooLong` above [`MAX_WINDOWS_NAME_LEN`].
pub fn pipe_name(run_dir: &[u8], service: &ServiceName) -> Result<String, NameError> {
    refuse_nul(run_dir)?;
    windows_name(format!(r"\\.\pipe\{}{service}", pipe_prefix(run_dir)), Thing::Pipe)
}

/// The service of a pipe of `run_dir`, from its name without the `\\.\pipe\` in front, as pipes are listed.
#[must_use]
pub fn service_of_pipe<'a>(run_dir: &[u8], pipe: &'a [u8]) -> Option<&'a [u8]> {
    pipe.strip_prefix(pipe_prefix(run_dir).as_bytes())
}

fn pipe_prefix(run_dir: &[u8]) -> String {
    format!("netipc-{:016x}-", fnv1a64(run_dir))
}

/// The kernel objects of a shared-memory session on Windows (spec section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// The mapping of the region.
    Mapping,
    /// The event that a request is there.
    RequestEvent,
    /// The event that a response is there.
    ResponseEvent,
}

/// What the names of a Windows session's kernel objects are made from.
#[derive(Clone, Copy, derive_more::Debug)]
pub struct WindowsSession<'a> {
    /// The run directory, byte for byte as given.
    pub run_dir: &'a [u8],
    /// The service.
    pub service: &'a ServiceName,
    /// The token of the service.
    #[debug("(secret)")]
    pub auth_token: u64,
    /// The profile of the session.
    pub profile: Profile,
    /// The session.
    pub session_id: u64,
}

impl WindowsSession<'_> {
    /// The name of one of its objects:
    /// `Local\netipc-{H2:016x}-{service}-p{profile}-s{session_id:016x}-mapping` and so on, with H2
    /// the hash of run directory, service and token.
    ///
    /// # Errors
    /// `TooLong` above [`MAX_WINDOWS_NAME_LEN`].
    pub fn object_name(&self, kind: ObjectKind) -> Result<String, NameError> {
        let hash =
            [b"\n", self.service.0.as_bytes(), b"\n", format!("{}", self.auth_token).as_bytes()]
                .iter()
                .fold(fnv1a64(self.run_dir), |hash, part| fnv1a64_continue(hash, part));
        let suffix = match kind {
            ObjectKind::Mapping => "mapping",
            ObjectKind::RequestEvent => "req_event",
            ObjectKind::ResponseEvent => "resp_event",
        };
        let name = format!(
            r"Local\netipc-{hash:016x}-{}-p{}-s{:016x}-{suffix}",
            self.service,
            self.profile.bit(),
            self.session_id,
        );
        windows_name(name, Thing::KernelObject)
    }
}

/// FNV-1a, 64 bits (spec section 5).
#[must_use]
pub const fn fnv1a64(bytes: &[u8]) -> u64 {
    fnv1a64_continue(FNV_BASIS, bytes)
}

/// The hash of what `hash` is of, with `bytes` after it.
const fn fnv1a64_continue(mut hash: u64, mut bytes: &[u8]) -> u64 {
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u64).wrapping_mul(FNV_PRIME);
        bytes = rest;
    }
    hash
}

fn path_in(
    run_dir: &[u8],
    file_name: &str,
    thing: Thing,
    max: usize,
) -> Result<Vec<u8>, NameError> {
    refuse_nul(run_dir)?;
    let path = [run_dir, b"/", file_name.as_bytes()].concat();
    if path.len() > max {
        return Err(NameError::TooLong { thing, len: path.len(), max });
    }
    Ok(path)
}

fn refuse_nul(run_dir: &[u8]) -> Result<(), NameError> {
    match memchr::memchr(0, run_dir) {
        Some(at) => Err(NameError::NulInRunDir { at }),
        None => Ok(()),
    }
}

fn windows_name(name: String, thing: Thing) -> Result<String, NameError> {
    // Service names are ASCII, so bytes are characters.
    if name.len() > MAX_WINDOWS_NAME_LEN {
        return Err(NameError::TooLong { thing, len: name.len(), max: MAX_WINDOWS_NAME_LEN });
    }
    Ok(name)
}

const SOCKET_SUFFIX: &str = ".sock";
const REGION_SUFFIX: &str = ".ipcshm";
const SESSION_ID_DIGITS: usize = 16;
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn service(name: &str) -> ServiceName {
        ServiceName::new(name).unwrap()
    }

    #[test]
    fn the_path_of_a_socket_may_just_fill_its_field() {
        let name = service("svc");
        for max in [MAX_SOCKET_PATH_LEN, MAX_SOCKET_PATH_LEN_MACOS] {
            let run_dir = alloc::vec![b'd'; max - "/svc.sock".len()];
            assert_eq!(socket_path(&run_dir, &name, max).map(|p| p.len()), Ok(max));
            let longer = alloc::vec![b'd'; run_dir.len() + 1];
            let error = socket_path(&longer, &name, max).unwrap_err();
            assert_eq!(error, NameError::TooLong { thing: Thing::Socket, len: max + 1, max });
        }
    }

    #[test]
    fn the_error_of_a_long_name_says_what_to_do() {
        let error = socket_path(&[b'd'; 107], &service("svc"), MAX_SOCKET_PATH_LEN).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the name of the socket has 116 bytes, at most 107 are possible: use a shorter run \
             directory or service name"
        );
    }

    #[test]
    fn regions_and_windows_names_have_255_bytes() {
        let name = service("svc");
        let rest = "/svc-0000000000000001.ipcshm".len();
        assert!(region_path(&alloc::vec![b'd'; 255 - rest], &name, 1).is_ok());
        let error = region_path(&alloc::vec![b'd'; 256 - rest], &name, 1).unwrap_err();
        assert_eq!(error, NameError::TooLong { thing: Thing::Region, len: 256, max: 255 });

        let rest = r"\\.\pipe\netipc-0123456789abcdef-".len();
        assert!(pipe_name(b"", &service(&"s".repeat(255 - rest))).is_ok());
        assert!(pipe_name(b"", &service(&"s".repeat(256 - rest))).is_err());

        let long = |len: usize| {
            let name = "s".repeat(len);
            WindowsSession {
                run_dir: b"",
                service: &service(&name),
                auth_token: 1,
                profile: Profile::SHM_BUSYWAIT,
                session_id: 1,
            }
            .object_name(ObjectKind::ResponseEvent)
        };
        let rest = r"Local\netipc-0123456789abcdef--p4-s0123456789abcdef-resp_event".len();
        assert_eq!(long(255 - rest).map(|n| n.len()), Ok(255));
        assert!(long(256 - rest).is_err());
    }

    #[test]
    fn a_nul_in_the_run_directory_is_refused() {
        let error = NameError::NulInRunDir { at: 2 };
        assert_eq!(socket_path(b"/d\0/e", &service("s"), 107), Err(error.clone()));
        assert_eq!(region_path(b"/d\0/e", &service("s"), 1), Err(error.clone()));
        assert_eq!(pipe_name(b"/d\0/e", &service("s")), Err(error));
    }

    #[test]
    fn refusals_name_the_character() {
        let error = ServiceName::new("a/b").unwrap_err();
        assert_eq!(error, NameError::Character { character: '/', at: 1 });
        assert_eq!(ServiceName::new(".."), Err(NameError::Dots));
        assert_eq!(ServiceName::new("."), Err(NameError::Dots));
        assert_eq!(ServiceName::new(""), Err(NameError::Empty));
        assert!(ServiceName::new("...").is_ok());
    }

    #[test]
    fn endpoints_are_recognised_by_the_names_that_are_made_for_them() {
        let name = service("a.b_c-9");
        let socket = socket_path(b"", &name, MAX_SOCKET_PATH_LEN).unwrap();
        assert_eq!(service_of_socket(&socket[1..]), Some(&b"a.b_c-9"[..]));
        assert_eq!(service_of_socket(b".sock"), Some(&b""[..]));
        for other in [&b"a.sock.lock"[..], b"a.SOCK", b"sock", b""] {
            assert_eq!(service_of_socket(other), None, "{}", other.escape_ascii());
        }
        let pipe = pipe_name(b"C:\\run", &name).unwrap();
        let listed = pipe.strip_prefix(r"\\.\pipe\").unwrap().as_bytes();
        assert_eq!(service_of_pipe(b"C:\\run", listed), Some(&b"a.b_c-9"[..]));
        for run_dir in [&b"C:/run"[..], b"C:\\run\\", b""] {
            assert_eq!(service_of_pipe(run_dir, listed), None, "{}", run_dir.escape_ascii());
        }
        assert_eq!(service_of_pipe(b"C:\\run", b"lsass"), None);
    }

    #[test]
    fn only_a_services_own_regions_are_recognised() {
        let name = service("svc");
        let own = region_path(b"", &name, 0x1f).unwrap();
        assert_eq!(region_session_id(&name, &own[1..]), Some(0x1f));
        for other in [
            &b"svc-000000000000001.ipcshm"[..],
            b"svc-00000000000000001.ipcshm",
            b"svc-+000000000000001.ipcshm",
            b"svc-000000000000000g.ipcshm",
            b"svc-0000000000000001.ipcshm.bak",
            b"svc-0000000000000001.sock",
            b"svc_0000000000000001.ipcshm",
            b"svc2-0000000000000001.ipcshm",
            b"svc-b-0000000000000001.ipcshm",
            b"xsvc-0000000000000001.ipcshm",
            b"",
        ] {
            assert_eq!(region_session_id(&name, other), None, "{other:?}");
        }
    }
}
