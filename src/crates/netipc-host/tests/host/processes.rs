//! Scans of /proc, and processes joined to cgroups.

use std::fs;
use std::os::unix::fs::symlink;

use netipc_host::{
    CgroupTree, Generation, Host, HostConfig, MAX_COMM_BYTES, Membership, Orchestrator, Source,
};

use crate::fixture::{Fixture, known, paths, starttime};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[track_caller]
fn membership(generation: &Generation, pid: u32) -> String {
    match &generation.process(pid).unwrap().cgroup {
        Membership::Known(cgroup) => format!("known {}", cgroup.path.escape_ascii()),
        Membership::UnknownRetryLater { path } => format!("retry {}", path.escape_ascii()),
        Membership::UnknownPermanent { path } => format!("permanent {}", path.escape_ascii()),
        Membership::HostRoot => "root".into(),
    }
}

#[test]
fn every_field_is_read_and_the_cgroup_joined() {
    let fixture = Fixture::new();
    let path = format!("/system.slice/docker-{ID}.scope");
    fixture.cgroup(&path);
    fixture.process(4242, b"nginx", format!("0::{path}\n").as_bytes());
    let generation = fixture.scan();
    let process = generation.process(4242).unwrap();
    assert_eq!((process.pid, process.ppid, process.uid), (4242, 1, Some(1000)));
    assert_eq!(process.starttime_ticks, starttime(4242));
    assert_eq!(process.comm.as_bytes(), b"nginx");
    let Membership::Known(cgroup) = &process.cgroup else { panic!("{process:?}") };
    assert_eq!(*cgroup.name, *b"docker-0123456789ab");
    assert_eq!(cgroup.orchestrator, Orchestrator::Docker);
    assert!(generation.process(4243).is_none());
}

#[test]
fn hostile_names_harm_nobody() {
    let names: [&[u8]; 6] =
        [b") R 9 9 9", b"a\nUid:\t0", b"((((", b"\xff\xfe\xfd", b"1 (x) S 0", b" "];
    let fixture = Fixture::new();
    for (pid, name) in (10..).zip(names) {
        fixture.process(pid, name, b"0::/\n");
    }
    fixture.process(20, b"", b"0::/\n");
    fixture.process(21, b"kworker/u8:0-events_unbound", b"0::/\n");
    let generation = fixture.scan();
    for (pid, name) in (10..).zip(names) {
        let process = generation.process(pid).unwrap();
        assert_eq!(process.comm.as_bytes(), name);
        assert_eq!((process.ppid, process.uid), (1, Some(1000)));
        assert_eq!(process.starttime_ticks, starttime(pid));
    }
    assert_eq!(generation.process(20).unwrap().comm.as_bytes(), b"?");
    let cut = generation.process(21).unwrap().comm;
    assert_eq!((cut.as_bytes(), cut.as_bytes().len()), (&b"kworker/u8:0-ev"[..], MAX_COMM_BYTES));
}

#[test]
fn each_status_of_a_cgroup() {
    let fixture = Fixture::new();
    for path in ["/a", "/a (deleted)"] {
        fixture.cgroup(path);
    }
    let cases: [(&[u8], &str); 9] = [
        (b"0::/a\n", "known /a"),
        (b"0::/a (deleted)\n", "known /a (deleted)"),
        (b"0::/\n", "root"),
        (b"", "root"),
        (b"0::/new\n", "retry /new"),
        (b"0::/gone (deleted)\n", "permanent /gone (deleted)"),
        (b"0::/../outside\n", "permanent /../outside"),
        // v1: the path is certain without a tree.
        (b"3:memory:/m\n1:name=systemd:/s/x\n0::/\n", "known /s/x"),
        (b"1:name=systemd:/../s\n0::/\n", "permanent /../s"),
    ];
    for (pid, (text, _)) in (1..).zip(cases) {
        fixture.process(pid, b"x", text);
    }
    let no_cgroups = fixture.process(50, b"x", b"");
    fs::remove_file(no_cgroups.join("cgroup")).unwrap();
    let unreadable = fixture.process(51, b"x", b"");
    fs::remove_file(unreadable.join("cgroup")).unwrap();
    fs::create_dir(unreadable.join("cgroup")).unwrap();

    let generation = fixture.scan();
    for (pid, (_, expected)) in (1..).zip(cases) {
        assert_eq!(membership(&generation, pid), expected);
    }
    assert_eq!(membership(&generation, 50), "root");
    assert_eq!(membership(&generation, 51), "retry ");
}

