//! What clients and servers tell as it happens, for logs: sessions that come and go, and failures. A call that
//! goes well tells nothing; what all of it adds up to is in the status.
//!
//! | event | level | of |
//! |---|---|---|
//! | `session` | debug | both |
//! | `no session` | info | clients |
//! | `session lost` | info | clients |
//! | `request sent again` | info | clients |
//! | `session over` | debug | servers |
//! | `handler failed` | warn | servers |
//! | `handler panicked` | error | servers |
//!
//! With the feature `tracing` each is an event of that crate's, of the target `netipc::client` or
//! `netipc::server`. Beside that, a process can have one [`observe`]r.

use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use crate::panics::discard;

/// How much an event matters, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A defect: of a handler.
    Error,
    /// Somebody was not served.
    Warn,
    /// What a client lives with: it tries again.
    Info,
    /// All goes as it should.
    Debug,
}

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A client's.
    Client,
    /// A server's.
    Server,
}

/// Something that happened. Its `Display` is a line of a log: what would steer a terminal or begin another line is
/// escaped, for a peer may have had a hand in the words of an error.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// How much it matters.
    pub level: Level,
    /// Whose it is.
    pub side: Side,
    /// The client's endpoint, or the server's service.
    pub place: &'a dyn fmt::Display,
    /// The session that it is about; 0 for none.
    pub session_id: u64,
    /// What happened: always the same words.
    pub what: &'static str,
    /// What there is to say beside that; may be empty.
    pub detail: fmt::Arguments<'a>,
}

/// What is called with each event, by the thread that it happens to: by a client's caller, or by threads of a
/// server's that others wait for. It returns soon, makes no call that waits, and does not stop or drain the server.
/// A panic of its own ends there, as one of a subscriber's does.
pub type Observer = fn(&Event<'_>);

static OBSERVER: OnceLock<Observer> = OnceLock::new();

/// Has `observer` called with each event of this process from now on. False where there is one already: it stays.
pub fn observe(observer: Observer) -> bool {
    OBSERVER.set(observer).is_ok()
}

impl Event<'_> {
    pub(crate) fn tell(&self) {
        // It happens to threads that others hang on. Nothing of an event is used afterwards.
        let told = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(feature = "tracing")]
            self.trace();
            if let Some(observer) = OBSERVER.get() {
                observer(self);
            }
        }));
        if let Err(panic) = told {
            discard(panic);
        }
    }

    #[cfg(feature = "tracing")]
    fn trace(&self) {
        use Level::{Debug, Error, Info, Warn};
        use Side::{Client, Server};
        // Where an event is told from, and its level, are fixed for each place in the source.
        macro_rules! event {
            ($target:literal, $place:ident, $level:ident) => {
                tracing::event!(
                    target: $target,
                    tracing::Level::$level,
                    $place = %OneLine(self.place),
                    session_id = self.session_id,
                    detail = %OneLine(&self.detail),
                    "{}", self.what
                )
            };
        }
        match (self.side, self.level) {
            (Client, Error) => event!("netipc::client", endpoint, ERROR),
            (Client, Warn) => event!("netipc::client", endpoint, WARN),
            (Client, Info) => event!("netipc::client", endpoint, INFO),
            (Client, Debug) => event!("netipc::client", endpoint, DEBUG),
            (Server, Error) => event!("netipc::server", service, ERROR),
            (Server, Warn) => event!("netipc::server", service, WARN),
            (Server, Info) => event!("netipc::server", service, INFO),
            (Server, Debug) => event!("netipc::server", service, DEBUG),
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Client => "client of",
            Side::Server => "server of",
        };
        write!(f, "netipc {side} {}: {}", OneLine(self.place), self.what)?;
        if self.session_id != 0 {
            write!(f, " {}", self.session_id)?;
        }
        // Whether there is any is not known before it is written.
        match self.detail.as_str() {
            Some("") => Ok(()),
            _ => write!(f, ": {}", OneLine(&self.detail)),
        }
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.level)
    }
}

/// What it shows, without control characters: they are written as Rust's literals have them.
struct OneLine<'a>(&'a dyn fmt::Display);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            let plain = piece.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            for control in piece.chars().skip(plain.chars().count()) {
                write!(self.0, "{}", control.escape_default())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_is_about() {
        let event = Event {
            level: Level::Warn,
            side: Side::Server,
            place: &"a\u{1b}[2Jb",
            session_id: 7,
            what: "handler failed",
            detail: format_args!("no {}", "app\r\n\nä\0"),
        };
        let line = r"netipc server of a\u{1b}[2Jb: handler failed 7: no app\r\n\nä\u{0}";
        assert_eq!(event.to_string(), line);
        let brief = Event { session_id: 0, detail: format_args!(""), ..event };
        assert_eq!(brief.to_string(), r"netipc server of a\u{1b}[2Jb: handler failed");
    }
}
