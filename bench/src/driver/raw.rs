//! What the machine can do at most: two processes pass 40 bytes to and fro, with nothing around it.
//!
//! | limit | how |
//! |---|---|
//! | line | a sequence number and the bytes in one cache line, both ends spinning |
//! | split line | the same with the bytes in a line of their own |
//! | seqpacket | blocking `send` and `recv`; on Windows a blocking pipe |
//! | futex | the bytes in shared memory, and a futex to wait on and to wake with, each time; on Windows an event |

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use netipc_sys::raw::{PlainSocket, SharedLines};

use super::calls::{chain_start, wrong};
use super::measure::{Answered, Caller};
use super::{Options, tally};
use crate::work::Scenario;
use crate::{Failure, PATIENCE};

/// What is passed each way: 40 bytes, as many as a request of one number has with its header.
type Words = [u64; 5];

/// Where requests are, and answers; far enough apart that no prefetch takes one for the other.
const REQUEST_LINE: usize = 0;
const ANSWER_LINE: usize = 16;
/// The line of the bytes alone, after that of their sequence number.
const SPLIT_DISTANCE: usize = 8;
/// So many looks before one at the clock, so that a client whose server died does not spin for ever.
const LOOKS_PER_CLOCK: u32 = 1 << 24;

/// One end of a way to pass words.
pub(super) trait Wire: Sized + Send + 'static {
    /// The server's end, which is made first.
    fn serve(options: &Options) -> Result<Self, Failure>;
    /// Waits for the client where there is something to wait for.
    fn accept(self) -> Result<Self, Failure> {
        Ok(self)
    }
    /// The client's end.
    fn connect(options: &Options) -> Result<Self, Failure>;
    fn send(&mut self, words: &Words) -> Result<(), Failure>;
    fn receive(&mut self) -> Result<Words, Failure>;
}

/// The client of any of them.
pub(super) struct RawPing<W> {
    wire: W,
    value: u64,
    calls: u64,
}

impl<W: Wire> RawPing<W> {
    pub(super) fn new(options: &Options) -> Result<Self, Failure> {
        Ok(Self { wire: W::connect(options)?, value: chain_start(0), calls: 0 })
    }
}

impl<W: Wire> Caller for RawPing<W> {
    fn turn(&mut self) -> Result<Option<Duration>, Failure> {
        self.wire.send(&words_of(self.value))?;
        let answer = self.wire.receive()?;
        self.value = self.value.wrapping_add(1);
        if answer != words_of(self.value) {
            return Err(wrong("a raw message", self.value, answer[0]));
        }
        self.calls += 1;
        Ok(None)
    }

    fn answered(&self) -> Answered {
        Answered::singly(self.calls)
    }
}

/// Serves the limit from a thread of its own, until the process ends.
pub(super) fn serve(options: &Options, wrong_after: u64) -> Result<(), Failure> {
    match options.scenario {
        Scenario::RawLine => spawn(Lines::<false>::serve(options)?, wrong_after),
        Scenario::RawLineSplit => spawn(Lines::<true>::serve(options)?, wrong_after),
        Scenario::RawSeqpacket => spawn(Seqpacket::serve(options)?, wrong_after),
        Scenario::RawFutex => spawn(Futex::serve(options)?, wrong_after),
        _ => return Err("no raw limit".into()),
    }
    Ok(())
}

fn spawn<W: Wire>(wire: W, wrong_after: u64) {
    std::thread::spawn(move || {
        let answered = wire.accept().and_then(|wire| answer_all(wire, wrong_after));
        if let Err(failure) = answered {
            eprintln!("netipc-bench-driver: the raw limit failed: {failure}");
        }
    });
}

fn answer_all<W: Wire>(mut wire: W, wrong_after: u64) -> Result<(), Failure> {
    loop {
        let request = wire.receive()?;
        let value = request[0];
        if request == words_of(u64::MAX) {
            return Ok(());
        }
        let is_wrong = tally::count() > wrong_after || request != words_of(value);
        wire.send(&words_of(value.wrapping_add(if is_wrong { 2 } else { 1 })))?;
    }
}

/// Words that all depend on the first, so that a torn message is seen.
const fn words_of(value: u64) -> Words {
    [value, !value, value ^ 2, value ^ 3, value ^ 4]
}

fn path(options: &Options) -> PathBuf {
    options.run_dir.join(format!("{}.raw", options.service))
}

/// Shared lines, both ends spinning. `SPLIT` has the bytes in a line of their own.
pub(super) struct Lines<const SPLIT: bool> {
    lines: SharedLines,
    sends_at: usize,
    receives_at: usize,
    sent: u64,
    received: u64,
}

