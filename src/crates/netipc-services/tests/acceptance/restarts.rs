//! Providers that come, are killed and come back, and what their clients notice of it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netipc::client::{CallError, CallErrorKind, ClientState};
use netipc::codec::ResponseBudget;
use netipc::server::{Context, Dispatch, Failure, Host, RunningHost, Server};
use netipc_services::{apps_lookup, cgroups_snapshot, increment};

use super::support::{
    Killed, PATIENCE, Place, child, client_config, endpoint_in, eventually, increment_client,
    is_child, must_increment, rounds, serve_increment, server_config, tell_parent_and_stay, within,
};

const KILLS: usize = 20;
const DIR_ENV: &str = "NETIPC_TEST_DIR";
const GENERATION_ENV: &str = "NETIPC_TEST_GENERATION";
const READY: &str = "ready";
/// Items of the snapshot, and keys of the lookup.
const ITEMS: u32 = 300;
/// What a provider answers at least, between its clients' return and its death.
const ANSWERS_A_LIFE: u64 = 500;
/// A call whose server dies takes no longer; what is promised is 100 ms, on a machine at rest.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);
/// What is promised, at the best of several tries.
const KILL_NOTICED: Duration = Duration::from_millis(100);
const KILL_TRIES: usize = 5;

#[test]
fn a_client_may_start_before_its_provider() {
    let place = Place::new();
    let endpoint = place.endpoint(increment::SERVICE);
    let mut client = increment::Client::new(endpoint.clone(), client_config());
    let mut cache =
        cgroups_snapshot::Cache::new(place.endpoint(cgroups_snapshot::SERVICE), client_config());
    for _ in 0..3 {
        client.refresh();
        assert_eq!(client.state(), ClientState::NotFound);
        let called = client.call(|request| request.value(1).finish()).map(drop);
        assert_eq!(called, Err(CallError::NotReady { state: ClientState::NotFound }));
        assert!(cache.refresh().is_err());
        assert!(!cache.ready() && cache.load().is_empty());
    }
    let _server = serve_increment(&endpoint, server_config());
    assert!(client.refresh(), "one refresh is enough");
    must_increment(&mut client, 41);
}

/// Every thread of the parent sees this.
#[derive(Default)]
struct Scene {
    /// The generation of the provider that came back last.
    returned: AtomicU64,
    over: AtomicBool,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    answers: u64,
    failures: u64,
    /// The longest call that failed: that is how late a death was noticed.
    slowest_failure: Duration,
}

impl Scene {
    fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn answers(&self) -> u64 {
        self.tally.lock().expect("no panic").answers
    }

    fn count(&self, result: &Result<u64, CallError>, took: Duration) {
        let mut tally = self.tally.lock().expect("no panic");
        let Err(error) = result else {
            tally.answers += 1;
            return;
        };
        // A provider that was killed is one that left, and nothing else.
        let kind = error.kind();
        assert!(matches!(kind, CallErrorKind::Lost | CallErrorKind::NotReady), "{error}");
        assert!(took < NOTICED_WITHIN, "noticed after {took:?}: {error}");
        tally.failures += 1;
        tally.slowest_failure = tally.slowest_failure.max(took);
    }
}

/// Ends the threads of a test, however it ends.
struct EndsScene<'a>(&'a Scene);

impl Drop for EndsScene<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// Asks without pause. `attempt` refreshes once, calls once, and answers the generation that it
/// got; `served` is the last return of the provider that this client has seen the use of.
fn load(scene: &Scene, served: &AtomicU64, mut attempt: impl FnMut() -> Result<u64, CallError>) {
    while !scene.over() {
        let returned = scene.returned.load(Ordering::SeqCst);
        let started = Instant::now();
        let result = attempt();
        scene.count(&result, started.elapsed());
        if returned > served.load(Ordering::SeqCst) {
            // Nobody kills the provider before this client has had its answer.
            let generation = result.expect("one refresh after its return, calls are answered");
            assert_eq!(generation, returned, "an answer of a provider that is dead");
            served.store(returned, Ordering::SeqCst);
        }
        thread::yield_now();
    }
}

