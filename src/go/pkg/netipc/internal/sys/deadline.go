package sys

import (
	"math"
	"time"
)

// epoch is where this process's clock starts: deadlines are nanoseconds since then, monotonic, in one
// word, and cheap to compare.
var epoch = time.Now()

// now is never zero, which means "never" in a [Deadline].
func now() int64 { return int64(time.Since(epoch)) + 1 }

// Deadline is a point in monotonic time, or never, which is the zero value.
//
// A deadline is made once, at the top of a logical call, and handed down by value: every step below it
// shares the same end, so that ten steps cannot each take the whole time. One that has passed does not
// stop work that needs no waiting: each call tries once first.
type Deadline struct{ at int64 }

// Never waits for ever; an [Abort] still ends the wait.
func Never() Deadline { return Deadline{} }

// After is the point that comes timeout from now. A time beyond what the clock can hold is never.
func After(timeout time.Duration) Deadline {
	start := now()
	if timeout <= 0 {
		return Deadline{at: start}
	}
	if int64(timeout) > math.MaxInt64-start {
		return Deadline{}
	}
	return Deadline{at: start + int64(timeout)}
}

// At is the deadline of a [time.Time]; the zero time is never.
func At(t time.Time) Deadline {
	if t.IsZero() {
		return Deadline{}
	}
	return After(time.Until(t))
}

// IsNever tells whether there is no end.
func (d Deadline) IsNever() bool { return d.at == 0 }

// Remaining is what is left: zero once it has passed. False for never.
func (d Deadline) Remaining() (time.Duration, bool) {
	if d.at == 0 {
		return 0, false
	}
	return max(0, time.Duration(d.at-now())), true
}

// HasPassed tells whether it has passed.
func (d Deadline) HasPassed() bool { return d.at != 0 && d.at <= now() }

// Earlier is the earlier of the two: a step's own limit inside its call's.
func (d Deadline) Earlier(other Deadline) Deadline {
	if d.at == 0 || other.at != 0 && other.at < d.at {
		return other
	}
	return d
}
