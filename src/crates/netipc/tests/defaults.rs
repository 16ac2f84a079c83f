//! The page on the levels names every default with its constant: what it says is what they are, on Linux.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::time::Duration;

use netipc::client::{
    CONNECT_TIMEOUT, DEFAULT_CALL_TIMEOUT, DEFAULT_LOOKUP_ITEMS, DEFAULT_LOOKUP_RESPONSE_BYTES,
    DEFAULT_LOOKUP_SUB_CALLS,
};
use netipc::server::{
    DEFAULT_MAX_IN_FLIGHT, DEFAULT_MAX_SESSIONS, DEFAULT_MAX_WORKERS, DRAIN_TIMEOUT, SEND_TIMEOUT,
    STOP_TIMEOUT,
};
use netipc::{
    CHUNK_GAP_TIMEOUT, DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_MAX_PENDING_HANDSHAKES,
    DEFAULT_MAX_REGION_BYTES, DEFAULT_SPIN_LIMIT, MAX_DRAIN_BYTES,
};
use netipc_proto::growth::{
    DEFAULT_REQUEST_CEILING_BYTES, DEFAULT_RESPONSE_CEILING_BYTES, DEFAULT_SNAPSHOT_CEILING_BYTES,
    FALLBACK_REQUEST_BYTES, MAX_GROWTHS_IN_VAIN, MAX_GROWTHS_PER_CALL, PROPOSED_BATCH_ITEMS,
    STARTING_PAYLOAD_BYTES,
};
use netipc_proto::negotiate::DEFAULT_PAYLOAD_BYTES;
use netipc_proto::retry::Backoff;
use netipc_sys::{DEFAULT_BACKLOG, DEFAULT_MODE, MAX_SOCKET_PATH_BYTES};

const PAGE: &str = include_str!("../../testdata/levels.md");

/// A constant's name, and its value as the page has it.
macro_rules! rows {
    ($($in_words:ident($constant:ident)),+ $(,)?) => {
        vec![$((stringify!($constant), $in_words($constant))),+]
    };
}

#[test]
fn the_page_names_every_default_as_it_is() {
    let mut rows = rows![
        seconds(DEFAULT_CALL_TIMEOUT),
        seconds(CONNECT_TIMEOUT),
        bytes(STARTING_PAYLOAD_BYTES),
        bytes(FALLBACK_REQUEST_BYTES),
        mebibytes(DEFAULT_REQUEST_CEILING_BYTES),
        mebibytes(DEFAULT_RESPONSE_CEILING_BYTES),
        mebibytes(DEFAULT_SNAPSHOT_CEILING_BYTES),
        count(PROPOSED_BATCH_ITEMS),
        count(MAX_GROWTHS_PER_CALL),
        count(MAX_GROWTHS_IN_VAIN),
        count(DEFAULT_LOOKUP_ITEMS),
        count(DEFAULT_LOOKUP_SUB_CALLS),
        mebibytes(DEFAULT_LOOKUP_RESPONSE_BYTES),
        number(DEFAULT_MAX_WORKERS),
        count(DEFAULT_MAX_SESSIONS),
        count(DEFAULT_MAX_IN_FLIGHT),
        seconds(SEND_TIMEOUT),
        seconds(STOP_TIMEOUT),
        seconds(DRAIN_TIMEOUT),
        octal(DEFAULT_MODE),
        seconds(DEFAULT_HANDSHAKE_TIMEOUT),
        number(DEFAULT_MAX_PENDING_HANDSHAKES),
        count(DEFAULT_BACKLOG),
        mebibytes(DEFAULT_MAX_REGION_BYTES),
        bytes(DEFAULT_PAYLOAD_BYTES),
        seconds(CHUNK_GAP_TIMEOUT),
        number_of_mebibytes(MAX_DRAIN_BYTES),
        number(MAX_SOCKET_PATH_BYTES),
        microseconds(DEFAULT_SPIN_LIMIT),
    ];
    rows.push(("Backoff::BUSY", backoff(Backoff::BUSY)));
    rows.push(("Backoff::RARELY", backoff(Backoff::RARELY)));

    for (constant, value) in &rows {
        let cells = format!("| {value} | `{constant}` |");
        assert!(PAGE.contains(&cells), "docs/levels.md has no row with {cells}");
    }
    // And none besides, which nobody would check.
    let checked: BTreeSet<&str> = rows.iter().map(|(constant, _)| *constant).collect();
    assert_eq!(named(), checked);
}

/// The constants that the page's table of defaults names.
fn named() -> BTreeSet<&'static str> {
    let table = PAGE.split("\n## Defaults\n").nth(1).expect("the page has the table");
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(3));
    cells.filter_map(|cell| cell.trim().strip_prefix('`')?.strip_suffix('`')).collect()
}

fn seconds(time: Duration) -> String {
    assert_eq!(time.subsec_nanos(), 0);
    format!("{} s", time.as_secs())
}

fn microseconds(time: Duration) -> String {
    assert_eq!(time.subsec_nanos() % 1_000, 0);
    format!("{} µs", time.as_micros())
}

fn backoff(backoff: Backoff) -> String {
    let Backoff { first_ms, cap_ms, jitter_percent } = backoff;
    let first = if first_ms < 1000 { format!("{first_ms} ms") } else { in_seconds(first_ms) };
    format!("{first} to {}, ± {jitter_percent} %", in_seconds(cap_ms))
}

fn in_seconds(time_ms: u64) -> String {
    seconds(Duration::from_millis(time_ms))
}

fn bytes(count_of: u32) -> String {
    format!("{} bytes", count(count_of))
}

fn mebibytes(bytes: impl Into<u64>) -> String {
    let bytes = bytes.into();
    assert_eq!(bytes % (1 << 20), 0);
    format!("{} MiB", bytes >> 20)
}

fn number_of_mebibytes(bytes: usize) -> String {
    mebibytes(bytes as u64)
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn number(number: usize) -> String {
    number.to_string()
}

/// With a comma between thousands; none here has two.
fn count(count: impl Into<u64>) -> String {
    match count.into() {
        few @ 0..1000 => few.to_string(),
        many => format!("{},{:03}", many / 1000, many % 1000),
    }
}