fn increment_load(dir: &Path, scene: &Scene, served: &AtomicU64) {
    let endpoint = endpoint_in(dir, increment::SERVICE);
    let mut client = increment::Client::new(endpoint, client_config());
    let mut value = 0;
    load(scene, served, || {
        value += 1;
        let before = scene.returned.load(Ordering::SeqCst);
        client.refresh();
        let answer = client.call(|request| request.value(value).finish())?;
        assert_eq!(answer.value(), value + 1);
        // The answer does not say whose it is.
        Ok(before)
    });
}

fn lookup_load(dir: &Path, scene: &Scene, served: &AtomicU64) {
    let endpoint = endpoint_in(dir, apps_lookup::SERVICE);
    let mut client = apps_lookup::Client::new(endpoint, client_config());
    let pids: Vec<u32> = (0..ITEMS).collect();
    load(scene, served, || {
        client.refresh();
        let answer = client.lookup(&pids)?;
        let generation = answer.generation();
        assert_eq!(answer.items().count(), pids.len());
        for (item, pid) in answer.items().zip(&pids) {
            assert_eq!((item.pid(), item.starttime()), (*pid, generation));
        }
        Ok(generation)
    });
}

fn cache_load(mut cache: cgroups_snapshot::Cache, scene: &Scene, served: &AtomicU64) {
    load(scene, served, || {
        cache.refresh()?;
        Ok(cache.load().generation())
    });
    let status = cache.status();
    println!("the cache: {} refreshes, {} failed", status.refreshes, status.failures);
}

/// Reads without pause: what is there is whole, and never taken away again.
fn read(reader: &cgroups_snapshot::Reader, scene: &Scene) -> u64 {
    let (mut last, mut reads) = (0, 0);
    while !scene.over() {
        let held = reader.load();
        let generation = held.generation();
        assert!(generation >= last, "generation {generation} after {last}");
        last = generation;
        if generation == 0 {
            assert!(held.is_empty(), "nothing was ever there");
        } else {
            reads += 1;
            assert_eq!(held.len(), ITEMS as usize);
            let path = path_of(generation);
            assert!(held.items().all(|item| item.path() == path.as_str()), "two at once");
            assert!(held.get(7, "i7").is_some());
        }
        thread::yield_now();
    }
    reads
}

fn path_of(generation: u64) -> String {
    format!("/of/generation/{generation}")
}

/// The provider, in a process of its own, until it is killed.
fn be_the_provider() {
    let dir = std::env::var(DIR_ENV).expect("a directory");
    let generation = std::env::var(GENERATION_ENV).expect("given").parse().expect("a number");
    let _running = provide(Path::new(&dir), generation);
    tell_parent_and_stay(READY);
}

fn provide(dir: &Path, generation: u64) -> RunningHost {
    let host = Host::with_workers(2);
    let endpoint = endpoint_in(dir, increment::SERVICE);
    let host = increment::Server::bind(&endpoint, server_config())
        .expect("bound")
        .serve_on(host, |request, response| {
            Ok(response.value(request.value().wrapping_add(1)).finish()?)
        });
    let endpoint = endpoint_in(dir, apps_lookup::SERVICE);
    let host = apps_lookup::Server::bind(&endpoint, server_config()).expect("bound").serve_on(
        host,
        move |request, response| {
            response.generation(generation);
            for pid in request.keys() {
                let status = apps_lookup::CgroupStatus::HostRoot;
                let item = response.known(pid).cgroup_status(status).comm("some");
                item.starttime(generation).finish()?;
            }
            Ok(())
        },
    );
    let endpoint = endpoint_in(dir, cgroups_snapshot::SERVICE);
    let host = cgroups_snapshot::Server::bind(&endpoint, server_config()).expect("bound").serve_on(
        host,
        move |_, response| {
            response.generation(generation);
            let path = path_of(generation);
            for index in 0..ITEMS {
                let name = format!("i{index}");
                response.item().hash(index).enabled(1).name(&name).path(&path).finish()?;
            }
            Ok(())
        },
    );
    host.spawn().expect("spawned")
}

/// Starts a provider, and returns once it serves.
fn start_provider(test: &str, dir: &Path, generation: u64) -> Killed {
    let mut command = child(test);
    command.env(DIR_ENV, dir).env(GENERATION_ENV, generation.to_string());
    let mut provider = Killed::spawn(command);
    let output = BufReader::new(provider.0.stdout.take().expect("its output"));
    let mut lines = output.lines().map_while(Result::ok);
    assert!(lines.any(|line| line == READY), "the provider never came");
    provider
}

