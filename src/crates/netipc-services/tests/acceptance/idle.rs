//! What a connected, idle server and client cost, and that a second worker takes part.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netipc::server::ServerConfig;
use netipc_services::{cgroups_snapshot, increment};

use super::support::{
    Killed, Place, alone_in_child, child, client_config, endpoint_in, increment_client, is_child,
    must_increment, quiet, serve_increment, server_config, tell_parent_and_stay,
};

const DIR_ENV: &str = "NETIPC_TEST_DIR";
const SIDE_ENV: &str = "NETIPC_TEST_SIDE";
const READY: &str = "idle";
const WATCHED: Duration = Duration::from_secs(5);
const TRIES: usize = 3;
/// Whoever was busy a moment ago is looked at once more, and then no more.
const SETTLED: Duration = Duration::from_millis(500);

#[test]
fn an_idle_server_and_its_clients_make_no_system_call() {
    const TEST: &str =
        concat!(module_path!(), "::an_idle_server_and_its_clients_make_no_system_call");
    if is_child(TEST) {
        let dir = std::env::var(DIR_ENV).expect("a directory");
        return be_idle(Path::new(&dir), &std::env::var(SIDE_ENV).expect("a side"));
    }
    let place = Place::new();
    let start = |side: &str| {
        let mut command = child(TEST);
        command.env(DIR_ENV, place.dir()).env(SIDE_ENV, side);
        let mut started = Killed::spawn(command);
        let output = BufReader::new(started.0.stdout.take().expect("its output"));
        assert!(output.lines().map_while(Result::ok).any(|line| line == READY), "{side} is there");
        started
    };
    let (server, clients) = (start("server"), start("clients"));
    quiet(SETTLED);
    let processes = [server.0.id(), clients.0.id()];
    // Whatever has a period shows in one of two looks in a row, up to a period of both together; what a busy machine
    // had not come to yet shows in the first.
    let quiet_twice = |_| are_idle(&processes, &place) && are_idle(&processes, &place);
    assert!((0..TRIES).any(quiet_twice), "{TRIES} times somebody did something");
}

/// Whether none of the threads of these processes does anything for as long as they are watched.
fn are_idle(processes: &[u32; 2], place: &Place) -> bool {
    let Some(lines) = strace(processes, place) else {
        let before = processes.map(switches);
        quiet(WATCHED);
        return processes.map(switches) == before;
    };
    let threads: usize = processes.iter().map(|id| switches(*id).len()).sum();
    println!("strace of {threads} threads over {WATCHED:?}:\n{}", lines.join("\n"));
    // The call that each sleeps in all the while is shown as it was found: not returned.
    let asleep = |line: &String| line.contains("unfinished") || line.contains("detached");
    lines.len() == threads && lines.iter().all(asleep)
}

fn be_idle(dir: &Path, side: &str) {
    let calls = endpoint_in(dir, increment::SERVICE);
    let snapshots = endpoint_in(dir, cgroups_snapshot::SERVICE);
    if side == "server" {
        let _calls = serve_increment(&calls, server_config());
        let provider = cgroups_snapshot::Server::bind(&snapshots, server_config()).expect("bound");
        let _provider = provider.spawn(|_, _| Ok(())).expect("spawned");
        return tell_parent_and_stay(READY);
    }
    let mut clients: Vec<_> = (0..20).map(|_| increment_client(&calls)).collect();
    for client in &mut clients {
        must_increment(client, 1);
    }
    let mut cache = cgroups_snapshot::Cache::new(snapshots, client_config());
    cache.refresh().expect("filled");
    tell_parent_and_stay(READY);
}

/// What strace writes of these processes in that time; `None` where it cannot trace.
fn strace(processes: &[u32], place: &Place) -> Option<Vec<String>> {
    let file = place.dir().join("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-q", "-o"]).arg(&file);
    for id in processes {
        command.args(["-p", &id.to_string()]);
    }
    let mut strace = command.stderr(Stdio::null()).spawn().ok()?;
    quiet(WATCHED);
    if strace.try_wait().expect("looked").is_some() {
        return None;
    }
    let id = strace.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    strace.wait().expect("it ends");
    // Where a busy machine has not let it begin there is none, which is a look that was not quiet.
    let text = std::fs::read_to_string(file).unwrap_or_default();
    Some(text.lines().map(str::to_owned).collect())
}

/// How often each thread of a process was put to sleep or pushed aside: none does anything
/// without one.
fn switches(process: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it lives");
    tasks
        .map(|task| {
            let path = task.expect("a task").path().join("status");
            let status = std::fs::read_to_string(path).expect("proc");
            status.lines().filter(|line| line.contains("ctxt_switches")).collect()
        })
        .collect()
}

#[test]
fn a_batch_of_one_hot_client_is_shared_by_a_second_worker() {
    const ITEMS: usize = 1000;
    const COST: Duration = Duration::from_micros(50);
    /// Other processes want the CPUs, too: the second worker may come too late for one batch.
    const TRIES: usize = 10;
    alone_in_child(
        concat!(module_path!(), "::a_batch_of_one_hot_client_is_shared_by_a_second_worker"),
        || {
            let place = Place::new();
            let threads_that_answered = |worker_count| {
                let endpoint = place.endpoint(increment::SERVICE);
                let config = ServerConfig { worker_count, ..server_config() };
                let server = increment::Server::bind(&endpoint, config).expect("bound");
                let threads = Arc::new(Mutex::new(HashSet::new()));
                let seen = Arc::clone(&threads);
                let _server = server
                    .spawn(move |request, response| {
                        let started = Instant::now();
                        seen.lock().expect("no panic").insert(std::thread::current().id());
                        while started.elapsed() < COST {
                            std::hint::spin_loop();
                        }
                        Ok(response.value(request.value() + 1).finish()?)
                    })
                    .expect("spawned");
                let mut client = increment_client(&endpoint);
                let started = Instant::now();
                let answers =
                    client.batch(ITEMS, |index, request| request.value(index as u64).finish());
                let answers = answers.expect("answers");
                let took = started.elapsed();
                assert!(answers.iter().map(|answer| answer.value()).eq(1..=ITEMS as u64));
                println!("1,000 items of 50 us: {took:?} with {worker_count} workers");
                threads.lock().expect("no panic").len()
            };
            assert_eq!(threads_that_answered(1), 1);
            let shared = (0..TRIES).any(|_| threads_that_answered(2) == 2);
            assert!(shared, "a second worker took no part, {TRIES} times");
        },
    );
}
