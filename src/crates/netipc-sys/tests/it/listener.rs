use std::time::Duration;

use netipc_sys::{Accepted, Deadline, connect};

use crate::support::{Place, abort, accept, asleep_in, bind, long, recv, send};

#[test]
fn clients_are_accepted_in_their_order() {
    let place = Place::new();
    let listener = bind(&place.socket());
    assert!(listener.try_accept().expect("no error").is_none());
    let clients: Vec<_> =
        (0..5).map(|_| connect(&place.socket(), long(), &abort()).expect("connected")).collect();
    for (client, byte) in clients.iter().zip(0..) {
        send(client, &[byte]).expect("sent");
    }
    for byte in 0..5 {
        assert_eq!(recv(&accept(&listener)), [byte]);
    }
    assert!(listener.try_accept().expect("no error").is_none());
}

#[test]
fn a_waiting_acceptor_wakes() {
    let place = Place::new();
    let listener = bind(&place.socket());
    let acceptor = asleep_in(move || {
        matches!(listener.accept(Deadline::never(), &abort()), Ok(Accepted::Channel(_)))
    });
    let _client = connect(&place.socket(), long(), &abort()).expect("connected");
    assert!(acceptor.join().expect("done"));
}

#[test]
fn a_client_that_left_again_is_accepted_and_gone() {
    let place = Place::new();
    let listener = bind(&place.socket());
    drop(connect(&place.socket(), long(), &abort()).expect("connected"));
    let channel = accept(&listener);
    assert_eq!(channel.peer_gone(), Ok(true));
}

#[test]
fn channels_outlive_their_listener() {
    let place = Place::new();
    let listener = bind(&place.socket());
    let client = connect(&place.socket(), long(), &abort()).expect("connected");
    let server = accept(&listener);
    drop(listener);
    send(&client, b"still here").expect("sent");
    assert_eq!(recv(&server), b"still here");
    let soon = Deadline::after(Duration::from_millis(1));
    assert!(server.recv(&mut [0; 8], soon, &abort()).is_err());
}
