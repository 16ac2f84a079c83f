//! A client that calls on and on, whatever becomes of its server, while its runner does harm:
//! tests/faults/README.md.
//!
//! ```text
//!   caller ── refresh, call, compare ──▶ Board ◀── words ── runner
//! ```
//! A failed call is counted, and never ends it; an answer that is wrong is counted, too, and a peer that broke the
//! contract, each by itself, for the runner to judge.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netipc::Profile;
use netipc::client::{CallErrorKind, ClientConfig};
use netipc_services::string_reverse;

use super::process::{hear, monotonic_ns, rest_until, say};
use super::{EndureOptions, calls};
use crate::Failure;
use crate::lines::{ABORT, CLOSE, Endured, GO, HOLD, Line, MISS, NEXT, TELL};

/// A string has at least its number.
const NUMBER_BYTES: usize = size_of::<u64>();
/// The pause after a refresh that gave no session: who serves may be about to.
const NO_SESSION_PAUSE: Duration = Duration::from_millis(1);

/// What the caller has come to, and what it was told.
#[derive(Default)]
struct Board {
    told: Endured,
    /// Calls begun, the last that returned, and the last that was answered rightly.
    begun: u64,
    returned: u64,
    last_right: u64,
    /// Whether it is to pause, and does.
    holds: bool,
    is_held: bool,
    /// Whether it is to close its session.
    closes: bool,
    is_over: bool,
    /// How many wait for a change. To tell nobody of one is a call of the system all the same, and what a session costs of
    /// those is counted.
    waiting: u32,
}

#[derive(Default)]
struct Shared {
    board: Mutex<Board>,
    changed: Condvar,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the board is so.
    fn until(&self, done: impl Fn(&Board) -> bool) -> MutexGuard<'_, Board> {
        self.wait(self.board(), done)
    }

    /// The same, with nothing in between for who has the board.
    fn wait<'a>(
        &'a self,
        mut board: MutexGuard<'a, Board>,
        done: impl Fn(&Board) -> bool,
    ) -> MutexGuard<'a, Board> {
        board.waiting += 1;
        let waited = self.changed.wait_while(board, |board| !done(board));
        let mut board = waited.unwrap_or_else(PoisonError::into_inner);
        board.waiting -= 1;
        board
    }

    /// Changes the board, and says so.
    fn change(&self, change: impl FnOnce(&mut Board)) {
        let mut board = self.board();
        change(&mut board);
        self.announce(&board);
    }

    /// Says to who waits that the board is another.
    fn announce(&self, board: &Board) {
        if board.waiting > 0 {
            self.changed.notify_all();
        }
    }
}

/// Calls until standard input ends.
pub(super) fn run(options: &EndureOptions) -> Result<(), Failure> {
    let config =
        ClientConfig { call_timeout_ms: options.timeout_ms, ..calls::config(&options.options) };
    let mut client = string_reverse::Client::new(options.options.endpoint()?, config);
    let abort = client.abort_handle()?;
    let shared = Shared::default();
    say(&Line::Ready)?;
    std::thread::scope(|scope| {
        scope.spawn(|| call_on(&shared, &mut client, options));
        let heard = obey(&shared, &abort);
        shared.change(|board| board.is_over = true);
        abort.trigger();
        heard
    })
}

/// Does what the runner says, each word before the next one is heard.
fn obey(shared: &Shared, abort: &netipc::Abort) -> Result<(), Failure> {
    while let Some(word) = hear()? {
        #[cfg(feature = "failpoints")]
        if word.starts_with(crate::lines::DIE) {
            super::process::die_after(&word)?;
            continue;
        }
        let start = Instant::now();
        let begun = shared.board().begun;
        let mut done = match word.as_str() {
            TELL => shared.board(),
            NEXT => shared.until(|board| board.last_right > begun),
            MISS => {
                let missed = shared.board().told.missed();
                shared.until(|board| board.told.missed() > missed)
            }
            HOLD => {
                shared.change(|board| board.holds = true);
                shared.until(|board| board.is_held)
            }
            GO => {
                shared.change(|board| board.holds = false);
                shared.until(|board| !board.is_held)
            }
            CLOSE => {
                shared.change(|board| board.closes = true);
                shared.until(|board| !board.closes)
            }
            ABORT => {
                abort.trigger();
                let returned = shared.until(|board| board.returned >= begun);
                abort.clear();
                returned
            }
            _ => return Err(format!("unknown word: {word}").into()),
        };
        let told = Endured { took_ns: start.elapsed().as_nanos() as u64, ..done.told.clone() };
        done.told.longest_ns = 0;
        drop(done);
        say(&Line::Endured(told))?;
    }
    Ok(())
}

