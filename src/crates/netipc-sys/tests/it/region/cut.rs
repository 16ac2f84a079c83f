//! Files that are cut off under a mapping: an error for the session, and no SIGBUS for the process.

use std::fs::File;
use std::process::Command;

use netipc_sys::{Breach, RegionError, Until};

use super::support::{Ends, SIZES, file_of, receive, watching};
use crate::support::{abort, asleep_in, in_child, is_child};

const CUT: Result<usize, RegionError> = Err(RegionError::Broken(Breach::CutOff));

/// Several pages, so that a part of them can be cut off.
const LARGE: netipc_sys::RegionSizes =
    netipc_sys::RegionSizes { request_bytes: 16_384, response_bytes: 16_384 };

#[test]
fn a_region_that_is_cut_off_breaks_its_session_and_not_the_process() {
    for keep in [0, 4096] {
        let ends = Ends::new(LARGE);
        let bystander = Ends::new(LARGE);
        ends.client.send(&[&[1; 16_000]]).expect("sent");
        bystander.client.send(&[b"untouched"]).expect("sent");
        file_of(&ends).set_len(keep).expect("cut off");
        let mut buffer = Vec::new();
        let stop = abort();
        let until = watching(&ends.server_socket, &stop);
        assert_eq!(ends.server.receive(&mut buffer, usize::MAX, until), CUT, "keeping {keep}");
        assert_eq!(ends.server.send(&[&[2; 16_000]]).map(|()| 0), CUT);
        // The other end finds it out by itself: it may be another process.
        assert_eq!(ends.client.send(&[&[3; 16_000]]).map(|()| 0), CUT);
        let until = watching(&ends.client_socket, &stop);
        assert_eq!(ends.client.receive(&mut buffer, usize::MAX, until), CUT);
        assert_eq!(receive(&bystander.server, Until::ended()), b"untouched");
    }
}

#[test]
fn who_sleeps_while_the_region_is_cut_off_can_still_be_ended() {
    let Ends { server, client: _client, place, .. } = Ends::new(SIZES);
    let path = super::support::region_path(&place);
    let handle = server.handle();
    let waiting = asleep_in(move || server.wait(Until::ended()));
    File::options().write(true).open(path).expect("there").set_len(0).expect("cut off");
    handle.end();
    let ended = waiting.join().expect("no signal");
    let cut = Err(RegionError::Broken(Breach::CutOff));
    assert!(ended == Err(RegionError::Ended) || ended == cut, "{ended:?}");
}

/// More regions than a piece of the table holds; each is found.
#[test]
fn every_region_of_many_survives_being_cut_off() {
    let many: Vec<_> = (0..70).map(|_| Ends::new(SIZES)).collect();
    for ends in &many {
        file_of(ends).set_len(0).expect("cut off");
        assert_eq!(ends.server.send(&[b"lost"]).map(|()| 0), CUT);
        assert_eq!(ends.client.send(&[b"lost"]).map(|()| 0), CUT);
    }
}

/// A fault elsewhere ends the process by the signal that it would have had without us.
#[test]
fn other_faults_are_as_deadly_as_before() {
    const TEST: &str = "region::cut::other_faults_are_as_deadly_as_before";
    if is_child(TEST) {
        let ends = Ends::new(SIZES);
        let words = super::memory::Words::of(&ends.path());
        file_of(&ends).set_len(0).expect("cut off");
        // The test's own mapping, of which the library knows nothing.
        let _never = words.at(0).load(std::sync::atomic::Ordering::Relaxed);
        println!("alive");
        return;
    }
    let output = crate::support::child(TEST).output().expect("the child ran");
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(libc::SIGBUS), "{}", String::from_utf8_lossy(&output.stdout));
}

/// So does a SIGBUS that a process sends, where it did before.
#[test]
#[allow(unsafe_code)]
fn a_sigbus_that_is_sent_is_as_deadly_as_before() {
    const TEST: &str = "region::cut::a_sigbus_that_is_sent_is_as_deadly_as_before";
    if is_child(TEST) {
        // SAFETY: no handler is installed, only the default disposition, in the place of that of
        // Rust's runtime, which nothing here relies on.
        let before = unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        assert_ne!(before, libc::SIG_ERR);
        let _ends = Ends::new(SIZES);
        let own = std::process::id().to_string();
        Command::new("kill").args(["-BUS", &own]).status().expect("sent");
        println!("alive");
        return;
    }
    let output = crate::support::child(TEST).output().expect("the child ran");
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(libc::SIGBUS), "{}", String::from_utf8_lossy(&output.stdout));
}

/// What was cut off and given back holds zeros: the counters have gone back, which is a breach.
#[test]
fn a_region_that_was_cut_off_and_grown_again_is_broken() {
    in_child("region::cut::a_region_that_was_cut_off_and_grown_again_is_broken", || {
        let ends = Ends::new(SIZES);
        ends.client.send(&[b"one"]).expect("sent");
        assert_eq!(receive(&ends.server, Until::ended()), b"one");
        let file = file_of(&ends);
        let len = file.metadata().expect("open").len();
        file.set_len(0).expect("cut off");
        file.set_len(len).expect("grown");
        let broken = ends.server.try_receive(&mut Vec::new(), 64);
        let breach = Breach::Sequence { seen: 1, found: 0 };
        assert_eq!(broken, Err(RegionError::Broken(breach)));
    });
}
