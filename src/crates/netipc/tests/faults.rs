//! Who is at fault, for errors that no peer and no system of the other tests brings about.

use netipc::client::{CallError, CallErrorKind, Items};
use netipc::{
    BindError, ConnectError, Endpoint, Fault, ListenError, ReceiveError, SendError, Status,
    SysError,
};
use netipc_proto::negotiate::Refusal;
use netipc_sys::{ConnectError as Sys, EntryKind};

/// An error of the operating system: that a run directory which is a link to itself leads nowhere.
#[cfg(unix)]
fn system_error() -> SysError {
    let place = tempfile::tempdir().expect("a directory");
    let link = place.path().join("link");
    std::os::unix::fs::symlink(&link, &link).expect("a link");
    let endpoint = Endpoint::new(&link, "service").expect("a short path");
    endpoint.inspect().expect_err("there is no way there")
}

#[cfg(unix)]
#[test]
fn what_the_system_refuses_is_its_fault_wherever_it_happens() {
    let error = system_error();
    assert_eq!(ConnectError::Os(error).fault(), Fault::System);
    assert_eq!(ConnectError::Endpoint(Sys::Os(error)).fault(), Fault::System);
    assert_eq!(ConnectError::Endpoint(Sys::Denied).fault(), Fault::System);
    assert_eq!(SendError::Os(error).fault(), Fault::System);
    assert_eq!(ReceiveError::Os(error).fault(), Fault::System);
    assert_eq!(ListenError::Os(error).fault(), Fault::System);
    assert_eq!(ListenError::Bind(BindError::Os(error)).fault(), Fault::System);
    for call in [CallError::System(error), CallError::NotSent(SendError::Os(error))] {
        assert_eq!((call.kind(), call.fault()), (CallErrorKind::System, Fault::System));
        assert!(call.to_string().contains("refused to"), "{call}");
    }
}

#[test]
fn what_is_in_the_way_is_the_callers_and_what_is_not_there_nobodys() {
    assert_eq!(ConnectError::Endpoint(Sys::Foreign(EntryKind::Directory)).fault(), Fault::Caller);
    for absent in [Sys::NotFound, Sys::Refused, Sys::TimedOut, Sys::Aborted] {
        assert_eq!(ConnectError::Endpoint(absent).fault(), Fault::Nobody);
    }
    for absent in [SendError::TimedOut, SendError::Aborted, SendError::PeerGone] {
        assert_eq!(absent.fault(), Fault::Nobody);
    }
    assert_eq!(SendError::PacketTooLong { len: 9, max: 8 }.fault(), Fault::System);
    assert_eq!(SendError::OutOfTurn.fault(), Fault::Caller);
}

#[test]
fn what_a_refusal_says_of_the_peer() {
    let of = |status| CallError::Status(status).fault();
    assert_eq!(of(Status::UNSUPPORTED), Fault::PeerIncompatible);
    assert_eq!(of(Status::BAD_ENVELOPE), Fault::Caller);
    assert_eq!(of(Status::INTERNAL_ERROR), Fault::PeerBroke);
    // Of the handshake it is another thing.
    let of = |status| ConnectError::Refused(Refusal::Rejected(status)).fault();
    for incompatible in [Status::UNSUPPORTED, Status::INCOMPATIBLE] {
        assert_eq!(of(incompatible), Fault::PeerIncompatible);
    }
    assert_eq!(of(Status::AUTH_FAILED), Fault::Caller);
    assert_eq!(of(Status::BUSY), Fault::Nobody);
}

#[test]
fn items_are_counted_in_words() {
    assert_eq!(Items::One.to_string(), "one unbatched");
    assert_eq!(Items::Batch(3).to_string(), "3 batched");
}
