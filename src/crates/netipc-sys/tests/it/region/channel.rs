//! Messages: the same bytes come out, whatever their length, in order, between processes.

use netipc_sys::{RegionError, Until};

use super::support::{Ends, RemoteClient, SIZES, receive, watching};
use crate::support::{abort, byte_of, is_child, message, rounds};

const ROUNDS: usize = 20_000;
const PING_PONG: &str = "region::channel::two_processes_exchange_messages_of_every_length";

/// The length of request `number`: all there are, the longest ones often.
fn len_of(number: u64, most: usize) -> usize {
    match number % 4 {
        0 => 1 + byte_of(number, 0) as usize % 64,
        1 => most,
        _ => 1 + (number % 1009 * 7) as usize % most,
    }
}

#[test]
fn two_processes_exchange_messages_of_every_length() {
    if is_child(PING_PONG) {
        return RemoteClient::run(SIZES, |client, socket, order| {
            let count: u64 = order.parse().expect("a count");
            let stop = abort();
            for number in 0..count {
                let request = message(number, len_of(number, SIZES.request_bytes));
                let (front, rest) = request.split_at(request.len().min(32));
                client.send(&[front, rest]).expect("sent");
                let answer = receive(client, watching(socket, &stop));
                let wanted = message(!number, len_of(!number, SIZES.response_bytes));
                assert!(answer == wanted, "answer {number} is another");
            }
            "done".to_owned()
        });
    }
    let mut client = RemoteClient::start(PING_PONG, SIZES);
    let count = rounds(ROUNDS) as u64;
    client.order(&count.to_string());
    let stop = abort();
    for number in 0..count {
        let request = receive(&client.server, watching(&client.socket, &stop));
        assert!(request == message(number, len_of(number, SIZES.request_bytes)), "{number}");
        let answer = message(!number, len_of(!number, SIZES.response_bytes));
        client.server.send(&[&answer]).expect("sent");
    }
    assert_eq!(client.answer(), "done");
}

#[test]
fn nothing_is_there_until_something_is_sent() {
    let ends = Ends::new(SIZES);
    let mut buffer = [0; 64];
    assert!(!ends.server.is_ready());
    assert_eq!(ends.server.try_receive(&mut buffer[..], 64), Ok(None));
    ends.client.send(&[b"hello, ", b"world"]).expect("sent");
    assert!(ends.server.is_ready());
    assert_eq!(ends.server.try_receive(&mut buffer[..], 64), Ok(Some(12)));
    assert_eq!(&buffer[..12], b"hello, world");
    assert_eq!(ends.server.try_receive(&mut buffer[..], 64), Ok(None));
    assert_eq!(ends.client.try_receive(&mut buffer[..], 64), Ok(None), "the other direction");
}

#[test]
fn a_message_above_the_limit_comes_with_its_front() {
    let ends = Ends::new(SIZES);
    ends.client.send(&[&message(1, 100)]).expect("sent");
    let mut buffer = Vec::new();
    let above = Err(RegionError::TooLong { len: 100, max: 40 });
    assert_eq!(ends.server.try_receive(&mut buffer, 40), above);
    assert_eq!(buffer, message(1, 40));
    // It counts as received: the session can answer it, and go on to the next.
    assert_eq!(ends.server.try_receive(&mut buffer, 40), Ok(None));
    ends.server.send(&[b"too long"]).expect("sent");
    let stop = abort();
    assert_eq!(receive(&ends.client, watching(&ends.client_socket, &stop)), b"too long");
}

#[test]
fn a_message_that_cannot_be_is_not_sent() {
    let ends = Ends::new(SIZES);
    assert_eq!(ends.client.send(&[]), Err(RegionError::Empty));
    assert_eq!(ends.client.send(&[b"", b""]), Err(RegionError::Empty));
    // The area has whole lines.
    let room = SIZES.request_bytes.next_multiple_of(64);
    let too_long = vec![7; room + 1];
    let refused = Err(RegionError::TooLong { len: room + 1, max: room });
    assert_eq!(ends.client.send(&[&too_long]), refused);
    assert!(!ends.server.is_ready());
    ends.client.send(&[&too_long[1..]]).expect("it fits");
    assert_eq!(receive(&ends.server, Until::ended()), too_long[1..]);
}
