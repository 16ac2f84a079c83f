//! `netipc ls`: every endpoint of a run directory, whose it is, and what its handshake says.

use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::Args;
use netipc::{
    Abort, ConnectError, Deadline, Endpoint, EndpointState, Limits, ListError, Met, PeerIdentity,
    Profiles, Proposal, Session, Status, Terms,
};
use serde_json::{Value, json};

use crate::ask::{peer_pid, terms_json};
use crate::failure::Failure;
use crate::options::Asking;
use crate::table::{self, bad, good, grouped, number, table};
use crate::text::{self, printable};

#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    asking: Asking,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Endpoints that are looked at at a time: each may take the whole timeout.
const AT_A_TIME: usize = 16;

/// What typed clients propose (spec section 11), so that what is shown is what they get.
const PROPOSED: Limits = Limits { payload_bytes: 65_536, batch_items: 1_024 };

impl Ls {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let run_dir = self.asking.meeting().run_dir();
        let names = names(run_dir)?;
        let look = Look {
            run_dir,
            token: self.asking.meeting().token()?,
            timeout: Duration::from_millis(self.asking.timeout_ms()),
            profiles: self.asking.profiles(),
            abort: Abort::new().map_err(|error| Failure::Failed(error.to_string()))?,
        };
        let entries: Vec<Entry> =
            names.chunks(AT_A_TIME).flat_map(|names| look.at_all(names)).collect();
        if self.json { print_json(&entries, out) } else { print(&entries, run_dir, out) }
    }
}

/// The services that have an endpoint there, or what looks like one.
fn names(run_dir: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    Endpoint::list(run_dir).map_err(|error| {
        let fix = match error {
            ListError::Untold => "ask for a service by its name: netipc ping SERVICE",
            ListError::Os(_) => "name another --run-dir",
        };
        let run_dir = run_dir.display();
        Failure::Failed(format!("cannot list the endpoints of {run_dir}: {error}; {fix}"))
    })
}

/// One endpoint.
struct Entry {
    name: Vec<u8>,
    state: State,
}

enum State {
    /// A server listens; what it says to HELLO.
    Live { server: Option<PeerIdentity>, said: Result<Said, ConnectError> },
    /// Its server died.
    Stale,
    /// No endpoint, and why.
    Foreign(String),
    /// Nothing can be found out, and why.
    Unknown(String),
}

/// What a handshake agreed on.
struct Said {
    session_id: u64,
    terms: Terms,
    server_supported: Profiles,
    server: PeerIdentity,
}

/// How endpoints are looked at.
struct Look<'a> {
    run_dir: &'a Path,
    token: u64,
    timeout: Duration,
    profiles: Profiles,
    abort: Abort,
}

