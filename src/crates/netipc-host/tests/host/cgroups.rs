//! Scans of cgroup trees.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use netipc_host::{
    Absence, CgroupAnswer, CgroupTree, MAX_DEPTH, MAX_NAME_BYTES, MAX_PATH_BYTES, Omitted,
    Orchestrator, Source, label as key, name_hash,
};

use crate::fixture::{Fixture, known, label, paths, write};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const POD: &str = "8c51bbf3_4d4e_4c5a_9a43_7a1d1e7f0a21";

#[test]
fn a_host_of_every_kind_is_told_apart() {
    let fixture = Fixture::new();
    let pod = format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD}.slice");
    let cases = [
        ("/system.slice/nginx.service".into(), "nginx.service", Orchestrator::Systemd),
        (format!("/system.slice/docker-{ID}.scope"), "docker-0123456789ab", Orchestrator::Docker),
        (format!("/machine.slice/libpod-{ID}.scope"), "podman-0123456789ab", Orchestrator::Podman),
        (format!("{pod}/cri-containerd-{ID}.scope"), "k8s-0123456789ab", Orchestrator::K8s),
        ("/lxc.payload.web".into(), "web", Orchestrator::Lxc),
        (r"/machine.slice/machine-qemu\x2d1\x2ddb\x2d01.scope".into(), "db-01", Orchestrator::Kvm),
        ("/machine.slice/machine-box.scope".into(), "box", Orchestrator::Nspawn),
        ("/something/else".into(), "something/else", Orchestrator::Unknown),
    ];
    for (path, ..) in &cases {
        fixture.cgroup(path);
    }
    let generation = fixture.scan();
    for (path, name, orchestrator) in &cases {
        let cgroup = known(&generation, path);
        assert_eq!(&*cgroup.path, path.as_bytes());
        assert_eq!(*cgroup.name, *name.as_bytes(), "{path}");
        assert_eq!(cgroup.hash, name_hash(name.as_bytes()));
        assert_eq!(cgroup.orchestrator, *orchestrator, "{path}");
        assert_eq!(cgroup.source, Source::Tree);
    }
    assert!(generation.is_systemd());
    let labels = &known(&generation, format!("{pod}/cri-containerd-{ID}.scope")).labels;
    assert_eq!(label(labels, key::POD_UID).unwrap(), POD.replace('_', "-"));
    assert_eq!(label(labels, key::QOS_CLASS).unwrap(), "burstable");
    assert_eq!(label(labels, key::CONTAINER_ID).unwrap(), ID);
    // The folders in between are cgroups too.
    let mut sorted = paths(&generation);
    assert_eq!(sorted.len(), generation.cgroups().len());
    assert!(sorted.contains(&pod) && sorted.contains(&"/something".to_owned()));
    sorted.sort();
    assert_eq!(sorted, paths(&generation));
    assert!(matches!(
        generation.tree(),
        CgroupTree::Present { root, omitted } if *root == fixture.tree()
            && *omitted == Omitted::default()
    ));
}

/// Against values that the authors of FNV publish. (The hashes in the golden vectors are arbitrary
/// numbers: to the contract a hash is whatever its producer says.)
#[test]
fn the_hash_is_fnv_1() {
    let published: [(&[u8], u32); 4] =
        [(b"", 0x811c_9dc5), (b"a", 0x050c_5d7e), (b"b", 0x050c_5d7d), (b"foobar", 0x31f0_b262)];
    for (name, hash) in published {
        assert_eq!(name_hash(name), hash);
    }
}

#[test]
fn files_tell_memory_and_whether_anybody_lives_there() {
    let fixture = Fixture::new();
    let full = fixture.cgroup("/full");
    write(&full, "memory.current", "123456789\n");
    write(&full, "cgroup.events", "populated 1\nfrozen 0\n");
    let empty = fixture.cgroup("/empty");
    write(&empty, "memory.current", "garbage\n");
    write(&empty, "cgroup.events", "populated 0\nfrozen 0\n");
    fixture.cgroup("/bare");

    let generation = fixture.scan();
    let facts = |path: &str| {
        let cgroup = known(&generation, path);
        (cgroup.memory_bytes, cgroup.is_enabled)
    };
    assert_eq!(facts("/full"), (Some(123_456_789), true));
    assert_eq!(facts("/empty"), (None, false));
    assert_eq!(facts("/bare"), (None, true));
    assert!(!generation.is_systemd());
}

