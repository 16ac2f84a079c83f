//! Messages of every length go through whole, and none above what was agreed.

use std::thread::spawn;

use netipc::{Fault, Header, Limits, Proposal, SendError, Status};
use proptest::prelude::*;

use crate::support::{
    Echo, HEADER_BYTES, abort, bytes, config, echoed, long, over_each, pair_of, proposal, request,
};

const MEGABYTE: u32 = 1 << 20;

#[test]
fn messages_of_every_edge_go_through() {
    over_each(|transport| {
        const LIMIT: u32 = 3000;
        let echo = Echo::start(&transport.config(LIMIT));
        let client = echo.place.connect(&transport.proposal(LIMIT));
        for (id, len) in [0, 1, 31, 32, 33, LIMIT - 1, LIMIT, 0].into_iter().enumerate() {
            echoed(&client, id as u64, &bytes(len as usize, id as u64));
        }
    });
}

#[test]
fn nobody_sends_above_what_was_agreed_and_nothing_is_harmed() {
    over_each(|transport| {
        const LIMIT: u32 = 3000;
        let (client, server) = transport.pair(LIMIT);
        let long_one = bytes(LIMIT as usize + 1, 0);
        let limits = Limits { payload_bytes: LIMIT, batch_items: 8 };
        let above = SendError::AboveLimit { payload_len: LIMIT + 1, item_count: 1, limits };
        let ask = request(1, &long_one);
        assert_eq!(client.send(&ask, &long_one, long(), &abort()), Err(above));
        assert_eq!(above.fault(), Fault::Caller);
        let answer = Header::response(&ask, LIMIT + 1);
        assert_eq!(server.send(&answer, &long_one, long(), &abort()), Err(above));
        let batch = Header::request(1, 1, 80).batch_of(9);
        let sent = client.send(&batch, &[0; 80], long(), &abort());
        assert!(matches!(sent, Err(SendError::AboveLimit { item_count: 9, .. })), "{sent:?}");

        // The next message is the first that the other side sees.
        client.send(&request(2, b"x"), b"x", long(), &abort()).expect("sent");
        let mut inbox = server.inbox();
        let message = server.receive(&mut inbox, long(), &abort()).expect("received");
        assert_eq!((message.header.message_id, message.payload), (2, &b"x"[..]));
    });
}

#[test]
fn what_the_other_side_would_refuse_is_not_sent() {
    over_each(|transport| {
        let (client, server) = transport.pair(100);
        let good = request(1, b"abc");
        let answer = Header::response(&good, 3);
        let failure = Header::failure(&good, Status::BUSY);
        let by_client = [
            answer,
            Header { kind: netipc::Kind::Control, ..good },
            Header { status: Status::BUSY, ..good },
            Header { flags: 2, ..good },
            Header { item_count: 2, ..good },
            Header { item_count: 0, ..good },
            Header { payload_len: 2, ..good },
            Header { payload_len: 4, ..good },
        ];
        for header in by_client {
            let sent = client.send(&header, b"abc", long(), &abort());
            assert!(matches!(sent, Err(SendError::Malformed(_))), "{header:?}: {sent:?}");
        }
        let by_server = [
            good,
            Header { payload_len: 2, ..answer },
            Header { payload_len: 3, ..failure },
            Header { flags: 1, payload_len: 3, ..failure },
            Header { item_count: 2, payload_len: 3, ..failure },
        ];
        for header in by_server {
            let sent = server.send(&header, b"abc", long(), &abort());
            assert!(matches!(sent, Err(SendError::Malformed(_))), "{header:?}: {sent:?}");
        }
        let batch = Header { flags: 1, item_count: 3, ..failure };
        let sent = server.send(&batch, b"", long(), &abort());
        assert!(matches!(sent, Err(SendError::Malformed(_))), "{sent:?}");
        client.send(&good, b"abc", long(), &abort()).expect("an honest request");
        server.receive(&mut server.inbox(), long(), &abort()).expect("received");
        server.send(&failure, b"", long(), &abort()).expect("an honest failure");
    });
}

#[test]
fn the_automatic_packet_size_and_forty_bytes_around_it() {
    let echo = Echo::start(&config(MEGABYTE));
    let client = echo.place.connect(&proposal(MEGABYTE));
    let packet_size = client.terms().packet_size.bytes() as usize;
    assert!(packet_size > 4096, "{packet_size} is no socket's own size");
    for (id, len) in (packet_size - 40..=packet_size + 40).enumerate() {
        // The length of the message, header included, and then that of the payload alone.
        echoed(&client, id as u64, &bytes(len - HEADER_BYTES, id as u64));
    }
    echoed(&client, 1000, &bytes(packet_size, 3));
}

#[test]
fn a_megabyte_goes_both_ways() {
    over_each(|transport| {
        let echo = Echo::start(&transport.config(MEGABYTE));
        let client = echo.place.connect(&transport.proposal(MEGABYTE));
        for id in 0..5 {
            echoed(&client, id, &bytes(MEGABYTE as usize, id));
        }
        // In the smallest packets that still move.
        let small = Proposal { packet_size: 100, ..transport.proposal(MEGABYTE) };
        echoed(&echo.place.connect(&small), 9, &bytes(100_000, 9));
    });
}

