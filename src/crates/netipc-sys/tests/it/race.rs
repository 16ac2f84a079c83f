//! Many servers start on one name at once: one wins, and its endpoint stays.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Barrier};

use netipc_sys::{BindError, BindOptions, Listener, connect};

use crate::support::{
    Place, abort, accept, child, is_child, leave_stale_socket, long, recv, rounds, send,
};

const ROUNDS: usize = 50;
/// Of these, how many find the socket of a dead server (each takes the 150 ms of asking).
const STALE_EVERY: usize = 5;
const RACER: &str = "race::processes_that_bind_at_once_have_one_winner";
const PATH_ENV: &str = "NETIPC_SYS_TEST_PATH";

fn prepare(place: &Place, round: usize) {
    if round.is_multiple_of(STALE_EVERY) {
        leave_stale_socket(&place.socket());
    }
}

fn race_threads(racers: usize) {
    let place = Place::new();
    for round in 0..rounds(ROUNDS) {
        prepare(&place, round);
        let start = Arc::new(Barrier::new(racers));
        let threads: Vec<_> = (0..racers)
            .map(|_| {
                let (path, start) = (place.socket(), Arc::clone(&start));
                std::thread::spawn(move || {
                    start.wait();
                    Listener::bind(&path, &BindOptions::default())
                })
            })
            .collect();
        let results: Vec<_> = threads.into_iter().map(|t| t.join().expect("done")).collect();
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}: {lost:?}");
        for result in lost {
            let error = result.map(|_| ()).expect_err("lost");
            assert!(matches!(error, BindError::InUse { .. }), "round {round}: {error}");
        }
        for listener in won.into_iter().flatten() {
            let client = connect(&place.socket(), long(), &abort()).expect("the winner answers");
            send(&client, b"hello").expect("sent");
            assert_eq!(recv(&accept(&listener)), b"hello");
        }
        assert_eq!(place.names(), ["svc.lock"], "round {round}");
    }
}

#[test]
fn two_threads_that_bind_at_once_have_one_winner() {
    race_threads(2);
}

#[test]
fn ten_threads_that_bind_at_once_have_one_winner() {
    race_threads(10);
}

/// A process that binds once a line on its input, and keeps what it won until the next line.
struct Racer {
    child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Racer {
    fn start(path: &Path) -> Self {
        let mut child = child(RACER)
            .env(PATH_ENV, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let orders = child.stdin.take().expect("piped");
        let says = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, orders, says }
    }

    fn order(&mut self) {
        self.orders.write_all(b"\n").expect("it listens");
    }

    /// The next line that is an answer, not the test harness talking.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        while !line.trim_end().ends_with('!') {
            line.clear();
            assert_ne!(self.says.read_line(&mut line).expect("readable"), 0, "it died");
        }
        line.trim_end().trim_end_matches('!').to_owned()
    }

    fn run() {
        let path = std::env::var_os(PATH_ENV).expect("the parent says where");
        let mut won = None;
        for _line in std::io::stdin().lines() {
            let answer = if won.take().is_some() {
                "released".to_owned()
            } else {
                match Listener::bind(path.as_ref(), &BindOptions::default()) {
                    Ok(listener) => {
                        won = Some(listener);
                        "won".to_owned()
                    }
                    Err(BindError::InUse { .. }) => "lost".to_owned(),
                    Err(error) => error.to_string(),
                }
            };
            println!("\n{answer}!");
        }
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        // It may be dead already, which the test has said.
        let _dead = self.child.kill();
        let _dead = self.child.wait();
    }
}

#[test]
fn processes_that_bind_at_once_have_one_winner() {
    if is_child(RACER) {
        return Racer::run();
    }
    for racers in [2, 10] {
        let place = Place::new();
        let mut racers: Vec<_> = (0..racers).map(|_| Racer::start(&place.socket())).collect();
        for round in 0..rounds(ROUNDS) {
            prepare(&place, round);
            racers.iter_mut().for_each(Racer::order);
            let answers: Vec<_> = racers.iter_mut().map(Racer::answer).collect();
            let won = answers.iter().filter(|answer| *answer == "won").count();
            let lost = answers.iter().filter(|answer| *answer == "lost").count();
            assert_eq!((won, lost), (1, racers.len() - 1), "round {round}: {answers:?}");
            let winner = answers.iter().position(|answer| answer == "won").expect("one");
            let client = connect(&place.socket(), long(), &abort()).expect("the winner answers");
            let pid = client.peer().expect("an identity").pid;
            assert_eq!(pid, Some(racers[winner].child.id()));
            racers[winner].order();
            assert_eq!(racers[winner].answer(), "released");
            assert_eq!(place.names(), ["svc.lock"], "round {round}");
        }
    }
}

#[test]
fn a_killed_server_is_replaced_at_once() {
    for _ in 0..rounds(3) {
        let place = Place::new();
        let mut racer = Racer::start(&place.socket());
        racer.order();
        assert_eq!(racer.answer(), "won");
        drop(racer); // kill -9
        assert_eq!(place.names(), ["svc.lock", "svc.sock"]);
        let listener = crate::support::bind(&place.socket());
        let client = connect(&place.socket(), long(), &abort()).expect("connected");
        send(&client, b"back").expect("sent");
        assert_eq!(recv(&accept(&listener)), b"back");
    }
}