#[test]
fn hosts_without_a_tree_still_show_processes_and_their_cgroups() {
    let hybrid = Fixture::new();
    let none = Fixture::without_tree();
    for fixture in [&hybrid, &none] {
        fixture.process(1, b"init", b"1:name=systemd:/\n0::/\n");
        let v1 = format!("4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n");
        fixture.process(2, b"web", v1.as_bytes());
    }
    none.process(3, b"late", b"0::/system.slice/x.service\n");

    let generation = hybrid.scan();
    assert!(matches!(generation.tree(), CgroupTree::Empty { .. }));
    assert_eq!(paths(&generation), [format!("/docker/{ID}")]);

    let generation = none.scan();
    assert!(matches!(generation.tree(), CgroupTree::Absent { .. }));
    assert_eq!(membership(&generation, 1), "root");
    assert_eq!(membership(&generation, 2), format!("known /docker/{ID}"));
    // cgroup v2 is there but not mounted: nothing better than its path will ever come.
    assert_eq!(membership(&generation, 3), "known /system.slice/x.service");
    let cgroup = known(&generation, format!("/docker/{ID}"));
    assert_eq!(*cgroup.name, *b"docker-0123456789ab");
    assert_eq!((cgroup.source, cgroup.is_enabled), (Source::Processes, true));
    assert_eq!((cgroup.memory_bytes, cgroup.processes), (None, 1));
}

#[test]
fn processes_count_for_their_cgroup_and_all_above() {
    let fixture = Fixture::new();
    fixture.cgroup("/a/b/c");
    fixture.cgroup("/ab");
    for (pid, text) in (1..).zip(["0::/a\n", "0::/a/b/c\n", "0::/a/b/c\n", "0::/ab\n", "0::/\n"]) {
        fixture.process(pid, b"x", text.as_bytes());
    }
    let generation = fixture.scan();
    let counts = ["/a", "/a/b", "/a/b/c", "/ab"].map(|path| known(&generation, path).processes);
    assert_eq!(counts, [3, 2, 2, 1]);
}

#[test]
fn what_is_no_process_is_passed_over() {
    let fixture = Fixture::new();
    fixture.process(7, b"good", b"0::/\n");
    let ended = fixture.process(8, b"ended", b"0::/\n");
    fs::remove_file(ended.join("stat")).unwrap();
    let garbage = fixture.process(9, b"garbage", b"0::/\n");
    fs::write(garbage.join("stat"), b"9 (garbage").unwrap();
    let uidless = fixture.process(10, b"uidless", b"0::/\n");
    fs::remove_file(uidless.join("status")).unwrap();
    symlink("7", fixture.proc().join("11")).unwrap();
    fs::write(fixture.proc().join("12"), "").unwrap();
    for name in ["4294967296", "-7", "+7", "7x", "sys"] {
        let directory = fixture.proc().join(name);
        fs::create_dir(&directory).unwrap();
        fs::copy(fixture.proc().join("7/stat"), directory.join("stat")).unwrap();
    }
    let generation = fixture.scan();
    let pids: Vec<_> = generation.processes().iter().map(|process| process.pid).collect();
    assert_eq!(pids, [7, 10]);
    assert_eq!(generation.process(10).unwrap().uid, None);
}

#[test]
fn pids_ascend_and_are_all_there() {
    let fixture = Fixture::new();
    for pid in [300, 5, 4_194_303, 1, 77] {
        fixture.process(pid, b"x", b"0::/\n");
    }
    let generation = fixture.scan();
    let pids: Vec<_> = generation.processes().iter().map(|process| process.pid).collect();
    assert_eq!(pids, [1, 5, 77, 300, 4_194_303]);
}

#[test]
fn a_proc_that_cannot_be_read_is_an_error() {
    let config = HostConfig { proc_root: "/nonexistent/proc".into(), ..HostConfig::default() };
    let error = Host::new(config).current().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("/nonexistent/proc"), "{error}");
}