/// A packet may carry one byte of a message, and each takes Wine a while.
const LONGEST: usize = if cfg!(windows) { 2_000 } else { 20_000 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_packet_size_carries_any_message(
        of_client in 33_u32..6000,
        of_server in 33_u32..6000,
        lens in prop::collection::vec(0_usize..LONGEST, 1..6),
    ) {
        let server = netipc::ListenerConfig { packet_size: of_server, ..config(20_000) };
        let client = Proposal { packet_size: of_client, ..proposal(20_000) };
        let echo = Echo::start(&server);
        let session = echo.place.connect(&client);
        prop_assert_eq!(session.terms().packet_size.bytes(), of_client.min(of_server));
        for (id, len) in lens.into_iter().enumerate() {
            echoed(&session, id as u64, &bytes(len, id as u64));
        }
    }
}

#[test]
fn messages_of_many_threads_never_mix() {
    const THREADS: u64 = 4;
    const MESSAGES: u64 = 30;
    const LEN: usize = 10_000;
    let small = Proposal { packet_size: 500, ..proposal(20_000) };
    let (client, server) = pair_of(&config(20_000), small);
    let receiver = spawn(move || {
        let mut inbox = server.inbox();
        let mut next = [0; THREADS as usize];
        for _ in 0..THREADS * MESSAGES {
            let message = server.receive(&mut inbox, long(), &abort()).expect("whole");
            let id = message.header.message_id;
            assert!(message.payload == bytes(LEN, id), "message {id} was torn");
            // Those of one thread come in its order.
            let thread = (id / MESSAGES) as usize;
            assert_eq!(id % MESSAGES, next[thread]);
            next[thread] += 1;
        }
    });
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let client = &client;
            scope.spawn(move || {
                for message in 0..MESSAGES {
                    let id = thread * MESSAGES + message;
                    let payload = bytes(LEN, id);
                    client.send(&request(id, &payload), &payload, long(), &abort()).expect("sent");
                }
            });
        }
    });
    receiver.join().expect("no panic");
}

#[test]
fn a_look_takes_what_is_there_and_keeps_what_is_not_whole() {
    let small = Proposal { packet_size: 1032, ..proposal(20_000) };
    let (client, server) = pair_of(&config(20_000), small);
    let mut inbox = server.inbox();
    assert_eq!(server.try_receive(&mut inbox), Ok(None));
    assert_eq!(inbox.held_bytes(), 1033, "room for a packet, and the byte that shows a longer one");
    let payload = bytes(20_000, 5);
    client.send(&request(5, &payload), &payload, long(), &abort()).expect("sent");
    let message = server.try_receive(&mut inbox).expect("no error").expect("all of it is there");
    assert!(message.payload == payload);
    assert!(inbox.message().is_some_and(|message| message.payload == payload), "once more");
    assert_eq!(inbox.partial_since(), None);
    assert_eq!(server.try_receive(&mut inbox), Ok(None));
    assert_eq!(inbox.message(), None);
    assert!(inbox.held_bytes() <= 1033 + 20_000, "{}", inbox.held_bytes());
    inbox.release();
    assert_eq!(inbox.held_bytes(), 0);
}

#[test]
fn messages_are_handed_over_while_the_next_arrive() {
    const LENS: [usize; 4] = [100, 9000, 50, 20_000];
    let small = Proposal { packet_size: 1032, ..proposal(20_000) };
    let (client, server) = pair_of(&config(20_000), small);
    let mut inbox = server.inbox();
    let mut kept: [netipc::PacketBuffer; 4] = Default::default();
    assert!(!inbox.hand_over(&mut kept[0]), "there is no message");
    for round in 0..3 {
        for (len, buffer) in LENS.iter().zip(&mut kept) {
            let payload = bytes(*len, round);
            client.send(&request(round, &payload), &payload, long(), &abort()).expect("sent");
            server.receive(&mut inbox, long(), &abort()).expect("received");
            assert!(inbox.hand_over(buffer));
            assert_eq!(inbox.message(), None);
        }
        for (len, buffer) in LENS.iter().zip(&kept) {
            let message = buffer.message().expect("handed over");
            assert_eq!(message.header.message_id, round);
            assert!(message.payload == bytes(*len, round));
        }
    }
    inbox.exchange_buffer(&mut kept[0]);
    assert_eq!(kept[0].message(), None);
}

#[test]
fn one_buffer_serves_many_sessions() {
    over_each(|transport| {
        let pairs = [transport.pair(100), transport.pair(5000), transport.pair(300)];
        let mut lent = netipc::PacketBuffer::default();
        let mut inboxes: Vec<_> = pairs.iter().map(|(_, server)| server.inbox()).collect();
        for round in 0..3 {
            for ((client, server), inbox) in pairs.iter().zip(&mut inboxes) {
                let payload = bytes(80 + round, round as u64);
                client.send(&request(7, &payload), &payload, long(), &abort()).expect("sent");
                inbox.exchange_buffer(&mut lent);
                let message = server.receive(inbox, long(), &abort()).expect("received");
                assert_eq!(message.payload, payload);
                let answer = Header::response(&message.header, 0);
                server.send(&answer, b"", long(), &abort()).expect("sent");
                client.receive(&mut client.inbox(), long(), &abort()).expect("answered");
                inbox.exchange_buffer(&mut lent);
                assert_eq!((inbox.held_bytes(), inbox.message()), (0, None));
            }
        }
    });
}
