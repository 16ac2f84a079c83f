//! For tests alone (feature `failpoints`): lets this process die between two steps of a publication,
//! as one that is killed there does.

use std::sync::Mutex;

use rustix::process::{Signal, getpid, kill_process};

use crate::shm::Step;

/// The steps, in order. After the last the message is published and the peer is awake.
pub const STEPS: [&str; 5] = ["Copied", "Measured", "Numbered", "Signalled", "Woken"];

static ARMED: Mutex<Option<&'static str>> = Mutex::new(None);

/// From now on, the first publication of this process that gets to `step` kills it (SIGKILL: nothing
/// is cleaned up).
///
/// # Panics
/// There is no such step.
pub fn die_after(step: &str) {
    let known = STEPS.into_iter().find(|known| *known == step).expect("one of STEPS");
    *ARMED.lock().expect("nobody panics with it") = Some(known);
}

pub(crate) fn reached(step: Step) {
    let armed = *ARMED.lock().expect("nobody panics with it");
    if armed.is_some_and(|name| name == format!("{step:?}")) {
        kill_process(getpid(), Signal::KILL).expect("one's own process");
        // The signal comes before this returns to user space; should it not, nothing goes on.
        loop {
            std::thread::park();
        }
    }
}
