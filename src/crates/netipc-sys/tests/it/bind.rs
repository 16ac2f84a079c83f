use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

use netipc_sys::{
    BindError, BindOptions, ConnectError, Deadline, EntryKind, Holder, Listener,
    MAX_SOCKET_PATH_BYTES, PathError, connect,
};
use rustix::net::SocketType;

use crate::support::{
    Place, abort, accept, asleep_in, bare_socket, bind, leave_stale_socket, long, recv, send,
};

fn refusal(path: &Path) -> BindError {
    Listener::bind(path, &BindOptions::default()).map(|_| ()).expect_err("the name is taken")
}

fn in_use(path: &Path, by: Holder) -> BindError {
    BindError::InUse { path: path.to_owned(), by }
}

fn works(listener: &Listener, path: &Path) {
    let client = connect(path, long(), &abort()).expect("connected");
    send(&client, b"hello").expect("sent");
    assert_eq!(recv(&accept(listener)), b"hello");
}

#[test]
fn an_endpoint_has_its_name_while_its_listener_lives() {
    let place = Place::new();
    let listener = bind(&place.socket());
    works(&listener, &place.socket());
    assert_eq!(place.names(), ["svc.lock", "svc.sock"]);
    drop(listener);
    assert_eq!(place.names(), ["svc.lock"], "the lock stays");
    let again = bind(&place.socket());
    works(&again, &place.socket());
}

#[test]
fn a_live_server_keeps_its_name() {
    let place = Place::new();
    let listener = bind(&place.socket());
    assert_eq!(refusal(&place.socket()), in_use(&place.lock(), Holder::LockHolder));
    works(&listener, &place.socket());
}

#[test]
fn a_live_server_keeps_its_name_when_its_lock_was_deleted() {
    let place = Place::new();
    let listener = bind(&place.socket());
    fs::remove_file(place.lock()).expect("removed");
    assert_eq!(refusal(&place.socket()), in_use(&place.socket(), Holder::LiveServer));
    drop(accept(&listener)); // the probe
    works(&listener, &place.socket());
}

#[test]
fn a_live_server_that_knows_no_lock_keeps_its_name() {
    let place = Place::new();
    let peer = bare_socket(&place.socket(), SocketType::SEQPACKET);
    rustix::net::listen(&peer, 8).expect("listening");
    assert_eq!(refusal(&place.socket()), in_use(&place.socket(), Holder::LiveServer));
    connect(&place.socket(), long(), &abort()).expect("it still answers");
}

#[test]
fn a_full_backlog_is_a_live_server() {
    let place = Place::new();
    let peer = bare_socket(&place.socket(), SocketType::SEQPACKET);
    rustix::net::listen(&peer, 0).expect("listening");
    let mut waiting = Vec::new();
    while let Ok(channel) = connect(&place.socket(), Deadline::after(Duration::ZERO), &abort()) {
        waiting.push(channel);
    }
    assert_eq!(refusal(&place.socket()), in_use(&place.socket(), Holder::LiveServer));
}

#[test]
fn a_server_between_bind_and_listen_keeps_its_name() {
    let place = Place::new();
    let peer = bare_socket(&place.socket(), SocketType::SEQPACKET);
    let path = place.socket();
    // Asleep: the first attempt was refused, the first pause has begun.
    let rival = asleep_in(move || refusal(&path));
    rustix::net::listen(&peer, 8).expect("listening");
    assert_eq!(rival.join().expect("done"), in_use(&place.socket(), Holder::LiveServer));
    connect(&place.socket(), long(), &abort()).expect("it answers");
}

#[test]
fn a_stale_socket_is_replaced() {
    let place = Place::new();
    leave_stale_socket(&place.socket());
    let listener = bind(&place.socket());
    works(&listener, &place.socket());
    assert_eq!(place.names(), ["svc.lock", "svc.sock"]);
}

#[test]
fn what_a_crash_leaves_is_cleared() {
    let place = Place::new();
    fs::write(place.lock(), "").expect("written");
    leave_stale_socket(&place.temporary());
    leave_stale_socket(&place.socket());
    let listener = bind(&place.socket());
    works(&listener, &place.socket());
    assert_eq!(place.names(), ["svc.lock", "svc.sock"]);
}

#[test]
fn foreign_entries_are_named_and_never_removed() {
    type Make = fn(&Path);
    let kinds: [(EntryKind, Make); 6] = [
        (EntryKind::RegularFile, |path| fs::write(path, "precious").expect("written")),
        (EntryKind::Directory, |path| fs::create_dir(path).expect("made")),
        (EntryKind::Symlink, |path| symlink("nowhere", path).expect("linked")),
        (EntryKind::Symlink, |path| {
            let target = path.with_file_name("dead.sock");
            leave_stale_socket(&target);
            symlink(target, path).expect("linked");
        }),
        (EntryKind::Fifo, |path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).expect("made");
        }),
        (EntryKind::Device, |path| {
            // A link to a device is a link; a device itself takes privilege to make.
            let node = rustix::fs::FileType::CharacterDevice;
            let null = rustix::fs::makedev(1, 3);
            let mode = rustix::fs::Mode::RUSR;
            let made = rustix::fs::mknodat(rustix::fs::CWD, path, node, mode, null);
            if made.is_err() {
                fs::write(path, "").expect("written");
            }
        }),
    ];
    for (kind, make) in kinds {
        for at in [Place::socket, Place::temporary, Place::lock] {
            let place = Place::new();
            let path = at(&place);
            make(&path);
            let before = fs::symlink_metadata(&path).expect("there");
            let real = if before.is_file() { EntryKind::RegularFile } else { kind };
            if real == EntryKind::RegularFile && path == place.lock() {
                continue; // that is what a lock is
            }
            let refused = refusal(&place.socket());
            assert_eq!(refused, in_use(&path, Holder::Foreign(real)), "{kind} at {path:?}");
            let after = fs::symlink_metadata(&path).expect("still there");
            assert_eq!(after.ino(), before.ino());
            assert!(!place.names().contains(&"svc.sock".to_owned()) || path == place.socket());
        }
    }
}

