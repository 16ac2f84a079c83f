package sys

import (
	"sync"
	"sync/atomic"
	"time"
)

// CancelSlice is how late the closing of [Wait.Done] is noticed at most: a channel cannot wake a
// goroutine that sleeps elsewhere without a goroutine or an allocation of its own.
const CancelSlice = 25 * time.Millisecond

// Wait says until when a call may wait, and what ends it earlier. The zero value waits for ever.
type Wait struct {
	// Deadline is until when.
	Deadline Deadline
	// Abort ends the wait by an event, at once; nil for none.
	Abort *Abort
	// Done ends the wait when it is closed, noticed within [CancelSlice]: a context's Done. Nil for
	// none. A wait with it wakes once a slice, so it is for calls, not for idling.
	Done <-chan struct{}
}

// Ended tells whether the wait was aborted or cancelled. Makes no system call.
func (w *Wait) Ended() bool {
	if w.Abort != nil && w.Abort.IsSet() {
		return true
	}
	if w.Done != nil {
		select {
		case <-w.Done:
			return true
		default:
		}
	}
	return false
}

// slice is until when one sleep may last.
func (w *Wait) slice() Deadline {
	if w.Done == nil {
		return w.Deadline
	}
	return w.Deadline.Earlier(After(CancelSlice))
}

// Abort ends the calls that wait with it, from any goroutine, and refuses later ones until cleared. The
// zero value is ready and not set; it must not be copied.
//
// It stays set until [Abort.Clear]: a call that starts a moment after [Abort.Trigger] is refused as
// well, so an abort cannot be missed by coming early. It needs no descriptor: it knows who waits.
type Abort struct {
	set atomic.Bool
	// mu guards the list, and the order of setting and waking.
	mu    sync.Mutex
	first *waiter
}

// waiter is somebody who sleeps with an abort handle: a node of its list.
type waiter struct {
	prev, next *waiter
	// wake ends the sleep; called with the handle's lock held.
	wake func()
}

// Trigger sets it: every call that waits with it returns "aborted", now and until it is cleared.
func (a *Abort) Trigger() {
	a.mu.Lock()
	defer a.mu.Unlock()
	// Before waking, so that whoever is woken finds it set.
	a.set.Store(true)
	for w := a.first; w != nil; w = w.next {
		w.wake()
	}
}

// Clear unsets it. Clear only once the calls that were to end have returned: one that has not yet been
// woken goes on waiting.
func (a *Abort) Clear() { a.set.Store(false) }

// IsSet tells whether it is set. Makes no system call.
func (a *Abort) IsSet() bool { return a.set.Load() }

// add puts a sleeper on the list; it looks at IsSet afterwards, or a trigger in between would be lost.
func (a *Abort) add(w *waiter) {
	if a == nil {
		return
	}
	a.mu.Lock()
	w.prev, w.next = nil, a.first
	if a.first != nil {
		a.first.prev = w
	}
	a.first = w
	a.mu.Unlock()
}

func (a *Abort) remove(w *waiter) {
	if a == nil {
		return
	}
	a.mu.Lock()
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		a.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	a.mu.Unlock()
}
