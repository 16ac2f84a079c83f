//! Several services of one process over the same workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use netipc::server::{Host, Server, ServerConfig};
use netipc::{Endpoint, Status};

use crate::support::{Client, PATIENCE, echo, eventually, handler, proposal, reply};

fn client(endpoint: &Endpoint) -> Client {
    let abort = netipc::Abort::new().expect("abort");
    let deadline = netipc::Deadline::after(PATIENCE);
    let session = netipc::Session::connect(endpoint, &proposal(), deadline, &abort);
    let session = session.expect("a session");
    let inbox = session.inbox();
    Client { session, inbox, abort }
}

#[test]
fn services_of_a_host_share_workers_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let one = Endpoint::new(dir.path(), "one").expect("a name");
    let other = Endpoint::new(dir.path(), "other").expect("a name");
    let full = ServerConfig { max_sessions: 1, ..ServerConfig::default() };
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (counted, seen) = (Arc::clone(&running), Arc::clone(&most));
    let host = Host::with_workers(2)
        .serve(Server::bind(&one, full).expect("bind"), echo())
        .serve(
            Server::bind(&other, ServerConfig::default()).expect("bind"),
            handler(move |_context, request, response| {
                seen.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let reversed: Vec<u8> = request.iter().rev().copied().collect();
                counted.fetch_sub(1, Ordering::SeqCst);
                reply(&reversed, response)
            }),
        )
        .spawn()
        .expect("spawn");
    let mut first = client(&one);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = client(&other);
                for _ in 0..200 {
                    assert_eq!(client.call(b"abc").1, b"cba");
                }
            });
        }
        for _ in 0..200 {
            assert_eq!(first.call(b"abc").1, b"abc");
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 2, "two workers for all services");
    let status = host.status();
    let calls: Vec<_> =
        status.iter().map(|(name, s)| (name.as_str(), s.calls.ok, s.workers)).collect();
    assert_eq!(calls, [("one", 200, 2), ("other", 800, 2)]);
    // The limits of one are not those of the other.
    assert_eq!(status.first().map(|(_, s)| s.max_sessions), Some(1));
    eventually("only one client is left", || host.status().iter().all(|(_, s)| s.sessions <= 1));
    assert_eq!(client(&other).status_of(b"x"), Status::OK);
    host.drain().expect("drained");
    first.expect_close();
}
