//! Levels 2 and 3: clients and caches of the five services.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use netipc::Status;
use netipc::client::{
    CallError, CallErrorKind, ClientConfig, ClientCounters, ClientStatus, NextTry,
};
use netipc::server::{RunningServer, ServerConfig};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot, increment, string_reverse};
use netipc_testkit::{Value, list, text};

use crate::handlers::serve;
use crate::items::{app_is_known, name_of, padded, path};
use crate::steps::{number, numbers};
use crate::{Applies, Offers, PATIENCE, Place, TOKEN};

pub(crate) fn run(case: &Value, offers: Offers) -> Applies {
    let mut theatre = Theatre {
        case,
        offers,
        place: Place::new(),
        server: None,
        starts: Arc::default(),
        clients: BTreeMap::new(),
    };
    theatre.start();
    for step in list(&case["steps"]) {
        theatre.step(step);
    }
    theatre.server.take().map(|server| server.stop()).unwrap_or(Ok(())).expect("stopped");
    Applies::Yes
}

struct Theatre<'c> {
    case: &'c Value,
    offers: Offers,
    place: Place,
    server: Option<RunningServer>,
    starts: Arc<AtomicU64>,
    clients: BTreeMap<u32, Client>,
}

/// A client of the case's service.
enum Client {
    Increment(increment::Client),
    Reverse(string_reverse::Client),
    Apps(apps_lookup::Client),
    Paths(cgroups_lookup::Client),
    Cache(cgroups_snapshot::Cache),
}

impl Theatre<'_> {
    fn start(&mut self) {
        let limits = &self.case["server"];
        let config = ServerConfig {
            supported_profiles: self.offers.server.supported,
            preferred_profiles: self.offers.server.preferred,
            auth_token: TOKEN,
            max_sessions: number(limits, "max_sessions"),
            max_request_payload_bytes: number(limits, "max_request_payload_bytes"),
            max_response_payload_bytes: number(limits, "max_response_payload_bytes"),
            ..ServerConfig::default()
        };
        let server = serve(self.case, &self.place.endpoint, config, &self.starts);
        self.server = Some(server.expect("bound"));
    }

    fn step(&mut self, step: &Value) {
        match text(step, "do") {
            "start" => return self.start(),
            "stop" => return self.server.take().expect("it runs").stop().expect("stopped"),
            _ => {}
        }
        let on = number(step, "on");
        let (case, offers, endpoint) = (self.case, self.offers, self.place.endpoint.clone());
        let client = self.clients.entry(on).or_insert_with(|| {
            let limits = &case["client"];
            let config = ClientConfig {
                supported_profiles: offers.client.supported,
                preferred_profiles: offers.client.preferred,
                auth_token: TOKEN,
                max_response_payload_bytes: number(limits, "max_response_payload_bytes"),
                call_timeout_ms: PATIENCE.as_millis() as u64,
                ..ClientConfig::default()
            };
            match text(case, "service") {
                "increment" => Client::Increment(increment::Client::new(endpoint, config)),
                "string-reverse" => Client::Reverse(string_reverse::Client::new(endpoint, config)),
                "apps-lookup" => Client::Apps(apps_lookup::Client::new(endpoint, config)),
                "cgroups-lookup" => Client::Paths(cgroups_lookup::Client::new(endpoint, config)),
                "cgroups-snapshot" => Client::Cache(cgroups_snapshot::Cache::new(endpoint, config)),
                other => panic!("no such service: {other}"),
            }
        });
        client.step(step, case);
        if let Some(session) = client.status().session {
            assert_eq!(session.terms.profile.bit(), self.offers.selected, "the selected profile");
        }
    }
}

impl Client {
    fn step(&mut self, step: &Value, case: &Value) {
        match (text(step, "do"), &mut *self) {
            ("refresh", _) => self.refresh(step),
            ("state", _) => assert_eq!(self.status().state.name(), state_name(step)),
            ("counters", _) => self.counters(step),
            ("close", Self::Increment(client)) => client.close(),
            ("close", Self::Reverse(client)) => client.close(),
            ("increment", Self::Increment(client)) => {
                for value in numbers(step, "values") {
                    let answer = client.call(|request| request.value(value).finish());
                    let answer = answer.map(|answer| answer.value());
                    expect(step, answer, &value.wrapping_add(1));
                }
            }
            ("batch", Self::Increment(client)) => {
                let count = number(step, "count");
                let build = |index, request: increment::RequestBuilder<'_>| {
                    request.value(index as u64).finish()
                };
                let answers = client.batch(count, build);
                let answers =
                    answers.map(|answers| answers.iter().map(|a| a.value()).collect::<Vec<_>>());
                expect(step, answers, &(1..=count as u64).collect());
            }
            ("reverse", Self::Reverse(client)) => {
                for len in numbers(step, "lens") {
                    let bytes: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
                    let answer = client.call(|request| request.bytes(&bytes).finish());
                    let right = answer.map(|answer| answer.bytes().iter().rev().eq(&bytes));
                    expect(step, right, &true);
                }
            }
            ("lengths", Self::Reverse(client)) => {
                for len in numbers(step, "lens") {
                    let words = len.to_string();
                    let answer = client.call(|request| request.bytes(&words).finish());
                    let right = answer.map(|answer| {
                        let bytes = answer.bytes();
                        bytes.len() as u64 == len && bytes.iter().all(|byte| *byte == b'x')
                    });
                    expect(step, right, &true);
                }
            }
            ("apps", Self::Apps(client)) => apps(client, step),
            ("paths", Self::Paths(client)) => paths(client, step),
            ("cache", Self::Cache(cache)) => {
                cache.refresh().expect("refreshed");
                holds(cache, step, &case["items"]);
            }
            ("kept", Self::Cache(cache)) => {
                assert!(cache.refresh().is_err());
                holds(cache, step, &case["items"]);
            }
            (other, _) => panic!("no such step here: {other}"),
        }
    }

    fn refresh(&mut self, step: &Value) {
        match self {
            Self::Increment(client) => client.refresh(),
            Self::Reverse(client) => client.refresh(),
            Self::Apps(client) => client.refresh(),
            Self::Paths(client) => client.refresh(),
            Self::Cache(_) => panic!("caches have steps of their own"),
        };
        let status = self.status();
        assert_eq!(status.state.name(), state_name(step), "{status:?}");
        let busy = step["busy"].as_bool().unwrap_or(false);
        assert_eq!(status.next_try == NextTry::Busy, busy, "{status:?}");
    }

    fn status(&self) -> ClientStatus {
        match self {
            Self::Increment(client) => client.status(),
            Self::Reverse(client) => client.status(),
            Self::Apps(client) => client.status(),
            Self::Paths(client) => client.status(),
            Self::Cache(cache) => cache.status().client,
        }
    }

    fn counters(&self, step: &Value) {
        let counters = self.status().counters;
        let each = |name: &str| step[name].as_object().cloned().unwrap_or_default();
        for (name, equal) in each("equal") {
            assert_eq!(counter(&counters, &name), equal.as_u64().expect("a number"), "{name}");
        }
        for (name, min) in each("min") {
            let value = counter(&counters, &name);
            assert!(value >= min.as_u64().expect("a number"), "{name} is {value}");
        }
    }
}

