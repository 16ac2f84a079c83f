//! `nipc_error_t`: what every function answers.

use std::ffi::{CStr, c_char};

use crate::boundary;

/// What a function answers: one of `enum nipc_error`. 0 is success, and nothing else is.
pub type nipc_error_t = i32;

/// What can go wrong. A later version may add to these: treat what you do not know as a failure.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum nipc_error {
    /// Done.
    NIPC_OK = 0,
    /// An argument is not what the function takes: NULL, misaligned, a bad name or configuration.
    NIPC_ERR_INVALID_ARGUMENT = 1,
    /// The object is zeroed or closed, or the view was never filled in.
    NIPC_ERR_NOT_INITIALIZED = 2,
    /// The object is live already: close it first. Or the server was started already.
    NIPC_ERR_ALREADY_INITIALIZED = 3,
    /// Another thread is in a call with this object now.
    NIPC_ERR_IN_USE = 4,
    /// A typed call on the client of another service.
    NIPC_ERR_WRONG_SERVICE = 5,
    /// An index past the last.
    NIPC_ERR_OUT_OF_RANGE = 6,
    /// There is no such item.
    NIPC_ERR_NOT_FOUND = 7,
    /// The client has no session: refresh it. Its status says why.
    NIPC_ERR_NOT_READY = 8,
    /// The caller asked for what cannot be.
    NIPC_ERR_CALLER = 9,
    /// Time was up.
    NIPC_ERR_TIMED_OUT = 10,
    /// This side aborted.
    NIPC_ERR_ABORTED = 11,
    /// The server left, and could not be reached again, or was full.
    NIPC_ERR_LOST = 12,
    /// The peer broke the contract.
    NIPC_ERR_VIOLATION = 13,
    /// The server answered with a failure, or refused the session.
    NIPC_ERR_STATUS = 14,
    /// A request or an answer is above a limit that does not grow.
    NIPC_ERR_LIMIT = 15,
    /// The operating system refused.
    NIPC_ERR_SYSTEM = 16,
    /// The bytes that were to be decoded break the contract.
    NIPC_ERR_MALFORMED = 17,
    /// A buffer, or the budget of an answer, is used up.
    NIPC_ERR_NO_SPACE = 18,
    /// The schema forbids what was to be written.
    NIPC_ERR_BUILD = 19,
    /// Somebody else has the endpoint.
    NIPC_ERR_ADDRESS_IN_USE = 20,
    /// There is nothing to do now without waiting.
    NIPC_ERR_WOULD_BLOCK = 21,
    /// The peer left (Level 1), or nobody serves the endpoint.
    NIPC_ERR_CLOSED = 22,
    /// Handlers still run after the time to stop: what they use must stay. Call again.
    NIPC_ERR_HANDLERS_RUNNING = 23,
    /// The library met a defect of its own, and contained it. Please report nipc_last_error().
    NIPC_ERR_PANIC = 24,
    /// This system has no such thing.
    NIPC_ERR_UNSUPPORTED = 25,
}

impl nipc_error {
    /// As the functions answer it.
    #[must_use]
    pub const fn code(self) -> nipc_error_t {
        self as nipc_error_t
    }
}

/// Declares the names, and sees to it that none is missing.
macro_rules! names {
    ($($name:ident),+ $(,)?) => {
        const fn name_of(error: nipc_error) -> &'static CStr {
            match error {
                $(nipc_error::$name => {
                    match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                        Ok(name) => name,
                        Err(_) => c"",
                    }
                })+
            }
        }

        const ALL: &[nipc_error] = &[$(nipc_error::$name),+];
    };
}

names! {
    NIPC_OK, NIPC_ERR_INVALID_ARGUMENT, NIPC_ERR_NOT_INITIALIZED, NIPC_ERR_ALREADY_INITIALIZED,
    NIPC_ERR_IN_USE, NIPC_ERR_WRONG_SERVICE, NIPC_ERR_OUT_OF_RANGE, NIPC_ERR_NOT_FOUND,
    NIPC_ERR_NOT_READY, NIPC_ERR_CALLER, NIPC_ERR_TIMED_OUT, NIPC_ERR_ABORTED, NIPC_ERR_LOST,
    NIPC_ERR_VIOLATION, NIPC_ERR_STATUS, NIPC_ERR_LIMIT, NIPC_ERR_SYSTEM, NIPC_ERR_MALFORMED,
    NIPC_ERR_NO_SPACE, NIPC_ERR_BUILD, NIPC_ERR_ADDRESS_IN_USE, NIPC_ERR_WOULD_BLOCK,
    NIPC_ERR_CLOSED, NIPC_ERR_HANDLERS_RUNNING, NIPC_ERR_PANIC, NIPC_ERR_UNSUPPORTED,
}

/// The name of an error, e.g. "NIPC_ERR_TIMED_OUT". Any number is fine: "NIPC_ERR_UNKNOWN" for one
/// that is none. The text is static.
#[unsafe(no_mangle)]
pub extern "C" fn nipc_error_name(error: nipc_error_t) -> *const c_char {
    let known = ALL.iter().find(|known| known.code() == error);
    known.map_or(c"NIPC_ERR_UNKNOWN", |known| name_of(*known)).as_ptr()
}

/// The last error of this thread in words: what went wrong, who is at fault, what to do. "" when there
/// was none. The text is the library's, ends in NUL, has at most NIPC_TEXT_BYTES, and is valid until
/// the next call of this thread that fails.
#[unsafe(no_mangle)]
pub extern "C" fn nipc_last_error() -> *const c_char {
    boundary::last_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(error: nipc_error_t) -> &'static str {
        // SAFETY: the function answers static texts that end in NUL.
        let name = unsafe { CStr::from_ptr(nipc_error_name(error)) };
        name.to_str().expect("ASCII")
    }

    #[test]
    fn any_number_has_a_name() {
        assert_eq!(name(0), "NIPC_OK");
        assert_eq!(name(nipc_error::NIPC_ERR_UNSUPPORTED.code()), "NIPC_ERR_UNSUPPORTED");
        assert_eq!(ALL.len(), ALL[ALL.len() - 1].code() as usize + 1, "no number is left out");
        for unknown in [-1, 26, i32::MAX, i32::MIN] {
            assert_eq!(name(unknown), "NIPC_ERR_UNKNOWN");
        }
    }
}
