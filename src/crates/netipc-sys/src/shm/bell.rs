//! Telling of a message, and waking who sleeps: what the platforms' regions differ in.
//!
//! ```text
//!   Signalled   signalled.rs, spec section 7: every publication changes a word, and a sleeper is let sleep only while
//!               the word holds what it saw before its last look (futex)
//!   Flagged     flagged.rs, spec section 9: a sleeper sets a flag before its last look, and a publisher that finds it
//!               set rings (auto-reset event)
//! ```

use super::Lane;

/// How far a publication has got. A process can die after each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "failpoints"), allow(dead_code))]
pub(crate) enum Step {
    /// The message is in the area; nothing tells of it.
    Copied,
    /// Its length is written.
    Measured,
    /// Its sequence number is written: a peer that looks finds it.
    Numbered,
    /// The word that the peer sleeps on has changed; the peer, if it sleeps, still does. (There is no
    /// such step where a flag says who sleeps.)
    Signalled,
    /// The peer is awake.
    Woken,
}

/// How one end tells the other of a message.
pub(crate) trait Bell<Long, Short> {
    /// Numbers a message that is in its area, and wakes who waits for it. `signal` counts publications.
    fn announce(&self, lane: &Lane<'_, Long, Short>, seq: u64, signal: u32);
    /// What a sleeper does before its last look at the sequence number; what this returns is handed to
    /// the sleep.
    fn before_sleep(&self, lane: &Lane<'_, Long, Short>) -> u32;
    /// It will not sleep, or not again.
    fn after_sleep(&self, lane: &Lane<'_, Long, Short>);
    /// Wakes all of this process that sleep, once `own`, a word of its own, tells of the end.
    fn wake_all(&self, alarm: &Short, own: &Short);
    /// A publication got as far as `step`: where tests let a process die.
    fn reached(&self, _step: Step) {}
    /// Whether who copies a message out looks once more whether it was changed meanwhile.
    fn looks_again(&self) -> bool {
        false
    }
}
