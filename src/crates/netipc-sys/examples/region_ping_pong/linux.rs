//! How fast a message and its answer go through shared memory, against what the hardware allows.
//!
//! ```text
//! cargo run --release -p netipc-sys --example region_ping_pong [two|one|free] [TURN_MS]
//! ```
//!
//! Two processes, on two CPUs, on one, or where the scheduler puts them. On two, both look for a while
//! before they sleep, as the waiting policy above this crate does; on one, they yield a few times. Seven
//! turns of each measurement, interleaved; what is printed is the median.
//!
//! - `line`: a number in one cache line, back and forth: what the hardware allows
//! - `lines`: a number and 40 bytes in a line of their own: what the contract's layout allows
//! - `futex`: a number, with a sleep and a wake-up each way: what sleeping allows
//! - `region`: messages of 40 bytes through a [`RegionChannel`], verified
#![allow(unsafe_code)]

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use netipc_sys::{
    Abort, Accepted, BindOptions, Deadline, Listener, RegionChannel, RegionSizes, Until, connect,
    own_uid,
};
use rustix::thread::{CpuSet, futex, sched_setaffinity};

const TURNS: usize = 7;
/// How long a turn is, unless the second argument says it, in milliseconds.
const TURN: Duration = Duration::from_millis(200);
/// Calls between two looks at the clock.
const CALLS_A_LOOK: u64 = 64;
/// How long both look before they sleep, on more than one CPU.
const SPIN: Duration = Duration::from_micros(50);
const MESSAGE_BYTES: usize = 40;
const SIZES: RegionSizes = RegionSizes { request_bytes: LIMIT_BYTES, response_bytes: LIMIT_BYTES };
const LIMIT_BYTES: usize = 1056;
/// How often each lets the other one run before it sleeps, on one CPU.
const YIELDS: u32 = 2;
/// Looks at the region between two at the clock.
const LOOKS: u32 = 32;
const LIMIT: Deadline = Deadline::never();
const PLACE_ENV: &str = "NETIPC_PING_PONG_PLACE";

/// The number that ends a turn.
const STOP: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    Two,
    One,
    Free,
}

impl Placement {
    fn from_arguments() -> Self {
        match std::env::args().nth(1).as_deref() {
            Some("one") => Self::One,
            Some("free") => Self::Free,
            _ => Self::Two,
        }
    }

    /// Binds this process to its CPU.
    fn take(self, is_server: bool) {
        let cpu = match self {
            Self::Free => return,
            Self::One => 0,
            Self::Two => usize::from(is_server),
        };
        let mut cpus = CpuSet::new();
        cpus.set(cpu);
        sched_setaffinity(None, &cpus).expect("a CPU of this machine");
    }
}

type Measure = fn(&Bench, Placement, bool) -> f64;
const MEASURES: [(&str, Measure); 4] =
    [("line", line), ("lines", lines), ("futex", sleeping), ("region", region)];

/// What both processes share.
struct Bench {
    channel: RegionChannel,
    /// Apart from the channel's region: clean words for each of the raw measurements.
    raw: Raw,
}

pub(crate) fn main() {
    let placement = Placement::from_arguments();
    match std::env::var_os(PLACE_ENV) {
        Some(place) => serve(place.as_ref(), placement),
        None => lead(placement),
    }
}

