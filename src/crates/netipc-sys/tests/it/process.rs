//! What a process has only one of: its umask, its limits, its signals, its descriptor table.

use std::collections::BTreeMap;
use std::fs;
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use netipc_sys::{
    AcceptError, Accepted, BindError, BindOptions, ConnectError, Holder, InspectError, Listener,
    RecvError, SendError, TrySend, WaitSet, Waker, connect, inspect_endpoint,
};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

use crate::support::{
    LATENESS, Place, abort, bind, in_child, leave_stale_socket, long, pair, recv, send, within,
};

/// Lets this process have as many descriptors as the system allows it.
pub(crate) fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    limit_descriptors(maximum);
}

pub(crate) fn limit_descriptors(limit: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum }).expect("a soft limit");
}

/// Leaves this process `spare` descriptors that it may still open.
pub(crate) fn leave_descriptors(spare: usize) {
    let opened: Vec<_> =
        (0..=spare).map(|_| fs::File::open("/dev/null").expect("a descriptor")).collect();
    let first_refused = opened.iter().map(AsRawFd::as_raw_fd).max().expect("one at least");
    limit_descriptors(u64::try_from(first_refused).ok());
}

/// The open descriptors of this process and their flags.
fn descriptors() -> BTreeMap<String, i32> {
    let names: Vec<_> = fs::read_dir("/proc/self/fdinfo").expect("proc").collect();
    let mut open = BTreeMap::new();
    for name in names {
        let name = name.expect("an entry").file_name().into_string().expect("text");
        // The listing's own descriptor is closed by now.
        let Ok(info) = fs::read_to_string(format!("/proc/self/fdinfo/{name}")) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        open.insert(name, i32::from_str_radix(flags.trim(), 8).expect("octal"));
    }
    open
}

fn mode_of(path: &std::path::Path) -> u32 {
    fs::symlink_metadata(path).expect("there").mode() & 0o7777
}

#[test]
fn the_umask_does_not_matter() {
    in_child("process::the_umask_does_not_matter", || {
        let place = Place::new();
        for mask in [0o777, 0o000, 0o022, 0o177] {
            umask(Mode::from_raw_mode(mask));
            for mode in [0o600, 0o660, 0o666] {
                let options = BindOptions { mode, ..BindOptions::default() };
                let _listener = Listener::bind(&place.socket(), &options).expect("bound");
                assert_eq!(mode_of(&place.socket()), mode, "umask {mask:o}");
                assert_eq!(mode_of(&place.lock()), 0o600, "umask {mask:o}");
                connect(&place.socket(), long(), &abort()).expect("connected");
            }
            fs::remove_file(place.lock()).expect("removed");
        }
    });
}

#[test]
fn everything_is_close_on_exec() {
    in_child("process::everything_is_close_on_exec", || {
        let before = descriptors();
        let place = Place::new();
        let listener = bind(&place.socket());
        let client = connect(&place.socket(), long(), &abort()).expect("connected");
        let server = crate::support::accept(&listener);
        let inspected = inspect_endpoint(&place.socket()).expect("inspected");
        let others = (abort(), Waker::new().expect("one"), WaitSet::new().expect("one"));
        let mut seen = 0;
        for (name, flags) in descriptors() {
            if !before.contains_key(&name) {
                assert_ne!(flags & libc::O_CLOEXEC, 0, "descriptor {name}");
                seen += 1;
            }
        }
        // The listener has its socket, its lock and its reserve.
        assert_eq!(seen, 3 + 3 + 3, "every descriptor was looked at");
        drop((listener, client, server, inspected, others));
        assert_eq!(descriptors().len(), before.len(), "none is left open");
    });
}

/// Linux raises none for packet sockets, asked or not; it did not promise to leave it at that.
#[test]
#[allow(unsafe_code)]
fn sending_to_nobody_raises_no_signal() {
    in_child("process::sending_to_nobody_raises_no_signal", || {
        // SAFETY: no handler is installed, only the default disposition, which Rust's runtime had
        // replaced; no other thread of this process relies on it.
        let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        assert_ne!(before, libc::SIG_ERR);
        let (client, server) = pair();
        drop(server);
        assert_eq!(send(&client, b"x"), Err(SendError::PeerGone));
    });
}

#[test]
fn a_client_who_comes_when_descriptors_are_out_is_not_left_hanging() {
    const TEST: &str = "process::a_client_who_comes_when_descriptors_are_out_is_not_left_hanging";
    in_child(TEST, || {
        let place = Place::new();
        let listener = bind(&place.socket());
        let stop = abort();
        let clients: Vec<_> =
            (0..3).map(|_| connect(&place.socket(), long(), &stop).expect("connected")).collect();
        let before = getrlimit(Resource::Nofile).current;
        leave_descriptors(0);
        for client in &clients[..2] {
            let Ok(Some(Accepted::Overflow(channel))) = listener.try_accept() else {
                panic!("the reserve is there for this");
            };
            for _ in 0..3 {
                match listener.try_accept() {
                    Err(AcceptError::Exhausted(error)) => {
                        assert_eq!(error.code(), Errno::MFILE.raw_os_error());
                    }
                    other => panic!("there is no descriptor: {other:?}"),
                }
            }
            assert_eq!(channel.try_send(&[IoSlice::new(b"busy")]), Ok(TrySend::Sent));
            drop(channel);
            assert_eq!(client.try_recv(&mut [0; 8]), Ok(Some(4)));
        }
        limit_descriptors(before);
        let Ok(Some(Accepted::Channel(channel))) = listener.try_accept() else {
            panic!("there are descriptors again");
        };
        send(&channel, b"welcome").expect("sent");
        assert_eq!(recv(&clients[2]), b"welcome");
        leave_descriptors(0);
        assert!(listener.try_accept().expect("nobody waits").is_none());
    });
}