#[test]
fn a_provider_killed_under_load_is_replaced_and_nobody_is_lied_to() {
    const TEST: &str =
        concat!(module_path!(), "::a_provider_killed_under_load_is_replaced_and_nobody_is_lied_to");
    if is_child(TEST) {
        return be_the_provider();
    }
    let (place, scene) = (Place::new(), Scene::default());
    let served: [AtomicU64; 4] = Default::default();
    let snapshots = place.endpoint(cgroups_snapshot::SERVICE);
    let cache = cgroups_snapshot::Cache::new(snapshots, client_config());
    let reader = cache.reader();
    let calls = place.endpoint(increment::SERVICE);
    let mut sleeper = increment::Client::new(calls, client_config());
    let kills = rounds(KILLS);
    let mut resumed: Vec<Duration> = Vec::new();
    thread::scope(|threads| {
        let _ends = EndsScene(&scene);
        // All of them are there before the provider is.
        threads.spawn(|| increment_load(place.dir(), &scene, &served[0]));
        threads.spawn(|| increment_load(place.dir(), &scene, &served[1]));
        threads.spawn(|| lookup_load(place.dir(), &scene, &served[2]));
        threads.spawn(|| cache_load(cache, &scene, &served[3]));
        let reading = threads.spawn(|| read(&reader, &scene));
        for generation in 1..=kills as u64 {
            let mut provider = start_provider(TEST, place.dir(), generation);
            let started = Instant::now();
            scene.returned.store(generation, Ordering::SeqCst);
            let all = || served.iter().all(|by| by.load(Ordering::SeqCst) == generation);
            eventually("every client is served again", all);
            resumed.push(started.elapsed());
            // One that has slept through it all: a refresh is enough, and so is a call by itself.
            if !sleeper.ready() || generation % 2 == 0 {
                assert!(sleeper.refresh(), "its session is another, or its first");
            }
            must_increment(&mut sleeper, generation);
            let enough = scene.answers() + ANSWERS_A_LIFE;
            eventually("it is under load", || scene.answers() >= enough);
            provider.kill();
            assert_eq!(reader.load().generation(), generation, "the cache keeps what it had");
        }
        scene.over.store(true, Ordering::SeqCst);
        assert!(reading.join().expect("never a wrong one") > kills as u64);
    });
    let tally = scene.tally.into_inner().expect("no panic");
    resumed.sort();
    println!(
        "{kills} kills: {} right answers and none wrong, {} failed attempts, the slowest {:?}; all \
         clients served again {:?} after the return at the median, {:?} at most",
        tally.answers,
        tally.failures,
        tally.slowest_failure,
        resumed[resumed.len() / 2],
        resumed[resumed.len() - 1],
    );
    // Every other provider was found by a call, which was sent once more on its new session.
    assert_eq!(sleeper.status().counters.connects, kills as u64);
    assert_eq!(sleeper.status().counters.reconnects, (kills as u64 - 1) / 2);
    nothing_but_locks_is_left(&place);
}

#[test]
fn a_call_whose_provider_is_killed_fails_at_once() {
    const TEST: &str = concat!(module_path!(), "::a_call_whose_provider_is_killed_fails_at_once");
    const ASKED: &str = "asked";
    if is_child(TEST) {
        let dir = std::env::var(DIR_ENV).expect("a directory");
        let endpoint = endpoint_in(Path::new(&dir), increment::SERVICE);
        let server = increment::Server::bind(&endpoint, server_config()).expect("bound");
        let running = server.spawn(|_, _| {
            tell_parent_and_stay(ASKED);
            Err(std::io::Error::other("the parent has left").into())
        });
        let _running = running.expect("spawned");
        println!("\n{READY}");
        thread::park();
        return;
    }
    let place = Place::new();
    within(KILL_NOTICED, KILL_TRIES, || {
        let mut command = child(TEST);
        command.env(DIR_ENV, place.dir());
        let mut provider = Killed::spawn(command);
        let output = BufReader::new(provider.0.stdout.take().expect("its output"));
        let mut lines = output.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == READY), "the provider never came");
        let mut client = increment_client(&place.endpoint(increment::SERVICE));
        let killer = thread::spawn(move || {
            assert!(lines.any(|line| line == ASKED), "the handler never ran");
            let killed_at = Instant::now();
            provider.kill();
            killed_at
        });
        let error = client.call(|request| request.value(1).finish()).map(drop);
        let returned_at = Instant::now();
        let error = error.expect_err("nobody answers");
        assert_eq!(error.kind(), CallErrorKind::Lost, "{error}");
        assert_eq!(client.status().counters.resends, 1, "it was tried once more, in vain");
        returned_at.duration_since(killer.join().expect("no panic"))
    });
}

