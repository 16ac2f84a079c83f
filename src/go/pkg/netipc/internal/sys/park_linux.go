package sys

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// parker puts the one goroutine that waits for a socket's one direction to sleep with Go's poller,
// where it costs no thread, until the socket is ready, the wait's time is up, or an abort wakes it.
//
// The poller has one timer a direction. Setting it for each sleep would cost more than the sleep's own
// bookkeeping, so it is left as it is while it fires early enough: it may then fire once for nobody,
// or too early for this wait, which looks at its own deadline and sets it anew.
type parker struct {
	timer func(time.Time) error
	sleep func(func(fd uintptr) bool) error
	// attempt tries the system call; true when there is nothing more to wait for.
	attempt func(fd uintptr) bool
	node    waiter

	// mu orders an abort's wake against this side's setting of the timer.
	mu     sync.Mutex
	kicked bool
	// armed is when the poller's timer fires; zero for never.
	armed Deadline
}

// longAgo makes the poller's timer fire at once.
var longAgo = time.Unix(1, 0)

func (p *parker) initReader(file *os.File, raw syscall.RawConn, attempt func(uintptr) bool) {
	p.timer, p.sleep, p.attempt = file.SetReadDeadline, raw.Read, attempt
	p.node.wake = p.kick
}

func (p *parker) initWriter(file *os.File, raw syscall.RawConn, attempt func(uintptr) bool) {
	p.timer, p.sleep, p.attempt = file.SetWriteDeadline, raw.Write, attempt
	p.node.wake = p.kick
}

// park sleeps until attempt is true. The errors are ErrAborted, ErrTimedOut and ErrClosed; readiness
// that came before an error is not looked at.
func (p *parker) park(wait *Wait) error {
	if wait.Abort != nil {
		wait.Abort.add(&p.node)
		defer p.leave(wait.Abort)
	}
	for {
		if wait.Ended() {
			return ErrAborted
		}
		if !p.arm(wait.slice()) {
			return ErrAborted
		}
		err := p.sleep(p.attempt)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return ErrClosed
		case wait.Ended():
			return ErrAborted
		case wait.Deadline.HasPassed():
			return ErrTimedOut
		}
	}
}

// arm sets the poller's timer if it would fire too late, or has fired. False when an abort came.
func (p *parker) arm(until Deadline) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kicked {
		return false
	}
	keeps := !p.armed.IsNever() && !p.armed.HasPassed() && p.armed.Earlier(until) == p.armed
	if keeps || p.armed.IsNever() && until.IsNever() {
		return true
	}
	// One that cannot be set shows as a sleep that ends at once, with its own error.
	_ = p.timer(until.time())
	p.armed = until
	return true
}

// kick wakes the sleeper, from another goroutine.
func (p *parker) kick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kicked = true
	_ = p.timer(longAgo)
}

// leave takes the sleeper off the handle's list, and forgets the abort that may have woken it.
func (p *parker) leave(abort *Abort) {
	abort.remove(&p.node)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kicked {
		p.kicked = false
		p.armed = Deadline{}
		_ = p.timer(time.Time{})
	}
}