impl Look<'_> {
    fn at_all(&self, names: &[Vec<u8>]) -> Vec<Entry> {
        thread::scope(|scope| {
            let looks: Vec<_> =
                names.iter().map(|name| scope.spawn(move || self.at(name))).collect();
            let both = names.iter().zip(looks);
            let entry = |(name, look): (&Vec<u8>, thread::ScopedJoinHandle<'_, Option<State>>)| {
                let failed = |_| Some(State::Unknown("looking at it failed".to_owned()));
                look.join().unwrap_or_else(failed).map(|state| Entry { name: name.clone(), state })
            };
            both.filter_map(entry).collect()
        })
    }

    /// None when it has vanished since it was listed.
    fn at(&self, name: &[u8]) -> Option<State> {
        let Ok(name) = str::from_utf8(name) else {
            return Some(State::Foreign("no service has such a name".to_owned()));
        };
        let endpoint = match Endpoint::new(self.run_dir, name) {
            Ok(endpoint) => endpoint,
            Err(error) => return Some(State::Foreign(error.to_string())),
        };
        Some(match endpoint.inspect() {
            Ok(EndpointState::Absent) => return None,
            Ok(EndpointState::Stale) => State::Stale,
            Ok(EndpointState::Foreign(kind)) => State::Foreign(kind.to_string()),
            Ok(EndpointState::Denied) => {
                State::Unknown("this user may not connect to it".to_owned())
            }
            Ok(EndpointState::Live { server }) => {
                State::Live { server, said: self.shake_hands(&endpoint) }
            }
            Err(error) => State::Unknown(error.to_string()),
        })
    }

    /// As a typed client does: servers that refuse its limits are offered the least (spec section
    /// 11).
    fn shake_hands(&self, endpoint: &Endpoint) -> Result<Said, ConnectError> {
        let least = Proposal {
            auth_token: self.token,
            supported_profiles: self.profiles,
            preferred_profiles: self.profiles,
            ..Proposal::default()
        };
        let proposal = Proposal { request: PROPOSED, response_hint: PROPOSED, ..least };
        let deadline = Deadline::after(self.timeout);
        let connect = |proposal| Session::connect(endpoint, proposal, deadline, &self.abort);
        let session = match connect(&proposal) {
            Err(error) if error.met() == Some(Met::Rejected(Status::LIMIT_EXCEEDED)) => {
                connect(&least)?
            }
            connected => connected?,
        };
        Ok(Said {
            session_id: session.id(),
            terms: *session.terms(),
            server_supported: session.server_supported(),
            server: *session.peer(),
        })
    }
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Live { .. } => "live",
            Self::Stale => "stale",
            Self::Foreign(_) => "foreign",
            Self::Unknown(_) => "unknown",
        }
    }

    fn server(&self) -> Option<&PeerIdentity> {
        match self {
            Self::Live { said: Ok(said), .. } => Some(&said.server),
            Self::Live { server, .. } => server.as_ref(),
            Self::Stale | Self::Foreign(_) | Self::Unknown(_) => None,
        }
    }

    fn said(&self) -> Option<&Said> {
        match self {
            Self::Live { said, .. } => said.as_ref().ok(),
            _ => None,
        }
    }

    /// In words, what the handshake or the look said.
    fn words(&self) -> String {
        match self {
            Self::Live { said: Ok(_), .. } => "accepted".to_owned(),
            Self::Live { said: Err(error), .. } => error.to_string(),
            Self::Stale => "its server died; the next one clears it".to_owned(),
            Self::Foreign(why) | Self::Unknown(why) => why.clone(),
        }
    }
}

fn print_json(entries: &[Entry], out: &mut impl Write) -> Result<(), Failure> {
    let entry = |entry: &Entry| -> Value {
        let state = &entry.state;
        let session = state.said().map(|said| {
            terms_json(said.session_id, &said.terms, said.server_supported, &said.server)
        });
        json!({
            "service": text::json(&entry.name),
            "state": state.name(),
            "pid": state.server().and_then(|server| server.pid),
            "uid": state.server().map(|server| server.uid),
            "said": state.words(),
            "session": session,
        })
    };
    let endpoints: Vec<Value> = entries.iter().map(entry).collect();
    Ok(writeln!(out, "{:#}", json!({ "endpoints": endpoints }))?)
}

fn print(entries: &[Entry], run_dir: &Path, out: &mut impl Write) -> Result<(), Failure> {
    if entries.is_empty() {
        let run_dir = printable(run_dir.as_os_str().as_encoded_bytes());
        return Ok(writeln!(out, "no endpoints in {run_dir}")?);
    }
    let mut rows = table([
        "SERVICE", "STATE", "PID", "UID", "PROFILE", "OFFERS", "REQUEST", "RESPONSE", "PACKET",
        "SAID",
    ]);
    for Entry { name, state } in entries {
        let named = if let State::Live { said: Ok(_), .. } = state { good } else { bad };
        let said = state.said();
        let of_said = |show: fn(&Said) -> String| said.map(show).unwrap_or_default();
        rows.add_row([
            printable(name).into(),
            named(state.name()),
            number(state.server().map(peer_pid).unwrap_or_default()),
            number(state.server().map(|server| server.uid.to_string()).unwrap_or_default()),
            of_said(|said| said.terms.profile.name().to_owned()).into(),
            of_said(|said| said.server_supported.to_string()).into(),
            number(of_said(|said| grouped(said.terms.request.payload_bytes.into()))),
            number(of_said(|said| grouped(said.terms.response.payload_bytes.into()))),
            number(of_said(|said| grouped(said.terms.packet_size.bytes().into()))),
            printable(state.words().as_bytes()).into(),
        ]);
    }
    Ok(table::write(&rows, out)?)
}
