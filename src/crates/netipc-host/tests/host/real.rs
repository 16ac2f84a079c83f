//! The host that the tests run on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use netipc_host::{CgroupTree, GENERATION_AGE, Host, HostConfig, Membership};

use crate::fixture::Clock;

#[test]
fn this_process_and_its_child_are_found() {
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let clock = Clock::new();
    let host = clock.host(HostConfig::default());
    let generation = host.current().unwrap();

    let own = generation.process(std::process::id()).unwrap();
    assert_eq!(own.ppid, std::os::unix::process::parent_id());
    assert_eq!(own.uid, Some(fs::metadata("/proc/self").unwrap().uid()));
    let comm = fs::read("/proc/self/comm").unwrap();
    assert_eq!(own.comm.as_bytes(), comm.trim_ascii_end());

    let cat = generation.process(child.id()).unwrap();
    assert_eq!((cat.ppid, cat.comm.as_bytes()), (own.pid, b"cat".as_slice()));
    assert!(cat.starttime_ticks >= own.starttime_ticks && own.starttime_ticks > 0);
    // It lives where its parent does.
    let place = |membership: &Membership| match membership {
        Membership::Known(cgroup) => cgroup.path.to_vec(),
        Membership::UnknownRetryLater { path } | Membership::UnknownPermanent { path } => {
            path.to_vec()
        }
        Membership::HostRoot => b"/".to_vec(),
    };
    assert_eq!(place(&cat.cgroup), place(&own.cgroup));

    child.kill().unwrap();
    child.wait().unwrap();
    clock.advance(GENERATION_AGE);
    assert!(host.current().unwrap().process(child.id()).is_none());
}

#[test]
fn the_tree_of_this_host_is_found_where_it_is_mounted() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let is_mounted = mounts.lines().any(|line| line.contains(" - cgroup2 "));
    let generation = Host::new(HostConfig::default()).current().unwrap();
    match generation.tree() {
        CgroupTree::Absent { why } => assert!(!is_mounted, "{why}"),
        CgroupTree::Empty { root } | CgroupTree::Present { root, .. } => {
            assert!(root.join("cgroup.controllers").exists(), "{}", root.display());
        }
    }
}
