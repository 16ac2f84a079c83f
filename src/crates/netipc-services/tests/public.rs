//! What the public interface has beside what the other tests use: untyped calls, constructors with an
//! environment of one's own, serving on the caller's thread, and what is shown of it all.

use std::sync::mpsc::channel;
use std::time::Duration;

use netipc::client::{CallError, ClientConfig, Engine, ServiceInfo, SystemEnvironment};
use netipc::server::ServerConfig;
use netipc::service::Service;
use netipc::{Abort, Endpoint, Status};
use netipc_services::{apps_lookup, cgroups_snapshot, increment, string_reverse};
use tempfile::TempDir;

fn endpoint(run_dir: &TempDir, service: &str) -> Endpoint {
    Endpoint::new(run_dir.path(), service).expect("a temporary path is short enough")
}

#[test]
fn an_engine_calls_without_types() {
    let run_dir = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&run_dir, increment::SERVICE);
    let server = increment::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server
        .spawn(|request, response| Ok(response.value(request.value().wrapping_add(1)).finish()?))
        .unwrap();

    let info = ServiceInfo::new(increment::SERVICE, increment::Service::METHOD, true);
    let environment = Box::new(SystemEnvironment::default());
    let mut engine =
        Engine::with_environment(endpoint.clone(), ClientConfig::default(), info, environment);
    assert_eq!(engine.endpoint(), &endpoint);
    let number = |value: u64| {
        move |out: &mut [u8]| {
            out[..8].copy_from_slice(&value.to_ne_bytes());
            Ok(8)
        }
    };
    let early = engine.call(number(1)).expect_err("nobody has connected it");
    assert!(matches!(early, CallError::NotReady { .. }), "{early}");
    assert!(engine.refresh());
    assert_eq!(engine.call(number(1)).unwrap(), 2_u64.to_ne_bytes());
    let answers = engine.batch(3, |index, out| number(index as u64)(out)).unwrap();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().zip(1_u64..).all(|(answer, value)| answer == value.to_ne_bytes()));
    running.drain_within(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_service_without_batches_refuses_them_here() {
    let run_dir = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&run_dir, cgroups_snapshot::SERVICE);
    let server = cgroups_snapshot::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server.spawn(|_, _| Ok(())).unwrap();
    let info = ServiceInfo::snapshot(cgroups_snapshot::SERVICE, cgroups_snapshot::Service::METHOD);
    let mut engine = Engine::with_environment(
        endpoint,
        ClientConfig::default(),
        info,
        Box::new(SystemEnvironment::default()),
    );
    engine.refresh();
    let refused = engine.batch(2, |_, _| Ok(0)).expect_err("a snapshot has no batches");
    assert_eq!(refused, CallError::NotBatchable);
    running.stop().unwrap();
}

#[test]
fn a_server_runs_on_the_thread_of_its_caller_until_it_is_told_to_stop() {
    let run_dir = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&run_dir, string_reverse::SERVICE);
    let server = string_reverse::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let stop = Abort::new().unwrap();
    let (say_over, hear_over) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let over = server.run(
                |request, response| {
                    let reversed: Vec<u8> = request.bytes().iter().rev().copied().collect();
                    Ok(response.bytes(&reversed).finish()?)
                },
                &stop,
            );
            say_over.send(over.is_ok()).unwrap();
        });
        let mut client = string_reverse::Client::new(endpoint.clone(), ClientConfig::default());
        client.refresh();
        let answer = client.call(|request| request.bytes("abc").finish()).unwrap();
        assert_eq!(answer.bytes(), "cba");
        let answers = client.batch(1, |_, request| request.bytes("abc").finish()).unwrap();
        assert!(!answers.is_empty());
        stop.trigger();
        assert_eq!(hear_over.recv(), Ok(true));
    });
    assert!(!endpoint.socket_path().exists(), "the name was given back");
}

#[test]
fn what_a_handler_may_not_say_is_an_internal_error_and_is_told() {
    let run_dir = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&run_dir, apps_lookup::SERVICE);
    let server = apps_lookup::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server
        .spawn(|request, response| {
            for pid in request.keys() {
                // A known process has a name; what becomes of one that has none is not asked.
                let _refused = response.known(pid).comm("").finish();
            }
            Ok(())
        })
        .unwrap();
    let mut client = apps_lookup::Client::with_environment(
        endpoint,
        ClientConfig::default(),
        Box::new(SystemEnvironment::default()),
    );
    client.refresh();
    let failed = client.lookup(&[1]).map(|_| ()).expect_err("no answer");
    assert_eq!(failed, CallError::Status(Status::INTERNAL_ERROR));
    let why = running.status().last_error.expect("it is told");
    assert!(why.contains("comm"), "{why}");
    running.stop().unwrap();
}

