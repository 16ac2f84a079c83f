package sys

import (
	"testing"
	"time"
)

// As timers were before Go 1.23, and are where a program says so: what fires just as a wait ends stays in the channel.
func TestATimerThatFiredForTheWaitBeforeEndsNoWait(t *testing.T) {
	t.Setenv("GODEBUG", "asynctimerchan=1")
	// More than one, as a pool may drop what it is given.
	const rounds = 20
	const timeout = 5 * time.Millisecond
	nothing := make(chan struct{})
	for range rounds {
		before := chanWaits.New().(*chanWait)
		before.timer.Reset(time.Nanosecond)
		// Timers fire in order.
		<-time.After(time.Millisecond)
		before.timer.Stop()
		chanWaits.Put(before)
		wait := &Wait{Deadline: After(timeout)}
		if _, err := ReceiveFrom(nothing, wait); err != ErrTimedOut || !wait.Deadline.HasPassed() {
			t.Fatalf("%v, %v too early", err, time.Duration(wait.Deadline.at-now()))
		}
	}
}
