//! Calls whose answers are known beforehand: to measure, and to see that a provider answers right.

use netipc::Endpoint;
use netipc::client::{CallClient, ClientConfig, LookupClient, SessionStatus, SnapshotClient};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot, increment, string_reverse};

use super::{TypedClient, call_failed, connected};
use crate::failure::Failure;
use crate::providers::ServiceName;

/// A client that calls again and again.
pub(crate) trait Probe {
    /// One call; fails if the answer is another than it must be.
    fn probe(&mut self) -> Result<(), Failure>;

    /// What the session goes by.
    fn session(&self) -> Option<SessionStatus>;
}

/// A connected client of the service.
pub(crate) fn prober(
    service: ServiceName,
    endpoint: &Endpoint,
    config: ClientConfig,
) -> Result<Box<dyn Probe>, Failure> {
    Ok(match service {
        ServiceName::Increment => {
            Prober::boxed(increment::Client::new(endpoint.clone(), config), endpoint, chain())?
        }
        ServiceName::StringReverse => Prober::boxed(
            string_reverse::Client::new(endpoint.clone(), config),
            endpoint,
            reversed(),
        )?,
        ServiceName::AppsLookup => Prober::boxed(
            apps_lookup::Client::new(endpoint.clone(), config),
            endpoint,
            |client: &mut LookupClient<_>, endpoint| {
                let answer =
                    client.lookup::<u32>(&[]).map_err(|error| call_failed(endpoint, &error))?;
                right(answer.is_empty(), endpoint)
            },
        )?,
        ServiceName::CgroupsLookup => Prober::boxed(
            cgroups_lookup::Client::new(endpoint.clone(), config),
            endpoint,
            |client: &mut LookupClient<_>, endpoint| {
                let answer =
                    client.lookup::<&str>(&[]).map_err(|error| call_failed(endpoint, &error))?;
                right(answer.is_empty(), endpoint)
            },
        )?,
        ServiceName::CgroupsSnapshot => Prober::boxed(
            cgroups_snapshot::Client::new(endpoint.clone(), config),
            endpoint,
            generations(),
        )?,
    })
}

struct Prober<C, F> {
    client: C,
    endpoint: Endpoint,
    call: F,
}

impl<C, F> Prober<C, F>
where
    C: TypedClient + 'static,
    F: FnMut(&mut C, &Endpoint) -> Result<(), Failure> + 'static,
{
    fn boxed(client: C, endpoint: &Endpoint, call: F) -> Result<Box<dyn Probe>, Failure> {
        let client = connected(client, endpoint)?;
        Ok(Box::new(Self { client, endpoint: endpoint.clone(), call }))
    }
}

impl<C, F> Probe for Prober<C, F>
where
    C: TypedClient,
    F: FnMut(&mut C, &Endpoint) -> Result<(), Failure>,
{
    fn probe(&mut self) -> Result<(), Failure> {
        (self.call)(&mut self.client, &self.endpoint)
    }

    fn session(&self) -> Option<SessionStatus> {
        self.client.status().session
    }
}

/// Each call asks for the number after the last answer.
fn chain() -> impl FnMut(&mut CallClient<increment::Service>, &Endpoint) -> Result<(), Failure> {
    let mut value = 0_u64;
    move |client, endpoint| {
        let answer = client
            .call(|request| request.value(value).finish())
            .map_err(|error| call_failed(endpoint, &error))?;
        let expected = value.wrapping_add(1);
        right(answer.value() == expected, endpoint)?;
        value = expected;
        Ok(())
    }
}

/// Each call has the number of the call reversed.
fn reversed()
-> impl FnMut(&mut CallClient<string_reverse::Service>, &Endpoint) -> Result<(), Failure> {
    let mut calls = 0_u64;
    move |client, endpoint| {
        calls = calls.wrapping_add(1);
        let text = format!("{calls} sllac");
        let answer = client
            .call(|request| request.bytes(&text).finish())
            .map_err(|error| call_failed(endpoint, &error))?;
        right(answer.bytes().iter().rev().eq(text.as_bytes()), endpoint)
    }
}

/// Generations never go back.
fn generations()
-> impl FnMut(&mut SnapshotClient<cgroups_snapshot::Service>, &Endpoint) -> Result<(), Failure> {
    let mut last = 0_u64;
    move |client, endpoint| {
        let snapshot = client.fetch().map_err(|error| call_failed(endpoint, &error))?;
        right(snapshot.generation() >= last, endpoint)?;
        last = snapshot.generation();
        Ok(())
    }
}

fn right(is_right: bool, endpoint: &Endpoint) -> Result<(), Failure> {
    if is_right {
        return Ok(());
    }
    let service = endpoint.service();
    Err(Failure::Failed(format!("{service} gives a wrong answer: its provider is at fault")))
}