/// The client's process: starts the server's, measures, prints.
fn lead(placement: Placement) {
    let place = tempfile::Builder::new().tempdir_in("/dev/shm").expect("a directory");
    let path = place.path().join("bench.sock");
    let listener = Listener::bind(&path, &BindOptions::default()).expect("bound");
    let raw_path = place.path().join("raw");
    std::fs::write(&raw_path, [0; Raw::BYTES]).expect("written");
    let mut server = Command::new(std::env::current_exe().expect("this binary"))
        .args(std::env::args().skip(1))
        .env(PLACE_ENV, place.path())
        .stdout(Stdio::inherit())
        .spawn()
        .expect("started");
    let abort = Abort::new().expect("an abort handle");
    let Accepted::Channel(socket) = listener.accept(LIMIT, &abort).expect("the server") else {
        panic!("there are descriptors enough");
    };
    let mut word = [0; 8];
    socket.recv(&mut word, LIMIT, &abort).expect("the region is there");
    let region_path = place.path().join("bench-0000000000000001.ipcshm");
    let channel = RegionChannel::attach(&region_path, SIZES, own_uid(), &socket, LIMIT, &abort)
        .expect("attached");
    let bench = Bench { channel, raw: Raw::map(&raw_path) };
    placement.take(false);

    let mut rates = [[0.0; TURNS]; MEASURES.len()];
    for turn in 0..TURNS {
        for (measure, (_, run)) in rates.iter_mut().zip(MEASURES) {
            socket.recv(&mut word, LIMIT, &abort).expect("the server is ready");
            bench.raw.turn_the_page();
            measure[turn] = run(&bench, placement, false);
        }
    }
    drop(socket);
    server.wait().expect("it ends");
    let median = |of: &[f64; TURNS]| {
        let mut sorted = *of;
        sorted.sort_by(f64::total_cmp);
        sorted[TURNS / 2]
    };
    let line = median(&rates[0]);
    println!("{placement:?}");
    for ((name, _), rates) in MEASURES.iter().zip(&rates) {
        let rate = median(rates);
        println!("  {name:<7} {rate:>10.0}/s  {:.2} of line  ({rates:.0?})", rate / line);
    }
}

fn serve(place: &std::path::Path, placement: Placement) {
    let abort = Abort::new().expect("an abort handle");
    let region_path = place.join("bench-0000000000000001.ipcshm");
    let channel = RegionChannel::create(&region_path, SIZES).expect("created");
    let socket = connect(&place.join("bench.sock"), LIMIT, &abort).expect("connected");
    socket.send(&[std::io::IoSlice::new(b"made")], LIMIT, &abort).expect("sent");
    let bench = Bench { channel, raw: Raw::map(&place.join("raw")) };
    placement.take(true);
    for _ in 0..TURNS {
        for (_, run) in MEASURES {
            bench.raw.turn_the_page();
            socket.send(&[std::io::IoSlice::new(b"ready")], LIMIT, &abort).expect("sent");
            run(&bench, placement, true);
        }
    }
}

/// Calls `call` with 1, 2, … for a turn, then with [`STOP`]; returns how many a second.
fn for_a_turn(mut call: impl FnMut(u64)) -> f64 {
    let given = std::env::args().nth(2).and_then(|text| text.parse().ok());
    let turn = given.map_or(TURN, Duration::from_millis);
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < turn {
        for _ in 0..CALLS_A_LOOK {
            calls += 1;
            call(calls);
        }
    }
    let rate = calls as f64 / start.elapsed().as_secs_f64();
    call(STOP);
    rate
}

fn line(bench: &Bench, placement: Placement, is_server: bool) -> f64 {
    ball(bench, placement, is_server, |_| {}, |_| {})
}

fn lines(bench: &Bench, placement: Placement, is_server: bool) -> f64 {
    let cells = |line: usize| (0..MESSAGE_BYTES / 8).map(move |at| bench.raw.long(line + at * 8));
    let (out, back) = if is_server { (128, 64) } else { (64, 128) };
    let write = |number: u64| cells(out).for_each(|cell| cell.store(number, Ordering::Relaxed));
    let read = |number: u64| {
        cells(back).for_each(|cell| assert_eq!(cell.load(Ordering::Relaxed), number));
    };
    ball(bench, placement, is_server, write, read)
}

/// A number there and back, in two words of one line.
fn ball(
    bench: &Bench,
    placement: Placement,
    is_server: bool,
    write: impl Fn(u64),
    read: impl Fn(u64),
) -> f64 {
    let (there, back) = (bench.raw.long(0), bench.raw.long(8));
    let other_than = |word: &AtomicU64, last: u64| loop {
        let found = word.load(Ordering::Acquire);
        if found != last {
            return found;
        }
        match placement {
            Placement::One => std::thread::yield_now(),
            _ => std::hint::spin_loop(),
        }
    };
    let mut last = 0;
    if is_server {
        while last != STOP {
            last = other_than(there, last);
            read(last);
            write(last);
            back.store(last, Ordering::Release);
        }
        return 0.0;
    }
    for_a_turn(|number| {
        write(number);
        there.store(number, Ordering::Release);
        last = other_than(back, last);
        assert_eq!(last, number);
        read(number);
    })
}