#[test]
fn names_are_bytes() {
    let fixture = Fixture::new();
    let names: [&[u8]; 4] = [b"/\xff\xfe", b"/a b\tc", b"/\xc3\xa4", b"/x:y"];
    for name in names {
        fixture.cgroup(name);
    }
    let generation = fixture.scan();
    for name in names {
        let cgroup = known(&generation, name);
        assert_eq!(&*cgroup.path, name);
        assert_eq!(*cgroup.name, name[1..]);
    }
}

#[test]
fn two_cgroups_never_share_a_name() {
    let fixture = Fixture::new();
    let machine = "/machine.slice/machine-web.scope";
    for path in ["/lxc.payload.web", machine, "/lxc.payload.web/x", "/web/x"] {
        fixture.cgroup(path);
    }
    let generation = fixture.scan();
    let name = |path: &str| known(&generation, path).name.escape_ascii().to_string();
    assert_eq!(name("/lxc.payload.web"), "web");
    assert_eq!(name(machine), machine);
    assert_eq!(name("/lxc.payload.web/x"), "web/x");
    assert_eq!(name("/web/x"), "/web/x");
    assert_eq!(known(&generation, machine).hash, name_hash(machine.as_bytes()));
}

#[test]
fn deep_and_long_trees_are_cut_and_counted() {
    let fixture = Fixture::new();
    let deepest = "/d".repeat(MAX_DEPTH);
    fixture.cgroup(format!("{deepest}/beyond/more"));
    let generation = fixture.scan();
    known(&generation, &deepest);
    let beyond = format!("{deepest}/beyond");
    assert!(matches!(generation.cgroup(beyond.as_bytes()), CgroupAnswer::UnknownPermanent));
    assert_eq!(omitted(generation.tree()), Omitted { too_deep: 1, ..Omitted::default() });

    // Longer than any one path that the kernel would open: made and removed level by level.
    let fixture = Fixture::new();
    let name = "n".repeat(MAX_NAME_BYTES);
    let levels = MAX_PATH_BYTES / (MAX_NAME_BYTES + 1);
    let long = deep_chain(&fixture, &name, levels + 1);
    let generation = fixture.scan();
    let longest = format!("/{name}").repeat(levels);
    assert_eq!(*known(&generation, &longest).name, *name.as_bytes());
    assert_eq!(generation.cgroups().len(), levels);
    assert_eq!(omitted(generation.tree()), Omitted { path_too_long: 1, ..Omitted::default() });
    drop(long);
}

/// Makes `levels` directories, each in the last, whose joined path is too long for one call: the
/// lower half is made apart and moved into its place.
fn deep_chain(fixture: &Fixture, name: &str, levels: usize) -> tempfile::TempDir {
    let apart = tempfile::tempdir_in(fixture.tree().parent().unwrap()).unwrap();
    let upper = fixture.cgroup(format!("/{name}").repeat(levels / 2));
    let lower = apart.path().join("lower");
    fs::create_dir_all(lower.join(format!("{name}/").repeat(levels - levels / 2 - 1))).unwrap();
    fs::rename(lower, upper.join(name)).unwrap();
    apart
}

