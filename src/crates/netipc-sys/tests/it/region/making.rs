//! Making a region: what is made, what is in the way, and what happens where there is no room.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use netipc_sys::{CreateError, RegionChannel, RegionSizes};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

use super::support::{Ends, SIZES, file_of, header, region_path};
use crate::process::{leave_descriptors, limit_descriptors};
use crate::support::{Place, in_child};

fn create(path: &Path) -> Result<RegionChannel, CreateError> {
    RegionChannel::create(path, SIZES)
}

#[test]
fn a_region_is_what_the_contract_says() {
    let place = Place::new();
    let path = region_path(&place);
    let region = create(&path).expect("created");
    let stat = fs::symlink_metadata(&path).expect("there");
    // Areas of whole lines: 1056 and 4133 bytes, rounded up.
    let (request, response) = (1088, 4160);
    assert_eq!(stat.len(), 64 + request + response);
    assert_eq!(region.len_bytes() as u64, stat.len());
    assert!(stat.blocks() * 512 >= stat.len(), "all of it is reserved");
    assert_eq!(stat.mode() & 0o7777, 0o600);
    let bytes = fs::read(&path).expect("read");
    let number = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four"));
    assert_eq!(number(0), 0x4e53_484d);
    assert_eq!(bytes[4..8], [3_u16.to_ne_bytes(), 64_u16.to_ne_bytes()].concat());
    assert_eq!(number(8), std::process::id());
    assert_ne!(number(12), 0);
    let areas = [16, 20, 24, 28].map(number).map(u64::from);
    assert_eq!(areas, [64, request, 64 + request, response]);
    assert!(bytes[32..].iter().all(|byte| *byte == 0), "counters and areas are zero");
    drop(region);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn the_mode_of_a_region_is_0600_whatever_the_umask() {
    in_child("region::making::the_mode_of_a_region_is_0600_whatever_the_umask", || {
        for mask in [0o777, 0o000, 0o022] {
            let place = Place::new();
            umask(Mode::from_raw_mode(mask));
            let _region = create(&region_path(&place)).expect("created");
            umask(Mode::from_raw_mode(0o022));
            let mode = fs::symlink_metadata(region_path(&place)).expect("there").mode();
            assert_eq!(mode & 0o7777, 0o600, "umask {mask:o}");
        }
    });
}

#[test]
fn a_live_region_keeps_its_name_and_a_dead_servers_does_not() {
    let place = Place::new();
    let path = region_path(&place);
    let living = create(&path).expect("created");
    assert_eq!(create(&path).map(|_| ()), Err(CreateError::Taken));
    drop(living);
    for leftover in leftovers_of_the_dead() {
        fs::write(&path, &leftover).expect("written");
        drop(create(&path).expect("it is in nobody's way"));
        assert_eq!(place.names(), [""; 0]);
    }
}

/// Headers of no live owner, and files that are no regions.
pub(super) fn leftovers_of_the_dead() -> Vec<Vec<u8>> {
    let mut dead = Command::new("true").spawn().expect("started");
    dead.wait().expect("reaped");
    let myself = i32::try_from(std::process::id()).expect("a pid");
    vec![
        header(i32::try_from(dead.id()).expect("a pid"), 1),
        header(myself, 0),
        header(0, 1),
        header(-1, 1),
        header(i32::MIN, 1),
        b"no region".to_vec(),
        vec![7; 64],
        Vec::new(),
    ]
}

#[test]
fn what_is_no_file_keeps_its_name() {
    let place = Place::new();
    let path = region_path(&place);
    let target = place.dir().join("target");
    fs::write(&target, "precious").expect("written");
    symlink(&target, &path).expect("linked");
    assert_eq!(create(&path).map(|_| ()), Err(CreateError::Taken));
    assert_eq!(fs::read(&target).expect("there"), b"precious", "nobody writes through the link");
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    assert_eq!(create(&path).map(|_| ()), Err(CreateError::Taken));
    fs::remove_dir(&path).expect("removed");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RWXU, 0)
        .expect("made");
    assert_eq!(create(&path).map(|_| ()), Err(CreateError::Taken), "and it does not wait for it");
}

#[test]
fn another_file_at_the_name_is_not_removed_with_the_region() {
    let Ends { server, client, place, .. } = Ends::new(SIZES);
    let path = region_path(&place);
    fs::rename(&path, place.dir().join("moved")).expect("moved");
    fs::write(&path, "another's").expect("written");
    drop((server, client));
    assert_eq!(fs::read(&path).expect("there"), b"another's");
}

#[test]
fn limits_beyond_any_region_are_refused() {
    let place = Place::new();
    for sizes in [
        RegionSizes { request_bytes: usize::MAX, response_bytes: 64 },
        RegionSizes { request_bytes: 64, response_bytes: u32::MAX as usize },
        RegionSizes { request_bytes: 1 << 31, response_bytes: 1 << 31 },
    ] {
        let refused = RegionChannel::create(region_path(&place), sizes).map(|_| ());
        assert_eq!(refused, Err(CreateError::TooLarge));
    }
    assert_eq!(place.names(), [""; 0]);
}