/// A state as the cases write it.
fn state_name(step: &Value) -> String {
    text(step, "state").replace('-', " ")
}

fn counter(counters: &ClientCounters, name: &str) -> u64 {
    match name {
        "connects" => counters.connects,
        "reconnects" => counters.reconnects,
        "calls" => counters.calls,
        "resends" => counters.resends,
        "growths" => counters.growths,
        "larger_requests" => counters.larger_requests,
        "sub_calls" => counters.sub_calls,
        "restarted_lookups" => counters.restarted_lookups,
        "errors" => counters.errors.total(),
        other => panic!("no such counter: {other}"),
    }
}

/// The answer, or the error that the step names.
#[track_caller]
fn expect<T: PartialEq + std::fmt::Debug>(step: &Value, answer: Result<T, CallError>, right: &T) {
    let Some(kind) = step["error"].as_str() else {
        assert!(answer.as_ref() == Ok(right), "{step}: {:?}", answer.err());
        return;
    };
    let error = answer.expect_err("a failure");
    let met = match error.kind() {
        CallErrorKind::NotReady => "not-ready",
        CallErrorKind::Caller => "caller",
        CallErrorKind::TimedOut => "timed-out",
        CallErrorKind::Aborted => "aborted",
        CallErrorKind::Lost => "lost",
        CallErrorKind::Violation => "violation",
        CallErrorKind::Status => "status",
        CallErrorKind::Limit => "limit",
        CallErrorKind::System => "system",
    };
    assert_eq!(met, kind, "{step}: {error}");
    if kind == "status" {
        assert_eq!(error, CallError::Status(Status(number(step, "status"))));
    }
}

fn apps(client: &mut apps_lookup::Client, step: &Value) {
    let (first, count): (u32, u32) = (number(step, "first"), number(step, "count"));
    let pids: Vec<u32> = (first..first + count).collect();
    let right = client.lookup(&pids).map(|answer| {
        assert_eq!((answer.generation(), answer.items().count()), (3, pids.len()));
        answer.items().zip(&pids).all(|(item, pid)| {
            let known = item.status() == apps_lookup::Status::Known;
            let (comm, ppid) = match known {
                true => (format!("p{pid}"), pid / 2),
                false => (String::new(), 0),
            };
            known == app_is_known(*pid)
                && (item.pid(), item.ppid()) == (*pid, ppid)
                && item.comm() == comm.as_str()
        })
    });
    expect(step, right, &true);
}

fn paths(client: &mut cgroups_lookup::Client, step: &Value) {
    let keys: Vec<String> = match step["paths"].as_array() {
        Some(paths) => paths.iter().map(|path| path.as_str().expect("a path").to_owned()).collect(),
        None => (0..number(step, "count"))
            .map(|index| path(index, number(step, "path_len"), number(step, "digits")))
            .collect(),
    };
    let oversized: Vec<u64> =
        if step["oversized"].is_null() { Vec::new() } else { numbers(step, "oversized") };
    let right = client.lookup(&keys).map(|answer| {
        assert_eq!(answer.items().count(), keys.len());
        answer.items().zip(&keys).enumerate().all(|(index, (item, key))| {
            let (status, name) = if oversized.contains(&(index as u64)) {
                (cgroups_lookup::Status::OversizedItem, Vec::new())
            } else {
                (cgroups_lookup::Status::Known, name_of(key.as_bytes()))
            };
            item.status() == status && item.path() == key.as_str() && *item.name() == *name
        })
    });
    expect(step, right, &true);
}

fn holds(cache: &cgroups_snapshot::Cache, step: &Value, items: &Value) {
    let held = cache.load();
    let count = number::<u32>(step, "count");
    let found = (held.len(), held.generation());
    assert_eq!(found, (count as usize, number(step, "generation")));
    for index in 0..count {
        let name = padded(index, number(items, "name_len"));
        let item = held.get(index, name.as_str()).expect("an item");
        let path = format!("/{}", padded(index, number::<usize>(items, "path_len") - 1));
        assert_eq!((item.hash(), item.enabled()), (index, 1));
        assert_eq!((item.name(), item.path()), (name.as_str().into(), path.as_str().into()));
        assert!(held.get(index + 1, name.as_str()).is_none(), "hash and name");
    }
}