impl<const SPLIT: bool> Lines<SPLIT> {
    const fn payload_line(line: usize) -> usize {
        if SPLIT { line + SPLIT_DISTANCE } else { line }
    }
}

impl<const SPLIT: bool> Wire for Lines<SPLIT> {
    fn serve(options: &Options) -> Result<Self, Failure> {
        let lines = SharedLines::create(&path(options))?;
        let (sends_at, receives_at) = (ANSWER_LINE, REQUEST_LINE);
        Ok(Self { lines, sends_at, receives_at, sent: 0, received: 0 })
    }

    fn connect(options: &Options) -> Result<Self, Failure> {
        let lines = SharedLines::open(&path(options))?;
        let (sends_at, receives_at) = (REQUEST_LINE, ANSWER_LINE);
        Ok(Self { lines, sends_at, receives_at, sent: 0, received: 0 })
    }

    #[inline]
    fn send(&mut self, words: &Words) -> Result<(), Failure> {
        let payload = &self.lines[Self::payload_line(self.sends_at)].payload;
        for (place, word) in payload.iter().zip(words) {
            place.store(*word, Ordering::Relaxed);
        }
        self.sent += 1;
        // Release: pairs with the load in `receive`, which sees the words then.
        self.lines[self.sends_at].sequence.store(self.sent, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn receive(&mut self) -> Result<Words, Failure> {
        self.received += 1;
        let sequence = &self.lines[self.receives_at].sequence;
        let mut looks = 0_u32;
        let mut since = None;
        // Acquire: pairs with the store in `send`.
        while sequence.load(Ordering::Acquire) != self.received {
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS_PER_CLOCK)
                && self.sent >= self.received
                && since.get_or_insert_with(Instant::now).elapsed() > PATIENCE
            {
                return Err("the server of the raw limit does not answer".into());
            }
        }
        let payload = &self.lines[Self::payload_line(self.receives_at)].payload;
        Ok(payload.each_ref().map(|word| word.load(Ordering::Relaxed)))
    }
}

/// Shared lines, and a futex in place of spinning.
pub(super) struct Futex(Lines<true>);

impl Wire for Futex {
    fn serve(options: &Options) -> Result<Self, Failure> {
        Lines::serve(options).map(Self)
    }

    fn connect(options: &Options) -> Result<Self, Failure> {
        Lines::connect(options).map(Self)
    }

    fn send(&mut self, words: &Words) -> Result<(), Failure> {
        let Lines { lines, sends_at, sent, .. } = &mut self.0;
        for (place, word) in lines[*sends_at].payload.iter().zip(words) {
            place.store(*word, Ordering::Relaxed);
        }
        *sent += 1;
        // Release: pairs with the load in `receive`.
        lines[*sends_at].signal.store(*sent as u32, Ordering::Release);
        Ok(lines.wake(*sends_at)?)
    }

    fn receive(&mut self) -> Result<Words, Failure> {
        let Lines { lines, receives_at, received, .. } = &mut self.0;
        let line = &lines[*receives_at];
        let last = *received as u32;
        *received += 1;
        // Acquire: pairs with the store in `send`.
        while line.signal.load(Ordering::Acquire) == last {
            lines.wait(*receives_at, last)?;
        }
        Ok(line.payload.each_ref().map(|word| word.load(Ordering::Relaxed)))
    }
}

/// A blocking packet socket.
pub(super) struct Seqpacket(PlainSocket);

impl Wire for Seqpacket {
    fn serve(options: &Options) -> Result<Self, Failure> {
        Ok(Self(PlainSocket::listen(&path(options))?))
    }

    fn accept(self) -> Result<Self, Failure> {
        Ok(Self(self.0.accept()?))
    }

    fn connect(options: &Options) -> Result<Self, Failure> {
        Ok(Self(PlainSocket::connect(&path(options))?))
    }

    fn send(&mut self, words: &Words) -> Result<(), Failure> {
        let mut packet = [0; size_of::<Words>()];
        for (place, word) in packet.chunks_exact_mut(size_of::<u64>()).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        Ok(self.0.send(&packet)?)
    }

    fn receive(&mut self) -> Result<Words, Failure> {
        let mut packet = [0; size_of::<Words>()];
        match self.0.recv(&mut packet)? {
            // The client left: as good as its last word.
            0 => return Ok(words_of(u64::MAX)),
            len if len != packet.len() => return Err(format!("a packet of {len} bytes").into()),
            _ => {}
        }
        let mut words = Words::default();
        for (word, place) in words.iter_mut().zip(packet.chunks_exact(size_of::<u64>())) {
            *word = place.try_into().map_or(0, u64::from_ne_bytes);
        }
        Ok(words)
    }
}