/// The limit of a file's size stands in for the disk where nothing can be mounted. Asking for more
/// would be answered by a signal that ends the process.
#[test]
fn a_limit_of_file_sizes_is_an_error_and_no_signal() {
    in_child("region::making::a_limit_of_file_sizes_is_an_error_and_no_signal", || {
        let place = Place::new();
        let maximum = getrlimit(Resource::Fsize).maximum;
        setrlimit(Resource::Fsize, Rlimit { current: Some(4096), maximum }).expect("set");
        let refused = create(&region_path(&place)).map(|_| ());
        assert!(matches!(refused, Err(CreateError::NoRoom(_))), "{refused:?}");
        assert_eq!(place.names(), [""; 0], "nothing is left");
    });
}

/// A file system of a few pages, for root; others are held to the limit above, which takes the same way.
#[test]
fn a_full_disk_is_an_error_and_no_fault() {
    let place = Place::new();
    let small = place.dir().join("small");
    if !mount(&small, "tmpfs", "size=16k") {
        assert!(!rustix::process::geteuid().is_root(), "root can mount");
        return;
    }
    let _unmount = Unmount(small.clone());
    let path = small.join("svc-0000000000000001.ipcshm");
    let first = create(&path).expect("there is room for one");
    let large = RegionSizes { request_bytes: 1 << 16, response_bytes: 1 << 16 };
    let refused = RegionChannel::create(small.join("svc-0000000000000002.ipcshm"), large);
    assert!(matches!(refused, Err(CreateError::NoRoom(_))), "{refused:?}");
    assert_eq!(fs::read_dir(&small).expect("there").count(), 1, "nothing is left of it");
    drop(first);
    assert_eq!(fs::read_dir(&small).expect("there").count(), 0);
}

/// ramfs cannot reserve.
#[test]
fn a_file_system_that_cannot_reserve_is_no_place_for_regions() {
    let place = Place::new();
    let bare = place.dir().join("bare");
    if !mount(&bare, "ramfs", "") {
        assert!(!rustix::process::geteuid().is_root(), "root can mount");
        return;
    }
    let _unmount = Unmount(bare.clone());
    let refused = create(&bare.join("svc-0000000000000001.ipcshm")).map(|_| ());
    assert!(matches!(refused, Err(CreateError::Unsupported(_))), "{refused:?}");
    assert_eq!(fs::read_dir(&bare).expect("there").count(), 0, "nothing is left of it");
}

fn mount(at: &Path, kind: &str, options: &str) -> bool {
    fs::create_dir(at).expect("made");
    let mut command = Command::new("mount");
    command.args(["-t", kind, kind]).arg(at);
    if !options.is_empty() {
        command.args(["-o", options]);
    }
    command.output().is_ok_and(|output| output.status.success())
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _tried = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn without_descriptors_there_is_no_region_and_nothing_is_removed() {
    in_child(
        "region::making::without_descriptors_there_is_no_region_and_nothing_is_removed",
        || {
            let place = Place::new();
            let path = region_path(&place);
            let before = getrlimit(Resource::Nofile).current;
            leave_descriptors(0);
            let refused = create(&path).map(|_| ());
            assert!(matches!(refused, Err(CreateError::Exhausted(_))), "{refused:?}");
            limit_descriptors(before);
            assert_eq!(place.names(), [""; 0]);
            fs::write(&path, header(1, 0)).expect("written");
            leave_descriptors(0);
            let refused = create(&path).map(|_| ());
            assert!(matches!(refused, Err(CreateError::Exhausted(_))), "{refused:?}");
            limit_descriptors(before);
            assert_eq!(place.names().len(), 1, "what could not be examined is kept");
        },
    );
}

#[test]
fn a_region_keeps_no_descriptor_open() {
    in_child("region::making::a_region_keeps_no_descriptor_open", || {
        let open = || fs::read_dir("/proc/self/fd").expect("proc").count();
        let ends = Ends::new(SIZES);
        let with_both = open();
        let Ends { server, client, place: _place, client_socket: _c, server_socket: _s } = ends;
        drop((server, client));
        assert_eq!(open(), with_both, "the sockets alone");
    });
}

/// What the header says is written once, and changed by others at any time: see `hostile`.
#[test]
fn the_header_can_be_overwritten_without_harm_to_the_server() {
    let ends = Ends::new(SIZES);
    file_of(&ends).write_all_at(&[0xff; 32], 0).expect("written");
    ends.server.send(&[b"still here"]).expect("sent");
    let mut buffer = Vec::new();
    assert_eq!(ends.client.try_receive(&mut buffer, 64), Ok(Some(10)));
}
