//! Sessions with a provider: how a client gets one, what is said when it does not, and what was
//! agreed when it does.

mod agreed;
mod probe;

use netipc::client::{
    CallClient, CallError, ClientState, ClientStatus, LookupClient, NextTry, SnapshotClient,
};
use netipc::service::{Call, Lookup, Snapshot};
use netipc::{Endpoint, EndpointState, Status};

pub(crate) use agreed::{agreed_json, agreed_lines, peer_pid, terms_json};
pub(crate) use probe::prober;

use crate::failure::Failure;

/// What the typed clients of every shape have in common.
pub(crate) trait TypedClient {
    fn refresh(&mut self) -> bool;
    fn ready(&self) -> bool;
    fn status(&self) -> ClientStatus;
}

macro_rules! typed_client {
    ($($client:ident: $shape:ident),+) => {$(
        impl<S: $shape> TypedClient for $client<S> {
            fn refresh(&mut self) -> bool {
                Self::refresh(self)
            }

            fn ready(&self) -> bool {
                Self::ready(self)
            }

            fn status(&self) -> ClientStatus {
                Self::status(self)
            }
        }
    )+};
}
typed_client!(CallClient: Call, LookupClient: Lookup, SnapshotClient: Snapshot);

/// The client, once it has a session.
pub(crate) fn connected<C: TypedClient>(mut client: C, endpoint: &Endpoint) -> Result<C, Failure> {
    client.refresh();
    if client.ready() { Ok(client) } else { Err(no_session(endpoint, &client.status())) }
}

/// What a call that failed says.
pub(crate) fn call_failed(endpoint: &Endpoint, error: &CallError) -> Failure {
    let service = endpoint.service();
    let fix = match error {
        CallError::TimedOut => ": give it longer with --timeout-ms",
        CallError::Status(Status::INTERNAL_ERROR) => ": its provider failed; see what it logs",
        CallError::PeerGone | CallError::Reconnect(_) => ": see whether its provider still runs",
        _ => "",
    };
    Failure::Failed(format!("{service}: {error}{fix}"))
}

/// What a client without a session says, and what to do about it.
fn no_session(endpoint: &Endpoint, status: &ClientStatus) -> Failure {
    let (service, run_dir) = (endpoint.service(), endpoint.run_dir().display());
    let reason = status.reason.as_deref().unwrap_or("no reason is known");
    match status.state {
        ClientState::NotFound => Failure::NoProvider(format!(
            "no provider of {service} in {run_dir}: start it, or name its directory with --run-dir"
        )),
        ClientState::AuthFailed => Failure::Refused(format!(
            "the provider of {service} does not admit this client: give its token (NETIPC_TOKEN, \
             --token-file or --session-id), and ask as its user or as root"
        )),
        ClientState::Incompatible => Failure::Refused(format!(
            "the provider of {service} is incompatible ({reason}): use versions that fit together"
        )),
        _ if status.next_try == NextTry::Busy => Failure::Refused(format!(
            "the provider of {service} is full ({reason}): try again later"
        )),
        _ => unreachable(endpoint, reason),
    }
}

/// A client knows only that nobody answered as the contract wants: a look at the endpoint tells
/// more.
fn unreachable(endpoint: &Endpoint, reason: &str) -> Failure {
    let service = endpoint.service();
    match endpoint.inspect() {
        Ok(EndpointState::Absent | EndpointState::Stale) => Failure::NoProvider(format!(
            "the provider of {service} is gone, only its socket {endpoint} is left: start it again"
        )),
        Ok(EndpointState::Denied) => Failure::Refused(format!(
            "this user may not use {endpoint}: ask as its owner or as root"
        )),
        Ok(EndpointState::Foreign(_)) => Failure::Failed(format!("{service}: {reason}")),
        Ok(EndpointState::Live { .. }) => Failure::Refused(format!(
            "the provider of {service} gives no session ({reason}): see what it logs"
        )),
        Err(_) => Failure::Refused(format!(
            "{service}: {reason}: ask as a user that may enter {}",
            endpoint.run_dir().display()
        )),
    }
}
