//! Clients that are killed, over and over: their server keeps nothing of them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use netipc::server::ServerConfig;
use netipc_services::increment;

use super::support::{
    Killed, Place, child, endpoint_in, eventually, in_child, increment_client, is_child,
    must_increment, rounds, serve_increment, server_config, tell_parent_and_stay,
};

const KILLS: usize = 500;
const DIR_ENV: &str = "NETIPC_TEST_DIR";
const READY: &str = "ready";
/// How soon a death is to be noticed, and what the dead one had is gone.
const GONE_WITHIN: Duration = Duration::from_millis(100);
/// A machine that is busy with other things may be late now and then.
const LATE_AT_MOST_ONE_IN: usize = 20;
/// Pages that come and go with whatever the process does.
const RESIDENT_SLACK_KIB: u64 = 2048;

/// What a process has.
#[derive(Debug, PartialEq, Eq)]
struct Belongings {
    threads: usize,
    descriptors: usize,
    files: Vec<String>,
}

fn belongings(place: &Place) -> Belongings {
    let count = |path| std::fs::read_dir(path).expect("readable").count();
    let entries = std::fs::read_dir(place.dir()).expect("readable");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut files: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    files.sort();
    Belongings { threads: count("/proc/self/task"), descriptors: count("/proc/self/fd"), files }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the field");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

#[test]
fn a_server_whose_clients_are_killed_again_and_again_stays_as_it_was() {
    const TEST: &str = concat!(
        module_path!(),
        "::a_server_whose_clients_are_killed_again_and_again_stays_as_it_was"
    );
    if is_child(TEST)
        && let Ok(dir) = std::env::var(DIR_ENV)
    {
        let mut client = increment_client(&endpoint_in(Path::new(&dir), increment::SERVICE));
        must_increment(&mut client, 1);
        return tell_parent_and_stay(READY);
    }
    in_child(TEST, || {
        let place = Place::new();
        let endpoint = place.endpoint(increment::SERVICE);
        let config = ServerConfig { max_sessions: 2, worker_count: 2, ..server_config() };
        let server = serve_increment(&endpoint, config);
        let live_and_let_die = || {
            let mut command = child(TEST);
            command.env(DIR_ENV, place.dir());
            let mut client = Killed::spawn(command);
            let output = BufReader::new(client.0.stdout.take().expect("its output"));
            let mut lines = output.lines().map_while(Result::ok);
            assert!(lines.any(|line| line == READY), "the client never came");
            client.kill();
        };
        let everything_is_gone = |before: &Belongings| {
            eventually("no session is left", || server.status().sessions == 0);
            eventually("nothing of it is left", || belongings(&place) == *before);
        };
        // The first ones make what is made once.
        let before = belongings(&place);
        for _ in 0..3 {
            live_and_let_die();
            eventually("no session is left", || server.status().sessions == 0);
        }
        everything_is_gone(&before);
        let (kills, resident) = (rounds(KILLS), resident_kib());
        let mut took = Vec::new();
        for _ in 0..kills {
            live_and_let_die();
            let died = Instant::now();
            everything_is_gone(&before);
            took.push(died.elapsed());
        }
        took.sort();
        let late = took.iter().filter(|time| **time > GONE_WITHIN).count();
        let grown = resident_kib().saturating_sub(resident);
        println!(
            "{kills} killed clients: gone after {:?} at the median, {:?} at most; {grown} KiB more \
             resident",
            took[took.len() / 2],
            took[took.len() - 1]
        );
        assert!(late <= kills / LATE_AT_MOST_ONE_IN, "{late} of {kills} were noticed late");
        assert!(grown <= RESIDENT_SLACK_KIB, "{grown} KiB more");
        must_increment(&mut increment_client(&endpoint), 41);
        assert_eq!(server.status().handshakes.busy, 0);
    });
}