fn omitted(tree: &CgroupTree) -> Omitted {
    match tree {
        CgroupTree::Present { omitted, .. } => *omitted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn links_are_not_followed() {
    let fixture = Fixture::new();
    let real = fixture.cgroup("/real");
    symlink(&real, fixture.tree().join("link")).unwrap();
    symlink("/", real.join("host")).unwrap();
    let secret = fixture.proc().join("secret");
    fs::write(&secret, "42\n").unwrap();
    symlink(&secret, real.join("memory.current")).unwrap();
    let generation = fixture.scan();
    assert_eq!(paths(&generation), ["/real"]);
    assert_eq!(known(&generation, "/real").memory_bytes, None);
}

#[test]
fn what_cannot_be_known_is_told_from_what_may_come() {
    let fixture = Fixture::new();
    fixture.cgroup("/a");
    fixture.cgroup("/really (deleted)");
    let generation = fixture.scan();
    known(&generation, "/really (deleted)");
    for path in ["/b", "/a/b", "/a/", "/..a"] {
        let answer = generation.cgroup(path.as_bytes());
        assert!(matches!(answer, CgroupAnswer::UnknownRetryLater), "{path}: {answer:?}");
    }
    let long = format!("/{}", "x".repeat(MAX_PATH_BYTES));
    let deep = "/d".repeat(MAX_DEPTH + 1);
    for path in ["", "/", "a", "/..", "/../x", "/gone (deleted)", "/a\0b", &long, &deep] {
        let answer = generation.cgroup(path.as_bytes());
        assert!(matches!(answer, CgroupAnswer::UnknownPermanent), "{path:?}: {answer:?}");
    }
}

#[test]
fn hosts_without_a_tree_say_so() {
    let absence = |fixture: &Fixture| match fixture.scan().tree() {
        CgroupTree::Absent { why } => why.to_string(),
        other => panic!("{other:?}"),
    };

    assert!(matches!(Fixture::new().scan().tree(), CgroupTree::Empty { .. }));

    let v1 = Fixture::without_tree();
    v1.mountinfo("35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    assert!(matches!(v1.scan().tree(), CgroupTree::Absent { why: Absence::NotMounted }));

    let vanished = Fixture::without_tree();
    vanished.mountinfo("41 31 0:38 / /nonexistent/cgroup rw - cgroup2 cgroup2 rw\n");
    assert!(absence(&vanished).contains("/nonexistent/cgroup"), "{}", absence(&vanished));

    let blind = Fixture::without_tree();
    fs::remove_file(blind.proc().join("self/mountinfo")).unwrap();
    assert!(absence(&blind).contains("mountinfo"), "{}", absence(&blind));

    let wrong = Fixture::new();
    fs::remove_dir(wrong.tree()).unwrap();
    fs::write(wrong.tree(), "").unwrap();
    assert!(absence(&wrong).contains("cgroup"), "{}", absence(&wrong));
}

#[test]
fn the_mount_table_leads_to_the_tree() {
    let fixture = Fixture::new();
    fixture.cgroup("/inner");
    let found = |root: &str| {
        let mounted = Fixture::without_tree();
        mounted.mountinfo(&format!(
            "41 31 0:38 {root} {} rw - cgroup2 cgroup2 rw\n",
            fixture.tree().display()
        ));
        mounted.process(7, b"inside", b"0::/docker/ab/inner\n");
        mounted.process(8, b"outside", b"0::/docker/abc\n");
        let generation = mounted.scan();
        let answers = [b"/docker/ab/new".as_slice(), b"/docker/abc", b"/inner"]
            .map(|path| matches!(generation.cgroup(path), CgroupAnswer::UnknownPermanent));
        (paths(&generation), answers)
    };
    assert_eq!(found("/").0, ["/inner"]);
    // A part of the hierarchy, as a container without a cgroup namespace sees it.
    let expected = vec!["/docker/ab".to_owned(), "/docker/ab/inner".to_owned()];
    assert_eq!(found("/docker/ab"), (expected, [false, true, true]));
}

#[test]
fn a_tree_that_changes_while_it_is_read_shows_what_stayed() {
    let fixture = Fixture::new();
    for stable in 0..20 {
        fixture.cgroup(format!("/s{stable}/inner"));
    }
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let passing = fixture.cgroup("/s3/passing/inner");
                fs::remove_dir(&passing).unwrap();
                fs::remove_dir(passing.parent().unwrap()).unwrap();
            }
        });
        for _ in 0..50 {
            let generation = fixture.scan();
            let stable = paths(&generation).into_iter().filter(|p| !p.contains("passing"));
            assert_eq!(stable.count(), 40);
            assert_eq!(omitted(generation.tree()), Omitted::default());
        }
        is_done.store(true, Ordering::Relaxed);
    });
}