#[test]
fn a_name_that_cannot_be_examined_is_kept() {
    in_child("process::a_name_that_cannot_be_examined_is_kept", || {
        let place = Place::new();
        leave_stale_socket(&place.socket());
        let before = getrlimit(Resource::Nofile).current;
        let too_many = Errno::MFILE.raw_os_error();
        // Room for the reserve and the lock, none for the probe.
        leave_descriptors(2);
        match Listener::bind(&place.socket(), &BindOptions::default()) {
            Err(BindError::InUse { path, by: Holder::Unknown(error) }) => {
                assert_eq!((path, error.code()), (place.socket(), too_many));
            }
            other => panic!("it cannot be examined: {other:?}"),
        }
        leave_descriptors(0);
        match inspect_endpoint(&place.socket()) {
            Err(InspectError::Os(error)) => assert_eq!(error.code(), too_many),
            other => panic!("it cannot be examined: {other:?}"),
        }
        match connect(&place.socket(), long(), &abort_made_before(before)) {
            Err(ConnectError::Os(error)) => assert_eq!(error.code(), too_many),
            other => panic!("there is no descriptor: {other:?}"),
        }
        limit_descriptors(before);
        assert_eq!(place.names(), ["svc.lock", "svc.sock"]);
        bind(&place.socket());
    });
}

/// An abort handle, made although descriptors are out, leaving them out.
fn abort_made_before(limit: Option<u64>) -> netipc_sys::Abort {
    limit_descriptors(limit);
    let handle = abort();
    leave_descriptors(0);
    handle
}

/// What only users without privilege meet: root would be let through everywhere.
#[test]
fn permissions_that_are_missing_are_named() {
    const TEST: &str = "process::permissions_that_are_missing_are_named";
    in_child(TEST, || {
        let place = Place::new();
        let listener = bind(&place.socket());
        let closed = Place::new();
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::fs::Uid::from_raw(65_534);
            let world = Mode::from_raw_mode(0o755);
            rustix::fs::chmod(place.dir(), world).expect("opened");
            rustix::fs::chmod(closed.dir(), world).expect("opened");
            rustix::thread::set_thread_uid(nobody).expect("another user now");
            let denied = connect(&place.socket(), long(), &abort()).map(|_| ());
            assert_eq!(denied, Err(ConnectError::Denied));
            let state = inspect_endpoint(&place.socket()).expect("inspected");
            assert!(matches!(state, netipc_sys::EndpointState::Denied), "{state:?}");
            let refused = Listener::bind(&place.socket(), &BindOptions::default()).map(|_| ());
            let by = Holder::AnotherUser;
            assert_eq!(refused, Err(BindError::InUse { path: place.lock(), by }));
        } else {
            rustix::fs::chmod(closed.dir(), Mode::from_raw_mode(0o500)).expect("closed");
        }
        let refused = Listener::bind(&closed.socket(), &BindOptions::default()).map(|_| ());
        let operation = "create the endpoint's lock";
        assert_eq!(refused, Err(BindError::Denied { operation }));
        drop(listener);
    });
}

/// Root alone can give a file away; it is held to the rule that its test shows for all.
#[test]
fn a_lock_of_another_user_is_refused_though_it_could_be_opened() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    fs::write(place.lock(), "").expect("written");
    std::os::unix::fs::chown(place.lock(), Some(65_534), None).expect("given away");
    let refused = Listener::bind(&place.socket(), &BindOptions::default()).map(|_| ());
    let by = Holder::AnotherUser;
    assert_eq!(refused, Err(BindError::InUse { path: place.lock(), by }));
    assert_eq!(place.names(), ["svc.lock"], "it is left alone");
    // Once the operator has removed it, there is nothing in the way.
    fs::remove_file(place.lock()).expect("removed");
    bind(&place.socket());
}

#[test]
fn a_killed_peer_is_noticed() {
    use std::process::{Command, Stdio};
    let place = Place::new();
    let listener = bind(&place.socket());
    within(2 * LATENESS, || {
        // A process that inherits a client's end and nothing else of ours.
        let client = connect(&place.socket(), long(), &abort()).expect("connected");
        let server = crate::support::accept(&listener);
        let copy = rustix::io::dup(&client).expect("a copy");
        let mut holder =
            Command::new("sleep").arg("60").stdin(Stdio::from(copy)).spawn().expect("started");
        drop(client);
        assert_eq!(server.peer_gone(), Ok(false), "the child holds it");
        let start = std::time::Instant::now();
        holder.kill().expect("killed");
        let mut buffer = [0; 8];
        assert_eq!(server.recv(&mut buffer, long(), &abort()), Err(RecvError::Closed));
        let took = start.elapsed();
        assert_eq!(server.peer_gone(), Ok(true));
        holder.wait().expect("reaped");
        took
    });
}