fn sleeping(bench: &Bench, _placement: Placement, is_server: bool) -> f64 {
    let (there, back) = (bench.raw.short(0), bench.raw.short(64));
    let shared = futex::Flags::empty();
    let post = |word: &AtomicU32, number: u32| {
        word.store(number, Ordering::Release);
        let _woken = futex::wake(word, shared, 1);
    };
    let until = |word: &AtomicU32, last: u32| loop {
        let found = word.load(Ordering::Acquire);
        if found != last {
            return found;
        }
        let _changed = futex::wait(word, shared, last, None);
    };
    let mut last = 0;
    if is_server {
        while last != u32::MAX {
            last = until(there, last);
            post(back, last);
        }
        return 0.0;
    }
    for_a_turn(|n| {
        post(there, n as u32);
        last = until(back, last);
        assert_eq!(last, n as u32);
    })
}

fn region(bench: &Bench, placement: Placement, is_server: bool) -> f64 {
    let Bench { channel, .. } = bench;
    let mut buffer = [0; LIMIT_BYTES];
    let mut receive = || {
        if placement == Placement::One {
            // Whoever shares the CPU gets it at once, and has answered when this one has it again.
            for _ in 0..YIELDS {
                if !channel.is_ready() {
                    std::thread::yield_now();
                }
            }
        } else {
            let (start, mut looks) = (Instant::now(), 0_u32);
            while !channel.is_ready() && (looks < LOOKS || start.elapsed() < SPIN) {
                looks = (looks + 1) % (LOOKS + 1);
                std::hint::spin_loop();
            }
        }
        let len = channel.receive(&mut buffer[..], LIMIT_BYTES, Until::ended()).expect("a message");
        assert_eq!(len, MESSAGE_BYTES);
        buffer[32..40].try_into().map(u64::from_ne_bytes).expect("eight bytes")
    };
    let send = |number: u64| {
        channel.send(&[&[7; 32], &number.to_ne_bytes()]).expect("sent");
    };
    if !is_server {
        return for_a_turn(|n| {
            send(n);
            assert_eq!(receive(), n ^ 1);
        });
    }
    loop {
        let number = receive();
        send(number ^ 1);
        if number == STOP {
            return 0.0;
        }
    }
}

/// Pages of words, one for each turn of each measurement.
struct Raw {
    base: *mut std::ffi::c_void,
    page: std::cell::Cell<usize>,
}

const PAGE_BYTES: usize = 4096;

impl Raw {
    const BYTES: usize = PAGE_BYTES * (1 + TURNS * MEASURES.len());

    fn map(path: &std::path::Path) -> Self {
        let file = std::fs::File::options().read(true).write(true).open(path).expect("there");
        let access = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        let shared = rustix::mm::MapFlags::SHARED;
        // SAFETY: a new mapping, at a place of the kernel's choice, which is never unmapped.
        let base =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), Self::BYTES, access, shared, file, 0) };
        Self { base: base.expect("mapped"), page: std::cell::Cell::new(0) }
    }

    fn turn_the_page(&self) {
        self.page.set(self.page.get() + 1);
        assert!(self.page.get() * PAGE_BYTES < Self::BYTES);
    }

    fn long(&self, offset: usize) -> &AtomicU64 {
        assert!(offset < PAGE_BYTES && offset.is_multiple_of(8));
        let word = self.base.wrapping_byte_add(self.page.get() * PAGE_BYTES + offset);
        // SAFETY: mapped for good, aligned, used by atomic accesses only.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    fn short(&self, offset: usize) -> &AtomicU32 {
        assert!(offset < PAGE_BYTES && offset.is_multiple_of(4));
        let word = self.base.wrapping_byte_add(self.page.get() * PAGE_BYTES + offset);
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(word.cast()) }
    }
}
