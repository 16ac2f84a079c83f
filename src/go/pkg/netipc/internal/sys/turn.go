package sys

import (
	"sync"
	"sync/atomic"
	"time"
)

// chanWait is what a goroutine needs to wait for a channel, a deadline and an abort at once; kept for
// the next, so that waiting allocates nothing once there have been as many waits at a time.
type chanWait struct {
	timer   *time.Timer
	aborted chan struct{}
	node    waiter
}

var chanWaits = sync.Pool{New: func() any {
	w := &chanWait{timer: time.NewTimer(time.Hour), aborted: make(chan struct{}, 1)}
	w.timer.Stop()
	w.node.wake = func() {
		select {
		case w.aborted <- struct{}{}:
		default:
		}
	}
	return w
}}

// ReceiveFrom receives from a channel, as long as wait says. The errors are ErrAborted, ErrTimedOut, and
// ErrClosed for a closed channel. What is there comes before the deadline, an abort before both.
func ReceiveFrom[T any](from <-chan T, wait *Wait) (T, error) {
	var none T
	if wait.Ended() {
		return none, ErrAborted
	}
	select {
	case got, ok := <-from:
		return opened(got, ok)
	default:
	}
	left, ends := wait.Deadline.Remaining()
	if ends && left == 0 {
		return none, ErrTimedOut
	}
	w := chanWaits.Get().(*chanWait)
	defer chanWaits.Put(w)
	var timer <-chan time.Time
	if ends {
		w.timer.Reset(left)
		timer = w.timer.C
		defer w.timer.Stop()
	}
	wait.Abort.add(&w.node)
	defer w.done(wait.Abort)
	if wait.Ended() {
		return none, ErrAborted
	}
	for {
		select {
		case got, ok := <-from:
			return opened(got, ok)
		case <-w.aborted:
			return none, ErrAborted
		case <-wait.Done:
			return none, ErrAborted
		case <-timer:
			// In programs that say asynctimerchan=1 it may have fired for the wait before, just as that ended.
			if left, _ = wait.Deadline.Remaining(); left == 0 {
				return none, ErrTimedOut
			}
			w.timer.Reset(left)
		}
	}
}

func opened[T any](got T, ok bool) (T, error) {
	if !ok {
		return got, ErrClosed
	}
	return got, nil
}

func (w *chanWait) done(abort *Abort) {
	abort.remove(&w.node)
	select {
	case <-w.aborted:
	default:
	}
}

// Turn says whose turn it is to send: messages of one session leave whole, one at a time (spec section
// 3). A lock whose waiting honours a deadline and an abort. Taking it when it is free, and giving it
// back when nobody waits, is one atomic operation each.
type Turn struct {
	held    atomic.Bool
	waiting atomic.Int32
	// released holds one token at most: somebody gave the turn back while others waited.
	released chan struct{}
}

// NewTurn is a turn that nobody has.
func NewTurn() *Turn { return &Turn{released: make(chan struct{}, 1)} }

// Take takes the turn; GiveBack must follow. The errors are ErrAborted and ErrTimedOut.
func (t *Turn) Take(wait *Wait) error {
	if t.held.CompareAndSwap(false, true) {
		return nil
	}
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	for {
		// Tried after it counts, so that no release in between is missed.
		if t.held.CompareAndSwap(false, true) {
			return nil
		}
		// Whoever takes the token tries next; if that fails, a holder is there who will see that
		// others wait. So no other waiter loses by this.
		if _, err := ReceiveFrom(t.released, wait); err != nil {
			return err
		}
		// Where many send, one may be woken again and again and always come too late.
		if wait.Deadline.HasPassed() {
			if t.held.CompareAndSwap(false, true) {
				return nil
			}
			return ErrTimedOut
		}
	}
}

// GiveBack ends the turn.
func (t *Turn) GiveBack() {
	t.held.Store(false)
	if t.waiting.Load() > 0 {
		t.wake()
	}
}

func (t *Turn) wake() {
	select {
	case t.released <- struct{}{}:
	default:
	}
}
