//! Until when a call may wait.

use std::time::{Duration, Instant};

/// A point in monotonic time, or never.
///
/// A deadline is made once, at the top of a logical call, and handed down by value: every step
/// below it shares the same end, so that ten steps cannot each take the whole time.
///
/// A deadline that has passed does not stop work that needs no waiting: each call tries once first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Waits for ever (an [`Abort`](crate::Abort) still ends it).
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    /// `timeout` from now. A time beyond what the clock can hold is never.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    /// Waits for nothing: what is there now is all.
    #[cfg(windows)]
    pub(crate) fn passed() -> Self {
        Self(Some(Instant::now()))
    }

    /// What is left: `None` for never, zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.0.is_some_and(|end| end <= Instant::now())
    }

    /// The earlier of the two: a step's own limit inside its call's.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (end, None) | (None, end) => Self(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_has_nothing_to_count_down() {
        assert_eq!(Deadline::never().remaining(), None);
        assert!(!Deadline::never().has_passed());
    }

    #[test]
    fn zero_has_passed_at_once() {
        let deadline = Deadline::after(Duration::ZERO);
        assert!(deadline.has_passed());
        assert_eq!(deadline.remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn remaining_never_exceeds_what_was_given() {
        let hour = Duration::from_secs(3600);
        let remaining = Deadline::after(hour).remaining().expect("it has an end");
        assert!(remaining <= hour && remaining > hour / 2);
        assert!(!Deadline::after(hour).has_passed());
    }

    #[test]
    fn beyond_the_clock_is_never() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::never());
    }

    #[test]
    fn the_earlier_wins_whatever_the_order() {
        let soon = Deadline::after(Duration::from_secs(1));
        let late = Deadline::after(Duration::from_secs(9));
        assert_eq!(soon.earlier(late), soon);
        assert_eq!(late.earlier(soon), soon);
        assert_eq!(Deadline::never().earlier(soon), soon);
        assert_eq!(soon.earlier(Deadline::never()), soon);
        assert_eq!(Deadline::never().earlier(Deadline::never()), Deadline::never());
    }
}