#[test]
fn a_snapshot_is_fetched_and_cached_and_what_is_shown_of_it_is_short() {
    let run_dir = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&run_dir, cgroups_snapshot::SERVICE);
    let server = cgroups_snapshot::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server
        .spawn(|_, response| {
            for hash in 0..1_000 {
                response.item().hash(hash).name("name").path("/path").finish()?;
            }
            response.generation(7);
            Ok(())
        })
        .unwrap();

    let environment = || Box::new(SystemEnvironment::default());
    let mut client = cgroups_snapshot::Client::with_environment(
        endpoint.clone(),
        ClientConfig::default(),
        environment(),
    );
    client.refresh();
    let fetched = client.fetch().unwrap();
    assert_eq!((fetched.generation(), fetched.items().len()), (7, 1_000));
    // Straight to one, past those before it.
    assert_eq!(fetched.items().nth(998).map(|item| item.hash()), Some(998));

    let mut cache = netipc::cache::Cache::<cgroups_snapshot::Service>::with_environment(
        endpoint,
        ClientConfig::default(),
        environment(),
    );
    cache.refresh().unwrap();
    let shown = format!("{:?}", cache.load());
    assert!(shown.contains("generation: 7") && shown.contains("items: 1000"), "{shown}");
    assert!(shown.len() < 200, "{shown}");

    let abort = cache.abort_handle().unwrap();
    abort.trigger();
    assert_eq!(cache.refresh(), Err(CallError::Aborted));
    abort.clear();
    cache.close();
    assert!(cache.status().client.session.is_none());
    cache.refresh().unwrap();
    running.stop().unwrap();
}

#[test]
fn what_is_longer_than_the_callers_own_ceiling_is_not_sent() {
    let run_dir = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&run_dir, string_reverse::SERVICE);
    let server = string_reverse::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server.spawn(|_, response| Ok(response.bytes("short").finish()?)).unwrap();
    let config = ClientConfig { max_request_payload_bytes: 128, ..ClientConfig::default() };
    let mut client = string_reverse::Client::new(endpoint, config);
    client.refresh();
    let long = "x".repeat(200);
    let alone = client.call(|request| request.bytes(&long).finish()).map(|_| ());
    assert!(matches!(alone, Err(CallError::RequestTooLarge { ceiling: 128 })), "{alone:?}");
    let together = client.batch(2, |_, request| request.bytes(&long).finish()).map(|_| ());
    assert!(matches!(together, Err(CallError::RequestTooLarge { ceiling: 128 })), "{together:?}");
    assert!(client.call(|request| request.bytes("short").finish()).is_ok(), "the session is there");
    running.stop().unwrap();
}

#[test]
fn a_handler_that_fails_after_it_has_answered_has_failed() {
    let run_dir = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&run_dir, apps_lookup::SERVICE);
    let server = apps_lookup::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server
        .spawn(|request, response| {
            for pid in request.keys() {
                response.unknown(pid)?;
            }
            Err(std::io::Error::other("the table has changed").into())
        })
        .unwrap();
    let mut client = apps_lookup::Client::new(endpoint, ClientConfig::default());
    client.refresh();
    let failed = client.lookup(&[1]).map(|_| ()).expect_err("no answer");
    assert_eq!(failed, CallError::Status(Status::INTERNAL_ERROR));
    assert_eq!(running.status().last_error.as_deref(), Some("the table has changed"));
    running.stop().unwrap();
}

#[test]
fn what_is_printed_of_clients_and_answers_says_what_they_are() {
    let run_dir = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&run_dir, apps_lookup::SERVICE);
    let server = apps_lookup::Server::bind(&endpoint, ServerConfig::default()).unwrap();
    let running = server
        .spawn(|request, response| {
            request.keys().try_for_each(|pid| response.unknown(pid))?;
            Ok(())
        })
        .unwrap();
    let mut client = apps_lookup::Client::new(endpoint, ClientConfig::default());
    client.refresh();
    let shown = format!("{client:?}");
    assert!(shown.contains("apps-lookup.sock") && shown.contains("Ready"), "{shown}");
    assert!(format!("{:?}", client.lookup(&[1]).unwrap()).starts_with("Answer"));
    let error = netipc::server::HandlerError::from(std::io::Error::other("in words"));
    assert_eq!(format!("{error:?}"), "in words");
    running.stop().unwrap();
}
