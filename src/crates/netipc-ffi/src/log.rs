//! Events, for a program's own log: one function of its own is called with each.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{PoisonError, RwLock};

use netipc::events::{Event, Level, observe};

use crate::boundary::boundary;
use crate::error::{nipc_error, nipc_error_t};
use crate::failure::Failure;
use crate::text::{NIPC_TEXT_BYTES, cut_text};

/// One of enum nipc_log_level_kind.
pub type nipc_log_level_t = i32;

/// How much an event matters.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum nipc_log_level_kind {
    /// A defect: of a handler.
    NIPC_LOG_ERROR = 1,
    /// Somebody was not served: a handler failed.
    NIPC_LOG_WARN = 2,
    /// What a client lives with, and tries again: no session, one that was lost, a request sent once more.
    NIPC_LOG_INFO = 3,
    /// All goes as it should: sessions come and go.
    NIPC_LOG_DEBUG = 4,
}

/// What is told of each event: its level, one of enum nipc_log_level_kind, and a line of text, without an end of
/// line, cut after NIPC_TEXT_BYTES; valid until the function returns.
///
/// Called by the thread that it happens to, several at once: a caller of a client's, or a server's threads, which
/// others wait for. So it returns soon, makes no call of the library's that waits, and neither stops, drains nor
/// destroys a server; events of what it calls are not told. Whoever calls nipc_log_set() holds no lock that it takes.
pub type nipc_log_fn = Option<
    unsafe extern "C-unwind" fn(context: *mut c_void, level: nipc_log_level_t, text: *const c_char),
>;

/// Has `function` called with each event of this process that is as grave as `level`, or graver, in place of the
/// function before it, which has returned when this does and is called no more. NULL: none. A call that goes well
/// is no event.
///
/// NIPC_ERR_INVALID_ARGUMENT for a level that there is not, with a function; NIPC_ERR_IN_USE from within one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_log_set(
    level: nipc_log_level_t,
    function: nipc_log_fn,
    context: *mut c_void,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|_caller| {
            let levels = nipc_log_level_kind::NIPC_LOG_ERROR as i32
                ..=nipc_log_level_kind::NIPC_LOG_DEBUG as i32;
            if function.is_some() && !levels.contains(&level) {
                return Err(Failure::argument(format!("there is no level {level}")));
            }
            if TELLING.get() {
                let words = "the function that is told of events cannot replace itself";
                return Err(Failure::new(nipc_error::NIPC_ERR_IN_USE, words));
            }
            let mut sink = SINK.write().unwrap_or_else(PoisonError::into_inner);
            *sink = function.map(|function| Sink { level, function, context });
            // Relaxed: who reads an older one looks again under the lock, or misses an event of this moment.
            LEVEL.store(if function.is_some() { level } else { NONE }, Ordering::Relaxed);
            drop(sink);
            // Once is enough, and it stays.
            observe(tell);
            Ok(())
        })
    }
}

/// Below all levels.
const NONE: nipc_log_level_t = 0;

/// The least grave level that is asked for, to be looked at before anything is put into words.
static LEVEL: AtomicI32 = AtomicI32::new(NONE);

/// Locked for reading while the function runs, so that it has returned once it is replaced.
static SINK: RwLock<Option<Sink>> = RwLock::new(None);

thread_local! {
    /// Whether this thread is in the function.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// A function of C's, and the context that it is called with.
struct Sink {
    /// The least grave level that it is told of.
    level: nipc_log_level_t,
    function: unsafe extern "C-unwind" fn(*mut c_void, nipc_log_level_t, *const c_char),
    context: *mut c_void,
}

// SAFETY: the header says that the function runs on any thread, with the context that was given: its owner
// answers for that. Nothing here looks at what the context points at.
unsafe impl Send for Sink {}
// SAFETY: as above; and that it runs on several at once.
unsafe impl Sync for Sink {}

fn tell(event: &Event<'_>) {
    let level = level_of(event.level);
    if level > LEVEL.load(Ordering::Relaxed) || TELLING.get() {
        return;
    }
    let text: [c_char; NIPC_TEXT_BYTES] = cut_text(&[&event.to_string()]);
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(sink) = &*sink
        && level <= sink.level
    {
        let _telling = Telling::begin();
        // SAFETY: the header tells what the function may do; the text is valid until it returns.
        unsafe { (sink.function)(sink.context, level, text.as_ptr()) };
    }
}

const fn level_of(level: Level) -> nipc_log_level_t {
    let level = match level {
        Level::Error => nipc_log_level_kind::NIPC_LOG_ERROR,
        Level::Warn => nipc_log_level_kind::NIPC_LOG_WARN,
        Level::Info => nipc_log_level_kind::NIPC_LOG_INFO,
        Level::Debug => nipc_log_level_kind::NIPC_LOG_DEBUG,
    };
    level as nipc_log_level_t
}

/// This thread is in the function, until this is dropped.
struct Telling;

impl Telling {
    fn begin() -> Self {
        TELLING.set(true);
        Self
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        TELLING.set(false);
    }
}