/// Calls again and again.
fn call_on(shared: &Shared, client: &mut string_reverse::Client, options: &EndureOptions) {
    let mut texts = Texts::new(options.options.bytes);
    loop {
        let mut board = shared.board();
        if board.closes {
            client.close();
            board.closes = false;
        }
        board.is_held = board.holds;
        shared.announce(&board);
        // Who was told to hold in between would wait here, and had not said that it holds.
        let mut board = shared.wait(board, |board| !board.holds || board.is_over || board.closes);
        if board.is_over {
            return;
        }
        if board.closes {
            continue;
        }
        board.is_held = false;
        shared.announce(&board);
        board.begun += 1;
        let number = board.begun;
        drop(board);
        let pause = if attempt(shared, client, &mut texts, number) {
            Duration::from_micros(options.rest_us)
        } else {
            NO_SESSION_PAUSE
        };
        if !pause.is_zero() {
            rest_until(monotonic_ns() + pause.as_nanos() as u64);
        }
    }
}

/// What came of a call.
enum Came {
    Right,
    /// It was answered, and not with what it asked for.
    Wrong,
    /// Not answered, for the peer broke the contract: why.
    Broken(String),
    /// Not answered: why.
    Failed(String),
}

/// One call, on a session that is made for it where there is none. Answers whether there was one.
fn attempt(
    shared: &Shared,
    client: &mut string_reverse::Client,
    texts: &mut Texts,
    number: u64,
) -> bool {
    let start = Instant::now();
    if !client.ready() {
        client.refresh();
    }
    if !client.ready() {
        let reason = client.status().reason.unwrap_or_default();
        let took_ns = start.elapsed().as_nanos() as u64;
        shared.change(|board| {
            board.returned = number;
            board.told.refused += 1;
            board.told.longest_ns = board.told.longest_ns.max(took_ns);
            board.told.reason = reason;
        });
        return false;
    }
    let text = texts.text(number);
    let start = Instant::now();
    let answered = client.call(|request| request.bytes(text).finish());
    let took_ns = start.elapsed().as_nanos() as u64;
    let came_of_it = match answered {
        Ok(answer) if answer.bytes().iter().rev().eq(text) => Came::Right,
        Ok(_) => Came::Wrong,
        Err(error) if error.kind() == CallErrorKind::Violation => Came::Broken(error.to_string()),
        Err(error) => Came::Failed(error.to_string()),
    };
    let session = client.status().session;
    shared.change(|board| {
        board.returned = number;
        board.told.longest_ns = board.told.longest_ns.max(took_ns);
        if let Some(session) = session {
            board.told.shared = session.terms.profile != Profile::BASELINE;
        }
        let told = &mut board.told;
        let (count, reason) = match came_of_it {
            Came::Right => {
                board.last_right = number;
                (&mut told.right, None)
            }
            Came::Wrong => (&mut told.wrong, Some(format!("wrong answer to {number}"))),
            Came::Broken(reason) => (&mut told.broken, Some(reason)),
            Came::Failed(reason) => (&mut told.failed, Some(reason)),
        };
        *count += 1;
        if let Some(reason) = reason {
            told.reason = reason;
        }
    });
    true
}

/// What is asked: a string for each number, of a length and content of its own.
struct Texts {
    bytes: Vec<u8>,
}

impl Texts {
    fn new(most_bytes: usize) -> Self {
        Self { bytes: vec![0; most_bytes.max(NUMBER_BYTES)] }
    }

    fn text(&mut self, number: u64) -> &[u8] {
        let lengths = (self.bytes.len() - NUMBER_BYTES + 1) as u64;
        let length = NUMBER_BYTES + (number % lengths) as usize;
        let text = self.bytes.get_mut(..length).unwrap_or_default();
        for (at, byte) in text.iter_mut().enumerate() {
            *byte = (number as u8).wrapping_mul(31).wrapping_add(at as u8);
        }
        if let Some(first) = text.first_chunk_mut() {
            *first = number.to_be_bytes();
        }
        text
    }
}
