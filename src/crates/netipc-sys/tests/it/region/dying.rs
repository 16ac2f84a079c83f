//! Processes that are killed between two steps of a publication, and what is left for the survivor.

use std::path::Path;
use std::time::{Duration, Instant};

use netipc_sys::{RegionChannel, RegionError, Until, failpoints, remove_stale_regions};

use super::support::{RemoteClient, SIZES, attach, receive, region_path, watching};
use crate::support::{abort, is_child, rounds, within};

/// How late a peer's death may be noticed.
const DEATH: Duration = Duration::from_millis(100);
/// The first step after which the message is there for the peer to find.
const PUBLISHED: &str = "Numbered";

const CLIENT: &str = "region::dying::a_client_killed_at_any_step_leaves_a_message_or_nothing";
const SERVER: &str = "region::dying::a_server_killed_at_any_step_leaves_a_message_or_nothing";

/// The steps, each with whether the message of a process that dies there is published.
fn steps() -> impl Iterator<Item = (&'static str, bool)> {
    let first = failpoints::STEPS.iter().position(|step| *step == PUBLISHED).expect("a step");
    failpoints::STEPS.into_iter().enumerate().map(move |(at, step)| (step, at >= first))
}

/// What the survivor finds: the message, whole, if it was published; then that the peer is gone.
fn survive(survivor: &RegionChannel, until: Until<'_>, is_published: bool, wanted: &[u8]) {
    if is_published {
        assert_eq!(receive(survivor, until), wanted);
    }
    let mut buffer = Vec::new();
    let gone = survivor.receive(&mut buffer, usize::MAX, until);
    assert_eq!(gone, Err(RegionError::PeerGone));
    survivor.send(&[b"to nobody"]).expect("it harms nobody");
}

#[test]
fn a_client_killed_at_any_step_leaves_a_message_or_nothing() {
    if is_child(CLIENT) {
        return RemoteClient::run(SIZES, |client, _socket, step| {
            failpoints::die_after(step);
            client.send(&[b"my last", b" words"]).expect("it dies here");
            "alive".to_owned()
        });
    }
    for _ in 0..rounds(1) {
        for (step, is_published) in steps() {
            within(DEATH, || {
                let mut client = RemoteClient::start(CLIENT, SIZES);
                client.order(step);
                client.child.wait().expect("it dies");
                let (start, stop) = (Instant::now(), abort());
                let until = watching(&client.socket, &stop);
                survive(&client.server, until, is_published, b"my last words");
                start.elapsed()
            });
        }
    }
}

#[test]
fn a_server_killed_at_any_step_leaves_a_message_or_nothing() {
    if is_child(SERVER) {
        return RemoteClient::run(SIZES, |_client, socket, order| {
            let (path, step) = order.split_once(' ').expect("two words");
            let server = RegionChannel::create(Path::new(path), SIZES).expect("created");
            println!("\nmade!");
            let stop = abort();
            assert_eq!(receive(&server, watching(socket, &stop)), b"a question");
            failpoints::die_after(step);
            server.send(&[b"half an", b" answer"]).expect("it dies here");
            "alive".to_owned()
        });
    }
    for _ in 0..rounds(1) {
        for (step, is_published) in steps() {
            within(DEATH, || {
                let mut server = RemoteClient::start(SERVER, SIZES);
                let path = server.place.dir().join("svc-0000000000000002.ipcshm");
                server.order(&format!("{} {step}", path.display()));
                assert_eq!(server.answer(), "made");
                let client = attach(&path, SIZES, &server.socket).expect("attached");
                client.send(&[b"a question"]).expect("sent");
                server.child.wait().expect("it dies");
                let (start, stop) = (Instant::now(), abort());
                let until = watching(&server.socket, &stop);
                survive(&client, until, is_published, b"half an answer");
                let took = start.elapsed();
                // Its file is left, and goes with the next server's start.
                let is_region = |name: &[u8]| name.ends_with(b".ipcshm");
                assert_eq!(remove_stale_regions(server.place.dir(), is_region), Ok(1));
                assert!(region_path(&server.place).exists(), "that one is this process'");
                took
            });
        }
    }
}
