//! Regions that dead servers left are removed when the next one starts, and nothing else is.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use netipc_sys::{RegionChannel, remove_stale_regions};
use rustix::process::{Resource, getrlimit};

use super::making::leftovers_of_the_dead;
use super::support::{SIZES, header, region_path};
use crate::process::{leave_descriptors, limit_descriptors};
use crate::support::{Place, in_child};

/// Which names are the service's is the caller's to say.
fn is_region(name: &[u8]) -> bool {
    name.starts_with(b"svc-") && name.ends_with(b".ipcshm")
}

fn sweep(place: &Place) -> usize {
    remove_stale_regions(place.dir(), is_region).expect("looked")
}

fn put(place: &Place, number: usize, bytes: &[u8]) {
    fs::write(place.dir().join(format!("svc-{number:016x}.ipcshm")), bytes).expect("written");
}

#[test]
fn the_regions_of_the_dead_are_removed() {
    let place = Place::new();
    let leftovers = leftovers_of_the_dead();
    for (number, bytes) in leftovers.iter().enumerate() {
        put(&place, number, bytes);
    }
    assert_eq!(sweep(&place), leftovers.len());
    assert_eq!(place.names(), [""; 0]);
    assert_eq!(sweep(&place), 0);
}

#[test]
fn the_living_and_the_foreign_keep_theirs() {
    let place = Place::new();
    let _living = RegionChannel::create(region_path(&place), SIZES).expect("created");
    // Process 1 is another user's, or at least not this one.
    put(&place, 2, &header(1, 1));
    fs::write(place.dir().join("other-0000000000000001.ipcshm"), "").expect("written");
    fs::create_dir(place.dir().join("svc-directory.ipcshm")).expect("made");
    std::os::unix::fs::symlink("/nowhere", place.dir().join("svc-link.ipcshm")).expect("made");
    let before = place.names();
    assert_eq!(sweep(&place), 0);
    assert_eq!(place.names(), before);
}

/// The pid is this process', which started after the file was made: so it is not the owner.
#[test]
fn a_reused_pid_is_not_the_owner() {
    let place = Place::new();
    let path = region_path(&place);
    let age = |path: &Path, age: Duration| {
        let made = started() - age;
        let file = File::options().write(true).open(path).expect("there");
        file.set_times(FileTimes::new().set_modified(made)).expect("set");
    };
    let myself = i32::try_from(std::process::id()).expect("a pid");
    fs::write(&path, header(myself, 1)).expect("written");
    assert_eq!(sweep(&place), 0, "made while its owner runs");
    // The margin is two seconds, and both clocks are coarse.
    age(&path, Duration::from_millis(1500));
    assert_eq!(sweep(&place), 0, "too close to tell");
    age(&path, Duration::from_millis(2500));
    assert_eq!(sweep(&place), 1);
}

/// When this process started.
fn started() -> SystemTime {
    let stat = fs::read_to_string("/proc/self/stat").expect("proc");
    let fields = stat.rsplit_once(") ").expect("a name").1;
    let ticks: u64 = fields.split(' ').nth(19).expect("a start").parse().expect("a number");
    let uptime = fs::read_to_string("/proc/uptime").expect("proc");
    let up: f64 = uptime.split(' ').next().expect("a number").parse().expect("a number");
    let since_boot = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    SystemTime::now() - Duration::from_secs_f64(up - since_boot)
}

/// Killed, and not yet asked for by its parent: it keeps its pid, and owns nothing any more.
#[test]
fn a_zombie_is_not_alive() {
    let place = Place::new();
    let mut child = Command::new("sleep").arg("60").spawn().expect("started");
    put(&place, 1, &header(i32::try_from(child.id()).expect("a pid"), 1));
    assert_eq!(sweep(&place), 0, "it runs");
    child.kill().expect("killed");
    let stat = format!("/proc/{}/stat", child.id());
    while !fs::read_to_string(&stat).expect("there").contains(") Z ") {
        std::thread::yield_now();
    }
    assert_eq!(sweep(&place), 1);
    child.wait().expect("reaped");
}

#[test]
fn without_descriptors_nothing_is_removed() {
    in_child("region::leftovers::without_descriptors_nothing_is_removed", || {
        let place = Place::new();
        let before = getrlimit(Resource::Nofile).current;
        // Of a process that runs: its start is a third file to open, beside the directory.
        put(&place, 1, &header(1, 0));
        put(&place, 2, &header(1, 1));
        for spare in [0, 1, 2] {
            leave_descriptors(spare);
            let refused = remove_stale_regions(place.dir(), is_region);
            limit_descriptors(before);
            let error = refused.expect_err("it could not look");
            assert_eq!(error.code(), libc::EMFILE);
            assert_eq!(place.names().len(), 2, "{spare} to spare");
        }
        assert_eq!(sweep(&place), 1);
    });
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let place = Place::new();
    let refused = remove_stale_regions(&place.dir().join("missing"), is_region);
    assert_eq!(refused.expect_err("nothing is there").code(), libc::ENOENT);
}