#[test]
fn a_socket_of_another_type_is_named_and_never_removed() {
    for kind in [SocketType::STREAM, SocketType::DGRAM] {
        let place = Place::new();
        let peer = bare_socket(&place.socket(), kind);
        if kind == SocketType::STREAM {
            rustix::net::listen(&peer, 8).expect("listening");
        }
        let foreign = Holder::Foreign(EntryKind::OtherSocket);
        assert_eq!(refusal(&place.socket()), in_use(&place.socket(), foreign));
        assert!(fs::symlink_metadata(place.socket()).expect("there").file_type().is_socket());
    }
}

#[test]
fn a_live_server_at_the_temporary_name_is_left_alone() {
    let place = Place::new();
    let peer = bare_socket(&place.temporary(), SocketType::SEQPACKET);
    rustix::net::listen(&peer, 8).expect("listening");
    assert_eq!(refusal(&place.socket()), in_use(&place.temporary(), Holder::LiveServer));
    connect(&place.temporary(), long(), &abort()).expect("it still answers");
}

#[test]
fn giving_back_leaves_what_others_put_there() {
    let place = Place::new();
    let listener = bind(&place.socket());
    fs::remove_file(place.socket()).expect("removed");
    let usurper = bare_socket(&place.socket(), SocketType::SEQPACKET);
    rustix::net::listen(&usurper, 8).expect("listening");
    drop(listener);
    connect(&place.socket(), long(), &abort()).expect("the usurper still answers");

    let other = Place::new();
    let listener = bind(&other.socket());
    fs::remove_file(other.socket()).expect("removed");
    fs::write(other.socket(), "precious").expect("written");
    drop(listener);
    assert_eq!(fs::read_to_string(other.socket()).expect("still there"), "precious");
}

#[test]
fn stopping_refuses_the_backlog() {
    let place = Place::new();
    let listener = bind(&place.socket());
    let client = connect(&place.socket(), long(), &abort()).expect("connected");
    drop(listener);
    assert_eq!(connect(&place.socket(), long(), &abort()).map(|_| ()), Err(ConnectError::NotFound));
    assert_eq!(client.peer_gone(), Ok(true));
}

#[test]
fn a_group_and_mode_are_set() {
    let place = Place::new();
    let group = if rustix::process::geteuid().is_root() {
        12_345
    } else {
        rustix::process::getegid().as_raw()
    };
    let options = BindOptions { mode: 0o660, group: Some(group), ..BindOptions::default() };
    let listener = Listener::bind(&place.socket(), &options).expect("bound");
    let meta = fs::symlink_metadata(place.socket()).expect("there");
    assert_eq!((meta.mode() & 0o7777, meta.gid()), (0o660, group));
    works(&listener, &place.socket());
}

#[test]
fn the_longest_path_works_and_one_more_byte_says_so() {
    let place = Place::new();
    let room = MAX_SOCKET_PATH_BYTES - place.dir().as_os_str().len() - "/.sock".len();
    let longest = place.dir().join(format!("{}.sock", "x".repeat(room)));
    assert_eq!(longest.as_os_str().len(), MAX_SOCKET_PATH_BYTES);
    works(&bind(&longest), &longest);
    let longer = place.dir().join(format!("{}.sock", "x".repeat(room + 1)));
    let too_long = PathError::TooLong { len: 108, max: MAX_SOCKET_PATH_BYTES };
    assert_eq!(refusal(&longer), BindError::Path(too_long));
    assert!(refusal(&longer).to_string().contains("shorter"));
    assert_eq!(refusal(Path::new("")), BindError::Path(PathError::Empty));
}

#[test]
fn a_missing_run_directory_says_so() {
    let place = Place::new();
    let path = place.dir().join("missing/svc.sock");
    assert_eq!(refusal(&path), BindError::NoDirectory);
    fs::write(place.dir().join("missing"), "").expect("written");
    assert_eq!(refusal(&path), BindError::NoDirectory);
}

#[test]
fn services_with_dots_do_not_share_a_lock() {
    let place = Place::new();
    let names = ["a", "a.b", "a.lock", "a.tmp", "a.sock"];
    let paths = names.map(|name| place.dir().join(format!("{name}.sock")));
    let listeners = paths.each_ref().map(|path| bind(path));
    for (listener, path) in listeners.iter().zip(&paths) {
        works(listener, path);
    }
}

#[test]
fn errors_name_the_entry_in_the_way() {
    let place = Place::new();
    fs::write(place.socket(), "").expect("written");
    let text = refusal(&place.socket()).to_string();
    assert!(text.contains("svc.sock") && text.contains("a regular file"), "{text}");
}