/// After one more provider has come and gone as it should.
fn nothing_but_locks_is_left(place: &Place) {
    provide(place.dir(), 0).stop().expect("stopped");
    for entry in std::fs::read_dir(place.dir()).expect("readable") {
        let name = entry.expect("an entry").file_name();
        assert!(name.to_string_lossy().ends_with(".lock"), "{name:?} is left");
    }
}

/// Answers each request with the next payload, whatever it is.
struct Verbatim(Mutex<Vec<Vec<u8>>>);

impl Dispatch for Verbatim {
    fn method(&self) -> u16 {
        cgroups_snapshot::METHOD
    }

    fn batchable(&self) -> bool {
        false
    }

    fn handle(
        &self,
        _context: &Context<'_>,
        _request: &[u8],
        response: ResponseBudget<'_>,
    ) -> Result<usize, Failure> {
        let payload =
            self.0.lock().map_err(|_| Failure::Internal)?.pop().ok_or(Failure::Internal)?;
        response.out.get_mut(..payload.len()).ok_or(Failure::Internal)?.copy_from_slice(&payload);
        Ok(payload.len())
    }
}

fn snapshot(generation: u64) -> Vec<u8> {
    let item = |hash: u32| cgroups_snapshot::Item {
        hash,
        options: 0,
        enabled: 1,
        name: format!("i{hash}").into(),
        path: path_of(generation).into(),
    };
    let items = (0..3).map(item).collect();
    let response = cgroups_snapshot::Response { systemd_enabled: 1, generation, items };
    let mut out = vec![0; response.encoded_len()];
    response.encode(&mut out).expect("it fits");
    out
}

#[test]
fn a_malformed_snapshot_keeps_the_cache() {
    /// Places in the payload and what to put there: each makes it malformed (spec section 10.7).
    const LIES: [(usize, u32); 10] = [
        (0, 2),
        (4, 4),
        (4, u32::MAX),
        (12, 1),
        (24, 4),
        (24, u32::MAX),
        (28, u32::MAX),
        (28, 31),
        (24 + 3 * 8 + 16, 0),
        (24 + 3 * 8 + 20, u32::MAX),
    ];
    let good = snapshot(1);
    let mut answers: Vec<Vec<u8>> = (0..good.len()).step_by(7).map(|n| good[..n].into()).collect();
    for (at, lie) in LIES {
        let mut bad = snapshot(9);
        bad[at..at + 4].copy_from_slice(&lie.to_ne_bytes());
        answers.push(bad);
    }
    let malformed = answers.len();
    answers.insert(0, snapshot(2));
    answers.push(good);
    let place = Place::new();
    let endpoint = place.endpoint(cgroups_snapshot::SERVICE);
    let server = Server::bind(&endpoint, server_config()).expect("bound");
    let _server = server.spawn(Verbatim(Mutex::new(answers))).expect("spawned");
    let mut cache = cgroups_snapshot::Cache::new(endpoint, client_config());
    cache.refresh().expect("a good one");
    for _ in 0..malformed {
        let error = cache.refresh().expect_err("malformed");
        assert!(matches!(error, CallError::Malformed(_)), "{error}");
        let held = cache.load();
        assert_eq!((held.generation(), held.len()), (1, 3));
        assert_eq!(held.get(2, "i2").expect("kept").path(), path_of(1).as_str());
    }
    let status = cache.status();
    assert_eq!((status.failures, status.generation), (malformed as u64, 1));
    assert!(status.age.is_some_and(|age| age < PATIENCE) && status.last_error.is_some());
    cache.refresh().expect("the last one is good again");
    assert_eq!(cache.load().generation(), 2);
}
